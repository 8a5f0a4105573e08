"""One variant plays its stream of games, in a process of its own: results go to disk as they come, and to whoever listens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from langgraph_fluxmem.demo.agents import Agent, Memory, Seat, build_agent, play
from langgraph_fluxmem.demo.baselines import whole_lines
from langgraph_fluxmem.demo.explain import Explainer
from langgraph_fluxmem.demo.games import GameCache, GameSpec
from langgraph_fluxmem.demo.kitchen import Kitchen
from langgraph_fluxmem.demo.memories import open_memory
from langgraph_fluxmem.demo.report import GameResult, Part

TESTS = 20
"""Games in each of the two tests after the stream."""


@dataclass(frozen=True)
class Course:
    """What is played: a stream of `games` games from seed `first_game` on, each once; then, with `tests`, frozen memory on new ones.

    Attributes:
        seed: of the explorer's chance.
        data: directory of all variants' memories; cache: directory of the games.
        flip: share of steps whose feedback is turned around, to see what wrong feedback does.

    """

    seed: int
    games: int
    first_game: int
    data: Path
    cache: Path
    tests: bool = False
    flip: float = 0.0

    def specs(self) -> list[tuple[Part, int, GameSpec]]:
        """(part, index in it, game), in the order of play."""
        after = self.first_game + self.games
        listed: list[tuple[Part, int, GameSpec]] = []
        listed.extend(("stream", i, GameSpec(self.first_game + i)) for i in range(self.games))
        if self.tests:
            listed.extend(("new", i, GameSpec(after + i)) for i in range(TESTS))
            listed.extend(("other", i, GameSpec(after + TESTS + i, "test")) for i in range(TESTS))
        return listed


@dataclass(frozen=True)
class Opened:
    """A variant is ready: episodes its memory held on disk, and games of this course that were played before it was cut short."""

    variant: str
    seed: int
    episodes: int
    resumed: tuple[GameResult, ...] = ()


@dataclass(frozen=True)
class Finished:
    """A variant has played its course: what its memory holds, and why it chose one of its actions."""

    variant: str
    seed: int
    holdings: dict[str, Any] | None
    explanation: dict[str, Any] | None


@dataclass(frozen=True)
class Failed:
    """A variant's process raised."""

    variant: str
    seed: int
    error: str


Event = Opened | GameResult | Finished | Failed


class Session:
    """Play a course with one variant.

    Args:
        emit: receives an `Opened`, a `GameResult` per game, and a `Finished`.

    """

    def __init__(self, variant: str, course: Course, emit: Callable[[Event], None]) -> None:
        self.variant = variant
        self.course = course
        self.emit = emit
        self.folder = course.data / f"seed-{course.seed}" / variant
        self.folder.mkdir(parents=True, exist_ok=True)
        self._log = self.folder / "games.jsonl"

    def run(self) -> None:
        """Play to the end of the course."""
        from langgraph.checkpoint.sqlite import SqliteSaver  # noqa: PLC0415  (belongs to the extra `demo`)

        number, done = self._standing()
        memory = open_memory(self.variant, self.folder)
        try:
            self.emit(Opened(self.variant, self.course.seed, memory.episodes(), tuple(done)))
            with SqliteSaver.from_conn_string(str(self.folder / "checkpoints.sqlite")) as saver:
                agent = build_agent(memory, saver)
                explainer = Explainer()
                for result in self._play(agent, saver, number, len(done), explainer):
                    with self._log.open("a", encoding="utf-8") as file:
                        file.write(json.dumps({"course": self._key(number), "result": asdict(result)}) + "\n")
                    self.emit(result)
            self.emit(Finished(self.variant, self.course.seed, _holdings(memory), explainer.explanation))
        finally:
            memory.close()

    def _play(self, agent: Agent, saver: BaseCheckpointSaver[Any], number: int, done: int, explainer: Explainer) -> Iterator[GameResult]:
        cache = GameCache(self.course.cache)
        for part, index, spec in self.course.specs()[done:]:
            path = cache.ensure(spec)
            name = f"{number}-{spec.name}"
            explainer.begin(spec.name)
            with Kitchen(path) as kitchen:
                seat = Seat(
                    kitchen,
                    self.course.seed + 1000 * number,
                    spec.seed,
                    frozen=part != "stream",
                    flip=self.course.flip,
                    watch=explainer.watch,
                )
                state = play(agent, seat, thread=name, episode=f"seed-{self.course.seed}-{name}")
            given, won = state.get("given", []), bool(state.get("won"))
            yield GameResult(
                variant=self.variant,
                seed=self.course.seed,
                part=part,
                index=index,
                game=spec.seed,
                won=won,
                lost=bool(state.get("lost")),
                score=float(state.get("score", 0.0)),
                steps=len(given),
            )
            saver.delete_thread(name)

    def _standing(self) -> tuple[int, list[GameResult]]:
        """The number of this pass over a course, and the games of it that were played already (none unless it was cut short)."""
        lines = [json.loads(line) for line in whole_lines(self._log)]
        if not lines:
            return 0, []
        last = lines[-1]["course"]
        done = [GameResult(**line["result"]) for line in lines if line["course"] == last]
        if last == self._key(last[0]) and len(done) < len(self.course.specs()):
            return int(last[0]), done
        return int(last[0]) + 1, []

    def _key(self, number: int) -> list[float]:
        return [number, self.course.first_game, self.course.games, int(self.course.tests), self.course.flip]


def _holdings(memory: Memory) -> dict[str, Any] | None:
    holdings = getattr(memory, "holdings", None)
    return holdings() if holdings is not None else None
