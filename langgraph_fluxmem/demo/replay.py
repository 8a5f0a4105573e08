"""Counterfactual replay of games: what would have come of one if other commands had been given?"""

from __future__ import annotations

from typing import Any, cast

from langchain_core.runnables import RunnableLambda

from langgraph_fluxmem.demo.games import GameCache, GameSpec, Split
from langgraph_fluxmem.demo.kitchen import Kitchen


def game_of(episode: str) -> GameSpec:
    """The game an episode was played in: its id ends with the game's name.

    Raises:
        ValueError: it does not.
    """
    split, _, seed = "-".join(episode.split("-")[-2:]).partition("-")
    if split not in ("train", "test") or not seed.isdigit():
        raise ValueError(f"found the episode id {episode!r}; expected one that ends with a game's name, such as 'train-05003'")
    return GameSpec(int(seed), cast("Split", split))


class Replay:
    """Plays commands again in the game an episode was played in, and counts what that costs.

    Args:
        cache: where the games are.

    """

    def __init__(self, cache: GameCache) -> None:
        self._cache = cache
        self._steps = 0
        self.runnable: RunnableLambda[dict[str, Any], bool] = RunnableLambda(self.play)
        """As `FluxMem.consolidate` takes it."""

    def play(self, given: dict[str, Any]) -> bool:
        """Whether the game of ``episode`` is won by ``actions``; one that is not admissible at its turn is passed over."""
        with Kitchen(self._cache.ensure(game_of(given["episode"]))) as kitchen:
            frame = kitchen.reset()
            for action in given["actions"]:
                if frame.done:
                    break
                if action in frame.commands:
                    frame = kitchen.step(action)
            self._steps += frame.steps
            return frame.won

    def spent(self) -> int:
        """Commands given since the last time this was asked."""
        steps, self._steps = self._steps, 0
        return steps
