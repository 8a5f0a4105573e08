"""Namespaces: what is a valid one, and that they match by whole labels."""

from __future__ import annotations

from typing import Any

from langgraph.store.base import PutOp

from langgraph_fluxmem.testing.conformance.faces import Face
from langgraph_fluxmem.testing.conformance.helpers import refused
from langgraph_fluxmem.testing.conformance.model import Source
from langgraph_fluxmem.testing.conformance.registry import Group

rules = Group("namespaces")

BAD_LABELS = {
    "period": {"bad": ("a.b",)},
    "empty-label": {"bad": ("a", "")},
    "nul": {"bad": ("a\x00",)},
    "number": {"bad": ("a", 1)},
}


@rules.both(cases={**BAD_LABELS, "no-label": {"bad": ()}, "reserved-root": {"bad": ("langgraph", "a")}})
async def checked_on_put(s: Face, bad: Any) -> None:
    """`put` refuses invalid namespaces with ValueError (InvalidNamespaceError): none, empty labels, periods, NUL, not text, root "langgraph"."""
    with refused(ValueError):
        await s.put(bad, "k", {"n": 1})
    assert await s.search(()) == []


@rules.both(cases=BAD_LABELS)
async def checked_on_get(s: Face, bad: Any) -> None:
    """`get` and `delete` refuse invalid namespaces with ValueError (InvalidNamespaceError)."""
    with refused(ValueError):
        await s.get(bad, "k")
    with refused(ValueError):
        await s.delete(bad, "k")


@rules.both(cases=BAD_LABELS)
async def checked_on_search(s: Face, bad: Any) -> None:
    """`search` and `list_namespaces` refuse invalid labels with ValueError (InvalidNamespaceError)."""
    with refused(ValueError):
        await s.search(bad)
    with refused(ValueError):
        await s.list_namespaces(prefix=bad)


@rules.both(
    cases={
        "put-period": {"op": Source("PutOp(('a.b',), 'k', {'n': 1})")},
        "put-empty-label": {"op": Source("PutOp(('a', ''), 'k', {'n': 1})")},
        "put-nul": {"op": Source("PutOp(('a\\x00',), 'k', {'n': 1})")},
        "put-number": {"op": Source("PutOp(('a', 1), 'k', {'n': 1})")},
        "put-no-label": {"op": Source("PutOp((), 'k', {'n': 1})")},
        "get": {"op": Source("GetOp(('a.b',), 'k')")},
        "search": {"op": Source("SearchOp(('a.b',))")},
        "list": {"op": Source("ListNamespacesOp((MatchCondition('prefix', ('a.b',)),))")},
    }
)
async def checked_in_a_batch(s: Face, op: Any) -> None:
    """Operations handed to `batch` directly are checked like the methods' own.

    Reading: `langgraph.store.base.validate_op_namespace` says that stores call it for every op they execute, since `batch` skips the methods'
    checks; SqliteStore does, InMemoryStore does not. The root "langgraph" is refused by `put` only: LangGraph's own tests write there by
    `batch`. An empty namespace is refused here as by `put`: an item in it could be listed under no name.
    """
    await s.put(("a", "b"), "k", {"n": 0})
    with refused(ValueError):
        await s.batch([op])
    assert len(await s.search(())) == 1


@rules.both
async def prefix_is_by_label(s: Face) -> None:
    """A search prefix matches whole labels: ("user",) finds ("user", "x"), not ("users",).

    Reading: matching by characters lets one tenant read another's items whose name starts alike; that is what CVE-2026-71433 was about.
    """
    for namespace in [("user",), ("user", "x"), ("users",), ("user2", "x"), ("use",)]:
        await s.put(namespace, "k", {"n": 1})
    assert sorted(i.namespace for i in await s.search(("user",))) == [("user",), ("user", "x")]


@rules.both
async def prefix_is_from_the_root(s: Face) -> None:
    """A search prefix matches from the first label only."""
    await s.put(("a", "b"), "k", {"n": 1})
    await s.put(("b",), "k", {"n": 2})
    assert [i.value for i in await s.search(("b",))] == [{"n": 2}]
    assert await s.search(("a", "b", "c")) == []


@rules.both
async def prefix_is_case_sensitive(s: Face) -> None:
    """A search prefix distinguishes upper and lower case."""
    await s.put(("user",), "k", {"n": 1})
    await s.put(("USER",), "k", {"n": 2})
    await s.put(("User", "x"), "k", {"n": 3})
    assert [i.value for i in await s.search(("user",))] == [{"n": 1}]


@rules.both(
    cases={
        label: {"label": text}
        for label, text in {
            "percent": "a%",
            "underscore": "a_",
            "asterisk": "a*",
            "only-asterisk": "*",
            "question": "a?",
            "brackets": "[ab]",
            "backslash": "a\\",
            "quote": "a'",
            "regex": "a+",
        }.items()
    }
)
async def search_has_no_wildcards(s: Face, label: str) -> None:
    """Labels mean themselves in a search prefix; only `list_namespaces` has the wildcard "*"."""
    for other in ("ab", "a", "b", "abc", label):
        await s.put((other, "x"), "k", {"label": other})
    assert [i.value["label"] for i in await s.search((label,))] == [label]
    assert (await s.get((label, "x"), "k")).value == {"label": label}


@rules.both
async def empty_prefix_is_everything(s: Face) -> None:
    """The empty prefix searches the whole store."""
    for namespace in [("a",), ("a", "b"), ("c", "d", "e")]:
        await s.put(namespace, "k", {"n": 1})
    assert sorted(i.namespace for i in await s.search(())) == [("a",), ("a", "b"), ("c", "d", "e")]


@rules.both(
    cases={
        name: {"mark": mark} for name, mark in {"slash": "/", "colon": ":", "bar": "|", "comma": ",", "space": " ", "unit": "\x1f"}.items()
    }
)
async def no_separator_is_special(s: Face, mark: str) -> None:
    """Namespaces that look alike once joined are different, and come back as they were: ("a", "b/c") is not ("a/b", "c").

    Reading: only the period and NUL are reserved, so every other character is a store's to keep apart.
    """
    names = [("a", "b" + mark + "c"), ("a" + mark + "b", "c"), ("a" + mark + "b" + mark + "c",)]
    await s.batch([PutOp(name, "k", {"of": name}) for name in names])
    assert [i.namespace for i in await s.search(("a",))] == names[:1]
    assert sorted(await s.list_namespaces()) == sorted(names)


@rules.both
async def depth_counts(s: Face) -> None:
    """The same key in a namespace and in its parent are two items."""
    await s.put(("a",), "k", {"n": 1})
    await s.put(("a", "b"), "k", {"n": 2})
    await s.delete(("a",), "k")
    assert (await s.get(("a", "b"), "k")).value == {"n": 2}
