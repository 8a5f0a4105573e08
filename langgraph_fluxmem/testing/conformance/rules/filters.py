"""Filters: exact values, the six operators, nested values, and what is refused."""

from __future__ import annotations

from typing import Any

from langgraph.store.base import PutOp

from langgraph_fluxmem.testing.conformance.faces import Face
from langgraph_fluxmem.testing.conformance.helpers import refused
from langgraph_fluxmem.testing.conformance.model import Source
from langgraph_fluxmem.testing.conformance.registry import Group

rules = Group("filters", needs=("filters",))

_ITEMS = Source(
    repr({"a": {"n": 1, "t": "x"}, "b": {"n": 2, "t": "y"}, "c": {"n": 3.5, "t": "x"}, "d": {"n": -4, "t": None}, "e": {"t": True}})
)


def _table(*rows: tuple[str, dict[str, Any], str], items: Source = _ITEMS) -> dict[str, dict[str, Any]]:
    return {name: {"items": items, "where": where, "expected": list(keys)} for name, where, keys in rows}


@rules.both(
    cases=_table(
        ("text", {"t": "x"}, "ac"),
        ("number", {"n": 2}, "b"),
        ("fraction", {"n": 3.5}, "c"),
        ("whole-as-fraction", {"n": 2.0}, "b"),
        ("true", {"t": True}, "e"),
        ("nobody", {"t": "z"}, ""),
        ("unknown-key", {"z": 1}, ""),
        ("text-is-no-number", {"n": "1"}, ""),
        ("two-keys", {"t": "x", "n": 1}, "a"),
        ("two-keys-nobody", {"t": "y", "n": 1}, ""),
        ("no-filter", {}, "abcde"),
        ("false-is-not-absent", {"n": False}, ""),
    )
)
async def exact(s: Face, items: dict[str, Any], where: dict[str, Any], expected: list[str]) -> None:
    """A filter value matches equal values; all keys of a filter must match."""
    await s.batch([PutOp(("a",), key, value) for key, value in items.items()])
    assert sorted(i.key for i in await s.search(("a",), filter=where)) == expected


@rules.both(
    cases=_table(
        ("eq", {"n": {"$eq": 2}}, "b"),
        ("eq-text", {"t": {"$eq": "x"}}, "ac"),
        ("gt", {"n": {"$gt": 2}}, "c"),
        ("gte", {"n": {"$gte": 2}}, "bc"),
        ("lt", {"n": {"$lt": 2}}, "ad"),
        ("lte", {"n": {"$lte": 2}}, "abd"),
        ("negative", {"n": {"$lt": -3.5}}, "d"),
        ("between", {"n": {"$gt": 1, "$lte": 3.5}}, "bc"),
        ("nobody", {"n": {"$gt": 3, "$lt": 2}}, ""),
        ("with-exact", {"n": {"$gte": 1}, "t": "x"}, "ac"),
        items=Source(repr({"a": {"n": 1, "t": "x"}, "b": {"n": 2, "t": "y"}, "c": {"n": 3.5, "t": "x"}, "d": {"n": -4, "t": "y"}})),
    )
)
async def operators(s: Face, items: dict[str, Any], where: dict[str, Any], expected: list[str]) -> None:
    """`$eq $gt $gte $lt $lte` on numbers that every item has; several operators on one key must all hold."""
    await s.batch([PutOp(("a",), key, value) for key, value in items.items()])
    assert sorted(i.key for i in await s.search(("a",), filter=where)) == expected


@rules.both(
    cases=_table(
        ("gt", {"n": {"$gt": 0}}, "a"),
        ("lte", {"n": {"$lte": 9}}, "a"),
        ("eq", {"n": {"$eq": 1}}, "a"),
        items=Source(repr({"a": {"n": 1}, "b": {}, "c": {"n": None}})),
    )
)
async def items_without_the_key(s: Face, items: dict[str, Any], where: dict[str, Any], expected: list[str]) -> None:
    """A comparison does not match an item that lacks the key or holds null, and does not raise.

    Reading: items of one namespace differ; InMemoryStore raises TypeError at the first one without the key, so one item makes the others
    unfindable. SqliteStore and PostgresStore skip it.
    """
    await s.batch([PutOp(("a",), key, value) for key, value in items.items()])
    assert sorted(i.key for i in await s.search(("a",), filter=where)) == expected


@rules.both(
    cases=_table(
        ("gt", {"n": {"$gt": -1}}, "a"),
        ("lt", {"n": {"$lt": 5}}, "a"),
        items=Source(repr({"a": {"n": 1}, "b": {"n": "word"}, "c": {"n": [1]}, "d": {"n": {"x": 1}}})),
    )
)
async def items_of_another_type(s: Face, items: dict[str, Any], where: dict[str, Any], expected: list[str]) -> None:
    """A comparison with a number does not match text, lists or objects, and does not raise.

    Reading: as for `filters.items-without-the-key`; InMemoryStore raises, SqliteStore takes a word for the number 0.
    """
    await s.batch([PutOp(("a",), key, value) for key, value in items.items()])
    assert sorted(i.key for i in await s.search(("a",), filter=where)) == expected


@rules.both(
    cases=_table(
        ("gt", {"day": {"$gt": "2026-01-05"}}, "bc"),
        ("lte", {"day": {"$lte": "2026-01-05"}}, "a"),
        ("between", {"day": {"$gte": "2026-01-06", "$lt": "2026-02-01"}}, "b"),
        items=Source(repr({"a": {"day": "2026-01-05"}, "b": {"day": "2026-01-20"}, "c": {"day": "2026-02-01"}, "d": {}})),
    )
)
async def text_is_ordered(s: Face, items: dict[str, Any], where: dict[str, Any], expected: list[str]) -> None:
    """Text compares with text, in code point order, so that ISO dates can be filtered by range.

    Reading: SqliteStore and PostgresStore compare text (the latter numbers, too); InMemoryStore raises ValueError, as it makes floats of
    both sides. JSON has no dates: text is what they are kept as.
    """
    await s.batch([PutOp(("a",), key, value) for key, value in items.items()])
    assert sorted(i.key for i in await s.search(("a",), filter=where)) == expected


@rules.both(
    cases=_table(
        ("none", {"n": None}, "bc"),
        ("eq-none", {"n": {"$eq": None}}, "bc"),
        ("ne-none", {"n": {"$ne": None}}, "a"),
        ("never-present", {"z": None}, "abc"),
        items=Source(repr({"a": {"n": 1}, "b": {}, "c": {"n": None}})),
    )
)
async def none_matches_absent(s: Face, items: dict[str, Any], where: dict[str, Any], expected: list[str]) -> None:
    """`None` matches a null and an absent key; `{"$ne": None}` matches what is there.

    Reading: InMemoryStore and SqliteStore agree on it; PostgresStore matches null only.
    """
    await s.batch([PutOp(("a",), key, value) for key, value in items.items()])
    assert sorted(i.key for i in await s.search(("a",), filter=where)) == expected


@rules.both(
    cases=_table(
        ("number", {"n": {"$ne": 1}}, "bcd"),
        ("text", {"t": {"$ne": "x"}}, "bd"),
        items=Source(repr({"a": {"n": 1, "t": "x"}, "b": {"n": 2, "t": "y"}, "c": {"n": None, "t": "x"}, "d": {}})),
    )
)
async def not_equal(s: Face, items: dict[str, Any], where: dict[str, Any], expected: list[str]) -> None:
    """`$ne` matches every item that `$eq` does not, those without the key included.

    Reading: InMemoryStore reads it so; SqliteStore and PostgresStore drop items without the key, as SQL's NULL does. Since `None` matches an
    absent key, absent is None, and None is not equal to 1; else an item would be matched by neither `$eq` nor `$ne`.
    """
    await s.batch([PutOp(("a",), key, value) for key, value in items.items()])
    assert sorted(i.key for i in await s.search(("a",), filter=where)) == expected


_NESTED = Source(
    repr({"a": {"m": {"lang": "en", "n": 1, "in": {"x": 1}}}, "b": {"m": {"lang": "fr", "n": 2}}, "c": {"m": "text"}, "d": {}})
)


@rules.both(
    cases=_table(
        ("exact", {"m": {"lang": "en"}}, "a"),
        ("two", {"m": {"lang": "en", "n": 1}}, "a"),
        ("nobody", {"m": {"lang": "en", "n": 2}}, ""),
        ("operator", {"m": {"n": {"$gte": 2}}}, "b"),
        ("deeper", {"m": {"in": {"x": 1}}}, "a"),
        items=_NESTED,
    )
)
async def nested_values(s: Face, items: dict[str, Any], where: dict[str, Any], expected: list[str]) -> None:
    """A filter value that is an object reaches into the item's object: what it names must match, the rest may be anything.

    Reading: InMemoryStore offers this; SqliteStore and PostgresStore take the inner key for an operator and raise, and SqliteStore offers
    `filters.dotted-paths` instead. A caller who knows either expects it, and they do not conflict: the kit asks for both.
    """
    await s.batch([PutOp(("a",), key, value) for key, value in items.items()])
    assert sorted(i.key for i in await s.search(("a",), filter=where)) == expected


@rules.both(
    cases=_table(
        ("exact", {"m.lang": "en"}, "a"),
        ("operator", {"m.n": {"$gte": 2}}, "b"),
        ("deeper", {"m.in.x": 1}, "a"),
        ("two", {"m.lang": "en", "m.n": 1}, "a"),
        ("absent", {"m.lang": None}, "cd"),
        items=_NESTED,
    )
)
async def dotted_paths(s: Face, items: dict[str, Any], where: dict[str, Any], expected: list[str]) -> None:
    """A filter key with periods is a path into nested objects.

    Reading: as for `filters.nested-values`; SqliteStore offers paths, InMemoryStore finds nothing by them.
    """
    await s.batch([PutOp(("a",), key, value) for key, value in items.items()])
    assert sorted(i.key for i in await s.search(("a",), filter=where)) == expected


@rules.both(
    cases=_table(
        ("list", {"tags": ["x", "y"]}, "a"),
        ("list-eq", {"tags": {"$eq": ["x", "y"]}}, "a"),
        ("list-ne", {"tags": {"$ne": ["x", "y"]}}, "bcd"),
        ("empty-list", {"tags": []}, "c"),
        ("order-counts", {"tags": ["y", "x"]}, "b"),
        ("object-eq", {"m": {"$eq": {"x": 1, "y": 2}}}, "a"),
        ("object-eq-is-whole", {"m": {"$eq": {"x": 1}}}, "b"),
        items=Source(
            repr({"a": {"tags": ["x", "y"], "m": {"x": 1, "y": 2}}, "b": {"tags": ["y", "x"], "m": {"x": 1}}, "c": {"tags": []}, "d": {}})
        ),
    )
)
async def lists_and_objects(s: Face, items: dict[str, Any], where: dict[str, Any], expected: list[str]) -> None:
    """Lists, and objects under `$eq`, match when they are equal as a whole."""
    await s.batch([PutOp(("a",), key, value) for key, value in items.items()])
    assert sorted(i.key for i in await s.search(("a",), filter=where)) == expected


@rules.both
async def large_numbers(s: Face) -> None:
    """Whole numbers beyond 2**53 (64-bit ids) are compared exactly."""
    await s.batch([PutOp(("a",), str(n), {"id": n}) for n in (2**53, 2**53 + 1)])
    assert [i.key for i in await s.search(("a",), filter={"id": 9007199254740993})] == ["9007199254740993"]
    assert [i.key for i in await s.search(("a",), filter={"id": {"$gt": 9007199254740992}})] == ["9007199254740993"]


@rules.both(cases={k: {"key": k} for k in ("n", "user_id", "user-id", "x1", "1x", "N")})
async def keys_with_other_signs(s: Face, key: str) -> None:
    """Filter keys may hold letters, digits, `_` and `-`, and are case-sensitive."""
    await s.put(("a",), "yes", {key: 1, "other": 2})
    await s.put(("a",), "no", {"other": 1, key.swapcase() + "_": 1})
    assert [i.key for i in await s.search(("a",), filter={key: 1})] == ["yes"]


@rules.both(cases={"quote": {"key": "a'b"}, "space": {"key": "a b"}, "statement": {"key": "a') = 1 OR ('1"}, "bracket": {"key": "a[0]"}})
async def invalid_keys_are_refused(s: Face, key: str) -> None:
    """A filter key with other signs than letters, digits, `_`, `.` and `-` raises ValueError.

    Reading: LangGraph's own tests hold SqliteStore to it, since keys end up in SQL; InMemoryStore looks up any key. One refusal everywhere
    means that a filter that was tried on one store works on the next.
    """
    await s.put(("a",), "k", {"n": 1})
    with refused(ValueError):
        await s.search(("a",), filter={key: 1})


@rules.both(
    cases={
        "alone": {"where": {"n": {"$regex": 1}}},
        "beside-a-known-one": {"where": {"n": {"$gt": 0, "$in": [1]}}},
        "misspelt": {"where": {"n": {"$geq": 1}}},
    }
)
async def unknown_operators_are_refused(s: Face, where: dict[str, Any]) -> None:
    """An unknown operator raises ValueError."""
    await s.put(("a",), "k", {"n": 1})
    with refused(ValueError):
        await s.search(("a",), filter=where)


@rules.both
async def unknown_operators_are_refused_always(s: Face) -> None:
    """An unknown operator raises ValueError even where there is nothing to compare.

    Reading: SqliteStore raises as it builds the query, InMemoryStore only when it meets an item; a misspelt operator should not wait for
    the first item in production.
    """
    with refused(ValueError):
        await s.search(("a",), filter={"n": {"$regex": 1}})


@rules.both(cases={"quote": {"text": "' OR '1'='1"}, "comment": {"text": "x'--"}, "percent": {"text": "%"}, "quotes": {"text": '"x"'}})
async def values_are_not_code(s: Face, text: str) -> None:
    """A filter value is compared as it is, whatever it looks like."""
    await s.put(("a",), "yes", {"t": text})
    await s.put(("a",), "no", {"t": "x"})
    assert [i.key for i in await s.search(("a",), filter={"t": text})] == ["yes"]


@rules.both
async def come_before_limit(s: Face) -> None:
    """The filter is applied before `limit`: matching items are found wherever they stand."""
    await s.batch([PutOp(("a",), f"{n:02}", {"n": n, "even": n % 2 == 0, "rare": n in (3, 17)}) for n in range(20)])
    assert sorted(i.key for i in await s.search(("a",), filter={"rare": True}, limit=2)) == ["03", "17"]
    assert len(await s.search(("a",), filter={"even": True}, limit=6)) == 6


@rules.both
async def come_before_offset(s: Face) -> None:
    """The filter is applied before `offset`: pages of matching items show each of them once."""
    await s.batch([PutOp(("a",), f"{n:02}", {"n": n, "even": n % 2 == 0}) for n in range(10)])
    shown = [await s.search(("a",), filter={"even": True}, limit=2, offset=n) for n in (0, 2, 4)]
    assert sorted(i.key for page in shown for i in page) == ["00", "02", "04", "06", "08"]


@rules.both
async def stay_under_the_prefix(s: Face) -> None:
    """A filter narrows the namespace prefix, it does not widen it."""
    await s.batch([PutOp((a,), "k", {"n": 1, "of": a}) for a in ("a", "ab", "b")])
    assert [i.value["of"] for i in await s.search(("a",), filter={"n": 1})] == ["a"]
