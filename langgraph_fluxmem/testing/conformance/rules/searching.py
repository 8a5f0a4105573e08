"""`search` without a query: pages, prefixes, what a result is."""

from __future__ import annotations

from langgraph.store.base import PutOp, SearchItem

from langgraph_fluxmem.testing.conformance.faces import Face
from langgraph_fluxmem.testing.conformance.helpers import refused
from langgraph_fluxmem.testing.conformance.registry import Group

rules = Group("search")


@rules.both
async def nothing_to_find(s: Face) -> None:
    """Searching where nothing is answers an empty list."""
    assert await s.search(()) == []
    await s.put(("a",), "k", {"n": 1})
    assert await s.search(("b",)) == []


@rules.both
async def results_are_whole(s: Face) -> None:
    """A result is a SearchItem with namespace, key, value and timestamps; without a query its score is None."""
    await s.put(("a", "b"), "k", {"n": 1})
    (found,) = await s.search(("a",))
    assert isinstance(found, SearchItem)
    assert (found.namespace, found.key, found.value, found.score) == (("a", "b"), "k", {"n": 1}, None)
    assert found.created_at <= found.updated_at


@rules.both
async def a_put_is_found_at_once(s: Face) -> None:
    """The next search after a put, an overwrite or a delete knows of it."""
    for n in range(5):
        await s.put(("a",), "k", {"n": n})
        assert [i.value for i in await s.search(("a",))] == [{"n": n}]
    await s.delete(("a",), "k")
    assert await s.search(("a",)) == []


@rules.both
async def limit(s: Face) -> None:
    """At most `limit` items are found, ten if it is not given."""
    await s.batch([PutOp(("a",), str(n), {"n": n}) for n in range(12)])
    assert len(await s.search(("a",), limit=3)) == 3
    assert len(await s.search(("a",), limit=50)) == 12
    assert len(await s.search(("a",))) == 10


@rules.both
async def pages(s: Face) -> None:
    """Pages by `limit` and `offset` show every item once, and then nothing.

    Reading: no order is documented (InMemoryStore: first put first; SqliteStore: last updated first), so any is right that stays the same
    while nothing is written.
    """
    await s.batch([PutOp(("a",), str(n), {"n": n}) for n in range(7)])
    shown = [await s.search(("a",), limit=3, offset=n) for n in (0, 3, 6, 9)]
    assert [len(page) for page in shown] == [3, 3, 1, 0]
    assert sorted(i.key for page in shown for i in page) == [str(n) for n in range(7)]


@rules.both
async def pages_over_namespaces(s: Face) -> None:
    """Pages run over all namespaces under the prefix."""
    await s.batch([PutOp(("a", str(n)), "k", {"n": n}) for n in range(5)])
    await s.put(("b",), "k", {"n": 9})
    shown = [await s.search(("a",), limit=2, offset=n) for n in (0, 2, 4)]
    assert sorted(i.value["n"] for page in shown for i in page) == [0, 1, 2, 3, 4]


@rules.both
async def the_order_stays(s: Face) -> None:
    """Searching twice, without writing between, gives the same order."""
    await s.batch([PutOp(("a", str(n % 3)), str(n), {"n": n}) for n in range(9)])
    first = [i.key for i in await s.search(("a",))]
    assert [i.key for i in await s.search(("a",))] == first


@rules.both(variants=("plain",))
async def a_query_without_an_index_is_ignored(s: Face) -> None:
    """Without an index a query changes nothing: the same items, with score None.

    Reading: "Without this configuration, semantic search is disabled"; the stock stores list as if no query were given.
    """
    await s.batch([PutOp(("a",), str(n), {"text": f"apple {n}"}) for n in range(3)])
    found = await s.search(("a",), query="banana")
    assert sorted(i.key for i in found) == ["0", "1", "2"]
    assert [i.score for i in found] == [None, None, None]


@rules.both(variants=("plain",))
async def index_paths_without_an_index_are_ignored(s: Face) -> None:
    """Without an index the `index` argument of put changes nothing."""
    await s.put(("a",), "x", {"text": "apple"}, False)
    await s.put(("a",), "y", {"text": "apple"}, ["text"])
    assert sorted(i.key for i in await s.search(("a",))) == ["x", "y"]


@rules.both(needs=("no-ttl",), variants=("plain",))
async def expiry_that_is_not_offered_is_refused(s: Face) -> None:
    """A store without expiry says so: `put(ttl=...)` raises NotImplementedError, and stores nothing."""
    with refused(NotImplementedError):
        await s.put(("a",), "k", {"n": 1}, ttl=1.0)
    assert await s.get(("a",), "k") is None
