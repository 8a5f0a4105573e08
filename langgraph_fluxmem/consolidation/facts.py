"""The care of facts: what repeats another fact and what completes one is linked to it, what serves several kinds of task is split [F 3.3, M].

Nothing is taken away: a fact that repeats an older one supersedes it by an edge, and both are recalled as they were remembered. A split
writes a new version of the fact, verbatim, that is also found by its parts. Items of a store are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from langgraph_fluxmem.consolidation.means import Means
from langgraph_fluxmem.episodes import digest
from langgraph_fluxmem.operators.protocol import Relate
from langgraph_fluxmem.operators.rules import RuleOperators
from langgraph_fluxmem.requests import Call, EmbedFor, LearnedOf, Load, Stage, Views
from langgraph_fluxmem.schema import EdgeWrite, NodeWrite, Text, Write
from langgraph_fluxmem.text import content_hash

if TYPE_CHECKING:
    from langgraph_fluxmem.index.view import NamespaceView
    from langgraph_fluxmem.learned import Learned
    from langgraph_fluxmem.ledger.rows import NodeRow

NEAR = 4
"""Neighbours that a new fact is compared with."""
REDUNDANT, COMPLEMENTARY = 0.7, 0.5
"""MemFly's gate: from here a fact repeats its neighbour; else, from here, it completes it."""
ALIKE = 0.5
"""Facts whose embeddings are less alike than this (cosine) are not compared."""
MOST = 2000
"""New facts looked at by one consolidation: the latest."""
OVERLOADED = 300
"""Characters of a fact from which it may be split, when it has served tasks that are not alike."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclass(slots=True)
class Care:
    """What is to be written for the facts, and how much of what it is."""

    looked_at: int = 0
    redundant: int = 0
    linked: int = 0
    split: int = 0
    writes: list[Write] = field(default_factory=list[Write])


def tend(means: Means, since: int, position: int, hidden: tuple[str, ...], operation: str) -> Stage:
    """Look at the facts written after position `since`, up to `position`, and at those that were used since. Returns `Care`."""
    care = Care()
    namespace = means.namespace
    rows: list[NodeRow] = yield Call(lambda engine: engine.ledger.nodes(namespace, after=since, kinds=("fact",)))
    new = [row for row in rows if row.op <= position and row.commit not in hidden and row.texts][-MOST:]
    care.looked_at = len(new)
    if new:
        yield from _gate(means, new, hidden, care)
    yield from _split(means, since, hidden, operation, care)
    return care


def _gate(means: Means, new: Sequence[NodeRow], hidden: tuple[str, ...], care: Care) -> Stage:
    (view,) = yield Views((means.namespace,), hidden)
    vectors = yield Call(lambda engine: engine.ledger.vectors(means.namespace, [row.texts[0].hash for row in new]))
    near: dict[str, list[str]] = {}
    for row in new:
        vector = vectors.get(row.texts[0].hash)
        if vector is not None:
            near[row.id] = _older(view, row, vector)
    others: dict[str, NodeRow] = yield Load(means.namespace, tuple(dict.fromkeys(id for found in near.values() for id in found)))  # noqa: A001
    rules = RuleOperators()
    for row in new:
        facts = [
            others[other]
            for other in near.get(row.id, ())
            if other in others and others[other].kind == "fact" and others[other].body is not None
        ]
        if not facts:
            continue
        relations = rules.judge(Relate(_content(row), tuple(map(_content, facts)))).value.relations
        for other, relation in zip(facts, relations, strict=True):
            if relation.redundancy >= REDUNDANT:
                care.writes.append(EdgeWrite("SUPERSEDES", row.id, other.id, relation.redundancy))
                care.redundant += 1
            elif relation.complementarity >= COMPLEMENTARY:
                care.writes.append(EdgeWrite("RELATES", row.id, other.id, relation.complementarity))
                care.linked += 1


def _older(view: NamespaceView, row: NodeRow, vector: np.ndarray) -> list[str]:
    """Ids of the nearest facts that are older, so that each pair is looked at once and edges never run in a circle."""
    found = view.dense_top(vector, NEAR + 1)
    cosine = view.dense_at(vector, found)
    return [
        view.ids[int(at)]
        for at, alike in zip(found, cosine, strict=True)
        if alike >= ALIKE and (int(view.ops[at]), view.ids[int(at)]) < (row.op, row.id)
    ][:NEAR]


def _split(means: Means, since: int, hidden: tuple[str, ...], operation: str, care: Care) -> Stage:
    """Give facts that served tasks which are not alike their parts as further texts."""
    evidence = yield Call(lambda engine: engine.ledger.evidence(means.namespace, after=since))
    used = {row.target.partition(">")[0] for row in evidence if ">" in row.target and row.channel == "progress"}
    if not used:
        return
    learned: Learned = yield LearnedOf(means.namespace, hidden)
    loaded: dict[str, NodeRow] = yield Load(means.namespace, tuple(sorted(used)))
    candidates = [
        row
        for row in loaded.values()
        if row.kind == "fact" and row.body is not None and len(row.texts) == 1 and len(_content(row)) > OVERLOADED
    ]
    served = _tasks_served(learned) if candidates else {}
    current: dict[str, NodeRow] = yield Call(lambda engine: engine.ledger.current(means.namespace, [row.node for row in candidates]))
    for row in candidates:
        parts = [part.strip() for part in _SENTENCE.split(_content(row)) if part.strip()]
        if len(parts) < 2 or not _differ(served.get(row.node, ())) or current.get(row.node, row).id != row.id:
            continue
        texts = [(content_hash(part), part) for part in parts]
        new, _ = yield EmbedFor(means.namespace, tuple(texts))
        version = f"{row.node}:{digest(operation, row.node)[:8]}"
        more = tuple(Text(f"part.{number}", hash_) for number, (hash_, _) in enumerate(texts))
        care.writes += (
            NodeWrite(version, row.node, "fact", row.body, (*row.texts, *more), row.key, row.source, row.position, row.speaker),
            EdgeWrite("SUPERSEDES", version, row.id),
            *new.values(),
        )
        care.split += 1


def _tasks_served(learned: Learned) -> dict[str, list[np.ndarray]]:
    """Fact node -> vectors of the tasks it helped with."""
    nodes, matrix = learned.links.tasks()
    row_of = {node: number for number, node in enumerate(nodes)}
    found: dict[str, list[np.ndarray]] = {}
    for (episode, fact), (good, _) in learned.links.counts().items():
        if good > 0 and episode in row_of:
            found.setdefault(fact, []).append(matrix[row_of[episode]])
    return found


def _differ(vectors: Sequence[np.ndarray]) -> bool:
    """Whether any two tasks are not alike."""
    if len(vectors) < 2:
        return False
    matrix = np.stack(vectors)
    return bool((matrix @ matrix.T).min() < ALIKE)


def _content(row: NodeRow) -> str:
    return str((row.body or {}).get("content", ""))
