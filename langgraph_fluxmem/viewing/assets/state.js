/* Where the data comes from (the server, or the file itself), and what is known of each node and edge. */
const Source = (() => {
  "use strict";
  const held = document.getElementById("data");
  const embedded = held ? JSON.parse(held.textContent) : null;
  let token = "";
  if (!embedded) {
    const given = new URLSearchParams(location.hash.slice(1)).get("token");
    if (given) { sessionStorage.setItem("fluxmem", given); history.replaceState(null, "", location.pathname + location.search); }
    token = given || sessionStorage.getItem("fluxmem") || "";
  }
  async function ask(path, query) {
    const answer = await fetch(path + (query ? "?" + new URLSearchParams(query) : ""), { headers: { Authorization: "Bearer " + token }, cache: "no-store" });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.error || answer.statusText);
    return told;
  }
  return {
    alone: Boolean(embedded),
    asked: embedded ? Object.keys(embedded.recalls) : [],
    graph: async () => embedded ? embedded.graph : ask("/api/graph"),
    head: async () => ask("/api/head"),
    node: async (id) => embedded ? embedded.explained[id] || null : ask("/api/node", { id }),
    async recall(query, at) {
      if (!embedded) return ask("/api/recall", { q: query, k: 10, ...(at === null ? {} : { at }) });
      const found = embedded.recalls[query];
      if (!found) throw new Error("This file holds no answer to that; it has: " + (Object.keys(embedded.recalls).join(" | ") || "none"));
      return found;
    },
  };
})();

const nodeOf = (id) => { const version = id.split("#")[0], cut = version.lastIndexOf(":"); return cut < 0 ? version : version.slice(0, cut); };

class Memory {
  constructor(data) {
    this.data = data;
    this.nodes = data.nodes;
    this.edges = data.edges;
    this.count = data.nodes.id.length;
    this.layers = data.layers;
    this.operations = data.operations;
    this.number = new Map(data.nodes.id.map((id, at) => [nodeOf(id), at]));
    this.there = new Uint8Array(this.count);
    this.edgeThere = new Uint8Array(data.edges.from.length);
    this.weight = new Float32Array(data.edges.from.length);
    this.ties = Array.from({ length: this.count }, () => []);
    data.edges.from.forEach((from, edge) => { this.ties[from].push(edge); this.ties[data.edges.to[edge]].push(edge); });
    /* A fact that grounds an episode is related to it as well: one line is drawn for both. */
    const related = new Set(data.edges.kind.flatMap((kind, edge) => kind === "RELATES" ? [data.edges.from[edge] + ">" + data.edges.to[edge]] : []));
    this.twin = data.edges.kind.map((kind, edge) => kind === "GROUNDS" && related.has(data.edges.from[edge] + ">" + data.edges.to[edge]));
    this.touched = new Map();
    const touch = (at, kind, what) => { if (!this.touched.has(at)) this.touched.set(at, { nodes: [], edges: [] }); this.touched.get(at)[kind].push(what); };
    data.nodes.on.forEach((marks, node) => { marks.forEach((at) => touch(at, "nodes", node)); data.nodes.versions[node].forEach((at) => touch(at, "nodes", node)); });
    data.edges.weights.forEach((steps, edge) => steps.forEach(([at]) => touch(at, "edges", edge)));
    this.haystack = data.nodes.title.map((title) => title.toLocaleLowerCase());
    this.at(data.head);
  }
  /* What is there, and how strong, at a position of the log. */
  at(position) {
    this.position = position;
    const odd = (marks) => { let many = 0; while (many < marks.length && marks[many] <= position) many++; return many & 1; };
    for (let node = 0; node < this.count; node++) this.there[node] = odd(this.nodes.on[node]);
    const { from, to, on, weights, kind } = this.edges;
    for (let edge = 0; edge < from.length; edge++) {
      const computed = kind[edge] === "PART_OF";
      this.edgeThere[edge] = this.there[from[edge]] && this.there[to[edge]] && (computed || odd(on[edge])) ? 1 : 0;
      let weight = 0;
      for (const [at, value] of weights[edge]) { if (at > position) break; weight = value; }
      this.weight[edge] = weight;
    }
  }
  counts() {
    const found = this.layers.map(() => 0);
    for (let node = 0; node < this.count; node++) if (this.there[node]) found[this.nodes.layer[node]]++;
    return found;
  }
  search(text) {
    const words = text.toLocaleLowerCase().split(/\s+/).filter(Boolean), found = [];
    if (words.length) for (let node = 0; node < this.count; node++) if (this.there[node] && words.every((word) => this.haystack[node].includes(word))) found.push(node);
    return found;
  }
  beside(node) {
    const found = new Set([node]);
    for (const edge of this.ties[node]) if (this.edgeThere[edge]) { found.add(this.edges.from[edge]); found.add(this.edges.to[edge]); }
    return found;
  }
  hollow(node) { return ["failure", "demoted", "retired"].includes(this.nodes.mark[node]); }
}
