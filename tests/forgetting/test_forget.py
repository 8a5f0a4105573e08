"""Forgetting: what goes, what goes with it, what stays as if it had never been there, and that nothing brings it back."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from langchain_core.documents import Document

from langgraph_fluxmem import ConfigError, Episode, Feedback, FluxMem, LedgerError, Step, UnknownIdError

ADA, BOB = ("acme", "ada"), ("acme", "bob")
FACTS = ["Ada is on the team plan.", "Bob prefers green tea.", "Ada lives in Zanzibar.", "The team plan costs ten euros."]


def contents(mem: FluxMem, query: str, **options) -> list[tuple[str, float]]:
    return [(fact.content, fact.score) for fact in mem.recall(query, **options).facts]


def episode(number: int, *, outcome: str = "success", word: str = "order") -> Episode:
    steps = (
        Step(observation="the desk", action=f"open {word} {number}"),
        Step(observation=f"{word} {number} is open", action=f"refund {word} {number}", progress=1.0),
    )
    return Episode(task=f"refund {word} {number}", steps=steps, outcome=outcome, id=f"{word}-{number}")


def test_a_fact_by_its_id(mem: FluxMem) -> None:
    mem.remember(FACTS)
    first = mem.recall("which plan is ada on?")
    mem.learn(first, Feedback(outcome="success", used=[first.facts[0].id]))
    head = mem.engine.ledger.head()
    rehearsed = mem.forget(first.facts[0].id, dry_run=True)
    assert mem.engine.ledger.head() == head
    assert "cannot be undone" in str(rehearsed)
    forgotten = mem.forget(first.facts[0].id)
    assert forgotten.ids == rehearsed.ids == (first.facts[0].id,)
    assert (forgotten.versions, forgotten.vectors, forgotten.edges, forgotten.evidence) == (1, 1, 1, 1)
    assert rehearsed.model_dump(exclude={"operations", "dry_run"}) == forgotten.model_dump(exclude={"operations", "dry_run"})
    assert forgotten.mentioned
    assert FACTS[0] not in [content for content, _ in contents(mem, "which plan is ada on?")]
    assert mem.verify() == []
    with pytest.raises(UnknownIdError, match="holds nothing under"):
        mem.forget(first.facts[0].id)


def test_it_cannot_be_undone_and_says_so(mem: FluxMem) -> None:
    (fact,) = mem.remember("Ada is on the team plan.")
    (operation,) = mem.forget(fact).operations
    assert mem.log(limit=1)[0].kind == "forget"
    with pytest.raises(LedgerError, match="cannot be undone"):
        mem.undo(operation)
    remembered = mem.log()[-1].id
    mem.undo(remembered)
    mem.undo(mem.log(limit=1)[0].id)
    assert mem.recall("plan").facts == ()
    assert mem.verify() == []


def test_what_was_forgotten_can_be_remembered_again(mem: FluxMem) -> None:
    (fact,) = mem.remember("Ada is on the team plan.")
    mem.forget(fact)
    assert mem.remember("Ada is on the team plan.") != [fact]
    assert contents(mem, "plan")[0][0] == "Ada is on the team plan."


def test_nothing_is_forgotten_by_accident(mem: FluxMem) -> None:
    mem.remember(FACTS)
    with pytest.raises(ConfigError, match="asked for nothing"):
        mem.forget()
    with pytest.raises(ConfigError, match="asked for nothing"):
        mem.forget([])
    with pytest.raises(ConfigError, match="conflict|beside|ids"):
        mem.forget("x", source="crm")
    with pytest.raises(ConfigError, match="kinds"):
        mem.forget(kinds=["fakt"])
    with pytest.raises(ConfigError, match="deep"):
        mem.forget(deep=True, source="crm")
    with pytest.raises(ConfigError, match="before"):
        mem.forget(before="yesterday")
    with pytest.raises(ConfigError, match="time zone"):
        mem.forget(before=dt.datetime(2026, 1, 31))
    assert len(mem.recall("plan tea Zanzibar euros").facts) == 4


def test_another_namespace_is_never_touched(mem: FluxMem) -> None:
    (fact,) = mem.remember(FACTS[0], namespace=ADA)
    mem.remember(FACTS[0], namespace=BOB)
    with pytest.raises(UnknownIdError):
        mem.forget(fact, namespace=BOB)
    with pytest.raises(UnknownIdError):
        mem.forget(fact)
    before = mem.recall("which plan?", namespace=BOB)
    mem.forget(namespace=ADA)
    after = mem.recall("which plan?", namespace=BOB)
    assert [(found.id, found.score) for found in before.facts] == [(found.id, found.score) for found in after.facts]
    assert mem.recall("which plan?", namespace=ADA).facts == ()


@pytest.mark.parametrize(
    ("asked", "gone"),
    [
        ({"source": "crm"}, {"a", "b"}),
        ({"filter": {"team": {"$eq": "red"}}}, {"a", "c"}),
        ({"source": "crm", "filter": {"team": "red"}}, {"a"}),
        ({"kinds": ["item"]}, {"d"}),
        ({"filter": {"colour": "blue"}}, {"d"}),
        ({"before": dt.timedelta(days=1)}, set()),
        ({"before": dt.datetime.now(dt.UTC) + dt.timedelta(days=1), "kinds": ["fact"]}, {"a", "b", "c"}),
        ({"before": 0.0}, set()),
    ],
)
def test_by_what_holds_of_it(mem: FluxMem, asked: dict, gone: set[str]) -> None:
    mem.remember(
        [
            Document("a", metadata={"source": "crm", "team": "red"}),
            Document("b", metadata={"source": "crm"}),
            Document("c", metadata={"source": "mail", "team": "red"}),
        ]
    )
    mem.store.put(("memories",), "d", {"text": "d", "colour": "blue"})
    forgotten = mem.forget(**asked, dry_run=True)
    assert len(forgotten.removed) == len(gone)
    mem.forget(**asked)
    left = {row.body.get("content") or row.body["value"]["text"] for row in mem.engine.ledger.nodes(("memories",))}
    assert left == {"a", "b", "c", "d"} - gone
    assert mem.verify() == []


def test_a_user_wherever_the_label_stands(mem: FluxMem) -> None:
    for namespace in (ADA, BOB, ("notes", "ada", "2026"), ("adamant",)):
        mem.remember(FACTS[0], namespace=namespace)
        mem.commit(episode(1), namespace=namespace)
    assert {found.namespace for found in mem.forget(user="ada", namespace=("notes",), dry_run=True).removed} == {("notes", "ada", "2026")}
    assert str(mem.forget(user="nobody")) == "nothing to forget"
    forgotten = mem.forget(user="ada")
    assert {found.namespace for found in forgotten.removed} == {ADA, ("notes", "ada", "2026")}
    assert mem.engine.ledger.namespaces() == [BOB, ("adamant",)]
    assert mem.forget(namespace=("acme",), deep=True).counts() == {"fact": 1, "episode": 1}
    assert mem.engine.ledger.namespaces() == [("adamant",)]


def test_every_version_goes_also_undone_ones(mem: FluxMem) -> None:
    mem.remember(Document("first text", id="d"))
    mem.remember(Document("second text", id="d"))
    mem.undo(mem.log(limit=1)[0].id)
    (fact,) = [found.id for found in mem.recall("text").facts]
    assert mem.forget(fact).versions == 2
    assert mem.recall("text").facts == ()
    assert mem.verify() == []


def test_a_key_is_text_too(mem: FluxMem) -> None:
    mem.store.put(("memories",), "ada@example.com", {"text": "plan"})
    mem.store.put(("memories",), "ada@example.com", {"text": "another plan"})
    mem.store.delete(("memories",), "ada@example.com")
    mem.store.put(("memories",), "ada@example.com", {"text": "a third plan"})
    mem.forget(kinds=["item"])
    assert mem.store.get(("memories",), "ada@example.com") is None
    rows = mem.engine.ledger.read(lambda session: session.text("SELECT key, source, speaker, body, texts FROM fluxmem_nodes"))
    assert len(rows) == 5
    assert all(row == (None,) * 5 for row in rows)
    mem.store.put(("memories",), "ada@example.com", {"text": "new"})
    assert mem.store.get(("memories",), "ada@example.com").value == {"text": "new"}
    assert mem.verify() == []


def test_an_episode_and_what_it_taught(mem: FluxMem) -> None:
    commit = mem.commit(episode(1))
    mem.commit(episode(2))
    mem.learn("order-1", Feedback(outcome="success", detail="the judge said so"))
    forgotten = mem.forget("order-1")
    assert sorted(found.why for found in forgotten.removed) == ["asked", "judgement"]
    activation = mem.recall("refund order 1")
    assert [found.task for found in activation.episodes] == ["refund order 2"]
    assert mem.commit(episode(1)) == commit  # a node that runs again brings nothing back
    assert [found.task for found in mem.recall("refund order 1").episodes] == ["refund order 2"]
    with pytest.raises(UnknownIdError, match="forgotten"):
        mem.learn("order-1", Feedback(outcome="failure"))
    assert mem.verify() == []


def test_threads_that_may_hold_it_are_named(mem: FluxMem) -> None:
    from ..nodes.agent import build
    from ..nodes.test_loop import start
    from langgraph.checkpoint.memory import InMemorySaver

    build(mem).compile(checkpointer=InMemorySaver()).invoke(
        start(["open red door", "open green door"]), {"configurable": {"thread_id": "thread-7"}}
    )
    assert mem.forget(kinds=["episode"], dry_run=True).threads == ("thread-7",)


@pytest.mark.parametrize("closed", [False, True], ids=["followed", "read anew"])
def test_recall_of_what_remains_is_as_if_it_had_never_been(tmp_path: Path, closed: bool) -> None:
    def told(mem: FluxMem) -> list[object]:
        out: list[object] = []
        for query in ("which plan is ada on?", "tea", "what does the plan cost?", "refund order 3"):
            activation = mem.recall(query)
            out.append([(fact.content, fact.score, fact.why.signals) for fact in activation.facts])
            out.append([(found.task, found.score) for found in activation.episodes])
            out.append([(step.action, step.score, step.successes) for step in activation.steps])
            out.append([(said.action, said.score, said.support) for said in activation.advise(["open order 3", "refund order 3"])])
        return out

    def live(mem: FluxMem, *, secret: bool) -> None:
        mem.remember(FACTS[1:])
        if secret:
            mem.remember(FACTS[0], source="secret")
        for number in range(3):
            mem.commit(episode(number))
        if secret:
            activation = mem.recall("which plan is ada on?")
            mem.commit(
                Episode(
                    task="which plan is ada on?",
                    steps=(Step(action="open order 9", used=[activation.facts[0].id, activation.facts[1].id], progress=1.0),),
                    outcome="success",
                    id="secret",
                )
            )
        tea = mem.recall("tea", k=1)
        mem.learn(tea, Feedback(outcome="success", used=[tea.facts[0].id]))

    with FluxMem.open(tmp_path / "with", chroma="off") as one, FluxMem.open(tmp_path / "without", chroma="off") as other:
        live(one, secret=True)
        live(other, secret=False)
        expected = told(other)
        assert told(one) != expected
        one.forget(source="secret")
        one.forget("secret")
        if not closed:
            assert told(one) == expected
            assert one.verify() == []
    if closed:
        with FluxMem.open(tmp_path / "with", chroma="off") as one:
            assert told(one) == expected


def test_a_skill_goes_where_only_forgotten_episodes_said_what_it_says(mem: FluxMem) -> None:
    for number in range(17, 23):
        mem.commit(episode(number), namespace=ADA)
    for number in range(3, 9):
        steps = (Step(action=f"find brush {number}"), Step(observation="a brush", action=f"paint zebra {number} black", progress=1.0))
        mem.commit(Episode(task=f"paint the zebra in cage {number}", steps=steps, outcome="success", id=f"zebra-{number}"), namespace=ADA)
    mem.consolidate(namespace=ADA)
    skills = {row.body["name"] for row in mem.engine.ledger.nodes(ADA, kinds=("skill",))}
    assert any("zebra" in name for name in skills)
    kept = mem.forget("order-17", namespace=ADA)
    assert kept.dependents == ()  # what the skill says of orders, five others say
    ids = [f"zebra-{number}" for number in range(3, 9)]
    forgotten = mem.forget(ids, namespace=ADA)
    assert [found.kind for found in forgotten.dependents] == ["skill"] * len(forgotten.dependents)
    assert forgotten.dependents
    left = mem.engine.ledger.nodes(ADA, kinds=("skill",))
    assert left
    assert not any("zebra" in str(row.body) for row in left)
    assert mem.verify() == []


def test_a_skill_is_made_anew_of_what_remains(mem: FluxMem) -> None:
    for number in range(17, 23):
        mem.commit(episode(number))
    report = mem.consolidate()
    skill = next(found.version for found in report.skills if found.version)
    forgotten = mem.forget(skill)
    assert [found.kind for found in forgotten.removed] == ["skill"]
    assert mem.recall("refund order 30").skills == ()
    again = mem.consolidate()
    assert [found.name for found in again.skills] == [found.name for found in report.skills]
    assert mem.recall("refund order 30").skills
    assert mem.verify() == []


def test_a_consolidation_under_way_writes_nothing_of_it(mem: FluxMem) -> None:
    from langgraph_fluxmem.errors import LeaseLostError
    from langgraph_fluxmem.testing import faults

    for number in range(17, 23):
        mem.commit(episode(number))
    with faults.armed("consolidation.writing", lambda: mem.forget(kinds=["episode"])), pytest.raises(LeaseLostError):
        mem.consolidate()
    assert mem.engine.ledger.nodes(("memories",)) == []


def test_a_version_in_another_grain_goes_along(mem: FluxMem) -> None:
    from langgraph_fluxmem.edits import EdgeWrite, NodeWrite, Plan

    fact, other = mem.remember(["Ada is on the team plan, which costs ten euros.", "Bob prefers tea."])
    finer = NodeWrite("r-1:1", "r-1", "fact", {"content": "It costs ten euros.", "metadata": {}})
    finest = NodeWrite("r-2:1", "r-2", "fact", {"content": "ten euros", "metadata": {}})
    beside = NodeWrite("r-3:1", "r-3", "fact", {"content": "tea", "metadata": {}})
    edges = [EdgeWrite("SUPERSEDES", "r-1:1", fact), EdgeWrite("SUPERSEDES", "r-2:1", "r-1:1"), EdgeWrite("SUPERSEDES", "r-3:1", other)]
    note = NodeWrite("n-1:1", "n-1", "note", {"facts": [fact, "r-1:1"], "origin": "system"})
    mem.engine.ledger.apply(Plan("op", "learn", ("memories",), (finer, finest, beside, note, *edges)))
    forgotten = mem.forget(fact)
    assert {found.node: found.why for found in forgotten.dependents} == {"r-1": "reshaped", "r-2": "reshaped", "n-1": "merged"}
    assert {row.node for row in mem.engine.ledger.nodes(("memories",))} == {other.rpartition(":")[0], "r-3"}
    assert mem.verify() == []


def test_what_was_made_of_it_meanwhile_goes_too(mem: FluxMem, monkeypatch: pytest.MonkeyPatch) -> None:
    home = sys.modules["langgraph_fluxmem.forgetting.forget"]
    erase = home.erase
    mem.remember("Ada is on the team plan.", namespace=ADA)
    once: list[Callable[[], object]] = [lambda: mem.remember("Ada lives in Zanzibar.", namespace=ADA, source="crm")]

    def slow(*arguments, **options):
        if once:
            once.pop()()
        return erase(*arguments, **options)

    monkeypatch.setattr(home, "erase", slow)
    mem.forget(namespace=ADA, source="crm", kinds=["fact"])
    assert [row.body["content"] for row in mem.engine.ledger.nodes(ADA)] == ["Ada is on the team plan."]


async def test_async(tmp_path: Path) -> None:
    from blockbuster import blockbuster_ctx

    mem = await FluxMem.aopen(tmp_path / "m", chroma="off")
    with blockbuster_ctx():
        (fact,) = await mem.aremember("Ada is on the team plan.")
        assert (await mem.aforget(fact)).ids == (fact,)
        assert (await mem.arecall("plan")).facts == ()
    await mem.aclose()
