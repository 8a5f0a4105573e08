"""What is there after the store was closed, after its process was killed, and while another process works on it."""

from __future__ import annotations

from typing import Any

from langgraph.store.base import PutOp

from ..faces import Face
from ..registry import Group

rules = Group("persistence", needs=("persistence",))


@rules.both
async def everything_is_kept(s: Face) -> None:
    """A store that is opened again holds every item, with the same timestamps."""
    await s.batch([PutOp(("a", str(n)), "k", {"n": n, "deep": {"l": [None, True, 1.5, "é"]}}) for n in range(5)])
    before = sorted(await s.search((), limit=50), key=lambda i: i.namespace)
    await s.reopen()
    assert sorted(await s.search((), limit=50), key=lambda i: i.namespace) == before
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


_MOMENTS = {"handing-over": {"how": "iterating", "fraction": 0.0}}
_MOMENTS |= {f"at-{n}-percent": {"how": "timed", "fraction": n / 100} for n in (10, 40, 70, 95)}


@rules.both(cases=_MOMENTS, waits=True, variants=("plain",))
async def a_crash_in_a_batch(s: Face, how: Any, fraction: float) -> None:
    """When the process is killed inside a batch of 300 puts, the batch is there whole or not at all, and what was answered before is there.

    Reading: killed by SIGKILL, so what the operating system was given stays; power loss is another matter.
    """
    answered = await s.crash(how, fraction)
    await s.reopen()
    assert (await s.get(("kept",), "k")).value == {"n": 0}
    assert len(await s.search(("crash",), limit=500)) in ((300,) if answered else (0, 300))


@rules.both(needs=("multi-process",), waits=True, variants=("plain",))
async def another_process_is_seen(s: Face) -> None:
    """What another process puts and deletes is seen by this one, which was open before."""
    await s.batch([PutOp(("a",), key, {"of": key}) for key in "xy"])
    assert len(await s.search(("a",))) == 2
    await s.elsewhere("put(('a',), 'z', {'n': 2})")
    await s.elsewhere("delete(('a',), 'x')")
    assert await s.get(("a",), "x") is None
    assert sorted(i.key for i in await s.search(("a",))) == ["y", "z"]


@rules.both(needs=("multi-process",), waits=True, variants=("plain",))
async def another_process_sees(s: Face) -> None:
    """What this process puts is seen by another, while this one stays open."""
    await s.put(("a",), "k", {"n": 1})
    assert await s.elsewhere("list_namespaces()") == "[('a',)]"


@rules.both(index={"fields": ["text"]}, needs=("multi-process",), waits=True)
async def another_process_is_found_by_query(s: Face) -> None:
    """What another process puts, overwrites and deletes counts for this one's next query."""
    await s.batch([PutOp(("a",), key, {"text": f"apple {key}"}, ["text"]) for key in "xy"])
    assert len(await s.search(("a",), query="apple")) == 2
    await s.elsewhere("batch([PutOp(('a',), 'x', None), PutOp(('a',), 'y', {'text': 'cherry'}, ['text']), PutOp(('a',), 'z', {'text': 'banana'}, ['text'])])")
    assert [i.key for i in await s.search(("a",), query="banana")] == ["z", "y"]
