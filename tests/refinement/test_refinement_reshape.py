"""Reshaping: finer or more abstract versions beside the raw fact, tentative until the outcome is known, then facts of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document

from langgraph_fluxmem import Feedback, FluxMem
from langgraph_fluxmem.links import node_of
from langgraph_fluxmem.schema import Activation
from langgraph_fluxmem.testing.models import ScriptedChatModel

HERE = ("memories",)
NOISE = " ".join(f"Chapter {number} tells of meetings, minutes and motions of the society." for number in range(1, 12))
RAW = f"{NOISE} Ada waters the red orchid on Mondays. The orchid came from Bogota. {NOISE}"
QUERY = "when does Ada water the red orchid?"
METADATA = {"source": "diary", "position": 3, "speaker": "Eve"}
FAILED = Feedback(outcome="failure")


def filled(mem: FluxMem) -> str:
    mem.remember([f"Bob feeds goldfish number {number}." for number in range(6)])
    return mem.remember(Document(RAW, metadata=METADATA))[0]


def finer(mem: FluxMem) -> tuple[str, Activation]:
    raw = filled(mem)
    first = mem.recall(QUERY, k=3)
    assert raw in [fact.id for fact in first.facts]
    return raw, mem.refine(first, FAILED)


def graph(mem: FluxMem) -> Any:
    return mem.engine.projections.graph(HERE)


def test_refinement_by_rules_shows_the_statements_that_matter(mem: FluxMem) -> None:
    raw, second = finer(mem)
    assert [edit.action for edit in second.edits] == ["reshape"]
    assert second.edits[0].targets == (raw,)
    texts = [fact.content for fact in second.reshaped]
    assert "Ada waters the red orchid on Mondays." in texts
    assert not any("Chapter" in text for text in texts)
    assert all(fact.why.path == (raw,) for fact in second.reshaped)
    lines = second.context.split("<facts>\n")[1].splitlines()
    assert lines[0] == f"- {texts[0]}", "in the context it comes first"


def test_refinement_by_reshaping_writes_nothing_until_the_outcome_is_known(mem: FluxMem) -> None:
    filled(mem)
    head = mem.engine.ledger.head()
    first = mem.recall(QUERY, k=3)
    second = mem.refine(first, FAILED)
    third = mem.refine(second, FAILED)
    assert mem.engine.ledger.head() == head
    assert third.reshaped == second.reshaped, "what was reshaped once is not reshaped again"
    assert [edit.action for edit in third.edits] == ["reshape", "expand"]
    mem.learn(third, FAILED)
    assert not [row for row in mem.engine.ledger.nodes(HERE, kinds=("fact",)) if row.node.startswith("r-")], "a failure stores none"


def test_refinement_makes_a_reshaped_fact_durable_beside_the_raw_one(mem: FluxMem) -> None:
    raw, second = finer(mem)
    best = next(fact for fact in second.reshaped if "Mondays" in fact.content)
    before = {row.id: row.body for row in mem.engine.ledger.nodes(HERE)}
    mem.learn(second, Feedback(outcome="success", used=[best.id]))
    rows = mem.engine.ledger.load(HERE, [best.id, raw])
    assert rows[best.id].body == {"content": best.content, "metadata": METADATA}
    assert rows[best.id].source is None, "its place in the source is the raw one's"
    assert rows[raw].body == {"content": RAW, "metadata": METADATA}
    assert {id: body for id, body in before.items() if mem.engine.ledger.load(HERE, [id])[id].body != body} == {}
    assert graph(mem).weight(best.id, raw, "SUPERSEDES") == 1.0
    others = {fact.id for fact in second.reshaped} - {best.id}
    assert not set(mem.engine.ledger.load(HERE, sorted(others))), "only what proved right"
    again = mem.recall(QUERY, k=3)
    assert again.facts[0].content == best.content
    assert {raw, best.id} <= {fact.id for fact in mem.recall(QUERY, k=9).facts}, "nothing is hidden"
    assert mem.verify() == []


def test_refinement_by_reshaping_is_undone_with_what_was_learned(mem: FluxMem) -> None:
    _, second = finer(mem)
    before = [(fact.id, fact.score) for fact in mem.recall(QUERY).facts]
    applied = mem.learn(second, Feedback(outcome="success"))
    assert any(fact.id.startswith("r-") for fact in mem.recall(QUERY).facts)
    mem.undo(applied.operation)
    assert [(fact.id, fact.score) for fact in mem.recall(QUERY).facts] == before


def test_refinement_by_reshaping_keeps_established_edges(mem: FluxMem) -> None:
    raw = filled(mem)
    friend = mem.recall("goldfish number 4", k=1).facts[0].id
    mem.learn(mem.recall("orchid and goldfish", k=5), Feedback(outcome="success", used=[raw, friend]))
    related = graph(mem).neighbours(raw, ("RELATES",))
    assert node_of(friend) in related
    first = mem.recall(QUERY, k=3)
    second = mem.refine(first, FAILED)
    best = second.reshaped[0]
    mem.learn(second, Feedback(outcome="success", used=[best.id]))
    after = graph(mem)
    assert {vertex for vertex in related} <= set(after.neighbours(raw, ("RELATES",)))
    assert set(related) <= set(after.neighbours(best.id, ("RELATES",)))
    assert after.check() == []


def test_refinement_of_the_same_fact_twice_is_one_version(mem: FluxMem) -> None:
    _, second = finer(mem)
    mem.learn(second, Feedback(outcome="success", used=[second.reshaped[0].id]))
    third = mem.refine(mem.recall(QUERY, k=3), FAILED)
    same = [fact for fact in third.reshaped if node_of(fact.id) == node_of(second.reshaped[0].id)]
    if same:
        mem.learn(third, Feedback(outcome="success", used=[same[0].id]))
    versions = [row.id for row in mem.engine.ledger.nodes(HERE, kinds=("fact",)) if row.node == node_of(second.reshaped[0].id)]
    assert versions == [second.reshaped[0].id]
    assert mem.verify() == []


def test_refinement_leaves_other_namespaces_alone(mem: FluxMem) -> None:
    mem.remember(Document(RAW), namespace=("shared",))
    second = mem.refine(mem.recall(QUERY, also=[("shared",)], k=3), FAILED)
    assert second.reshaped
    mem.learn(second, Feedback(outcome="success", used=[second.reshaped[0].id]))
    assert len(mem.engine.ledger.nodes(("shared",))) == 1
    assert not mem.engine.ledger.nodes(HERE, kinds=("fact",))


def model_memory(path: Path, attributed: Any, reshaped: Any) -> FluxMem:
    said = {"Attributed": attributed, "Reshaped": reshaped}
    return FluxMem.open(path, model=ScriptedChatModel(answer=lambda tool, _: said.get(tool, "no")), chroma="off", verify=0)


def test_refinement_by_a_model_into_something_more_abstract(tmp_path: Path) -> None:
    blamed = {"cause": "granularity", "targets": [0, 1], "finer": False, "reason": "one rule covers them"}
    with model_memory(tmp_path, blamed, {"texts": ["Bob feeds goldfish."]}) as mem:
        mem.remember([f"Bob feeds goldfish number {number}." for number in range(4)])
        first = mem.recall("what does Bob feed?", k=3)
        second = mem.refine(first, FAILED)
        (abstract,) = second.reshaped
        assert abstract.content == "Bob feeds goldfish."
        assert abstract.why.path == (first.facts[0].id, first.facts[1].id)
        assert second.model_calls == 2
        mem.learn(second, Feedback(outcome="success"))
        assert [graph(mem).weight(abstract.id, raw.id, "SUPERSEDES") for raw in first.facts[:2]] == [1.0, 1.0]


@pytest.mark.parametrize(
    "nonsense", ["words", {"texts": []}, {"texts": ["Dragons sleep in caves."]}, {"texts": ["On 31 May."]}, RuntimeError("down")]
)
def test_refinement_with_a_model_that_reshapes_nonsense_takes_the_rules_version(nonsense: Any, tmp_path: Path) -> None:
    with FluxMem.open(tmp_path / "rules", chroma="off") as plain:
        _, by_rules = finer(plain)
    with model_memory(tmp_path / "model", "no", nonsense) as mem:
        _, second = finer(mem)
        assert [fact.content for fact in second.reshaped] == [fact.content for fact in by_rules.reshaped]
        assert second.fallbacks


def test_refinement_state_is_plain_and_small(mem: FluxMem) -> None:
    _, second = finer(mem)
    data = json.loads(second.model_dump_json())
    assert Activation.model_validate(data).model_dump() == second.model_dump()
    assert len(json.dumps(data["reshaped"])) < 4_000
    again = mem.activation(data)
    assert mem.learn(again, Feedback(outcome="success", used=[second.reshaped[0].id])).position
