"""`python -m langgraph_fluxmem demo`: variants of one agent learn to cook, side by side, each in a process of its own."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from multiprocessing.queues import Queue
from pathlib import Path
from queue import Empty
from typing import Protocol

from langgraph_fluxmem.demo.games import GameCache, GameMakers, GameSpec, check_extra, default_cache
from langgraph_fluxmem.demo.memories import BUILT_ON, check_variants
from langgraph_fluxmem.demo.report import GameResult, Row, rows
from langgraph_fluxmem.demo.session import Course, Event, Failed, Finished, Opened, Session
from langgraph_fluxmem.errors import MissingExtraError

COMPARE = (("fluxmem", "static"), ("fluxmem", "none"), ("fluxmem", "nearest"), ("static", "none"))
"""Pairs whose difference the demonstration shows."""
DEFAULT_VARIANTS = ("fluxmem", "static", "none")
Job = tuple[str, Course]


@dataclass(frozen=True)
class Options:
    """What to play and where; see the command line's help."""

    seeds: tuple[int, ...] = (1,)
    games: int = 100
    first_game: int = 5000
    variants: tuple[str, ...] = DEFAULT_VARIANTS
    data: Path | None = None
    cache: Path | None = None
    json: Path | None = None
    tests: bool = True
    workers: int | None = None
    flip: float = 0.0
    once: bool = False
    without: Callable[[Sequence[str]], None] | None = None
    compare: tuple[tuple[str, str], ...] = COMPARE

    def courses(self) -> list[Course]:
        """One course per seed."""
        data = self.data or default_data()
        cache = self.cache or default_cache()
        what = Course(
            seed=0,
            games=self.games,
            first_game=self.first_game,
            data=data,
            cache=cache,
            tests=self.tests,
            flip=self.flip,
            once=self.once,
            without=self.without,
        )
        return [replace(what, seed=seed) for seed in self.seeds]

    def jobs(self) -> list[Job]:
        """Variants of each seed, the slowest first."""
        return [(variant, course) for course in self.courses() for variant in self.variants]


def default_data() -> Path:
    """`$XDG_DATA_HOME/langgraph_fluxmem/demo`, or the same under `~/.local/share`."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "langgraph_fluxmem" / "demo"


class Audience(Protocol):
    """Whoever watches a run."""

    def made(self, spec: GameSpec, count: int, of: int) -> None:
        """A game was made."""
        ...

    def see(self, event: Event) -> None:
        """Something happened at a table."""
        ...

    def tick(self) -> None:
        """Time passed."""
        ...


class RunFailedError(RuntimeError):
    """A variant's process failed; its traceback is the message."""


def run(options: Options, audience: Audience) -> list[GameResult]:
    """Play all variants over all seeds; returns every game of this pass, in the order (variant, seed, part, index).

    Raises:
        ValueError: a variant that does not exist.
        RunFailedError: a process raised, or ended without a word.

    """
    check_variants(options.variants)
    jobs = options.jobs()
    specs = list(dict.fromkeys(spec for _, course in jobs for _, _, spec in course.specs()))
    cache = GameCache(options.cache)
    results: list[GameResult] = []
    makers: GameMakers | None = None

    def on_made(spec: GameSpec) -> None:
        if makers is not None:
            audience.made(spec, makers.made, len(makers.missing))

    makers = GameMakers(cache, specs, workers=2, niceness=5, on_made=on_made)
    with makers:
        for event in in_processes(jobs, workers=options.workers or max(len(options.variants), os.cpu_count() or 1), tick=audience.tick):
            if isinstance(event, Failed):
                raise RunFailedError(f"{event.variant}, seed {event.seed}:\n{event.error}")
            if isinstance(event, Opened):
                results.extend(event.resumed)
            elif isinstance(event, GameResult):
                results.append(event)
            audience.see(event)
    parts = {"stream": 0, "new": 1, "other": 2}
    order = {variant: -place for place, variant in enumerate(options.variants)}
    return sorted(results, key=lambda r: (order[r.variant], r.seed, parts[r.part], r.index))


def summary(options: Options, results: Sequence[GameResult]) -> list[Row]:
    """Rows per variant and per difference; see `report.rows`."""
    return rows(results, games=options.games, compare=options.compare)


def in_processes(jobs: Sequence[Job], *, workers: int, tick: Callable[[], None]) -> Iterator[Event]:
    """Run each job in a process, at most `workers` at once, and yield what they say; processes still running at the end are stopped."""
    context = get_context("spawn")
    said: Queue[Event] = context.Queue()
    waiting, running = list(jobs), dict[SpawnProcess, Job]()
    try:
        while waiting or running:
            while len(running) < workers and (job := _ready(waiting, running.values())) is not None:
                waiting.remove(job)
                process = context.Process(target=_work, args=(*job, said), daemon=True)
                process.start()
                running[process] = job
            try:
                event = said.get(timeout=0.25)
            except Empty:
                tick()
                for process, (variant, course) in list(running.items()):
                    if not process.is_alive() and said.empty():
                        yield Failed(variant, course.seed, f"its process ended with code {process.exitcode} and said nothing")
                        del running[process]
                continue
            yield event
            if isinstance(event, Finished | Failed):
                ended = next(p for p, (variant, course) in running.items() if (variant, course.seed) == (event.variant, event.seed))
                ended.join()
                del running[ended]
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.join()


def _ready(waiting: Sequence[Job], running: Iterable[Job]) -> Job | None:
    """The first job that waits for nothing but a free place."""
    open_ = {(variant, course.seed) for variant, course in (*waiting, *running)}
    return next((job for job in waiting if (BUILT_ON.get(job[0], ""), job[1].seed) not in open_), None)


def _work(variant: str, course: Course, said: Queue[Event]) -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        Session(variant, course, said.put).run()
    except KeyboardInterrupt:
        return
    except BaseException:  # noqa: BLE001 - handed over and raised there
        said.put(Failed(variant, course.seed, traceback.format_exc()))


def seeds(text: str) -> tuple[int, ...]:
    """Parse ``1,2,5-8``.

    Raises:
        argparse.ArgumentTypeError: anything else.

    """
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            raise argparse.ArgumentTypeError(f"found {text!r}; expected seeds such as 1 or 1,2,5-8")
        found += range(int(first), int(last or first) + 1)
    return tuple(dict.fromkeys(found))


def positive(text: str) -> int:
    """Parse a whole number from 1 on.

    Raises:
        argparse.ArgumentTypeError: anything else.

    """
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}; expected a whole number from 1 on")
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The demonstration's options."""
    parser.add_argument("--seeds", type=seeds, default=(1,), metavar="1,2,..", help="seeds of the explorer's chance (default: 1)")
    parser.add_argument("--games", type=positive, default=100, metavar="N", help="games in the stream, each played once (default: 100)")
    parser.add_argument("--first-game", type=int, default=5000, metavar="F", help="seed of the stream's first game (default: 5000)")
    parser.add_argument("--variants", default=",".join(DEFAULT_VARIANTS), metavar="a,b", help="default: %(default)s; there is also nearest")
    parser.add_argument(
        "--no-tests", action="store_true", help="leave out the 20 new games and the 20 with unseen ingredients, memory frozen, at the end"
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="where the memories are kept (default: ~/.local/share/langgraph_fluxmem/demo)"
    )
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where games are kept (default: ~/.cache/langgraph_fluxmem/games)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write rows and games there")


def options_of(args: argparse.Namespace) -> Options:
    """The options a command line gave."""
    return Options(
        seeds=args.seeds,
        games=args.games,
        first_game=args.first_game,
        variants=tuple(args.variants.split(",")),
        data=args.data,
        cache=args.cache,
        json=args.json,
        tests=not args.no_tests,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demonstration from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m langgraph_fluxmem demo", description=__doc__)
    add_arguments(parser)
    return demo(options_of(parser.parse_args(argv)))


def demo(options: Options) -> int:
    """Play, and show it; returns the exit status."""
    try:
        check_extra()
    except MissingExtraError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    from langgraph_fluxmem.demo.show import Screen  # noqa: PLC0415  (rich belongs to the extra `demo`)

    return Screen(options).play(run, summary)
