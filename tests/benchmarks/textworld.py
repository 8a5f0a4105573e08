"""TextWorld cooking: a stream of games, each once, then frozen memory on new games and on unseen ingredients.

    python -m tests.benchmarks.textworld --seeds 1,2 --games 100 --first-game 5000 --variants none,static,refine [--json FILE]
    python -m tests.benchmarks.textworld --sweep-static            the weights of `static` and `nearest`, on development games

Variants: none; static and nearest, which do not evolve; refine (stages I and II) and noedits, the same without edits inside the episode;
full (with skills, consolidated by rules every five games), replay (with counterfactual replay), practice (refine, that plays past games
again for as many commands as replay's replays took). All share explorer, slots, templates and credit. With F = `--first-game` and
n = `--games` the stream is games F..F+n-1, new games are the next 20, other games 20 of the test split from F+n+20 on.

`refine!loss` is a variant without a part of learning (see `tests.benchmarks.without`).

With `--data DIR` every game is kept as it is played: the same command goes on where it was cut short, and plays nothing twice.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from langgraph_fluxmem.demo.games import GameSpec
from langgraph_fluxmem.demo.memories import VARIANTS
from langgraph_fluxmem.demo.report import KEYS, Row, plot, shown, write_json
from langgraph_fluxmem.demo.run import Options, positive, run, seeds, summary
from langgraph_fluxmem.demo.session import Event, Finished
from tests.benchmarks.without import PARTS, take_out

COMPARE = (
    ("full", "refine"),
    ("full", "nearest"),
    ("full", "static"),
    ("refine", "static"),
    ("refine", "nearest"),
    ("refine", "none"),
    ("static", "none"),
)
SWEEP = (4, 8, 16, 32, 64)


class Lines:
    """Prints a line per variant and seed that is done."""

    def __init__(self) -> None:
        self.started = time.monotonic()

    def made(self, spec: GameSpec, count: int, of: int) -> None:
        if count % 20 == 0:
            self._say(f"games made: {count} of {of}")

    def see(self, event: Event) -> None:
        if isinstance(event, Finished):
            self._say(f"{event.variant}, seed {event.seed}: done")

    def tick(self) -> None:
        pass

    def _say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.started:5.0f} s] {text}", file=sys.stderr, flush=True)


def measure(options: Options, plotted: Path | None = None) -> list[Row]:
    """Play in fresh memories, or go on with those kept in `options.data`; print the table; write JSON and the learning curves."""
    if options.data is not None:
        course = f"{options.first_game}-{options.games}-{options.flip:g}{'' if options.tests else '-stream'}"
        results = run(replace(options, data=options.data / course), Lines())
    else:
        with tempfile.TemporaryDirectory(prefix="fluxmem-textworld-") as folder:
            results = run(replace(options, data=Path(folder)), Lines())
    made = summary(options, results)
    width = max(len(row["variant"]) for row in made)
    print(" " * width, *(f"{key:>18}" for key in KEYS))
    for row in made:
        print(f"{row['variant']:{width}}", *(f"{shown(row, key, difference='curve' not in row):>18}" for key in KEYS))
    if options.json is not None:
        write_json(options.json, made, results)
    if plotted is not None:
        plot(results, games=options.games, path=plotted)
    return made


def _take_out(parts: Sequence[str]) -> None:
    """In a variant's own process, to its end."""
    take_out(parts)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.textworld", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=seeds, default=tuple(range(1, 13)))
    parser.add_argument("--games", type=positive, default=100)
    parser.add_argument("--first-game", type=int, default=5000)
    parser.add_argument("--variants", default="none,static,nearest,refine", help=f"some of {', '.join(VARIANTS)}")
    parser.add_argument("--flip", type=float, default=0.0, metavar="SHARE", help="turn the feedback of this share of steps around")
    parser.add_argument("--no-tests", action="store_true", help="leave out the frozen tests")
    parser.add_argument("--sweep-static", action="store_true", help="sweep the weights of static and nearest")
    parser.add_argument("--workers", type=positive, help="processes at once (default: as many as cores)")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where games are kept (default: ~/.cache/langgraph_fluxmem/games)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep memories and games here, and go on from them")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write the learning curves as a PNG")
    args = parser.parse_args(argv)
    variants = tuple(args.variants.split(","))
    unknown = {part for variant in variants for part in variant.split("!")[1:]} - PARTS.keys()
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}; parts are {', '.join(PARTS)}")
    if args.sweep_static:
        variants = tuple(f"{name}@{weight}" for name in ("static", "nearest") for weight in SWEEP)
    measure(
        Options(
            seeds=args.seeds,
            games=args.games,
            first_game=args.first_game,
            variants=variants,
            cache=args.cache,
            json=args.json,
            tests=not args.no_tests,
            workers=args.workers or 2,
            flip=args.flip,
            data=args.data,
            once=True,
            without=_take_out,
            compare=(*COMPARE, *((variant, variant.partition("!")[0]) for variant in variants if "!" in variant)),
        ),
        args.plot,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
