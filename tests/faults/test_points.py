"""Every named fault point: listed, reached, and survived when it raises, stalls or finds the disk full. Kills are the soak's (a short one here)."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from langgraph_fluxmem import FluxMem
from langgraph_fluxmem.errors import FluxMemError
from langgraph_fluxmem.testing import faults
from tests.faults import soak, work

ROOT = Path(__file__).resolve().parents[2]


def test_the_list_names_every_point_of_the_code():
    code = "\n".join(path.read_text() for path in sorted((ROOT / "langgraph_fluxmem").rglob("*.py")))
    assert set(re.findall(r"\bpoint\(\s*\"([a-z_.]+)\"\)", code)) == set(faults.POINTS)


FULL = bool(os.environ.get("FLUXMEM_TEST_FULL"))
"""Otherwise every point fails in one of the two ways."""
HOW = [(point, how) for point in faults.POINTS for how in ("raises", "disk full")]


def hash_of(point: str) -> int:
    return sum(map(ord, point))


class Seen:
    """Counts hits of a point, and fails at the first with `error`."""

    def __init__(self, error: Exception | None) -> None:
        self.error, self.hits = error, 0

    def __call__(self) -> None:
        self.hits += 1
        if self.error is not None and self.hits == 1:
            raise self.error


def everything(directory: Path, again: str, chroma: str = "auto") -> None:
    """One round of all that a memory does, so that each point is met. `again` tells one try from the next."""
    mem = FluxMem.open(directory, chroma=chroma)
    try:
        (fact, *_) = mem.remember(work.texts_of("known"), namespace=work.HERE)
        for name in ("a", "b", "c", "d", "e", "f"):
            work.commit(mem, name)
        work.put(mem, "item")
        mem.recall("what is known about boats?", namespace=work.HERE)
        assert mem.engine.projections.flush(60)
        if mem.engine.ledger.nodes(work.HERE, kinds=("skill",)) == []:
            mem.consolidate(namespace=work.HERE)
        mem.rebuild()
        mem.engine.ledger.backup(directory.with_name(f"backup-{again}"))
        shutil.rmtree(directory.parent / "other-once", ignore_errors=True)
        other = soak.moved(mem, directory.parent, "once")
        FluxMem.reembed(other, DeterministicFakeEmbedding(size=16))
        shutil.rmtree(other)
        mem.compact(keep=1)
        mem.remember("a later word", namespace=work.HERE)
        assert mem.engine.projections.flush(60)
    finally:
        mem.close()
    soak.age_terms(directory)
    FluxMem.open(directory, chroma="off").close()


@pytest.mark.parametrize(("point", "how"), [pair for pair in HOW if FULL or pair[1] == ("raises", "disk full")[hash_of(pair[0]) % 2]])
def test_a_point_that_fails_leaves_a_memory_that_goes_on(tmp_path, point, how):
    """What fails is told as an error of ours, or mended by itself; done again it is done once, and `verify()` finds nothing."""
    seen = Seen(faults.FaultError(point) if how == "raises" else OSError(errno.ENOSPC, "No space left on device"))
    directory, chroma = tmp_path / "memory", "auto" if point.startswith(soak.WITH_CHROMA) else "off"
    with faults.armed(point, seen):
        try:
            everything(directory, "first", chroma)
        except (FluxMemError, faults.FaultError, OSError) as error:
            assert how == "raises" or isinstance(error, OSError), error
            everything(directory, "second", chroma)
    assert seen.hits, "the point was not reached"
    with FluxMem.open(directory, chroma=chroma) as mem:
        assert mem.engine.verify() == []
        facts = [row.body["content"] for row in mem.engine.ledger.nodes(work.HERE, kinds=("fact",))]
        assert sorted(facts) == sorted([*work.texts_of("known"), "a later word"])
        episodes = [row.body["id"] for row in mem.engine.projections.episodes(work.HERE)]
        assert sorted(episodes) == ["a", "b", "c", "d", "e", "f"]
        assert mem.recall(work.texts_of("known")[0], namespace=work.HERE).facts
    backups = [path for path in tmp_path.iterdir() if path.name.startswith("backup-") and (path / "ledger.sqlite").exists()]
    assert backups
    for backup in backups:
        assert work.backup_is_whole(backup, [("remember", "known")]) == []


def test_every_point_is_reached_and_one_that_stalls_changes_nothing(tmp_path):
    seen = {point: Seen(None) for point in faults.POINTS}
    for point, each in seen.items():
        faults.arm(point, each)
    try:
        everything(tmp_path / "memory", "0")
    finally:
        faults.disarm()
    assert [point for point, each in seen.items() if not each.hits] == []
    with FluxMem.open(tmp_path / "memory") as mem:
        assert mem.engine.verify() == []


def test_killed_at_every_point_and_at_random_moments(tmp_path):
    """The soak in short: once at each point. In full: ``python -m tests.faults.soak --kills 500``."""
    kills = len(faults.POINTS) * 5 // 4 + 1
    command = [sys.executable, "-m", "tests.faults.soak", "--kills", str(kills), "--seed", "7", "--json", str(tmp_path / "soak.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    total = json.loads((tmp_path / "soak.json").read_text())["total"]
    assert [total[kind] for kind in ("lost", "duplicated", "half", "wrong", "not_reached")] == [0, 0, 0, 0, 0]
    assert set(total["at"]) == {*faults.POINTS, soak.RANDOM}
    assert min(total["at"].values()) >= 1
