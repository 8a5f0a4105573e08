/* The edit log as a line: where on it the graph is shown, and the playing of it. */
const VERBS = { remember: "fact", put: "fact", commit: "episode", learn: "recall", consolidate: "skill", undo: "bad", forget: "bad", expire: "bad", reset_learning: "bad" };
const SHORT = { fact: "fact", episode: "episode", recall: "recall", skill: "skill" };
const PLAYED = 24_000, TICK = 40;

class Timeline {
  constructor(memory, told) {
    this.memory = memory; this.told = told;
    this.slider = document.getElementById("slider"); this.strip = document.getElementById("strip"); this.button = document.getElementById("play"); this.said = document.getElementById("moment");
    this.last = memory.operations.position.length;
    this.slider.max = this.last; this.slider.value = this.last; this.value = this.last;
    this.slider.addEventListener("input", () => { this.stop(); this.set(Number(this.slider.value)); });
    this.button.addEventListener("click", () => this.play());
    new ResizeObserver(() => this.draw()).observe(this.strip);
    this.tell();
  }
  position(value = this.value) { return value >= this.last ? this.memory.data.head : value > 0 ? this.memory.operations.position[value - 1] : this.last ? this.memory.operations.position[0] - 1 : 0; }
  set(value) {
    const before = this.value;
    this.value = Math.max(0, Math.min(this.last, value));
    this.slider.value = this.value;
    this.memory.at(this.position());
    const touched = new Set();
    if (this.value > before) for (let at = before; at < this.value; at++) {
      const found = this.memory.touched.get(this.memory.operations.position[at]);
      if (found) { found.nodes.forEach((node) => touched.add(node)); found.edges.forEach((edge) => { touched.add(this.memory.edges.from[edge]); touched.add(this.memory.edges.to[edge]); }); }
    }
    this.tell();
    this.told.moved([...touched].filter((node) => this.memory.there[node]));
  }
  go(position) {
    const at = this.memory.operations.position.indexOf(position);
    if (at >= 0) { this.stop(); this.set(at + 1); }
  }
  tell() {
    const { operations } = this.memory, at = this.value - 1, counts = this.memory.counts();
    const sums = this.memory.layers.map((layer, number_) => counts[number_] && layer !== "topic" ? `${number(counts[number_])} ${counts[number_] === 1 ? SHORT[layer] : SHORT[layer] + "s"}` : "").filter(Boolean).join(", ");
    const verb = at < 0 ? "before anything" : operations.kind[at].replace(/_/g, " ");
    const rest = at < 0 ? "" : ` #${operations.position[at]}, ${moment(operations.at[at])}${operations.undone[at] ? ", undone later" : ""}`;
    this.said.replaceChildren(make("div", {}, make("b", {}, this.value === this.last ? "now: " + verb : verb), rest), make("div", { class: "soft" }, sums || "empty"));
    this.slider.setAttribute("aria-valuetext", verb + rest);
    this.draw();
  }
  play() {
    if (this.timer) return this.stop();
    if (this.value >= this.last) this.set(0);
    const wait = Math.max(TICK, Math.min(450, PLAYED / Math.max(1, this.last))), stride = Math.max(1, Math.round((this.last * wait) / PLAYED));
    this.button.textContent = "❚❚"; this.button.setAttribute("aria-label", "Pause");
    this.timer = setInterval(() => { this.set(this.value + stride); if (this.value >= this.last) this.stop(); }, wait);
  }
  stop() { clearInterval(this.timer); this.timer = null; this.button.textContent = "▶"; this.button.setAttribute("aria-label", "Play"); }
  draw() {
    const { strip } = this, ratio = Math.min(2, devicePixelRatio || 1), wide = strip.clientWidth, tall = strip.clientHeight, { operations } = this.memory;
    if (!wide) return;
    if (strip.width !== Math.round(wide * ratio)) { strip.width = Math.round(wide * ratio); strip.height = Math.round(tall * ratio); }
    const pen = strip.getContext("2d"), style = getComputedStyle(document.documentElement), colour = (name) => style.getPropertyValue("--" + name).trim();
    pen.setTransform(ratio, 0, 0, ratio, 0, 0); pen.clearRect(0, 0, wide, tall);
    const bins = Math.max(1, Math.min(this.last, Math.floor((wide - 16) / 3))), sums = Array.from({ length: bins }, () => new Map());
    operations.kind.forEach((kind, at) => { const bin = sums[Math.floor((at * bins) / this.last)], name = VERBS[kind] || "recall"; bin.set(name, (bin.get(name) || 0) + Math.log1p(operations.edits[at])); });
    const high = Math.max(1e-9, ...sums.map((bin) => [...bin.values()].reduce((sum, part) => sum + part, 0))), each = (wide - 16) / bins;
    sums.forEach((bin, at) => {
      let y = tall;
      for (const [name, part] of bin) {
        const h = Math.max(1.5, ((tall - 2) * part) / high);
        pen.fillStyle = colour(name); pen.globalAlpha = (at * this.last) / bins < this.value ? 0.85 : 0.22;
        pen.fillRect(8 + at * each, y - h, Math.max(1, each - 0.8), h); y -= h;
      }
    });
  }
}
