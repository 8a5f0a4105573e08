"""The memory as of earlier moments is what it was then: recall, advice, store, skills, branches; and nothing of it can be written."""

from __future__ import annotations

import datetime as dt
import tempfile
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.memory import InMemorySaver

from langgraph_fluxmem import ConfigError, Episode, Feedback, FeedbackError, FluxMem, LedgerError, Step, UnknownIdError
from langgraph_fluxmem.branches import Branch
from langgraph_fluxmem.schema import Provenance

from ..nodes.agent import build, thread
from ..nodes.cases_running import start

HERE = ("memories",)
QUERY = "open the green door"
ACTIONS = ["open green door", "open red door", "take key"]
WORDS = ("ada opens the green door", "the red door is locked", "a key lies behind the green door", "bob has the key", "doors are green")


def told(activation: Any) -> dict[str, Any]:
    """All that an activation says, and its advice."""
    said = activation.model_dump(mode="json", exclude={"id", "as_of"})
    return said | {"advice": [advice.model_dump(mode="json") for advice in activation.advise(ACTIONS)]}


def items(store: Any) -> list[Any]:
    found = store.search(("memories",), limit=50)
    near = store.search(("memories",), query="green door", limit=50)
    return [(item.key, item.value) for item in found], [(item.key, item.value, round(item.score or 0, 5)) for item in near]


class History:
    """A memory that is written to in many ways; after each write it tells all it says."""

    def __init__(self, mem: FluxMem) -> None:
        self.mem = mem
        self.count = 0
        self.operations: list[str] = []
        self.ends: list[str] = []
        self.lived: list[tuple[int, dict[str, Any], Any, Any]] = []

    def tell(self) -> None:
        mem = self.mem
        self.lived.append((mem.engine.ledger.head(), told(mem.recall(QUERY)), items(mem.store), mem.store.list_namespaces()))

    def remember(self, text: str) -> None:
        self.mem.remember([f"{text} ({self.count})"])

    def put(self, text: str) -> None:
        self.mem.store.put(HERE, f"k{self.count % 2}", {"text": text})

    def commit(self, action: str, outcome: str, back: int) -> None:
        """Commit on the branch `back` commits before its end."""
        after = self.ends[: len(self.ends) - back][-1:] if back else self.ends[-1:]
        episode = Episode(task=QUERY, steps=(Step(observation="doors", action=action, progress=outcome == "success"),), outcome=outcome)
        where = Provenance(lineage="L", checkpoint_id=f"c{self.count}", checkpoint_ns=f"n:{self.count}")
        stage = self.mem.stages.commit(episode, namespace=HERE, provenance=where, branch=Branch("L", tuple(after)))
        self.ends.append(self.mem.engine.run(stage).id)
        self.operations.append(self.ends[-1])

    def learn(self, outcome: str) -> None:
        activation = self.mem.recall(QUERY)
        used = [fact.id for fact in activation.facts[:1]]
        self.operations.append(self.mem.learn(activation, Feedback(outcome=outcome, used=used if outcome == "success" else [])).operation)

    def undo(self, which: int) -> None:
        if self.operations:
            self.operations.append(self.mem.undo(self.operations[which % len(self.operations)], cascade=True).operation)

    def reset(self) -> None:
        self.operations.append(self.mem.reset_learning().operation)


OUTCOMES = st.sampled_from(["success", "failure"])
DEEDS = st.one_of(
    st.tuples(st.just("remember"), st.sampled_from(WORDS)),
    st.tuples(st.just("put"), st.sampled_from(WORDS)),
    st.tuples(st.just("commit"), st.sampled_from(ACTIONS), OUTCOMES, st.integers(0, 2)),
    st.tuples(st.just("learn"), OUTCOMES),
    st.tuples(st.just("undo"), st.integers(0, 9)),
    st.tuples(st.just("reset")),
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(DEEDS, min_size=3, max_size=9))
def test_recall_as_of_every_prefix_is_the_recall_made_then(deeds: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as place, FluxMem.open(place, chroma="off") as mem:
        history = History(mem)
        history.tell()
        for verb, *arguments in deeds:
            getattr(history, verb)(*arguments)
            history.count += 1
            history.tell()
        for position, said, held, names in history.lived:
            past = mem.as_of(position=position)
            assert told(past.recall(QUERY)) == said
            assert items(past.store) == held
            assert past.store.list_namespaces() == names
        assert mem.verify() == []
        assert told(mem.recall(QUERY)) == history.lived[-1][1], "looking back changed nothing"


def test_skills_of_then(mem: FluxMem) -> None:
    from ..consolidation.tasks import HERE as tasks
    from ..consolidation.tasks import commit
    from ..consolidation.test_consolidation_graph import chores

    deeds = chores()
    commit(mem, *deeds)
    before, task = mem.engine.ledger.head(), deeds[0].task
    assert not mem.recall(task, namespace=tasks).skills
    report = mem.consolidate(namespace=tasks)
    with_skills = mem.recall(task, namespace=tasks)
    assert with_skills.skills
    mem.undo(report.operation)
    assert not mem.recall(task, namespace=tasks).skills
    assert mem.as_of(commit=report.operation).recall(task, namespace=tasks).skills == with_skills.skills
    assert not mem.as_of(position=before).recall(task, namespace=tasks).skills


async def test_moments_by_commit_time_and_position_in_both_faces(mem: FluxMem) -> None:
    mem.remember(["ada is on the team plan"])
    first = mem.log(limit=1)[0]
    mem.remember(["ada is on the enterprise plan"])
    second = mem.log(limit=1)[0]
    for asked in (
        {"commit": first.id},
        {"position": first.position},
        {"time": first.at},
        {"time": dt.datetime.fromtimestamp(first.at, dt.UTC)},
    ):
        if second.at == first.at and "time" in asked:
            continue
        past = mem.as_of(**asked)
        assert (past.moment().position, (await past.amoment()).position) == (first.position, first.position)
        texts = [fact.content for fact in past.recall("ada's plan").facts]
        assert texts == ["ada is on the team plan"] == [fact.content for fact in (await past.arecall("ada's plan")).facts]
        assert len(past.store.search(HERE)) == len(await past.store.asearch(HERE)) == 1
        assert past.topics() == await past.atopics() == []
    assert not mem.as_of(position=0).recall("ada").facts
    assert not mem.as_of(time=0.0).recall("ada").facts


def forked(mem: FluxMem) -> tuple[Any, Any, Any]:
    """A thread with an episode, a second one, and a fork before that; the states after each of the two, and the app."""
    app = build(mem).compile(checkpointer=InMemorySaver())
    app.invoke(start(), thread())
    app.invoke(start("open red door", "open green door"), thread())
    left = app.get_state(thread())
    before = next(s for s in app.get_state_history(thread()) if s.next == ("agent",) and s.values["turn"] == 1)
    app.invoke(None, app.update_state(before.config, {"plan": ["", "open blue door", "open green door"]}, as_node="retrieve"))
    return app, left, app.get_state(thread())


def steps(activation: Any) -> list[int]:
    return sorted(episode.steps for episode in activation.episodes)


def test_as_of_a_checkpoint_is_what_its_branch_saw(mem: FluxMem) -> None:
    app, left, forked_to = forked(mem)
    task = "find the gold behind a door"
    assert steps(mem.recall(task)) == [1, 3]
    assert steps(mem.as_of(checkpoint=left).recall(task)) == [1, 2], "the branch that was left, before the fork was made"
    assert steps(mem.as_of(checkpoint=forked_to).recall(task)) == [1, 3]
    history = [s for s in app.get_state_history(thread()) if s.next == ("commit_episode",)]
    assert [steps(mem.as_of(checkpoint=s).recall(task)) for s in history] == [[1], [1], []], "before each commit"
    for snapshot in history:
        for checkpoint in (snapshot.config, snapshot.config["configurable"]["checkpoint_id"]):
            assert steps(mem.as_of(checkpoint=checkpoint).recall(task)) == steps(mem.as_of(checkpoint=snapshot).recall(task))


def test_as_of_a_commit_on_a_branch_that_was_left(mem: FluxMem) -> None:
    forked(mem)
    commits = [row.commit for row in reversed(mem.log()) if row.commit]
    task = "find the gold behind a door"
    assert [steps(mem.as_of(commit=commit).recall(task)) for commit in commits] == [[1], [1, 2], [1, 3]]


def test_an_activation_of_the_past_advises_refines_and_travels_there_and_teaches_nothing(mem: FluxMem) -> None:
    for action in ("open green door", "open red door"):
        win = Episode(task=QUERY, steps=(Step(observation="doors", action=action, progress=1.0),), outcome="success")
        mem.commit(win)
    first = mem.log()[-1]
    past = mem.as_of(commit=first.id).recall(QUERY)
    green, red, _ = past.advise(ACTIONS)
    assert green.score > 0
    again = mem.activation(past.model_dump(mode="json"))
    assert again.advise(ACTIONS) == past.advise(ACTIONS)
    assert mem.recall(QUERY).advise(ACTIONS)[1].score > red.score
    mem.remember(list(WORDS))
    assert mem.refine(past, Feedback(outcome="failure")).facts == (), "there were no facts then"
    with pytest.raises(FeedbackError, match="as of position"):
        mem.learn(past, Feedback(outcome="success"))


def test_the_past_cannot_be_written(mem: FluxMem) -> None:
    mem.store.put(HERE, "k", {"text": "one"})
    past = mem.as_of(position=mem.engine.ledger.head())
    mem.store.put(HERE, "k", {"text": "two"})
    assert past.store.get(HERE, "k").value == {"text": "one"}
    with pytest.raises(LedgerError, match="past"):
        past.store.put(HERE, "k", {"text": "three"})
    with pytest.raises(LedgerError, match="past"):
        past.store.delete(HERE, "k")


def test_what_was_erased_is_gone_at_every_moment(mem: FluxMem) -> None:
    mem.store.put(HERE, "k", {"text": "a secret"})
    then = mem.engine.ledger.head()
    mem.store.delete(HERE, "k")
    assert mem.as_of(position=then).store.get(HERE, "k") is None
    assert not mem.as_of(position=then).recall("a secret").facts


def test_what_is_forgotten_is_gone_from_a_past_that_was_looked_at_before(mem: FluxMem) -> None:
    (fact,) = mem.remember(["the green door has a lock"])
    mem.commit(Episode(task=QUERY, steps=(Step(action="open green door", progress=1.0),), outcome="success", id="opened"))
    then = mem.engine.ledger.head()
    shown = mem.as_of(position=then).recall(QUERY)
    assert [episode.task for episode in shown.episodes] == [QUERY]
    assert shown.steps
    mem.forget("opened")
    again = mem.as_of(position=then).recall(QUERY)
    assert not again.episodes
    assert not again.steps
    assert [found.id for found in again.facts] == [fact]
    assert [advice.support for advice in shown.advise(ACTIONS)] == [0.0] * len(ACTIONS)


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({}, ConfigError, "nothing"),
        ({"commit": "x", "position": 1}, ConfigError, "commit and position"),
        ({"time": dt.datetime(2026, 1, 1)}, ConfigError, "time zone"),
        ({"position": -1}, ConfigError, "0 or more"),
        ({"position": "3"}, ConfigError, "0 or more"),
        ({"time": "yesterday"}, ConfigError, "datetime"),
        ({"position": 99}, UnknownIdError, "99"),
        ({"commit": "no such"}, UnknownIdError, "mem.log"),
        ({"checkpoint": "no such"}, UnknownIdError, "get_state"),
        ({"checkpoint": str(uuid.UUID(int=1, version=4))}, UnknownIdError, "get_state"),
    ],
)
def test_moments_that_cannot_be(mem: FluxMem, asked: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        mem.as_of(**asked).moment()


def test_what_was_compacted_away_cannot_be_looked_at(mem: FluxMem) -> None:
    for text in WORDS:
        mem.remember([text])
    mem.compact(keep=2)
    horizon = mem.engine.ledger.horizon()
    assert horizon > 1
    with pytest.raises(LedgerError, match="compacted"):
        mem.as_of(position=1).recall(QUERY)
    assert mem.as_of(position=horizon).recall(QUERY).facts
