"""`ChatOpenAI` against the local OpenAI-compatible server, for every operator the stages call: valid, malformed, slow, limited, cut off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from langchain_openai import ChatOpenAI

from langgraph_fluxmem import Feedback, FluxMem
from langgraph_fluxmem.operators.model import ChatModelOperators
from langgraph_fluxmem.signals import VERIFY
from langgraph_fluxmem.testing.openai_stub import OpenAIStub, Reply

LONG = "Ada keeps a long list. " * 25
FACTS = [*(f"Ada keeps {thing} on the balcony" for thing in ("basil", "mint", "sage")), f"{LONG}Ada keeps rue on the balcony too. {LONG}"]
QUERY = "what does Ada keep on the balcony?"
BAD = {
    "malformed": Reply("{broken json"),
    "words": Reply(content="I would rather not."),
    "another schema": Reply({"colour": "blue"}),
    "truncated": Reply('{"scores": [1.0', finish="length"),
    "rate-limited": Reply(status=429),
    "broken server": Reply(status=500),
    "slow": Reply(hang=True),
}


@contextmanager
def opened(path: Path, script: Any, *, timeout: float = 20.0) -> Iterator[tuple[FluxMem, OpenAIStub]]:
    with OpenAIStub(script) as stub:
        model = ChatOpenAI(model="stub", base_url=stub.url, api_key="x", timeout=timeout, max_retries=0)  # type: ignore[arg-type]
        with FluxMem.open(path, model=ChatModelOperators(model), chroma="off") as mem:
            mem.remember(FACTS)
            yield mem, stub
        model.root_client.close()


def rounds(mem: FluxMem) -> list[Any]:
    """Recall, two refinements and a self-check, as far as they show: facts, scores, edits, reshaped texts, context, outcome."""
    first = mem.recall(QUERY, k=3)
    second = mem.refine(first, Feedback(outcome="failure", detail="not that"))
    third = mem.refine(second, Feedback(outcome="failure", harmful=[fact.id for fact in second.facts[:1]]))
    fourth = mem.refine(third, Feedback(), attempt="Error: no such plant")
    return [
        (
            [(fact.content, fact.score) for fact in one.facts],
            [(edit.action, edit.reason) for edit in one.edits],
            [fact.content for fact in one.reshaped],
            one.context,
            one.checked.outcome if one.checked else None,
        )
        for one in (first, second, third, fourth)
    ]


@pytest.fixture
def by_rules(tmp_path: Path) -> list[Any]:
    with FluxMem.open(tmp_path / "rules", chroma="off") as mem:
        mem.remember(FACTS)
        return rounds(mem)


@pytest.mark.parametrize("how", BAD)
def test_refinement_and_formation_stay_at_the_level_of_rules(how: str, by_rules: list[Any], tmp_path: Path) -> None:
    with opened(tmp_path / "model", lambda tool, body: BAD[how], timeout=0.05 if how == "slow" else 20.0) as (mem, stub):
        assert rounds(mem) == by_rules
        activation = mem.recall(QUERY)
        assert activation.fallbacks
        assert stub.requests


def test_refinement_and_formation_take_the_word_of_a_model_that_makes_sense(tmp_path: Path) -> None:
    said = {
        "Verified": lambda body: {"scores": [float("mint" in line) for line in _lines(body)]},
        "Attributed": lambda body: {
            "cause": "granularity",
            "targets": [_index(body, "long list")],
            "finer": True,
            "reason": "too much else",
        },
        "Reshaped": lambda body: {"texts": ["Ada keeps rue on the balcony."]},
        "Evaluated": lambda body: {"outcome": "success", "progress": 1.0, "loss": 0.0, "detail": "rue it is"},
    }
    with opened(tmp_path, lambda tool, body: Reply(said[tool](body))) as (mem, stub):
        first = mem.recall(QUERY, k=4)
        assert any("mint" in fact.content and fact.why.signals[VERIFY] > 0 for fact in first.facts)
        assert (first.model_calls, first.input_tokens, first.output_tokens, first.fallbacks) == (1, 100, 10, ())
        second = mem.refine(first, Feedback(outcome="failure"))
        assert [fact.content for fact in second.reshaped] == ["Ada keeps rue on the balcony."]
        third = mem.refine(second, Feedback(), attempt="she keeps rue")
        assert third.checked is not None
        assert (third.checked.outcome, third.checked.detail) == ("success", "rue it is")
        assert third.model_calls == len(stub.requests)
        assert {request["tools"][0]["function"]["name"] for request in stub.requests} == set(said)


async def test_formation_awaits_a_model_over_http(tmp_path: Path) -> None:
    with OpenAIStub(lambda tool, body: Reply({"scores": [0.5] * len(_lines(body))})) as stub:
        model = ChatOpenAI(model="stub", base_url=stub.url, api_key="x", timeout=20, max_retries=0)  # type: ignore[arg-type]
        async with await FluxMem.aopen(tmp_path, model=model, chroma="off") as mem:
            await mem.aremember(FACTS)
            activation = await mem.arecall(QUERY, k=3)
            assert (activation.model_calls, activation.fallbacks) == (1, ())
            assert all(fact.why.signals[VERIFY] == pytest.approx(0.15) for fact in activation.facts)
        await model.root_async_client.close()
        model.root_client.close()


def _lines(body: dict[str, Any]) -> list[str]:
    return [line for line in body["messages"][-1]["content"].splitlines() if line.startswith("[")]


def _index(body: dict[str, Any], word: str) -> int:
    return next(number for number, line in enumerate(_lines(body)) if word in line)
