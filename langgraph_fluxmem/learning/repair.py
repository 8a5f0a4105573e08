"""Edits inside an episode, as a value: when acting on advice gets nowhere, advice changes before anything is learned for good [F 3.2]."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self, cast

from langgraph_fluxmem.learning.situation import as_text
from langgraph_fluxmem.schema import Action

FUTILE_KEPT = 200
"""How many futile actions are remembered."""
ENDED_KEPT = 500
"""How many bad endings of a run are remembered."""


@dataclass(frozen=True, slots=True)
class Repair:
    """State of the edits of one episode."""

    stuck: int = 0
    futile: tuple[str, ...] = ()
    """Actions, as text, that changed nothing and brought nothing since the observation last changed (prune)."""

    ended: tuple[str, ...] = ()
    """Courses (`course`) by which earlier episodes of this run ended badly: none of them is taken to its end again (prune)."""

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Self:
        """From JSON; what this version does not know is left out."""
        known: dict[str, Any] = {}
        for field in fields(cls):
            if field.name in value:
                held: Any = value[field.name]
                known[field.name] = tuple(cast("list[str]", held)) if isinstance(held, list) else held
        return cls(**known)

    def as_dict(self) -> dict[str, Any]:
        """As JSON, for graph state."""
        return {name: list(held) if isinstance(held, tuple) else held for name, held in asdict(self).items()}

    @property
    def optimism(self) -> float:
        """Pseudo-count of progress for every action: what has little evidence is preferred while the episode is stuck (expand)."""
        return min(1.0, 0.1 * max(0, self.stuck - 6))

    @property
    def novelty(self) -> bool:
        """Whether the episode has been stuck for so long that only evidence from just such moments counts."""
        return self.stuck >= 20

    @property
    def caution(self) -> float:
        """Factor on everything that speaks of losses; it falls while the episode is stuck, so that false losses do not lock in."""
        return 1.0 - 0.5 * self.optimism


def repair_after(repair: Repair, action: Action, *, progress: float, loss: float, changed: bool) -> Repair:
    """The edits in force after a step: progress ends being stuck, every step without it adds to it. What did nothing is futile until
    something changes."""
    del loss
    if progress > 0:
        return Repair(ended=repair.ended)
    futile = () if changed else tuple(dict.fromkeys((*repair.futile, as_text(action))))[-FUTILE_KEPT:]
    return replace(repair, stuck=repair.stuck + 1, futile=futile)


def course(task: str, actions: Sequence[Action]) -> str:
    """Names a course of action in a task (16 hex digits)."""
    text = json.dumps([task, *actions], ensure_ascii=False, sort_keys=True)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def ended_badly(ended: Sequence[str], task: str, actions: Sequence[Action]) -> list[str]:
    """`ended` with one more course of action that ended a task badly; the latest are kept."""
    return list(dict.fromkeys((*ended, course(task, actions))))[-ENDED_KEPT:] if actions else list(ended)
