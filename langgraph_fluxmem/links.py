"""Learned links from tasks to facts: a fact also answers to the tasks it has served.

A projection of evidence: every sum here is a sum over rows, so that undo is subtraction and order does not matter. How alike two tasks
are is the cube of the mean of the cosine of their vectors and of the overlap of their words; both are needed, since the vector alone
takes every question about the same person for alike. Of the past tasks hardly any but the nearest has a say: what served tasks that are
alike in part is likelier to be in the way. Measured on LoCoMo (`tests.benchmarks.locomo_feedback`).
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.schema import Channel, Vector

POWER = 3
"""Exponent of the mean of cosine and overlap."""
COMPETITION = 16
"""Exponent of a past task's likeness relative to that of the nearest one: how little those behind it count."""
NEGLIGIBLE = 1e-3
"""Likeness below this is none."""
FEW = 256
"""Links up to which they are added up one by one, which takes less time than calling numpy for them."""
_FAR = NEGLIGIBLE ** (1 / (POWER * COMPETITION))
"""Share of the nearest task's mean below which likeness is negligible."""


_NONE = np.zeros(0, np.int64)


def node_of(version_id: str) -> str:
    """The node a version id belongs to (``node:digest``)."""
    return version_id.rsplit(":", 1)[0]


def node_keys(nodes: Iterable[str]) -> NDArray[np.int64]:
    """(n,) numbers that stand for nodes within this process (64 bits of a keyed hash), so that arrays of them can be matched."""
    return np.fromiter(map(hash, nodes), dtype=np.int64)


class Tasks:
    """Tasks with their vectors and words, in the order they came: the words as (task, word) pairs and as the tasks of each word."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.names: list[str] = []
        self._matrix: NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._words: dict[str, int] = {}
        self._holders: list[array[int]] = []
        self._pairs: tuple[array[int], array[int]] = (array("q"), array("q"))
        self._weights: tuple[list[float], float, NDArray[np.float64]] | None = None
        self._held: dict[int, NDArray[np.int64]] = {}

    def __len__(self) -> int:
        return len(self.numbers)

    def add(self, task: str, vector: Vector, words: Iterable[str]) -> None:
        """A task, its vector (d,) and its words; a known task is left as it is."""
        if task in self.numbers:
            return
        number = self.numbers[task] = len(self.numbers)
        self.names.append(task)
        if number == len(self._matrix):
            grown = np.zeros((max(16, 2 * number), len(vector)), np.float32)
            grown[:number] = self._matrix if number else 0.0
            self._matrix = grown
        self._matrix[number] = vector
        for word in dict.fromkeys(words):
            column = self._words.setdefault(word, len(self._words))
            if column == len(self._holders):
                self._holders.append(array("q"))
            self._holders[column].append(number)
            self._pairs[0].append(number)
            self._pairs[1].append(column)
            self._held.pop(column, None)
        self._weights = None

    @property
    def vectors(self) -> NDArray[np.float32]:
        """(m, d) the tasks' vectors."""
        return self._matrix[: len(self)]

    def overlap(self, words: Iterable[str]) -> NDArray[np.float64]:
        """(m,) cosine of the tasks' sets of words with this one, each word weighted by how few tasks have it, in [0, 1]."""
        rarities, unseen, lengths = self._rarities()
        known: list[NDArray[np.int64]] = []
        squares: list[float] = []
        square = 0.0
        for word in dict.fromkeys(words):
            column = self._words.get(word)
            weight = unseen if column is None else rarities[column]
            square += weight * weight
            if column is not None:
                known.append(self._holding(column))
                squares.append(weight * weight)
        if not known:
            return np.zeros(len(self))
        shared = np.bincount(np.concatenate(known), np.repeat(squares, [len(held) for held in known]), len(self))
        return shared / (lengths * math.sqrt(square) + 1e-12)

    def _holding(self, column: int) -> NDArray[np.int64]:
        """The tasks that hold a word, in order."""
        held = self._held.get(column)
        if held is None:
            held = self._held[column] = np.array(self._holders[column], dtype=np.int64)
        return held

    def _rarities(self) -> tuple[list[float], float, NDArray[np.float64]]:
        """Weight of each word, of a word that no task holds, and length of each task in these weights."""
        if self._weights is None:
            of = _rarity(np.array([len(holders) for holders in self._holders], dtype=np.float64), len(self))
            rows, columns = np.array(self._pairs[0], dtype=np.int64), np.array(self._pairs[1], dtype=np.int64)
            lengths = np.sqrt(np.bincount(rows, weights=np.square(of[columns]), minlength=len(self)))
            self._weights = of.tolist(), float(_rarity(np.zeros(1), len(self))[0]), lengths
        return self._weights


class Served(Mapping[str, float]):
    """Fact node -> what past use says of it for one query, in [-1, 1]; read for many facts at once by the keys of their nodes."""

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
        self._tasks = Tasks()
        self._facts: dict[str, int] = {}
        self._names: list[str] = []
        self._places: dict[tuple[int, int], int] = {}
        self._ends: tuple[array[int], array[int]] = (array("q"), array("q"))
        self._counts: tuple[array[float], array[float]] = (array("d"), array("d"))
        self._arrays: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]] | None = None

    def __len__(self) -> int:
        return len(self._places)

    def add_task(self, episode: str, vector: Vector, words: Iterable[str] = ()) -> None:
        """A task (d,) with its words that facts may have served; known episodes are left as they are."""
        self._tasks.add(episode, vector, words)
        self._arrays = None

    def add(self, fact: str, episode: str, channel: Channel, weight: float) -> bool:
        """Count evidence on a link; False when the episode is unknown here."""
        row = self._tasks.numbers.get(episode)
        if row is None:
            return False
        column = self._facts.setdefault(node_of(fact), len(self._facts))
        if column == len(self._names):
            self._names.append(node_of(fact))
        place = self._places.setdefault((row, column), len(self._places))
        if place == len(self._ends[0]):
            for end, number in zip(self._ends, (row, column), strict=True):
                end.append(number)
            for counts in self._counts:
                counts.append(0.0)
        self._counts[0 if channel == "progress" else 1][place] += weight
        self._arrays = None
        return True

    def tasks(self) -> tuple[list[str], NDArray[np.float32]]:
        """Episode ids and their task vectors (m, d)."""
        return self._tasks.names, self._tasks.vectors

    def likeness(self, vector: Vector, words: Iterable[str]) -> NDArray[np.float64]:
        """(m,) how much each past task has to say of a task with this vector (d,) and these words, in [0, 1]."""
        alike = np.zeros(len(self._tasks))
        near, found = self._near(vector, words)
        alike[near] = found
        return alike

    def _near(self, vector: Vector, words: Iterable[str]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The past tasks (n,) that have something to say of this one, and how much (n,)."""
        if not len(self._tasks):
            return _NONE, np.zeros(0)
        mean = self._tasks.vectors @ vector
        mean = np.maximum(mean, 0.0) + self._tasks.overlap(words)
        mean = np.minimum(mean / 2, 1.0)
        nearest = float(mean.max())
        if nearest**POWER < NEGLIGIBLE:
            return _NONE, np.zeros(0)
        near = (mean >= nearest * _FAR).nonzero()[0]
        of = mean[near]
        alike = of**POWER * (of / nearest) ** (POWER * COMPETITION)
        kept = alike >= NEGLIGIBLE
        return near[kept], alike[kept]

    def served(self, vector: Vector, words: Iterable[str] = ()) -> Served:
        """Fact node -> score in [-1, 1] for a task (d,) of these words: evidence for less evidence against, each by how alike its task is.

        Only the links of tasks like this one are looked at.
        """
        if not self._places:
            return NOTHING_SERVED
        near, alike = self._near(vector, words)
        if not len(near):
            return NOTHING_SERVED
        begins, columns, gained = self._links()
        held = begins[near + 1] - begins[near]
        if held.sum() > FEW:
            ends = np.cumsum(held)
            links = np.repeat(begins[near] - (ends - held), held) + np.arange(ends[-1])
            facts, place = np.unique(columns[links], return_inverse=True)
            summed = np.bincount(place, np.repeat(alike, held) * gained[links], len(facts)).astype(np.float64)
        else:
            sums: dict[int, float] = {}
            for task, much in zip(near.tolist(), alike.tolist(), strict=True):
                own = slice(begins[task], begins[task + 1])
                for fact, gain in zip(columns[own].tolist(), gained[own].tolist(), strict=True):
                    sums[fact] = sums.get(fact, 0.0) + much * gain
            facts = np.array(sorted(sums), np.int64)
            summed = np.array([sums[fact] for fact in facts.tolist()])
        kept = summed.nonzero()[0]
        score = np.clip(summed[kept], -1.0, 1.0)
        return Served([self._names[fact] for fact in facts[kept].tolist()], score)

    def behind(self, vector: Vector, words: Iterable[str], facts: Iterable[str]) -> dict[str, list[tuple[str, float, float, float]]]:
        """Fact node -> the past tasks that speak for or against it for a task (d,) of these words: (episode, likeness, for, against), the one
        that says most first. `served` is the sum of likeness times for less against."""
        out: dict[str, list[tuple[str, float, float, float]]] = {node: [] for node in facts}
        alike = self.likeness(vector, words)
        wanted = {self._facts[node]: node for node in out if node in self._facts}
        for (row, column), at in self._places.items():
            node = wanted.get(column)
            if node is not None and alike[row]:
                out[node].append((self._tasks.names[row], float(alike[row]), self._counts[0][at], self._counts[1][at]))
        for found in out.values():
            found.sort(key=lambda link: (-abs(link[1] * (link[2] - link[3])), link[0]))
        return out

    def counts(self) -> dict[tuple[str, str], tuple[float, float]]:
        """(episode, fact node) -> (for, against); what `verify` compares."""
        tasks = self._tasks.names
        return {(tasks[row], self._names[column]): (self._counts[0][at], self._counts[1][at]) for (row, column), at in self._places.items()}

    def _links(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """The links in the order of their tasks: where those of each task begin (tasks + 1,), facts (links,), evidence for less against."""
        if self._arrays is None:
            rows, columns = (np.array(end, dtype=np.int64) for end in self._ends)
            order = np.lexsort((columns, rows))
            begins = np.searchsorted(rows[order], np.arange(len(self._tasks) + 1))
            self._arrays = (begins, columns[order], (np.array(self._counts[0]) - np.array(self._counts[1]))[order])
        return self._arrays


def _rarity(holders: NDArray[np.float64], tasks: int) -> NDArray[np.float64]:
    """ln(1 + (m - n + .5) / (n + .5)) of words that n of m tasks hold."""
    weight: NDArray[np.float64] = np.log1p((tasks - holders + 0.5) / (holders + 0.5))
    return weight
