"""Each stage as a generator: requests in, a plan out; no database, no embedding, no model."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from langgraph_fluxmem import episodes, refinement
from langgraph_fluxmem.activation import form, query_text
from langgraph_fluxmem.branches import Branch
from langgraph_fluxmem.config import Config
from langgraph_fluxmem.errors import FeedbackError, ForeignMemoryError, UnknownIdError
from langgraph_fluxmem.learned import Learned
from langgraph_fluxmem.operators import RuleOperators
from langgraph_fluxmem.requests import ANYBODY, Apply, Embed, EmbedFor, Fetch, Hidden, Judge, LearnedOf, Load, Views
from langgraph_fluxmem.edits import Applied, CommitWrite, EdgeWrite, EvidenceWrite, NodeWrite, VectorWrite
from langgraph_fluxmem.schema import Activation, Episode, Feedback, Provenance, RecalledFact, Situation, Step, TentativeEdit

HERE = ("memories",)


def run(stage: Any, answers: dict[type, Any]) -> tuple[Any, list[Any]]:
    """Drive a stage with canned answers by request type; returns its result and the requests it made."""
    asked: list[Any] = []
    answer = None
    while True:
        try:
            request = stage.send(answer)
        except StopIteration as stop:
            return stop.value, asked
        asked.append(request)
        given = answers[type(request)]
        answer = given(request) if callable(given) else given


def embed_for(request: EmbedFor) -> Any:
    vector = np.array([1.0, 0.0], np.float32)
    return {key: VectorWrite(key, vector) for key, _ in request.texts}, {key: vector for key, _ in request.texts}


def applied(request: Apply) -> Applied:
    return Applied(request.plan.operation, 7)


def activation(**more: Any) -> Activation:
    facts = tuple(RecalledFact(id=f"f-{name}:1", content=name, namespace=HERE, score=1.0) for name in "abc")
    return Activation(**{"id": "act", "memory": "m", "namespace": HERE, "situation": Situation(task="which plan?"), "facts": facts, **more})


def writes(requests: list[Any], kind: type) -> list[Any]:
    (plan,) = [request.plan for request in requests if isinstance(request, Apply)]
    return [write for write in plan.writes if isinstance(write, kind)]


# ------------------------------------------------------------------------------------------------------------------------- commit
STEPS = (
    Step(observation="start", action="look", result="a note"),
    Step(observation="a note", action="take key", progress=1.0, shown=("f-a:1", "f-b:1"), used=("f-a:1", "f-b:1")),
)


def test_commit_writes_episode_evidence_and_edges_in_one_plan() -> None:
    stage = episodes.commit(
        Episode(task="find the key", steps=STEPS, outcome="success", id="e1"),
        namespace=HERE,
        provenance=Provenance(),
        branch=Branch("L", ("c0", "of another namespace")),
    )
    committed, asked = run(stage, {EmbedFor: embed_for, Fetch: [SimpleNamespace(id="c0")], Apply: applied})
    assert [type(request) for request in asked] == [EmbedFor, Fetch, Apply]
    (node,) = writes(asked, NodeWrite)
    (commit,) = writes(asked, CommitWrite)
    assert (node.kind, node.body["task"], node.body["outcome"]) == ("episode", "find the key", "success")
    assert (commit.id, commit.episode, commit.seen) == (committed.id, "e1", ("c0",)) and committed.after == ("c0",)
    edges = {(edge.kind, edge.src, edge.dst) for edge in writes(asked, EdgeWrite)}
    assert ("GROUNDS", "f-a:1", f"{node.id}#1") in edges
    assert ("RELATES", "f-a:1", "f-b:1") in edges, "worked together"
    evidence = {(row.target, row.channel) for row in writes(asked, EvidenceWrite)}
    assert (f"{node.id}#1", "progress") in evidence
    assert (f"f-a:1>{node.id}", "progress") in evidence


def test_commit_is_named_by_episode_and_content() -> None:
    def commit(**more: Any) -> str:
        episode = Episode(**{"task": "t", "steps": STEPS, "outcome": "success", "id": "e1", **more})
        return run(episodes.commit(episode, namespace=HERE, provenance=Provenance()), {EmbedFor: embed_for, Apply: applied})[0].id

    assert commit() == commit()
    assert len({commit(), commit(outcome="failure"), commit(id="e2"), commit(steps=STEPS[:1])}) == 4


def test_an_unknown_outcome_is_stored_and_teaches_nothing() -> None:
    _, asked = run(
        episodes.commit(Episode(task="t", steps=(Step(action="x", shown=("f-a:1",)),)), namespace=HERE, provenance=Provenance()),
        {EmbedFor: embed_for, Apply: applied},
    )
    assert writes(asked, NodeWrite)
    assert not writes(asked, EvidenceWrite)


def test_without_a_word_on_what_was_used_the_outcome_is_shared_and_worth_less() -> None:
    steps = (Step(action="x", shown=("f-a:1", "f-b:1")),)
    for outcome, channel in (("success", "progress"), ("failure", "failure")):
        _, asked = run(
            episodes.commit(Episode(task="t", steps=steps, outcome=outcome), namespace=HERE, provenance=Provenance()),
            {EmbedFor: embed_for, Apply: applied},
        )
        rows = [row for row in writes(asked, EvidenceWrite) if ">" in row.target]
        assert {row.channel for row in rows} == {channel}
        assert sum(row.weight for row in rows) == pytest.approx(episodes.SHARED)


# -------------------------------------------------------------------------------------------------------------------------- learn
def test_learn_credits_exactly_what_was_used_and_harmful() -> None:
    feedback = Feedback(outcome="success", used=["f-a:1", "e-x:1#2"], harmful=["f-b:1"])
    _, asked = run(refinement.learn(activation(), feedback, provenance=Provenance()), {EmbedFor: embed_for, Apply: applied})
    (node,) = writes(asked, NodeWrite)
    rows = {row.target: (row.channel, row.weight) for row in writes(asked, EvidenceWrite)}
    assert rows == {f"f-a:1>{node.id}": ("progress", 1.0), f"f-b:1>{node.id}": ("failure", 1.0), "e-x:1#2": ("progress", 1.0)}


def test_the_same_feedback_has_the_same_operation() -> None:
    def operation(feedback: Feedback) -> str:
        return run(refinement.learn(activation(), feedback, provenance=Provenance()), {EmbedFor: embed_for, Apply: applied})[0].operation

    assert operation(Feedback(outcome="success")) == operation(Feedback(outcome="success"))
    assert operation(Feedback(outcome="success")) != operation(Feedback(outcome="failure"))


def test_ids_are_checked_against_the_activation_and_then_the_ledger() -> None:
    _, asked = run(refinement.check_ids(activation(), ["f-a:1"], "m"), {})
    assert asked == []
    _, asked = run(refinement.check_ids(activation(), ["f-z:1", "e-x:1#4"], "m"), {Load: lambda request: dict.fromkeys(request.ids)})
    assert asked == [Load(HERE, ("f-z:1", "e-x:1"))]
    with pytest.raises(UnknownIdError, match="f-z:1"):
        run(refinement.check_ids(activation(), ["f-z:1"], "m"), {Load: {}})
    with pytest.raises(ForeignMemoryError):
        run(refinement.check_ids(activation(), [], "other"), {})


# ------------------------------------------------------------------------------------------------------------------------- refine
def refined(start: Activation, feedback: Feedback, operators: Any = None) -> Activation:
    answers = {Judge: lambda request: request.operators.judge(request.task), Load: {}}
    return run(refinement.refined(start, feedback, operators or RuleOperators()), answers)[0]


def edits(start: Activation, feedback: Feedback) -> list[tuple[str, tuple[str, ...]]]:
    return [(edit.action, edit.targets) for edit in refined(start, feedback).edits[len(start.edits) :]]


def test_refinement_attributes_feedback_to_expand_prune_and_bypass() -> None:
    assert edits(activation(), Feedback(outcome="failure", used=["f-a:1"], harmful=["f-b:1"])) == [
        ("prune", ("f-b:1",)),
        ("expand", ("f-a:1",)),
    ]
    assert edits(activation(), Feedback(outcome="failure")) == [("expand", ())]
    assert edits(activation(round=4), Feedback(outcome="failure")) == [("expand", ())], "what does not help does no harm"
    assert edits(activation(), Feedback(outcome="failure", harmful=["f-b:1"])) == [("prune", ("f-b:1",))]
    misled = (TentativeEdit(action="prune", targets=("f-x:1",)), TentativeEdit(action="prune", targets=("f-y:1",)))
    assert edits(activation(edits=misled), Feedback(outcome="failure", harmful=["f-b:1"])) == [("prune", ("f-b:1",)), ("bypass", ())]
    helped = activation(edits=misled, used=("f-a:1",))
    assert [edit for edit, _ in edits(helped, Feedback(outcome="failure", harmful=["f-b:1"]))] == ["prune", "expand"]
    assert edits(activation(), Feedback(outcome="success")) == []
    assert edits(activation(), Feedback()) == [], "an unknown outcome calls for nothing"


def test_refinement_keeps_what_was_shown_and_used() -> None:
    once = refined(activation(), Feedback(outcome="failure", used=["f-a:1"]))
    assert (once.round, once.shown, once.used, once.facts) == (1, ("f-a:1", "f-b:1", "f-c:1"), ("f-a:1",), ())
    twice = refined(once, Feedback(outcome="failure", harmful=["f-b:1"]))
    assert twice.round == 2
    assert twice.pruned == {"f-b:1"}


def test_refinement_by_pruning_leaves_the_others_where_they_are() -> None:
    pruned = refined(activation(), Feedback(outcome="failure", harmful=["f-b:1"]))
    assert [fact.id for fact in pruned.facts] == ["f-a:1", "f-c:1"]


# ---------------------------------------------------------------------------------------------------------------------- formation
def view(size: int) -> Any:
    return SimpleNamespace(size=size, position=3, namespace=HERE)


def test_formation_of_an_empty_memory_embeds_nothing() -> None:
    stage = form(activation(facts=()), config=Config.of(), branch=ANYBODY)
    formed, asked = run(stage, {Hidden: frozenset(), Views: [view(0)], LearnedOf: Learned(HERE)})
    assert [type(request) for request in asked] == [Hidden, LearnedOf, Views]
    assert (formed.facts, formed.context, formed.position) == ((), "", 3)


def test_formation_hides_what_the_branch_must_not_see() -> None:
    stage = form(activation(facts=()), config=Config.of(), branch=Branch("L", ("c1",)))
    formed, asked = run(stage, {Hidden: frozenset({"c2"}), Views: [view(0)], LearnedOf: Learned(HERE)})
    assert asked == [Hidden(HERE, Branch("L", ("c1",))), LearnedOf(HERE, ("c2",)), Views((HERE,), ("c2",))]
    assert formed.hidden == ("c2",)


def test_formation_hides_it_in_other_namespaces_too() -> None:
    other, branch = ("shared",), Branch("L", ("c1",))
    stage = form(activation(facts=(), also=(other,)), config=Config.of(), branch=branch)
    hidden = {HERE: frozenset({"c3"}), other: frozenset({"c2"})}
    answers = {Hidden: lambda request: hidden[request.namespace], Views: [view(0), view(0)], LearnedOf: Learned(HERE)}
    formed, asked = run(stage, answers)
    assert asked[:2] == [Hidden(HERE, branch), Hidden(other, branch)]
    assert Views((HERE, other), ("c2", "c3")) in asked
    assert formed.hidden == ("c2", "c3")


def test_a_bypassed_step_shows_nothing() -> None:
    bypassed = activation(round=3, edits=(TentativeEdit(action="bypass"),))
    formed, asked = run(form(bypassed, config=Config.of(), branch=ANYBODY), {Views: [view(5)], LearnedOf: Learned(HERE)})
    assert Embed not in [type(request) for request in asked]
    assert (formed.facts, formed.context) == ((), "")


def test_what_is_seen_joins_the_task_in_the_query() -> None:
    assert query_text(Situation(task="t")) == "t"
    assert query_text(Situation(task="t", observation="o")) == "t\no"
    assert query_text(Situation(task="t", observation={"a": "b"})) == "t\na: b"


# -------------------------------------------------------------------------------------------------------------------------- judge
def test_a_late_judgement_appends_evidence_to_every_variant() -> None:
    from langgraph_fluxmem.learning import record
    from langgraph_fluxmem.ledger.rows import CommitRow

    rows = [
        CommitRow(str(n), "e1", f"digest{n}", HERE, n, str(n), 0.0, Provenance(), (), live)
        for n, live in ((1, True), (2, True), (3, False))
    ]
    body = record(Episode(task="t", steps=STEPS))
    answers = {
        Fetch: lambda request: rows if request.method == "resolve_episode" else [],
        Load: lambda request: {request.ids[0]: SimpleNamespace(body=body)},
        Apply: applied,
    }
    _, asked = run(episodes.judge("e1", Feedback(outcome="success"), namespace=None, provenance=Provenance()), answers)
    plans = [request.plan for request in asked if isinstance(request, Apply)]
    assert len(plans) == 2
    assert all(isinstance(write, EvidenceWrite | EdgeWrite | NodeWrite) for plan in plans for write in plan.writes)
    notes = [write for plan in plans for write in plan.writes if isinstance(write, NodeWrite)]
    assert len(notes) == 2
    assert {(note.body["outcome"], note.body["of"] != note.id) for note in notes} == {("success", True)}, (
        "the signal is kept; the trajectory is left alone"
    )
    with pytest.raises(FeedbackError):
        run(episodes.judge("e1", Feedback(), namespace=None, provenance=Provenance()), answers)
    with pytest.raises(UnknownIdError):
        run(episodes.judge("e9", Feedback(outcome="success"), namespace=None, provenance=Provenance()), {Fetch: []})
