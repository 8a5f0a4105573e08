"""A memory is opened with a model, and stages ask it through the engine: synchronously, or awaited."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from langgraph_fluxmem import ConfigError, FluxMem
from langgraph_fluxmem.searching import charged
from langgraph_fluxmem.operators import RuleOperators
from langgraph_fluxmem.operators.model import ChatModelOperators
from langgraph_fluxmem.operators.protocol import Extract, Judgement
from langgraph_fluxmem.operators.schemas import Extracted
from langgraph_fluxmem.requests import Judge, Stage
from langgraph_fluxmem.schema import Activation, Situation
from langgraph_fluxmem.testing.models import ScriptedChatModel

SAID = {"context": "Ada moved to Rome.", "keywords": ["Ada"]}


class Awaited(RuleOperators):
    """Operators that know how they were asked."""

    def __init__(self) -> None:
        self.how: list[str] = []

    def judge(self, task: Any) -> Any:
        self.how.append("called")
        return super().judge(task)

    async def ajudge(self, task: Any) -> Any:
        self.how.append("awaited")
        return super().judge(task)


def ask(mem: FluxMem) -> Stage:
    return (yield Judge(Extract("Ada moved to Rome"), mem.operators))


async def test_the_engine_asks_or_awaits_whoever_judges(tmp_path: Path) -> None:
    operators = Awaited()
    with FluxMem.open(tmp_path, model=operators, chroma="off") as mem:
        assert mem.operators is operators
        assert isinstance(mem.engine.run(ask(mem)).value, Extracted)
        assert operators.how == ["called"]
        assert isinstance((await mem.engine.arun(ask(mem))).value, Extracted)
        assert operators.how == ["called", "awaited"]


async def test_a_model_belongs_to_the_opening_and_not_to_the_memory(tmp_path: Path) -> None:
    model = ScriptedChatModel(answers=[SAID])
    with FluxMem.open(tmp_path, model=model, chroma="off") as one, FluxMem.open(tmp_path, chroma="off") as other:
        assert isinstance(one.operators, ChatModelOperators)
        assert isinstance(other.operators, RuleOperators)
        assert one.engine.run(ask(one)).by == "model"
        assert other.engine.run(ask(other)).by == "rules"
    async with await FluxMem.aopen(tmp_path, model=model, chroma="off") as third:
        assert (await third.engine.arun(ask(third))).by == "model"


def test_what_is_no_model_is_refused_before_anything_is_opened(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="model is 3"):
        FluxMem.open(tmp_path / "new", model=3)  # type: ignore[arg-type]
    assert not (tmp_path / "new").exists()


def test_what_formation_and_refinement_cost_is_counted_on_the_activation() -> None:
    activation = Activation(id="a", memory="m", namespace=("n",), situation=Situation(task="t"))
    value = Extracted(context="c")
    for judgement in (
        Judgement(value, "model", 1, 100, 10),
        Judgement(value, "rules", 2, 50, 5, "words"),
        Judgement(value, "rules", 2, 0, 0, "words"),
    ):
        activation = charged(activation, judgement)
    assert (activation.model_calls, activation.input_tokens, activation.output_tokens, activation.fallbacks) == (5, 150, 15, ("words",))


def test_consolidation_asks_the_model_the_memory_was_opened_with(tmp_path: Path) -> None:
    from tests.consolidation.tasks import HERE, commit, login

    model = ScriptedChatModel(answers=["just words"])
    with FluxMem.open(tmp_path, model=model, chroma="off") as mem:
        commit(mem, *(login(n) for n in range(5)))
        report = mem.consolidate(namespace=HERE)
        assert (report.calls, report.fallbacks) == (2, 1)
        assert len(model.asked) == 2


def test_consolidation_by_rules_in_a_memory_with_a_model(tmp_path: Path) -> None:
    from tests.consolidation.tasks import HERE, commit, login

    model = ScriptedChatModel(answers=["just words"])
    with FluxMem.open(tmp_path, model=model, chroma="off") as mem:
        commit(mem, *(login(n) for n in range(5)))
        assert mem.consolidate(namespace=HERE, model=RuleOperators()).calls == 0
        assert model.asked == []


def test_a_store_opens_its_memory_with_a_model(tmp_path: Path) -> None:
    from langgraph_fluxmem import FluxMemStore

    model = ScriptedChatModel(answers=[SAID])
    with FluxMemStore.from_conn_string(tmp_path, model=model, chroma="off") as store:
        assert store.mem.engine.run(ask(store.mem)).by == "model"
