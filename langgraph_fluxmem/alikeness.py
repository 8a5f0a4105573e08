"""How alike a task is to those that came before it.

Two tasks are alike by the words they share, weighted by how few tasks hold each, and by their vectors once what all tasks of the
namespace have in common is taken away: the vectors alone take every question about the same person for alike. Words count most. Of the
past tasks hardly any but the nearest has a say: what served tasks that are alike in part is likelier to be in the way.

The numbers were chosen on four conversations of LoCoMo at a time and checked on the fifth (`tests.benchmarks.locomo_feedback`;
docs/learning-to-retrieve.md has what else was tried).
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.schema import Vector

WITHIN = 0.25
"""Share that the words of a task which another holds have in the overlap of both: a task that is told in fewer words is the same."""
SHARP = 2.5
"""Exponent of the overlap of words."""
MEANT = 0.6
"""What equal vectors count for where no word is shared."""
UNLIKE = 0.5
"""Cosine, less what all tasks have in common, up to which vectors say nothing."""
COMMON = 10
"""Tasks from which on half of their mean is taken for what all have in common."""
COMPETITION = 8
"""Exponent of a past task's likeness relative to that of the nearest one: how little those behind it count."""
ANOTHER_WORLD = 0.2
"""Where no past task has a cosine of this, none has anything to say: words that are shared all the same are shared by accident."""
LEAST = 0.01
"""Where even the nearest of past tasks is less alike than this, none has anything to say."""
NEGLIGIBLE = 1e-3
"""Likeness below this is none."""
SAME = 0.97
"""Cosine from which on a task is the same one again."""
_FAR = NEGLIGIBLE ** (1 / (1 + COMPETITION))
"""Share of the nearest task's likeness below which it is negligible."""
_GRAIN = 2.0**20
"""The sum of vectors is kept in multiples of 1 / this, so that it is exact, whatever the order."""


_Common = tuple[NDArray[np.float32], float, NDArray[np.float64], NDArray[np.float64], float, float]
"""What all tasks have in common (d,), its squared length, the tasks' products with it (m,), their lengths (m,) without it, and the least of
both."""


class Near(NamedTuple):
    """The past tasks (n,) that have something to say of one, how `alike` (n,) they are, in (0, 1], and which are the `same` (n,)."""

    tasks: NDArray[np.int64]
    alike: NDArray[np.float64]
    same: NDArray[np.bool_]


NOBODY = Near(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.bool_))


class Tasks:
    """Tasks with their vectors and words, in the order they came: the words as (task, word) pairs and as the tasks of each word."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.names: list[str] = []
        self._matrix: NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._sum: NDArray[np.int64] = np.zeros(0, np.int64)
        self._common: _Common | None = None
        self._words: dict[str, int] = {}
        self._holders: list[array[int]] = []
        self._pairs: tuple[array[int], array[int]] = (array("q"), array("q"))
        self._weights: tuple[list[float], float, NDArray[np.float64]] | None = None
        self._held: dict[int, tuple[float, NDArray[np.int64]]] = {}

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
        grains = np.rint(np.asarray(vector, np.float64) * _GRAIN).astype(np.int64)
        self._sum = self._sum + grains if number else grains
        for word in dict.fromkeys(words):
            column = self._words.setdefault(word, len(self._words))
            if column == len(self._holders):
                self._holders.append(array("q"))
            self._holders[column].append(number)
            self._pairs[0].append(number)
            self._pairs[1].append(column)
        self._weights = self._common = None
        self._held.clear()

    @property
    def vectors(self) -> NDArray[np.float32]:
        """(m, d) the tasks' vectors."""
        return self._matrix[: len(self)]

    def near(self, vector: Vector, words: Iterable[str]) -> Near:
        """The past tasks that have something to say of a task (d,) of these words."""
        if not len(self):
            return NOBODY
        cosine = self.vectors @ vector
        nearest = float(cosine.max())
        if nearest < ANOTHER_WORLD:
            return NOBODY
        shared = self._shared(words)
        if float(shared.max()) ** SHARP + self._most_meaning(vector, nearest) < LEAST:
            return NOBODY
        alike = np.sqrt(shared)  # to the power of SHARP, in the time of two products
        alike *= shared
        alike *= shared
        meaning = self._meaning(vector, cosine)
        meaning *= 1 - alike
        alike += meaning
        nearest = float(alike.max())
        if nearest < LEAST:
            return NOBODY
        tasks = (alike >= nearest * _FAR).nonzero()[0]
        of = alike[tasks]
        if len(tasks) > 1:
            of *= (of / nearest) ** COMPETITION
            kept = of >= NEGLIGIBLE
            tasks, of = tasks[kept], of[kept]
        return Near(tasks, of, cosine[tasks] >= SAME)

    def _meaning(self, vector: Vector, cosine: NDArray[np.float32]) -> NDArray[np.float64]:
        """(m,) what the tasks' vectors say to a task (d,) that they have this `cosine` (m,) with, in [0, `MEANT`]."""
        _, _, along, lengths, _, _ = self._shared_by_all()
        rest, length = self._without_common(vector)
        beyond = cosine - along
        beyond += rest
        beyond *= 1 / ((1 - UNLIKE) * length) / lengths
        beyond -= UNLIKE / (1 - UNLIKE)
        np.maximum(beyond, 0.0, out=beyond)
        np.minimum(beyond, 1.0, out=beyond)
        beyond *= beyond
        beyond *= MEANT
        return beyond

    def _most_meaning(self, vector: Vector, cosine: float) -> float:
        """No less than `_meaning` says of any task, where none has more than this `cosine`."""
        _, _, _, _, least, shortest = self._shared_by_all()
        rest, length = self._without_common(vector)
        beyond = ((cosine - least + rest) / (shortest * length) - UNLIKE) / (1 - UNLIKE)
        return MEANT * min(max(beyond, 0.0), 1.0) ** 2

    def _without_common(self, vector: Vector) -> tuple[float, float]:
        """Of a task (d,): what its product with another one, less that one's with what all have in common, lacks of the product without it;
        and its length without it."""
        common, square, *_ = self._shared_by_all()
        own = float(vector @ common)
        return square - own, math.sqrt(max(1 - 2 * own + square, 1e-6))

    def _shared_by_all(self) -> _Common:
        """What all tasks have in common, as `_Common`."""
        if self._common is None:
            common = (self._sum / (_GRAIN * (len(self) + COMMON))).astype(np.float32)
            square, along = float(common @ common), (self.vectors @ common).astype(np.float64)
            lengths = np.sqrt(np.maximum(1 - 2 * along + square, 1e-6))
            self._common = common, square, along, lengths, float(along.min()), float(lengths.min())
        return self._common

    def _shared(self, words: Iterable[str]) -> NDArray[np.float64]:
        """(m,) overlap of the tasks' sets of words with this one, each word weighted by how few tasks have it, in [0, 1]: the cosine, and by
        `WITHIN` the share of these words that a task holds."""
        rarities, unseen, per_length = self._rarities()
        columns, held = self._words, self._held
        holders: list[NDArray[np.int64]] = []
        squares: list[float] = []
        square = 0.0
        for word in dict.fromkeys(words):
            column = columns.get(word)
            if column is None:
                square += unseen * unseen
                continue
            of, tasks = held.get(column) or self._holding(column, rarities[column])
            square += of
            holders.append(tasks)
            squares.append(of)
        if not holders:
            return np.zeros(len(self))
        shared = np.bincount(np.concatenate(holders), np.array(squares).repeat([len(tasks) for tasks in holders]), len(self))
        worth = per_length * (1 / (math.sqrt(square) + 1e-12))
        worth += WITHIN / (square + 1e-12)
        shared *= worth
        return np.minimum(shared, 1.0, out=shared)

    def _holding(self, column: int, weight: float) -> tuple[float, NDArray[np.int64]]:
        """Of a word: the square of its weight, and the tasks that hold it, in order."""
        found = self._held[column] = (weight * weight, np.array(self._holders[column], dtype=np.int64))
        return found

    def _rarities(self) -> tuple[list[float], float, NDArray[np.float64]]:
        """Weight of each word, of a word that no task holds, and what the cosine of words is worth for each task (m,): 1 - `WITHIN` by its length in these
        weights."""
        if self._weights is None:
            of = _rarity(np.array([len(holders) for holders in self._holders], dtype=np.float64), len(self))
            rows, columns = np.array(self._pairs[0], dtype=np.int64), np.array(self._pairs[1], dtype=np.int64)
            lengths = np.sqrt(np.bincount(rows, weights=np.square(of[columns]), minlength=len(self)))
            self._weights = of.tolist(), float(_rarity(np.zeros(1), len(self))[0]), (1 - WITHIN) / (lengths + 1e-12)
        return self._weights


def _rarity(holders: NDArray[np.float64], tasks: int) -> NDArray[np.float64]:
    """ln(1 + (m - n + .5) / (n + .5)) of words that n of m tasks hold."""
    weight: NDArray[np.float64] = np.log1p((tasks - holders + 0.5) / (holders + 0.5))
    return weight
