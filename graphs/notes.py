"""A small graph that needs no key: it keeps what it is told as an item of the store, and answers with what it remembers.

Memory is retrieved by the retrieve node from the server's own store (`fluxmem_nodes()` without a memory).
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from langchain_core.messages import AIMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.store.base import BaseStore

from langgraph_fluxmem import FluxMemState, fluxmem_nodes

NAMESPACE = ("notes",)


class State(MessagesState, FluxMemState):
    """The conversation and the memory channels."""


async def keep(state: State, *, store: BaseStore) -> dict[str, Any]:
    """Store what was said, and say what was remembered before it."""
    text = str(state["messages"][-1].text)
    await store.aput(NAMESPACE, sha256(text.encode()).hexdigest()[:16], {"text": text})
    return {"messages": [AIMessage(state.get("memory_context") or "I remember nothing about it yet.")]}


nodes = fluxmem_nodes(namespace=NAMESPACE)
builder = StateGraph(State)
builder.add_node("retrieve", nodes.retrieve)
builder.add_node("keep", keep)
builder.add_edge(START, "retrieve")
builder.add_edge("retrieve", "keep")
builder.add_edge("keep", END)
graph = builder.compile()
