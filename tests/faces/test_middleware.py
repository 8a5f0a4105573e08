"""`FluxMemMiddleware` in `create_agent`: recalled, shown to the model, committed once, hidden from the user, beside other middleware."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware, SummarizationMiddleware, ToolRetryMiddleware
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from langgraph_fluxmem import ConfigError, Feedback, FeedbackError, FluxMem, FluxMemMiddleware, UnresolvedNamespaceError
from langgraph_fluxmem.origins import AUTHORS, origin_of

from .agents import calls, says

ADA = ("acme", "ada")


@pytest.fixture
def mem(tmp_path: Path) -> Any:
    with FluxMem.open(tmp_path / "m", chroma="off") as memory:
        yield memory


def episodes(mem: FluxMem, namespace: tuple[str, ...] = ADA) -> list[dict[str, Any]]:
    found = [row.body for row in mem.engine.ledger.nodes(namespace) if row.kind == "episode" and row.body]
    return sorted(found, key=lambda body: body["task"])


@tool
def look_up(order: str) -> str:
    """Look an order up."""
    if not order.startswith("ORD-"):
        raise ValueError("an order is written ORD-<number>")
    return f"{order} has shipped"


async def ask(agent: Any, asynchronous: bool, text: str, **config: Any) -> dict[str, Any]:
    given = {"messages": [HumanMessage(text)]}
    return await agent.ainvoke(given, config or None) if asynchronous else agent.invoke(given, config or None)


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_what_is_remembered_reaches_the_model_and_the_run_is_committed(mem: FluxMem, asynchronous: bool) -> None:
    mem.remember("Ada is on the team plan.", namespace=ADA)
    model = says("She is on the team plan.")
    agent = create_agent(model, [], system_prompt="Be brief.", middleware=[FluxMemMiddleware(mem, namespace=ADA)])
    state = await ask(agent, asynchronous, "which plan is ada on?")
    assert model.system(0).startswith("Be brief.\n\n<memory>")
    assert "Ada is on the team plan." in model.system(0)
    assert set(state) == {"messages"}  # its own state is hidden
    assert [message.type for message in state["messages"]] == ["human", "ai"]
    assert [(body["task"], body["outcome"]) for body in episodes(mem)] == [("which plan is ada on?", "unknown")]


async def test_an_empty_memory_changes_no_prompt(mem: FluxMem) -> None:
    model = says("hello")
    create_agent(model, [], middleware=[FluxMemMiddleware(mem, namespace=ADA)]).invoke({"messages": [HumanMessage("hi")]})
    assert model.system(0) == ""


def test_content_blocks_of_a_system_message_are_kept(mem: FluxMem) -> None:
    mem.remember("Ada is on the team plan.", namespace=ADA)
    model = says("ok")
    prompt = SystemMessage([{"type": "text", "text": "Be brief."}])
    agent = create_agent(model, [], system_prompt=prompt, middleware=[FluxMemMiddleware(mem, namespace=ADA)])
    agent.invoke({"messages": [HumanMessage("which plan is ada on?")]})
    blocks = model.prompts[0][0].content
    assert isinstance(blocks, list)
    assert blocks[0] == {"type": "text", "text": "Be brief."}
    assert "team plan" in str(blocks[1])


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_tool_calls_are_steps_and_a_failed_one_is_remembered_as_such(mem: FluxMem, asynchronous: bool) -> None:
    def well(state: Any) -> Feedback:
        return Feedback(outcome="success" if "shipped" in state["messages"][-1].text else "failure", origin="evaluator")

    def run(*messages: AIMessage | str) -> tuple[Any, Any]:
        model = says(*messages)
        middleware = [FluxMemMiddleware(mem, namespace=ADA, evaluate=well), ToolRetryMiddleware(max_retries=0, on_failure="continue")]
        return model, create_agent(model, [look_up], middleware=middleware)

    _, agent = run(calls("look_up", "a", order="17"), calls("look_up", "b", order="ORD-17"), "It has shipped.")
    await ask(agent, asynchronous, "where is order 17?")
    (body,) = episodes(mem)
    assert body["outcome"] == "success"
    assert [step.get("refused", False) for step in body["steps"]] == [True, False, False]
    again, agent = run(calls("look_up", "c", order="ORD-18"), "It has shipped.")
    await ask(agent, asynchronous, "where is order 18?")
    assert "look_up" in again.system(0)  # the step that led on is in the context of the next task


async def test_the_second_call_of_a_run_knows_what_the_tool_returned(mem: FluxMem) -> None:
    mem.remember(["Parcels of ORD-17 go to the depot in Lyon.", "Ada prefers mail."], namespace=ADA)
    model = says(calls("look_up", order="ORD-17"), "In Lyon.")
    middleware = FluxMemMiddleware(mem, namespace=ADA, k=1)
    create_agent(model, [look_up], middleware=[middleware]).invoke({"messages": [HumanMessage("how does ada want to hear from us?")]})
    assert "mail" in model.system(0)
    assert "depot" in model.system(1)


async def test_threads_go_on_and_every_turn_is_one_episode(mem: FluxMem) -> None:
    model = says("noted", "tea", "bye")
    agent = create_agent(model, [], middleware=[FluxMemMiddleware(mem, namespace=("{user_id}",))], checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t", "user_id": "ada"}}
    for text in ("I like tea", "what do I like?", "bye"):
        agent.invoke({"messages": [HumanMessage(text)]}, config)
    assert [body["task"] for body in episodes(mem, ("ada",))] == ["I like tea", "bye", "what do I like?"]
    assert len(agent.get_state(config).values["memory_commits"]["ids"]) == 1, "the last one, which came after the others"


def test_a_missing_user_raises_and_stores_nothing(mem: FluxMem) -> None:
    agent = create_agent(says("ok"), [], middleware=[FluxMemMiddleware(mem, namespace=("{user_id}",))])
    with pytest.raises(UnresolvedNamespaceError, match="user_id"):
        agent.invoke({"messages": [HumanMessage("hi")]})
    assert mem.log() == []


def test_thumbs_come_later_by_run_id(mem: FluxMem) -> None:
    run = uuid.uuid4()
    agent = create_agent(says(calls("look_up", order="ORD-17"), "shipped"), [look_up], middleware=[FluxMemMiddleware(mem, namespace=ADA)])
    agent.invoke({"messages": [HumanMessage("where is order 17?")]}, {"run_id": run})
    action = {"name": "look_up", "args": {"order": "ORD-18"}}
    before = mem.recall("where is order 18?", namespace=ADA).advise([action])[0].score
    mem.learn(str(run), Feedback(outcome="success", origin="user"))
    assert before == 0
    assert mem.recall("where is order 18?", namespace=ADA).advise([action])[0].score > 0


def test_an_evaluator_that_returns_nonsense_is_told_so(mem: FluxMem) -> None:
    agent = create_agent(says("ok"), [], middleware=[FluxMemMiddleware(mem, evaluate=lambda state: "fine")])  # type: ignore[arg-type,return-value]
    with pytest.raises(FeedbackError, match="evaluate"):
        agent.invoke({"messages": [HumanMessage("hi")]})


def test_tool_results_are_other_people_s_text_and_the_task_where_it_is_said(mem: FluxMem) -> None:
    def run(text: str, **more: Any) -> dict[str, Any]:
        agent = create_agent(
            says(calls("look_up", order="ORD-17"), "It has shipped."), [look_up], middleware=[FluxMemMiddleware(mem, namespace=ADA, **more)]
        )
        agent.invoke({"messages": [HumanMessage(text)]})
        return next(body for body in episodes(mem) if body["task"] == text)

    asked, read = run("where is order 17?"), run("a mail asks for order 17", origins={"task": "tool"})
    assert (origin_of(asked, "task"), origin_of(read, "task")) == ("user", "tool")
    for body in (asked, read):
        looked, answered = body["steps"]
        assert not {origin_of(looked, "result"), origin_of(answered, "observation"), origin_of(answered, "result")} & AUTHORS
        assert origin_of(answered, "result") == "agent"
    with pytest.raises(ConfigError, match="origins"):
        FluxMemMiddleware(mem, origins={"outcome": "user"})


async def test_no_token_but_the_agents_own_is_streamed(mem: FluxMem) -> None:
    mem.remember("Ada is on the team plan.", namespace=ADA)
    agent = create_agent(says("She is on the team plan."), [], middleware=[FluxMemMiddleware(mem, namespace=ADA)])
    tokens = [token.text async for token, _ in agent.astream({"messages": [HumanMessage("which plan?")]}, stream_mode="messages")]
    assert "".join(tokens) == "She is on the team plan."
    updates = [update async for update in create_agent(says("ok"), [], middleware=[FluxMemMiddleware(mem)]).astream({"messages": ["hi"]})]
    assert "memory" not in str(sorted(key for update in updates for node in update.values() for key in (node or {}) if key == "messages"))


async def test_beside_summarisation(mem: FluxMem) -> None:
    model = says("one", "two", "three")
    summary = SummarizationMiddleware(says(*["the story so far"] * 9), trigger=("messages", 3), keep=("messages", 1))
    agent = create_agent(model, [], middleware=[summary, FluxMemMiddleware(mem, namespace=ADA)], checkpointer=InMemorySaver())
    for text in ("first", "second", "third"):
        agent.invoke({"messages": [HumanMessage(text)]}, {"configurable": {"thread_id": "t"}})
    assert [body["task"] for body in episodes(mem)] == ["first", "second", "third"]


@pytest.mark.parametrize("order", [0, 1])
def test_beside_human_in_the_loop(mem: FluxMem, order: int) -> None:
    memory: Any = FluxMemMiddleware(mem, namespace=ADA)
    human: Any = HumanInTheLoopMiddleware(interrupt_on={"look_up": True})
    model = says(calls("look_up", order="ORD-17"), "shipped")
    agent = create_agent(model, [look_up], middleware=[memory, human][:: 1 - 2 * order], checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    stopped = agent.invoke({"messages": [HumanMessage("where is order 17?")]}, config)
    assert stopped["__interrupt__"]
    assert episodes(mem) == []
    agent.invoke(Command(resume={"decisions": [{"type": "approve"}]}), config)
    (body,) = episodes(mem)
    assert [step["action"] for step in body["steps"] if step["action"]] == [{"name": "look_up", "args": {"order": "ORD-17"}}]


def test_with_the_graphs_store(mem: FluxMem) -> None:
    mem.remember("Ada is on the team plan.")
    model = says("ok")
    create_agent(model, [], middleware=[FluxMemMiddleware()], store=mem.store).invoke({"messages": [HumanMessage("which plan is ada on?")]})
    assert "team plan" in model.system(0)
