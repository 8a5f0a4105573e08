"""What users write, as the type checker sees it: checked by pyright in strict mode, never run (`test_types.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_type

from langchain.agents import create_agent
from langchain_core.documents import Document
from langchain_core.language_models import FakeListChatModel
from langchain_core.tools import BaseTool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.store.base import BaseStore, Item, SearchItem

from langgraph_fluxmem import (
    Activation,
    Episode,
    Feedback,
    FluxMem,
    FluxMemMiddleware,
    FluxMemState,
    FluxMemStore,
    Situation,
    Step,
    memory_tools,
)
from langgraph_fluxmem.consolidation import Report
from langgraph_fluxmem.schema import Advice, RecalledFact


class State(MessagesState, FluxMemState): ...


def agent(state: State) -> dict[str, Any]:
    return {"messages": [("ai", "done")], "memory_feedback": Feedback(outcome="success", done=True).model_dump()}


def whole() -> None:
    with FluxMem.open("memory/") as mem:
        assert_type(mem, FluxMem)
        assert_type(mem.remember(["a", Document("b")], namespace=("acme", "ada")), list[str])
        activation = mem.recall(Situation(task="a", observation={"key": "value"}), k=3)
        assert_type(activation, Activation)
        assert_type(activation.facts, tuple[RecalledFact, ...])
        assert_type(activation.advise(["go", {"op": "click"}]), list[Advice])
        assert_type(mem.refine(activation, Feedback(outcome="failure")), Activation)
        assert_type(mem.commit(Episode(task="a", steps=(Step(action="go"),), outcome="success")), str)
        mem.learn(activation, Feedback(outcome="success", used=[activation.facts[0].id], harmful=()))
        steps = [Step(action="go", notes=["a sign"], shown=[fact.id for fact in activation.facts])]
        mem.commit(Episode(task="a", steps=steps, outcome="success"))
        mem.recall(Situation(task="a", notes=["a sign"], done=["go", {"op": "click"}]))
        assert_type(mem.consolidate(), Report)
        assert_type(mem.store, FluxMemStore)
        store: BaseStore = mem.store
        assert_type(store.get(("a",), "k"), Item | None)
        assert_type(store.search(("a",)), list[SearchItem])
        assert_type(memory_tools(mem), list[BaseTool])
        documents: Sequence[Document] = mem.as_retriever().invoke("query")
        del documents
        nodes = mem.nodes(namespace=("{user_id}", "memories"))
        builder = StateGraph(State)
        builder.add_node("retrieve", nodes.retrieve)
        builder.add_node("agent", agent)
        builder.add_node("refine", nodes.refine)
        builder.add_node("commit_episode", nodes.commit_episode)
        builder.add_edge(START, "retrieve")
        builder.add_conditional_edges("refine", nodes.route, {"again": "agent", "next": "retrieve", "done": "commit_episode"})
        builder.add_edge("commit_episode", END)
        builder.compile(store=mem.store)
        create_agent(FakeListChatModel(responses=["a"]), tools=memory_tools(mem), middleware=[FluxMemMiddleware(mem)])


async def whole_async() -> None:
    async with await FluxMem.aopen("memory/") as mem:
        assert_type(mem, FluxMem)
        assert_type(await mem.arecall("a"), Activation)
        assert_type(await mem.aremember("a"), list[str])


def wrong(mem: FluxMem, activation: Activation) -> None:
    """Each of these is refused by the type checker: an ignore that is not needed would be an error."""
    mem.remember(7)  # pyright: ignore[reportArgumentType]
    mem.recall("a", k="three")  # pyright: ignore[reportArgumentType]
    mem.recall("a", preset="fastest")  # pyright: ignore[reportArgumentType]
    mem.recall("a", ("memories",))  # pyright: ignore[reportCallIssue]
    Feedback(outcome="great")  # pyright: ignore[reportArgumentType]
    mem.learn(activation, "good")  # pyright: ignore[reportArgumentType]
    activation.facts[0].content = "other"  # pyright: ignore[reportAttributeAccessIssue]
