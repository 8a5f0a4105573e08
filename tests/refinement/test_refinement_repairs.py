"""Attribution by a chat model: each cause becomes its edit, the feedback's own word stands, nonsense leaves it to the rules; rounds are bounded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from langgraph_fluxmem import Feedback, FluxMem, Step
from langgraph_fluxmem.testing.models import ScriptedChatModel

FACTS = [f"Ada keeps {thing} on the balcony" for thing in ("basil", "mint", "sage", "thyme", "chives", "dill", "rue", "lovage")]
QUERY = "what does Ada keep on the balcony?"
FAILED = Feedback(outcome="failure", detail="that was not it")


def opened(path: Path, **answers: Any) -> tuple[FluxMem, ScriptedChatModel]:
    """A memory whose model answers the tools named (by schema, lower case) as given, and says nothing of use for the others."""

    def answer(tool: str, messages: list[Any]) -> Any:
        said = answers.get(tool.lower(), "nothing to say")
        return said(messages) if callable(said) else said

    model = ScriptedChatModel(answer=answer)
    mem = FluxMem.open(path, model=model, chroma="off", verify=0)
    mem.remember(FACTS)
    return mem, model


def cause(name: str, *targets: int, **more: Any) -> dict[str, Any]:
    return {"cause": name, "targets": list(targets), "reason": "so it seems", **more}


def test_refinement_by_a_model_prunes_what_it_blames_and_keeps_the_rest(tmp_path: Path) -> None:
    mem, model = opened(tmp_path, attributed=cause("over-connection", 1))
    with mem:
        first = mem.recall(QUERY, k=4)
        second = mem.refine(first, FAILED)
        before, after = [fact.id for fact in first.facts], [fact.id for fact in second.facts]
        assert after[:3] == [before[0], *before[2:]]
        assert len(after) == 4
        assert after[3] not in before, "the next best takes the free place"
        assert second.pruned == {before[1]}
        assert (second.model_calls, second.fallbacks) == (1, ())
        assert "that was not it" in model.asked[0][1][-1].text
        assert first.facts[1].content not in second.context
        assert all(fact.content in second.context for fact in second.facts)


def test_refinement_by_a_model_expands_around_what_it_names(tmp_path: Path) -> None:
    mem, _ = opened(tmp_path, attributed=cause("under-connection", 2))
    with mem:
        first = mem.recall(QUERY, k=4)
        second = mem.refine(first, FAILED)
        assert not {fact.id for fact in first.facts} & {fact.id for fact in second.facts}
        assert second.around == (first.facts[2].id,)
        assert any("alike" in fact.why.signals for fact in second.facts)


def test_refinement_searches_with_the_weights_the_recall_was_given(tmp_path: Path) -> None:
    mem, _ = opened(tmp_path, attributed=cause("under-connection", 2))
    with mem:
        first = mem.recall(QUERY, k=4, signals={"dense": 0.0, "bm25": 2.5})
        restored = mem.activation(first.model_dump(mode="json"))
        for again in (mem.refine(first, FAILED), mem.refine(restored, FAILED)):
            assert (again.weights["dense"], again.weights["bm25"]) == (0.0, 2.5)
            assert again.facts
            assert all("dense" not in fact.why.signals and "bm25" in fact.why.signals for fact in again.facts)


def test_refinement_by_a_model_bypasses_memory_that_harms(tmp_path: Path) -> None:
    mem, _ = opened(tmp_path, attributed=cause("harmful"))
    with mem:
        second = mem.refine(mem.recall(QUERY), FAILED)
        assert (second.bypassed, second.facts, second.context) == (True, (), "")
        (advice,) = second.advise(["water the basil"])
        assert (advice.score, advice.why.path) == (0.0, ("bypassed",))


def test_refinement_by_a_model_leaves_memory_alone_that_is_not_to_blame(tmp_path: Path) -> None:
    mem, _ = opened(tmp_path, attributed=cause("none"))
    with mem:
        first = mem.recall(QUERY, k=4)
        second = mem.refine(first, FAILED)
        assert (second.facts, second.edits, second.round) == (first.facts, (), 1)
        assert second.context == first.context


def test_refinement_does_not_let_a_model_overrule_the_feedback(tmp_path: Path) -> None:
    mem, _ = opened(tmp_path, attributed=cause("over-connection", 0, 1))
    with mem:
        first = mem.recall(QUERY, k=4)
        right, wrong = first.facts[0].id, first.facts[3].id
        second = mem.refine(first, Feedback(outcome="failure", used=[right], harmful=[wrong]))
        assert second.pruned == {first.facts[1].id, wrong}
        assert [edit.named for edit in second.edits if edit.action == "prune"] == [True, False]
        assert second.used == (right,)
        assert first.facts[0].content in second.context


@pytest.mark.parametrize("nonsense", ["words", cause("over-connection", 99), cause("bad luck"), RuntimeError("down"), {"targets": "all"}])
def test_refinement_with_a_model_that_talks_nonsense_is_refinement_by_rules(nonsense: Any, tmp_path: Path) -> None:
    def rounds(mem: FluxMem) -> list[Any]:
        activation = mem.recall(QUERY, k=3)
        seen: list[Any] = []
        for feedback in (FAILED, Feedback(outcome="failure", used=[activation.facts[0].id]), FAILED):
            activation = mem.refine(activation, feedback)
            seen.append(
                ([(fact.content, fact.score) for fact in activation.facts], [edit.action for edit in activation.edits], activation.context)
            )
        return seen

    with FluxMem.open(tmp_path / "rules", chroma="off") as plain:
        plain.remember(FACTS)
        expected = rounds(plain)
    mem, _ = opened(tmp_path / "model", attributed=nonsense)
    with mem:
        assert rounds(mem) == expected


def test_refinement_stops_after_t_rounds_and_on_success(tmp_path: Path) -> None:
    with FluxMem.open(tmp_path, chroma="off", max_rounds=2) as mem:
        mem.remember(FACTS)
        activation = mem.recall(QUERY, k=1)
        assert mem.refine(activation, Feedback(outcome="success")) == activation
        first = mem.refine(activation, FAILED)
        second = mem.refine(first, FAILED)
        third = mem.refine(second, FAILED)
        assert (first.round, second.round, third.round) == (1, 2, 2)
        assert third.facts == second.facts


async def test_refinement_awaited_is_the_same(tmp_path: Path) -> None:
    mem, _ = opened(tmp_path, attributed=cause("over-connection", 1))
    with mem:
        first = mem.recall(QUERY, k=4)
        assert await mem.arefine(first, FAILED) == mem.refine(first, FAILED)


# --------------------------------------------------------------------------------------------------------------------- self-check
def test_refinement_by_a_self_check_of_the_model(tmp_path: Path) -> None:
    said = {"outcome": "failure", "progress": -0.5, "loss": 0.0, "detail": "chives are no answer"}
    mem, model = opened(tmp_path, evaluated=said)
    with mem:
        first = mem.recall(QUERY, k=3)
        second = mem.refine(first, Feedback(), attempt="she keeps chives")
        assert second.checked == Feedback(outcome="failure", progress=-0.5, detail="chives are no answer", origin="model")
        assert second.round == 1
        assert not {fact.id for fact in first.facts} & {fact.id for fact in second.facts}
        assert "she keeps chives" in model.asked[0][1][-1].text
        assert mem.refine(first, Feedback()).checked is None, "it is asked for, or not done"
        steps = [Step(action="look", result="nothing"), Step(action={"op": "pick", "what": "chives"}, result="done")]
        mem.refine(first, Feedback(), attempt=steps)
        asked = [messages[-1].text for tool, messages in model.asked if tool == "Evaluated"]
        assert "pick chives -&gt; done" in asked[-1]


def test_refinement_by_a_self_check_that_finds_success_stops(tmp_path: Path) -> None:
    mem, _ = opened(tmp_path, evaluated={"outcome": "success", "progress": 1.0, "loss": 0.7, "detail": "fine"})
    with mem:
        first = mem.recall(QUERY, k=3)
        second = mem.refine(first, Feedback(), attempt="basil")
        assert second.checked is not None
        assert (second.checked.outcome, second.checked.loss) == ("success", 0.0)
        assert second.facts == first.facts
        mem.learn(second, second.checked)


def test_refinement_by_a_self_check_leaves_known_outcomes_alone(tmp_path: Path) -> None:
    mem, model = opened(tmp_path, evaluated={"outcome": "failure"})
    with mem:
        first = mem.recall(QUERY, k=3)
        assert mem.refine(first, Feedback(outcome="success"), attempt="basil").checked is None
        assert model.asked == []


def test_refinement_by_a_self_check_of_the_rules_sees_errors_only(tmp_path: Path) -> None:
    with FluxMem.open(tmp_path, chroma="off") as mem:
        mem.remember(FACTS)
        first = mem.recall(QUERY, k=3)
        failed = mem.refine(first, Feedback(), attempt=[Step(action="look", result="Error: it is dark")])
        assert failed.checked is not None
        assert (failed.checked.outcome, failed.checked.origin, failed.round) == ("failure", "system", 1)
        unclear = mem.refine(first, Feedback(), attempt="basil")
        assert unclear.checked is not None
        assert (unclear.checked.outcome, unclear.facts) == ("unknown", first.facts)
