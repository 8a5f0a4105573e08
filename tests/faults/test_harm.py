"""Harm to the files and to the clock: a truncated write-ahead log, backups under load, time that jumps back."""

from __future__ import annotations

import shutil
import threading

import pytest

from langgraph_fluxmem import FluxMem
from langgraph_fluxmem.errors import LeaseLostError, NotAMemoryError
from langgraph_fluxmem.ledger import Ledger
from langgraph_fluxmem.testing import faults
from tests.faults.kill import DIMS, Whole, plan_of
from tests.faults.work import HERE


def test_a_truncated_write_ahead_log_leaves_an_earlier_state(tmp_path):
    names = [f"n{number}" for number in range(30)]
    with Ledger.open(tmp_path / "m") as ledger:
        ledger.check_embedding("kill", DIMS)
        for name in names:
            ledger.apply(plan_of(name))
        shutil.copytree(tmp_path / "m", tmp_path / "copy")  # while it is open, so the log is not folded into the file
    whole = (tmp_path / "copy" / "ledger.sqlite-wal").read_bytes()
    counts = []
    for part in (0.99, 0.8, 0.5, 0.2):
        torn = tmp_path / f"torn-{part}"
        shutil.copytree(tmp_path / "copy", torn, ignore=shutil.ignore_patterns("*-shm"))
        (torn / "ledger.sqlite-wal").write_bytes(whole[: int(len(whole) * part)])
        with Ledger.open(torn) as ledger:
            ledger.check_embedding("kill", DIMS)
            held = [row.id for row in reversed(ledger.operations(limit=100))]
            assert held == names[: len(held)]
            assert ledger.check() == []
            assert [line for name in held for line in Whole(ledger).differences(name, undone=False)] == []
            counts.append(len(held))
            assert ledger.apply(plan_of("later")).position == len(held) + 1
    assert counts == sorted(counts, reverse=True)
    assert 0 < counts[-1] < counts[0]


def test_backups_made_under_load_are_whole(tmp_path):
    over = threading.Event()
    acknowledged: list[str] = []
    with FluxMem.open(tmp_path / "m", chroma="off") as mem:

        def work() -> None:
            while not over.is_set():
                mem.remember(f"fact {len(acknowledged)}", namespace=HERE)
                acknowledged.append(f"fact {len(acknowledged)}")

        thread = threading.Thread(target=work)
        thread.start()
        before = []
        for number in range(4):
            before.append(len(acknowledged))
            mem.engine.ledger.backup(tmp_path / f"backup{number}")
        with faults.armed("backup.copied"), pytest.raises(faults.FaultError):
            mem.engine.ledger.backup(tmp_path / "cut off")
        over.set()
        thread.join()
    for number, least in enumerate(before):
        with FluxMem.open(tmp_path / f"backup{number}", chroma="off") as restored:
            held = [row.body["content"] for row in restored.engine.ledger.nodes(HERE)]
            assert set(acknowledged[:least]) <= set(held)
            assert restored.engine.verify() == []
            restored.remember("and on", namespace=HERE)
            assert restored.recall("and on", namespace=HERE).facts[0].content == "and on"
    (tmp_path / "cut off" / "ledger.part").write_bytes(b"half")  # as a kill would leave it
    with pytest.raises(NotAMemoryError):
        Ledger.open(tmp_path / "cut off")


def test_a_clock_that_jumps_back(tmp_path):
    time = [1_000_000.0]
    with Ledger.open(tmp_path / "m", clock=lambda: time[0]) as ledger:
        ledger.check_embedding("kill", DIMS)
        assert ledger.apply(plan_of("first")).position == 1
        token = ledger.acquire_lease("work", "ada", 60.0)
        time[0] -= 3600.0
        assert ledger.apply(plan_of("second"), fence=("work", token)).position == 2
        assert [row.id for row in ledger.operations()] == ["second", "first"]
        assert [change.operation for change in ledger.changes(0)] == sorted(
            (change.operation for change in ledger.changes(0)), key=["first", "second"].index
        )
        assert ledger.acquire_lease("work", "bob", 60.0) is None  # until the clock has made up for the hour
        ledger.release_lease("work", "ada", token)
        newer = ledger.acquire_lease("work", "bob", 60.0)
        assert newer > token
        with pytest.raises(LeaseLostError):
            ledger.apply(plan_of("third"), fence=("work", token))
        assert ledger.apply(plan_of("first")).duplicate
        assert ledger.check() == []
