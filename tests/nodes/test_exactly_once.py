"""Exactly once and aware of branches: what is stored and what is visible after retries, crashes, replays and forks."""

from __future__ import annotations

from typing import Any

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command, RetryPolicy, interrupt

from langgraph_fluxmem import Episode, FluxMem, Step
from langgraph_fluxmem.branches import branch_of

from .agent import build, stored, thread, visible
from .test_loop import start

WIN = ["open green door"]


@pytest.fixture
def saver(tmp_path):
    with SqliteSaver.from_conn_string(str(tmp_path / "checkpoints.sqlite")) as opened:
        yield opened


class Flaky:
    """Fails the first `times` calls after the wrapped node did its work."""

    def __init__(self, node: Any, times: int) -> None:
        self.node, self.left = node, times

    def __call__(self, state: Any) -> Any:
        update = self.node.invoke(state)
        if self.left:
            self.left -= 1
            raise ConnectionError("lost after the work was done")
        return update


def flaky_app(mem: FluxMem, saver: Any, times: int, retry: RetryPolicy | None):
    builder = build(mem)
    node = builder.nodes.pop("commit_episode")
    builder.add_node("commit_episode", Flaky(node.runnable, times), retry_policy=retry)
    return builder.compile(checkpointer=saver)


def test_exactly_once_when_a_retry_policy_runs_the_commit_again(mem: FluxMem, saver: Any) -> None:
    app = flaky_app(mem, saver, 2, RetryPolicy(max_attempts=3, initial_interval=0.0, jitter=False))
    state = app.invoke(start(WIN), thread())
    assert len(stored(mem)) == 1
    assert visible(mem, state) == 1


@pytest.mark.parametrize("durability", ["sync", "async"])
def test_exactly_once_when_a_crashed_commit_is_resumed(mem: FluxMem, saver: Any, durability: str) -> None:
    app = flaky_app(mem, saver, 1, None)
    with pytest.raises(ConnectionError):
        app.invoke(start(WIN), thread(), durability=durability)
    state = app.invoke(None, thread(), durability=durability)
    assert len(stored(mem)) == 1
    assert visible(mem, state) == 1


def test_exactly_once_over_an_interrupt(mem: FluxMem, saver: Any) -> None:
    app = build(mem, before_commit=lambda state: {"plan": [interrupt("sure?")]}).compile(checkpointer=saver)
    app.invoke(start(WIN), thread())
    assert not stored(mem)
    app.invoke(Command(resume="yes"), thread())
    assert len(stored(mem)) == 1


def test_a_replayed_checkpoint_stores_nothing_twice(mem: FluxMem, saver: Any) -> None:
    app = build(mem).compile(checkpointer=saver)
    app.invoke(start(WIN), thread())
    before = next(s for s in app.get_state_history(thread()) if s.next == ("commit_episode",))
    state = app.invoke(None, before.config)
    assert len(stored(mem)) == 1
    assert visible(mem, state) == 1


def test_a_fork_hides_the_branch_it_left(mem: FluxMem, saver: Any) -> None:
    app = build(mem).compile(checkpointer=saver)
    app.invoke(start(WIN), thread())
    app.invoke(start(["open red door", "open green door"]), thread())
    before = next(s for s in app.get_state_history(thread()) if s.next == ("agent",) and s.values["turn"] == 1)
    forked = app.update_state(before.config, {"plan": ["open red door", "open blue door", "open green door"]}, as_node="retrieve")
    state = app.invoke(None, forked)
    assert len(stored(mem)) == 3
    assert visible(mem, state) == 2, "the first episode and the fork's own"
    assert visible(mem, {}) == 2, "another thread sees what the latest commit of that lineage saw"
    task = "find the gold behind a door"
    assert sorted(e.steps for e in mem.recall(task).episodes) == [1, 3], "outside a graph the same rule holds"


def test_returning_to_a_branch_and_committing_there_restores_it(mem: FluxMem, saver: Any) -> None:
    app = build(mem).compile(checkpointer=saver)
    app.invoke(start(WIN), thread())
    end_of_first = app.get_state(thread()).config
    app.invoke(start(["open red door", "open green door"]), thread())
    left = app.get_state(thread()).config
    app.invoke(start(["open blue door", "open green door"]), end_of_first)
    assert visible(mem, {}) == 2
    state = app.invoke(start(WIN), left)
    assert len(stored(mem)) == 4
    assert visible(mem, state) == visible(mem, {}) == 3


def test_the_same_input_sent_twice_is_two_episodes(mem: FluxMem, saver: Any) -> None:
    app = build(mem).compile(checkpointer=saver)
    app.invoke(start(WIN), thread())
    state = app.invoke(start(WIN), thread())
    assert len(stored(mem)) == visible(mem, state) == 2


def test_a_callers_episode_id_makes_a_run_repeatable(mem: FluxMem) -> None:
    app = build(mem).compile()
    for _ in range(2):
        app.invoke({**start(WIN), "memory_episode_id": "order-17"})
    assert len(stored(mem)) == 1


def test_a_new_checkpointer_with_the_same_thread_id_hides_nothing(mem: FluxMem, tmp_path: Any) -> None:
    for name in ("one", "two"):
        with SqliteSaver.from_conn_string(str(tmp_path / f"{name}.sqlite")) as saver:
            state = build(mem).compile(checkpointer=saver).invoke(start(WIN), thread())
    assert len(stored(mem)) == visible(mem, state) == 2


def test_a_branch_is_kept_on_request(tmp_path: Any, saver: Any) -> None:
    with FluxMem.open(tmp_path / "kept", chroma="off", on_fork="keep") as mem:
        app = build(mem).compile(checkpointer=saver)
        app.invoke(start(["open red door", "open green door"]), thread())
        before = next(s for s in app.get_state_history(thread()) if s.next == ("agent",) and s.values["turn"] == 1)
        state = app.invoke(None, app.update_state(before.config, {"plan": ["", "open blue door", "open green door"]}, as_node="retrieve"))
        assert len(stored(mem)) == visible(mem, state) == 2


def test_what_a_hidden_branch_taught_is_not_advised(mem: FluxMem, saver: Any) -> None:
    app = build(mem).compile(checkpointer=saver)
    app.invoke(start(["open red door"]), thread())
    before = next(s for s in app.get_state_history(thread()) if s.next == ("agent",) and s.values["turn"] == 0)
    won = app.invoke(start(WIN), thread())
    forked = app.update_state(before.config, {"plan": ["open blue door"] * 3}, as_node="retrieve")
    lost = app.invoke(None, forked)

    def score(state: Any) -> float:
        channel = state["memory_commits"]
        stage = mem.stages.recall("find the gold behind a door", namespace=("memories",), branch=branch_of(channel))
        return mem.engine.run(stage).advise(["open green door"])[0].score

    assert score(won) > score(lost)


def test_commit_is_idempotent_by_id_and_content(mem: FluxMem) -> None:
    steps = (Step(observation="doors", action="open green door", progress=1.0),)
    first = mem.commit(Episode(task="gold", steps=steps, outcome="success", id="e1"))
    assert mem.commit(Episode(task="gold", steps=steps, outcome="success", id="e1")) == first
    other = mem.commit(Episode(task="gold", steps=steps, outcome="failure", id="e1"))
    assert other != first
    assert len(stored(mem)) == 2
