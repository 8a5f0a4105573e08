"""The picture of one namespace that a page draws: nodes with their places, edges with their weights, and when each was there.

Beside the stored edges it has ``SERVED``, evidence on a link that no edge was stored for (its weight is what speaks for it less what speaks
against it, and so may be below 0), and ``PART_OF``, from a topic to its facts, which is computed.

It holds what stands in that namespace and nothing else: an edge whose other end stands elsewhere is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from langgraph_fluxmem.anchors import anchors_of
from langgraph_fluxmem.explaining.node import text_of, title_of
from langgraph_fluxmem.explaining.telling import LEARNED, MEANING
from langgraph_fluxmem.graph import MemoryGraph, vertex_of
from langgraph_fluxmem.ledger.history import Timeline, VersionRow
from langgraph_fluxmem.ledger.rows import NodeRow
from langgraph_fluxmem.links import node_of
from langgraph_fluxmem.memory import FluxMem
from langgraph_fluxmem.schema import Namespace
from langgraph_fluxmem.skills import Skill
from langgraph_fluxmem.topics import members
from langgraph_fluxmem.viewing.layout import layout
from langgraph_fluxmem.viewing.spans import END, Span, Times, balance, joined, toggles, weights

LAYERS = ("fact", "episode", "recall", "skill", "topic")
"""``recall``: a query whose recall was judged, which is a task that facts have served."""
TITLE = 140
"""Characters of a node's text that the page has without asking."""
LIMIT = 5_000
"""Nodes drawn, at most."""
TOPICS = 24
OPERATIONS = 20_000
"""Operations on the slider, at most: the newest."""
_KINDS = {"fact": "fact", "item": "fact", "note": "fact", "skill": "skill"}
_NOTED = "u-"
"""Nodes of judged recalls and of later judgements; those that no link names are left out, since what they say is in the evidence."""
Picture = dict[str, Any]


def picture(mem: FluxMem, namespace: Namespace, *, limit: int = LIMIT, topics: int = TOPICS, text: int = TITLE) -> Picture:
    """The picture as JSON-able lists, one for each column; nodes are numbered by their place in them.

    Of more than `limit` nodes it has all skills and topics, then those with the most evidence and edges, then the newest; `text` characters of each.
    """
    ledger = mem.engine.ledger
    timeline = ledger.timeline(namespace)
    drawing = _Drawing(mem, namespace, timeline)
    chosen = drawing.choose(limit)
    rows = ledger.load(namespace, [drawing.shown[node].id for node in chosen])
    nodes = [
        _Node(node, drawing.shown[node], row, drawing.layer(node), drawing.spans[node])
        for node in chosen
        if (row := drawing.row(rows, node))
    ]
    topic_nodes, topic_edges = _topics(mem, namespace, nodes, topics)
    every = [*nodes, *topic_nodes]
    numbers = {one.node: at for at, one in enumerate(every)}
    edges = [*drawing.edges(numbers), *(_Edge(numbers[topic], numbers[fact], "PART_OF", [], [(0, 0.3)]) for topic, fact in topic_edges)]
    places = _places(mem, namespace, every, edges)
    operations = list(reversed(ledger.operations(namespace, limit=OPERATIONS)))
    return {
        "namespace": ".".join(namespace),
        "memory": mem.id,
        "head": ledger.head(namespace),
        "layers": LAYERS,
        "meaning": dict(MEANING),
        "learned": sorted(LEARNED),
        "total": len(drawing.spans),
        "nodes": {
            "id": [one.id for one in every],
            "layer": [LAYERS.index(one.layer) for one in every],
            "title": [one.title(text) for one in every],
            "mark": [one.mark for one in every],
            "x": np.round(places[:, 0], 1).tolist(),
            "y": np.round(places[:, 1], 1).tolist(),
            "on": [toggles(one.spans) for one in every],
            "versions": [drawing.written.get(one.node, []) for one in every],
            "evidence": [round(drawing.amount.get(one.node, 0.0), 2) for one in every],
        },
        "edges": {
            "from": [edge.src for edge in edges],
            "to": [edge.dst for edge in edges],
            "kind": [edge.kind for edge in edges],
            "on": [toggles(edge.spans) for edge in edges],
            "weights": [[(at, round(weight, 4)) for at, weight in edge.weights] for edge in edges],
        },
        "operations": {
            "position": [row.position for row in operations],
            "kind": [row.kind for row in operations],
            "at": [row.at for row in operations],
            "edits": [row.edits for row in operations],
            "undone": [int(row.undone) for row in operations],
            "id": [row.id for row in operations],
        },
        "skills": [_skill(one, numbers[one.node], drawing) for one in nodes if one.layer == "skill"],
    }


@dataclass(slots=True)
class _Node:
    node: str
    version: VersionRow | None
    row: NodeRow | None
    layer: str
    spans: list[Span]
    label: str = ""

    @property
    def id(self) -> str:
        return self.version.id if self.version is not None else self.node

    @property
    def mark(self) -> str:
        """An episode's outcome, a skill's status."""
        body = (self.row.body if self.row is not None else None) or {}
        return str(body.get({"episode": "outcome", "recall": "outcome", "skill": "status"}.get(self.layer, ""), ""))

    def title(self, most: int) -> str:
        if self.row is None:
            return self.label
        text = title_of(self.row) if most <= TITLE or self.layer not in ("fact", "skill") else text_of(self.row)
        return text if len(text) <= most else text[: most - 1] + "…"


@dataclass(slots=True)
class _Edge:
    src: int
    dst: int
    kind: str
    spans: list[Span]
    weights: list[tuple[int, float]]


@dataclass(slots=True)
class _Drawing:
    """What a timeline amounts to, before it is known which nodes are drawn."""

    mem: FluxMem
    namespace: Namespace
    timeline: Timeline
    times: Times = field(init=False)
    spans: dict[str, list[Span]] = field(init=False)
    """Node -> when it is there; nodes that never say anything readable are left out."""
    shown: dict[str, VersionRow] = field(init=False)
    """Node -> the version whose text is shown: the one that counts now, else the last that can be read."""
    written: dict[str, list[int]] = field(init=False)
    """Node -> positions at which later versions of it were written."""
    amount: dict[str, float] = field(init=False)
    """Node -> evidence that counts now, of all channels."""
    proofs: dict[tuple[str, str], list[tuple[list[Span], bool, float]]] = field(init=False)
    """Link between two nodes -> (when it counts, whether it speaks for the link, weight) of each row of evidence on it."""

    def __post_init__(self) -> None:
        self.times = Times(self.timeline)
        self.proofs = {}
        for row in self.timeline.evidence:
            if ">" in row.target:
                src, _, dst = row.target.partition(">")
                self.proofs.setdefault((_drawn(src), _drawn(dst)), []).append(
                    (self.times.counting(row), row.channel == "progress", row.weight)
                )
        tied = {node for pair in self.proofs for node in pair}
        versions: dict[str, list[VersionRow]] = {}
        for version in self.timeline.versions:
            if version.kind not in ("mark", "quarantine") and (version.node in tied or not version.node.startswith(_NOTED)):
                versions.setdefault(version.node, []).append(version)
        self.spans, self.shown, self.written, self.amount = {}, {}, {}, {}
        for node, found in versions.items():
            readable = [version for version in found if version.readable]
            spans = self.times.present(found)
            if not readable or not spans:
                continue
            self.spans[node] = spans
            counting = [version for version in readable if self.times.live(version.op)[-1:] and self.times.live(version.op)[-1][1] == END]
            self.shown[node] = (counting or readable)[-1]
            if len(found) > 1:
                self.written[node] = [version.op for version in found[1:]]
        for row in self.timeline.evidence:
            if any(end == END for _, end in self.times.counting(row)):
                for end in row.target.partition("#")[0].split(">"):
                    node = node_of(end)
                    self.amount[node] = self.amount.get(node, 0.0) + abs(row.weight)

    def layer(self, node: str) -> str:
        kind = self.shown[node].kind
        return _KINDS.get(kind) or ("episode" if node.startswith("e-") else "recall")

    def choose(self, limit: int) -> list[str]:
        """The nodes to draw, in log order."""
        if len(self.spans) <= limit:
            return list(self.spans)
        ties: dict[str, int] = {}
        for edge in self.timeline.edges:
            for end in (edge.src, edge.dst):
                ties[node_of(end.partition("#")[0])] = ties.get(node_of(end.partition("#")[0]), 0) + 1

        def worth(node: str) -> tuple[bool, bool, float, int]:
            there = self.spans[node][-1][1] == END
            return (self.shown[node].kind != "skill", not there, -(self.amount.get(node, 0.0) + ties.get(node, 0)), -self.spans[node][0][0])

        kept = set(sorted(self.spans, key=worth)[:limit])
        return [node for node in self.spans if node in kept]

    def row(self, rows: Mapping[str, NodeRow], node: str) -> NodeRow | None:
        row = rows.get(self.shown[node].id)
        return row if row is not None and row.body is not None else None

    def edges(self, numbers: Mapping[str, int]) -> list[_Edge]:
        """Stored edges between nodes that are drawn, steps standing for their episodes."""
        graph = MemoryGraph(self.namespace, half_life=self.mem.config.half_life)
        graph.catch_up(self.mem.engine.ledger)
        made: dict[tuple[str, str, str], tuple[list[Span], list[tuple[int, float]], float]] = {}
        for edge in self.timeline.edges:
            src, dst = _drawn(edge.src), _drawn(edge.dst)
            if src != dst and src in numbers and dst in numbers:
                spans, stored, learned = made.setdefault((edge.kind, src, dst), ([], [], 0.0))
                spans += self.times.live(edge.op)
                stored.append((edge.op, edge.weight))
                made[edge.kind, src, dst] = spans, stored, max(learned, graph.weight(edge.src, edge.dst, edge.kind))
        stored_edges = [
            _Edge(numbers[src], numbers[dst], kind, joined(spans), weights(stored, self.proofs.get((src, dst), ()), learned))
            for (kind, src, dst), (spans, stored, learned) in made.items()
            if spans
        ]
        related = {(src, dst) for kind, src, dst in made if kind == "RELATES"}
        return stored_edges + [
            _Edge(numbers[src], numbers[dst], "SERVED", joined(span for spans, _, _ in rows for span in spans), balance(rows))
            for (src, dst), rows in self.proofs.items()
            if src != dst and (src, dst) not in related and src in numbers and dst in numbers and any(spans for spans, _, _ in rows)
        ]


def _drawn(version: str) -> str:
    return vertex_of(version).partition("#")[0]


def _topics(mem: FluxMem, namespace: Namespace, nodes: Sequence[_Node], most: int) -> tuple[list[_Node], list[tuple[str, str]]]:
    """Topics as nodes, each there from its second fact on, and (topic, fact) pairs."""
    named = mem.topics(namespace=namespace, limit=most) if most else []
    if not named:
        return [], []
    view = mem.engine.projections.view(namespace, (), mem.engine.ledger.head(namespace))
    held = members(anchors_of(view))
    known = {one.node: one for one in nodes if one.layer == "fact"}
    found: list[_Node] = []
    pairs: list[tuple[str, str]] = []
    for number, topic in enumerate(named):
        facts = [node for row in held.get(number, []) if (node := node_of(view.ids[row])) in known]
        if len(facts) > 1:
            name = f"topic {number}"
            begins = sorted(known[node].spans[0][0] for node in facts)[1]
            found.append(_Node(name, None, None, "topic", [(begins, END)], topic.label))
            pairs += [(name, node) for node in facts]
    return found, pairs


def _places(mem: FluxMem, namespace: Namespace, nodes: Sequence[_Node], edges: Sequence[_Edge]) -> Any:
    hashes = [one.row.texts[0].hash if one.row is not None and one.row.texts else "" for one in nodes]
    vectors = mem.engine.ledger.vectors(namespace, sorted({hash_ for hash_ in hashes if hash_}))
    width = max((len(vector) for vector in vectors.values()), default=1)
    matrix = np.zeros((len(nodes), width), np.float32)
    known = np.zeros(len(nodes), bool)
    for at, hash_ in enumerate(hashes):
        if hash_ in vectors:
            matrix[at], known[at] = vectors[hash_], True
    ends = np.array([(edge.src, edge.dst) for edge in edges], np.int64).reshape(-1, 2)
    return layout(matrix, known, ends, np.array([edge.weights[-1][1] if edge.weights else 1.0 for edge in edges]))


def _skill(one: _Node, number: int, drawing: _Drawing) -> dict[str, Any]:
    assert one.row is not None
    assert one.row.body is not None
    skill = Skill.of(one.row.body)
    return {
        "node": number,
        "name": skill.name,
        "when": skill.when,
        "status": skill.status,
        "pems": list(skill.history),
        "steps": list(skill.lines()),
        "pitfalls": list(skill.pitfalls),
        "successes": skill.trials.successes,
        "failures": skill.trials.failures,
        "written": [one.spans[0][0], *drawing.written.get(one.node, [])],
    }
