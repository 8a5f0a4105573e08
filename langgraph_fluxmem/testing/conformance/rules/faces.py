"""The synchronous and the asynchronous methods of one store, and the event loops it meets."""

from __future__ import annotations

import asyncio
from typing import Any

from langgraph_fluxmem.testing.conformance.faces import Face
from langgraph_fluxmem.testing.conformance.lab import Lab
from langgraph_fluxmem.testing.conformance.model import RuleBroken
from langgraph_fluxmem.testing.conformance.registry import Group

rules = Group("faces")


@rules.async_(needs=("sync",))
async def both_see_the_same(store: Any) -> None:
    """What is put through one face is read through the other."""
    await asyncio.to_thread(store.put, ("a",), "x", {"n": 1})
    await store.aput(("a",), "y", {"n": 2})
    assert (await store.aget(("a",), "x")).value == {"n": 1}
    assert sorted(i.key for i in await asyncio.to_thread(store.search, ("a",))) == ["x", "y"]


@rules.async_(needs=("sync",))
async def sync_calls_in_a_running_loop(store: Any) -> None:
    """Synchronous methods work where an event loop runs in the same thread.

    Reading: a tool or node written without `async` calls `store.get` inside an asynchronous graph, and LangGraph's own store tests do, too.
    InMemoryStore and SqliteStore answer; AsyncSqliteStore raises InvalidStateError, as its queue lives in that loop.
    """
    store.put(("a",), "k", {"n": 1})
    assert store.get(("a",), "k").value == {"n": 1}
    assert [i.key for i in store.search(("a",))] == ["k"]


@rules.async_
async def a_second_loop(store: Any) -> None:
    """The asynchronous methods work from another thread's event loop than the one in which the store was made.

    Reading: servers run graphs on loops of their own and share one store (LangGraph's with isolated loops), notebooks make a loop for each
    cell; AsyncSqliteStore raises RuntimeError, as its queue belongs to the first loop.
    """
    await store.aput(("a",), "k", {"n": 1})
    found = await asyncio.to_thread(asyncio.run, asyncio.wait_for(store.aget(("a",), "k"), 10))
    assert found.value == {"n": 1}


@rules.both(needs=("setup",))
async def setup_twice(s: Face) -> None:
    """`setup` may be called again: nothing is lost and nothing raises."""
    await s.put(("a",), "k", {"n": 1})
    await s.own("setup")
    await s.own("setup")
    assert (await s.get(("a",), "k")).value == {"n": 1}


@rules.scenario(variants=("plain",))
async def nothing_is_left_running(lab: Lab) -> None:
    """When a store has closed, no task that it started is left in the event loop, even while somebody still holds the store.

    Reading: a task left behind keeps the loop from ending in order ("Task was destroyed but it is pending"), and there is no other moment at
    which to end it. AsyncSqliteStore leaves the one that drains its queue until the store is garbage.
    """
    before = asyncio.all_tasks()
    async with lab.open_face() as face:
        await face.put(("a",), "k", {"n": 1})
    await asyncio.sleep(0.2)
    left = asyncio.all_tasks() - before
    if not left:
        return
    put = lab.code('put(("a",), "k", {"n": 1})') if lab.face == "async" else 'await asyncio.to_thread(store.put, ("a",), "k", {"n": 1})'
    code = f"""\
import asyncio
from langgraph_fluxmem.testing.conformance import opened
async def main():
    async with opened({lab.factory.name!r}) as store:
        {put}
    await asyncio.sleep(0.2)
    assert asyncio.all_tasks() == {{asyncio.current_task()}}
asyncio.run(main())"""
    raise RuleBroken(f"{len(left)} task left: {next(iter(left)).get_coro()!r}".split(" at 0x")[0], code)
