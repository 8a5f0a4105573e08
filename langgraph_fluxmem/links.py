"""Learned links from tasks to facts: a fact also answers to the tasks it has served.

A projection of evidence: every sum here is a sum over rows, so that undo is subtraction and order does not matter. Measured before this
project on LoCoMo: +1.5 points recall@10 on other questions, +13 on noisy repeats of the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.schema import Channel, Vector


def node_of(version_id: str) -> str:
    """The node a version id belongs to (``node:digest``)."""
    return version_id.rsplit(":", 1)[0]


def node_keys(nodes: Iterable[str]) -> NDArray[np.int64]:
    """(n,) numbers that stand for nodes within this process (64 bits of a keyed hash), so that arrays of them can be matched."""
    return np.fromiter(map(hash, nodes), dtype=np.int64)


def task_kernel(cosine: NDArray[np.float32]) -> NDArray[np.float32]:
    """K = max(0, (cos - .5) / .5)^2: tasks that are not alike share nothing (LEARNING, section 1)."""
    return np.square(np.maximum(0.0, (cosine - 0.5) / 0.5))


class Served(Mapping[str, float]):
    """Fact node -> what past use says of it for one query, in (-1, 1); read for many facts at once by the keys of their nodes."""

    def __init__(self, names: list[str], scores: NDArray[np.float64]) -> None:
        """`names` (n) of nodes and `scores` (n,); names without a part in the evidence are left out by the caller."""
        self._names, self._scores = names, scores
        keys = node_keys(names)
        order = np.argsort(keys, kind="stable")
        self._keys, self._by_key = keys[order], np.append(scores[order], 0.0).astype(np.float32)

    @classmethod
    def of(cls, served: Mapping[str, float]) -> Served:
        """The same of any mapping."""
        return served if isinstance(served, Served) else cls(list(served), np.array(list(served.values()), np.float64))

    def at(self, keys: NDArray[np.int64]) -> NDArray[np.float32]:
        """(m,) the scores of nodes by their keys (m,), 0 for those that served nothing."""
        if not len(self._keys):
            return np.zeros(len(keys), np.float32)
        place = np.searchsorted(self._keys, keys)
        found = np.take(self._keys, place, mode="clip") == keys
        return self._by_key[np.where(found, place, len(self._keys))]

    @cached_property
    def _by_name(self) -> dict[str, float]:
        return dict(self.items())

    def __getitem__(self, node: str) -> float:
        return self._by_name[node]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def items(self) -> list[tuple[str, float]]:  # pyright: ignore[reportIncompatibleMethodOverride] - a list of pairs, at once
        return list(zip(self._names, self._scores.tolist(), strict=True))


NOTHING_SERVED = Served([], np.zeros(0))


class TaskLinks:
    """Links from the tasks of committed episodes and judged recalls to fact nodes, with counts for and against."""

    def __init__(self) -> None:
        self._tasks: dict[str, int] = {}
        self._vectors: list[Vector] = []
        self._matrix: NDArray[np.float32] | None = None
        self._episodes: list[str] = []
        self._facts: dict[str, int] = {}
        self._names: list[str] = []
        self._counts: dict[tuple[int, int], list[float]] = {}
        self._arrays: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]] | None = None

    def __len__(self) -> int:
        return len(self._counts)

    def add_task(self, episode: str, vector: Vector) -> None:
        """A task (d,) that facts may have served; known episodes are left as they are."""
        if episode not in self._tasks:
            self._tasks[episode] = len(self._vectors)
            self._vectors.append(vector)
            self._matrix = None
            self._arrays = None

    def add(self, fact: str, episode: str, channel: Channel, weight: float) -> bool:
        """Count evidence on a link; False when the episode is unknown here."""
        row = self._tasks.get(episode)
        if row is None:
            return False
        column = self._facts.setdefault(node_of(fact), len(self._facts))
        if column == len(self._names):
            self._names.append(node_of(fact))
        counts = self._counts.setdefault((row, column), [0.0, 0.0])
        counts[0 if channel == "progress" else 1] += weight
        self._arrays = None
        return True

    def tasks(self) -> tuple[list[str], NDArray[np.float32]]:
        """Episode ids and their task vectors (m, d)."""
        matrix = self._stacked()
        return self._episodes, matrix

    def served(self, vector: Vector, kernel: Callable[[NDArray[np.float32]], NDArray[np.float32]] = task_kernel) -> Served:
        """Fact node -> score in (-1, 1) for a query (d,): (s - n) / (1 + s + n) over kernel-weighted evidence for and against.

        Only the links of tasks like this one are looked at.
        """
        if not self._counts:
            return NOTHING_SERVED
        weights = kernel(self._stacked() @ vector)
        near = np.flatnonzero(weights)
        if not len(near):
            return NOTHING_SERVED
        begins, columns, evidence = self._links()
        held = begins[near + 1] - begins[near]
        ends = np.cumsum(held)
        links = np.repeat(begins[near] - (ends - held), held) + np.arange(ends[-1])
        facts, place = np.unique(columns[links], return_inverse=True)
        weighed = np.repeat(weights[near], held)
        for_it = np.bincount(place, weighed * evidence[0, links], len(facts))
        against = np.bincount(place, weighed * evidence[1, links], len(facts))
        score = (for_it - against) / (1.0 + for_it + against)
        kept = np.flatnonzero(for_it + against)
        return Served([self._names[fact] for fact in facts[kept].tolist()], score[kept])

    def counts(self) -> dict[tuple[str, str], tuple[float, float]]:
        """(episode, fact node) -> (for, against); what `verify` compares."""
        episodes, facts = list(self._tasks), list(self._facts)
        return {(episodes[row], facts[column]): (good, bad) for (row, column), (good, bad) in self._counts.items()}

    def _stacked(self) -> NDArray[np.float32]:
        if self._matrix is None:
            self._matrix = np.stack(self._vectors) if self._vectors else np.zeros((0, 0), np.float32)
            self._episodes = list(self._tasks)
        return self._matrix

    def _links(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """The links in the order of their tasks: where those of each task begin (tasks + 1,), facts (links,), and evidence (2, links)."""
        if self._arrays is None:
            keys = np.array(list(self._counts), dtype=np.int64).reshape(-1, 2)
            values = np.array(list(self._counts.values()), dtype=np.float64).reshape(-1, 2)
            order = np.lexsort((keys[:, 1], keys[:, 0]))
            begins = np.searchsorted(keys[order, 0], np.arange(len(self._tasks) + 1))
            self._arrays = (begins, keys[order, 1], values[order].T.copy())
        return self._arrays
