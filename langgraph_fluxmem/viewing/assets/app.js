/* What belongs together: the graph, the panel, the line of time, the boxes and the keys. */
(() => {
  "use strict";
  const by = (id) => document.getElementById(id), note = by("note");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let memory, drawing, panel, timeline, lit = [], at = -1;

  function theme(name) {
    document.documentElement.dataset.theme = name;
    by("theme").textContent = name === "dark" ? "Light" : "Dark";
    if (drawing) { drawing.look(); timeline.draw(); }
  }
  theme(new URLSearchParams(location.search).get("theme") || (dark.matches ? "dark" : "light"));
  dark.addEventListener("change", () => theme(dark.matches ? "dark" : "light"));

  function light(nodes, paths = null) { lit = nodes || []; at = -1; drawing.lit = nodes ? new Set(nodes) : null; drawing.paths = paths; drawing.ask(); }
  function clear() {
    drawing.selected = -1; light(null); by("q").value = ""; by("r").value = "";
    panel.overview(); drawing.canvas.focus({ preventScroll: true });
  }
  async function select(node, come = false) {
    if (node < 0) { if (drawing.selected >= 0) clear(); return; }
    drawing.selected = node;
    const near = memory.beside(node);
    drawing.lit = near; drawing.paths = new Set(memory.ties[node].filter((edge) => memory.edgeThere[edge])); drawing.ask();
    if (come) drawing.fit(true, near);
    panel.show(panel.drawn(node));
    if (panel.layer(node) === "topic") return;
    try {
      const found = await Source.node(memory.nodes.id[node]);
      if (found && drawing.selected === node) panel.node(found, node);
    } catch (error) { if (drawing.selected === node) panel.failed(error); }
  }
  function search(text) {
    if (!text.trim()) { drawing.selected = -1; light(null); return panel.overview(); }
    const found = memory.search(text);
    drawing.selected = -1; light(found); panel.found(text, found);
  }
  async function recall(query) {
    if (!query.trim()) return;
    by("r").blur(); panel.waiting("Recalling …");
    try {
      timeline.stop();
      const past = timeline.value < timeline.last && !Source.alone;
      const found = await Source.recall(query, past ? timeline.position() : null);
      if (!past) timeline.set(timeline.last);
      const numbers = new Set(), paths = new Set();
      const edge = (a, b) => { if (a === undefined || b === undefined) return; memory.ties[a].forEach((one) => { if (memory.edges.from[one] === b || memory.edges.to[one] === b) paths.add(one); }); };
      const number_ = (id) => memory.number.get(nodeOf(id));
      for (const one of found.reasons) {
        const node = number_(one.id);
        if (node === undefined) continue;
        numbers.add(node);
        one.links.forEach((link) => { const past = number_(link.episode); if (past !== undefined) { numbers.add(past); edge(node, past); } });
      }
      for (const a of numbers) for (const one of memory.ties[a]) if (numbers.has(memory.edges.from[one]) && numbers.has(memory.edges.to[one]) && memory.edges.kind[one] !== "PART_OF") paths.add(one);
      drawing.selected = -1; light([...numbers], paths);
      drawing.pulse([...numbers]); if (numbers.size) drawing.fit(true, numbers);
      panel.recalled(found, past);
    } catch (error) { panel.failed(error); }
  }
  function hover(node, event) {
    const tip = by("tip");
    tip.hidden = node < 0;
    if (node < 0 || !event) return;
    tip.textContent = memory.nodes.title[node];
    const box = by("stage").getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    tip.style.left = Math.min(x + 14, Math.max(0, box.width - tip.offsetWidth - 8)) + "px";
    tip.style.top = (y + 18 + tip.offsetHeight > box.height ? y - tip.offsetHeight - 10 : y + 18) + "px";
  }
  function legend() {
    const counts = memory.counts();
    by("legend").replaceChildren(...memory.layers.map((layer, number_) => {
      if (!memory.nodes.layer.includes(number_)) return null;
      const one = make("button", { type: "button", "aria-pressed": String(drawing.shown.has(number_)), title: `Show or hide (${number_ + 1})`, onclick: () => toggle(number_) }, make("span", { class: "dot " + layer }), NAMES[layer][1], make("span", { class: "count" }, number(counts[number_])));
      return one;
    }).filter(Boolean));
  }
  function toggle(layer) { if (drawing.shown.has(layer)) drawing.shown.delete(layer); else drawing.shown.add(layer); drawing.changed(); legend(); }
  function arrange() { drawing.arrange(!drawing.layered); by("mode").textContent = drawing.layered ? "Map" : "Layers"; }
  function next(step) { if (!lit.length) return; at = (at + step + lit.length) % lit.length; const kept = lit; select(kept[at], true); lit = kept; }

  const KEYS = {
    "/": () => by("q").focus(), r: () => by("r").focus(), l: arrange, d: () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"), 0: () => drawing.fit(), "?": () => by("keys").showModal(),
    " ": () => timeline.play(), "[": () => { timeline.stop(); timeline.set(timeline.value - 1); }, "]": () => { timeline.stop(); timeline.set(timeline.value + 1); }, n: () => next(1), p: () => next(-1), Escape: () => clear(),
    ArrowLeft: () => drawing.by(70, 0), ArrowRight: () => drawing.by(-70, 0), ArrowUp: () => drawing.by(0, 70), ArrowDown: () => drawing.by(0, -70), "+": () => drawing.closer(1.3), "=": () => drawing.closer(1.3), "-": () => drawing.closer(1 / 1.3),
  };
  function key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || by("keys").open) return;
    const inBox = event.target instanceof HTMLInputElement, onButton = event.target instanceof HTMLButtonElement || event.target instanceof HTMLElement && event.target.tagName === "SUMMARY";
    if (event.key === "Escape") { if (inBox) event.target.blur(); return clear(); }
    if (inBox && (event.target.type !== "range" || event.key.startsWith("Arrow"))) return;
    if (onButton && (event.key === " " || event.key === "Enter")) return;
    const layer = Number(event.key) - 1;
    if (KEYS[event.key]) { event.preventDefault(); KEYS[event.key](); } else if (layer >= 0 && layer < memory.layers.length) toggle(layer);
  }

  /* Memory goes on while it is looked at: what is new is offered, not forced on who looks. */
  function watch() {
    if (Source.alone) return;
    setInterval(async () => {
      if (document.hidden || !by("news").hidden) return;
      try { const { head } = await Source.head(); if (head > memory.data.head) by("news").hidden = false; } catch (error) { by("news").textContent = "The server is gone"; by("news").disabled = true; by("news").hidden = false; }
    }, 4000);
    by("news").addEventListener("click", () => location.reload());
  }

  async function start() {
    let data;
    try { data = await Source.graph(); } catch (error) { note.textContent = error.message; return; }
    memory = new Memory(data);
    by("where").textContent = data.namespace; document.title = `${data.namespace} – fluxmem`;
    panel = new Panel(by("panel"), memory, { select, clear, go: (position) => timeline.go(position) });
    drawing = new Drawing(by("map"), memory, { select, hover });
    timeline = new Timeline(memory, { moved: (touched) => { drawing.changed(); if (touched.length) drawing.pulse(touched); legend(); } });
    note.textContent = memory.count ? "" : "Nothing has been remembered here yet.";
    legend(); panel.overview();
    by("search").addEventListener("submit", (event) => { event.preventDefault(); const found = memory.search(by("q").value); if (found.length) { by("q").blur(); select(found[0], true); lit = found; at = 0; } });
    by("q").addEventListener("input", () => search(by("q").value));
    by("recall").addEventListener("submit", (event) => { event.preventDefault(); recall(by("r").value); });
    by("asked").append(...Source.asked.map((query) => make("option", { value: query })));
    by("mode").addEventListener("click", arrange); by("fit").addEventListener("click", () => drawing.fit());
    by("theme").addEventListener("click", KEYS.d); by("help").addEventListener("click", KEYS["?"]);
    document.addEventListener("keydown", key);
    watch();
    window.fluxmem = { memory, drawing, timeline, lit: () => drawing.lit ? [...drawing.lit] : [] };
    document.documentElement.dataset.ready = "yes";
    requestAnimationFrame(() => requestAnimationFrame(() => performance.mark("drawn")));
    if (Source.asked.length) { by("r").value = Source.asked[0]; recall(Source.asked[0]); }
  }
  start();
})();
