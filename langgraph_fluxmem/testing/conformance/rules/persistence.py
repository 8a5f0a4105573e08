"""What is there after the store was closed, after its process was killed, and while another process works on it."""

from __future__ import annotations

import asyncio
from typing import Any

from langgraph.store.base import PutOp

from langgraph_fluxmem.testing.conformance.faces import Face
from langgraph_fluxmem.testing.conformance.lab import Lab
from langgraph_fluxmem.testing.conformance.model import RuleBroken
from langgraph_fluxmem.testing.conformance.processes import other_process
from langgraph_fluxmem.testing.conformance.registry import Group

rules = Group("persistence", needs=("persistence",))


@rules.both
async def everything_is_kept(s: Face) -> None:
    """A store that is opened again holds every item, with the same timestamps."""
    await s.batch([PutOp(("a", str(n)), "k", {"n": n, "deep": {"l": [None, True, 1.5, "é"]}}) for n in range(5)])
    before = {i.namespace: i.dict() for i in await s.search((), limit=50)}
    await s.reopen()
    assert {i.namespace: i.dict() for i in await s.search((), limit=50)} == before
    assert len(await s.list_namespaces()) == 5


@rules.both
async def deletes_are_kept(s: Face) -> None:
    """What was deleted or overwritten does not come back when the store is opened again."""
    await s.batch([PutOp(("a",), key, {"n": 1, "of": key}) for key in "xyz"])
    await s.delete(("a",), "x")
    await s.put(("a",), "y", {"n": 2, "of": "y"})
    await s.reopen()
    assert sorted((i.key, i.value["n"]) for i in await s.search(("a",))) == [("y", 2), ("z", 1)]


@rules.both(index={"fields": ["text"]})
async def vectors_are_kept(s: Face) -> None:
    """A store that is opened again finds by meaning as before, and keeps no vector of what was deleted."""
    await s.batch([PutOp(("a",), text, {"text": text}, ["text"]) for text in ("apple", "banana", "cherry")])
    await s.delete(("a",), "cherry")
    await s.reopen()
    found = await s.search(("a",), query="banana")
    assert [(i.key, round(i.score, 3)) for i in found] == [("banana", 1.0), ("apple", 0.0)]


@rules.both(ttl={"omit_expired": True, "refresh_on_read": False}, waits=True, variants=("plain",))
async def expiry_is_kept(s: Face) -> None:
    """A ttl goes on while the store is closed."""
    await s.put(("a",), "x", {"n": 1}, ttl=0.005)
    await s.put(("a",), "y", {"n": 2}, ttl=5.0)
    await s.reopen()
    await s.pause(2.2)
    await s.sweep()
    assert [i.key for i in await s.search(("a",))] == ["y"]


_MOMENTS: dict[str, dict[str, Any]] = {
    "handing-over": {"how": "iterating", "fraction": 0.0},
    **{f"at-{n}-percent": {"how": "timed", "fraction": n / 100} for n in (10, 40, 70, 95)},
}


@rules.both(cases=_MOMENTS, waits=True, spawns=True, variants=("plain",))
async def a_crash_in_a_batch(s: Face, how: Any, fraction: float) -> None:
    """When the process is killed inside a batch of 300 puts, the batch is there whole or not at all, and what was answered before is there.

    Reading: killed by SIGKILL, so what the operating system was given stays; power loss is another matter.
    """
    answered = await s.crash(how, fraction)
    await s.reopen()
    assert (await s.get(("kept",), "k")).value == {"n": 0}
    assert len(await s.search(("crash",), limit=500)) in ((300,) if answered else (0, 300))


@rules.both(needs=("multi-process",), waits=True, spawns=True, variants=("plain",))
async def another_process_is_seen(s: Face) -> None:
    """What another process puts and deletes is seen by this one, which was open before."""
    await s.batch([PutOp(("a",), key, {"of": key}) for key in "xy"])
    assert len(await s.search(("a",))) == 2
    await s.elsewhere("put(('a',), 'z', {'n': 2})")
    await s.elsewhere("delete(('a',), 'x')")
    assert await s.get(("a",), "x") is None
    assert sorted(i.key for i in await s.search(("a",))) == ["y", "z"]


@rules.both(needs=("multi-process",), waits=True, spawns=True, variants=("plain",))
async def another_process_sees(s: Face) -> None:
    """What this process puts is seen by another, while this one stays open."""
    await s.put(("a",), "k", {"n": 1})
    assert await s.elsewhere("list_namespaces()") == "[('a',)]"


@rules.both(index={"fields": ["text"]}, needs=("multi-process",), waits=True, spawns=True)
async def another_process_is_found_by_query(s: Face) -> None:
    """What another process puts, overwrites and deletes counts for this one's next query."""
    await s.batch([PutOp(("a",), key, {"text": f"apple {key}"}, ["text"]) for key in "xy"])
    assert len(await s.search(("a",), query="apple")) == 2
    await s.elsewhere(
        "batch([PutOp(('a',), 'x', None), PutOp(('a',), 'y', {'text': 'cherry'}, ['text']), PutOp(('a',), 'z', {'text': 'banana'}, ['text'])])"
    )
    assert [i.key for i in await s.search(("a",), query="banana")] == ["z", "y"]


@rules.scenario(needs=("multi-process",), waits=True, spawns=True, variants=("plain",))
async def two_processes_write(lab: Lab) -> None:
    """While two processes put, neither is refused, and everything that either put is there."""
    theirs = "for n in range(100): " + ("await store.aput" if lab.face == "async" else "store.put") + '(("b",), str(n), {"n": n})'
    ours = 0
    async with lab.open_face() as face:
        other = asyncio.ensure_future(other_process(lab.spec, lab.path, theirs))
        try:
            while not other.done():
                await face.put(("a",), str(ours), {"n": ours})
                ours += 1
                await face.pause(0.002)
            await other
            found = len(await face.search((), limit=ours + 200))
            assert found == ours + 100, f"{found} items are there, {ours} and 100 were put"
        except Exception as error:
            other.cancel()
            raise RuleBroken(f"{type(error).__name__}: {error}", _writing(lab, theirs)) from error


def _writing(lab: Lab, theirs: str) -> str:
    head = ["from langgraph_fluxmem.testing.conformance import in_threads, reproduce", f"@reproduce({lab.factory.name!r})"]
    if lab.face == "sync":
        return "\n".join(
            [
                *head,
                "def example(store, elsewhere):",
                "    write = lambda: [store.put(('a',), str(n), {'n': n}) for n in range(2000)]",
                f"    in_threads(2, lambda t: elsewhere({theirs!r}) if t else write())",
                "    assert len(store.search((), limit=3000)) == 2100",
            ]
        )
    return "\n".join(
        [
            "import asyncio",
            *head,
            "async def example(store, elsewhere):",
            f"    other = asyncio.ensure_future(elsewhere({theirs!r}))",
            "    for n in range(2000):",
            "        await store.aput(('a',), str(n), {'n': n})",
            "    await other",
            "    assert len(await store.asearch((), limit=3000)) == 2100",
        ]
    )
