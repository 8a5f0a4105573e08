"""A complete small agent that gets better at its work: a clerk at an order desk whose rules nobody tells.

    START -> read -> retrieve -> clerk -> refine --again--> clerk, --next--> retrieve, --done--> commit_episode -> answer -> END

Say "refund order 17". The clerk tries what the desk offers, the desk refuses or goes along, and closing an order too early ends the task.
What it did becomes an episode in the server's own store, and the next order goes faster. `FLUXMEM_MODEL` names a chat model that chooses the
actions, with what memory has to say in its prompt (``openai:gpt-4.1-mini``); without it a rule follows memory's advice, so no key is needed.
"""

from __future__ import annotations

import os
import re
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.store.base import BaseStore

from langgraph_fluxmem import Feedback, FluxMemState, FluxMemStore, fluxmem_nodes

NAMESPACE = ("desk",)
MOST = 12
"""Actions the desk allows for one order."""
WORK = ("close order {n}", "refund order {n}", "weigh order {n}", "call the sender of order {n}", "approve order {n}", "open order {n}")
RIGHT = ("open order {n}", "approve order {n}", "refund order {n}")
"""What a refund takes, in this order."""
STATUS = ("open", "approved")
"""What the desk shows after the first two of them."""


class State(MessagesState, FluxMemState):
    """The conversation, the memory channels, and the desk: what it shows, offers and was asked to do."""

    task: str
    screen: dict[str, str]
    actions: list[str]
    action: str
    done: list[str]


async def read(state: State) -> dict[str, Any]:
    """Take the order's number from the last message, and lay the order on the desk."""
    text = next(message.text for message in reversed(state["messages"]) if isinstance(message, HumanMessage))
    found = re.search(r"\d+", text)
    number = found[0] if found else "1"
    return {
        "task": f"refund order {number}",
        "screen": {"order": number, "status": "on the desk"},
        "actions": [action.format(n=number) for action in WORK],
        "action": "",
        "done": [],
    }


async def clerk(state: State, config: RunnableConfig, *, store: BaseStore) -> dict[str, Any]:
    """Choose an action, do it, and say how it went."""
    action = await _by_model(state, config) if os.environ.get("FLUXMEM_MODEL") else await _by_advice(state, store)
    screen, feedback = _desk(state, action)
    return {"action": action, "screen": screen, "done": [*state["done"], action], "memory_feedback": feedback.model_dump(mode="json")}


async def answer(state: State) -> dict[str, Any]:
    """Say what came of it."""
    return {
        "messages": [
            AIMessage(
                f"order {state['screen']['order']}: {state['screen']['status']} ({len(state['done'])} actions: {', '.join(state['done'])})"
            )
        ]
    }


async def _by_advice(state: State, store: BaseStore) -> str:
    """The action memory speaks for most; where it is silent, one that was not done yet."""
    if not isinstance(store, FluxMemStore):
        raise TypeError(f"this graph needs a FluxMemStore, and runs with {type(store).__name__}; see graphs/store.py")
    activation = await store.mem.aactivation(state)
    advised = activation.advise(state["actions"])
    tried = [state["done"].count(action) for action in state["actions"]]
    best = max(range(len(advised)), key=lambda index: (advised[index].score - tried[index], -index))
    return state["actions"][best]


async def _by_model(state: State, config: RunnableConfig) -> str:
    from langchain.chat_models import init_chat_model  # noqa: PLC0415 - only where a model is named

    offered = "\n".join(state["actions"])
    prompt = f"{state.get('memory_context', '')}\n\nTask: {state['task']}\nYou see: {state['screen']}\nChoose one, answer with it alone:\n{offered}"
    said = await init_chat_model(os.environ["FLUXMEM_MODEL"]).ainvoke(prompt, config)
    return next((action for action in state["actions"] if action in said.text.lower()), state["actions"][0])


def _desk(state: State, action: str) -> tuple[dict[str, str], Feedback]:
    """What the desk shows after an action, and what that means."""
    number = state["task"].rsplit(" ", 1)[-1]
    right = [step.format(n=number) for step in RIGHT]
    led_on = [step for step in state["done"] if step in right]
    reached = 0
    for step in led_on:
        reached += reached < len(right) and step == right[reached]
    if action == f"close order {number}":
        return {"order": number, "status": "closed, nothing refunded"}, Feedback(outcome="failure", loss=1.0, done=True)
    if action == right[reached]:
        if reached + 1 == len(right):
            return {"order": number, "status": "refunded"}, Feedback(outcome="success", progress=1.0, done=True)
        return {"order": number, "status": STATUS[reached]}, Feedback(progress=0.5)
    over = len(state["done"]) + 1 >= MOST
    return state["screen"], Feedback(outcome="failure", done=over, detail=f"the desk refused to {action}")


nodes = fluxmem_nodes(namespace=NAMESPACE, task="task", observation="screen", action="action", actions="actions")
builder = StateGraph(State)
builder.add_node("read", read)
builder.add_node("retrieve", nodes.retrieve)
builder.add_node("clerk", clerk)
builder.add_node("refine", nodes.refine)
builder.add_node("commit_episode", nodes.commit_episode)
builder.add_node("answer", answer)
builder.add_edge(START, "read")
builder.add_edge("read", "retrieve")
builder.add_edge("retrieve", "clerk")
builder.add_edge("clerk", "refine")
builder.add_conditional_edges("refine", nodes.route, {"again": "clerk", "next": "retrieve", "done": "commit_episode"})
builder.add_edge("commit_episode", "answer")
builder.add_edge("answer", END)
graph = builder.compile()
