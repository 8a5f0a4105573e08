/* What stands beside the graph. Every text is put in as text: nothing stored is ever read as markup. */
const make = (tag, said = {}, ...inner) => {
  const one = document.createElement(tag);
  for (const [name, value] of Object.entries(said)) {
    if (name === "class") one.className = value;
    else if (name.startsWith("on")) one.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) one.setAttribute(name, value);
  }
  one.append(...inner.flat(Infinity).filter((part) => part !== null && part !== undefined && part !== ""));
  return one;
};
const number = (value) => Number(value).toLocaleString("en", { maximumFractionDigits: 3 });
const moment = (at) => new Date(at * 1000).toLocaleString(undefined, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const counted = (sums) => [["progress", "for"], ["failure", "against"], ["loss", "ended badly"], ["successes", "worked"], ["failures", "did not"]]
  .filter(([name]) => sums[name]).map(([name, said]) => said + " " + number(sums[name])).join(", ");
const NAMES = { fact: ["fact", "Facts"], episode: ["episode", "Episodes"], recall: ["judged recall", "Judged recalls"], skill: ["skill", "Skills"], topic: ["topic", "Topics"] };

class Panel {
  constructor(place, memory, told) { this.place = place; this.memory = memory; this.told = told; }
  show(...parts) { this.place.replaceChildren(...parts.flat(Infinity).filter(Boolean)); this.place.scrollTop = 0; }
  dot(layer) { return make("span", { class: "dot " + layer, "aria-hidden": "true" }); }
  layer(node) { return this.memory.layers[this.memory.nodes.layer[node]]; }
  head(layer, said) {
    return make("div", { class: "row" }, make("span", { class: "badge" }, this.dot(layer), make("span", {}, said)),
      make("button", { class: "close", type: "button", "aria-label": "Close", onclick: () => this.told.clear() }, "Esc"));
  }
  /* A line that leads to a node, where it is in the picture. */
  pick(id, text, end, layer) {
    const node = this.memory.number.get(nodeOf(id));
    const inner = [this.dot(node === undefined ? layer || "recall" : this.layer(node)), make("span", { class: "grow" }, text || id), end ? make("span", { class: "num" }, end) : null];
    return node === undefined ? make("div", { class: "pick" }, inner) : make("button", { class: "pick", type: "button", onclick: () => this.told.select(node, true) }, inner);
  }
  pairs(rows) {
    const kept = rows.filter(([, value]) => value !== null && value !== undefined && value !== "");
    return kept.length ? make("dl", {}, kept.map(([name, value]) => [make("dt", {}, name), make("dd", {}, typeof value === "object" && !(value instanceof Node) ? JSON.stringify(value) : value)])) : null;
  }
  spark(values) {
    const svg = (tag, said) => { const one = document.createElementNS("http://www.w3.org/2000/svg", tag); Object.entries(said).forEach(([name, value]) => one.setAttribute(name, value)); return one; };
    const whole = svg("svg", { class: "spark", viewBox: "0 0 92 26", role: "img", "aria-label": "PEMS by round: " + values.map(number).join(", ") });
    const high = Math.max(...values, 1e-9), low = Math.min(...values) * 0.8, at = (value, place) => [values.length < 2 ? 88 : 4 + 84 * place / (values.length - 1), 22 - 18 * (value - low) / Math.max(high - low, 1e-9)];
    if (values.length > 1) whole.append(svg("path", { d: values.map((value, place) => (place ? "L" : "M") + at(value, place).map((x) => x.toFixed(1)).join(" ")).join("") }));
    const [x, y] = at(values[values.length - 1], values.length - 1);
    whole.append(svg("circle", { cx: x, cy: y, r: 2.6 }));
    return whole;
  }
  /* ------------------------------------------------------------------------------------------------------------- overview */
  overview() {
    const { data } = this.memory, skills = [...data.skills].sort((a, b) => (a.status !== "mature") - (b.status !== "mature") || (b.pems.at(-1) || 0) - (a.pems.at(-1) || 0));
    const parts = [make("h2", {}, "Memory of " + data.namespace), make("p", { class: "soft" }, `${number(this.memory.count)} things drawn` + (data.total > this.memory.count ? ` of ${number(data.total)}: those with most evidence and links` : "") + `, ${number(this.memory.edges.from.length)} links, ${number(data.operations.id.length)} operations.`)];
    parts.push(make("p", { class: "soft" }, "A larger dot has more evidence; a heavier line more learned weight. Hollow: it failed, or was demoted."));
    if (skills.length) parts.push(make("h3", {}, "Skills, with PEMS over time"));
    for (const skill of skills) {
      parts.push(make("button", { class: "pick", type: "button", onclick: () => this.told.select(skill.node, true) }, make("span", { class: "grow" }, skill.name, make("br"),
        make("span", { class: "num" }, skill.status + (skill.successes || skill.failures ? `, worked ${number(skill.successes)} of ${number(skill.successes + skill.failures)}` : ""))),
      skill.pems.length ? this.spark(skill.pems) : null, make("span", { class: "num" }, skill.pems.length ? skill.pems.at(-1).toFixed(3) : "")));
    }
    const topics = [...data.nodes.layer.keys()].filter((node) => this.layer(node) === "topic");
    if (topics.length) parts.push(make("h3", {}, "Topics"), topics.map((node) => this.pick(data.nodes.id[node], data.nodes.title[node], number(this.memory.ties[node].length))));
    this.show(parts);
  }
  found(text, nodes) {
    const parts = [this.head("fact", "search"), make("h2", {}, nodes.length ? `${number(nodes.length)} with “${text}”` : `Nothing here has “${text}”`)];
    parts.push(nodes.slice(0, 60).map((node) => this.pick(this.memory.nodes.id[node], this.memory.nodes.title[node])));
    if (nodes.length > 60) parts.push(make("p", { class: "soft" }, `and ${number(nodes.length - 60)} more, lit in the graph`));
    this.show(parts);
  }
  failed(error) { this.show(this.head("bad", "refused"), make("p", {}, error.message)); }
  waiting(text) { this.show(make("p", { class: "soft" }, text)); }
  /* ----------------------------------------------------------------------------------------------------------------- node */
  drawn(node) {
    const { nodes, edges } = this.memory, layer = this.layer(node);
    const ties = this.memory.ties[node].filter((edge) => this.memory.edgeThere[edge]).sort((a, b) => Math.abs(this.memory.weight[b]) - Math.abs(this.memory.weight[a]));
    const lines = ties.slice(0, 40).map((edge) => {
      const other = edges.from[edge] === node ? edges.to[edge] : edges.from[edge];
      return this.pick(nodes.id[other], nodes.title[other], edges.kind[edge] + " " + this.memory.weight[edge].toFixed(2));
    });
    return [this.head(layer, NAMES[layer][0] + (nodes.mark[node] ? ", " + nodes.mark[node] : "")), layer === "topic" ? make("h2", {}, nodes.title[node]) : make("p", { class: "text" }, nodes.title[node]),
      nodes.evidence[node] ? this.pairs([["evidence", number(nodes.evidence[node])]]) : null, lines.length ? make("h3", {}, `Links (${ties.length})`) : null, lines].filter(Boolean);
  }
  node(found, node) {
    const short = found.kind === "skill" || found.kind === "episode";
    const layer = node < 0 ? "recall" : this.layer(node);
    const parts = [this.head(layer, NAMES[layer][0] + (found.state === "current" ? "" : ", " + found.state)), short ? make("h2", {}, found.title) : make("p", { class: "text" }, found.content || found.title)];
    if (found.kind === "skill") parts.push(make("p", { class: "text" }, found.content));
    parts.push(this.pairs([...Object.entries(found.details).filter(([name]) => name !== "id" && name !== "when"), ["source", found.source], ["speaker", found.speaker], ["created", moment(found.created_at)],
      ...Object.entries(found.origin).filter(([, value]) => value), ["evidence", counted(found.evidence)], ["id", make("code", {}, found.id)]]));
    if (found.pems.length) parts.push(make("h3", {}, "PEMS by round"), make("div", { class: "row" }, this.spark(found.pems), make("span", { class: "num" }, found.pems.map((value) => value.toFixed(3)).join("  "))));
    if (found.steps.length) parts.push(make("h3", {}, "Steps"), make("table", {}, found.steps.map((step) => make("tr", {}, make("td", {}, String(step.ordinal + 1)), make("td", {}, step.action || step.result), make("td", { class: "num" }, counted(step))))));
    if (found.versions.length > 1) parts.push(make("h3", {}, `Versions (${found.versions.length})`), found.versions.map((one) => make("div", { class: "reason" }, make("div", { class: "row" }, make("span", {}, one.state), make("span", { class: "num" }, moment(one.at))), one.text && one.state !== "current" ? make("p", { class: "text soft" }, one.text) : null)));
    if (found.ties.length) parts.push(make("h3", {}, `Links (${found.ties_total})`), found.ties.map((tie) => this.pick(tie.other, tie.text || tie.other, (tie.incoming ? "← " : "→ ") + tie.kind + " " + tie.weight.toFixed(2))));
    if (found.proofs.length) parts.push(make("h3", {}, `Evidence (${found.proofs_total})`), this.proofs(found.proofs));
    parts.push(make("h3", {}, "What happened to it"), make("table", {}, found.changes.map((one) => make("tr", {}, make("td", {}, make("button", { class: "close", type: "button", title: "Go to this moment", onclick: () => this.told.go(one.position) }, "#" + one.position)), make("td", {}, one.verb + ": " + one.did.join(", ") + (one.counts ? "" : " (undone)"))))));
    if (found.dependents.length) parts.push(make("p", { class: "soft" }, `Undoing what wrote it takes along ${found.dependents.length} operations.`));
    this.show(parts.filter(Boolean));
  }
  proofs(rows) {
    return make("table", {}, rows.map((row) => make("tr", {}, make("td", {}, (row.weight > 0 ? "+" : "") + number(row.weight)), make("td", {}, { progress: "for", failure: "against", loss: "ended badly" }[row.channel] + (row.counts ? "" : ", does not count"), row.task ? make("div", { class: "soft" }, row.task) : null),
      make("td", {}, make("button", { class: "close", type: "button", title: moment(row.at), onclick: () => this.told.go(row.position) }, row.verb + " #" + row.position)))));
  }
  /* --------------------------------------------------------------------------------------------------------------- recall */
  recalled(found, past) {
    const facts = found.reasons.filter((one) => one.what === "fact"), fresh = facts.filter((one) => one.without === null).length, moved = facts.filter((one) => one.without !== null && one.without !== one.rank).length;
    const said = [fresh ? `${fresh} of ${facts.length} facts came by what was learned` : "", moved ? `${moved} changed rank` : "", found.missed.length ? `${found.missed.length} would have come instead` : ""].filter(Boolean).join(", ");
    const parts = [this.head("skill", past ? `recall as of #${found.position}` : "recall"), make("h2", {}, found.query), make("p", { class: "callout" }, (said || "Learning changed nothing in the order of the facts") + ".")];
    if (found.fast) parts.push(make("p", {}, "A mature skill answered without a search."));
    const shifted = found.moved.filter((one) => Math.abs(one.in_force - one.configured) >= 0.005);
    if (shifted.length) parts.push(make("p", { class: "soft" }, `Weights moved by ${found.judged} judged recalls: ` + shifted.map((one) => `${one.signal} ${one.configured.toFixed(2)} → ${one.in_force.toFixed(2)}`).join(", ")));
    for (const [what, title] of [["skill", "Skills"], ["fact", "Facts"], ["step", "Steps"], ["episode", "Episodes"]]) {
      const these = found.reasons.filter((one) => one.what === what);
      if (these.length) parts.push(make("h3", {}, title), these.map((one) => this.reason(one)));
    }
    if (found.missed.length) parts.push(make("h3", {}, "Without learning these would have come instead"), found.missed.map((one) => this.pick(one.id, one.text, "rank " + one.rank, "fact")));
    if (!found.reasons.length) parts.push(make("p", {}, "Nothing comes to mind."));
    this.show(parts);
  }
  reason(one) {
    const learned = new Set(this.memory.data.learned), shares = Object.entries(one.signals).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1])), whole = Math.max(1, shares.reduce((sum, [, share]) => sum + Math.abs(share), 0));
    const bar = make("div", { class: "bar", "aria-hidden": "true" });
    shares.forEach(([name, share]) => { const part = make("i", { class: share < 0 ? "against" : learned.has(name) ? "learned" : "", title: `${name} ${share.toFixed(3)}` }); part.style.width = (100 * Math.abs(share)) / whole + "%"; bar.append(part); });
    const table = make("table", {}, shares.map(([name, share]) => make("tr", {}, make("td", {}, (share > 0 ? "+" : "") + share.toFixed(3)), make("td", {}, name), make("td", { class: "soft" }, this.memory.data.meaning[name] || ""))));
    const links = one.links.map((link) => make("div", {}, this.pick(link.episode, link.task, `alike ${link.likeness.toFixed(2)}, ${counted({ progress: link.gained, failure: link.against })}`, "episode"), this.proofs(link.proofs)));
    const rank = one.what === "fact" || one.what === "episode" ? (one.without === null ? "only by learning" : one.without === one.rank ? "" : `without learning rank ${one.without}`) : counted(one.counts);
    return make("div", { class: "reason" }, this.pick(one.id, one.text, one.score.toFixed(3), one.what), bar, rank ? make("div", { class: "soft" }, rank) : null,
      make("details", {}, make("summary", {}, "why" + (one.links_total ? `: ${one.links_total} past ${one.links_total === 1 ? "task speaks" : "tasks speak"} of it` : "")), table, one.path.filter((part) => part !== one.id).map((part) => this.memory.number.has(nodeOf(part)) ? this.pick(part, this.memory.nodes.title[this.memory.number.get(nodeOf(part))], "by way of") : make("div", { class: "soft" }, part)), links, one.proofs.length ? this.proofs(one.proofs) : null));
  }
}
