"""Withdrawing credit: a step that an attempt would have gone well without is not what led on (LEARNING, section 3)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from langgraph_fluxmem.edits import EvidenceWrite
from langgraph_fluxmem.schema import Namespace

if TYPE_CHECKING:
    from langgraph_fluxmem.engine import Engine


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Evidence below 0, and the log positions of the operations whose credit it withdraws: undoing one of them takes it along."""

    writes: tuple[EvidenceWrite, ...] = ()
    rests_on: tuple[int, ...] = ()


def withdrawn(engine: Engine, namespace: Namespace, steps: Collection[str], operation: str) -> Withdrawn:
    """Withdraw all progress that live operations have credited these steps (``episode version#ordinal``) with."""
    if not steps:
        return Withdrawn()
    sums = dict.fromkeys(steps, 0.0)
    positions: set[int] = set()
    for row in engine.ledger.evidence(namespace):
        if row.channel == "progress" and row.target in sums:
            sums[row.target] += row.weight
            positions.add(row.op)
    writes = tuple(EvidenceWrite(step, operation, "progress", -credit) for step, credit in sums.items() if credit > 0)
    return Withdrawn(writes, tuple(sorted(positions)) if writes else ())
