"""Play one TextWorld game: what an agent sees, and nothing else.

A `Frame` holds the observation text, the room's description, the inventory, the admissible commands and the score. The walkthrough,
the facts of the world and the recipe stay inside TextWorld: they never reach an agent or a memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from langgraph_fluxmem.demo.games import missing_textworld

_PROMPT = re.compile(r"\n>[^\n]*\Z")  # the interpreter's prompt, padding and status line
_BANNER = re.compile(r"\A(?:[^\n]*[|\\/$][^\n]*\n|[ _]*\n)+")
STEPS = 50
"""Commands an agent has per game."""


@dataclass(frozen=True)
class Frame:
    """What is seen after a command.

    Attributes:
        observation: the game's answer to the last command; at the start, its introduction.
        description: the room as `look` describes it.
        inventory: what is carried, as `inventory` says it.
        commands: the admissible commands, sorted, without duplicates.
        score: points so far, out of `max_score`.
        won, lost: how the game ended, if it has.
        steps: commands given so far.
        done: won, lost, or no steps left.

    """

    observation: str
    description: str
    inventory: str
    commands: tuple[str, ...]
    score: int
    max_score: int
    won: bool
    lost: bool
    steps: int
    done: bool


class Kitchen:
    """One game, played in the real interpreter.

    Args:
        path: story file made by `GameCache.ensure`.
        limit: commands after which a game is over.

    Raises:
        MissingExtraError: TextWorld is not installed.

    """

    def __init__(self, path: str | Path, *, limit: int = STEPS) -> None:
        self._env = _start(path)
        self._limit = limit
        self._frame: Frame | None = None
        self.task = ""
        """The game's own statement of its goal; known after `reset`."""

    def reset(self) -> Frame:
        """Start the game anew and return its first frame."""
        state = self._env.reset()
        self.task = str(state["objective"])
        return self._see(state, steps=0)

    def step(self, command: str) -> Frame:
        """Give one command and return what follows.

        Raises:
            ValueError: the game is over, was not started, or `command` is not among the admissible ones.

        """
        if self._frame is None:
            raise ValueError("the game was not started; call reset() first")
        if self._frame.done:
            raise ValueError("the game is over; call reset() to play it again")
        if command not in self._frame.commands:
            raise ValueError(f"{command!r} is not admissible now; expected one of {list(self._frame.commands)}")
        state, _, _ = self._env.step(command)
        return self._see(state, steps=self._frame.steps + 1)

    def close(self) -> None:
        """Free the interpreter."""
        self._env.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _see(self, state: Any, *, steps: int) -> Frame:
        won, lost = bool(state["won"]), bool(state["lost"])
        self._frame = Frame(
            observation=clean(str(state["feedback"])),
            description=str(state["description"]).strip(),
            inventory=str(state["inventory"]).strip(),
            commands=tuple(state["admissible_commands"]),
            score=int(state["score"]),
            max_score=int(state["max_score"]),
            won=won,
            lost=lost,
            steps=steps,
            done=won or lost or steps >= self._limit,
        )
        return self._frame


def clean(text: str) -> str:
    """Drop the interpreter's banner, prompt and status line from a game's answer; single blank lines stay."""
    text = _PROMPT.sub("", text.rstrip())
    text = _BANNER.sub("", text.lstrip("\n"))
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _start(path: str | Path) -> Any:
    try:
        import textworld  # noqa: PLC0415  (heavy, and optional)
    except ImportError:
        raise missing_textworld() from None
    wanted = textworld.EnvInfos(
        description=True, inventory=True, admissible_commands=True, score=True, max_score=True, objective=True, won=True, lost=True
    )
    return textworld.start(str(path), wanted)
