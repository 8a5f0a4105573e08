"""What the steps of a namespace have shown: a projection of stored episodes and evidence rows.

`StepMemory` is a function of the set of live rows alone: weights are multiples of 2^-10, so that float64 sums are exact, rows may come
in any order (evidence before its episode, too), and withdrawing an operation is subtraction. A task's say in another task is a kernel
of their similarity, K = max(0, (cos - floor) / (1 - floor))^2; tasks without a vector count in full.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from sys import intern
from typing import Any

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.learning.credit import branches_of, derived, moment_of
from langgraph_fluxmem.learning.doubt import contradiction
from langgraph_fluxmem.learning.table import KEPT_LENSES, Grown, Lens, StepInfo, Table, rank_of
from langgraph_fluxmem.learning.tree import Growth
from langgraph_fluxmem.schema import Channel, Vector

CHANNELS: dict[Channel, int] = {"progress": 0, "failure": 1, "loss": 2}
FLOOR = 0.5
"""Cosine of two tasks from which one has a say in the other: nine of ten pairs of unrelated questions lie below (LoCoMo, MiniLM: .44)."""
LEXICAL_FLOOR = 0.25
"""The same where the embedding sees words alone (.19 there): two tasks that differ in a name or a number are at .4 to .8, not .5 to .9."""
Counts = tuple[float, float, float]
"""Sums of evidence: progress, failure, loss."""


class StepMemory:
    """See the module. Not thread-safe: the owner serialises changes and reads."""

    def __init__(self, floor: float = FLOOR) -> None:
        self._floor = floor
        self.steps: dict[str, StepInfo] = {}
        self.bodies: dict[str, Mapping[str, Any]] = {}
        self.patterns: list[str] = []
        self.numbers: dict[str, int] = {}
        self._tables: dict[str, Table] = {}
        self._moments: dict[int, list[tuple[int, str]]] = {}
        self._tasks: dict[tuple[str, bytes], int] = {}
        self._names: list[str] = []
        self._vectors: list[Vector | None] = []
        self._matrix: NDArray[np.float32] | None = None
        self._early: dict[str, list[float]] = {}
        self._episodes_of: dict[int, list[str]] = {}
        self._evidence_of: dict[int, list[tuple[str, int, float]]] = {}
        self._lenses: OrderedDict[bytes, Lens] = OrderedDict()
        self._lens_number = 0
        self._contradiction: str | None = None

    def add_episode(
        self, episode_id: str, body: Mapping[str, Any], task_vector: Vector | None, op: int, *, held: Mapping[str, Any] | None = None
    ) -> None:
        """Add a stored episode, `body` as `credit.record` made it, written by operation `op`. Adding it twice changes nothing.

        `task_vector` is (d,) float32, L2-normalised; without one the task counts in full for every other. `held` is kept in place of `body`:
        the same, packed.
        """
        if episode_id in self.bodies:
            return
        self.bodies[episode_id] = body if held is None else held
        self._contradiction = None
        self._episodes_of.setdefault(op, []).append(episode_id)
        group = self._group(str(body["task"]), task_vector)
        for ordinal in range(len(body["steps"])):
            made = derived(body, ordinal)
            if made is None:
                continue
            key, levels, links = intern(made[0]), tuple(map(intern, made[1])), made[2]
            target = f"{episode_id}#{ordinal}"
            numbers = np.array(sorted(self._number(link) for link in links), np.int64)
            moment = np.array([self._number(pattern) for pattern in moment_of(body, ordinal)], np.int64)
            branches = branches_of(body, ordinal)
            kept = (levels[0], *branches) if branches else levels[: levels.index(key) + 1]
            step = StepInfo(episode_id, ordinal, key, kept, numbers, moment, group, rank_of(target))
            self.steps[target] = step
            early = self._early.pop(target, None)
            if early is not None:
                step.evidence = early
                self._put(step)

    def add_evidence(self, target: str, channel: Channel, weight: float, op: int) -> None:
        """Add `weight` of evidence on step `target` (``episode#ordinal``), written by operation `op`."""
        number = CHANNELS[channel]
        self._evidence_of.setdefault(op, []).append((target, number, weight))
        self._change(target, number, weight)

    def remove(self, op: int) -> None:
        """Withdraw everything operation `op` wrote; nothing when it wrote nothing."""
        for target, channel, weight in self._evidence_of.pop(op, ()):
            self._change(target, channel, -weight)
        for episode_id in self._episodes_of.pop(op, ()):
            body = self.bodies.pop(episode_id)
            self._contradiction = None
            for ordinal in range(len(body["steps"])):
                target = f"{episode_id}#{ordinal}"
                step = self.steps.pop(target, None)
                if step is not None and any(step.evidence):
                    self._early[target] = step.evidence
                    step.evidence = [0.0, 0.0, 0.0]
                    self._put(step)

    def lens(self, task_vector: Vector | None) -> Lens:
        """How much each task seen so far counts for a task with this vector."""
        key = b"" if task_vector is None else task_vector.tobytes()
        known = self._lenses.get(key)
        if known is not None and len(known.weights) == len(self._vectors):
            self._lenses.move_to_end(key)
            return known
        weights = self._weights(task_vector)
        counting = sorted(np.flatnonzero(weights > 0).tolist(), key=lambda group: (-weights[group], self._names[group]))
        if known is None:
            self._lens_number += 1
        number = (
            self._lens_number if known is None else known.number
        )  # what old tasks count for stays, and a new one's steps touch their tables
        made = Lens(number, weights, np.array(counting, np.int64))
        self._lenses[key] = made
        if len(self._lenses) > KEPT_LENSES:
            self._lenses.popitem(last=False)
        return made

    def alike(self, group: int) -> NDArray[np.float64]:
        """How much each task seen so far counts for one of them, (groups,)."""
        return self._weights(self._vectors[group])

    def contradiction(self) -> str:
        """What is to be said when the evidence contradicts itself, else empty; see `doubt.contradiction`."""
        if self._contradiction is None:
            self._contradiction = contradiction(self)
        return self._contradiction

    def grown(self, level: str, lens: Lens, growth: Growth) -> Grown | None:
        """What is known of a template level, as a task sees it; None when no step of it has evidence."""
        table = self._tables.get(level)
        return table.grown(lens, growth, self.steps, self.patterns) if table is not None and len(table) else None

    def numbered(self, links: Sequence[str]) -> dict[int, str]:
        """Those of `links` that some step had, by number."""
        return {number: link for link in links if (number := self.numbers.get(link)) is not None}

    def after(self, last: str, limit: int) -> list[StepInfo]:
        """At most `limit` steps with evidence that were done in a situation with this first pattern of its moment."""
        number = self.numbers.get(last)
        return [] if number is None else [self.steps[target] for _, target in self._moments.get(number, [])[:limit]]

    def counts(self) -> dict[str, dict[str, Counts]]:
        """All evidence: template -> situation pattern (``""``: any) -> sums over its steps, without those that have none."""
        found: dict[str, dict[str, list[float]]] = {}
        for step in self.steps.values():
            if any(step.evidence):
                for level in step.levels:
                    sums = found.setdefault(level, {})
                    for pattern in ("", *(self.patterns[link] for link in step.links)):
                        kept = sums.setdefault(pattern, [0.0, 0.0, 0.0])
                        for channel, weight in enumerate(step.evidence):
                            kept[channel] += weight
        return {level: {pattern: (row[0], row[1], row[2]) for pattern, row in sums.items()} for level, sums in found.items()}

    def _weights(self, task_vector: Vector | None) -> NDArray[np.float64]:
        weights = np.ones(len(self._vectors))
        if task_vector is not None and self._vectors:
            if self._matrix is None:
                zero = np.zeros(len(task_vector), np.float32)
                self._matrix = np.stack([zero if vector is None else vector for vector in self._vectors])
            cosines = np.einsum("ij,j->i", self._matrix, task_vector).astype(np.float64)  # row by row: the same in any order
            weights = np.square(np.clip((cosines - self._floor) / (1 - self._floor), 0.0, 1.0))
            weights[[vector is None for vector in self._vectors]] = 1.0
        return weights

    def _change(self, target: str, channel: int, weight: float) -> None:
        step = self.steps.get(target)
        if step is None:
            waiting = self._early.setdefault(target, [0.0, 0.0, 0.0])
            waiting[channel] += weight
            if not any(waiting):
                del self._early[target]
            return
        step.evidence[channel] += weight
        self._contradiction = None
        self._put(step)

    def _put(self, step: StepInfo) -> None:
        if len(step.moment):
            last = self._moments.setdefault(int(step.moment[0]), [])
            entry = (step.rank, step.id)
            index = bisect_left(last, entry)
            there = index < len(last) and last[index] == entry
            if any(step.evidence) and not there:
                last.insert(index, entry)
            elif not any(step.evidence) and there:
                del last[index]
        for level in step.levels:
            table = self._tables.get(level)
            if table is None:
                table = self._tables[level] = Table()
            table.put(step)

    def _number(self, link: str) -> int:
        known = self.numbers.get(link)
        if known is None:
            known = self.numbers[link] = len(self.patterns)
            self.patterns.append(link)
        return known

    def _group(self, task: str, vector: Vector | None) -> int:
        key = (task, b"" if vector is None else vector.tobytes())
        known = self._tasks.get(key)
        if known is None:
            known = self._tasks[key] = len(self._vectors)
            self._names.append(task)
            self._vectors.append(vector)
            self._matrix = None
        return known
