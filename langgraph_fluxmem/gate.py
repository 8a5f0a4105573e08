"""The gate at ingestion [MemFly]: is a new fact said already (merge), does it complete others (link), or neither (append)?

Each new fact is compared with its nearest facts, those stored and those remembered along with it. Nothing is taken away: all facts stay
verbatim and are recalled as before. A merge writes a note, a node that is not searched, which supersedes the facts that say the same; a link
is an edge ``RELATES``. Both are writes of the operation that remembers, so undoing that takes them back.

A note holds no text: it names the facts whose texts together say everything, each detail once, and is read from them (`Note.text`). So what
is erased of them is not kept here. What was said by another person, or at another time, is never merged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.digests import digest
from langgraph_fluxmem.edits import EdgeWrite, NodeWrite, Write
from langgraph_fluxmem.links import node_of
from langgraph_fluxmem.operators.protocol import Cost, Judgement, Operators, Relate
from langgraph_fluxmem.redundancy import COMPLEMENTARY, DIFFERENT, REDUNDANT, Related, at_odds, distinct, related
from langgraph_fluxmem.requests import Call, Hidden, Judge, Load, Stage, Views
from langgraph_fluxmem.schema import Namespace

if TYPE_CHECKING:
    from langgraph_fluxmem.engine import Engine
    from langgraph_fluxmem.index.view import NamespaceView
    from langgraph_fluxmem.ledger.rows import BodyRow, NodeRow
    from langgraph_fluxmem.operators import schemas

NEAR = 5
"""Facts that a new one is compared with, at most."""
ALIKE = 0.5
"""Cosine below which facts are not compared."""
UNSURE = 0.2
"""Scores of the rules this near to a threshold are left to a model, where there is one."""
_LOOKED_AT = 4 * NEAR
"""Neighbours looked at for `NEAR` that are facts as they were remembered."""
_FACT, NOTES = "f-", "n-"
"""How the nodes of remembered facts, and of notes, begin."""


@dataclass(frozen=True, slots=True)
class Told:
    """A fact as the gate sees it: its version, and what was said by whom and when."""

    version: str
    content: str
    speaker: str | None = None
    time: str | None = None

    @classmethod
    def of(cls, version: str, body: Mapping[str, Any]) -> Told:
        """From what the ledger keeps of it."""
        metadata: Mapping[str, Any] = body.get("metadata") or {}
        speaker, time = (None if (value := metadata.get(key)) is None else str(value) for key in ("speaker", "time"))
        return cls(version, str(body.get("content", "")), speaker, time)


@dataclass(slots=True)
class Passed:
    """What the gate made of new facts: the writes, the notes' versions they rest on, and how many facts were merged and linked."""

    merged: int = 0
    linked: int = 0
    writes: list[Write] = field(default_factory=list[Write])
    expects: dict[str, str | None] = field(default_factory=dict[str, str | None])


@dataclass(frozen=True, slots=True)
class Note:
    """Facts that say the same, all of them in `sources`. `facts` are those of them that together say all of it, and `text` what they say."""

    id: str
    facts: tuple[str, ...]
    text: str
    sources: tuple[str, ...]


def passed(
    new: Sequence[Told], vectors: NDArray[np.float32], namespace: Namespace, operation: str, *, operators: Operators | None, cost: Cost
) -> Stage:
    """Compare new facts, whose embeddings are `vectors` (n, d), with their nearest ones. Returns `Passed`; `cost` is added to.

    Rules decide, and `operators`, if given, where the rules are unsure: never that facts say the same which are at odds
    (`redundancy.at_odds`).
    """
    hidden = tuple(sorted((yield Hidden(namespace))))
    (view,) = yield Views((namespace,), hidden)
    near: list[list[str]] = yield Call(lambda _: neighbours(view, [told.version for told in new], vectors))
    rows: Mapping[str, BodyRow] = yield Load(namespace, tuple(dict.fromkeys(version for found in near for version in found)), brief=True)
    known = {version: Told.of(version, row.body) for version, row in rows.items() if row.kind == "fact" and row.body is not None}
    known |= {told.version: told for told in new}
    pairs = [[known[version] for version in found if version in known] for found in near]
    scored: list[list[Related]] = yield Call(
        lambda _: [[compared(told, other) for other in others] for told, others in zip(new, pairs, strict=True)]
    )
    out = Passed()
    groups: list[list[Told]] = []
    for told, others, by_rules in zip(new, pairs, scored, strict=True):
        scores = by_rules if operators is None else (yield from _judged(told, others, by_rules, operators, cost))
        same = [other for other, score in zip(others, scores, strict=True) if score.redundancy >= REDUNDANT]
        links = [
            (other, score.complementarity)
            for other, score in zip(others, scores, strict=True)
            if score.redundancy < REDUNDANT and score.complementarity >= COMPLEMENTARY
        ]
        out.writes += (EdgeWrite("RELATES", told.version, other.version, weight) for other, weight in links)
        out.merged += bool(same)
        out.linked += bool(links)
        if same:
            _join(groups, [*same, told])
    if groups:
        yield from _merge(groups, namespace, hidden, operation, out)
    return out


def neighbours(view: NamespaceView, versions: Sequence[str], vectors: NDArray[np.float32]) -> list[list[str]]:
    """For each new fact the versions of its at most `NEAR` nearest ones, best first: remembered facts of the view, or new ones before it."""
    found: list[list[str]] = []
    nodes = {node_of(version) for version in versions}
    for at, vector in enumerate(vectors):
        rows = view.dense_top(vector, _LOOKED_AT)
        held: list[tuple[float, str]] = [
            (float(cosine), version)
            for version, cosine in zip(view.ids_of(rows), view.dense_at(vector, rows), strict=True)
            if cosine >= ALIKE and version.startswith(_FACT) and node_of(version) not in nodes
        ]
        alike = vectors[:at] @ vector
        best: list[int] = np.argsort(-alike, kind="stable")[:NEAR].tolist()
        held += [(float(alike[row]), versions[row]) for row in best if alike[row] >= ALIKE]
        found.append([version for _, version in sorted(held, key=lambda one: -one[0])[:NEAR]])
    return found


def compared(told: Told, other: Told) -> Related:
    """What rules say of two facts: not redundant where another person said it, or at another time."""
    score = related(told.content, other.content)
    if (told.speaker, told.time) == (other.speaker, other.time) or score.redundancy < REDUNDANT:
        return score
    return Related(DIFFERENT, max(score.complementarity, DIFFERENT))


def _judged(told: Told, others: Sequence[Told], scores: Sequence[Related], operators: Operators, cost: Cost) -> Stage:
    unsure = [at for at, score in enumerate(scores) if _unsure(score)]
    if not unsure:
        return scores
    judgement: Judgement[schemas.Related] = yield Judge(Relate(told.content, tuple(others[at].content for at in unsure)), operators)
    cost.add(judgement)
    found = list(scores)
    for at, said in zip(unsure, judgement.value.relations, strict=True):
        if judgement.by == "model":
            other = others[at]
            apart = (told.speaker, told.time) != (other.speaker, other.time) or at_odds(told.content, other.content)
            found[at] = Related(min(said.redundancy, DIFFERENT) if apart else said.redundancy, said.complementarity)
    return found


def _unsure(score: Related) -> bool:
    near = abs(score.redundancy - REDUNDANT) <= UNSURE + 1e-9
    return near or (score.redundancy < REDUNDANT and abs(score.complementarity - COMPLEMENTARY) <= UNSURE + 1e-9)


def _join(groups: list[list[Told]], same: Sequence[Told]) -> None:
    """Put facts that say the same into one group, with the groups that hold any of them."""
    versions = {told.version for told in same}
    touched = [group for group in groups if any(told.version in versions for told in group)]
    held = {told.version: told for group in [*touched, list(same)] for told in group}
    groups[:] = [group for group in groups if group not in touched]
    groups.append(list(held.values()))


def _merge(groups: list[list[Told]], namespace: Namespace, hidden: tuple[str, ...], operation: str, out: Passed) -> Stage:
    """Write a note on each group, or a new version of the note that one of its facts has."""
    above: dict[str, list[str]] = yield Call(
        lambda engine: _notes_above(engine, namespace, hidden, [told.version for group in groups for told in group])
    )
    under: dict[str, list[Told]] = {}
    for group in list(groups):
        for told in group:
            for note in above[told.version]:
                under.setdefault(note, []).append(told)
    for same in under.values():
        _join(groups, same)
    current: Mapping[str, NodeRow] = yield Call(lambda engine: engine.ledger.current(namespace, list(under)))
    facts = {node: tuple(map(str, (row.body or {}).get("facts", ()))) for node, row in current.items()}
    bodies: Mapping[str, BodyRow] = yield Load(
        namespace, tuple(dict.fromkeys(fact for part in facts.values() for fact in part)), brief=True
    )
    for group in groups:
        held = sorted({note for told in group for note in above[told.version] if note in current})
        before = [
            Told.of(fact, body) for note in held for fact in facts[note] if fact in bodies and (body := bodies[fact].body) is not None
        ]
        every = list({told.version: told for told in (*before, *group)}.values())
        full = [every[at].version for at in distinct([told.content for told in every])]
        node = held[0] if held else f"{NOTES}{digest(namespace, [told.version for told in group])}"
        version = f"{node}:{digest(operation, node)[:8]}"
        out.writes.append(NodeWrite(version, node, "note", {"facts": full, "origin": "system"}))
        out.writes += (EdgeWrite("SUPERSEDES", version, told.version) for told in group)
        out.writes += (EdgeWrite("SUPERSEDES", version, current[note].id) for note in held)
        out.expects[node] = current[node].id if held else None


def _notes_above(engine: Engine, namespace: Namespace, hidden: tuple[str, ...], versions: Sequence[str]) -> dict[str, list[str]]:
    """The notes that supersede each fact."""
    graph = engine.projections.graph(namespace, hidden)
    return {version: sorted(node for node in graph.neighbours(version, ("SUPERSEDES",)) if node.startswith(NOTES)) for version in versions}


def notes(namespace: Namespace) -> Stage:
    """The notes of a namespace, oldest first, read from the facts that they name; what was erased of these is not there."""
    rows: list[NodeRow] = yield Call(lambda engine: engine.ledger.nodes(namespace, kinds=("note",)))
    facts = {row.id: tuple(map(str, row.body["facts"])) for row in rows if row.body}
    bodies: Mapping[str, BodyRow] = yield Load(
        namespace, tuple(dict.fromkeys(version for part in facts.values() for version in part)), brief=True
    )
    below: dict[str, list[str]] = yield Call(lambda engine: _facts_below(engine, namespace, list(facts)))
    current: Mapping[str, NodeRow] = yield Call(
        lambda engine: engine.ledger.current(namespace, list({node for nodes in below.values() for node in nodes}))
    )
    found: list[Note] = []
    for note, versions in facts.items():
        there = tuple(version for version in versions if version in bodies and bodies[version].body is not None)
        if there:
            text = "\n".join(str((bodies[version].body or {})["content"]) for version in there)
            found.append(Note(note, there, text, tuple(current[node].id for node in below[note] if node in current)))
    return found


def _facts_below(engine: Engine, namespace: Namespace, versions: Sequence[str]) -> dict[str, list[str]]:
    """The facts that each note supersedes, as nodes."""
    below: dict[str, list[str]] = {node_of(version): [] for version in versions}
    for above, node, kind, _ in engine.projections.graph(namespace, ()).edges():
        if kind == "SUPERSEDES" and above in below and node.startswith(_FACT):
            below[above].append(node)
    return {version: sorted(below[node_of(version)]) for version in versions}
