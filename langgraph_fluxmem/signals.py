"""Retrieval signals behind one interface: each has a name, a weight, and says how well facts of one namespace answer a query.

`propose` names candidates, `score` judges the union of all candidates. Both see a whole namespace as arrays: nothing here loops over
facts. They know of a fact its terms, its vector, its place in its source and who said it, and nothing else.

How they were chosen and weighted: on LoCoMo, by leaving one conversation out (`tests.benchmarks.locomo`), rounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.dates import spelt
from langgraph_fluxmem.errors import ConfigError
from langgraph_fluxmem.index.view import NamespaceView
from langgraph_fluxmem.links import node_of
from langgraph_fluxmem.schema import Vector
from langgraph_fluxmem.text import QUESTION, terms

Scores = NDArray[np.float32]
Rows = NDArray[np.int32]

WINDOW: Mapping[int, float] = {-4: 0.2, -3: 0.3, -2: 0.4, -1: 0.6, 0: 1.0, 1: 0.5, 2: 0.3}
"""What a fact's neighbours in its source count for in its context, by offset: what was said before tells more than what comes after."""
K1, B = 1.2, 0.75
REACH = 3
"""How many places on either side of a fact that proved right are looked at."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for: its `text`, its vector (d,), what past use says of fact nodes, in (-1, 1), and ids of facts to look around."""

    text: str
    vector: Vector
    served: Mapping[str, float] = field(default_factory=dict[str, float])
    around: tuple[str, ...] = ()


class Bench:
    """One query on one namespace: what several signals need is computed once. `allowed` (size,) masks the facts that may be returned."""

    def __init__(self, query: Query, view: NamespaceView, allowed: NDArray[np.bool_] | None = None) -> None:
        self.query, self.view, self.allowed = query, view, allowed

    @cached_property
    def terms(self) -> Mapping[str, int]:
        """The query's terms, and how often each occurs."""
        return Counter(terms(spelt(self.query.text)))

    @cached_property
    def bm25(self) -> Scores:
        """(size,) BM25 of every fact."""
        return self.view.bm25([term for term, times in self.terms.items() for _ in range(times)], k1=K1, b=B)

    @cached_property
    def context(self) -> Scores:
        """(size,) BM25 of every fact's window: its neighbours' terms count as its own, less with distance, and so do their lengths."""
        view = self.view
        lengths = np.zeros(view.size, np.float32)
        everyone = np.arange(view.size, dtype=np.int32)
        for offset, share in WINDOW.items():
            beside = view.neighbours(everyone, offset) if offset else everyone
            lengths += np.float32(share) * np.where(beside >= 0, view.lengths[beside], np.float32(0))
        norm = np.float32(K1) * (np.float32(1 - B) + np.float32(B / max(float(lengths.mean()), 1e-9)) * lengths)
        out = np.zeros(view.size, np.float32)
        for term, times in self.terms.items():
            rows, frequencies = view.posting(term)
            if not len(rows):
                continue
            weight = np.float32(times * idf(len(rows), view.size) * (K1 + 1))
            places: list[Rows] = []
            counts: list[Scores] = []
            for offset, share in WINDOW.items():  # who has this row at `offset` stands at `-offset` from it
                beside = view.neighbours(rows, -offset) if offset else rows
                found = beside >= 0
                places.append(beside[found])
                counts.append(np.float32(share) * frequencies[found].astype(np.float32))
            tf = np.bincount(np.concatenate(places), weights=np.concatenate(counts), minlength=view.size).astype(np.float32)
            out += weight * tf / (tf + norm)
        return out

    @cached_property
    def sources(self) -> Scores:
        """(size,) BM25 of every fact's source as one document; 0 for facts without a source."""
        view = self.view
        codes = view.source
        count = int(codes.max(initial=-1)) + 1
        if not count:
            return np.zeros(view.size, np.float32)
        known = codes >= 0
        lengths = np.bincount(codes[known], weights=view.lengths[known], minlength=count)
        alive = int((lengths > 0).sum())
        norm = K1 * (1 - B + B * lengths / max(float(lengths.sum()) / max(alive, 1), 1e-9))
        out = np.zeros(count + 1)
        for term, times in self.terms.items():
            rows, frequencies = view.posting(term)
            of = codes[rows]
            tf = np.bincount(of[of >= 0], weights=frequencies[of >= 0], minlength=count)
            df = int((tf > 0).sum())
            if df:
                out[:count] += times * idf(df, alive) * (K1 + 1) * tf / (tf + norm)
        return out[codes].astype(np.float32)

    @cached_property
    def questions(self) -> NDArray[np.bool_]:
        """(size,) which facts are questions."""
        mask = np.zeros(self.view.size, dtype=bool)
        mask[self.view.rows_with(QUESTION)] = True
        return mask

    @cached_property
    def around(self) -> Rows:
        """Rows of the facts to look around, where this namespace has them."""
        rows = self.view.rows_of(self.query.around)
        return rows[rows >= 0]

    def dense(self, rows: Rows) -> Scores:
        """Cosine (m,) of rows (m,); 0 for rows of -1 and for facts without a vector."""
        found = rows >= 0
        out = np.zeros(len(rows), np.float32)
        out[found] = np.maximum(self.view.dense_at(self.query.vector, rows[found]), 0)
        return out

    def best(self, scores: Scores, m: int) -> Rows:
        """The at most `m` allowed rows that score best, above zero; equal ones in row order."""
        if self.allowed is not None:
            scores = np.where(self.allowed, scores, np.float32(0))
        rows = np.flatnonzero(scores > 0)
        if len(rows) > 4 * m:
            worst = np.partition(scores[rows], len(rows) - m)[len(rows) - m]
            rows = rows[scores[rows] >= worst]
        return rows[np.argsort(-scores[rows], kind="stable")[:m]].astype(np.int32)


Propose = Callable[[Bench, int], Rows]
Score = Callable[[Bench, Rows], Scores]


@dataclass(frozen=True, slots=True)
class Signal:
    """A named signal: `score` gives one number for each row (higher is better); `propose` gives its best rows, None: it only judges."""

    name: str
    weight: float
    score: Score
    propose: Propose | None = None


def idf(df: int, size: int) -> float:
    """ln(1 + (N - df + .5) / (df + .5)): never negative."""
    return float(np.log1p((size - df + 0.5) / (df + 0.5)))


def _dense_propose(bench: Bench, m: int) -> Rows:
    return bench.view.dense_top(bench.query.vector, m, allowed=bench.allowed)


def _dense(bench: Bench, rows: Rows) -> Scores:
    return bench.dense(rows)


def _bm25_propose(bench: Bench, m: int) -> Rows:
    return bench.best(bench.bm25, m)


def _bm25(bench: Bench, rows: Rows) -> Scores:
    return bench.bm25[rows]


def _context_propose(bench: Bench, m: int) -> Rows:
    return bench.best(bench.context, m)


def _context(bench: Bench, rows: Rows) -> Scores:
    return bench.context[rows]


def _surroundings(bench: Bench, rows: Rows) -> Scores:
    """Cosine over the window; a neighbour that is missing counts as the mean of those there are."""
    total, shares = np.zeros(len(rows), np.float32), np.zeros(len(rows), np.float32)
    for offset, share in WINDOW.items():
        beside = bench.view.neighbours(rows, offset) if offset else rows
        total += np.float32(share) * bench.dense(beside)
        shares += np.float32(share) * (beside >= 0)
    return total / shares


def _source(bench: Bench, rows: Rows) -> Scores:
    return bench.sources[rows]


def _answers(bench: Bench, rows: Rows) -> Scores:
    """How well the fact just before matches, where that is a question: then this one probably answers it."""
    before = bench.view.neighbours(rows, -1)
    asked = (before >= 0) & bench.questions[before]
    top = max(float(bench.bm25.max(initial=0)), 1e-9)
    return np.where(asked, bench.dense(np.where(asked, before, -1)) + bench.bm25[before] / np.float32(top), np.float32(0))


def _substance(bench: Bench, rows: Rows) -> Scores:
    """Logarithm of the number of terms: who says more is more often what was looked for."""
    return np.log1p(bench.view.lengths[rows])


def _statement(bench: Bench, rows: Rows) -> Scores:
    """1 for what is no question."""
    return (~bench.questions[rows]).astype(np.float32)


def _served(bench: Bench, rows: Rows) -> Scores:
    """What past use says: the learned links of tasks like this one."""
    served, ids = bench.query.served, bench.view.ids
    if not served:
        return np.zeros(len(rows), np.float32)
    return np.array([served.get(node_of(ids[int(row)]), 0.0) for row in rows], np.float32)


def _beside_propose(bench: Bench, m: int) -> Rows:
    del m
    near = [bench.view.neighbours(bench.around, offset) for offset in range(-REACH, REACH + 1) if offset]
    rows = np.concatenate(near)
    return np.unique(rows[rows >= 0]) if bench.allowed is None else np.unique(rows[(rows >= 0) & bench.allowed[rows]])


def _beside(bench: Bench, rows: Rows) -> Scores:
    """Nearness in the source to the facts to look around: 1 next to one, falling to 0 beyond three places."""
    out = np.zeros(bench.view.size, np.float32)
    for offset in range(-REACH, REACH + 1):
        near = bench.view.neighbours(bench.around, offset) if offset else bench.around
        near = near[near >= 0]
        out[near] = np.maximum(out[near], np.float32(1 - (max(abs(offset), 1) - 1) / REACH))
    return out[rows]


def _alike(bench: Bench, rows: Rows) -> Scores:
    """Cosine to the nearest of the facts to look around."""
    if not len(bench.around):
        return np.zeros(len(rows), np.float32)
    return (bench.view.vectors_of(rows) @ bench.view.vectors_of(bench.around).T).max(axis=1)


SIGNALS: tuple[Signal, ...] = (
    Signal("dense", 0.6, _dense, _dense_propose),
    Signal("bm25", 0.0, _bm25, _bm25_propose),
    Signal("context", 1.0, _context, _context_propose),
    Signal("surroundings", 0.3, _surroundings),
    Signal("source", 0.3, _source),
    Signal("answers", 0.3, _answers),
    Signal("substance", 0.5, _substance),
    Signal("statement", 0.15, _statement),
    Signal("served", 0.3, _served),
    Signal("beside", 0.3, _beside, _beside_propose),
    Signal("alike", 0.3, _alike),
)
"""All signals with their default weights; 0: measured and left out, unless a weight is given."""


def weighted(*overrides: Mapping[str, float] | None) -> list[tuple[Signal, float]]:
    """The signals whose weight is not 0, with it; of several mappings of overrides the last that names a signal counts.

    Raises:
        ConfigError: an override names no signal, or is no finite number of at least 0, or all weights are 0.
    """
    weights = {signal.name: signal.weight for signal in SIGNALS}
    for mapping in overrides:
        for name, weight in (mapping or {}).items():
            if name not in weights:
                raise ConfigError(f"unknown signal {name!r}; signals are {', '.join(weights)}")
            if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight < float("inf"):
                raise ConfigError(f"the weight of signal {name!r} is {weight!r}; expected a number of at least 0")
            weights[name] = float(weight)
    chosen = [(signal, weights[signal.name]) for signal in SIGNALS if weights[signal.name] > 0]
    if not any(signal.propose for signal, _ in chosen):
        proposers = ", ".join(signal.name for signal in SIGNALS if signal.propose)
        raise ConfigError(f"no signal is left that proposes facts; give one of {proposers} a weight above 0")
    return chosen


def scaled(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Min-max to [0, 1]; all zeros where nothing differs."""
    if not len(scores):
        return np.zeros(0)
    low, high = float(scores.min()), float(scores.max())
    return (scores.astype(np.float64) - low) / (high - low) if high > low else np.zeros(len(scores))
