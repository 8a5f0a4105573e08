"""Expiry (TTL): times are in minutes; a rule waits a few seconds, and is tried again if the machine was too busy to keep its times.

Whether an item has expired shows after a sweep, if the store sweeps, and at once if it omits what has expired. Stores may count in whole
seconds. 0.005 minutes are 0.3 seconds, 0.05 minutes are 3.
"""

from __future__ import annotations

from typing import Any

from langgraph.store.base import GetOp, PutOp

from langgraph_fluxmem.testing.conformance.faces import Face
from langgraph_fluxmem.testing.conformance.registry import Group

rules = Group("ttl", needs=("ttl",))
REFRESHED: dict[str, Any] = {"omit_expired": True, "refresh_on_read": True}
KEPT: dict[str, Any] = {"omit_expired": True, "refresh_on_read": False}
PLAIN: Any = ("plain",)


@rules.both(ttl=KEPT, variants=PLAIN)
async def is_said(s: Face) -> None:
    """A store that takes a ttl says so in `supports_ttl`.

    Reading: `BaseStore` has the attribute so that callers can ask before they put; AsyncSqliteStore expires items and says False, as the class
    it inherits from first does.
    """
    await s.put(("a",), "k", {"n": 1}, ttl=1.0)
    assert s.store.supports_ttl is True


@rules.both(ttl=KEPT, waits=True, variants=PLAIN)
async def expires(s: Face) -> None:
    """An item put with a ttl is gone when it has passed, and other items are not."""
    await s.put(("a",), "x", {"n": 1}, ttl=0.005)
    await s.put(("a",), "y", {"n": 2})
    await s.pause(2.2)
    await s.sweep()
    assert await s.get(("a",), "x") is None
    assert [i.key for i in await s.search(("a",))] == ["y"]


@rules.both(ttl=KEPT, waits=True, variants=PLAIN)
async def counts_in_minutes(s: Face) -> None:
    """A ttl is in minutes: 0.1 is six seconds."""
    await s.put(("a",), "k", {"n": 1}, ttl=0.1)
    await s.pause(1.2)
    await s.sweep()
    assert await s.get(("a",), "k") is not None


@rules.both(ttl={**KEPT, "default_ttl": 0.005}, waits=True, variants=PLAIN)
async def default_counts(s: Face) -> None:
    """`default_ttl` holds for a put that names no ttl; a put with ttl=None never expires."""
    await s.put(("a",), "x", {"n": 1})
    await s.put(("a",), "y", {"n": 2}, ttl=None)
    await s.pause(2.2)
    await s.sweep()
    assert [i.key for i in await s.search(("a",))] == ["y"]


@rules.both(ttl=KEPT, waits=True, variants=PLAIN)
async def overwrite_sets_it_anew(s: Face) -> None:
    """An overwrite starts the time again."""
    await s.put(("a",), "k", {"n": 1}, ttl=0.05)
    await s.pause(2.0)
    await s.put(("a",), "k", {"n": 2}, ttl=0.05)
    await s.pause(1.7)
    await s.sweep()
    assert await s.get(("a",), "k") is not None


@rules.both(ttl=KEPT, waits=True, variants=PLAIN)
async def overwrite_without_ends_it(s: Face) -> None:
    """An overwrite without a ttl makes an item that does not expire."""
    await s.put(("a",), "k", {"n": 1}, ttl=0.005)
    await s.put(("a",), "k", {"n": 2})
    await s.pause(2.2)
    await s.sweep()
    assert (await s.get(("a",), "k")).value == {"n": 2}


@rules.both(ttl=KEPT, waits=True, variants=PLAIN)
async def omitted_by_get(s: Face) -> None:
    """With `omit_expired`, get does not answer an expired item, swept or not; asking does not bring it back.

    Reading: `TTLConfig.omit_expired` says "even before a TTL sweep deletes them", "if the store supports this option". A store that does not
    support it should refuse it: SqliteStore takes it and ignores it.
    """
    await s.put(("a",), "k", {"n": 1}, ttl=0.005)
    await s.pause(2.2)
    assert await s.get(("a",), "k", refresh_ttl=True) is None
    assert await s.get(("a",), "k") is None


@rules.both(ttl=KEPT, waits=True, variants=PLAIN)
async def omitted_by_search(s: Face) -> None:
    """With `omit_expired`, search leaves expired items out, before it counts `limit` and `offset`.

    Reading: as for `ttl.omitted-by-get`.
    """
    await s.batch([PutOp(("a",), f"old{n}", {"n": n}, ttl=0.005) for n in range(12)])
    await s.batch([PutOp(("a",), f"new{n}", {"n": n}) for n in range(3)])
    await s.pause(2.2)
    assert sorted(i.key for i in await s.search(("a",), limit=3)) == ["new0", "new1", "new2"]


@rules.both(ttl=KEPT, waits=True, variants=PLAIN)
async def omitted_by_listing(s: Face) -> None:
    """With `omit_expired`, a namespace whose items have all expired is not listed.

    Reading: as for `ttl.omitted-by-get`.
    """
    await s.put(("a",), "k", {"n": 1}, ttl=0.005)
    await s.put(("b",), "k", {"n": 2})
    await s.pause(2.2)
    assert await s.list_namespaces() == [("b",)]


@rules.both(ttl=KEPT, index={"fields": ["text"]}, waits=True)
async def omitted_by_query(s: Face) -> None:
    """With `omit_expired`, a query does not find expired items.

    Reading: as for `ttl.omitted-by-get`.
    """
    await s.put(("a",), "old", {"text": "apple"}, ["text"], ttl=0.005)
    await s.put(("a",), "new", {"text": "banana"}, ["text"])
    await s.pause(2.2)
    assert [i.key for i in await s.search(("a",), query="apple", limit=1)] == ["new"]


@rules.both(ttl=REFRESHED, waits=True, variants=PLAIN)
async def get_refreshes(s: Face) -> None:
    """With `refresh_on_read`, a get starts the time again, for the item that was got only."""
    _ = [await s.put(("a",), key, {"of": key}, ttl=0.05) for key in "xy"]
    await s.pause(2.0)
    await s.get(("a",), "x")
    await s.pause(2.2)
    await s.sweep()
    assert [i.key for i in await s.search(("a",))] == ["x"]


@rules.both(ttl=REFRESHED, waits=True, variants=PLAIN)
async def search_refreshes(s: Face) -> None:
    """With `refresh_on_read`, a search starts the time again, for the items it found only."""
    _ = [await s.put((a,), "k", {"of": a}, ttl=0.05) for a in "xy"]
    await s.pause(2.0)
    await s.search(("x",))
    await s.pause(2.2)
    await s.sweep()
    assert [i.namespace for i in await s.search(())] == [("x",)]


@rules.both(ttl={"omit_expired": True}, waits=True, variants=PLAIN)
async def get_refreshes_by_default(s: Face) -> None:
    """Where the configuration says nothing, reading refreshes.

    Reading: `TTLConfig.refresh_on_read` is documented as "Defaults to True if not configured"; SqliteStore takes it for False.
    """
    await s.put(("a",), "k", {"n": 1}, ttl=0.05)
    await s.pause(2.0)
    await s.get(("a",), "k")
    await s.pause(2.2)
    await s.sweep()
    assert await s.get(("a",), "k") is not None


@rules.both(ttl=REFRESHED, waits=True, variants=PLAIN)
async def refreshing_can_be_declined(s: Face) -> None:
    """With `refresh_ttl=False`, neither get nor search starts the time again."""
    await s.put(("a",), "k", {"n": 1}, ttl=0.05)
    await s.pause(2.0)
    _ = await s.get(("a",), "k", refresh_ttl=False), await s.search(("a",), refresh_ttl=False)
    await s.pause(2.2)
    await s.sweep()
    assert await s.get(("a",), "k", refresh_ttl=False) is None


@rules.both(ttl=KEPT, waits=True, variants=PLAIN)
async def refreshing_can_be_off(s: Face) -> None:
    """With `refresh_on_read` False, reading does not start the time again."""
    await s.put(("a",), "k", {"n": 1}, ttl=0.05)
    await s.pause(2.0)
    _ = await s.get(("a",), "k"), await s.search(("a",))
    await s.pause(2.2)
    await s.sweep()
    assert await s.get(("a",), "k") is None


@rules.both(ttl=KEPT, waits=True, variants=PLAIN)
async def refreshing_can_be_asked_for(s: Face) -> None:
    """With `refresh_ttl=True`, a get starts the time again even where `refresh_on_read` is False.

    Reading: `TTLConfig.refresh_on_read` "can be overridden per-operation by explicitly setting `refresh_ttl`"; SqliteStore lets only the
    configuration decide.
    """
    await s.put(("a",), "k", {"n": 1}, ttl=0.05)
    await s.pause(2.0)
    await s.get(("a",), "k", refresh_ttl=True)
    await s.pause(2.2)
    await s.sweep()
    assert await s.get(("a",), "k") is not None


@rules.both(ttl=REFRESHED, needs=("sweep",), waits=True, variants=PLAIN)
async def each_get_of_a_batch_decides(s: Face) -> None:
    """In one batch, a get that refreshes does not refresh what its neighbour got."""
    await s.batch([PutOp(("a",), key, {"of": key}, ttl=0.05) for key in "xy"])
    await s.pause(2.0)
    await s.batch([GetOp(("a",), "x", refresh_ttl=True), GetOp(("a",), "y", refresh_ttl=False)])
    await s.pause(2.2)
    assert await s.own("sweep_ttl") == 1


@rules.both(ttl=KEPT, needs=("sweep",), waits=True, variants=PLAIN)
async def sweep_deletes_and_counts(s: Face) -> None:
    """`sweep_ttl` deletes what has expired and says how many that was."""
    _ = [await s.put(("a",), str(n), {"n": n}, ttl=0.005) for n in range(3)]
    await s.put(("a",), "k", {"n": 9})
    await s.pause(2.2)
    assert await s.own("sweep_ttl") == 3
    assert await s.own("sweep_ttl") == 0
    assert [i.key for i in await s.search(("a",))] == ["k"]


@rules.both(ttl={"refresh_on_read": False}, needs=("sweep",), waits=True, variants=PLAIN)
async def sweeper_runs_by_itself(s: Face) -> None:
    """`start_ttl_sweeper` sweeps at its interval, in minutes, until `stop_ttl_sweeper`, which says True when it has stopped."""
    await s.put(("a",), "k", {"n": 1}, ttl=0.005)
    await s.own("start_ttl_sweeper", 0.005)
    await s.pause(2.5)
    assert await s.get(("a",), "k") is None
    assert await s.own("stop_ttl_sweeper", 5.0)
