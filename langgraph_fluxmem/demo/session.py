"""One variant plays its stream of games, in a process of its own: results go to disk as they come, and to whoever listens."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from langgraph_fluxmem.demo.agents import Agent, Memory, Seat, State, build_agent, play
from langgraph_fluxmem.demo.baselines import whole_lines
from langgraph_fluxmem.demo.explain import Explainer
from langgraph_fluxmem.demo.games import GameCache, GameSpec
from langgraph_fluxmem.demo.kitchen import STEPS, Kitchen
from langgraph_fluxmem.demo.memories import BUILT_ON, FluxMemory, open_memory
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
        once: a course that was played to its end is not played again; its games are told.
        without: called with the parts named after ``!`` in a variant's name before its memory is opened (for experiments).

    """

    seed: int
    games: int
    first_game: int
    data: Path
    cache: Path
    tests: bool = False
    flip: float = 0.0
    once: bool = False
    without: Callable[[Sequence[str]], None] | None = None

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
        parts = self.variant.split("!")[1:]
        if parts and self.course.without is not None:
            self.course.without(parts)
        memory = open_memory(self.variant, self.folder, GameCache(self.course.cache))
        try:
            self.emit(Opened(self.variant, self.course.seed, memory.episodes(), tuple(done)))
            with SqliteSaver.from_conn_string(str(self.folder / "checkpoints.sqlite")) as saver:
                explainer = Explainer()
                table = _Table(build_agent(memory, saver), saver, memory, self.course, number, explainer)
                for result in self._play(table, len(done)):
                    with self._log.open("a", encoding="utf-8") as file:
                        file.write(json.dumps({"course": self._key(number), "result": asdict(result)}) + "\n")
                    self.emit(result)
                    table.clear()
            self.emit(Finished(self.variant, self.course.seed, _holdings(memory), explainer.explanation))
        finally:
            memory.close()

    def _play(self, table: _Table, done: int) -> Iterator[GameResult]:
        budgets = self._budgets(table.number)
        for part, index, spec in self.course.specs()[done:]:
            state = table.play(spec, frozen=part != "stream")
            extra = table.spent()
            if part == "stream" and budgets:
                extra = table.practise(spec, budgets[index])
            yield GameResult(
                variant=self.variant,
                seed=self.course.seed,
                part=part,
                index=index,
                game=spec.seed,
                won=bool(state.get("won")),
                lost=bool(state.get("lost")),
                score=float(state.get("score", 0.0)),
                steps=len(state.get("given", [])),
                extra=extra,
            )

    def _budgets(self, number: int) -> list[int]:
        """What the variant that this one is built on spent after each game of the stream; empty when it is built on none."""
        other = BUILT_ON.get(self.variant)
        if other is None:
            return []
        log = self.folder.parent / other / "games.jsonl"
        played = [GameResult(**line["result"]) for line in map(json.loads, whole_lines(log)) if line["course"] == self._key(number)]
        budgets = [result.extra for result in played if result.part == "stream"]
        if len(budgets) < self.course.games:
            raise ValueError(
                f"{self.variant!r} spends what {other!r} did, of whose {self.course.games} games {len(budgets)} were found in {log}"
            )
        return budgets

    def _standing(self) -> tuple[int, list[GameResult]]:
        """The number of this pass over a course, and the games of it that were played already (none unless it was cut short)."""
        lines = [json.loads(line) for line in whole_lines(self._log)]
        if not lines:
            return 0, []
        last = lines[-1]["course"]
        done = [GameResult(**line["result"]) for line in lines if line["course"] == last]
        if last == self._key(last[0]) and (self.course.once or len(done) < len(self.course.specs())):
            return int(last[0]), done
        return int(last[0]) + 1, []

    def _key(self, number: int) -> list[float]:
        return [number, self.course.first_game, self.course.games, int(self.course.tests), self.course.flip]


@dataclass
class _Table:
    """Where games are played, one after the other, by an agent with its memory."""

    agent: Agent
    saver: BaseCheckpointSaver[Any]
    memory: Memory
    course: Course
    number: int
    explainer: Explainer
    threads: list[str] = field(default_factory=list)

    def play(self, spec: GameSpec, *, frozen: bool, limit: int = STEPS, round_: int = 0) -> State:
        """Play a game; `round_` counts from 1 when it is played again for practice, with at most `limit` commands."""
        name = f"{self.number}-{spec.name}" if not round_ else f"{self.number}-{round_}-{spec.name}"
        self.threads.append(name)
        self.explainer.begin(spec.name)
        with Kitchen(GameCache(self.course.cache).ensure(spec), limit=limit) as kitchen:
            seat = Seat(
                kitchen,
                self.course.seed + 1000 * (self.number + 100 * round_),
                spec.seed,
                frozen=frozen,
                flip=self.course.flip,
                watch=self.explainer.watch,
            )
            durability = "exit" if self.course.once else "async"  # a benchmark that is cut short begins the game anew
            return play(self.agent, seat, thread=name, episode=f"seed-{self.course.seed}-{name}", durability=durability)

    def practise(self, latest: GameSpec, budget: int) -> int:
        """Play games of the stream up to the `latest` one again, drawn by chance, until `budget` commands were given; returns how many were."""
        given, round_ = 0, 0
        while given < budget:
            round_ += 1
            chance = random.Random(f"{self.course.seed}/{latest.seed}/{round_}")
            past = GameSpec(chance.randint(self.course.first_game, latest.seed), latest.split)
            round_of_all = 1000 * (latest.seed - self.course.first_game + 1) + round_
            given += len(self.play(past, frozen=False, limit=min(STEPS, budget - given), round_=round_of_all).get("given", []))
        return given

    def spent(self) -> int:
        """Commands that the memory has given in replays since this was asked last."""
        return self.memory.spent() if isinstance(self.memory, FluxMemory) else 0

    def clear(self) -> None:
        """Drop the checkpoints of what was played and told."""
        while self.threads:
            self.saver.delete_thread(self.threads.pop())


def _holdings(memory: Memory) -> dict[str, Any] | None:
    holdings = getattr(memory, "holdings", None)
    return holdings() if holdings is not None else None
