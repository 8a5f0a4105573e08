"""Going back: replays, forks, a second answer, threads that are deleted, copied or begun anew."""

from __future__ import annotations

import sqlite3
from typing import Any

from langchain_core.runnables import RunnableLambda
from langgraph.types import Command, interrupt

from .agent import build, thread
from .case import Case, case
from .cases_running import WIN, start
from .world import Seen, World

CASES: list[Case] = []
TWO = ("open red door", *WIN)


@case(CASES, "going back", "the checkpoint before the commit replayed", 1, 1)
async def replay(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    app = build(mem).compile(checkpointer=saver)
    await world.invoke(app, start())
    return world.seen(mem, await world.invoke(app, None, await world.before(app, "commit_episode")))


@case(CASES, "going back", "a checkpoint in mid-episode replayed, with the same actions", 1, 1)
async def replay_in_the_middle(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    app = build(mem).compile(checkpointer=saver)
    await world.invoke(app, start(*TWO))
    return world.seen(mem, await world.invoke(app, None, await world.before(app, "agent", turn=1)))


@case(
    CASES,
    "going back",
    "the very first checkpoint replayed",
    2,
    2,
    note="the state holds no commit and no lineage there: it looks like a new thread, and both stay visible",
)
async def replay_from_the_start(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    app = build(mem).compile(checkpointer=saver)
    await world.invoke(app, start())
    return world.seen(mem, await world.invoke(app, None, await world.before(app, "retrieve")))


@case(CASES, "going back", "the first checkpoint of the second episode replayed", 3, 2)
async def replay_the_second(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    app = build(mem).compile(checkpointer=saver)
    await world.invoke(app, start())
    await world.invoke(app, start(*TWO))
    return world.seen(mem, await world.invoke(app, None, await world.before(app, "retrieve", turn=0)))


async def forked(world: World, **options: Any) -> Seen:
    mem, saver = await world.memory(**options), await world.saver()
    app = build(mem).compile(checkpointer=saver)
    await world.invoke(app, start())
    await world.invoke(app, start(*TWO))
    fork = await world.update(
        app, await world.before(app, "agent", turn=1), {"plan": ["open red door", "open blue door", *WIN]}, as_node="retrieve"
    )
    return world.seen(mem, await world.invoke(app, None, fork))


@case(CASES, "going back", "the second episode forked in its middle by `update_state`", 3, 2)
async def fork(world: World) -> Seen:
    return await forked(world)


@case(CASES, "going back", '... with `on_fork="keep"`', 3, 3)
async def fork_kept(world: World) -> Seen:
    return await forked(world, on_fork="keep")


@case(CASES, "going back", "back to the branch that was left, and one episode more there", 4, 3)
async def returned(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    app = build(mem).compile(checkpointer=saver)
    await world.invoke(app, start())
    first = (await world.history(app))[0].config
    await world.invoke(app, start(*TWO))
    left = (await world.history(app))[0].config
    state = await world.invoke(app, start("open blue door", *WIN), first)
    assert world.seen(mem, state) == Seen(3, 2, 2)
    return world.seen(mem, await world.invoke(app, start(), left))


async def answered_twice(world: World, *answers: str, copies: bool = False) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    app = build(mem, before_commit=lambda state: {"memory_feedback": {"outcome": interrupt("how was it?")}}).compile(checkpointer=saver)
    await world.invoke(app, start())
    asked = await world.before(app, "gate")
    state: dict[str, Any] = {}
    for answer in answers:
        again = await world.update(app, asked, None, as_node="__copy__") if copies else asked
        state = await world.invoke(app, Command(resume=answer), again)
    return world.seen(mem, state)


@case(CASES, "going back", 'two forks from one interrupt (`update_state(..., as_node="__copy__")`), each with another answer', 2, 1)
async def two_forks(world: World) -> Seen:
    return await answered_twice(world, "success", "failure", copies=True)


@case(CASES, "going back", "two different answers sent to one interrupt's checkpoint", 1, 1, note="LangGraph keeps the first answer")
async def two_answers(world: World) -> Seen:
    return await answered_twice(world, "success", "failure")


@case(CASES, "going back", "the same answer twice to one interrupt", 1, 1)
async def one_answer_twice(world: World) -> Seen:
    return await answered_twice(world, "success", "success")


@case(CASES, "going back", "two forks from one interrupt in the committing node, each with another answer", 2, 1)
async def two_answers_in_one_node(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    builder = build(mem)
    commit = builder.nodes.pop("commit_episode").runnable

    def judge(state: Any) -> Any:
        return {**state, "memory_feedback": {"outcome": interrupt("how was it?")}}

    builder.add_node("commit_episode", RunnableLambda(judge) | commit)
    app = builder.compile(checkpointer=saver)
    await world.invoke(app, start())
    asked = await world.before(app, "commit_episode")
    state: dict[str, Any] = {}
    for answer in ("success", "failure"):
        state = await world.invoke(app, Command(resume=answer), await world.update(app, asked, None, as_node="__copy__"))
    return world.seen(mem, state)


# ------------------------------------------------------------------------------------------------------------------------ threads
@case(CASES, "threads", "the same input sent twice", 2, 2)
async def same_input(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    app = build(mem).compile(checkpointer=saver)
    await world.invoke(app, start())
    return world.seen(mem, await world.invoke(app, start()))


@case(CASES, "threads", "the same input sent twice with the same `memory_episode_id`", 1, 1)
async def same_input_with_an_id(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    app = build(mem).compile(checkpointer=saver)
    await world.invoke(app, start(memory_episode_id="order-17"))
    return world.seen(mem, await world.invoke(app, start(memory_episode_id="order-17")))


@case(CASES, "threads", "two threads", 2, 2)
async def two_threads(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    app = build(mem).compile(checkpointer=saver)
    await world.invoke(app, start(), thread("one"))
    return world.seen(mem, await world.invoke(app, start(), thread("two")))


@case(CASES, "threads", "no checkpointer, the same input twice", 2, 2)
async def no_checkpointer(world: World) -> Seen:
    mem = await world.memory()
    app = build(mem).compile()
    await world.invoke(app, start(), {})
    return world.seen(mem, await world.invoke(app, start(), {}))


@case(CASES, "threads", "a thread deleted, and begun again under its id", 2, 2, note="deleting a thread's checkpoints deletes no memory")
async def deleted(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    app = build(mem).compile(checkpointer=saver)
    await world.invoke(app, start())
    if world.face == "sync":
        saver.delete_thread("t")
    else:
        await saver.adelete_thread("t")
    return world.seen(mem, await world.invoke(app, start()))


@case(CASES, "threads", "a new checkpointer with the same thread id", 2, 2)
async def new_checkpointer(world: World) -> Seen:
    mem = await world.memory()
    await world.invoke(build(mem).compile(checkpointer=await world.saver("one")), start())
    return world.seen(mem, await world.invoke(build(mem).compile(checkpointer=await world.saver("two")), start()))


def copy_thread(world: World, source: str, target: str) -> None:
    """Copy a thread's rows in the checkpointer's file, which has no call for it."""
    with sqlite3.connect(world.place / "checkpoints.sqlite") as rows:
        for table in ("checkpoints", "writes"):
            columns = [row[1] for row in rows.execute(f"PRAGMA table_info({table})")]
            chosen = ", ".join("?" if column == "thread_id" else column for column in columns)
            rows.execute(f"INSERT INTO {table} SELECT {chosen} FROM {table} WHERE thread_id = ?", (target, source))
    rows.close()


@case(CASES, "threads", "a thread copied after its first episode; then one episode in each", 3, 3)
async def copied(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    app = build(mem).compile(checkpointer=saver)
    await world.invoke(app, start())
    copy_thread(world, "t", "copy")
    await world.invoke(app, start(*TWO))
    return world.seen(mem, await world.invoke(app, start("open blue door", *WIN), thread("copy")))


@case(
    CASES,
    "threads",
    "a thread copied after two episodes, and the copy forked before the second",
    3,
    3,
    note="the copy has a lineage of its own: a fork in it hides nothing of the original's",
)
async def copied_and_forked(world: World) -> Seen:
    mem, saver = await world.memory(), await world.saver()
    app = build(mem).compile(checkpointer=saver)
    await world.invoke(app, start())
    await world.invoke(app, start(*TWO))
    copy_thread(world, "t", "copy")
    before = await world.before(app, "retrieve", thread("copy"), turn=0)
    return world.seen(mem, await world.invoke(app, None, before))
