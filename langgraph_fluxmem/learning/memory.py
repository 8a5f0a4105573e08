"""What the steps of a namespace have shown: sums of evidence per template and per link, for every task that was seen.

`StepMemory` is a projection of stored episodes and evidence rows. It is a function of the set of live rows alone: weights are multiples
of 2^-10, so float64 sums are exact, rows may come in any order (evidence before its episode, too), and withdrawing an operation is
subtraction. A task's say in another task is a kernel of their similarity, K = max(0, (cos - 0.5) / 0.5)^2; tasks without a vector
count in full.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.learning.credit import derived
from langgraph_fluxmem.schema import Channel, Vector

CHANNELS: dict[Channel, int] = {"progress": 0, "failure": 1, "loss": 2}
Counts = tuple[float, float, float]
"""Sums of evidence: progress, failure, loss."""
NOTHING: Counts = (0.0, 0.0, 0.0)
_KEPT_TASKS = 8


@dataclass(slots=True)
class StepInfo:
    """A stored step, as memory needs it: its template (`key`, `levels`), its situation's patterns `links`, the task's group."""

    key: str
    levels: tuple[str, ...]
    links: tuple[str, ...]
    group: int
    evidence: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])


class Table:
    """Counts of one template: as a whole (pattern ``""``) and by situation pattern, kept apart by task group."""

    __slots__ = ("_counts", "_groups", "_merged", "_patterns", "_rows", "patterns", "version")

    def __init__(self) -> None:
        self.patterns: dict[str, int] = {"": 0}
        self.version = 0
        self._rows: dict[tuple[int, int], int] = {}
        self._patterns = np.zeros(16, np.int64)
        self._groups = np.zeros(16, np.int64)
        self._counts = np.zeros((16, 3))
        self._merged: dict[int, tuple[int, list[list[float]]]] = {}

    def add(self, links: tuple[str, ...], group: int, counts: tuple[float, float, float]) -> None:
        """Add `counts` (subtract: negative ones) to the template and each of `links`."""
        self.version += 1
        numbers = [0]
        numbers += [self.patterns.setdefault(link, len(self.patterns)) for link in links]
        rows = self._rows
        places: list[int] = []
        for number in numbers:
            place = rows.get((number, group))
            if place is None:
                place = rows[number, group] = len(rows)
                if place == len(self._patterns):
                    self._patterns = np.concatenate((self._patterns, np.zeros_like(self._patterns)))
                    self._groups = np.concatenate((self._groups, np.zeros_like(self._groups)))
                    self._counts = np.concatenate((self._counts, np.zeros_like(self._counts)))
                self._patterns[place] = number
                self._groups[place] = group
            places.append(place)
        self._counts[places] += counts

    def merged(self, lens: Lens) -> list[list[float]]:
        """Counts by pattern number, summed over tasks with the weights of `lens`."""
        known = self._merged.get(lens.number)
        if known is not None and known[0] == self.version:
            return known[1]
        size = len(self._rows)
        weights = lens.weights[self._groups[:size]]
        patterns = self._patterns[:size]
        sums = np.stack(
            [np.bincount(patterns, weights * self._counts[:size, channel], len(self.patterns)) for channel in range(3)], axis=1
        )
        result: list[list[float]] = sums.tolist()
        if len(self._merged) > _KEPT_TASKS:
            self._merged.clear()
        self._merged[lens.number] = (self.version, result)
        return result


@dataclass(slots=True)
class Lens:
    """How much each task group counts for one task: `weights` (groups,) in [0, 1]; `number` names it for caches."""

    number: int
    weights: NDArray[np.float64]


class StepMemory:
    """See the module. Not thread-safe: the owner serialises changes and reads."""

    def __init__(self) -> None:
        self.tables: dict[str, Table] = {}
        self.steps: dict[str, StepInfo] = {}
        self.episodes: dict[str, tuple[int, Mapping[str, Any]]] = {}
        self._groups: dict[tuple[str, bytes], int] = {}
        self._vectors: list[Vector | None] = []
        self._matrix: NDArray[np.float32] | None = None
        self._pending: dict[str, list[float]] = {}
        self._by_op: dict[int, list[tuple[Literal["episode"], str] | tuple[Literal["evidence"], str, int, float]]] = {}
        self._lenses: OrderedDict[bytes, Lens] = OrderedDict()
        self._lens_number = 0

    def add_episode(self, episode_id: str, body: Mapping[str, Any], task_vector: Vector | None, op: int) -> None:
        """Add a stored episode (`body` as `credit.record` made it) written by operation `op`. Adding it twice changes nothing."""
        if episode_id in self.episodes:
            return
        self.episodes[episode_id] = (op, body)
        self._by_op.setdefault(op, []).append(("episode", episode_id))
        group = self._group(str(body["task"]), task_vector)
        for ordinal in range(len(body["steps"])):
            made = derived(body, ordinal)
            if made is None:
                continue
            target = f"{episode_id}#{ordinal}"
            step = StepInfo(*made, group)
            self.steps[target] = step
            early = self._pending.pop(target, None)
            if early is not None:
                step.evidence = early
                self._spread(step, (early[0], early[1], early[2]))

    def add_evidence(self, target: str, channel: Channel, weight: float, op: int) -> None:
        """Add `weight` of evidence on step `target` (``episode#ordinal``), written by operation `op`."""
        number = CHANNELS[channel]
        self._by_op.setdefault(op, []).append(("evidence", target, number, weight))
        self._change(target, number, weight)

    def remove(self, op: int) -> None:
        """Withdraw everything operation `op` wrote."""
        for row in self._by_op.pop(op, ()):
            if row[0] == "evidence":
                self._change(row[1], row[2], -row[3])
                continue
            episode_id = row[1]
            _, body = self.episodes.pop(episode_id)
            for ordinal in range(len(body["steps"])):
                target = f"{episode_id}#{ordinal}"
                step = self.steps.pop(target, None)
                if step is not None and any(step.evidence):
                    self._spread(step, (-step.evidence[0], -step.evidence[1], -step.evidence[2]))
                    self._pending[target] = step.evidence

    def lens(self, task_vector: Vector | None) -> Lens:
        """Weights of all task groups for a task."""
        key = b"" if task_vector is None else task_vector.tobytes()
        known = self._lenses.get(key)
        if known is not None and len(known.weights) == len(self._vectors):
            self._lenses.move_to_end(key)
            return known
        weights = np.ones(len(self._vectors))
        if task_vector is not None and self._vectors:
            if self._matrix is None:
                zero = np.zeros(len(task_vector), np.float32)
                self._matrix = np.stack([zero if vector is None else vector for vector in self._vectors])
            cosines = self._matrix @ task_vector
            weights = np.square(np.clip((cosines.astype(np.float64) - 0.5) / 0.5, 0.0, 1.0))
            weights[[vector is None for vector in self._vectors]] = 1.0
        self._lens_number += 1
        made = Lens(self._lens_number, weights)
        self._lenses[key] = made
        self._lenses.move_to_end(key)
        if len(self._lenses) > _KEPT_TASKS:
            self._lenses.popitem(last=False)
        return made

    def counts(self) -> dict[str, dict[str, Counts]]:
        """All sums that are not zero, over all tasks: template -> situation pattern (``""``: any) -> counts."""
        lens = self.lens(None)
        found: dict[str, dict[str, Counts]] = {}
        for name, table in self.tables.items():
            merged = table.merged(lens)
            kept = {pattern: (row[0], row[1], row[2]) for pattern, n in table.patterns.items() if any(row := merged[n])}
            if kept:
                found[name] = kept
        return found

    def _change(self, target: str, channel: int, weight: float) -> None:
        step = self.steps.get(target)
        if step is None:
            waiting = self._pending.setdefault(target, [0.0, 0.0, 0.0])
            waiting[channel] += weight
            if not any(waiting):
                del self._pending[target]
            return
        step.evidence[channel] += weight
        self._spread(step, (weight * (channel == 0), weight * (channel == 1), weight * (channel == 2)))

    def _spread(self, step: StepInfo, counts: Counts) -> None:
        for level in dict.fromkeys((step.key, *step.levels)):
            table = self.tables.get(level)
            if table is None:
                table = self.tables[level] = Table()
            table.add(step.links, step.group, counts)

    def _group(self, task: str, vector: Vector | None) -> int:
        key = (task, b"" if vector is None else vector.tobytes())
        known = self._groups.get(key)
        if known is None:
            known = self._groups[key] = len(self._vectors)
            self._vectors.append(vector)
            self._matrix = None
        return known
