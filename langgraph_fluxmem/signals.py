"""Retrieval signals behind one interface: each has a name, a weight, and says how well facts of one namespace answer a query.

`propose` names candidates; `score` judges the union of all candidates. Both see a whole namespace as arrays: nothing here loops over facts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.errors import ConfigError
from langgraph_fluxmem.index.view import NamespaceView
from langgraph_fluxmem.schema import Vector
from langgraph_fluxmem.text import terms

Scores = NDArray[np.float32]
Rows = NDArray[np.int32]

WINDOW = 2
"""How many facts on either side of one, in its source, are its context."""
NEAR = 0.6
"""What a neighbour's score counts for in its context, once for each place of distance."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for: its `text`, its vector (d,), what past use says of fact nodes, and ids of facts to look around."""

    text: str
    vector: Vector
    served: Mapping[str, float] = field(default_factory=dict[str, float])
    around: tuple[str, ...] = ()


class Bench:
    """One query on one namespace: what several signals need is computed once. `allowed` (size,) masks the facts that may be returned."""

    def __init__(self, query: Query, view: NamespaceView, allowed: NDArray[np.bool_] | None = None) -> None:
        self.query, self.view, self.allowed = query, view, allowed

    @cached_property
    def terms(self) -> list[str]:
        """The query's terms."""
        return terms(self.query.text)

    @cached_property
    def bm25(self) -> Scores:
        """(size,) BM25 of every fact."""
        return self.view.bm25(self.terms)

    @cached_property
    def around(self) -> Scores:
        """(size,) BM25 of every fact's window: the facts around it count for less with distance."""
        out = np.zeros(self.view.size, np.float32)
        hits = np.flatnonzero(self.bm25).astype(np.int32)
        for offset in range(-WINDOW, WINDOW + 1):
            beside = self.view.neighbours(hits, offset) if offset else hits
            found = beside >= 0
            np.add.at(out, beside[found], self.bm25[hits[found]] * np.float32(NEAR ** abs(offset)))
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


def _dense_propose(bench: Bench, m: int) -> Rows:
    return bench.view.dense_top(bench.query.vector, m, allowed=bench.allowed)


def _dense_score(bench: Bench, rows: Rows) -> Scores:
    return bench.view.dense_at(bench.query.vector, rows)


def _served_score(bench: Bench, rows: Rows) -> Scores:
    served, ids = bench.query.served, bench.view.ids
    return (
        np.array([served.get(ids[int(row)].rsplit(":", 1)[0], 0.0) for row in rows], np.float32)
        if served
        else np.zeros(len(rows), np.float32)
    )


SIGNALS: tuple[Signal, ...] = (
    Signal("dense", 1.0, _dense_score, _dense_propose),
    Signal("bm25", 0.5, lambda bench, rows: bench.bm25[rows], lambda bench, m: bench.best(bench.bm25, m)),
    Signal("context", 1.0, lambda bench, rows: bench.around[rows], lambda bench, m: bench.best(bench.around, m)),
)
"""The signals in use, with their default weights."""

SERVED = Signal("served", 0.3, _served_score)


def weighted(overrides: Mapping[str, float] | None, *more: Mapping[str, float] | None) -> list[tuple[Signal, float]]:
    """The signals with a weight other than 0, later mappings of overrides first.

    Raises:
        ConfigError: an override names no signal, or is no finite number of at least 0.
    """
    weights: dict[str, float] = {signal.name: signal.weight for signal in (*SIGNALS, SERVED)}
    for mapping in (overrides, *more):
        for name, weight in (mapping or {}).items():
            if name not in weights:
                raise ConfigError(f"unknown signal {name!r}; signals are {', '.join(weights)}")
            if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight < float("inf"):
                raise ConfigError(f"the weight of signal {name!r} is {weight!r}; expected a number of at least 0")
            weights[name] = float(weight)
    return [(signal, weights[signal.name]) for signal in (*SIGNALS, SERVED) if weights[signal.name] > 0]


def scaled(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Min-max to [0, 1]; all zeros where nothing differs."""
    if not len(scores):
        return np.zeros(0)
    low, high = float(scores.min()), float(scores.max())
    return (scores - low) / (high - low) if high > low else np.zeros(len(scores))
