"""The facts of an activation: candidates from every signal, fused as a weighted sum [F 3.1].

Each signal is scaled to [0, 1] over the **union** of all candidates, of all namespaces asked; ranks of full lists are not fused, because
what shares no word with the query would get ranks too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, compress, repeat

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.bench import Bench, Query, Rows
from langgraph_fluxmem.config import Config
from langgraph_fluxmem.index.view import NamespaceView
from langgraph_fluxmem.ledger.rows import BodyRow, NodeRow
from langgraph_fluxmem.presets import Preset, preset_of
from langgraph_fluxmem.requests import Load, Stage
from langgraph_fluxmem.schema import Namespace, RecalledFact, Vector, recalled_fact
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
    if not asked.past:
        chosen = [one for one in chosen if not one[0].past]
    benches = [Bench(asked, view) for view in views if view.size]
    proposing = [signal for signal, _ in chosen if signal.propose is not None]
    rows = [_candidates(bench, proposing, pool) for bench in benches]
    ends = list(accumulate(map(len, rows)))
    names, shares = _shares(chosen, benches, rows, ends, reciprocal if preset.ranks else scaled)
    total: NDArray[np.float64] = np.add.reduce(shares, axis=0)
    if exclude and len(total):
        total[_places_of(exclude, benches, rows)] = -np.inf
    best = _best(total, benches, rows, ends, k)
    if not best:
        return ()
    loaded: dict[str, BodyRow] = {}
    for namespace, at in {bench.view.namespace: bench.view.position for bench in benches}.items():
        if ids := tuple([version for _, version, _, where in best if where == namespace]):
            loaded.update((yield Load(namespace, ids, brief=True, at=at)))
    columns = shares.take([at for _, _, at, _ in best], axis=1).T.tolist()
    return tuple(
        [
            recalled_fact(version, fact_of(row), namespace, -behind, dict(compress(zip(names, column, strict=True), column)))
            for (behind, version, _, namespace), column in zip(best, columns, strict=True)
            if (row := loaded.get(version)) is not None and row.body is not None
        ]
    )


_Found = tuple[float, str, int, Namespace]
"""A candidate: its score, negated, so that the best sorts first; its version id, its place among all candidates, its namespace."""

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
    ends: Sequence[int],
    fuse: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> tuple[list[str], NDArray[np.float64]]:
    """The signals that say something, and (signals, candidates) each one's weighted share of each candidate's score, over the candidates of
    all namespaces. Candidates of one namespace after the other, up to the `ends`."""
    asked = [(bench, part, slice(end - len(part), end)) for bench, part, end in zip(benches, rows, ends, strict=True) if len(part)]
    told: list[tuple[Signal, float, list[tuple[Bench, Rows, slice]]]] = []
    for signal, weight in chosen:
        silent = signal.silent
        speakers = asked if silent is None else [one for one in asked if not silent(one[0])]
        if speakers:
            told.append((signal, weight, speakers))
    out = np.zeros((len(told), ends[-1] if ends else 0))
    relative = 0
    for at, (signal, _, speakers) in enumerate(told):
        for bench, part, where in speakers:
            out[at, where] = signal.score(bench, part)
        relative += not signal.absolute
    if relative:
        out[:relative] = fuse(out[:relative])
    for bench, _, where in asked:
        part = out[:, where]
        part *= np.array([weight if signal.keeps is None else weight * signal.keeps(bench) for signal, weight, _ in told])[:, None]
    return [signal.name for signal, _, _ in told], out


def _best(total: NDArray[np.float64], benches: Sequence[Bench], rows: Sequence[Rows], ends: Sequence[int], k: int) -> list[_Found]:
    """The k candidates with the highest totals, equal ones by id; none that is excluded (minus infinity)."""
    if not len(total):
        return []
    least = -np.inf
    if len(total) > k:
        ordered = total.copy()
        ordered.partition(len(total) - k)
        least = ordered[len(total) - k]
    places = (total >= least if least > -np.inf else total > least).nonzero()[0]
    behind, at = (-total[places]).tolist(), places.tolist()
    found: list[_Found] = []
    start = 0
    for bench, part, end in zip(benches, rows, ends, strict=True):
        mine = slice(len(found), bisect_left(at, end))
        ids = bench.view.ids_of(part[places[mine] - start])
        found += zip(behind[mine], ids, at[mine], repeat(bench.view.namespace))
        start = end
    found.sort()
    return found[:k]


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


def _places_of(ids: frozenset[str], benches: Sequence[Bench], rows: Sequence[Rows]) -> NDArray[np.bool_]:
    """(candidates,) which candidates are among these version ids."""
    named = sorted(ids)
    return np.concatenate([np.isin(part, bench.view.rows_of(named)) for bench, part in zip(benches, rows, strict=True)])


def _candidates(bench: Bench, proposing: Sequence[Signal], m: int) -> Rows:
    """The union of what the signals propose, in row order."""
    chosen = np.zeros(bench.view.size, dtype=bool)
    for signal in proposing:
        if signal.propose is not None and (signal.silent is None or not signal.silent(bench)):
            chosen[signal.propose(bench, m)] = True
    return chosen.nonzero()[0]
