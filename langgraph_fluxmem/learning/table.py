"""The steps that did one template, and the trees of conditions grown over them.

Trees are grown over at most `SAMPLE` steps with progress or a loss and as many that only failed, taken from the most similar tasks
first; within a task, those whose ids hash lowest. So the cost of a decision is bounded while memory grows, and the trees stay a
function of the set of rows: order does not matter, and what is withdrawn leaves no trace.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.learning.tree import Growth, Node, grow

SAMPLE = 500
"""Steps per kind (told something, only failed) that trees are grown over."""
KEPT_LENSES = 8
"""For how many tasks trees are kept."""

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(slots=True)
class StepInfo:
    """A stored step, as memory needs it.

    Attributes:
        key: its template; `levels`: those that evidence is kept for, the general one first.
        links: numbers of its situation's patterns.
        moment: numbers of the patterns of its situation that do not depend on the action; the first says what was done last.
        group: the task it belongs to.
        rank: its place in samples; see `rank_of`.
        evidence: sums of weights: progress, failure, loss.
    """

    episode: str
    ordinal: int
    key: str
    levels: tuple[str, ...]
    links: IntArray
    moment: IntArray
    group: int
    rank: int
    evidence: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])

    @property
    def id(self) -> str:
        """The id evidence names it by."""
        return f"{self.episode}#{self.ordinal}"


def rank_of(target: str) -> int:
    """A step's place among others: a hash of its id."""
    return int.from_bytes(hashlib.blake2b(target.encode(), digest_size=8).digest(), "big")


@dataclass(slots=True)
class Lens:
    """How much each task group counts for one task: `weights` (groups,) in [0, 1]; `number` names it for caches."""

    number: int
    weights: FloatArray
    order: IntArray
    """Groups that count, the most similar first."""


@dataclass(frozen=True, slots=True)
class Grown:
    """What a table says: trees for progress and for loss, and for each pattern (by number) the weight of the steps that had it, of those
    among them that led on, and of those that were lost."""

    value: Node
    risk: Node
    tried: dict[int, float]
    led: dict[int, float]
    lost: dict[int, float]


class Table:
    """Steps with evidence of one template level."""

    __slots__ = ("_grown", "_places", "_strata", "version")

    def __init__(self) -> None:
        self.version = 0
        self._strata: dict[tuple[int, bool], list[tuple[int, str]]] = {}
        self._places: dict[str, tuple[int, bool]] = {}
        self._grown: dict[tuple[int, Growth], tuple[int, Grown]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def put(self, step: StepInfo) -> None:
        """Bring a step's place up to date with its evidence; a step without evidence has none."""
        target = step.id
        place = (step.group, step.evidence[0] > 0 or step.evidence[2] > 0) if any(step.evidence) else None
        before = self._places.get(target)
        entry = (step.rank, target)
        if before is not None and before != place:
            stratum = self._strata[before]
            index = bisect_left(stratum, entry)
            del stratum[index]
            self._touched(index)
            del self._places[target]
        if place is None:
            return
        stratum = self._strata.setdefault(place, [])
        if before != place:
            insort(stratum, entry)
            self._places[target] = place
        self._touched(bisect_left(stratum, entry))

    def grown(self, lens: Lens, growth: Growth, steps: Mapping[str, StepInfo], vocabulary: Sequence[str]) -> Grown:
        """The trees as a task sees them."""
        key = (lens.number, growth)
        known = self._grown.get(key)
        if known is not None and known[0] == self.version:
            return known[1]
        result = self._grow(lens, growth, steps, vocabulary)
        if len(self._grown) >= KEPT_LENSES:
            self._grown.clear()
        self._grown[key] = (self.version, result)
        return result

    def _touched(self, index: int) -> None:
        if index < SAMPLE:
            self.version += 1

    def _grow(self, lens: Lens, growth: Growth, steps: Mapping[str, StepInfo], vocabulary: Sequence[str]) -> Grown:
        chosen: list[StepInfo] = []
        weights: list[float] = []
        for told in (True, False):
            room = SAMPLE
            for group in lens.order.tolist():
                stratum = self._strata.get((group, told))
                if not stratum:
                    continue
                taken = stratum[:room]
                weight = float(lens.weights[group]) * _coarse(len(stratum) / len(taken))
                chosen += [steps[target] for _, target in taken]
                weights += [weight] * len(taken)
                room -= len(taken)
                if room <= 0:
                    break
        counts = np.array([step.evidence for step in chosen]).reshape(-1, 3) * np.array(weights).reshape(-1, 1)
        total = counts[:, 0] + counts[:, 1]
        good, lost = counts[:, 0], np.minimum(counts[:, 2], total)
        sizes = [len(step.links) for step in chosen]
        numbers = np.concatenate([step.links for step in chosen]) if chosen else np.zeros(0, np.int64)
        names, columns = np.unique(numbers, return_inverse=True)
        rows = np.repeat(np.arange(len(chosen)), sizes)
        sums = [
            dict(zip(names.tolist(), np.bincount(columns, weight[rows], len(names)).tolist(), strict=True))
            for weight in (total, good, lost)
        ]
        common = np.flatnonzero(np.bincount(columns, minlength=len(names)) >= 2).tolist()
        common.sort(key=lambda column: vocabulary[int(names[column])])  # so that ties do not depend on what was seen first
        place = np.full(len(names), -1)
        place[common] = np.arange(len(common))
        kept = place[columns] >= 0
        features = np.zeros((len(chosen), len(common)))
        features[rows[kept], place[columns[kept]]] = 1.0
        value = grow(features, names[common], good, total, growth.v0, growth=growth)
        risk = grow(features, names[common], lost, total, growth.l0, growth=growth)
        return Grown(value, risk, *sums)


def _coarse(ratio: float) -> float:
    """A ratio >= 1 rounded down to a power of 2^(1/4), so that it changes seldom."""
    return float(2.0 ** (np.floor(np.log2(ratio) * 4 + 1e-9) / 4))
