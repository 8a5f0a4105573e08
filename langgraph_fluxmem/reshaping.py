"""Reshaping: a memory in another grain, beside the one it was made of [F 3.2].

A version is finer (the statements of a fact that matter for the task) or more abstract (one text for several facts). It is tentative: text
in the activation, under the id it will have. When the step's outcome speaks for it, it becomes a fact of its own, which supersedes the
one it was made of without hiding it: that one stays as it was remembered, with all its edges, and what it is related to is related to
the new version, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langgraph_fluxmem.digests import digest
from langgraph_fluxmem.edits import EdgeWrite, Write
from langgraph_fluxmem.ingestion import drafted, fact_write
from langgraph_fluxmem.links import node_of
from langgraph_fluxmem.operators.protocol import Judgement, Operators, Reshape
from langgraph_fluxmem.requests import Call, EmbedFor, Fetch, Judge, Load, Stage
from langgraph_fluxmem.schema import Namespace, RecalledFact, Why
from langgraph_fluxmem.trust.signs import instructs

if TYPE_CHECKING:
    from langgraph_fluxmem.ledger.rows import NodeRow
    from langgraph_fluxmem.operators.schemas import Reshaped

FEW = 2
"""Facts that are reshaped in one round."""
PARTS = 4
"""Finer parts of one fact that are kept."""
LONGEST = 600
"""Characters of a reshaped text: it travels in graph state until the outcome is known."""
READ = 6_000
"""Characters of a fact that are reshaped."""
RELATED = 32
"""Related nodes that a new version is related to as well."""


def reshape(activation: str, facts: Sequence[RecalledFact], query: str, operators: Operators, *, finer: bool) -> Stage:
    """Versions of `facts` in another grain, for what `query` needs. Returns (versions, judgements).

    Finer: the parts of each fact. Else: one text for all of them. A text that says just what the fact says is no version of it.
    `activation` is the id of the one they are made in.
    """
    made: dict[str, RecalledFact] = {}
    judgements: list[Judgement[Reshaped]] = []
    for group in [[fact] for fact in facts] if finer else [list(facts)]:
        whole = "\n".join(fact.content for fact in group)[:READ]
        judgement: Judgement[Reshaped] = yield Judge(Reshape(whole, query, finer), operators)
        judgements.append(judgement)
        for text in judgement.value.texts[: PARTS if finer else 1]:
            if judgement.by == "model" and instructs(text):  # the fact itself, fenced, says it no worse
                continue
            version = _version(activation, " ".join(text.split())[:LONGEST], group)
            if version is not None:
                made[version.id] = version
    return tuple(made.values()), tuple(judgements)


def _version(activation: str, text: str, group: Sequence[RecalledFact]) -> RecalledFact | None:
    if not text or any(text == " ".join(fact.content.split()) for fact in group):
        return None
    first = group[0]
    node = f"r-{digest(first.namespace, [node_of(fact.id) for fact in group], text)}"
    path = tuple(fact.id for fact in group)
    return RecalledFact(
        id=f"{node}:{digest(activation, text)[:8]}", content=text, namespace=first.namespace, score=first.score, why=Why(path=path)
    )


def spoken_for(reshaped: Sequence[RecalledFact], outcome: str, used: Sequence[str]) -> tuple[RecalledFact, ...]:
    """Those that an outcome speaks for: the ones that proved right; of a success where nobody says what did, all."""
    named = set(used)
    proved = tuple(fact for fact in reshaped if fact.id in named)
    return proved if proved or named or outcome != "success" else tuple(reshaped)


def stored(reshaped: Sequence[RecalledFact], namespace: Namespace, hidden: Sequence[str] = ()) -> Stage:
    """The writes that make versions durable in `namespace`; those of other namespaces' facts, and those that are stored already, are left out.

    Metadata are those of the (first) fact a version was made of. It has no place in a source: that is the original's.
    """
    mine = [fact for fact in reshaped if fact.namespace == namespace]
    if not mine:
        return []
    standing: Mapping[str, NodeRow] = yield Fetch("current", (namespace, tuple(node_of(fact.id) for fact in mine)))
    raws = tuple(dict.fromkeys(raw for fact in mine for raw in fact.why.path))
    rows: Mapping[str, NodeRow] = yield Load(namespace, (*raws, *(fact.id for fact in mine)))
    drafts = {
        fact.id: drafted(node_of(fact.id), fact.content, _metadata(rows[fact.why.path[0]]), None, None)
        for fact in mine
        if node_of(fact.id) not in standing and fact.id not in rows and all(_stands(rows.get(raw)) for raw in fact.why.path)
    }
    if not drafts:
        return []
    new, _ = yield EmbedFor(namespace, tuple((draft.text.hash, draft.embedded) for draft in drafts.values()))
    writes: list[Write] = [*new.values()]
    sources = {fact.id: fact.why.path for fact in mine}
    related: Mapping[str, list[str]] = yield Call(
        lambda engine: {
            version: list(
                dict.fromkeys(
                    vertex
                    for raw in sources[version]
                    for vertex in engine.projections.graph(namespace, tuple(hidden)).neighbours(raw, ("RELATES",))
                )
            )
            for version in drafts
        }
    )
    for version, draft in drafts.items():
        writes.append(fact_write(version, draft))
        writes += (EdgeWrite("SUPERSEDES", version, raw) for raw in sources[version])
        writes += (EdgeWrite("RELATES", version, vertex) for vertex in related[version][:RELATED])
    return writes


def _stands(row: NodeRow | None) -> bool:
    """Whether a version still says something: what was made of one that was forgotten meanwhile is not stored."""
    return row is not None and row.body is not None


def _metadata(row: NodeRow) -> dict[str, Any]:
    return dict((row.body or {}).get("metadata") or {})
