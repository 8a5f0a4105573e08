"""`list_namespaces`: prefix, suffix, wildcards, depth, pages."""

from __future__ import annotations

from typing import Any

from langgraph.store.base import ListNamespacesOp, MatchCondition, PutOp

from langgraph_fluxmem.testing.conformance.faces import Face
from langgraph_fluxmem.testing.conformance.model import Source
from langgraph_fluxmem.testing.conformance.registry import Group

rules = Group("listing")

_NAMES = [
    ("a", "b", "c"),
    ("a", "b", "d", "e"),
    ("a", "b", "d", "i"),
    ("a", "b", "f"),
    ("a", "c", "f"),
    ("b", "a", "f"),
    ("users", "123"),
    ("users2", "123"),
    ("users", "123", "settings"),
]
_ALL = Source(repr(_NAMES))


@rules.both
async def every_namespace_once(s: Face) -> None:
    """Each namespace that holds an item is listed, once, as a tuple."""
    await s.batch([PutOp(n, k, {"of": [n, k]}) for n in [("a",), ("a", "b"), ("c",)] for k in ("x", "y")])
    assert sorted(await s.list_namespaces()) == [("a",), ("a", "b"), ("c",)]
    assert all(type(n) is tuple for n in await s.list_namespaces())


@rules.both
async def empty_store(s: Face) -> None:
    """A store without items lists nothing."""
    assert await s.list_namespaces() == []


@rules.both
async def reading_makes_no_namespace(s: Face) -> None:
    """Getting, searching and deleting in a namespace do not bring it into being.

    Reading: SqliteStore lists namespaces that hold items; InMemoryStore lists any it was once asked for. A namespace is a property of items:
    a listing that grows by reading cannot be used to find data.
    """
    await s.get(("a",), "k")
    await s.search(("b",))
    await s.delete(("c",), "k")
    assert await s.list_namespaces() == []


@rules.both
async def deleting_the_last_item(s: Face) -> None:
    """A namespace goes from the listing with its last item.

    Reading: as for `listing.reading-makes-no-namespace`.
    """
    await s.put(("a",), "x", {"n": 1})
    await s.put(("b",), "y", {"n": 1})
    await s.delete(("a",), "x")
    assert await s.list_namespaces() == [("b",)]


@rules.both(
    cases={
        name: {"names": _ALL, "where": where, "expected": expected}
        for name, where, expected in [
            ("prefix", {"prefix": ("a", "b")}, _NAMES[:4]),
            ("prefix-exact", {"prefix": ("a", "b", "f")}, [("a", "b", "f")]),
            ("prefix-by-label", {"prefix": ("users",)}, [("users", "123"), ("users", "123", "settings")]),
            ("prefix-too-long", {"prefix": ("users", "123", "settings", "x")}, []),
            ("prefix-wildcard", {"prefix": ("a", "*", "f")}, [("a", "b", "f"), ("a", "c", "f")]),
            ("prefix-wildcard-first", {"prefix": ("*", "123")}, [("users", "123"), ("users", "123", "settings"), ("users2", "123")]),
            ("prefix-wildcard-last", {"prefix": ("a", "b", "d", "*")}, [("a", "b", "d", "e"), ("a", "b", "d", "i")]),
            ("suffix", {"suffix": ("f",)}, [("a", "b", "f"), ("a", "c", "f"), ("b", "a", "f")]),
            ("suffix-of-two", {"suffix": ("b", "f")}, [("a", "b", "f")]),
            ("suffix-by-label", {"suffix": ("23",)}, []),
            ("suffix-wildcard", {"suffix": ("a", "*", "f")}, [("a", "b", "f"), ("a", "c", "f")]),
            ("suffix-wildcard-last", {"suffix": ("d", "*")}, [("a", "b", "d", "e"), ("a", "b", "d", "i")]),
            ("suffix-whole", {"suffix": ("users", "123")}, [("users", "123")]),
            ("prefix-and-suffix", {"prefix": ("a",), "suffix": ("f",)}, [("a", "b", "f"), ("a", "c", "f")]),
            ("prefix-and-suffix-overlap", {"prefix": ("a", "b"), "suffix": ("b", "f")}, [("a", "b", "f")]),
            ("no-match", {"prefix": ("nowhere",)}, []),
        ]
    }
)
async def conditions(s: Face, names: Any, where: dict[str, Any], expected: list[tuple[str, ...]]) -> None:
    """Prefix and suffix match whole labels, both at once if both are given; "*" stands for exactly one label."""
    await s.batch([PutOp(n, "k", {"of": n}) for n in names])
    assert sorted(await s.list_namespaces(**where)) == expected


@rules.both
async def several_conditions(s: Face) -> None:
    """All match conditions of an operation must hold."""
    await s.batch([PutOp(n, "k", {"of": n}) for n in [("a", "b", "c"), ("a", "x", "c"), ("z", "b", "c")]])
    both = (MatchCondition("prefix", ("a",)), MatchCondition("prefix", ("*", "b")))
    assert await s.batch([ListNamespacesOp(match_conditions=both)]) == [[("a", "b", "c")]]


@rules.both(
    cases={
        name: {"names": _ALL, "where": where, "expected": expected}
        for name, where, expected in [
            ("one", {"max_depth": 1}, [("a",), ("b",), ("users",), ("users2",)]),
            ("two", {"max_depth": 2}, [("a", "b"), ("a", "c"), ("b", "a"), ("users", "123"), ("users2", "123")]),
            ("three-under-prefix", {"max_depth": 3, "prefix": ("a", "b")}, [("a", "b", "c"), ("a", "b", "d"), ("a", "b", "f")]),
            ("beyond", {"max_depth": 9, "prefix": ("users",)}, [("users", "123"), ("users", "123", "settings")]),
            ("suffix-before-cutting", {"max_depth": 1, "suffix": ("f",)}, [("a",), ("b",)]),
        ]
    }
)
async def depth(s: Face, names: Any, where: dict[str, Any], expected: list[tuple[str, ...]]) -> None:
    """`max_depth` cuts deeper namespaces, after the conditions, and lists what is then equal once."""
    await s.batch([PutOp(n, "k", {"of": n}) for n in names])
    assert sorted(await s.list_namespaces(**where)) == expected


@rules.both
async def pages(s: Face) -> None:
    """Pages by `limit` and `offset` show every namespace once, and then nothing.

    Reading: no order is documented, so the pages together count, not their order.
    """
    await s.batch([PutOp((str(n), "x"), "k", {"n": n}) for n in range(5)])
    shown = [await s.list_namespaces(limit=2, offset=n) for n in (0, 2, 4, 6)]
    assert [len(page) for page in shown] == [2, 2, 1, 0]
    assert sorted(n for page in shown for n in page) == [(str(n), "x") for n in range(5)]


@rules.both
async def pages_of_cut_namespaces(s: Face) -> None:
    """`limit` and `offset` count what is listed, so after `max_depth` has cut and equal ones are one."""
    await s.batch([PutOp((a, b), "k", {"of": a + b}) for a in "xyz" for b in "abc"])
    shown = [await s.list_namespaces(max_depth=1, limit=2, offset=n) for n in (0, 2)]
    assert sorted(n for page in shown for n in page) == [("x",), ("y",), ("z",)]


@rules.both
async def pages_of_matching_namespaces(s: Face) -> None:
    """`limit` and `offset` count what matches."""
    await s.batch([PutOp((a, str(n)), "k", {"of": [a, n]}) for n in range(4) for a in "xy"])
    shown = [await s.list_namespaces(prefix=("y",), limit=3, offset=n) for n in (0, 3)]
    assert sorted(n for page in shown for n in page) == [("y", str(n)) for n in range(4)]
