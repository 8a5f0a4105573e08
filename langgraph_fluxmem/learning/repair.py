"""Edits inside an episode, as a value: when acting on advice gets nowhere, advice changes before anything is learned for good [F 3.2]."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Repair:
    """State of the edits of one episode."""

    stuck: int = 0

    @property
    def optimism(self) -> float:
        """Pseudo-count of progress for every action: what has little evidence is preferred while the episode is stuck (expand)."""
        return min(1.0, 0.15 * max(0, self.stuck - 3))

    @property
    def caution(self) -> float:
        """Factor on everything that speaks of losses; it falls while the episode is stuck, so that false losses do not lock in."""
        return 1.0 - 0.5 * self.optimism
