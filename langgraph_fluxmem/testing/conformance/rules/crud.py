"""Put, get, delete, overwrite, and the two timestamps."""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType

from langgraph.store.base import Item

from langgraph_fluxmem.testing.conformance.faces import Face
from langgraph_fluxmem.testing.conformance.registry import Group

rules = Group("crud")


@rules.both
async def put_then_get(s: Face) -> None:
    """What was put is got back: value, key and namespace."""
    await s.put(("a", "b"), "k", {"n": 1, "text": "apple"})
    item = await s.get(("a", "b"), "k")
    assert isinstance(item, Item)
    assert (item.namespace, item.key, item.value) == (("a", "b"), "k", {"n": 1, "text": "apple"})


@rules.both
async def get_of_nothing(s: Face) -> None:
    """Getting a key that was never put answers None."""
    await s.put(("a",), "k", {"n": 1})
    assert await s.get(("a",), "other") is None
    assert await s.get(("b",), "k") is None
    assert await s.get(("a", "b"), "k") is None


@rules.both
async def overwrite_replaces(s: Face) -> None:
    """A second put of a key replaces the whole value; nothing of the first is merged in."""
    await s.put(("a",), "k", {"old": 1, "both": 1})
    await s.put(("a",), "k", {"new": 2, "both": 2})
    assert (await s.get(("a",), "k")).value == {"new": 2, "both": 2}
    assert len(await s.search(("a",))) == 1


@rules.both
async def delete_removes(s: Face) -> None:
    """A deleted item is neither got nor found, and its neighbours stay."""
    await s.put(("a",), "k", {"n": 1})
    await s.put(("a",), "other", {"n": 2})
    await s.delete(("a",), "k")
    assert await s.get(("a",), "k") is None
    assert [i.key for i in await s.search(("a",))] == ["other"]


@rules.both
async def delete_of_nothing(s: Face) -> None:
    """Deleting what is not there is no error."""
    await s.delete(("a",), "k")
    assert await s.get(("a",), "k") is None


@rules.both
async def put_after_delete(s: Face) -> None:
    """A key can be put again after it was deleted."""
    await s.put(("a",), "k", {"n": 1})
    await s.delete(("a",), "k")
    await s.put(("a",), "k", {"n": 2})
    assert (await s.get(("a",), "k")).value == {"n": 2}


@rules.both(
    cases={
        "dots": {"key": "a.b"},
        "slashes": {"key": "a/b:c|d"},
        "quotes": {"key": 'it\'s "so"'},
        "wildcards": {"key": "%_*?[a]"},
        "unicode": {"key": "naïve-日本-🍎"},
        "spaces": {"key": " a b "},
        "long": {"key": "k" * 600},
    }
)
async def any_text_is_a_key(s: Face, key: str) -> None:
    """Keys are any text; only namespace labels have reserved characters."""
    await s.put(("a",), key, {"n": 1})
    await s.put(("a",), "k", {"n": 2})
    assert (await s.get(("a",), key)).value == {"n": 1}
    await s.delete(("a",), key)
    assert [i.key for i in await s.search(("a",))] == ["k"]


@rules.both
async def keys_are_case_sensitive(s: Face) -> None:
    """Keys and namespaces that differ in case only are different."""
    await s.put(("a",), "k", {"n": 1})
    await s.put(("a",), "K", {"n": 2})
    await s.put(("A",), "k", {"n": 3})
    assert (await s.get(("a",), "k")).value == {"n": 1}
    assert (await s.get(("A",), "k")).value == {"n": 3}


@rules.both
async def put_answers_nothing(s: Face) -> None:
    """`put` and `delete` return None."""
    assert await s.put(("a",), "k", {"n": 1}) is None
    assert await s.delete(("a",), "k") is None


@rules.both
async def any_mapping_is_a_value(s: Face) -> None:
    """A value may be any Mapping; what comes back is a dict.

    Reading: `PutOp.value` is a `Mapping[str, Any]` and `Item.value` a `dict[str, Any]`.
    """
    await s.put(("a",), "k", MappingProxyType({"n": 1}))
    value = (await s.get(("a",), "k")).value
    assert type(value) is dict
    assert value == {"n": 1}


@rules.both(variants=("plain",))
async def timestamps_know_their_zone(s: Face) -> None:
    """`created_at` and `updated_at` are datetimes with a time zone, and say the time of the put.

    Reading: InMemoryStore and PostgresStore give aware datetimes, SqliteStore naive ones. Aware it is: a naive one is off by the machine's
    zone as soon as it is compared, and cannot be compared with the other stores' at all (TypeError).
    """
    await s.put(("a",), "k", {"n": 1})
    item = await s.get(("a",), "k")
    assert item.created_at.tzinfo is not None
    assert item.updated_at.tzinfo is not None
    assert abs((datetime.now(UTC) - item.created_at).total_seconds()) < 3600


@rules.both(waits=True)
async def overwrite_keeps_created_at(s: Face) -> None:
    """`created_at` is when the item was first put: an overwrite keeps it.

    Reading: `Item.created_at` is documented as "Timestamp of item creation", `updated_at` as "of last update"; a store that moves both says
    the same twice. PostgresStore keeps it, InMemoryStore and SqliteStore reset it.
    """
    await s.put(("a",), "k", {"n": 1})
    first = (await s.get(("a",), "k")).created_at
    await s.pause(1.1)
    await s.put(("a",), "k", {"n": 2})
    assert (await s.get(("a",), "k")).created_at == first


@rules.both(waits=True)
async def overwrite_moves_updated_at(s: Face) -> None:
    """`updated_at` moves with each put; a store may count in whole seconds."""
    await s.put(("a",), "k", {"n": 1})
    first = (await s.get(("a",), "k")).updated_at
    await s.pause(1.1)
    await s.put(("a",), "k", {"n": 2})
    assert (await s.get(("a",), "k")).updated_at > first


@rules.both(waits=True)
async def put_after_delete_is_new(s: Face) -> None:
    """An item that is put after a delete is a new one, with a `created_at` of its own."""
    await s.put(("a",), "k", {"n": 1})
    first = (await s.get(("a",), "k")).created_at
    await s.delete(("a",), "k")
    await s.pause(1.1)
    await s.put(("a",), "k", {"n": 2})
    assert (await s.get(("a",), "k")).created_at > first


@rules.both(waits=True)
async def reading_moves_no_timestamp(s: Face) -> None:
    """Getting and searching change neither timestamp, and agree on both."""
    await s.put(("a",), "k", {"n": 1})
    first = await s.get(("a",), "k")
    await s.pause(1.1)
    (found,) = await s.search(("a",))
    again = await s.get(("a",), "k")
    assert len({(i.created_at, i.updated_at) for i in (first, found, again)}) == 1
