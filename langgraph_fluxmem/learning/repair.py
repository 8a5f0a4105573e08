"""Edits inside an episode, as a value: when acting on advice gets nowhere, advice changes before anything is learned for good [F 3.2]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from langgraph_fluxmem.learning.situation import as_text
from langgraph_fluxmem.schema import Action

FUTILE_KEPT = 200
"""How many futile actions are remembered."""


@dataclass(frozen=True, slots=True)
class Repair:
    """State of the edits of one episode."""

    stuck: int = 0
    futile: tuple[str, ...] = ()
    """Actions, as text, that changed nothing and brought nothing since the observation last changed (prune)."""

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Self:
        """From JSON; what this version does not know is left out."""
        known = {field.name: value[field.name] for field in fields(cls) if field.name in value}
        return cls(**{name: tuple(held) if isinstance(held, list) else held for name, held in known.items()})

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
        return Repair()
    futile = () if changed else tuple(dict.fromkeys((*repair.futile, as_text(action))))[-FUTILE_KEPT:]
    return replace(repair, stuck=repair.stuck + 1, futile=futile)
