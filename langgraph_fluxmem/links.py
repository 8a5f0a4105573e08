"""Learned links from tasks to facts: a fact also answers to the tasks it has served.

A projection of evidence: every sum here is a sum over rows, so that undo is subtraction and order does not matter. Measured before this
project on LoCoMo: +1.5 points recall@10 on other questions, +13 on noisy repeats of the same ones.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.schema import Channel, Vector


def node_of(version_id: str) -> str:
    """The node a version id belongs to (``node:digest``)."""
    return version_id.rsplit(":", 1)[0]


def task_kernel(cosine: NDArray[np.float32]) -> NDArray[np.float32]:
    """K = max(0, (cos - .5) / .5)^2: tasks that are not alike share nothing (LEARNING, section 1)."""
    return np.square(np.maximum(0.0, (cosine - 0.5) / 0.5))


class TaskLinks:
    """Links from the tasks of committed episodes and judged recalls to fact nodes, with counts for and against."""

    def __init__(self) -> None:
        self._tasks: dict[str, int] = {}
        self._vectors: list[Vector] = []
        self._matrix: NDArray[np.float32] | None = None
        self._facts: dict[str, int] = {}
        self._counts: dict[tuple[int, int], list[float]] = {}
        self._arrays: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]] | None = None

    def __len__(self) -> int:
        return len(self._counts)

    def add_task(self, episode: str, vector: Vector) -> None:
        """A task (d,) that facts may have served; known episodes are left as they are."""
        if episode not in self._tasks:
            self._tasks[episode] = len(self._vectors)
            self._vectors.append(vector)
            self._matrix = None

    def add(self, fact: str, episode: str, channel: Channel, weight: float) -> bool:
        """Count evidence on a link; False when the episode is unknown here."""
        row = self._tasks.get(episode)
        if row is None:
            return False
        column = self._facts.setdefault(node_of(fact), len(self._facts))
        counts = self._counts.setdefault((row, column), [0.0, 0.0])
        counts[0 if channel == "progress" else 1] += weight
        self._arrays = None
        return True

    def tasks(self) -> tuple[list[str], NDArray[np.float32]]:
        """Episode ids and their task vectors (m, d)."""
        return list(self._tasks), self._stacked()

    def served(self, vector: Vector, kernel: Callable[[NDArray[np.float32]], NDArray[np.float32]] = task_kernel) -> dict[str, float]:
        """Fact node -> score in (-1, 1) for a query (d,): (s - n) / (1 + s + n) over kernel-weighted evidence for and against."""
        if not self._counts:
            return {}
        weights = kernel(self._stacked() @ vector)
        if not weights.any():
            return {}
        rows, columns, good, bad = self._links()
        near = weights[rows]
        size = len(self._facts)
        for_it = np.bincount(columns, weights=near * good, minlength=size)
        against = np.bincount(columns, weights=near * bad, minlength=size)
        score = (for_it - against) / (1.0 + for_it + against)
        names = list(self._facts)
        return {names[index]: float(score[index]) for index in np.flatnonzero(for_it + against)}

    def counts(self) -> dict[tuple[str, str], tuple[float, float]]:
        """(episode, fact node) -> (for, against); what `verify` compares."""
        episodes, facts = list(self._tasks), list(self._facts)
        return {(episodes[row], facts[column]): (good, bad) for (row, column), (good, bad) in self._counts.items()}

    def _stacked(self) -> NDArray[np.float32]:
        if self._matrix is None:
            self._matrix = np.stack(self._vectors) if self._vectors else np.zeros((0, 0), np.float32)
        return self._matrix

    def _links(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        if self._arrays is None:
            keys = np.array(list(self._counts), dtype=np.int64).reshape(-1, 2)
            values = np.array(list(self._counts.values()), dtype=np.float64).reshape(-1, 2)
            self._arrays = (keys[:, 0], keys[:, 1], values[:, 0], values[:, 1])
        return self._arrays
