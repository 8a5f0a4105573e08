"""Why one of the agent's actions was chosen: the decision that shows most, kept while it plays."""

from __future__ import annotations

from typing import Any

from langgraph_fluxmem.demo.agents import State
from langgraph_fluxmem.demo.kitchen import Frame
from langgraph_fluxmem.schema import Advice


class Explainer:
    """Watches decisions and keeps the most telling one: it gained points, in the latest game where one did, with the clearest advice."""

    def __init__(self) -> None:
        self.explanation: dict[str, Any] | None = None
        self._game = ""
        self._best = (-1, float("-inf"))
        self._number = 0
        self._score = 0

    def begin(self, game: str) -> None:
        """A game starts."""
        self._game = game
        self._number += 1
        self._score = 0

    def watch(self, state: State, command: str, advice: list[Advice] | None, after: Frame) -> None:
        """A decision was made; keep it when it is more telling than the one kept."""
        gained, self._score = after.score - self._score, after.score
        if not advice or gained <= 0:
            return
        chosen = next(said for said in advice if said.action == command)
        others = sorted((said for said in advice if said.action != command), key=lambda said: -said.score)
        telling = (self._number, abs(chosen.score - others[-1].score) if others else 0.0)
        if chosen.score <= 0 or telling < self._best:
            return
        self._best = telling
        self.explanation = {
            "game": self._game,
            "step": after.steps,
            "task": state.get("task", ""),
            "notes": list(state.get("notes", ())),
            "carrying": state.get("observation", {}).get("carrying", ""),
            "before": list(state.get("given", ()))[-3:],
            "said": after.observation,
            "gained": gained,
            "chosen": _told(chosen),
            "next": _told(others[0]) if others else None,
            "worst": _told(others[-1]) if others else None,
        }


def _told(advice: Advice) -> dict[str, Any]:
    told = advice.model_dump(mode="json", include={"action", "score", "value", "risk", "support"})
    return {**told, "why": [*advice.why.path, *(f"{name} {share:+.2f}" for name, share in advice.why.signals.items())]}
