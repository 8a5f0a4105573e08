"""What rests on what: each kind of operation undone, alone where nothing rests on it, else refused with its dependents or together with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from langgraph_fluxmem import DependentsError, Episode, Feedback, FluxMem, Step

from ..consolidation.tasks import commit as commit_all
from ..consolidation.test_consolidation_graph import chores

HERE = ("memories",)
CHORES = ("chores",)
QUERY = "which key opens the green door?"
ACTIONS = ["try brass key", "try iron key"]
Build = Callable[[FluxMem], str]
CASES: list[tuple[str, Build, tuple[str, ...]]] = []
"""What is undone; how it came to be, which returns its id; the verbs of what rests on it."""


def case(name: str, *resting: str) -> Callable[[Build], Build]:
    def add(build: Build) -> Build:
        CASES.append((name, build, resting))
        return build

    return add


def last(mem: FluxMem) -> str:
    return mem.log(limit=1)[0].id


def remembered(mem: FluxMem) -> tuple[str, str]:
    """The operation and the fact."""
    (fact,) = mem.remember(["the brass key opens the green door"])
    return last(mem), fact


def episode(action: str, *used: str) -> Episode:
    return Episode(task=QUERY, steps=(Step(observation="a door", action=action, progress=1.0, used=used, shown=used),), outcome="success")


@case("a fact")
def a_fact(mem: FluxMem) -> str:
    return remembered(mem)[0]


@case("a fact that was judged right", "learn")
def a_judged_fact(mem: FluxMem) -> str:
    operation, fact = remembered(mem)
    mem.learn(mem.recall(QUERY), Feedback(outcome="success", used=[fact]))
    return operation


@case("a fact that a committed step used", "commit")
def a_used_fact(mem: FluxMem) -> str:
    operation, fact = remembered(mem)
    mem.commit(episode("try brass key", fact))
    return operation


@case("a fact that was used, in an episode that was judged later", "commit", "learn")
def a_fact_at_the_bottom(mem: FluxMem) -> str:
    operation, fact = remembered(mem)
    mem.commit(episode("try brass key", fact).model_copy(update={"id": "e1"}))
    mem.learn("e1", Feedback(outcome="failure"))
    return operation


@case("a judgement")
def a_judgement(mem: FluxMem) -> str:
    _, fact = remembered(mem)
    return mem.learn(mem.recall(QUERY), Feedback(outcome="success", used=[fact])).operation


@case("an episode")
def an_episode(mem: FluxMem) -> str:
    return mem.commit(episode("try brass key"))


@case("an episode that was judged later", "learn")
def a_judged_episode(mem: FluxMem) -> str:
    commit = mem.commit(episode("try brass key").model_copy(update={"id": "e1"}))
    mem.learn("e1", Feedback(outcome="failure"))
    return commit


@case("an episode that a skill was made of", "consolidate")
def a_distilled_episode(mem: FluxMem) -> str:
    commit_all(mem, *chores())
    first = mem.log(limit=1)[0].id
    mem.consolidate(namespace=mem.log(limit=1)[0].namespace)
    return first


@case("a consolidation")
def a_consolidation(mem: FluxMem) -> str:
    commit_all(mem, *chores())
    return mem.consolidate(namespace=mem.log(limit=1)[0].namespace).operation


@case("an item")
def an_item(mem: FluxMem) -> str:
    mem.store.put(HERE, "k", {"text": "the brass key opens the green door"})
    return last(mem)


@case("an item that was put again", "put")
def an_item_put_again(mem: FluxMem) -> str:
    mem.store.put(HERE, "k", {"text": "the brass key opens the green door"})
    first = last(mem)
    mem.store.put(HERE, "k", {"text": "the iron key opens the green door"})
    return first


@case("a reset of learning")
def a_reset(mem: FluxMem) -> str:
    mem.commit(episode("try brass key"))
    return mem.reset_learning().operation


@case("an undo")
def an_undo(mem: FluxMem) -> str:
    return mem.undo(remembered(mem)[0]).operation


@case("an undo whose base was undone later", "undo")
def an_undo_below_another(mem: FluxMem) -> str:
    operation, fact = remembered(mem)
    judged = mem.learn(mem.recall(QUERY), Feedback(outcome="success", used=[fact])).operation
    undone = mem.undo(judged).operation
    mem.undo(operation)
    return undone


def told(mem: Any) -> dict[str, Any]:
    said = mem.recall(QUERY)
    return said.model_dump(mode="json", exclude={"id", "as_of", "position"}) | {
        "advice": [advice.model_dump(mode="json") for advice in said.advise(ACTIONS)]
    }


@pytest.mark.parametrize(("name", "build", "resting"), CASES, ids=[name for name, _, _ in CASES])
def test_undo_takes_along_what_rests_on_it_or_is_refused(mem: FluxMem, name: str, build: Build, resting: tuple[str, ...]) -> None:
    operation = build(mem)
    rows = {row.id: row for row in mem.log()}
    asked = rows[operation]
    later = sorted((row.position, row.id) for row in rows.values() if row.position > asked.position)
    now, head = told(mem), mem.engine.ledger.head()
    if resting:
        with pytest.raises(DependentsError, match="cascade=True") as refused:
            mem.undo(operation)
        assert [rows[dependent].kind for dependent in refused.value.dependents] == list(resting)
        assert all(dependent in str(refused.value) for dependent in refused.value.dependents)
        assert mem.engine.ledger.head() == head, "what is refused writes nothing"
    undone = mem.undo(operation, cascade=bool(resting))
    assert mem.engine.ledger.head() == head + 1, "one operation"
    assert {*mem.log(limit=1)[0].undoes} == {operation, *(refused.value.dependents if resting else ())}
    if asked.kind != "undo" and len(later) == len(resting):
        assert told(mem) == told(mem.as_of(position=asked.position - 1)), "as if it had never been"
    assert mem.undo(operation, cascade=True).duplicate
    assert mem.verify() == []
    mem.undo(undone.operation)
    assert told(mem) == now, "undone itself, it brings everything back"
    assert told(mem.as_of(position=head)) == now
    assert mem.verify() == []
