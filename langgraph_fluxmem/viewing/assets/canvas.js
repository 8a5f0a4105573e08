/* The graph on a canvas, in a few batches. Where there is much of it, a drag moves the last drawing, which is made anew when the hand rests:
   what a drawing costs is mostly the browser's work after it, which a script cannot time, so it goes by how much there is. */
const MARGIN = 40, LEGEND = 200, MUCH = 1200, LINES = 3000, LABELS = 70;

class Drawing {
  constructor(canvas, memory, told) {
    this.canvas = canvas; this.memory = memory; this.told = told;
    this.pen = canvas.getContext("2d");
    this.kept = document.createElement("canvas");
    this.transform = d3.zoomIdentity;
    this.shown = new Set(memory.layers.map((_, layer) => layer));
    this.lit = null; this.paths = null; this.selected = -1; this.hovered = -1; this.pulses = new Map();
    this.layered = false; this.blend = 0; this.cost = 0; this.frames = [];
    this.map = memory.nodes.x.map((x, node) => [x, memory.nodes.y[node]]);
    this.xs = Float32Array.from(memory.nodes.x); this.ys = Float32Array.from(memory.nodes.y);
    this.radius = memory.nodes.evidence.map((amount, node) => [2.6, 3.4, 2.6, 7, 6][memory.nodes.layer[node]] + Math.min(5, 1.1 * Math.log1p(amount)));
    this.thin = Math.max(0.72, Math.min(1, Math.sqrt(1600 / Math.max(1, this.xs.length))));
    this.zoom = d3.zoom().scaleExtent([0.05, 12]).on("zoom", (event) => { this.transform = event.transform; this.moving = Boolean(event.sourceEvent); this.ask(); })
      .on("end", () => { this.moving = false; this.ask(); });
    d3.select(canvas).call(this.zoom).on("dblclick.zoom", null);
    canvas.addEventListener("pointermove", (event) => this.over(event));
    canvas.addEventListener("pointerleave", () => this.hover(-1));
    canvas.addEventListener("click", (event) => { if (!event.defaultPrevented) told.select(this.nearest(event)); });
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.look();
  }
  layersOf() {
    /* By layer: topics above, then skills, episodes, recalls and facts; within a band as on the map, spread evenly. */
    const { layer, x, y } = this.memory.nodes, order = [4, 3, 1, 2, 0], filled = order.filter((one) => layer.includes(one)), places = new Array(layer.length);
    const room = this.wide ? Math.min(2600, Math.max(1100, 2600 * (this.tall - 2 * MARGIN) / (this.wide - MARGIN - this.left))) : 1800;
    const sizes = filled.map((one) => Math.sqrt(layer.filter((other) => other === one).length)), least = 0.11 * sizes.reduce((sum, one) => sum + one, 0);
    const heights = sizes.map((size) => Math.max(size, least)), whole = heights.reduce((sum, one) => sum + one, 0);
    let top = -room / 2;
    filled.forEach((one, at) => {
      const members = [...layer.keys()].filter((node) => layer[node] === one).sort((a, b) => x[a] - x[b]);
      const tall = room * heights[at] / whole, rows = Math.max(1, Math.round(Math.sqrt(members.length * (tall - 60) / 2600)));
      const columns = Math.ceil(members.length / rows);
      for (let column = 0; column < columns; column++) {
        const stack = members.slice(column * rows, (column + 1) * rows).sort((a, b) => y[a] - y[b]);
        stack.forEach((node, row) => { places[node] = [-1300 + 2600 * (column + 0.5) / columns, top + 30 + (tall - 60) * (row + 0.5) / stack.length]; });
      }
      top += tall;
    });
    return places;
  }
  look() {
    const style = getComputedStyle(document.documentElement), of = (name) => style.getPropertyValue("--" + name).trim();
    this.colours = this.memory.layers.map(of);
    this.ink = of("ink"); this.ground = of("ground"); this.edge = of("edge"); this.bad = of("bad"); this.glow = of("lit"); this.skill = of("skill"); this.soft = of("soft");
    this.font = "12px " + getComputedStyle(document.body).fontFamily;
    this.ask();
  }
  resize() {
    const ratio = Math.min(2, devicePixelRatio || 1), { clientWidth: wide, clientHeight: tall } = this.canvas;
    if (!wide || !tall) return;
    this.ratio = ratio; this.wide = wide; this.tall = tall; this.left = wide > 700 ? LEGEND : MARGIN;
    this.keptAt = this.drawnAt = null;
    for (const canvas of [this.canvas, this.kept]) { canvas.width = Math.round(wide * ratio); canvas.height = Math.round(tall * ratio); }
    if (!this.fitted) { this.fitted = true; this.fit(false); }
    this.draw();
  }
  /* ------------------------------------------------------------------------------------------------------------------ moving */
  fit(slowly = true, nodes = null) {
    let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let node = 0; node < this.xs.length; node++) {
      if (nodes ? !nodes.has(node) : !this.visible(node)) continue;
      const [x, y] = this.target(node);
      left = Math.min(left, x); right = Math.max(right, x); top = Math.min(top, y); bottom = Math.max(bottom, y);
    }
    if (left > right) return;
    const scale = Math.min(nodes ? 2.4 : 1.6, (this.wide - MARGIN - this.left) / Math.max(right - left, 40), (this.tall - 2 * MARGIN) / Math.max(bottom - top, 40));
    this.go(d3.zoomIdentity.translate((this.left + this.wide - MARGIN) / 2, this.tall / 2).scale(scale).translate(-(left + right) / 2, -(top + bottom) / 2), slowly);
  }
  go(transform, slowly = true) {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const one = d3.select(this.canvas);
    if (slowly && !still) one.transition().duration(260).call(this.zoom.transform, transform); else one.call(this.zoom.transform, transform);
  }
  by(x, y) { d3.select(this.canvas).call(this.zoom.translateBy, x / this.transform.k, y / this.transform.k); }
  closer(factor) { d3.select(this.canvas).call(this.zoom.scaleBy, factor); }
  target(node) { return this.layered ? this.bands[node] : this.map[node]; }
  arrange(layered) {
    this.layered = layered; this.bands = this.layersOf();
    const from = [this.xs.slice(), this.ys.slice()], begin = performance.now(), still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const step = (now) => {
      const part = still ? 1 : Math.min(1, (now - begin) / 420), ease = 1 - (1 - part) ** 3;
      for (let node = 0; node < this.xs.length; node++) { const [x, y] = this.target(node); this.xs[node] = from[0][node] + (x - from[0][node]) * ease; this.ys[node] = from[1][node] + (y - from[1][node]) * ease; }
      this.tree = null; this.draw();
      if (part < 1) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
    this.fit();
  }
  /* ----------------------------------------------------------------------------------------------------------------- pointing */
  visible(node) { return this.memory.there[node] && this.shown.has(this.memory.nodes.layer[node]); }
  nearest(event) {
    if (!this.tree) {
      const nodes = [];
      for (let node = 0; node < this.xs.length; node++) if (this.visible(node)) nodes.push(node);
      this.tree = d3.quadtree(nodes, (node) => this.xs[node], (node) => this.ys[node]);
    }
    const box = this.canvas.getBoundingClientRect(), [x, y] = this.transform.invert([event.clientX - box.left, event.clientY - box.top]);
    const found = this.tree.find(x, y, 14 / this.transform.k);
    return found === undefined ? -1 : found;
  }
  over(event) {
    if (event.buttons) return this.hover(-1);
    this.hover(this.nearest(event), event);
  }
  hover(node, event) {
    if (node !== this.hovered) { this.hovered = node; this.canvas.classList.toggle("over", node >= 0); this.ask(); }
    this.told.hover(node, event);
  }
  /* ------------------------------------------------------------------------------------------------------------------ drawing */
  changed() { this.tree = null; this.ask(); }
  ask() { if (!this.asked) { this.asked = true; requestAnimationFrame(() => { this.asked = false; this.frame(); }); } }
  frame() {
    if (!this.wide) return;
    if (this.moving && this.much && this.drawnAt) {
      if (!this.keptAt) { this.kept.getContext("2d").drawImage(this.canvas, 0, 0); this.keptAt = this.drawnAt; }
      const { pen, ratio } = this, scale = this.transform.k / this.keptAt.k;
      pen.setTransform(1, 0, 0, 1, 0, 0); pen.fillStyle = this.ground; pen.fillRect(0, 0, this.canvas.width, this.canvas.height);
      pen.drawImage(this.kept, (this.transform.x - this.keptAt.x * scale) * ratio, (this.transform.y - this.keptAt.y * scale) * ratio, this.canvas.width * scale, this.canvas.height * scale);
      clearTimeout(this.later); this.later = setTimeout(() => this.draw(), 110);
      return;
    }
    this.draw();
  }
  draw() {
    if (!this.wide) return;
    clearTimeout(this.later);
    const begin = performance.now(), { pen, ratio, transform } = this;
    pen.setTransform(1, 0, 0, 1, 0, 0); pen.globalAlpha = 1; pen.fillStyle = this.ground; pen.fillRect(0, 0, this.canvas.width, this.canvas.height);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const count = this.xs.length, sx = this.sx || (this.sx = new Float32Array(count)), sy = this.sy || (this.sy = new Float32Array(count)), inside = this.inside || (this.inside = new Uint8Array(count));
    for (let node = 0; node < count; node++) {
      sx[node] = this.xs[node] * transform.k + transform.x; sy[node] = this.ys[node] * transform.k + transform.y;
      inside[node] = this.visible(node) && sx[node] > -20 && sy[node] > -20 && sx[node] < this.wide + 20 && sy[node] < this.tall + 20 ? 1 : 0;
    }
    this.scale = Math.max(0.55, Math.min(2.2, Math.sqrt(transform.k / 0.55))) * this.thin;
    this.drawEdges(); this.drawNodes(); this.drawMarks(); this.drawLabels();
    this.cost = performance.now() - begin;
    this.much = this.many + count > MUCH; this.drawnAt = transform; this.keptAt = null;
    if (this.pulses.size) this.ask();
  }
  /* Pixels of a node's radius; of a few that are lit each can be seen. */
  size(node) { const plain = this.radius[node] * this.scale; return this.lit && this.lit.size <= 60 && this.lit.has(node) ? Math.max(4, plain * 1.25) : plain; }
  drawEdges() {
    const { pen, memory, sx, sy, inside, lit, paths } = this, { from, to, kind } = memory.edges, bins = new Map();
    let wanted = [];
    for (let edge = 0; edge < from.length; edge++) {
      if (!memory.edgeThere[edge] || memory.twin[edge]) continue;
      const a = from[edge], b = to[edge];
      if (!(inside[a] || inside[b]) || !this.visible(a) || !this.visible(b)) continue;
      const on = paths ? paths.has(edge) : lit ? lit.has(a) && lit.has(b) && (a === this.selected || b === this.selected || this.selected < 0) : false;
      if (kind[edge] === "PART_OF" && !on) continue;
      wanted.push([on ? Infinity : Math.abs(memory.weight[edge]), edge, on]);
    }
    if (wanted.length > LINES) wanted = wanted.sort((a, b) => b[0] - a[0]).slice(0, LINES);
    const many = this.many = wanted.length;
    for (const [, edge, on] of wanted) {
      const weight = memory.weight[edge], strong = Math.min(3, Math.floor(Math.abs(weight) * 2));
      const key = (on ? 16 : lit ? 8 : 0) + (weight < 0 ? 4 : 0) + (kind[edge] === "PART_OF" ? 0 : strong);
      if (!bins.has(key)) bins.set(key, []);
      bins.get(key).push(edge);
    }
    const fade = Math.min(1, Math.max(0.22, Math.sqrt(700 / Math.max(1, many)))); /* many lines together must not drown the nodes */
    for (const key of [...bins.keys()].sort((a, b) => a - b)) {
      const strong = key & 3;
      pen.beginPath();
      for (const edge of bins.get(key)) { pen.moveTo(sx[from[edge]], sy[from[edge]]); pen.lineTo(sx[to[edge]], sy[to[edge]]); }
      pen.strokeStyle = key & 4 ? this.bad : key & 16 ? this.skill : this.edge;
      pen.globalAlpha = key & 16 ? 0.9 : (key & 8 ? 0.06 : [0.16, 0.28, 0.42, 0.6][strong]) * fade;
      pen.lineWidth = key & 16 ? 1.2 + 0.5 * strong : [0.6, 0.8, 1.1, 1.6][strong];
      pen.stroke();
    }
    pen.globalAlpha = 1;
  }
  drawNodes() {
    const { pen, memory, sx, sy, inside, lit } = this, { layer } = memory.nodes, bins = new Map();
    for (let node = 0; node < sx.length; node++) {
      if (!inside[node]) continue;
      const key = (lit && !lit.has(node) ? 0 : 32) + 2 * layer[node] + (memory.hollow(node) ? 1 : 0);
      if (!bins.has(key)) bins.set(key, []);
      bins.get(key).push(node);
    }
    for (const key of [...bins.keys()].sort((a, b) => a - b)) {
      const colour = this.colours[(key & 31) >> 1], hollow = key & 1;
      pen.beginPath();
      for (const node of bins.get(key)) { const r = this.size(node); pen.moveTo(sx[node] + r, sy[node]); pen.arc(sx[node], sy[node], r, 0, 6.2832); }
      pen.globalAlpha = key & 32 ? 1 : 0.13;
      if (hollow) { pen.fillStyle = this.ground; pen.fill(); pen.strokeStyle = colour; pen.lineWidth = 1.5; pen.stroke(); } else { pen.fillStyle = colour; pen.fill(); }
    }
    pen.globalAlpha = 1;
  }
  drawMarks() {
    const { pen, sx, sy } = this, now = performance.now();
    const ring = (node, colour, wide, gap, alpha) => { pen.beginPath(); pen.arc(sx[node], sy[node], this.size(node) + gap, 0, 6.2832); pen.strokeStyle = colour; pen.lineWidth = wide; pen.globalAlpha = alpha; pen.stroke(); };
    for (const [node, until] of this.pulses) {
      const left = (until - now) / 700;
      if (left <= 0) this.pulses.delete(node); else ring(node, this.skill, 2, 2 + 12 * (1 - left), left);
    }
    if (this.selected >= 0 && this.visible(this.selected)) ring(this.selected, this.glow, 2, 3, 1);
    if (this.hovered >= 0 && this.hovered !== this.selected && this.visible(this.hovered)) ring(this.hovered, this.glow, 1.5, 2.5, 0.7);
    pen.globalAlpha = 1;
  }
  drawLabels() {
    const { pen, memory, sx, sy, inside, lit, transform } = this, { layer, title } = memory.nodes, wanted = [];
    for (let node = 0; node < sx.length; node++) {
      if (!inside[node]) continue;
      const marked = node === this.selected || node === this.hovered, great = layer[node] >= 3;
      if (marked || (lit ? lit.has(node) && (lit.size <= 60 || great) : great || transform.k > 2.4)) wanted.push([marked ? 9 : great ? 5 : this.radius[node] / 10, node]);
    }
    wanted.sort((a, b) => b[0] - a[0]);
    const taken = []; let drawn = 0;
    pen.font = this.font; pen.textBaseline = "middle"; pen.lineJoin = "round";
    for (const [rank, node] of wanted) {
      if (drawn >= LABELS) break;
      const text = title[node].length > 42 ? title[node].slice(0, 41) + "…" : title[node], wide = pen.measureText(text).width;
      const beside = this.size(node) + 5, y = sy[node];
      const x = sx[node] + beside + wide > this.wide - 4 ? Math.max(4, sx[node] - beside - wide) : sx[node] + beside, box = [x - 2, y - 8, x + wide + 2, y + 8];
      if (rank < 9 && taken.some((other) => box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1])) continue;
      taken.push(box); drawn++;
      pen.strokeStyle = this.ground; pen.lineWidth = 3.5; pen.globalAlpha = 0.9; pen.strokeText(text, x, y);
      pen.globalAlpha = 1; pen.fillStyle = this.ink; pen.fillText(text, x, y);
    }
  }
  pulse(nodes) { const until = performance.now() + 700; nodes.slice(0, 120).forEach((node) => this.pulses.set(node, until)); this.ask(); }
}
