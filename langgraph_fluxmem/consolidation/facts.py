"""The care of facts: what repeats another fact and what completes one is linked to it, and a model writes a note on it [F 3.3, M].

New facts are looked at in batches, each a task of its own; a batch returns JSON and writes nothing. Nothing is taken away: a fact that
repeats an older one supersedes it by an edge, and both are recalled as they were remembered. A note - one plain sentence and keywords - is a
further text by which the fact is found, in a new version beside the old one. Items of a store are left alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from langgraph_fluxmem.consolidation.means import Means
from langgraph_fluxmem.noting import NOTE
from langgraph_fluxmem.operators.protocol import Cost, Extract, Judgement, Relate
from langgraph_fluxmem.operators.rules import RuleOperators
from langgraph_fluxmem.operators.schemas import Extracted, Related
from langgraph_fluxmem.redundancy import COMPLEMENTARY, REDUNDANT
from langgraph_fluxmem.requests import Call, Hidden, Judge, Load, Stage, Views
from langgraph_fluxmem.trust.quarantine import note_sign, note_withheld

if TYPE_CHECKING:
    from langgraph_fluxmem.engine import Engine
    from langgraph_fluxmem.index.view import NamespaceView
    from langgraph_fluxmem.ledger.rows import NodeRow

NEAR = 4
"""Neighbours that a new fact is compared with."""
ALIKE = 0.5
"""Facts whose embeddings are less alike than this (cosine) are not compared."""
MOST = 2000
"""New facts looked at by one consolidation: the latest."""
BATCH = 32
"""Facts of one task."""
Json = dict[str, Any]


def batches_of(means: Means, since: int, position: int, hidden: tuple[str, ...]) -> Stage:
    """The facts to look at, as JSON: batches with ``facts`` (version ids), and ``model`` (whether a model looks at them). New ones are those
    written after `since`, up to `position`; a model also looks at older ones without a note, `Settings.enrich` facts in all."""
    by_model = not isinstance(means.operators, RuleOperators) and means.settings.enrich
    rows: list[NodeRow] = yield Call(lambda engine: engine.ledger.nodes(means.namespace, after=0 if by_model else since, kinds=("fact",)))
    there = [row for row in rows if row.op <= position and row.commit not in hidden and row.texts]
    new = [row.id for row in there if row.op > since and not _noted(row)][-MOST:]
    noted: list[str] = []
    if by_model:
        fresh = set(new)
        noted = [*new, *(row.id for row in there if row.id not in fresh and not _noted(row))][: means.settings.enrich]
    rest = [version for version in new if version not in set(noted)]
    return [
        {"facts": part[start : start + BATCH], "model": part is noted} for part in (noted, rest) for start in range(0, len(part), BATCH)
    ]


def tend(means: Means, batch: Mapping[str, Any], since: int) -> Stage:
    """Look at one batch. Returns JSON: ``looked_at``, ``edges`` ([kind, source, target, weight]), ``notes`` ([version, context, keywords]),
    ``withheld`` (notes that the screen held back), ``cost``."""
    cost = Cost()
    out: Json = {"looked_at": 0, "edges": [], "notes": [], "withheld": [], "cost": {}}
    screened: bool = yield Call(lambda engine: engine.config.quarantine)
    hidden = tuple(sorted((yield Hidden(means.namespace))))
    rows: dict[str, NodeRow] = yield Load(means.namespace, tuple(batch["facts"]))
    mine = [row for version in batch["facts"] if (row := rows.get(version)) is not None and row.body is not None and row.texts]
    (view,) = yield Views((means.namespace,), hidden)
    near: dict[str, list[str]] = yield Call(lambda engine: _neighbours(engine, means, view, mine))
    others: dict[str, NodeRow] = yield Load(means.namespace, tuple(dict.fromkeys(version for found in near.values() for version in found)))
    operators = means.operators if batch["model"] else RuleOperators()
    for row in mine:
        if row.op > since:
            out["looked_at"] += 1
            facts = [others[other] for other in near.get(row.id, ()) if other in others and _is_fact(others[other])]
            if facts:
                related: Judgement[Related] = yield Judge(Relate(content_of(row), tuple(map(content_of, facts))), operators)
                cost.add(related)
                out["edges"] += _edges(row, facts, related.value)
        if batch["model"]:
            said: Judgement[Extracted] = yield Judge(Extract(content_of(row)), operators)
            cost.add(said)
            context, keywords = said.value.context, list(said.value.keywords)
            why = note_sign(content_of(row), " ".join((context, *keywords))) if screened else ""
            if why:
                out["withheld"].append(note_withheld(row.node, context, keywords, why))
            elif said.by == "model":
                out["notes"].append([row.id, context, keywords])
    out["cost"] = cost.as_dict()
    return out


def content_of(row: NodeRow) -> str:
    """What was remembered."""
    return str((row.body or {}).get("content", ""))


def _edges(row: NodeRow, facts: Sequence[NodeRow], related: Related) -> list[Json | list[Any]]:
    found: list[Json | list[Any]] = []
    for other, relation in zip(facts, related.relations, strict=True):
        if relation.redundancy >= REDUNDANT:
            found.append(["SUPERSEDES", row.id, other.id, relation.redundancy])
        elif relation.complementarity >= COMPLEMENTARY:
            found.append(["RELATES", row.id, other.id, relation.complementarity])
    return found


def _neighbours(engine: Engine, means: Means, view: NamespaceView, rows: Sequence[NodeRow]) -> dict[str, list[str]]:
    vectors = engine.ledger.vectors(means.namespace, [row.texts[0].hash for row in rows])
    return {row.id: _older(view, row, vectors[row.texts[0].hash]) for row in rows if row.texts[0].hash in vectors}


def _older(view: NamespaceView, row: NodeRow, vector: np.ndarray) -> list[str]:
    """Ids of the nearest facts that are older, so that each pair is looked at once and edges never run in a circle."""
    found = view.dense_top(vector, NEAR + 1)
    cosine = view.dense_at(vector, found)
    return [
        view.ids[int(at)]
        for at, alike in zip(found, cosine, strict=True)
        if alike >= ALIKE and (int(view.ops[at]), view.ids[int(at)]) < (row.op, row.id)
    ][:NEAR]


def _is_fact(row: NodeRow) -> bool:
    return row.kind == "fact" and row.body is not None


def _noted(row: NodeRow) -> bool:
    return any(text.path == NOTE for text in row.texts)
