"""Signals of an expansion: what lies near the facts that proved right in earlier rounds of a step [F 3.2].

They say nothing until a fact has proved right. Measured on LoCoMo (`tests.benchmarks.locomo_rounds`): the query moved towards what was
used, the words of what was used, who said it, and distance from what was shown and passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from langgraph_fluxmem.bench import Bench

Scores = NDArray[np.float32]
Rows = NDArray[np.integer]

REACH = 3
"""How many places on either side of a fact that proved right are looked at."""


def propose_beside(bench: Bench, m: int) -> Rows:
    """What stands near what was used, in the same source."""
    del m
    rows = np.concatenate([bench.view.neighbours(bench.around, offset) for offset in range(-REACH, REACH + 1) if offset])
    return np.unique(rows[rows >= 0])


def beside(bench: Bench, rows: Rows) -> Scores:
    """Nearness in the source to what was used: 1 next to one, falling to 0 beyond three places."""
    out = np.zeros(bench.view.size, np.float32)
    for offset in range(-REACH, REACH + 1):
        near = bench.view.neighbours(bench.around, offset) if offset else bench.around
        near = near[near >= 0]
        out[near] = np.maximum(out[near], np.float32(1 - (max(abs(offset), 1) - 1) / REACH))
    return out[rows]


def propose_alike(bench: Bench, m: int) -> Rows:
    """What is nearest to the query moved towards what was used."""
    return bench.view.dense_top(bench.moved, m)


def alike(bench: Bench, rows: Rows) -> Scores:
    """Cosine with the query moved towards what was used (Rocchio)."""
    return bench.view.dense_at(bench.moved, rows)


def propose_words(bench: Bench, m: int) -> Rows:
    """What shares the most of the words of what was used."""
    return bench.best(bench.shared, m)


def words(bench: Bench, rows: Rows) -> Scores:
    """BM25 for all the words of what was used, which itself counts for nothing."""
    return bench.shared[rows]


def speaker(bench: Bench, rows: Rows) -> Scores:
    """1 for what was said by somebody who also said something that was used."""
    said = bench.view.speaker
    return (np.isin(said[rows], said[bench.around]) & (said[rows] >= 0)).astype(np.float32)


def unlike(bench: Bench, rows: Rows) -> Scores:
    """Minus the cosine with the nearest of what was passed over while something else was used."""
    nearest: Scores = (bench.view.vectors_of(rows) @ bench.view.vectors_of(bench.passed).T).max(axis=1)
    return -nearest
