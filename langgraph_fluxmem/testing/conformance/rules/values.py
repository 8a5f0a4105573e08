"""What values may hold, what they come back as, and whose they are."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from langgraph.store.base import PutOp

from langgraph_fluxmem.testing.conformance.faces import Face
from langgraph_fluxmem.testing.conformance.helpers import refused
from langgraph_fluxmem.testing.conformance.model import Source
from langgraph_fluxmem.testing.conformance.registry import Group

rules = Group("values")


@rules.both(
    cases={
        "nested": {"value": {"a": {"b": [{"c": [1, [2, {"d": None}]]}]}}},
        "text": {"value": {"empty": "", "quotes": 'it\'s "so"\\', "lines": "a\nb\tc", "unicode": "naïve 日本 🍎 \u2028"}},
        "numbers": {"value": {"int": -3, "zero": 0, "float": 1.5, "small": 1e-12, "big": 2**53 + 1}},
        "constants": {"value": {"none": None, "yes": True, "no": False}},
        "empties": {"value": {"list": [], "dict": {}}},
        "nothing": {"value": {}},
        "odd-keys": {"value": {"": 1, "a.b": 2, "$x": 3, "it's": 4, "a b": 5}},
        "large": {"value": Source("{'text': 'x' * 200_000}")},
    }
)
async def json_comes_back(s: Face, value: dict[str, Any]) -> None:
    """Every JSON value comes back equal, from get and from search."""
    await s.put(("a",), "k", value)
    assert (await s.get(("a",), "k")).value == value
    assert (await s.search(("a",)))[0].value == value


@rules.both
async def types_are_kept(s: Face) -> None:
    """Booleans, whole numbers and fractions come back as what they were: True is not 1, 1 is not 1.0."""
    await s.put(("a",), "k", {"x": [True, 1, 1.0, "1", None]})
    assert [type(x).__name__ for x in (await s.get(("a",), "k")).value["x"]] == ["bool", "int", "float", "str", "NoneType"]


@rules.both(
    cases={
        "set": {"value": Source("{'x': {1, 2}}")},
        "bytes": {"value": {"x": b"raw"}},
        "object": {"value": Source("{'x': object()}")},
        "datetime": {"value": Source("{'x': datetime(2026, 1, 1)}")},
        "nan": {"value": Source("{'x': float('nan')}")},
        "infinity": {"value": Source("{'x': float('inf')}")},
        "number-as-key": {"value": {"x": {1: "one"}}},
        "deep": {"value": Source("{'a': [{'b': {'c': [1, {1}]}}]}")},
    }
)
async def what_json_cannot_carry_is_refused(s: Face, value: Any) -> None:
    """A value that JSON cannot carry is refused with TypeError or ValueError, not stored as something else.

    Reading: `put` documents "string keys and JSON-serializable values". InMemoryStore keeps any object, which breaks on the first move to a
    store that persists; SqliteStore refuses some, and stores NaN as null and a datetime as text in silence. Refusing is the only reading
    under which what is got equals what was put.
    """
    with refused(TypeError, ValueError):
        await s.put(("a",), "k", value)
    assert await s.get(("a",), "k") is None


@rules.both
async def a_refused_value_leaves_the_old_one(s: Face) -> None:
    """A put that is refused changes nothing of the item it would have replaced.

    Reading: a store that takes the value breaks `values.what-json-cannot-carry-is-refused`, and passes here.
    """
    await s.put(("a",), "k", {"n": 1})
    with suppress(TypeError, ValueError):
        await s.put(("a",), "k", {"n": 2, "bad": {1, 2}})
    value = (await s.get(("a",), "k")).value
    assert value == {"n": 1} or "bad" in value


@rules.both(cases={"list": {"value": [1, 2]}, "text": {"value": "text"}, "number": {"value": 3}})
async def only_mappings(s: Face, value: Any) -> None:
    """A value that is not a mapping is refused with TypeError or ValueError."""
    with refused(TypeError, ValueError):
        await s.batch([PutOp(("a",), "k", value)])
    assert await s.get(("a",), "k") is None


@rules.both
async def changing_what_was_put(s: Face) -> None:
    """Changing a value after it was put does not change what is stored, not even deep inside.

    Reading: a store that persists cannot share objects with its callers, so code that is right on one must be right on each; InMemoryStore
    copies the outer dict only.
    """
    value: dict[str, Any] = {"list": [1], "n": 1}
    await s.put(("a",), "k", value)
    value["list"].append(2)
    value["n"] = 2
    assert (await s.get(("a",), "k")).value == {"list": [1], "n": 1}


@rules.both
async def changing_what_was_got(s: Face) -> None:
    """Changing a value that was got does not change what is stored.

    Reading: as for `values.changing-what-was-put`.
    """
    await s.put(("a",), "k", {"list": [1], "n": 1})
    got = await s.get(("a",), "k")
    got.value["n"] = 2
    got.value["list"].append(2)
    assert (await s.get(("a",), "k")).value == {"list": [1], "n": 1}


@rules.both
async def changing_what_was_found(s: Face) -> None:
    """Changing a value that a search found does not change what is stored.

    Reading: as for `values.changing-what-was-put`.
    """
    await s.put(("a",), "k", {"list": [1], "n": 1})
    found = await s.search(("a",))
    found[0].value["n"] = 2
    found[0].value["list"].append(2)
    assert (await s.get(("a",), "k")).value == {"list": [1], "n": 1}
