"""Many callers at once: threads, tasks of one loop, and tasks that are cancelled.

A store without a fault passes these rules every time; one with a fault may pass by luck, and its reproduction may need a second run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from langgraph.store.base import GetOp, PutOp

from langgraph_fluxmem.testing.conformance.helpers import in_threads
from langgraph_fluxmem.testing.conformance.model import Source
from langgraph_fluxmem.testing.conformance.registry import Group

rules = Group("concurrency")


@rules.sync
def threads_put(store: Any) -> None:
    """Puts from eight threads all arrive."""
    in_threads(8, lambda t: [store.put(("a", str(t)), str(n), {"n": n}) for n in range(25)])
    assert len(store.search(("a",), limit=500)) == 200


@rules.sync
def threads_put_one_key(store: Any) -> None:
    """Puts of one key from eight threads leave one item, whole, as one of them wrote it."""
    in_threads(8, lambda t: [store.put(("a",), "k", {"t": t, "n": n, "also": [t, n]}) for n in range(25)])
    (item,) = store.search(("a",))
    assert item.value["also"] == [item.value["t"], item.value["n"]]
    assert item.value["n"] == 24


@rules.sync
def threads_read_and_write(store: Any) -> None:
    """Reading in some threads while others write raises nothing.

    Reading: LangGraph runs synchronous nodes and tools in a pool of threads over one store.
    """
    store.batch([PutOp(("a", str(n)), "k", {"n": n}) for n in range(300)])
    read = lambda: [(store.search((), limit=9, offset=290), store.list_namespaces(limit=9)) for _ in range(60)]  # noqa: E731
    write: Callable[[int], Any] = lambda t: [store.put(("b", f"{t}-{n}"), "k", {"n": n, "t": t}) for n in range(100)]  # noqa: E731
    in_threads(4, lambda t: write(t) if t % 2 else read())
    assert len(store.search((), limit=2000)) == 500


@rules.sync
def threads_see_whole_batches(store: Any) -> None:
    """A reader never sees half of another thread's batch."""
    keys = [str(n) for n in range(100)]
    store.batch([PutOp(("a",), k, {"n": 0, "k": k}) for k in keys])
    write = lambda: [store.batch([PutOp(("a",), k, {"n": n, "k": k}) for k in keys]) for n in range(60)] and [1]  # noqa: E731
    read = lambda: [len({i.value["n"] for i in store.batch([GetOp(("a",), k) for k in keys])}) for _ in range(120)]  # noqa: E731
    seen = in_threads(4, lambda t: read() if t else write())
    assert {n for one in seen for n in one} == {1}


@rules.async_
async def tasks_put(store: Any) -> None:
    """Puts from a hundred tasks of one loop all arrive."""
    await asyncio.gather(*(store.aput(("a", str(n % 7)), str(n), {"n": n}) for n in range(100)))
    assert len(await store.asearch(("a",), limit=500)) == 100


@rules.async_
async def tasks_read_and_write(store: Any) -> None:
    """Tasks that read and write at once raise nothing, and each reads its own write."""

    async def one(n: int) -> bool:
        await store.aput(("a",), str(n), {"n": n})
        return (await store.aget(("a",), str(n))).value == {"n": n} and len(await store.asearch(("a",), limit=500)) > 0

    assert all(await asyncio.gather(*(one(n) for n in range(40))))


@rules.async_
async def tasks_see_whole_batches(store: Any) -> None:
    """A reader never sees half of another task's batch."""
    keys = [str(n) for n in range(40)]
    writes = [store.abatch([PutOp(("a",), k, {"n": n, "k": k}) for k in keys]) for n in range(20)]
    reads = [store.abatch([GetOp(("a",), k) for k in reversed(keys)]) for _ in range(20)]
    results = await asyncio.gather(*(op for pair in zip(writes, reads, strict=True) for op in pair))
    assert {len({i and i.value["n"] for i in items}) for items in results[1::2]} == {1}


@rules.async_
async def a_cancelled_batch(store: Any) -> None:
    """A batch that is cancelled, at whatever moment, is stored whole or not at all, and the store goes on working."""
    for n in range(80):
        with suppress(TimeoutError):
            await asyncio.wait_for(store.abatch([PutOp((f"a{n}",), str(k), {"k": k}) for k in range(30)]), n / 20_000)
        assert len(await asyncio.wait_for(store.asearch((f"a{n}",), limit=99), 5)) in (0, 30)


@rules.async_(index={"fields": ["text"], "embed": Source("SlowEmbeddings()")})
async def cancelled_while_embedding(store: Any) -> None:
    """A batch that is cancelled while its texts are embedded is stored whole or not at all, and the store goes on working."""
    await store.aput(("a",), "old", {"n": 0}, False)
    with suppress(TimeoutError):
        await asyncio.wait_for(store.abatch([PutOp(("a",), "old", None), PutOp(("a",), "new", {"text": "apple"}, ["text"])]), 0.05)
    assert [i.key for i in await asyncio.wait_for(store.asearch(("a",)), 10)] in (["old"], ["new"])


@rules.async_
async def a_cancelled_neighbour(store: Any) -> None:
    """Cancelling one call does not disturb another that was made in the same tick."""
    for n in range(10):
        gone, kept = (asyncio.ensure_future(store.aput(("a",), key, {"n": n})) for key in ("gone", str(n)))
        await asyncio.sleep(n / 10_000)
        gone.cancel()
        await asyncio.wait_for(kept, 10)
        assert (await store.aget(("a",), str(n))).value == {"n": n}
