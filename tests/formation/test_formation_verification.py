"""Verification: one batched call about the best candidates, as a signal; nothing without a model, nothing from a model that talks nonsense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from langgraph_fluxmem import FluxMem
from langgraph_fluxmem.operators import RuleOperators
from langgraph_fluxmem.signals import VERIFY, VERIFY_WEIGHT
from langgraph_fluxmem.testing.models import ScriptedChatModel

FACTS = [f"Ada keeps {thing} on the balcony" for thing in ("basil", "mint", "sage", "thyme", "chives", "dill")]
QUERY = "what does Ada keep on the balcony?"


def opened(path: Path, answer: Any, **options: Any) -> tuple[FluxMem, ScriptedChatModel]:
    model = ScriptedChatModel(answer=answer) if callable(answer) else ScriptedChatModel(answers=[answer])
    mem = FluxMem.open(path, model=model, chroma="off", **options)
    mem.remember(FACTS)
    return mem, model


def likes(word: str) -> Any:
    """A model that finds only the candidate with this word useful."""

    def answer(tool: str, messages: list[Any]) -> dict[str, Any]:
        lines = [line for line in messages[-1].text.splitlines() if line.startswith("[")]
        return {"scores": [float(word in line) for line in lines]}

    return answer


def ranking(mem: FluxMem, **options: Any) -> list[tuple[str, float]]:
    return [(fact.content, fact.score) for fact in mem.recall(QUERY, **options).facts]


@pytest.fixture
def plain(tmp_path: Path) -> list[tuple[str, float]]:
    with FluxMem.open(tmp_path / "plain", chroma="off") as mem:
        mem.remember(FACTS)
        return ranking(mem)


def test_formation_verifies_all_candidates_in_one_call(tmp_path: Path, plain: list[tuple[str, float]]) -> None:
    last = plain[-1][0]
    mem, model = opened(tmp_path / "m", likes(last.split()[2]))
    with mem:
        activation = mem.recall(QUERY)
        assert len(model.asked) == 1
        assert (activation.model_calls, activation.fallbacks) == (1, ())
        assert activation.input_tokens > 20
        assert activation.output_tokens > 0
        best = next(fact for fact in activation.facts if fact.content == last)
        assert best.score == pytest.approx(plain[-1][1] + VERIFY_WEIGHT), "the model's word counts"
        assert [fact.score for fact in activation.facts] == sorted((fact.score for fact in activation.facts), reverse=True)
        assert best.why.signals[VERIFY] == pytest.approx(VERIFY_WEIGHT)
        assert sum(best.why.signals.values()) == pytest.approx(best.score)
        asked = model.asked[0][1][-1].text
        assert all(fact in asked for fact in FACTS)
        assert "<query>" in asked


async def test_formation_verifies_the_same_way_when_awaited(tmp_path: Path) -> None:
    mem, model = opened(tmp_path, likes("dill"))
    with mem:
        called, awaited = mem.recall(QUERY), await mem.arecall(QUERY)
        assert [(fact.id, fact.score) for fact in called.facts] == [(fact.id, fact.score) for fact in awaited.facts]
        assert len(model.asked) == 2


def test_formation_without_a_model_verifies_nothing(plain: list[tuple[str, float]], tmp_path: Path) -> None:
    with FluxMem.open(tmp_path / "rules", model=RuleOperators(), chroma="off") as mem:
        mem.remember(FACTS)
        activation = mem.recall(QUERY)
        assert activation.model_calls == 0
        assert all(VERIFY not in fact.why.signals for fact in activation.facts)
        assert ranking(mem) == plain


@pytest.mark.parametrize(
    "nonsense",
    ["just words", {"scores": []}, {"scores": [5.0] * 6}, {"points": 3}, RuntimeError("down"), {"scores": ["a"] * 6}],
    ids=["words", "too few", "out of range", "another schema", "raises", "no numbers"],
)
def test_formation_with_a_model_that_talks_nonsense_ranks_as_without_one(
    nonsense: Any, plain: list[tuple[str, float]], tmp_path: Path
) -> None:
    mem, model = opened(tmp_path / "m", nonsense)
    with mem:
        activation = mem.recall(QUERY)
        assert [(fact.content, fact.score) for fact in activation.facts] == plain
        assert activation.model_calls == len(model.asked) == 1, "a recall calls a model once, even where its answer is of no use"
        assert len(activation.fallbacks) == 1


def test_formation_verification_looks_at_the_best_only_and_can_be_turned_off(tmp_path: Path, plain: list[tuple[str, float]]) -> None:
    mem, model = opened(tmp_path / "two", likes("nothing"), verify=2)
    with mem:
        mem.recall(QUERY, k=6)
        lines = [line for line in model.asked[0][1][-1].text.splitlines() if line.startswith("[")]
        assert [line.split("] ", 1)[1] for line in lines] == [content for content, _ in plain[:2]]
        model.asked.clear()
        assert ranking(mem, signals={VERIFY: 0}) == plain
        assert model.asked == []
    mem, model = opened(tmp_path / "none", likes("nothing"), verify=0)
    with mem:
        assert ranking(mem) == plain
        assert model.asked == []


def test_formation_verification_brings_up_what_would_not_have_been_shown(tmp_path: Path, plain: list[tuple[str, float]]) -> None:
    last = plain[-1][0]
    mem, _ = opened(tmp_path / "m", likes(last.split()[2]), signals={VERIFY: 5.0})
    with mem:
        assert [fact.content for fact in mem.recall(QUERY, k=1).facts] == [last]


def test_formation_of_an_empty_memory_asks_nobody(tmp_path: Path) -> None:
    model = ScriptedChatModel(answers=["words"])
    with FluxMem.open(tmp_path, model=model, chroma="off") as mem:
        assert mem.recall(QUERY).model_calls == 0
        assert model.asked == []
