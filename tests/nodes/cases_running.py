"""A run that fails, is killed, waits, is left, or is answered from a cache."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import multiprocessing
import os
import signal
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableLambda
from langgraph.cache.memory import InMemoryCache
from langgraph.types import CachePolicy, Command, RetryPolicy, interrupt

from .agent import State, build, follow_plan, thread
from .case import Case, case
from .world import Face, Seen, World, around, at_once, fails_after, wrapped

CASES: list[Case] = []
WIN = ["open green door"]


def start(*plan: str, **more: Any) -> dict[str, Any]:
    return {"task": "find the gold behind a door", "observation": "three doors", "turn": 0, "plan": list(plan or WIN), **more}


# ------------------------------------------------------------------------------------------------------------------------- failing
@case(CASES, "failing", "a retry policy runs the commit three times", 1, 1)
async def retry(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    policy = RetryPolicy(max_attempts=3, initial_interval=0.0, jitter=False)
    app = wrapped(build(mem), "commit_episode", fails_after(2), retry_policy=policy).compile(checkpointer=saver)
    return world.seen(mem, await world.invoke(app, start()))


@case(
    CASES,
    "failing",
    "a retry policy runs the commit again, and the outcome has become another",
    2,
    1,
    note="of two runs of one task the later one counts",
)
async def retry_with_another_outcome(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    builder, outcomes = build(mem), iter(("success", "failure"))
    commit = (
        RunnableLambda(lambda state: {**state, "memory_feedback": {"outcome": next(outcomes)}})
        | builder.nodes.pop("commit_episode").runnable
    )
    policy = RetryPolicy(max_attempts=2, initial_interval=0.0, jitter=False)
    builder.add_node("commit_episode", around(commit, fails_after(1)), retry_policy=policy)
    return world.seen(mem, await world.invoke(builder.compile(checkpointer=saver), start()))


@case(CASES, "failing", "an exception after the commit, then `invoke(None)`", 1, 1)
async def exception(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    app = wrapped(build(mem), "commit_episode", fails_after(1)).compile(checkpointer=saver)
    await world.fails(ConnectionError, app, start())
    return world.seen(mem, await world.invoke(app, None))


@case(
    CASES,
    "failing",
    "an exception after the commit, then the input sent again",
    2,
    1,
    note="a new input is a new episode; the thread never took up the commit of the run that failed, so it is hidden like a branch that was left",
)
async def exception_then_input(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    app = wrapped(build(mem), "commit_episode", fails_after(1)).compile(checkpointer=saver)
    await world.fails(ConnectionError, app, start())
    return world.seen(mem, await world.invoke(app, start()))


@case(CASES, "failing", "an exception in the agent in mid-episode, then `invoke(None)`", 1, 1)
async def exception_in_the_agent(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    app = wrapped(build(mem), "agent", fails_after(1)).compile(checkpointer=saver)
    await world.fails(ConnectionError, app, start("open red door", *WIN))
    return world.seen(mem, await world.invoke(app, None))


# ------------------------------------------------------------------------------------------------------------------------- killed
def when_checkpointed(place: Path) -> Callable[[State], str]:
    """The agent's policy, which waits until LangGraph's background writes have the checkpoint that the episode began from."""

    def policy(state: State) -> str:
        with closing(sqlite3.connect(place / "checkpoints.sqlite")) as rows:
            while rows.execute("SELECT count(*) FROM checkpoints").fetchone()[0] < 2:
                threading.Event().wait(0.005)
        return follow_plan(state)

    return policy


def killed(place: str, face: Face, durability: str, given: dict[str, Any], config: dict[str, Any]) -> None:
    """In a process of its own: run, and be killed when the commit is durable and its superstep is not over."""

    def kill(state: Any, update: Any) -> Any:
        del state, update
        os.kill(os.getpid(), signal.SIGKILL)

    async def story(world: World) -> None:
        mem, saver = await world.memory(), await world.saver()
        policy = when_checkpointed(world.place) if durability == "async" else follow_plan
        app = wrapped(build(mem, policy=policy), "commit_episode", kill).compile(checkpointer=saver)
        await world.invoke(app, given, config, durability=durability)

    world = World(Path(place), face)
    if face == "sync":
        at_once(story(world))
    else:
        asyncio.run(story(world))


def kill_a_run(world: World, durability: str, config: dict[str, Any] | None = None, **more: Any) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=killed, args=(str(world.place), world.face, durability, start(**more), config or thread()))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL, f"the run was not killed: {process.exitcode}"


async def goes_on(world: World, given: Any, config: dict[str, Any] | None = None) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    left = world.seen(mem, {}).stored
    assert left == 1, f"the commit was acknowledged before the kill, and {left} are stored"
    return world.seen(mem, await world.invoke(build(mem).compile(checkpointer=saver), given, config))


@case(CASES, "killed", "durability `sync`, then `invoke(None)`", 1, 1)
async def killed_sync(world: World) -> Seen:
    kill_a_run(world, "sync")
    return await goes_on(world, None)


@case(
    CASES,
    "killed",
    "durability `async` (LangGraph's default), then `invoke(None)`",
    1,
    1,
    note="once the checkpoint that the episode began from is written, which is in the background; killed before that it is at least once, as under `exit`",
)
async def killed_async(world: World) -> Seen:
    kill_a_run(world, "async")
    return await goes_on(world, None)


@case(
    CASES,
    "killed",
    "durability `exit`, the input sent again",
    2,
    2,
    note="at least once: no checkpoint of the run exists, so nothing tells that it is the same",
)
async def killed_exit(world: World) -> Seen:
    kill_a_run(world, "exit")
    return await goes_on(world, start())


@case(CASES, "killed", "durability `exit`, the input sent again with the `memory_episode_id` it had", 1, 1)
async def killed_exit_with_an_id(world: World) -> Seen:
    kill_a_run(world, "exit", memory_episode_id="order-17")
    return await goes_on(world, start(memory_episode_id="order-17"))


@case(CASES, "killed", "durability `exit`, the input sent again under the same `run_id` (as a server's retry does)", 1, 1)
async def killed_exit_with_a_run_id(world: World) -> Seen:
    config = {**thread(), "run_id": uuid.UUID(int=17)}
    kill_a_run(world, "exit", config)
    return await goes_on(world, start(), config)


# ------------------------------------------------------------------------------------------------------------------------- waiting
@case(CASES, "waiting", "`interrupt()` before the commit (a dynamic breakpoint), then resumed", 1, 1)
async def interrupted(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    app = build(mem, before_commit=lambda state: {"plan": [interrupt("sure?")]}).compile(checkpointer=saver)
    await world.invoke(app, start())
    assert world.seen(mem, {}).stored == 0
    return world.seen(mem, await world.invoke(app, Command(resume="yes")))


@case(CASES, "waiting", "`interrupt()` in the same node after the commit, then resumed", 1, 1, note="the node runs twice")
async def interrupted_after(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    builder = wrapped(build(mem), "commit_episode", lambda state, update: {**update, "plan": [interrupt("noted?")]})
    app = builder.compile(checkpointer=saver)
    await world.invoke(app, start())
    assert world.seen(mem, {}).stored == 1
    return world.seen(mem, await world.invoke(app, Command(resume="yes")))


@case(CASES, "waiting", "static breakpoints before and after the commit, then resumed", 1, 1)
async def breakpoints(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    app = build(mem).compile(checkpointer=saver, interrupt_before=["commit_episode"], interrupt_after=["commit_episode", "retrieve"])
    state = await world.invoke(app, start())
    for stored in (0, 0, 1):
        assert world.seen(mem, {}).stored == stored
        state = await world.invoke(app, None) if stored == 0 else state
    return world.seen(mem, await world.invoke(app, None) or state)


# -------------------------------------------------------------------------------------------------------------------------- left
@case(CASES, "left", "a stream abandoned before the commit, then `invoke(None)`", 1, 1)
async def abandoned(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    app = build(mem).compile(checkpointer=saver)
    async with world.streaming(app, start()) as chunks:
        async for chunk in chunks:
            if "agent" in chunk:
                break
    assert world.seen(mem, {}).stored == 0
    return world.seen(mem, await world.invoke(app, None))


@case(CASES, "left", "a stream abandoned when the commit was told, then `invoke(None)`", 1, 1)
async def abandoned_after(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    app = build(mem).compile(checkpointer=saver)
    async with world.streaming(app, start()) as chunks:
        async for chunk in chunks:
            if "commit_episode" in chunk:
                break
    return world.seen(mem, await world.invoke(app, None))


@case(CASES, "left", "cancelled (sync: Ctrl-C) when the commit was durable, then `invoke(None)`", 1, 1)
async def cancelled(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    if world.face == "sync":
        app = wrapped(build(mem), "commit_episode", fails_after(1, KeyboardInterrupt())).compile(checkpointer=saver)
        await world.fails(KeyboardInterrupt, app, start())
        return world.seen(mem, await world.invoke(app, None))
    builder, committed = build(mem), asyncio.Event()
    commit = builder.nodes.pop("commit_episode").runnable

    async def slow(state: Any) -> Any:
        update = await commit.ainvoke(state)
        if not committed.is_set():
            committed.set()
            await asyncio.Event().wait()
        return update

    builder.add_node("commit_episode", slow)
    app = builder.compile(checkpointer=saver)
    run = asyncio.ensure_future(world.invoke(app, start()))
    await committed.wait()
    run.cancel()
    await asyncio.wait([run])
    assert run.cancelled()
    return world.seen(mem, await world.invoke(app, None))


# ------------------------------------------------------------------------------------------------------------------ node options
@case(CASES, "node options", "the agent cached by a cache policy, the same input in two threads", 2, 2)
async def cached_agent(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    policy = CachePolicy(key_func=lambda state: str(state["turn"]))
    app = wrapped(build(mem), "agent", cache_policy=policy).compile(checkpointer=saver, cache=InMemoryCache())
    await world.invoke(app, start(), thread("one"))
    return world.seen(mem, await world.invoke(app, start(), thread("two")))


@case(
    CASES,
    "node options",
    "`retrieve` and the commit cached by a cache policy, the same input in two threads",
    1,
    1,
    note="what a cache answers did not run: the second run is the first one's episode",
)
async def cached_memory(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    builder = wrapped(build(mem), "retrieve", cache_policy=CachePolicy(key_func=lambda state: "one"))
    app = wrapped(builder, "commit_episode", cache_policy=CachePolicy(key_func=lambda state: "one")).compile(
        checkpointer=saver, cache=InMemoryCache()
    )
    await world.invoke(app, start(), thread("one"))
    return world.seen(mem, await world.invoke(app, start(), thread("two")))


@case(CASES, "node options", "the commit cached by a cache policy, its checkpoint replayed", 1, 1)
async def cached_commit(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    app = wrapped(build(mem), "commit_episode", cache_policy=CachePolicy()).compile(checkpointer=saver, cache=InMemoryCache())
    await world.invoke(app, start())
    return world.seen(mem, await world.invoke(app, None, await world.before(app, "commit_episode")))


@case(CASES, "node options", "a deferred commit behind two branches of different length", 1, 1)
async def deferred(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    builder = wrapped(build(mem), "commit_episode", defer=True)
    for name in ("short", "long", "longer"):
        builder.add_node(name, lambda state: {})
    builder.add_edge("gate", "short")
    builder.add_edge("gate", "long")
    builder.add_edge("long", "longer")
    builder.add_edge("short", "commit_episode")
    builder.add_edge("longer", "commit_episode")
    return world.seen(mem, await world.invoke(builder.compile(checkpointer=saver), start()))
