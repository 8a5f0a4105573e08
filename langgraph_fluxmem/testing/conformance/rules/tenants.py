"""Tenants: whatever one asks for under its own namespace, it gets nothing of another's."""

from __future__ import annotations

from typing import Any

from langgraph.store.base import PutOp

from langgraph_fluxmem.testing.conformance.faces import Face
from langgraph_fluxmem.testing.conformance.model import Source
from langgraph_fluxmem.testing.conformance.registry import Group

rules = Group("tenants")
_NAMES = ("alice", "alice2", "alic", "ALICE", "a%", "a_ice", "*", "alice bob", "bob")
_TENANTS = Source(repr(_NAMES))
_WAYS: dict[str, dict[str, Any]] = {
    "listing": {},
    "filter": {"filter": {"n": 1}},
    "filter-for-another": {"filter": {"of": "bob"}},
    "operator": {"filter": {"of": {"$ne": "nobody"}}},
    "query": {"query": "apple bob"},
    "query-and-filter": {"query": "apple bob", "filter": {"n": {"$gte": 0}}},
    "far-page": {"offset": 1},
}


@rules.both(needs=("filters",), cases={name: {"tenants": _TENANTS, "where": where} for name, where in _WAYS.items()})
async def search_stays_within(s: Face, tenants: Any, where: dict[str, Any]) -> None:
    """No filter, query or page leads a search out of its tenant."""
    for t in tenants:
        await s.batch([PutOp(("t", t, "m"), str(n), {"of": t, "n": n, "text": f"apple {t}"}) for n in range(3)])
    for t in tenants:
        assert {i.value["of"] for i in await s.search(("t", t), limit=50, **where)} <= {t}, t


@rules.both
async def each_finds_its_own(s: Face) -> None:
    """Every tenant finds all that is its own, whatever others are called."""
    tenants = ("alice", "alice2", "ALICE", "a%", "a_ice", "*", "alice bob", "[a]")
    await s.batch([PutOp(("t", t), str(n), {"of": t, "n": n}) for t in tenants for n in range(3)])
    for t in tenants:
        assert [i.value["of"] for i in await s.search(("t", t), limit=50)] == [t] * 3, t


@rules.both
async def deletes_stay_within(s: Face) -> None:
    """Deleting or overwriting a tenant's item leaves the same key of every other as it is."""
    tenants = ("alice", "alice2", "ALICE", "a%", "a_ice", "*")
    await s.batch([PutOp(("t", t), "k", {"n": 1, "of": t}) for t in tenants])
    for t in ("a%", "a_ice", "*"):
        await s.delete(("t", t), "k")
    await s.put(("t", "alice2"), "k", {"n": 2})
    assert sorted((i.namespace[1], i.value["n"]) for i in await s.search(("t",))) == [("ALICE", 1), ("alice", 1), ("alice2", 2)]


@rules.both
async def listing_stays_within(s: Face) -> None:
    """A listing under a tenant's prefix, with any suffix and depth, shows its own namespaces only."""
    await s.batch([PutOp(("t", t, "m", "x"), "k", {"of": t}) for t in ("alice", "alice2", "ALICE", "bob")])
    for where in ({}, {"suffix": ("x",)}, {"suffix": ("*", "*")}, {"max_depth": 2}, {"max_depth": 3}):
        assert {n[1] for n in await s.list_namespaces(prefix=("t", "alice"), **where)} == {"alice"}


@rules.both(variants=("indexed",))
async def a_query_fills_its_page(s: Face) -> None:
    """A tenant's query finds its own items even where another has many nearer ones."""
    await s.batch([PutOp(("t", "bob"), str(n), {"text": f"apple {n}"}) for n in range(30)])
    await s.batch([PutOp(("t", "alice"), str(n), {"text": f"banana {n}"}) for n in range(2)])
    assert [i.namespace for i in await s.search(("t", "alice"), query="apple", limit=2)] == [("t", "alice")] * 2
