"""Those who use a store today: langmem's tools, `create_agent`, a graph with ``store=``. The same on InMemoryStore, with the same answers."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.tools import ToolRuntime, tool
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_store
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore

from langgraph_fluxmem import FluxMemStore
from langgraph_fluxmem.testing.conformance.embedding import DIMS, embed

INDEX = {"dims": DIMS, "embed": embed}


@pytest.fixture(params=["InMemoryStore", "FluxMemStore"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BaseStore]:
    if request.param == "InMemoryStore":
        yield InMemoryStore(index=INDEX)
        return
    with FluxMemStore.from_conn_string(tmp_path / "memory", index=INDEX, chroma="off") as opened:
        yield opened


class Scripted(GenericFakeChatModel):
    """A chat model that says what it was told to, tools or not."""

    def bind_tools(self, tools: Any, **options: Any) -> Scripted:
        return self


def says(*messages: AIMessage) -> Scripted:
    return Scripted(messages=iter(messages))


def calls(name: str, **args: Any) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": name, "args": args, "id": f"call-{name}"}])


CONFIG = {"configurable": {"thread_id": "t", "langgraph_user_id": "ada"}}


def langmem_tools() -> tuple[Any, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from langmem import create_manage_memory_tool, create_search_memory_tool

        namespace = ("memories", "{langgraph_user_id}")
        return create_manage_memory_tool(namespace=namespace), create_search_memory_tool(namespace=namespace)


def test_langmem_tools_in_an_agent(store: BaseStore) -> None:
    tools = langmem_tools()
    model = says(
        calls("manage_memory", content="apple is a fruit that Ada likes", action="create"),
        AIMessage("noted"),
        calls("search_memory", query="apple"),
        AIMessage("You like apple."),
    )
    agent = create_agent(model, list(tools), store=store, checkpointer=InMemorySaver())
    first = agent.invoke({"messages": [HumanMessage("I like apple")]}, CONFIG)
    assert first["messages"][-1].content == "noted"
    second = agent.invoke({"messages": [HumanMessage("what do I like?")]}, CONFIG)
    found = json.loads(next(message.content for message in reversed(second["messages"]) if message.type == "tool"))
    assert [(item["namespace"], item["value"]) for item in found] == [(["memories", "ada"], {"content": "apple is a fruit that Ada likes"})]
    assert 0 < found[0]["score"] < 1
    assert second["messages"][-1].content == "You like apple."


async def test_langmem_tools_update_and_delete(store: BaseStore) -> None:
    manage, search = langmem_tools()
    answers: list[Any] = []

    async def node(state: MessagesState) -> dict[str, Any]:
        made = await manage.ainvoke({"content": "apple", "action": "create"})
        key = made.rsplit(" ", 1)[-1]
        answers.append(made.replace(key, "KEY"))
        answers.append((await manage.ainvoke({"content": "banana", "action": "update", "id": key})).replace(key, "KEY"))
        answers.append([item["value"] for item in json.loads(await search.ainvoke({"query": "banana"}))])
        answers.append((await manage.ainvoke({"action": "delete", "id": key})).replace(key, "KEY"))
        answers.append(json.loads(await search.ainvoke({"query": "banana"})))
        return {}

    builder = StateGraph(MessagesState)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    await builder.compile(store=store).ainvoke({"messages": []}, CONFIG)
    assert answers == ["created memory KEY", "updated memory KEY", [{"content": "banana"}], "Deleted memory KEY", []]


def test_create_agent_with_tools_that_use_the_store(store: BaseStore) -> None:
    @tool
    def save(text: str, runtime: ToolRuntime) -> str:
        """Save a note."""
        assert runtime.store is not None
        runtime.store.put(("notes",), text, {"text": text, "n": len(text)})
        return "saved"

    @tool
    def look(minimum: int) -> str:
        """Look for long notes."""
        return ", ".join(sorted(item.key for item in get_store().search(("notes",), filter={"n": {"$gte": minimum}})))

    model = says(
        AIMessage(
            "",
            tool_calls=[{"name": "save", "args": {"text": text}, "id": text} for text in ("apple", "fig")],
        ),
        calls("look", minimum=4),
        AIMessage("done"),
    )
    agent = create_agent(model, [save, look], store=store)
    messages = agent.invoke({"messages": [HumanMessage("go")]})["messages"]
    assert [message.content for message in messages if message.type == "tool"] == ["saved", "saved", "apple"]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_graph_with_a_store(store: BaseStore, asynchronous: bool) -> None:
    def remember(state: MessagesState, *, store: BaseStore) -> dict[str, Any]:
        text = state["messages"][-1].content
        store.put(("users", "ada"), str(len(store.search(("users",), limit=100))), {"text": text})
        return {}

    async def aremember(state: MessagesState, *, store: BaseStore) -> dict[str, Any]:
        text = state["messages"][-1].content
        await store.aput(("users", "ada"), str(len(await store.asearch(("users",), limit=100))), {"text": text})
        return {}

    builder = StateGraph(MessagesState)
    builder.add_node("remember", aremember if asynchronous else remember)
    builder.add_edge(START, "remember")
    graph = builder.compile(store=store, checkpointer=InMemorySaver())
    for number, text in enumerate(("apple pie", "banana bread", "cherry cake")):
        await graph.ainvoke({"messages": [HumanMessage(text)]}, {"configurable": {"thread_id": str(number)}})
    found = await store.asearch(("users",), query="banana", limit=1)
    assert [(item.namespace, item.key, item.value) for item in found] == [(("users", "ada"), "1", {"text": "banana bread"})]
    assert await store.alist_namespaces() == [("users", "ada")]
    assert [(await store.aget(("users", "ada"), str(n))).value["text"] for n in range(3)] == ["apple pie", "banana bread", "cherry cake"]
