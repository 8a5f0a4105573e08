"""The agent that `langgraph.json` names gets better at its work, with rules and with a chat model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from graphs import agent
from langgraph_fluxmem import FluxMem
from langgraph_fluxmem.testing.models import ScriptedChatModel


async def refund(graph: Any, number: int) -> dict[str, Any]:
    return await graph.ainvoke({"messages": [("user", f"please refund order {number}")]})


async def test_the_clerk_learns_the_rules_of_the_desk(tmp_path: Path) -> None:
    async with await FluxMem.aopen(tmp_path / "m", chroma="off") as mem:
        graph = agent.builder.compile(store=mem.store)
        done = [(await refund(graph, number))["done"] for number in range(17, 32)]
        assert done[0] == ["close order 17"], "nobody told it that this ends the task"
        assert all(not any("close" in action for action in actions) for actions in done[1:])
        assert len(done[1]) > 8
        assert done[-1] == ["open order 31", "approve order 31", "refund order 31"]
        told = mem.recall("refund order 40", namespace=agent.NAMESPACE).context
        assert "refund order" in told


async def test_a_chat_model_is_shown_what_memory_has_to_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ScriptedChatModel(answers=["open order 17", "I would approve order 17", "refund order 17"] * 2)
    monkeypatch.setenv("FLUXMEM_MODEL", "scripted")
    monkeypatch.setattr("langchain.chat_models.init_chat_model", lambda name: model)
    async with await FluxMem.aopen(tmp_path / "m", chroma="off") as mem:
        graph = agent.builder.compile(store=mem.store)
        assert (await refund(graph, 17))["messages"][-1].text.startswith("order 17: refunded")
        assert "open order 17" not in str(model.asked[0][1]).split("Choose one")[0]
        await refund(graph, 17)
        assert "open order 17" in str(model.asked[3][1]).split("Choose one")[0]


async def test_another_store_is_told_so(tmp_path: Path) -> None:
    from langgraph.store.memory import InMemoryStore

    with pytest.raises(Exception, match="FluxMemStore"):
        await refund(agent.builder.compile(store=InMemoryStore()), 17)


def test_langgraph_json_names_it() -> None:
    config = json.loads((Path(__file__).parents[2] / "langgraph.json").read_text())
    assert config["graphs"]["agent"] == "./graphs/agent.py:graph"
