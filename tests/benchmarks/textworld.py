"""TextWorld cooking: a stream of games, each once, then frozen memory on new games and on unseen ingredients.

    python -m tests.benchmarks.textworld --seeds 1,2 --games 100 --first-game 5000 --variants none,static,refine [--json FILE]
    python -m tests.benchmarks.textworld --sweep-static            the weights of `static` and `nearest`, on development games

Variants: none, static, nearest, refine (stages I and II). All share explorer, slots, templates and credit. With F = `--first-game` and
n = `--games` the stream is games F..F+n-1, new games are the next 20, other games 20 of the test split from F+n+20 on.
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
from langgraph_fluxmem.demo.report import KEYS, Row, shown, write_json
from langgraph_fluxmem.demo.run import Options, positive, run, seeds, summary
from langgraph_fluxmem.demo.session import Event, Finished

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


def measure(options: Options) -> list[Row]:
    """Play in fresh memories; print the table; write JSON."""
    with tempfile.TemporaryDirectory(prefix="fluxmem-textworld-") as folder:
        results = run(replace(options, data=Path(folder)), Lines())
    made = summary(options, results)
    width = max(len(row["variant"]) for row in made)
    print(" " * width, *(f"{key:>18}" for key in KEYS))
    for row in made:
        print(f"{row['variant']:{width}}", *(f"{shown(row, key, difference='curve' not in row):>18}" for key in KEYS))
    if options.json is not None:
        write_json(options.json, made, results)
    return made


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
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args(argv)
    variants = tuple(args.variants.split(","))
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
            compare=COMPARE,
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
