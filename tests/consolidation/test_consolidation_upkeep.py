"""What else a consolidation does: warnings from failures, credit withdrawn by replay, links cut, notes by a model, compare-and-swap in a race."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from langgraph_fluxmem import Episode, Feedback, FluxMem, StaleError, Step
from langgraph_fluxmem.consolidation import Settings
from langgraph_fluxmem.consolidation.caring import turned
from langgraph_fluxmem.consolidation.graph import consolidation_graph
from langgraph_fluxmem.edits import EvidenceWrite, NodeWrite, Plan
from langgraph_fluxmem.testing import faults
from langgraph_fluxmem.testing.models import ScriptedChatModel

from .tasks import HERE, box, commit, login, skills, view, world


# --------------------------------------------------------------------------------------------------------------------------- warnings
def test_consolidation_makes_a_warning_of_failures_that_recur_and_a_procedure_takes_its_place(mem: FluxMem):
    commit(mem, *(login(n, ok=False) for n in range(4)))
    report = mem.consolidate(namespace=HERE)
    (warning,) = skills(mem)
    assert (warning.steps, warning.status, report.skills[0].decision) == ((), "candidate", "accepted")
    assert warning.pitfalls == ("do not click on=Cancel: it ended badly 4 of 4 times",)
    recalled = mem.recall(login(9).task, namespace=HERE)
    assert recalled.skills[0].pitfalls == warning.pitfalls
    assert "do not click on=Cancel" in recalled.context
    commit(mem, *(login(n) for n in range(10, 14)))
    mem.consolidate(namespace=HERE)
    (skill,) = skills(mem)
    assert (skill.node, skill.number, len(skill.steps)) == (warning.node, 2, 5)
    assert skill.pitfalls == warning.pitfalls
    assert mem.verify() == []


def test_consolidation_makes_no_warning_of_a_failure_that_did_not_recur(mem: FluxMem):
    commit(mem, *(login(n, ok=False) for n in range(2)), *(box(n) for n in range(3)))
    report = mem.consolidate(namespace=HERE)
    assert [bool(skill.steps) for skill in skills(mem)] == [True]
    assert "0 successes; 2 are needed" in [part.why for part in report.clusters]


def test_a_warning_is_said_once_and_amended_when_there_is_more(mem: FluxMem):
    commit(mem, *(login(n, ok=False) for n in range(4)))
    mem.consolidate(namespace=HERE, replay=world())
    commit(mem, login(20, ok=False))
    mem.consolidate(namespace=HERE, replay=world())
    (warning,) = skills(mem)
    assert warning.pitfalls == ("do not click on=Cancel: it ended badly 5 of 5 times",)


# ----------------------------------------------------------------------------------------------------------------------------- credit
def progress(mem: FluxMem) -> dict[str, float]:
    """Action -> sum of progress over all steps."""
    memory = mem.engine.learned(HERE)
    found: dict[str, float] = {}
    for target, step in memory.steps.steps.items():
        version, _, ordinal = target.partition("#")
        action = (memory.episodes[version].body or {})["steps"][int(ordinal)]["action"]
        name = str(action.get("by") or action.get("on") or "type")
        found[name] = found.get(name, 0.0) + step.evidence[0]
    return found


def test_consolidation_withdraws_the_credit_of_steps_that_a_replay_went_well_without(mem: FluxMem):
    commit(mem, *(login(n, scroll=True) for n in range(5)))
    before = progress(mem)
    report = mem.consolidate(namespace=HERE, replay=world())
    after = progress(mem)
    assert before["10"] > 0 == after["10"]
    assert {name: value for name, value in after.items() if name != "10"} == {name: value for name, value in before.items() if name != "10"}
    assert report.withdrawn == 5
    assert mem.verify() == []
    mem.undo(report.operation or "")
    assert progress(mem) == before
    assert mem.verify() == []


def test_credit_that_was_withdrawn_goes_with_what_had_given_it(mem: FluxMem):
    from langgraph_fluxmem import DependentsError

    commits = [mem.commit(login(n, scroll=True), namespace=HERE) for n in range(5)]
    report = mem.consolidate(namespace=HERE, replay=world())
    with pytest.raises(DependentsError) as refused:
        mem.undo(commits[0])
    assert report.operation in refused.value.dependents
    mem.undo(commits[0], cascade=True)
    assert min(progress(mem).values()) >= 0
    assert mem.verify() == []


# ------------------------------------------------------------------------------------------------------------------------------ links
def test_consolidation_cuts_a_link_that_evidence_has_turned_against_and_an_undo_brings_it_back(mem: FluxMem):
    good, bad = mem.remember(["the password is in the drawer", "the password is on the shelf"], namespace=HERE)
    activation = mem.recall("where is the password?", namespace=HERE)
    mem.learn(activation, Feedback(outcome="success", used=(good, bad)))
    commit(mem, *(login(n) for n in range(4)))
    mem.consolidate(namespace=HERE)
    edge = next(edge for edge in mem.engine.ledger.edges(HERE) if edge.kind == "RELATES" and edge.src == bad and edge.dst != good)
    for number in range(3):
        mem.engine.ledger.apply(
            Plan(f"against-{number}", "learn", HERE, (EvidenceWrite(f"{edge.src}>{edge.dst}", f"a{number}", "failure", 2.0),))
        )
    graph = mem.engine.projections.graph(HERE)
    assert graph.weight(edge.src, edge.dst, "RELATES") > 0
    report = mem.consolidate(namespace=HERE)
    assert report.facts.pruned == 1
    graph = mem.engine.projections.graph(HERE)
    assert graph.weight(edge.src, edge.dst, "RELATES") == 0
    assert edge.dst.rsplit(":", 1)[0] not in graph.neighbours(edge.src, ["RELATES"])
    assert mem.verify() == []
    assert mem.consolidate(namespace=HERE).facts.pruned == 0
    mem.undo(report.operation or "")
    assert mem.engine.projections.graph(HERE).weight(edge.src, edge.dst, "RELATES") > 0


@pytest.mark.parametrize(("good", "bad", "cut"), [(0, 2, False), (0, 3, True), (1, 3, False), (1, 5, True), (8, 9, False)])
def test_consolidation_cuts_only_what_even_the_optimist_gives_up(good: float, bad: float, cut: bool):
    assert turned(good, bad, Settings()) is cut


# ------------------------------------------------------------------------------------------------------------------------------ notes
NOTES = {"context": "The kettle needs two minutes", "keywords": ["kettle", "two minutes"]}
RELATED = {"relations": [{"redundancy": 0.1, "complementarity": 0.9}]}


def test_consolidation_enriches_facts_by_a_model_and_leaves_what_was_remembered_as_it_is(mem: FluxMem):
    first, second = mem.remember(
        ["Uhm, the red kettle, it boils water in, like, two minutes", "the red kettle boils water"], namespace=HERE
    )
    model = ScriptedChatModel(answer=lambda name, _: NOTES if name == "Extracted" else RELATED)
    before = mem.recall("red kettle", namespace=HERE)
    report = mem.consolidate(namespace=HERE, model=model)
    assert (report.facts.looked_at, report.facts.enriched, report.facts.linked) == (2, 2, 1)
    assert (report.calls, [name for name, _ in model.asked].count("Related"), report.fallbacks) == (3, 1, 0)
    assert report.input_tokens > 0
    rows = mem.engine.ledger.nodes(HERE, kinds=("fact",))
    assert [(row.body or {})["context"] for row in rows] == [NOTES["context"]] * 2
    assert [text.path for text in rows[0].texts] == ["content", "note"]
    after = mem.recall("red kettle", namespace=HERE)
    assert {(fact.content, str(fact.metadata)) for fact in after.facts} == {(fact.content, str(fact.metadata)) for fact in before.facts}
    assert mem.recall("two minutes", namespace=HERE).facts
    again = mem.consolidate(namespace=HERE, model=model)
    assert (again.calls, again.operation) == (0, None)
    assert mem.verify() == []
    mem.undo(report.operation or "")
    assert view(mem.recall("red kettle", namespace=HERE)) == view(before)


def test_consolidation_by_a_model_takes_up_older_facts_and_stays_within_its_limit(mem: FluxMem):
    mem.remember([f"fact number {n} is about {word}" for n, word in enumerate(["tea", "coal", "rain", "gold", "silk"])], namespace=HERE)
    mem.consolidate(namespace=HERE)
    model = ScriptedChatModel(answer=lambda name, _: NOTES if name == "Extracted" else RELATED)
    counts = [mem.consolidate(namespace=HERE, model=model, thresholds={"enrich": 2}).facts.enriched for _ in range(4)]
    assert counts == [2, 2, 1, 0]
    assert len(model.asked) == 5


def test_a_model_that_says_nonsense_leaves_facts_without_notes(mem: FluxMem):
    mem.remember(["the red kettle boils water in two minutes", "the red kettle boils water"], namespace=HERE)
    report = mem.consolidate(namespace=HERE, model=ScriptedChatModel(answers=["banana"]))
    assert (report.facts.enriched, report.facts.looked_at, report.fallbacks) == (0, 2, 3)


def test_batches_of_facts_are_tasks_of_the_graph_and_are_not_repeated(mem: FluxMem):
    from langgraph.checkpoint.memory import InMemorySaver

    mem.remember([f"fact {n} says that {n} is a number" for n in range(70)], namespace=HERE)
    model = ScriptedChatModel(answer=lambda name, _: NOTES if name == "Extracted" else {"relations": []})
    graph = consolidation_graph(mem, model=model, checkpointer=InMemorySaver(), thresholds={"enrich": 40, "parallel": 1})
    thread: Any = {"configurable": {"thread_id": "facts"}}
    with faults.armed("consolidation.accepting", at=1), pytest.raises(faults.FaultError):
        graph.invoke({"namespace": list(HERE)}, thread)
    asked = len(model.asked)
    report = graph.invoke(None, thread)["report"]
    assert len(model.asked) == asked
    assert (report["facts"]["looked_at"], report["facts"]["enriched"]) == (70, 40)


# --------------------------------------------------------------------------------------------------------------------- compare-and-swap
@contextmanager
def meanwhile(mem: FluxMem, times: int = 1) -> Iterator[list[int]]:
    """Just before a consolidation writes, somebody else writes a version of its skill, the first `times` times."""
    done: list[int] = []

    def write() -> None:
        if len(done) < times:
            done.append(1)
            (row,) = mem.engine.ledger.nodes(HERE, kinds=("skill",))
            body = {**dict(row.body or {}), "name": f"renamed {len(done)}"}
            mem.engine.ledger.apply(
                Plan(f"hand-{len(done)}", "edit", HERE, (NodeWrite(f"{row.node}:h{len(done)}", row.node, "skill", body, row.texts),))
            )

    with faults.armed("consolidation.writing", write):
        yield done


def test_the_compare_and_swap_of_consolidation_holds_in_a_race(mem: FluxMem):
    commit(mem, *(login(n) for n in range(6)))
    mem.consolidate(namespace=HERE)
    old = skills(mem)[0]
    commit(mem, *(login(n, ok=False) for n in range(20, 24)), *(box(n) for n in range(3)))
    with meanwhile(mem) as done:
        report = mem.consolidate(namespace=HERE)
    assert len(done) == 1
    (refused,) = report.decided("rejected")
    assert refused.why.startswith("stale: made from version")
    renamed, selected = skills(mem)
    assert (renamed.name, renamed.number) == ("renamed 1", old.number)
    assert selected.name.startswith("Select")  # what was not stale is written
    assert mem.verify() == []


def test_a_consolidation_gives_up_when_its_skills_change_under_every_try_and_writes_nothing(mem: FluxMem):
    commit(mem, *(login(n) for n in range(5)))
    mem.consolidate(namespace=HERE)
    commit(mem, *(login(n) for n in range(10, 13)))
    with meanwhile(mem, times=9) as done, pytest.raises(StaleError, match="read these nodes again"):
        mem.consolidate(namespace=HERE)
    assert len(done) == 3
    assert [row.kind for row in mem.engine.ledger.operations(HERE)].count("consolidate") == 1
    assert mem.consolidate(namespace=HERE).operation  # its lease was given back


def test_a_plan_is_refused_when_what_it_expects_or_rests_on_does_not_hold(mem: FluxMem):
    ledger = mem.engine.ledger
    (fact,) = mem.remember(["one"], namespace=HERE)
    node = fact.rsplit(":", 1)[0]
    write = NodeWrite("x:1", "x", "fact", {"content": "x"})
    for expects in ({node: "other:1"}, {node: None}, {"nowhere": "a:1"}):
        with pytest.raises(StaleError) as refused:
            ledger.apply(Plan("p", "edit", HERE, (write,), expects=expects))
        assert refused.value.nodes == tuple(expects)
    position = ledger.head(HERE)
    undone = ledger.operations(HERE)[0].id
    ledger.undo(undone)
    with pytest.raises(StaleError, match="do not count any more"):
        ledger.apply(Plan("p", "edit", HERE, (write,), rests_on=(position,)))
    assert ledger.nodes(HERE) == []
    ledger.apply(Plan("p", "edit", HERE, (write,), expects={node: None, "x": None}))
    assert [row.id for row in ledger.nodes(HERE)] == ["x:1"]


def test_episodes_without_a_step_are_left_alone_by_consolidation(mem: FluxMem):
    for n in range(5):
        mem.commit(Episode(task="wait", steps=(Step(observation="nothing"),), outcome="success", id=f"wait-{n}"), namespace=HERE)
    assert mem.consolidate(namespace=HERE).decided("accepted") == []
