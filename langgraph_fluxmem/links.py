"""Learned links from tasks to facts: a fact also answers to the tasks it has served.

A projection of evidence: every sum here is a sum over rows, so that undo is subtraction and order does not matter. How alike two tasks
are is `alikeness`. What feedback named though it was never shown counts in full for the same task again, and little for others: nothing
but the word of who gave the feedback says that it has to do with the task. Measured on LoCoMo (`tests.benchmarks.locomo_feedback`).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.alikeness import Tasks
from langgraph_fluxmem.schema import Channel, Vector

FEW = 256
"""Links up to which they are added up one by one, which takes less time than calling numpy for them."""
UNSHOWN = 0.25
"""What evidence on a fact counts for other tasks, where feedback named it though the recall had not shown it."""


def node_of(version_id: str) -> str:
    """The node a version id belongs to (``node:digest``)."""
    return version_id.rsplit(":", 1)[0]


NOTHING_SERVED: Mapping[str, float] = MappingProxyType({})


class _Links(NamedTuple):
    """Links in the order of their tasks: where those of each task begin (tasks + 1,), facts (links,), evidence for less against (links,) and
    what of it counts for other tasks (links,)."""

    begins: NDArray[np.int64]
    columns: NDArray[np.int64]
    gained: NDArray[np.float64]
    elsewhere: NDArray[np.float64]


class TaskLinks:
    """Links from the tasks of committed episodes and judged recalls to fact nodes, with counts for and against."""

    def __init__(self) -> None:
        self._tasks = Tasks()
        self._facts: dict[str, int] = {}
        self._names: list[str] = []
        self._places: dict[tuple[int, int], int] = {}
        self._ends: tuple[array[int], array[int]] = (array("q"), array("q"))
        self._counts: tuple[array[float], array[float]] = (array("d"), array("d"))
        self._unshown: set[int] = set()
        self._arrays: _Links | None = None

    def __len__(self) -> int:
        return len(self._places)

    def add_task(self, episode: str, vector: Vector, words: Iterable[str] = ()) -> None:
        """A task (d,) with its words that facts may have served; known episodes are left as they are."""
        self._tasks.add(episode, vector, words)
        self._arrays = None

    def add(self, fact: str, episode: str, channel: Channel, weight: float, *, shown: bool = True) -> bool:
        """Count evidence on a link; False when the episode is unknown here. `shown`: not said to have been named without being shown."""
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
        if not shown:
            self._unshown.add(place)
        self._arrays = None
        return True

    def tasks(self) -> tuple[list[str], NDArray[np.float32]]:
        """Episode ids and their task vectors (m, d)."""
        return self._tasks.names, self._tasks.vectors

    def served(self, vector: Vector, words: Iterable[str] = ()) -> Mapping[str, float]:
        """Fact node -> score in [-1, 1] for a task (d,) of these words: evidence for less evidence against, each by how alike its task is.

        Only the links of tasks like this one are looked at.
        """
        if not self._places:
            return NOTHING_SERVED
        near, alike, same = self._tasks.near(vector, words)
        if not len(near):
            return NOTHING_SERVED
        begins, columns, gained, elsewhere = self._links()
        held = begins[near + 1] - begins[near]
        if held.sum() > FEW:
            ends = np.cumsum(held)
            links = np.repeat(begins[near] - (ends - held), held) + np.arange(ends[-1])
            facts, place = np.unique(columns[links], return_inverse=True)
            worth = np.where(np.repeat(same, held), gained[links], elsewhere[links])
            summed = np.bincount(place, np.repeat(alike, held) * worth, len(facts)).astype(np.float64)
        else:
            sums: dict[int, float] = {}
            for task, much, again in zip(near.tolist(), alike.tolist(), same.tolist(), strict=True):
                own = slice(begins[task], begins[task + 1])
                for fact, gain in zip(columns[own].tolist(), (gained if again else elsewhere)[own].tolist(), strict=True):
                    sums[fact] = sums.get(fact, 0.0) + much * gain
            return {self._names[fact]: max(-1.0, min(1.0, score)) for fact, score in sums.items() if score}
        kept = summed.nonzero()[0]
        score = np.clip(summed[kept], -1.0, 1.0)
        return {self._names[fact]: much for fact, much in zip(facts[kept].tolist(), score.tolist(), strict=True)}

    def behind(self, vector: Vector, words: Iterable[str], facts: Iterable[str]) -> dict[str, list[tuple[str, float, float, float]]]:
        """Fact node -> the past tasks that speak for or against it for a task (d,) of these words: (episode, likeness, for, against), the one
        that says most first. `served` is the sum of likeness times for less against."""
        out: dict[str, list[tuple[str, float, float, float]]] = {node: [] for node in facts}
        near = self._tasks.near(vector, words)
        alike = {row: (much, again) for row, much, again in zip(near.tasks.tolist(), near.alike.tolist(), near.same.tolist(), strict=True)}
        wanted = {self._facts[node]: node for node in out if node in self._facts}
        for (row, column), at in self._places.items():
            node = wanted.get(column)
            if node is not None and row in alike:
                much, again = alike[row]
                worth = UNSHOWN if at in self._unshown and not again else 1.0
                out[node].append((self._tasks.names[row], worth * much, self._counts[0][at], self._counts[1][at]))
        for found in out.values():
            found.sort(key=lambda link: (-abs(link[1] * (link[2] - link[3])), link[0]))
        return out

    def counts(self) -> dict[tuple[str, str], tuple[float, float]]:
        """(episode, fact node) -> (for, against); what `verify` compares."""
        tasks = self._tasks.names
        return {(tasks[row], self._names[column]): (self._counts[0][at], self._counts[1][at]) for (row, column), at in self._places.items()}

    def _links(self) -> _Links:
        """The links in the order of their tasks."""
        if self._arrays is None:
            rows, columns = (np.array(end, dtype=np.int64) for end in self._ends)
            order = np.lexsort((columns, rows))
            begins = np.searchsorted(rows[order], np.arange(len(self._tasks) + 1))
            gained = np.array(self._counts[0]) - np.array(self._counts[1])
            elsewhere = gained.copy()
            elsewhere[list(self._unshown)] *= UNSHOWN
            self._arrays = _Links(begins, columns[order], gained[order], elsewhere[order])
        return self._arrays
