"""The exactly-once table: what each case must leave and what it left, synchronous and asynchronous.

python -m tests.nodes.exactly_once             # print it
python -m tests.nodes.exactly_once --write     # and put it into docs/what-happens-when.md
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from . import cases_branching, cases_graphs, cases_running, cases_server
from .case import Case
from .world import Face, Seen, World, at_once

PAGE = Path(__file__).parents[2] / "docs" / "what-happens-when.md"
BEGIN, END = "<!-- exactly once: begin -->\n", "<!-- exactly once: end -->\n"
CASES: list[Case] = [*cases_running.CASES, *cases_branching.CASES, *cases_graphs.CASES, *cases_server.CASES]
FACES: tuple[Face, ...] = ("sync", "async")


def play(case: Case, face: Face, place: Path) -> Seen:
    """Tell a case's story in a new world at `place`."""

    async def told() -> Seen:
        async with World(place, face) as world:
            return await case.story(world)

    return at_once(told()) if face == "sync" else asyncio.run(told())


def line(case: Case, sync: Seen, asynchronous: Seen) -> str:
    """A row of the table; figures are expected / sync / async."""
    figures = " | ".join(
        f"{getattr(case.expected, what)} / {getattr(sync, what)} / {getattr(asynchronous, what)}"
        for what in ("stored", "visible", "elsewhere")
    )
    return f"| {case.group}: {case.name} | {figures} | {case.note} |"


HEADER = "| what happens | stored | visible | elsewhere | |\n|---|---|---|---|---|"


def table(seen: dict[str, tuple[Seen, Seen]]) -> str:
    return "\n".join([HEADER, *(line(case, *seen[case.id]) for case in CASES)]) + "\n"


def as_expected() -> str:
    """The table when every case leaves what it must."""
    return table({case.id: (case.expected, case.expected) for case in CASES})


def on_the_page() -> str:
    """The table that the page shows."""
    return PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    write = parser.parse_args().write
    seen: dict[str, tuple[Seen, Seen]] = {}
    print(HEADER)
    for case in CASES:
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            seen[case.id] = play(case, "sync", Path(one)), play(case, "async", Path(other))
        print(line(case, *seen[case.id]), flush=True)
    wrong = [case.id for case in CASES if set(seen[case.id]) != {case.expected}]
    if write:
        before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
        PAGE.write_text(before + BEGIN + table(seen) + END + rest.partition(END)[2], "utf-8")
    raise SystemExit("\n".join(["not as expected:", *wrong]) if wrong else 0)


if __name__ == "__main__":
    main()
