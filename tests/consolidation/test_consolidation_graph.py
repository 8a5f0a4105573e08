"""Consolidation as a LangGraph graph: fan-out, resumption at the cluster, overlap, progress, the server's store."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from langgraph_fluxmem import Episode, FluxMem, LeaseLostError, StateError, Step
from langgraph_fluxmem.consolidation import Report
from langgraph_fluxmem.consolidation.graph import consolidation_graph
from langgraph_fluxmem.consolidation.run import BUSY, lease_name
from langgraph_fluxmem.operators import Judgement, RuleOperators
from langgraph_fluxmem.operators.protocol import Task
from langgraph_fluxmem.testing import faults

from .tasks import HERE, box, commit, login, skills, world

KINDS = [
    "polish the silver spoon",
    "water every thirsty plant",
    "feed a hungry goldfish",
    "wind up the old clock",
    "sweep that dusty stair",
]
THREAD = {"configurable": {"thread_id": "nightly"}}


def chores(count: int = 2) -> list[Episode]:
    """Five clusters, each with a procedure of its own."""
    return [
        Episode(
            task=kind,
            outcome="success",
            id=f"{kind}-{n}",
            steps=tuple(Step(action=f"{verb} {word}") for verb in ("find", "use") for word in kind.split()[-2:]),
        )
        for n in range(count)
        for kind in KINDS
    ]


class Noting(RuleOperators):
    def __init__(self) -> None:
        self.induced: list[str] = []

    def judge(self, task: Task[Any]) -> Judgement[Any]:
        if task.operator == "induce":
            self.induced.append(task.draft.name)  # type: ignore[attr-defined]
        return super().judge(task)


def report_of(state: dict[str, Any]) -> Report:
    return Report.model_validate(state["report"])


def test_the_consolidation_graph_does_what_consolidate_does(tmp_path: Path):
    texts = []
    for name in ("graph", "call"):
        with FluxMem.open(tmp_path / name, chroma="off") as mem:
            commit(mem, *(login(n, scroll=True) for n in range(5)), *(box(n) for n in range(4)))
            if name == "graph":
                report = report_of(consolidation_graph(mem, replay=world()).invoke({}))
            else:
                report = mem.consolidate(namespace=HERE, replay=world())
            texts.append(
                ([skill.text() for skill in skills(mem)], report.stopped, report.replays, [part.model_dump() for part in report.rounds])
            )
    assert texts[0] == texts[1]


@pytest.mark.parametrize("parallel", [1, 2, 8])
def test_the_consolidation_graph_gives_the_same_in_batches_of_any_size(mem: FluxMem, parallel: int):
    commit(mem, *chores(), *(login(n, scroll=True) for n in range(5)))
    graph = consolidation_graph(mem, replay=world(), thresholds={"parallel": parallel})
    report = report_of(graph.invoke({}))
    assert (report.active, [part.tried for part in report.rounds]) == (6, [6, 6])
    assert [skill.name for skill in report.skills] == [*KINDS, "Enter the username and the password and press"]


async def test_the_consolidation_graph_runs_in_an_event_loop_and_tells_its_progress(mem: FluxMem):
    commit(mem, *chores())
    graph = consolidation_graph(mem, checkpointer=InMemorySaver())
    events = [event async for event in graph.astream({"namespace": list(HERE)}, THREAD, stream_mode="custom")]
    stages = [event["stage"] for event in events]
    assert Counter(stages) == {"snapshot": 1, "induce": 5, "rewrite": 1, "accept": 1}
    assert (stages[0], stages[-1]) == ("snapshot", "accept")
    assert {event["namespace"] == list(HERE) and bool(event["consolidation"]) for event in events} == {True}
    assert len(skills(mem)) == 5
    assert (await graph.aget_state(THREAD)).values["report"]["active"] == 5


def test_a_consolidation_that_failed_resumes_at_the_cluster(mem: FluxMem):
    commit(mem, *chores())
    noting = Noting()
    graph = consolidation_graph(mem, model=noting, checkpointer=InMemorySaver())
    with faults.armed("consolidation.induced", at=3), pytest.raises(faults.FaultError):
        graph.invoke({"thresholds": {"parallel": 1}}, THREAD)
    assert len(noting.induced) == 3
    assert skills(mem) == []
    report = report_of(graph.invoke(None, THREAD))
    assert sorted(Counter(noting.induced).values()) == [1, 1, 1, 1, 2]  # the one that was interrupted, and no other
    assert (len(skills(mem)), len(report.clusters)) == (5, 5)


@pytest.mark.parametrize("fault", ["consolidation.induced", "consolidation.rewritten", "consolidation.accepting"])
def test_the_next_run_of_a_thread_takes_up_a_consolidation_that_was_cut_short(mem: FluxMem, fault: str):
    commit(mem, *chores())
    noting = Noting()
    graph = consolidation_graph(mem, model=noting, checkpointer=InMemorySaver(), replay=world(), thresholds={"parallel": 1})
    with faults.armed(fault, at=1 if fault.endswith("accepting") else 3), pytest.raises(faults.FaultError):
        graph.invoke({}, THREAD)
    name = graph.get_state(THREAD).values["consolidation"]
    stages = [event["stage"] for event in graph.stream({"namespace": list(HERE)}, THREAD, stream_mode="custom")]
    assert stages[0] == "resumed"
    assert sorted(Counter(noting.induced).values()) == ([1, 1, 1, 1, 2] if fault.endswith("induced") else [1] * 5)
    report = report_of(graph.get_state(THREAD).values)
    assert (report.id, len(skills(mem)), len(report.clusters)) == (name, 5, 5)
    assert report_of(graph.invoke({}, THREAD)).id != name


def test_what_was_cut_short_is_begun_anew_when_another_consolidation_was_written_since(mem: FluxMem):
    commit(mem, *chores())
    graph = consolidation_graph(mem, checkpointer=InMemorySaver(), thresholds={"parallel": 1})
    with faults.armed("consolidation.induced", at=3), pytest.raises(faults.FaultError):
        graph.invoke({}, THREAD)
    name = graph.get_state(THREAD).values["consolidation"]
    assert mem.consolidate(namespace=HERE).operation  # what failed has given its lease back
    report = report_of(graph.invoke({}, THREAD))
    assert (report.id == name, report.stopped, len(skills(mem))) == (False, "no episode is new", 5)


def test_what_was_cut_short_waits_while_another_consolidation_holds_the_lease(mem: FluxMem):
    commit(mem, *chores())
    graph = consolidation_graph(mem, checkpointer=InMemorySaver(), thresholds={"parallel": 1})
    with faults.armed("consolidation.induced", at=3), pytest.raises(faults.FaultError):
        graph.invoke({}, THREAD)
    name = graph.get_state(THREAD).values["consolidation"]
    ledger = mem.engine.ledger
    other = ledger.acquire_lease(lease_name(HERE), "somebody", 60.0)
    assert report_of(graph.invoke({}, THREAD)).skipped == BUSY
    ledger.release_lease(lease_name(HERE), "somebody", other or 0)
    report = report_of(graph.invoke({}, THREAD))
    assert (report.id, report.skipped, len(skills(mem))) == (name, "", 5)


def test_a_consolidation_that_failed_after_its_write_writes_it_once(mem: FluxMem):
    commit(mem, *chores())
    graph = consolidation_graph(mem, checkpointer=InMemorySaver())
    with faults.armed("consolidation.accepted", at=1), pytest.raises(faults.FaultError):
        graph.invoke({}, THREAD)
    head = mem.engine.ledger.head()
    report = report_of(graph.invoke(None, THREAD))
    assert (mem.engine.ledger.head(), len(skills(mem))) == (head, 5)
    assert [row.id for row in mem.engine.ledger.operations(HERE) if row.kind == "consolidate"] == [report.operation]


def test_a_consolidation_that_is_killed_resumes_at_the_cluster(tmp_path: Path):
    memory, checkpoints, log = tmp_path / "memory", tmp_path / "checkpoints.sqlite", tmp_path / "log"
    with FluxMem.open(memory, chroma="off") as mem:
        commit(mem, *chores())

    def run(how: str, fault: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tests.consolidation.killed", str(memory), str(checkpoints), str(log), how],
            env={**os.environ, "FLUXMEM_FAULT": fault}, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    killed = run("new", "consolidation.induced:kill@3")  # two clusters at a time: the second batch dies
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    before = log.read_text().split("\n")[:-1]
    assert len(before) in (3, 4)
    resumed = run("resume")
    assert resumed.returncode == 0, resumed.stderr
    after = Counter(log.read_text().split("\n")[:-1])
    assert len(after) == 5
    assert {after[name] for name in before[:2]} == {1}  # a finished batch is never repeated
    assert after.total() <= 7  # at most the batch under way
    with FluxMem.open(memory, chroma="off") as mem:
        assert len(skills(mem)) == 5
        assert [row.id for row in mem.engine.ledger.operations(HERE) if row.kind == "consolidate"] == [resumed.stdout.strip()]
        assert mem.verify() == []


def test_of_two_overlapping_consolidations_one_happens(mem: FluxMem):
    """The second fires while the first is between two clusters."""
    commit(mem, *chores())
    saver = InMemorySaver()
    second: list[Report] = []

    def fire() -> None:
        faults.disarm("consolidation.induced")
        second.append(report_of(consolidation_graph(mem, checkpointer=saver).invoke({}, {"configurable": {"thread_id": "another"}})))

    with faults.armed("consolidation.induced", fire, at=2):
        first = report_of(consolidation_graph(mem, thresholds={"parallel": 1}, checkpointer=saver).invoke({}, THREAD))
    assert second[0].skipped == BUSY
    assert first.operation is not None
    assert len(skills(mem)) == 5
    assert [row.id for row in mem.engine.ledger.operations(HERE) if row.kind == "consolidate"] == [first.operation]
    assert (
        report_of(consolidation_graph(mem, checkpointer=saver).invoke({}, {"configurable": {"thread_id": "third"}})).stopped
        == "no episode is new"
    )


def test_a_consolidation_whose_lease_was_taken_over_writes_nothing(mem: FluxMem):
    commit(mem, *chores())
    ledger = mem.engine.ledger

    def take() -> None:
        owner = mem_owner[0]
        token = ledger.acquire_lease(lease_name(HERE), owner, 60.0)
        assert token is not None
        ledger.release_lease(lease_name(HERE), owner, token)
        assert ledger.acquire_lease(lease_name(HERE), "somebody", 60.0) is not None

    mem_owner: list[str] = []
    graph = consolidation_graph(mem, checkpointer=InMemorySaver())

    def steal() -> None:
        mem_owner.append(graph.get_state(THREAD).values["consolidation"])
        take()

    with faults.armed("consolidation.induced", steal, at=2), pytest.raises(LeaseLostError):
        graph.invoke({"thresholds": {"parallel": 1}}, THREAD)
    assert skills(mem) == []


def test_heavy_writes_during_a_consolidation_lose_nothing(mem: FluxMem):
    commit(mem, *chores())
    written: list[str] = []
    lock = threading.Lock()

    def write() -> None:
        for _ in range(20):
            with lock:
                episode = login(100 + len(written))
                written.append(episode.id or "")
            mem.commit(episode, namespace=HERE)
            mem.remember(f"a fact about {episode.id}", namespace=HERE)

    with faults.armed("consolidation.induced", write), faults.armed("consolidation.accepting", write):
        report = report_of(consolidation_graph(mem, checkpointer=InMemorySaver()).invoke({}, THREAD))
    assert (report.episodes, len(skills(mem))) == (10, 5)  # what the snapshot held
    after = mem.consolidate(namespace=HERE)
    assert (after.new, len(skills(mem))) == (len(written), 6)
    assert mem.verify() == []


def test_a_thread_may_consolidate_again_and_again(mem: FluxMem):
    commit(mem, *chores())
    graph = consolidation_graph(mem, checkpointer=InMemorySaver())
    first = report_of(graph.invoke({}, THREAD))
    commit(mem, *(login(n) for n in range(5)))
    second = report_of(graph.invoke({}, THREAD))
    assert first.id != second.id
    assert (len(second.clusters), len(skills(mem))) == (1, 6)
    third = report_of(graph.invoke({}, THREAD))
    assert (third.clusters, third.skills, third.rounds) == ([], [], [])


def test_the_consolidation_graph_takes_the_memory_of_the_store_it_runs_with(mem: FluxMem):
    commit(mem, *chores())
    graph = consolidation_graph()
    with pytest.raises(StateError, match="no store"):
        graph.invoke({})
    graph.store = mem.store
    assert report_of(graph.invoke({"namespace": list(HERE)})).active == 5


def test_thresholds_in_the_input_of_consolidation_override_those_of_the_graph(mem: FluxMem):
    commit(mem, *chores())
    graph = consolidation_graph(mem, thresholds={"warm_up": 100})
    assert report_of(graph.invoke({})).warm_up == 90
    assert report_of(graph.invoke({"thresholds": {"warm_up": 1}})).active == 5


def test_the_state_of_a_consolidation_is_json(mem: FluxMem, monkeypatch: pytest.MonkeyPatch):
    import json

    commit(mem, *(login(n, scroll=True) for n in range(5)), *chores())
    graph = consolidation_graph(mem, replay=world(), checkpointer=InMemorySaver())
    for state in (graph.invoke({}, THREAD), *(snapshot.values for snapshot in graph.get_state_history(THREAD))):
        json.dumps(state)
