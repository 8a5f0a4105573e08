"""The memory graph of one namespace (networkx): stored edges, what evidence has taught about them, and walks over both.

Vertices are nodes: all versions of a node are one vertex, so that edges outlive a rewriting [F 3.2, reshaping keeps established edges]. A
step keeps its ordinal (``episode#3``). Computed relations (NEXT, PART_OF, MENTIONS) are not in here.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

import networkx as nx

from langgraph_fluxmem.decay import Uses
from langgraph_fluxmem.index.follower import changes_after
from langgraph_fluxmem.ledger.rows import begins_anew
from langgraph_fluxmem.links import node_of
from langgraph_fluxmem.schema import FORGET, RESET, Channel, EdgeKind, Namespace

if TYPE_CHECKING:
    from langgraph_fluxmem.ledger import Ledger
    from langgraph_fluxmem.ledger.rows import EdgeRow, EvidenceRow

CHANNELS: tuple[Channel, ...] = get_args(Channel)
KINDS: tuple[EdgeKind, ...] = get_args(EdgeKind)
_FORWARD = frozenset({"GROUNDS", "DISTILLS", "RELATES", "LEADS"})
_BACKWARD = frozenset({"GROUNDS", "DISTILLS", "RELATES", "SUPERSEDES"})
"""A walk follows these kinds against their direction: from what was superseded it goes on to what came instead, never back."""

_ANEW = frozenset({RESET, FORGET})
"""Verbs that take back what was written before them."""

_DECAYS = frozenset({"RELATES"})
"""Kinds of learned links; the others say what came of what, which does not fade."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Sums of weights per channel."""

    progress: float = 0.0
    failure: float = 0.0
    loss: float = 0.0

    @property
    def factor(self) -> float:
        """What evidence makes of a weight: the mean of Beta(1 + progress, 1 + failure + loss) over its prior mean, in (0, 2)."""
        return 2.0 * (1.0 + self.progress) / (2.0 + self.progress + self.failure + self.loss)


_NO_EVIDENCE = Evidence()


@dataclass(frozen=True, slots=True)
class Spread:
    """Activation of each vertex reached, and through which neighbour most of it came."""

    scores: dict[str, float] = field(default_factory=dict[str, float])
    parents: dict[str, str] = field(default_factory=dict[str, str])

    def path(self, vertex: str) -> tuple[str, ...]:
        """From a seed to `vertex`, both included."""
        out = [vertex]
        while (parent := self.parents.get(out[-1])) is not None and parent not in out:
            out.append(parent)
        return tuple(reversed(out))


def vertex_of(version: str) -> str:
    """The vertex of a version id (``node:digest``) or step id (``node:digest#3``); a node id is its own."""
    head, mark, ordinal = version.partition("#")
    return node_of(head) + mark + ordinal


class MemoryGraph:
    """Stored edges of a namespace with their learned weights, without what the `hidden` commits wrote. Safe to share by threads."""

    def __init__(self, namespace: Namespace, hidden: Collection[str] = (), *, half_life: int = 0) -> None:
        self.namespace = namespace
        self.hidden = frozenset(hidden)
        self.position = 0
        """Log position followed to."""
        self.commits: set[str] = set()
        """Commits that wrote something in here, hidden ones included."""
        self._graph: Any = nx.MultiDiGraph()
        self._evidence: dict[str, list[float]] = {}
        self._uses = Uses(half_life)
        self._loaded = False
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"MemoryGraph({'/'.join(self.namespace)!r}, {len(self._graph)} vertices, {self._graph.number_of_edges()} edges, position {self.position})"

    # ------------------------------------------------------------------------------------------------------------------- following
    def catch_up(self, ledger: Ledger) -> None:
        """Follow the log to its head; only what is new is read, unless something was undone."""
        head = ledger.head(self.namespace)
        with self._lock:
            if self._loaded and head <= self.position:
                return
            after = self.position
            if self._loaded and any(
                change.kind in _ANEW or begins_anew(change, after) for change in changes_after(ledger, after, self.namespace)
            ):
                self.clear()
                after = 0
            edges = [row for row in ledger.edges(self.namespace, after=after) if row.op <= head]
            evidence = [row for row in ledger.evidence(self.namespace, after=after) if row.op <= head]
            self.add_edges(edges)
            self.add_evidence(evidence)
            self.position, self._loaded = head, True

    def clear(self) -> None:
        """Forget everything; the next `catch_up` reads it all again."""
        with self._lock:
            self._graph.clear()
            self._evidence.clear()
            self._uses.clear()
            self.commits.clear()
            self.position, self._loaded = 0, False

    def add_edges(self, rows: Iterable[EdgeRow]) -> None:
        """Add stored edges; of two writes of the same edge the later one's weight counts."""
        with self._lock:
            for row in rows:
                if row.commit is not None:
                    self.commits.add(row.commit)
                    if row.commit in self.hidden:
                        continue
                src, dst = vertex_of(row.src), vertex_of(row.dst)
                if src == dst:
                    continue
                if row.kind in _DECAYS:
                    self._uses.use(f"{src}>{dst}", row.op)
                held = self._graph.get_edge_data(src, dst, row.kind)
                if held is None or held["op"] <= row.op:
                    self._graph.add_edge(src, dst, row.kind, weight=row.weight, op=row.op)

    def add_evidence(self, rows: Iterable[EvidenceRow]) -> None:
        """Add evidence rows to their targets' sums."""
        with self._lock:
            for row in rows:
                if row.commit is not None:
                    self.commits.add(row.commit)
                    if row.commit in self.hidden:
                        continue
                target = _target(row.target)
                if ">" in target:
                    self._uses.use(target, row.op)
                sums = self._evidence.setdefault(target, [0.0] * len(CHANNELS))
                sums[CHANNELS.index(row.channel)] += row.weight

    # --------------------------------------------------------------------------------------------------------------------- reading
    def __len__(self) -> int:
        return len(self._graph)

    def __contains__(self, version: object) -> bool:
        return isinstance(version, str) and vertex_of(version) in self._graph

    def evidence(self, target: str) -> Evidence:
        """What was learned about a node, a step, or an edge ``src>dst``."""
        sums = self._evidence.get(_target(target))
        return _NO_EVIDENCE if sums is None else Evidence(*sums)

    def weight(self, src: str, dst: str, kind: EdgeKind) -> float:
        """Learned weight of an edge: the stored one times `Evidence.factor`, decayed when it relates; 0 when there is no such edge."""
        src, dst = vertex_of(src), vertex_of(dst)
        with self._lock:
            data = self._graph.get_edge_data(src, dst, kind)
            return 0.0 if data is None else data["weight"] * self._learned(f"{src}>{dst}", kind)

    def edges(self) -> list[tuple[str, str, EdgeKind, float]]:
        """Every edge as (src, dst, kind, stored weight)."""
        with self._lock:
            return [(src, dst, kind, data["weight"]) for src, dst, kind, data in self._graph.edges(keys=True, data=True)]

    def targets(self) -> dict[str, Evidence]:
        """Every target that has evidence."""
        with self._lock:
            return {target: Evidence(*sums) for target, sums in self._evidence.items()}

    def neighbours(self, version: str, kinds: Collection[EdgeKind] = KINDS) -> dict[str, float]:
        """Vertices one step of a walk away, with the sum of the learned weights that lead there."""
        out: dict[str, float] = {}
        with self._lock:
            for vertex, weight in self._steps(vertex_of(version), frozenset(kinds)):
                out[vertex] = out.get(vertex, 0.0) + weight
        return out

    def neighbourhood(
        self, seeds: Iterable[str], *, hops: int = 2, kinds: Collection[EdgeKind] = KINDS, limit: int = 10_000
    ) -> dict[str, int]:
        """Vertices within `hops` steps of the seeds that are in the graph, with their distance; nearest first, at most `limit`."""
        wanted = frozenset(kinds)
        with self._lock:
            found = {vertex: 0 for vertex in map(vertex_of, seeds) if vertex in self._graph}
            ring = list(found)
            for distance in range(1, hops + 1):
                outer: list[str] = []
                for vertex in ring:
                    for neighbour, _ in self._steps(vertex, wanted):
                        if neighbour not in found:
                            if len(found) >= limit:
                                return found
                            found[neighbour] = distance
                            outer.append(neighbour)
                ring = outer
        return found

    def subgraph(self, seeds: Iterable[str], *, hops: int = 2, kinds: Collection[EdgeKind] = KINDS) -> nx.MultiDiGraph[str]:
        """A copy of the part around the seeds; edges carry ``weight`` (stored), ``learned`` and ``op``."""
        with self._lock:
            part: nx.MultiDiGraph[str] = self._graph.subgraph(self.neighbourhood(seeds, hops=hops, kinds=kinds)).copy()
            for src, dst, kind, data in part.edges(keys=True, data=True):
                data["learned"] = data["weight"] * self._learned(f"{src}>{dst}", kind)
        return part

    def spread(
        self, seeds: Mapping[str, float], *, hops: int = 2, decay: float = 0.5, kinds: Collection[EdgeKind] = KINDS, floor: float = 1e-4
    ) -> Spread:
        """Spreading activation (Collins and Loftus 1975): each hop hands on `decay` of a vertex's activation, shared by learned weight.

        Scores add up over hops, seeds included; activation below `floor` is not handed on.
        """
        wanted = frozenset(kinds)
        scores: dict[str, float] = {}
        parents: dict[str, str] = {}
        strongest: dict[str, float] = {}
        with self._lock:
            wave: dict[str, float] = {}
            for version, amount in seeds.items():
                vertex = vertex_of(version)
                if vertex in self._graph and amount > 0:
                    wave[vertex] = wave.get(vertex, 0.0) + amount
            origins = set(wave)
            scores.update(wave)
            for _ in range(hops):
                following: dict[str, float] = {}
                for vertex, amount in wave.items():
                    if amount < floor:
                        continue
                    steps = list(self._steps(vertex, wanted))
                    total = sum(weight for _, weight in steps)
                    for neighbour, weight in steps:
                        handed = decay * amount * weight / total if total else 0.0
                        if handed <= 0.0:
                            continue
                        following[neighbour] = following.get(neighbour, 0.0) + handed
                        if neighbour not in origins and handed > strongest.get(neighbour, 0.0):
                            strongest[neighbour] = handed
                            parents[neighbour] = vertex
                for vertex, amount in following.items():
                    scores[vertex] = scores.get(vertex, 0.0) + amount
                wave = following
        return Spread(scores, parents)

    def pagerank(
        self,
        seeds: Mapping[str, float],
        *,
        alpha: float = 0.15,
        epsilon: float = 1e-4,
        kinds: Collection[EdgeKind] = KINDS,
        max_pushes: int = 20_000,
    ) -> dict[str, float]:
        """Personalised PageRank by forward push (Andersen, Chung and Lang 2006) from weighted seeds; the scores sum to at most 1.

        A vertex of degree d is pushed while its residue is at least epsilon * d, at most `max_pushes` times in all.
        """
        wanted = frozenset(kinds)
        with self._lock:
            start: dict[str, float] = {}
            for version, amount in seeds.items():
                vertex = vertex_of(version)
                if vertex in self._graph and amount > 0:
                    start[vertex] = start.get(vertex, 0.0) + amount
            total = sum(start.values())
            residue = {vertex: amount / total for vertex, amount in start.items()}
            scores: dict[str, float] = {}
            queue = deque(residue)
            queued = set(residue)
            for _ in range(max_pushes):
                if not queue:
                    break
                vertex = queue.popleft()
                queued.discard(vertex)
                steps = [(neighbour, weight) for neighbour, weight in self._steps(vertex, wanted) if weight > 0.0]
                amount = residue[vertex]
                if amount < epsilon * max(1, len(steps)):
                    continue
                residue[vertex] = 0.0
                weights = sum(weight for _, weight in steps)
                if not weights:
                    scores[vertex] = scores.get(vertex, 0.0) + amount
                    continue
                scores[vertex] = scores.get(vertex, 0.0) + alpha * amount
                for neighbour, weight in steps:
                    residue[neighbour] = residue.get(neighbour, 0.0) + (1.0 - alpha) * amount * weight / weights
                    if neighbour not in queued:
                        queue.append(neighbour)
                        queued.add(neighbour)
        return scores

    # ------------------------------------------------------------------------------------------------------------------- invariants
    def check(self) -> list[str]:
        """One line for each thing that cannot be: unknown kinds, weights that are negative or not finite, circles of SUPERSEDES."""
        where = "/".join(self.namespace)
        lines: list[str] = []
        with self._lock:
            older: nx.DiGraph[str] = nx.DiGraph()
            for src, dst, kind, data in self._graph.edges(keys=True, data=True):
                if kind not in KINDS:
                    lines.append(f"graph {where}: edge {src} -> {dst} has kind {kind!r}; expected one of {', '.join(KINDS)}")
                if not math.isfinite(data["weight"]) or data["weight"] < 0:
                    lines.append(f"graph {where}: {kind} {src} -> {dst} weighs {data['weight']}; expected a finite weight of at least 0")
                if kind == "SUPERSEDES":
                    older.add_edge(src, dst)
            lines += [
                f"graph {where}: {' and '.join(sorted(circle))} supersede each other"
                for circle in nx.strongly_connected_components(older)
                if len(circle) > 1
            ]
            lines += [
                f"graph {where}: evidence on {target} sums to {sums}; expected finite sums of at least 0"
                for target, sums in self._evidence.items()
                if any(not math.isfinite(value) or value < 0 for value in sums)
            ]
        return sorted(lines)

    def differences(self, truth: MemoryGraph) -> list[str]:
        """One line for each edge, weight or sum that differs from a graph read afresh from the ledger."""
        where = "/".join(self.namespace)
        lines: list[str] = []
        mine, theirs = ({(src, dst, kind): weight for src, dst, kind, weight in graph.edges()} for graph in (self, truth))
        for edge in sorted(mine.keys() | theirs.keys()):
            name = f"graph {where}: {edge[2]} {edge[0]} -> {edge[1]}"
            if edge not in mine:
                lines.append(f"{name} is missing; the ledger has it with weight {theirs[edge]}")
            elif edge not in theirs:
                lines.append(f"{name} is not in the ledger")
            elif mine[edge] != theirs[edge]:
                lines.append(f"{name} weighs {mine[edge]}; the ledger says {theirs[edge]}")
        sums, expected = self.targets(), truth.targets()
        for target in sorted(sums.keys() | expected.keys()):
            found, wanted = sums.get(target, _NO_EVIDENCE), expected.get(target, _NO_EVIDENCE)
            if any(not math.isclose(getattr(found, channel), getattr(wanted, channel), abs_tol=1e-9) for channel in CHANNELS):
                lines.append(f"graph {where}: evidence on {target} is {found}; the ledger says {wanted}")
        return lines

    # --------------------------------------------------------------------------------------------------------------------- walking
    def _steps(self, vertex: str, kinds: frozenset[EdgeKind]) -> Iterator[tuple[str, float]]:
        if vertex not in self._graph:
            return
        yield from self._along(vertex, self._graph.succ[vertex], kinds & _FORWARD, forward=True)
        yield from self._along(vertex, self._graph.pred[vertex], kinds & _BACKWARD, forward=False)

    def _along(
        self, vertex: str, adjacent: Mapping[str, Mapping[str, Any]], kinds: frozenset[str], *, forward: bool
    ) -> Iterator[tuple[str, float]]:
        for neighbour, edges in adjacent.items():
            link = f"{vertex}>{neighbour}" if forward else f"{neighbour}>{vertex}"
            weight = sum(data["weight"] * self._learned(link, kind) for kind, data in edges.items() if kind in kinds and data["weight"] > 0)
            if weight > 0.0:
                yield neighbour, weight

    def _learned(self, link: str, kind: str) -> float:
        """What evidence, and time without use, make of an edge's weight."""
        sums = self._evidence.get(link)
        factor = 1.0 if sums is None else Evidence(*sums).factor
        return factor * self._uses.left(link) if kind in _DECAYS else factor


def _target(target: str) -> str:
    """The key of an evidence target: vertices instead of versions."""
    src, mark, dst = target.partition(">")
    return vertex_of(src) + mark + (vertex_of(dst) if mark else "")
