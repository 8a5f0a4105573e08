"""Every face with a real chat client over HTTP, whole answers and streamed ones: what reaches the model, and what reaches the user."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from langgraph_fluxmem import Feedback, FluxMem, FluxMemMiddleware, memory_tools
from langgraph_fluxmem.testing.openai_stub import OpenAIStub, Reply

ADA = ("ada", "notes")
ANSWER = "Order 17 has shipped, on the team plan."
VERIFIED = "ids that answer the question"


@tool
def look_up(order: str) -> str:
    """Look an order up."""
    return f"{order}: shipped"


def client(stub: OpenAIStub, **more: Any) -> ChatOpenAI:
    return ChatOpenAI(model="stub", base_url=stub.url, api_key="x", max_retries=0, timeout=20, **more)  # type: ignore[arg-type]


@pytest.fixture
def agent_model() -> Iterator[OpenAIStub]:
    """Looks the order up, then answers."""

    def script(name: str, body: dict[str, Any]) -> Reply:
        if name and not any(message["role"] == "tool" for message in body["messages"]):
            return Reply(arguments={"order": "ORD-17"})
        return Reply(content=ANSWER, finish="stop")

    with OpenAIStub(script) as stub:
        yield stub


@pytest.fixture
def judge_model() -> Iterator[OpenAIStub]:
    """Memory's own model: it answers what it is asked with words that nobody but memory may see."""
    with OpenAIStub(lambda name, body: Reply(content=VERIFIED, finish="stop")) as stub:
        yield stub


def system(body: dict[str, Any]) -> str:
    return " ".join(str(message["content"]) for message in body["messages"] if message["role"] == "system")


@pytest.mark.parametrize("face", ["invoke", "ainvoke"])
async def test_middleware_whole(tmp_path: Path, agent_model: OpenAIStub, face: str) -> None:
    with FluxMem.open(tmp_path / "m", chroma="off") as mem:
        mem.remember("Ada is on the team plan.", namespace=ADA)
        memory = FluxMemMiddleware(mem, namespace=ADA, evaluate=lambda state: Feedback(outcome="success"))
        agent = create_agent(client(agent_model), [look_up], middleware=[memory])
        given: Any = {"messages": [HumanMessage("where is order 17, and which plan is ada on?")]}
        state = agent.invoke(given) if face == "invoke" else await agent.ainvoke(given)
        assert state["messages"][-1].text == ANSWER
        assert [isinstance(message, ToolMessage) for message in state["messages"]] == [False, False, True, False]
        assert all("team plan" in system(body) for body in agent_model.requests)
        assert mem.recall("where is order 18?", namespace=ADA).episodes[0].outcome == "success"


@pytest.mark.parametrize("face", ["stream", "astream"])
async def test_middleware_streams_the_agents_tokens_and_none_of_its_own(
    tmp_path: Path, agent_model: OpenAIStub, judge_model: OpenAIStub, face: str
) -> None:
    with FluxMem.open(tmp_path / "m", chroma="off", model=client(judge_model, streaming=True)) as mem:
        mem.remember(["Ada is on the team plan.", "Bob is on no plan.", "The team plan ships orders at once."], namespace=ADA)
        agent = create_agent(client(agent_model, streaming=True), [look_up], middleware=[FluxMemMiddleware(mem, namespace=ADA)])
        given: Any = {"messages": [HumanMessage("where is order 17, and which plan is ada on?")]}
        if face == "stream":
            parts = list(agent.stream(given, stream_mode="messages"))
        else:
            parts = [part async for part in agent.astream(given, stream_mode="messages")]
        said = [message.text for message, _ in parts if not isinstance(message, ToolMessage)]
        assert "".join(said) == ANSWER
        assert len([text for text in said if text]) > 3, "it came in pieces"
        assert judge_model.requests, "memory asked its own model"
        assert VERIFIED not in str(parts)


async def test_events_of_a_stream_show_memory_its_calls_and_keep_them_apart(
    tmp_path: Path, agent_model: OpenAIStub, judge_model: OpenAIStub
) -> None:
    with FluxMem.open(tmp_path / "m", chroma="off", model=client(judge_model, streaming=True)) as mem:
        mem.remember(["Ada is on the team plan.", "Bob is on no plan."], namespace=ADA)
        agent = create_agent(client(agent_model, streaming=True), [look_up], middleware=[FluxMemMiddleware(mem, namespace=ADA)])
        given: Any = {"messages": [HumanMessage("which plan is ada on?")]}
        names = {event["name"] for event in [event async for event in agent.astream_events(given, version="v2")]}
        assert {"fluxmem.recall", "fluxmem.commit"} <= names


@pytest.mark.parametrize("face", ["sync", "async"])
async def test_tools(tmp_path: Path, face: str) -> None:
    def script(name: str, body: dict[str, Any]) -> Reply:
        results = [message["content"] for message in body["messages"] if message["role"] == "tool"]
        if not results:
            return Reply(arguments={"text": "Ada is on the team plan."}, tool="save_memory")
        if len(results) == 1:
            return Reply(arguments={"query": "which plan is ada on?"}, tool="search_memory")
        return Reply(content=f"found: {results[-1]}", finish="stop")

    with OpenAIStub(script) as stub, FluxMem.open(tmp_path / "m", chroma="off") as mem:
        agent = create_agent(client(stub), memory_tools(mem, namespace=("{user_id}", "notes")))
        given: Any = {"messages": [HumanMessage("remember it, then tell me")]}
        config: Any = {"configurable": {"user_id": "ada"}}
        state = agent.invoke(given, config) if face == "sync" else await agent.ainvoke(given, config)
        assert "Ada is on the team plan." in state["messages"][-1].text
        offered = [function["function"]["name"] for function in stub.requests[0]["tools"]]
        assert offered == ["search_memory", "save_memory", "recall_skill"]
        assert [fact.content for fact in mem.recall("plan", namespace=ADA).facts] == ["Ada is on the team plan."]


@pytest.mark.parametrize("face", ["invoke", "ainvoke", "stream", "astream"])
async def test_a_plain_chain_with_the_retriever(tmp_path: Path, face: str) -> None:
    with OpenAIStub(lambda name, body: Reply(content="the team plan", finish="stop")) as stub, FluxMem.open(tmp_path / "m") as mem:
        mem.remember("Ada is on the team plan.", namespace=ADA)
        prompt = ChatPromptTemplate.from_template("Known:\n{known}\n\nQuestion: {question}")
        known = mem.as_retriever(namespace=("{user_id}", "notes"), k=3) | (lambda docs: "\n".join(doc.page_content for doc in docs))
        chain = {"known": known, "question": RunnablePassthrough()} | prompt | client(stub) | StrOutputParser()
        config: Any = {"configurable": {"user_id": "ada"}}
        if face == "invoke":
            said = chain.invoke("which plan is ada on?", config)
        elif face == "ainvoke":
            said = await chain.ainvoke("which plan is ada on?", config)
        elif face == "stream":
            pieces = list(chain.stream("which plan is ada on?", config))
            said = "".join(pieces)
            assert len(pieces) > 2
        else:
            said = "".join([piece async for piece in chain.astream("which plan is ada on?", config)])
        assert said == "the team plan"
        assert "Ada is on the team plan." in str(stub.requests[0]["messages"])
