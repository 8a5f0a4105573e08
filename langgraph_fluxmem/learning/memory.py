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
from langgraph_fluxmem.learning.tree import Node, grow
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
    """Rows of one template: the steps that did it and have evidence, as a matrix over situation patterns."""

    __slots__ = ("_free", "_grown", "_rows", "_size", "columns", "counts", "groups", "names", "order", "version", "x")

    def __init__(self) -> None:
        self.version = 0
        self.columns: dict[str, int] = {}
        self.names: list[str] = []
        self.order = np.zeros(0, np.int64)
        self.x = np.zeros((8, 64))
        self.counts = np.zeros((8, 3))
        self.groups = np.zeros(8, np.int64)
        self._rows: dict[str, int] = {}
        self._free: list[int] = []
        self._size = 0
        self._grown: dict[int, tuple[int, tuple[Node, Node, list[float]]]] = {}

    def put(self, target: str, step: StepInfo) -> None:
        """Set the row of a step to its present evidence; a row without evidence is dropped."""
        self.version += 1
        row = self._rows.get(target)
        if not any(step.evidence):
            if row is not None:
                self.drop(target)
            return
        if row is None:
            row = self._free.pop() if self._free else self._size
            self._size = max(self._size, row + 1)
            self._rows[target] = row
            if row == len(self.counts):
                self.x = np.concatenate((self.x, np.zeros_like(self.x)))
                self.counts = np.concatenate((self.counts, np.zeros_like(self.counts)))
                self.groups = np.concatenate((self.groups, np.zeros_like(self.groups)))
            columns = [self._column(link) for link in step.links]
            self.x[row, columns] = 1.0
            self.groups[row] = step.group
        self.counts[row] = step.evidence

    def drop(self, target: str) -> None:
        """Forget a step's row."""
        row = self._rows.pop(target, None)
        if row is None:
            return
        self.version += 1
        self.x[row] = 0.0
        self.counts[row] = 0.0
        self._free.append(row)

    def trees(self, lens: Lens, shape: Shape) -> tuple[Node, Node, list[float]]:
        """(value, risk, tried): what decides progress against failure, what decides loss, and the weight each pattern was seen with."""
        known = self._grown.get(lens.number)
        if known is not None and known[0] == self.version:
            return known[1]
        size, width = self._size, len(self.names)
        weights = lens.weights[self.groups[:size]]
        counts = self.counts[:size] * weights[:, None]
        kept = np.flatnonzero(counts.any(axis=1))
        x = self.x[kept, :width]
        counts = counts[kept]
        total = counts[:, 0] + counts[:, 1]
        if len(self.order) != width:
            self.order = np.argsort(np.argsort(np.array(self.names, dtype=object))) if width else np.zeros(0, np.int64)
        options = {"k": shape.k, "smallest": shape.smallest, "depth": shape.depth}
        value = grow(x, self.names, self.order, counts[:, 0], total, shape.v0, gain=shape.gain, **options)
        risk = grow(x, self.names, self.order, np.minimum(counts[:, 2], total), total, shape.l0, gain=shape.gain, **options)
        if len(self._grown) > _KEPT_TASKS:
            self._grown.clear()
        tried: list[float] = (total @ x).tolist()
        self._grown[lens.number] = (self.version, (value, risk, tried))
        return value, risk, tried

    def _column(self, link: str) -> int:
        column = self.columns.get(link)
        if column is None:
            column = self.columns[link] = len(self.names)
            self.names.append(link)
            if column == self.x.shape[1]:
                self.x = np.concatenate((self.x, np.zeros_like(self.x)), axis=1)
        return column


@dataclass(frozen=True, slots=True)
class Shape:
    """How trees are grown: shrinkage `k`, priors, nats a condition must explain, least weight of a branch, depth."""

    k: float = 0.5
    v0: float = 0.27
    l0: float = 0.05
    gain: float = 4.0
    smallest: float = 2.0
    depth: int = 6


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
                self._spread(target, step)

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
                    for level in (step.key, step.levels[0]):
                        self.tables[level].drop(target)
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
        """All evidence: template -> situation pattern (``""``: any) -> sums over its steps, without those that are zero."""
        found: dict[str, dict[str, list[float]]] = {}
        for step in self.steps.values():
            if any(step.evidence):
                for level in dict.fromkeys((step.levels[0], step.key)):
                    sums = found.setdefault(level, {})
                    for pattern in ("", *step.links):
                        kept = sums.setdefault(pattern, [0.0, 0.0, 0.0])
                        for channel, weight in enumerate(step.evidence):
                            kept[channel] += weight
        return {level: {pattern: (row[0], row[1], row[2]) for pattern, row in sums.items()} for level, sums in found.items()}

    def _change(self, target: str, channel: int, weight: float) -> None:
        step = self.steps.get(target)
        if step is None:
            waiting = self._pending.setdefault(target, [0.0, 0.0, 0.0])
            waiting[channel] += weight
            if not any(waiting):
                del self._pending[target]
            return
        step.evidence[channel] += weight
        self._spread(target, step)

    def _spread(self, target: str, step: StepInfo) -> None:
        for level in dict.fromkeys((step.levels[0], step.key)):
            table = self.tables.get(level)
            if table is None:
                table = self.tables[level] = Table()
            table.put(target, step)

    def _group(self, task: str, vector: Vector | None) -> int:
        key = (task, b"" if vector is None else vector.tobytes())
        known = self._groups.get(key)
        if known is None:
            known = self._groups[key] = len(self._vectors)
            self._vectors.append(vector)
            self._matrix = None
        return known
