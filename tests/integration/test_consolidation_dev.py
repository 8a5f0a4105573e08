"""Consolidation in a real `langgraph dev`: fired by a cron and by hand, overlapping, killed in the middle; one operation, nothing lost."""

from __future__ import annotations

import json
import shutil
import threading
from collections import Counter
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from langgraph_fluxmem import FluxMem, schedule
from tests.consolidation.tasks import HERE, commit, login, skills
from tests.consolidation.test_consolidation_graph import chores

from .test_langgraph_dev import PATIENCE, ROOT, Server, serving

pytest.importorskip("langgraph_api", reason="needs langgraph-cli[inmem]")


def operations(place: Path) -> list[str]:
    """Ids of the consolidations written, newest first."""
    with FluxMem.open(place / "memory", chroma="off") as mem:
        return [row.id for row in mem.engine.ledger.operations(HERE) if row.kind == "consolidate"]


def fire(server: Server, **thresholds: Any) -> dict[str, Any]:
    """One stateless run; its report."""
    run = {"assistant_id": "consolidation", "input": {"namespace": list(HERE), "thresholds": thresholds}}
    return server.ask("/runs/wait", run)["report"]


def until(done: Any, what: str) -> Any:
    """Ask again and again until there is an answer."""
    quiet = threading.Event()
    for _ in range(PATIENCE * 2):
        answer = done()
        if answer:
            return answer
        quiet.wait(0.5)
    pytest.fail(f"{what} did not happen within {PATIENCE} s")


def test_a_cron_registered_three_times_is_one_and_consolidates(tmp_path: Path) -> None:
    with FluxMem.open(tmp_path / "memory", chroma="off") as mem:
        commit(mem, *chores())
    with serving(tmp_path) as server:
        url = f"http://127.0.0.1:{server.port}"
        made = {schedule.schedule(url, namespace=HERE, cron="* * * * *").id for _ in range(3)}
        (cron,) = schedule.scheduled(url)
        assert made == {cron.id}
        assert (cron.namespace, cron.cron) == (HERE, "* * * * *")
        until(lambda: operations(tmp_path), "a fire of the cron")
        changed = schedule.schedule(url, namespace=HERE, cron="0 3 * * *")
        assert (changed.id, changed.cron) == (cron.id, "0 3 * * *")
        assert fire(server)["stopped"] == "no episode is new"
        assert schedule.unschedule(url) == 1
        assert schedule.scheduled(url) == []
        assert not [line for line in server.log if "BlockingError" in line or "Traceback" in line]
    assert len(operations(tmp_path)) == 1
    with FluxMem.open(tmp_path / "memory", chroma="off") as mem:
        assert len(skills(mem)) == 5
        assert mem.verify() == []


def test_of_overlapping_fires_one_consolidation_happens(tmp_path: Path) -> None:
    with FluxMem.open(tmp_path / "memory", chroma="off") as mem:
        commit(mem, *chores(6), *(login(n) for n in range(20)))
    reports: list[dict[str, Any]] = []
    with serving(tmp_path, ("--n-jobs-per-worker", "4")) as server:
        threads = [threading.Thread(target=lambda: reports.append(fire(server))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    assert len(reports) == 3
    assert sorted(bool(report["operation"]) for report in reports) == [False, False, True]
    assert all(report["skipped"] or report["operation"] or report["stopped"] == "no episode is new" for report in reports)
    assert len(operations(tmp_path)) == 1


def test_a_server_killed_in_the_middle_consolidates_after_its_lease_has_run_out(tmp_path: Path) -> None:
    with FluxMem.open(tmp_path / "memory", chroma="off") as mem:
        commit(mem, *chores())
    with serving(tmp_path, FLUXMEM_FAULT="consolidation.induced:kill@3") as server, pytest.raises((OSError, HTTPException)):
        fire(server, lease=5.0, parallel=1)
    assert operations(tmp_path) == []
    with serving(tmp_path) as server:
        report = until(lambda: (found := fire(server, lease=5.0)) and not found["skipped"] and found, "a consolidation")
    assert [report["operation"]] == operations(tmp_path)
    with FluxMem.open(tmp_path / "memory", chroma="off") as mem:
        assert len(skills(mem)) == 5
        assert mem.verify() == []


COUNTING = """
from pathlib import Path
from langgraph_fluxmem.consolidation.graph import consolidation_graph
from tests.consolidation.killed import Logged
graph = consolidation_graph(model=Logged(Path(__file__).with_name("induced")))
"""
"""A consolidation graph that notes in a file what it induces."""


def counting(place: Path) -> Path:
    """The project's graphs with checkpoints on disk and a consolidation that counts; returns the file it counts in."""
    shutil.copytree(ROOT / "graphs", place / "graphs", ignore=shutil.ignore_patterns("__pycache__"))
    (place / "graphs" / "consolidation.py").write_text(COUNTING)
    settings = json.loads((ROOT / "langgraph.json").read_text())
    (place / "langgraph.json").write_text(json.dumps({**settings, "checkpointer": {"path": "./graphs/checkpointer.py:checkpointer"}}))
    return place / "graphs" / "induced"


def test_the_next_fire_of_a_cron_takes_up_what_a_kill_cut_short_and_repeats_no_finished_cluster(tmp_path: Path) -> None:
    pytest.importorskip("aiosqlite")
    induced = counting(tmp_path)
    with FluxMem.open(tmp_path / "memory", chroma="off") as mem:
        commit(mem, *chores())
    with serving(tmp_path, FLUXMEM_FAULT="consolidation.induced:kill@4") as server:
        schedule.schedule(f"http://127.0.0.1:{server.port}", namespace=HERE, cron="* * * * * */5", thresholds={"parallel": 1})
        until(lambda: induced.exists() and len(induced.read_text().split("\n")) == 5 and not alive(server), "the kill")
    assert operations(tmp_path) == []
    with serving(tmp_path) as server:  # registers its cron when it starts, as applications do
        schedule.schedule(f"http://127.0.0.1:{server.port}", namespace=HERE, cron="* * * * * */5", thresholds={"parallel": 1})
        until(lambda: operations(tmp_path), "a fire of the cron")
    assert sorted(Counter(induced.read_text().split("\n")[:-1]).values()) == [1, 1, 1, 1, 2]  # the one under way, and no other
    assert len(operations(tmp_path)) == 1
    with FluxMem.open(tmp_path / "memory", chroma="off") as mem:
        assert len(skills(mem)) == 5
        assert mem.verify() == []


def alive(server: Server) -> bool:
    try:
        return bool(server.ask("/ok", method="GET"))
    except (OSError, HTTPException):
        return False
