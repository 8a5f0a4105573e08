"""What a consolidation writes for facts and links: notes and relations that were found, facts split, links cut that evidence is against."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from langgraph_fluxmem.consolidation.facts import ALIKE, content_of
from langgraph_fluxmem.consolidation.maturity import beta_quantile
from langgraph_fluxmem.consolidation.means import Means
from langgraph_fluxmem.consolidation.report import FactsReport
from langgraph_fluxmem.consolidation.settings import Settings
from langgraph_fluxmem.digests import digest
from langgraph_fluxmem.edits import EdgeWrite, NodeWrite, Text, Write
from langgraph_fluxmem.noting import noted
from langgraph_fluxmem.requests import Call, EmbedFor, LearnedOf, Load, Stage
from langgraph_fluxmem.text import content_hash

if TYPE_CHECKING:
    from langgraph_fluxmem.engine import Engine
    from langgraph_fluxmem.graph import MemoryGraph
    from langgraph_fluxmem.learned import Learned
    from langgraph_fluxmem.ledger.rows import EvidenceRow, NodeRow

OVERLOADED = 300
"""Characters of a fact from which it may be split, when it has served tasks that are not alike."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclass(slots=True)
class Care:
    """What is to be written, how much of what it is, and which version of each fact it was made from."""

    looked_at: int = 0
    redundant: int = 0
    linked: int = 0
    split: int = 0
    enriched: int = 0
    pruned: int = 0
    writes: list[Write] = field(default_factory=list[Write])
    facts: dict[str, NodeWrite] = field(default_factory=dict[str, NodeWrite])
    """New versions of facts, by node; they are among the writes in the end."""
    expects: dict[str, str | None] = field(default_factory=dict[str, str | None])

    def counts(self) -> dict[str, int]:
        """For the report."""
        return {name: getattr(self, name) for name in FactsReport.model_fields}


def care(means: Means, tended: Sequence[Mapping[str, Any]], since: int, hidden: tuple[str, ...], operation: str) -> Stage:
    """Turn what the batches found (`facts.tend`), and the evidence since position `since`, into writes. Returns `Care`."""
    out = Care(looked_at=sum(part["looked_at"] for part in tended))
    for kind, source, target, weight in (edge for part in tended for edge in part["edges"]):
        out.writes.append(EdgeWrite(kind, source, target, weight))
        out.redundant += kind == "SUPERSEDES"
        out.linked += kind == "RELATES"
    yield from _noted(means, [note for part in tended for note in part["notes"]], operation, out)
    evidence: list[EvidenceRow] = yield Call(lambda engine: engine.ledger.evidence(means.namespace, after=since))
    evidence = [row for row in evidence if ">" in row.target and row.commit not in hidden]
    yield from _split(means, evidence, hidden, operation, out)
    out.writes += out.facts.values()
    cut: list[EdgeWrite] = yield Call(lambda engine: _against(engine, means, evidence, hidden))
    out.writes += cut
    out.pruned = len(cut)
    return out


def _noted(means: Means, notes: Sequence[Sequence[Any]], operation: str, out: Care) -> Stage:
    """New versions of facts that are also found by their notes."""
    found = {version: note for version, context, keywords in notes if (note := noted(context, keywords)) is not None}
    current = yield from _still_current(means, list(found))
    for row in current:
        body, text, note = found[row.id]
        new, _ = yield EmbedFor(means.namespace, ((text.hash, note),))
        _rewritten(row, operation, out, {**(row.body or {}), **body}, text)
        out.writes += new.values()
        out.enriched += 1


def _split(means: Means, evidence: Sequence[EvidenceRow], hidden: tuple[str, ...], operation: str, out: Care) -> Stage:
    """Give long facts that served tasks which are not alike their parts as further texts."""
    used = list(dict.fromkeys(row.target.partition(">")[0] for row in evidence if row.channel == "progress"))
    if not used:
        return
    current = yield from _still_current(means, used)
    candidates = [
        row for row in current if len(content_of(row)) > OVERLOADED and not any(text.path.startswith("part.") for text in row.texts)
    ]
    if not candidates:
        return
    learned: Learned = yield LearnedOf(means.namespace, hidden)
    served = _tasks_served(learned)
    for row in candidates:
        parts = parts_of(content_of(row))
        if len(parts) < 2 or not _differ(served.get(row.node, ())):
            continue
        texts = [(content_hash(part), part) for part in parts]
        new, _ = yield EmbedFor(means.namespace, tuple(texts))
        _rewritten(row, operation, out, row.body or {}, *(Text(f"part.{at}", hash_) for at, (hash_, _) in enumerate(texts)))
        out.writes += new.values()
        out.split += 1


def parts_of(content: str) -> list[str]:
    """The statements of a long fact, by which it is found as well once it is split."""
    return [part.strip() for part in _SENTENCE.split(content) if part.strip()]


def _still_current(means: Means, ids: Sequence[str]) -> Stage:
    """Rows of facts by version id, those that are current."""
    loaded: dict[str, NodeRow] = yield Load(means.namespace, tuple(ids))
    facts = [row for row in loaded.values() if row.kind == "fact" and row.body is not None]
    current: dict[str, NodeRow] = yield Call(lambda engine: engine.ledger.current(means.namespace, [row.node for row in facts]))
    return [row for row in facts if row.node in current and current[row.node].id == row.id]


def _rewritten(row: NodeRow, operation: str, out: Care, body: Mapping[str, Any], *more: Text) -> None:
    """Write a new version of a fact, verbatim, with further texts; what this consolidation has written of it already is kept."""
    held = out.facts.get(row.node)
    if held is not None:
        out.facts[row.node] = replace(held, body={**(held.body or {}), **body}, texts=(*held.texts, *more))
        return
    version = f"{row.node}:{digest(operation, row.node)[:8]}"
    out.facts[row.node] = NodeWrite(
        version, row.node, "fact", body, (*row.texts, *more), row.key, row.source, row.position, row.speaker, None, row.expires_at, row.ttl
    )
    out.writes.append(EdgeWrite("SUPERSEDES", version, row.id))
    out.expects[row.node] = row.id


def _against(engine: Engine, means: Means, evidence: Sequence[EvidenceRow], hidden: tuple[str, ...]) -> list[EdgeWrite]:
    """Links on which there is new evidence and all of it together is against them: written anew with weight 0, so that walks do not take
    them. Their evidence stays; an undo brings them back."""
    failed = {row.target for row in evidence if row.channel != "progress"}
    if not failed:
        return []
    graph: MemoryGraph = engine.projections.graph(means.namespace, hidden)
    cut: list[EdgeWrite] = []
    for target in sorted(failed):
        source, _, end = target.partition(">")
        sums = graph.evidence(target)
        if graph.weight(source, end, "RELATES") > 0.0 and turned(sums.progress, sums.failure + sums.loss, means.settings):
            cut.append(EdgeWrite("RELATES", source, end, 0.0))
    return cut


def turned(good: float, bad: float, settings: Settings) -> bool:
    """Whether evidence is against a link: even the optimist - the (1 - quantile) quantile of Beta(1 + good, 1 + bad) - gives it less than half."""
    return beta_quantile(1.0 - settings.quantile, 1.0 + good, 1.0 + bad) < settings.prune


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
