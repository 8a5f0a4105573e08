"""The facts of an activation: candidates from every signal, fused as a weighted sum [F 3.1].

Each signal is scaled to [0, 1] over the **union** of all candidates, of all namespaces asked; ranks of full lists are not fused, because
what shares no word with the query would get ranks too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.bench import Bench, Query, Rows
from langgraph_fluxmem.config import Config
from langgraph_fluxmem.index.view import NamespaceView
from langgraph_fluxmem.ledger.rows import BodyRow, NodeRow
from langgraph_fluxmem.presets import Preset, preset_of
from langgraph_fluxmem.requests import Load, Stage
from langgraph_fluxmem.schema import Namespace, RecalledFact, Vector, Why, trusted
from langgraph_fluxmem.signals import LEXICAL, Signal, scaled, weighted
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
    passed: tuple[str, ...] = (),
    lexical: bool = False,
    preset: Preset | None = None,
) -> Stage:
    """The at most `k` facts that answer a query best, as `RecalledFact`s with their share of each signal, best first.

    `served` maps fact nodes to what past use says of them for this query, in (-1, 1). `exclude` are ids not to return, `around` ids to
    look around. `lexical` says that the embedding is (`Embedder.lexical`). Of weights, those of `preset` (None: the configured one) give way
    to those of the configuration, and these to `signals`. Equal scores are ordered by id.

    Raises:
        ConfigError: `signals` names an unknown signal or a negative weight.
    """
    preset = preset or preset_of(config.preset)
    chosen = weighted(LEXICAL if lexical else None, preset.weights, config.signals, signals)
    pool = max(preset.pool * config.pool, k + len(exclude))
    asked = Query(query, vector, served or {}, around, passed)
    benches = [Bench(asked, view) for view in views if view.size]
    rows = [_candidates(bench, [signal for signal, _ in chosen], pool) for bench in benches]
    shares = _shares(chosen, benches, rows, reciprocal if preset.ranks else scaled)
    total = shares.sum(axis=0)
    if exclude and len(total):
        total[_places_of(exclude, benches, rows)] = -np.inf
    best = [found for found in _best(total, benches, rows, k) if found.score > -np.inf]
    loaded: dict[str, BodyRow] = {}
    for namespace, at in {bench.view.namespace: bench.view.position for bench in benches}.items():
        if ids := tuple([found.id for found in best if found.namespace == namespace]):
            loaded.update((yield Load(namespace, ids, brief=True, at=at)))
    told = [(found, row) for found in best if (row := loaded.get(found.id)) is not None and row.body is not None]
    parts = shares[:, [found.at for found, _ in told]]
    speaking = np.flatnonzero(parts.any(axis=1)).tolist()
    names = [chosen[at][0].name for at in speaking]
    return tuple(
        [
            _recalled(row, found, {name: share for name, share in zip(names, column, strict=True) if share})
            for (found, row), column in zip(told, parts[speaking].T.tolist(), strict=True)
        ]
    )


class _Found(NamedTuple):
    """A candidate: its score, its version id, its namespace, and its place among all candidates."""

    score: float
    id: str
    namespace: Namespace
    at: int


RANKS = 60
"""The constant of reciprocal rank fusion (Cormack, Clarke and Buettcher 2009)."""


def reciprocal(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Each row of scores (..., n) as reciprocal ranks: 1 for the best, 61 / (60 + rank) after it, 0 for what scores nothing; equal scores
    have equal ranks."""
    ordered = -np.sort(-scores, axis=-1)
    flat, by_rank = scores.reshape(-1, scores.shape[-1]), ordered.reshape(-1, scores.shape[-1])
    ranks = np.array([np.searchsorted(-best, -row, side="left") for row, best in zip(flat, by_rank, strict=True)]).reshape(scores.shape)
    return np.where(scores > 0, (RANKS + 1) / (RANKS + 1 + ranks), 0.0)


def _shares(
    chosen: Sequence[tuple[Signal, float]],
    benches: Sequence[Bench],
    rows: Sequence[Rows],
    fuse: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """(signals, candidates) each signal's weighted share of each candidate's score, over the candidates of all namespaces."""
    ends = list(accumulate(map(len, rows)))
    out = np.zeros((len(chosen), ends[-1] if ends else 0))
    asked = [(bench, part, end) for bench, part, end in zip(benches, rows, ends, strict=True) if len(part)]
    relative: list[int] = []
    for at, (signal, _) in enumerate(chosen):
        speaks = False
        for bench, part, end in asked:
            if signal.silent is None or not signal.silent(bench):
                out[at, end - len(part) : end] = signal.score(bench, part)
                speaks = True
        if speaks and not signal.absolute:
            relative.append(at)
    if relative:
        out[relative] = fuse(out[relative])
        for at, (signal, _) in enumerate(chosen):
            if (keeps := signal.keeps) is not None:
                for bench, part, end in asked:
                    out[at, end - len(part) : end] *= keeps(bench)
    out *= np.array([[weight] for _, weight in chosen])
    return out


def _best(total: NDArray[np.float64], benches: Sequence[Bench], rows: Sequence[Rows], k: int) -> list[_Found]:
    """The k candidates with the highest totals, equal ones by id."""
    if not len(total):
        return []
    places = np.arange(len(total))
    if len(total) > k:
        places = np.flatnonzero(total >= np.partition(total, len(total) - k)[len(total) - k])
    found: list[_Found] = []
    start = 0
    for bench, part in zip(benches, rows, strict=True):
        mine = places[(places >= start) & (places < start + len(part))]
        ids = bench.view.ids_of(part[mine - start])
        scores, name = total[mine].tolist(), bench.view.namespace
        found += [_Found(score, version, name, at) for score, version, at in zip(scores, ids, mine.tolist(), strict=True)]
        start += len(part)
    return sorted(found, key=lambda one: (-one.score, one.id))[:k]


def with_texts(facts: Sequence[RecalledFact], loaded: Mapping[str, NodeRow | BodyRow]) -> tuple[RecalledFact, ...]:
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


def _recalled(row: BodyRow, found: _Found, shares: dict[str, float]) -> RecalledFact:
    content, metadata = fact_of(row)
    why = trusted(Why, {"signals": shares, "path": ()}, _SAID_OF_WHY)
    return trusted(
        RecalledFact,
        {
            "id": row.id,
            "content": content,
            "metadata": metadata,
            "namespace": found.namespace,
            "score": found.score,
            "why": why,
        },
        _SAID,
    )


_SAID, _SAID_OF_WHY = frozenset(("id", "content", "metadata", "namespace", "score", "why")), frozenset(("signals",))


def _places_of(ids: frozenset[str], benches: Sequence[Bench], rows: Sequence[Rows]) -> NDArray[np.bool_]:
    """(candidates,) which candidates are among these version ids."""
    named = sorted(ids)
    return np.concatenate([np.isin(part, bench.view.rows_of(named)) for bench, part in zip(benches, rows, strict=True)])


def _candidates(bench: Bench, signals: Sequence[Signal], m: int) -> Rows:
    """The union of what the signals propose, in row order."""
    chosen = np.zeros(bench.view.size, dtype=bool)
    for signal in signals:
        if signal.propose is not None and (signal.silent is None or not signal.silent(bench)):
            chosen[signal.propose(bench, m)] = True
    return np.flatnonzero(chosen).astype(np.int32)
