"""What becomes of an item of the quarantine: it is released, and takes the place it was made for, or discarded. Each is one operation."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from langgraph_fluxmem.consolidation.inducing import procedure
from langgraph_fluxmem.digests import digest
from langgraph_fluxmem.edits import EdgeWrite, NodeWrite, Plan, Text, Write
from langgraph_fluxmem.errors import UnknownIdError
from langgraph_fluxmem.noting import NOTE, noted
from langgraph_fluxmem.requests import Apply, Call, EmbedFor, Fetch, Hidden, LearnedOf, Stage
from langgraph_fluxmem.schema import Namespace, Provenance
from langgraph_fluxmem.skills.model import PREFIX, Skill, Trials
from langgraph_fluxmem.text import content_hash
from langgraph_fluxmem.trust.quarantine import KIND, listed, rows_of

if TYPE_CHECKING:
    from langgraph_fluxmem.learned import Learned
    from langgraph_fluxmem.ledger.rows import NodeRow


def items(namespace: Namespace, *, decided: bool) -> Stage:
    """The items of a namespace, oldest first; those released or discarded too when `decided`."""
    rows: dict[str, NodeRow] = yield Call(lambda engine: rows_of(engine.ledger, namespace))
    found = [listed(row, namespace) for row in rows.values()]
    return [item for item in found if decided or item.status == "held"]


def release(item: str, namespace: Namespace, provenance: Provenance) -> Stage:
    """Let an item take its place: a skill becomes the current version, as a candidate where it does something else; a note joins its fact.
    Its texts pass the screen from then on. Returns `Applied`."""
    row = yield from _held(item, namespace)
    operation = f"release-{uuid.uuid4().hex}"
    writes, expects = yield from (_skill if row.body["kind"] == "skill" else _note)(row, namespace, operation)
    decided = _decided(row, operation, {**row.body, "status": "released"})
    return (yield Apply(Plan(operation, "release", namespace, (decided, *writes), provenance, {**expects, item: row.id})))


def discard(item: str, namespace: Namespace, provenance: Provenance) -> Stage:
    """Drop an item's text; the same text is not listed again. Returns `Applied`."""
    row = yield from _held(item, namespace)
    operation = f"discard-{uuid.uuid4().hex}"
    emptied = {**row.body, "status": "discarded", "name": "", "texts": [], "why": [], "proposed": {}}
    return (yield Apply(Plan(operation, "discard", namespace, (_decided(row, operation, emptied),), provenance, {item: row.id})))


def _held(item: str, namespace: Namespace) -> Stage:
    rows: dict[str, NodeRow] = yield Call(lambda engine: rows_of(engine.ledger, namespace))
    row = rows.get(item)
    if row is None or row.body is None or row.body["status"] != "held":
        raise UnknownIdError(f"no item {item!r} is held in this namespace; `mem.quarantine(namespace=...)` lists those that are")
    return row


def _decided(row: NodeRow, operation: str, body: Mapping[str, Any]) -> NodeWrite:
    return NodeWrite(f"{row.node}:{digest(operation, row.node)[:8]}", row.node, KIND, body)


def _skill(row: NodeRow, namespace: Namespace, operation: str) -> Stage:
    assert row.body is not None
    learned: Learned = yield LearnedOf(namespace, tuple(sorted((yield Hidden(namespace)))))
    skill = Skill.of(row.body["proposed"])
    node = row.body["of"] or skill.node or f"{PREFIX}{digest(namespace, row.node)}"
    held = learned.skills.skills.get(node)
    version = f"{node}:{digest(operation, node)[:8]}"
    if held is None:
        made = replace(
            skill, node=node, revision=version, number=1, base=None, status="candidate", trials=Trials(), contexts=(), history=()
        )
    else:
        told = {"name": skill.name, "when": skill.when, "steps": skill.steps, "pitfalls": skill.pitfalls, "source": skill.source}
        made = replace(held.skill, **told, number=held.skill.number + 1, base=held.id)
        if procedure(made) != procedure(held.skill):
            made = replace(made, revision=version, status="candidate", trials=Trials(), contexts=())
    text = Text("when", content_hash(made.match()))
    new, _ = yield EmbedFor(namespace, ((text.hash, made.match()),))
    writes: list[Write] = [NodeWrite(version, node, "skill", made.body(), (text,)), *new.values()]
    if held is None:
        writes += (EdgeWrite("DISTILLS", episode, version) for episode in row.body["episodes"] if episode in learned.episodes)
    else:
        writes.append(EdgeWrite("SUPERSEDES", version, held.id))
    return writes, {node: None if held is None else held.id}


def _note(row: NodeRow, namespace: Namespace, operation: str) -> Stage:
    assert row.body is not None
    node, proposed = row.body["of"], row.body["proposed"]
    current: dict[str, NodeRow] = yield Fetch("current", (namespace, (node,)))
    made = noted(proposed["context"], proposed["keywords"])
    fact = current.get(node)
    if fact is None or made is None:
        raise UnknownIdError(f"the fact {node!r} that this note is on is gone; discard the note")
    body, text, note = made
    new, _ = yield EmbedFor(namespace, ((text.hash, note),))
    texts = (*(held for held in fact.texts if held.path != NOTE), text)
    version = f"{node}:{digest(operation, node)[:8]}"
    told = (fact.key, fact.source, fact.position, fact.speaker, None, fact.expires_at, fact.ttl)
    writes: list[Write] = [NodeWrite(version, node, "fact", {**(fact.body or {}), **body}, texts, *told), *new.values()]
    return [*writes, EdgeWrite("SUPERSEDES", version, fact.id)], {node: fact.id}
