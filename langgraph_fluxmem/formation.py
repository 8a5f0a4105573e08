"""The facts of an activation: candidates from every signal, fused as a weighted sum [F 3.1].

Each signal is scaled to [0, 1] over the **union** of all candidates, of all namespaces asked; ranks of full lists are not fused, because
what shares no word with the query would get ranks too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.config import Config
from langgraph_fluxmem.index.view import NamespaceView
from langgraph_fluxmem.ledger.rows import NodeRow
from langgraph_fluxmem.requests import Load, Stage
from langgraph_fluxmem.schema import Namespace, RecalledFact, Vector, Why
from langgraph_fluxmem.signals import LEXICAL, Bench, Propose, Query, Rows, scaled, weighted
from langgraph_fluxmem.storing.fields import fact_of


def recall_facts(
    query: str,
    vector: Vector,
    views: Sequence[NamespaceView],
    *,
    k: int,
    config: Config,
    signals: Mapping[str, float] | None = None,
    served: Mapping[str, float] | None = None,
    exclude: frozenset[str] = frozenset(),
    around: tuple[str, ...] = (),
    lexical: bool = False,
) -> Stage:
    """The at most `k` facts that answer a query best, as `RecalledFact`s with their share of each signal, best first.

    `served` maps fact nodes to what past use says of them for this query, in (-1, 1). `exclude` are ids not to return, `around` ids to
    look around. `lexical` says that the embedding is (`Embedder.lexical`). Equal scores are ordered by id.

    Raises:
        ConfigError: `signals` names an unknown signal or a negative weight.
    """
    chosen = weighted(LEXICAL if lexical else None, config.signals, signals)
    asked = Query(query, vector, served or {}, around)
    benches = [Bench(asked, view, _allowed(view, exclude)) for view in views if view.size]
    rows = [_candidates(bench, [signal.propose for signal, _ in chosen if signal.propose], max(config.pool, k)) for bench in benches]
    if not sum(map(len, rows)):
        return ()
    shares: dict[str, NDArray[np.float64]] = {}
    for signal, weight in chosen:
        scores = np.concatenate([signal.score(bench, part) for bench, part in zip(benches, rows, strict=True)])
        shares[signal.name] = weight * (scores.astype(np.float64) if signal.absolute else scaled(scores))
    total = np.sum(list(shares.values()), axis=0)
    names = [(bench.view.namespace, bench.view.ids[int(row)]) for bench, part in zip(benches, rows, strict=True) for row in part]
    best = sorted(range(len(names)), key=lambda at: (-total[at], names[at][1]))[:k]
    loaded: dict[str, NodeRow] = {}
    for namespace in dict.fromkeys(names[at][0] for at in best):
        loaded.update((yield Load(namespace, tuple(names[at][1] for at in best if names[at][0] == namespace))))
    return tuple(
        _recalled(
            loaded[names[at][1]], names[at][0], float(total[at]), {name: float(share[at]) for name, share in shares.items() if share[at]}
        )
        for at in best
        if names[at][1] in loaded and loaded[names[at][1]].body is not None
    )


def with_texts(facts: Sequence[RecalledFact], loaded: Mapping[str, NodeRow]) -> tuple[RecalledFact, ...]:
    """The facts with content and metadata from the rows loaded; those whose version is gone are left out."""
    found: list[RecalledFact] = []
    for fact in facts:
        row = loaded.get(fact.id)
        if fact.content:
            found.append(fact)
        elif row is not None and row.body is not None:
            content, metadata = fact_of(row)
            found.append(fact.model_copy(update={"content": content, "metadata": metadata}))
    return tuple(found)


def _recalled(row: NodeRow, namespace: Namespace, score: float, shares: dict[str, float]) -> RecalledFact:
    content, metadata = fact_of(row)
    return RecalledFact(id=row.id, content=content, metadata=metadata, namespace=namespace, score=score, why=Why(signals=shares))


def _allowed(view: NamespaceView, exclude: frozenset[str]) -> NDArray[np.bool_] | None:
    rows = view.rows_of(sorted(exclude))
    rows = rows[rows >= 0]
    if not len(rows):
        return None
    mask = np.ones(view.size, dtype=bool)
    mask[rows] = False
    return mask


def _candidates(bench: Bench, proposers: Sequence[Propose], m: int) -> Rows:
    found = [propose(bench, m) for propose in proposers]
    return np.unique(np.concatenate(found)).astype(np.int32) if found else np.zeros(0, np.int32)
