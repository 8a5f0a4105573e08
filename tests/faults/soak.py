"""Kill a working memory at every fault point and at random moments, again and again, and see what it still holds.

    python -m tests.faults.soak --kills 500 --json docs/results/soak.json

Each process remembers, commits, learns, puts, deletes, undoes, forgets and consolidates from two threads, and tells of each call before and
after it. It is killed (SIGKILL), at a fault point or at a random moment. The next process makes the calls again that were begun and not
acknowledged. After each kill another process opens the memory and compares: what was acknowledged is there, once and whole; what was not is
there whole or not at all; `verify()` finds nothing. Processes are forked from one that has imported everything, so that a kill costs a
fraction of a second. A memory is thrown away after `--turns` kills, or when it was found wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from langchain_core.embeddings import DeterministicFakeEmbedding

from langgraph_fluxmem import FluxMem
from langgraph_fluxmem.testing import faults
from tests.faults import work

RANDOM = "a random moment"
WITH_CHROMA = ("chroma.", "rebuild.", "compact.")
"""Beginnings of the points that are reached with a Chroma folder only."""
ANEW = ("migration.", "consolidation.")
"""Beginnings of the points that a new memory reaches: tables are made once, and where skills explain all that is new nothing is proposed."""
PATIENCE = 120.0
"""Seconds a process may take to reach its fault point."""


@dataclass
class Result:
    """What the kills showed."""

    kills: int = 0
    acknowledged: int = 0
    made_again: int = 0
    at: dict[str, int] = field(default_factory=dict)
    found: work.Findings = field(default_factory=work.Findings)
    not_reached: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        return not any(asdict(self.found).values()) and not self.not_reached


# --------------------------------------------------------------------------------------------------------------------- what is killed
def open_(directory: Path, point: str) -> FluxMem:
    """Chroma is opened where its points are to be reached."""
    return FluxMem.open(directory, chroma="auto" if point.startswith(WITH_CHROMA) else "off")


def work_at(directory: Path, point: str, name: str, tell: work.Tell, expected: work.Expected) -> None:
    """What the process does that is to be killed at `point`."""
    mem = open_(directory, point)
    expected.again(mem, tell)
    part = point.partition(".")[0]
    if part not in ("chroma", "rebuild", "compact", "backup", "export", "import", "reembed"):
        work.mixed(mem, tell, name, consolidating=part == "consolidation" or point == RANDOM, taking_back=part != "consolidation")
    for round_ in range(10**9):
        ids = work.call(mem, tell, "remember", f"{name}.{round_}r")
        if part == "backup":
            mem.engine.ledger.backup(directory.parent / "backup" / str(round_))
            continue
        work.call(mem, tell, "commit", f"{name}.{round_}c")
        if part in ("export", "import", "reembed"):
            moved(mem, directory.parent, str(round_))
            if part == "reembed":
                mem.close()
                FluxMem.reembed(directory, DeterministicFakeEmbedding(size=16))
            continue
        if round_ % 2:
            work.call(mem, tell, "forget", f"{name}.{round_}r", *ids)
        mem.engine.projections.flush(PATIENCE)
        if part == "rebuild":
            mem.recall("apples", namespace=work.HERE)
            mem.rebuild()
        elif part == "compact":
            mem.compact(keep=4)


def moved(mem: FluxMem, beside: Path, name: str) -> Path:
    """The memory exported to a file, and that imported into another memory; what a process before left of it is gone on with."""
    mem.export(beside / f"export-{name}.jsonl")
    with FluxMem.open(beside / f"other-{name}", chroma="off") as other:
        other.import_(beside / f"export-{name}.jsonl")
    return beside / f"other-{name}"


def age_terms(directory: Path) -> None:
    """Let the stored terms be those of an older version, so that opening makes them again."""
    import sqlite3

    with sqlite3.connect(directory / "ledger.sqlite") as connection:
        connection.execute("UPDATE fluxmem_meta SET value = 'old' WHERE key = 'terms'")
    connection.close()


# -------------------------------------------------------------------------------------------------------------------------- processes
def fork(body: Callable[[int], None]) -> tuple[int, int]:
    """Run `body` in a child with a pipe to write into; returns its process id and the end to read."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    os.close(reading)
    status = 1
    try:
        body(writing)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def killed(body: Callable[[int], None], *, after: float | None, least: int) -> tuple[list[str], bool]:
    """Lines that a child told before it was killed, and whether it was: by itself, or `after` seconds from its `least`-th line."""
    child, pipe = fork(body)
    received, deadline = b"", time.monotonic() + PATIENCE
    counted = after is None
    ended = False
    while not ended and time.monotonic() < deadline:
        if select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
            chunk = os.read(pipe, 65536)
            ended = not chunk
            received += chunk
        if not counted and received.count(b"\n") >= least:
            counted, deadline = True, time.monotonic() + (after or 0.0)
    if not ended:
        os.kill(child, signal.SIGKILL)
        while chunk := os.read(pipe, 65536):
            received += chunk
    os.close(pipe)
    _, status = os.waitpid(child, 0)
    hit = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL and (ended or after is not None)
    return received.decode().split("\n")[:-1], hit  # what follows the last line break was not told whole


def compared(directory: Path, point: str, expected: work.Expected) -> work.Findings:
    """What another process finds when it opens the memory."""

    def body(descriptor: int) -> None:
        with open_(directory, point) as mem:
            found = expected.compare(mem)
        backups = directory.parent / "backup"
        for backup in sorted(backups.iterdir()) if backups.exists() else ():
            found.wrong += work.backup_is_whole(backup, ())
        for other in directory.parent.glob("other-*"):
            with FluxMem.open(other, chroma="off") as copied:
                found.wrong += copied.engine.verify()
        os.write(descriptor, json.dumps({key: value[:5] for key, value in asdict(found).items()}).encode())

    child, pipe = fork(body)
    received = b""
    while chunk := os.read(pipe, 65536):
        received += chunk
    os.close(pipe)
    os.waitpid(child, 0)
    for left in (directory.parent / "backup", *directory.parent.glob("other-*")):
        shutil.rmtree(left, ignore_errors=True)
    return work.Findings(**json.loads(received)) if received else work.Findings(wrong=["the memory could not be opened and compared"])


# ------------------------------------------------------------------------------------------------------------------------------- soak
def plan(kills: int, rng: random.Random, points: list[str]) -> list[str]:
    """Where to kill, mixed: every point equally often, a fifth at random moments (and what is left over)."""
    each = (kills - kills // 5) // len(points)
    out = [point for point in points for _ in range(each)]
    out += [RANDOM] * (kills - len(out))
    rng.shuffle(out)
    return out


def soak(base: Path, kills: int, *, seed: int = 0, turns: int = 25, points: list[str] | None = None, progress: bool = False) -> Result:
    rng = random.Random(seed)
    result, began = Result(), time.monotonic()
    directory, expected, used = base / "0" / "memory", work.Expected(), 0
    for number, point in enumerate(plan(kills, rng, points or list(faults.POINTS))):
        if used >= turns or point.startswith(ANEW):
            shutil.rmtree(directory.parent, ignore_errors=True)
            directory, expected, used = base / str(number) / "memory", work.Expected(), 0
        directory.parent.mkdir(parents=True, exist_ok=True)
        if point.startswith("terms."):
            prepare(directory, expected)
        before = len(expected.done)
        result.made_again += len(expected.begun)
        nth = (
            1
            if point.startswith(("migration.", "terms.", "backup.", "consolidation.", "rebuild.", "compact.", "import.", "reembed."))
            else rng.randrange(1, 30)
        )
        nth = rng.randrange(1, 4) if point.startswith("chroma.") else nth

        def body(descriptor: int, point=point, nth=nth, number=number) -> None:
            if point != RANDOM:
                faults.arm(point, "kill", at=nth)
            work_at(directory, point, f"{seed}.{number}", work.Tell(descriptor), expected)

        lines, hit = killed(body, after=rng.uniform(0.0, 0.5) if point == RANDOM else None, least=20)
        expected.hear(lines)
        result.acknowledged += len(expected.done) - before
        if not hit:
            result.not_reached.append(f"kill {number} at {point}")
        result.kills += 1
        result.at[point] = result.at.get(point, 0) + hit
        found = compared(directory, point, expected)
        used += 1
        for kind, lines in asdict(found).items():
            getattr(result.found, kind).extend(f"kill {number} at {point}: {line}" for line in lines)
        if any(asdict(found).values()):
            used = turns
        if progress and number % 10 == 9:
            print(
                f"{result.kills} kills, {result.acknowledged} acknowledged, {sum(map(len, asdict(result.found).values()))} wrong",
                flush=True,
            )
    result.at = dict(sorted(result.at.items()))
    result.seconds = round(time.monotonic() - began, 1)
    return result


def prepare(directory: Path, expected: work.Expected) -> None:
    """Something remembered, with the terms of an older version."""

    def body(descriptor: int) -> None:
        tell = work.Tell(descriptor)
        with FluxMem.open(directory, chroma="off") as mem:
            work.call(mem, tell, "remember", f"prepared.{len(expected.done)}")
        age_terms(directory)
        tell("aged")
        while True:
            signal.pause()

    lines, _ = killed(body, after=0.0, least=3)
    expected.hear(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--turns", type=int, default=25, help="kills after which a memory is thrown away")
    parser.add_argument("--points", help="only these fault points, by their beginnings, comma separated")
    parser.add_argument(
        "--json", type=Path, help="write the result there; counts are added to those of another seed that are there already"
    )
    options = parser.parse_args()
    import chromadb  # noqa: F401 - once, for all processes

    chosen = [point for point in faults.POINTS if not options.points or point.startswith(tuple(options.points.split(",")))]
    with tempfile.TemporaryDirectory() as directory:
        result = soak(Path(directory), options.kills, seed=options.seed, turns=options.turns, points=chosen, progress=True)
    for point, count in result.at.items():
        print(f"{count:5} {point}")
    counts = {kind: len(lines) for kind, lines in asdict(result.found).items()}
    print(f"{result.kills} kills in {result.seconds} s: {result.acknowledged} calls acknowledged, {result.made_again} made again; {counts}")
    for line in [
        *(line for lines in asdict(result.found).values() for line in lines),
        *(f"not reached: {line}" for line in result.not_reached),
    ][:20]:
        print(" ", line)
    if options.json:
        write(options.json, options.seed, result, counts)
    return 0 if result.clean else 1


def write(path: Path, seed: int, result: Result, counts: dict[str, int]) -> None:
    """One row for each seed, and their sums."""
    rows = [row for row in json.loads(path.read_text())["rows"] if row["seed"] != seed] if path.exists() else []
    row = {"seed": seed, "kills": result.kills, "acknowledged": result.acknowledged, "made_again": result.made_again, **counts}
    rows.append({**row, "not_reached": len(result.not_reached), "seconds": result.seconds, "at": result.at})
    rows.sort(key=lambda row: row["seed"])
    numbers = ("kills", "acknowledged", "made_again", *counts, "not_reached", "seconds")
    at: Counter[str] = Counter()
    for row in rows:
        at.update(row["at"])
    total = {**{key: round(sum(row[key] for row in rows), 1) for key in numbers}, "at": dict(sorted(at.items()))}
    path.write_text(json.dumps({"total": total, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
