"""Subgraphs, fan-out, messages, agents."""

from __future__ import annotations

import operator
from typing import Annotated, Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Send
from typing_extensions import TypedDict

from langgraph_fluxmem import FluxMem, FluxMemMiddleware, FluxMemState

from ..faces.agents import says
from .agent import State, build
from .case import Case, case
from .cases_branching import TWO
from .cases_running import WIN, start
from .world import Seen, World, fails_after, wrapped

CASES: list[Case] = []


class Outer(TypedDict, total=False):
    """A state that knows nothing of memory."""

    task: str
    observation: str
    plan: list[str]
    turn: int


def outer(inner: Any, saver: Any, schema: Any = Outer) -> Any:
    builder = StateGraph(schema)
    builder.add_node("sub", inner)
    builder.add_edge(START, "sub")
    builder.add_edge("sub", END)
    return builder.compile(checkpointer=saver)


# ----------------------------------------------------------------------------------------------------------------------- subgraphs
async def failing_subgraph(world: World, checkpointer: bool | None) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    inner = wrapped(build(mem), "commit_episode", fails_after(1)).compile(checkpointer=checkpointer)
    app = outer(inner, saver)
    await world.fails(ConnectionError, app, start())
    return world.seen(mem, await world.invoke(app, None))


@case(CASES, "subgraphs", "the parent's checkpointer (inherited): an exception after the commit, then `invoke(None)`", 1, 1)
async def inherited(world: World) -> Seen:
    return await failing_subgraph(world, None)


@case(CASES, "subgraphs", "its own (`checkpointer=True`): the same", 1, 1)
async def own(world: World) -> Seen:
    return await failing_subgraph(world, True)


@case(CASES, "subgraphs", "none (`checkpointer=False`): the same", 1, 1, note="the subgraph runs again from its beginning")
async def without(world: World) -> Seen:
    return await failing_subgraph(world, False)


@case(CASES, "subgraphs", "its own checkpointer, run twice in one thread", 2, 2)
async def own_twice(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    app = outer(build(mem).compile(checkpointer=True), saver)
    await world.invoke(app, start())
    return world.seen(mem, await world.invoke(app, start()))


async def forked_parent(world: World, schema: Any) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    app = outer(build(mem).compile(), saver, schema)
    await world.invoke(app, start())
    await world.invoke(app, start(*TWO))
    return world.seen(mem, await world.invoke(app, None, await world.before(app, "sub", turn=0)))


@case(CASES, "subgraphs", "inherited, the parent has the memory channels; its second run replayed", 3, 2)
async def forked_with_channels(world: World) -> Seen:
    return await forked_parent(world, State)


@case(
    CASES,
    "subgraphs",
    "inherited, the parent lacks the memory channels; its second run replayed",
    3,
    3,
    note="every run of the subgraph is a lineage of its own, which hides nothing; give the parent the channels",
)
async def forked_without_channels(world: World) -> Seen:
    return await forked_parent(world, Outer)


# ----------------------------------------------------------------------------------------------------------------------- fan-out
class Wide(FluxMemState, total=False):
    task: str
    plan: list[str]
    turn: int
    observation: str
    done: Annotated[list[str], operator.add]


def fan(mem: FluxMem, failures: int = 0) -> StateGraph:
    """Three workers in one superstep, each a run of the door game with the parent's commits; the first one may fail after its commit."""
    game = build(mem).compile(checkpointer=False)
    fail = fails_after(failures)

    def given(state: Any) -> dict[str, Any]:
        return {**start(*state["plan"]), "memory_commits": state.get("memory_commits")}

    def told(state: Any, update: Any) -> dict[str, Any]:
        if state["plan"] == WIN:
            fail(state, update)
        return {"memory_commits": update["memory_commits"], "done": [update["action"]]}

    def sync(state: Any) -> Any:
        return told(state, game.invoke(given(state)))

    async def asynchronous(state: Any) -> Any:
        return told(state, await game.ainvoke(given(state)))

    builder = StateGraph(Wide)
    builder.add_node("worker", RunnableLambda(sync, afunc=asynchronous))
    plans = [list(WIN), list(TWO), ["open blue door", *WIN]]
    builder.add_conditional_edges(
        START, lambda state: [Send("worker", {"plan": plan, "memory_commits": state.get("memory_commits")}) for plan in plans], ["worker"]
    )
    builder.add_edge("worker", END)
    return builder


@case(CASES, "fan-out", "three commits in one superstep by `Send`", 3, 3)
async def fanned(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    return world.seen(mem, await world.invoke(fan(mem).compile(checkpointer=saver), {"task": "all doors"}))


@case(CASES, "fan-out", "the same in a thread that has an episode already", 6, 6)
async def fanned_twice(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    app = fan(mem).compile(checkpointer=saver)
    await world.invoke(app, {"task": "all doors"})
    return world.seen(mem, await world.invoke(app, {"task": "all doors"}))


@case(CASES, "fan-out", "one of the three fails after its commit, then `invoke(None)`", 3, 3)
async def fanned_and_failed(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    app = fan(mem, failures=1).compile(checkpointer=saver)
    await world.fails(ConnectionError, app, {"task": "all doors"})
    return world.seen(mem, await world.invoke(app, None))


@case(CASES, "fan-out", "the second superstep of three replayed", 9, 6)
async def fanned_and_replayed(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    app = fan(mem).compile(checkpointer=saver)
    await world.invoke(app, {"task": "all doors"})
    await world.invoke(app, {"task": "all doors again"})
    second = next(s.config for s in await world.history(app) if "worker" in s.next and s.values["task"] == "all doors again")
    return world.seen(mem, await world.invoke(app, None, second))


# ------------------------------------------------------------------------------------------------------------ messages and agents
class Chat(MessagesState, FluxMemState): ...


def chat(mem: FluxMem, removed: Any) -> StateGraph:
    """Answers every question; `removed` says what happens to the messages afterwards."""
    nodes = mem.nodes()
    builder = StateGraph(Chat)
    builder.add_node("retrieve", nodes.retrieve)
    builder.add_node("agent", lambda state: {"messages": [AIMessage("answer to " + state["messages"][-1].text)]})
    builder.add_node("commit_episode", nodes.commit_episode)
    builder.add_node("tidy", lambda state: {"messages": removed(state["messages"])})
    for one, other in ((START, "retrieve"), ("retrieve", "agent"), ("agent", "commit_episode"), ("commit_episode", "tidy"), ("tidy", END)):
        builder.add_edge(one, other)
    return builder


async def tidied(world: World, removed: Any) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    app = chat(mem, removed).compile(checkpointer=saver)
    state: Any = {}
    for question in ("first?", "second?", "third?"):
        state = await world.invoke(app, {"messages": [HumanMessage(question)]})
    rows = mem.engine.ledger.nodes(("memories",), kinds=("episode",))
    told = [(row.body["task"], [step["result"] for step in row.body["steps"]]) for row in rows]
    assert told == [(question, [f"answer to {question}"]) for question in ("first?", "second?", "third?")], told
    return world.seen(mem, state)


@case(CASES, "messages", "three turns in one thread", 3, 3)
async def turns(world: World) -> Seen:
    return await tidied(world, lambda messages: [])


@case(CASES, "messages", "`RemoveMessage` of all messages after each episode", 3, 3)
async def removed(world: World) -> Seen:
    return await tidied(world, lambda messages: [RemoveMessage(id=message.id) for message in messages])


@case(CASES, "messages", "a summary in place of all messages after each episode", 3, 3)
async def summarised(world: World) -> Seen:
    def summary(messages: Any) -> Any:
        told = HumanMessage("Summary: questions were asked.", additional_kwargs={"lc_source": "summarization"})
        return [*(RemoveMessage(id=message.id) for message in messages), told]

    return await tidied(world, summary)


@tool
def look(door: str) -> str:
    """Look behind a door."""
    return f"nothing behind the {door} door"


def parallel_calls() -> AIMessage:
    calls = [{"name": "look", "args": {"door": door}, "id": door} for door in ("red", "green")]
    return AIMessage("", tool_calls=calls)


class Failing(FluxMemMiddleware):
    """The middleware, whose commit fails the first `times` when it has done its work."""

    times = 0

    def after_agent(self, state: Any, runtime: Any) -> Any:
        return self._failed(super().after_agent(state, runtime))

    async def aafter_agent(self, state: Any, runtime: Any) -> Any:
        return self._failed(await super().aafter_agent(state, runtime))

    def _failed(self, update: Any) -> Any:
        if self.times:
            self.times -= 1
            raise ConnectionError("lost after the work was done")
        return update


async def agent_runs(world: World, *, times: int) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    middleware = Failing(mem)
    middleware.times = times
    agent = create_agent(says(parallel_calls(), "Nothing there."), [look], middleware=[middleware], checkpointer=saver)
    given: Any = {"messages": [HumanMessage("what is behind the doors?")]}
    if times:
        await world.fails(ConnectionError, agent, given)
        given = None
    await world.invoke(agent, given)
    (row,) = mem.engine.ledger.nodes(("memories",), kinds=("episode",))
    assert [(step["action"] or {}).get("args", {}).get("door") for step in row.body["steps"]] == ["red", "green", None]
    return world.seen(mem, await world.state(agent))


@case(CASES, "agents", "`create_agent` with two parallel tool calls", 1, 1, note="the calls are steps of one episode, in order")
async def agent(world: World) -> Seen:
    return await agent_runs(world, times=0)


@case(CASES, "agents", "... and an exception after the commit, then `invoke(None)`", 1, 1)
async def failing_agent(world: World) -> Seen:
    return await agent_runs(world, times=1)
