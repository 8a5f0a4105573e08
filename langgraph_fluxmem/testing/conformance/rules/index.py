"""Search by meaning: which texts are embedded, what the score is, and that no vector outlives its text."""

from __future__ import annotations

from typing import Any

from langgraph.store.base import PutOp

from langgraph_fluxmem.testing.conformance.embedding import cosine
from langgraph_fluxmem.testing.conformance.faces import Face
from langgraph_fluxmem.testing.conformance.model import Source
from langgraph_fluxmem.testing.conformance.registry import Group

rules = Group("index", needs=("index",))
TEXT: dict[str, Any] = {"fields": ["text"]}
"""Most rules name the path in the put as well, so that a store that ignores `fields` breaks the rule about that, and not every other."""


@rules.both(index=TEXT)
async def nearest_first(s: Face) -> None:
    """Items come in the order of their scores, the nearest first, and each once."""
    texts = {"x": "apple", "y": "apple banana", "z": "banana"}
    await s.batch([PutOp(("a",), key, {"text": text}, ["text"]) for key, text in texts.items()])
    assert [i.key for i in await s.search(("a",), query="apple")] == ["x", "y", "z"]
    assert [i.key for i in await s.search(("a",), query="banana")] == ["z", "y", "x"]


@rules.both(
    index=TEXT,
    cases={
        "equal": {"text": "apple"},
        "half": {"text": "apple banana"},
        "orthogonal": {"text": "cherry"},
        "opposite": {"text": "unapple"},
        "long": {"text": "apple apple apple banana cherry date"},
    },
)
async def score_is_the_cosine(s: Face, text: str) -> None:
    """The score is the cosine of query and text, in [-1, 1]: not a distance, not scaled, not cut at 0.

    Reading: InMemoryStore and SqliteStore give the cosine by default; a threshold that was set on one is right on the other.
    """
    await s.put(("a",), "k", {"text": text}, ["text"])
    (found,) = await s.search(("a",), query="apple")
    assert abs(found.score - cosine("apple", text)) < 1e-4


@rules.both(index=TEXT)
async def configured_fields_count(s: Face) -> None:
    """Only the configured fields are embedded.

    Reading: `IndexConfig.fields` says so; SqliteStore reads a key "text_fields" that is documented nowhere, and embeds the whole item.
    """
    await s.put(("a",), "k", {"text": "apple", "other": "banana"})
    (found,) = await s.search(("a",), query="banana")
    assert abs(found.score) < 1e-4


@rules.both(index={})
async def whole_item_by_default(s: Face) -> None:
    """Without `fields` the whole item is embedded, as one text that holds its keys and values.

    Reading: "$" is JSON text; how it is spaced is open, so the rule asks for the order only.
    """
    await s.put(("a",), "x", {"title": "apple", "m": {"n": "banana"}})
    await s.put(("a",), "y", {"title": "cherry"})
    assert [i.key for i in await s.search(("a",), query="banana")] == ["x", "y"]
    assert [i.key for i in await s.search(("a",), query="cherry")] == ["y", "x"]


@rules.both(
    index={"fields": ["$"]},
    cases={
        "nested": {"value": {"m": {"deep": ["banana"]}}},
        "list": {"value": {"l": ["cherry", "banana"]}},
        "key": {"value": {"banana": 1}},
    },
)
async def dollar_is_the_whole_item(s: Face, value: dict[str, Any]) -> None:
    """The path "$" embeds the whole item."""
    await s.put(("a",), "k", value)
    await s.put(("a",), "other", {"text": "cherry"})
    assert (await s.search(("a",), query="banana"))[0].key == "k"


_PATHS: dict[str, tuple[list[str], dict[str, Any], str]] = {
    "nested": (["m.title"], {"m": {"title": "apple", "other": "banana"}, "title": "cherry"}, "apple"),
    "each-element": (["l[*].content"], {"l": [{"content": "banana"}, {"content": "apple"}, {"x": 1}]}, "apple"),
    "elements": (["l[*]"], {"l": ["banana", "apple"]}, "apple"),
    "first": (["l[0].content"], {"l": [{"content": "apple date"}, {"content": "apple"}]}, "apple date"),
    "last": (["l[-1].content"], {"l": [{"content": "apple"}, {"content": "apple date"}]}, "apple date"),
    "two-fields": (["text", "note"], {"text": "banana", "note": "apple"}, "apple"),
    "element-of-element": (["l[*].p[*].t"], {"l": [{"p": [{"t": "banana"}]}, {"p": [{"t": "date"}, {"t": "apple"}]}]}, "apple"),
    "object": (["m"], {"m": {"title": "apple"}}, "title apple"),
}


@rules.both(
    index={"fields": ["unused"]},
    cases={name: {"paths": paths, "value": value, "best": best} for name, (paths, value, best) in _PATHS.items()},
)
async def paths(s: Face, paths: list[str], value: dict[str, Any], best: str) -> None:
    """Paths reach into the item; each text they reach has a vector of its own, and the score is the best one's."""
    await s.put(("a",), "k", value, paths)
    (found,) = await s.search(("a",), query="apple")
    assert abs(found.score - cosine("apple", best)) < 1e-4


@rules.both(
    index={"fields": ["unused"]},
    cases={
        "absent": {"paths": ["text"], "value": {"other": "apple"}},
        "null": {"paths": ["text"], "value": {"text": None}},
        "not-a-list": {"paths": ["text[*]"], "value": {"text": "apple"}},
        "beyond-the-end": {"paths": ["l[3]"], "value": {"l": ["apple"]}},
        "none-at-all": {"paths": [], "value": {"text": "apple"}},
    },
)
async def paths_to_nothing(s: Face, paths: list[str], value: dict[str, Any]) -> None:
    """A path that reaches no text is no error, and an item without texts has no score."""
    await s.put(("a",), "k", value, paths)
    assert [i.score for i in await s.search(("a",), query="apple")] in ([], [None])
    assert (await s.get(("a",), "k")).value == value


@rules.both(index={"fields": ["m.title", "l[*].content"]})
async def configured_paths(s: Face) -> None:
    """Configured fields may be paths, too."""
    await s.put(("a",), "k", {"m": {"title": "apple"}, "l": [{"content": "banana"}, {"content": "cherry"}], "text": "date"})
    for word in ("apple", "banana", "cherry"):
        assert abs((await s.search(("a",), query=word))[0].score - 1.0) < 1e-4, word
    assert abs((await s.search(("a",), query="date"))[0].score) < 1e-4


@rules.both(index=TEXT)
async def paths_of_a_put_replace_the_configured(s: Face) -> None:
    """With paths given to `put`, these are embedded and the configured fields are not."""
    await s.put(("a",), "k", {"text": "apple", "note": "banana"}, ["note"])
    assert abs((await s.search(("a",), query="banana"))[0].score - 1.0) < 1e-4
    assert abs((await s.search(("a",), query="apple"))[0].score) < 1e-4


@rules.both(index=TEXT)
async def false_means_no_vector(s: Face) -> None:
    """With `index=False` an item is not embedded; it is got, and listed without a query, as any other."""
    await s.put(("a",), "k", {"text": "apple"}, False)
    assert [i.score for i in await s.search(("a",), query="apple")] in ([], [None])
    assert [i.key for i in await s.search(("a",))] == ["k"]
    assert (await s.get(("a",), "k")).value == {"text": "apple"}


@rules.both(index=TEXT)
async def items_without_a_vector_come_last(s: Face) -> None:
    """With a query, items without a vector come after the scored ones, with score None.

    Reading: InMemoryStore and LangGraph's own tests do so; SqliteStore leaves them out, so that a search finds less with a query than without.
    """
    await s.put(("a",), "none", {"text": "apple"}, False)
    await s.put(("a",), "far", {"text": "unapple"}, ["text"])
    found = await s.search(("a",), query="apple")
    assert [i.key for i in found] == ["far", "none"]
    assert found[-1].score is None


@rules.both(index=TEXT)
async def pages(s: Face) -> None:
    """With a query, pages show every item once, scored ones first, those without a vector after them."""
    await s.batch([PutOp(("a",), f"s{n}", {"text": "apple " + "banana " * n}, ["text"]) for n in range(3)])
    await s.batch([PutOp(("a",), f"u{n}", {"n": n}, False) for n in range(4)])
    shown = [await s.search(("a",), query="apple", limit=2, offset=n) for n in (0, 2, 4, 6, 8)]
    assert [i.key for page in shown[:2] for i in page][:3] == ["s0", "s1", "s2"]
    assert sorted(i.key for page in shown for i in page) == ["s0", "s1", "s2", "u0", "u1", "u2", "u3"]


@rules.both(index=TEXT)
async def deep_pages(s: Face) -> None:
    """With a query, late pages hold what they should, in the order of scores."""
    await s.batch([PutOp(("a",), f"{n}", {"text": "apple " + "banana " * n}, ["text"]) for n in range(9)])
    shown = [await s.search(("a",), query="apple", limit=2, offset=n) for n in (0, 2, 4, 6, 8)]
    assert [i.key for page in shown for i in page] == [str(n) for n in range(9)]


@rules.both(index={"fields": ["l[*]"]})
async def many_texts_in_one_item(s: Face) -> None:
    """An item with many near texts takes one place, and pushes no other item out."""
    await s.put(("a",), "many", {"l": ["apple " + "date " * n for n in range(12)]}, ["l[*]"])
    await s.put(("a",), "one", {"l": ["banana"]}, ["l[*]"])
    assert [i.key for i in await s.search(("a",), query="apple", limit=2)] == ["many", "one"]


@rules.both(index=TEXT)
async def far_items_are_found(s: Face) -> None:
    """A query orders, it does not cut: items whose score is zero or less are found, too."""
    await s.batch([PutOp(("a",), text, {"text": text}, ["text"]) for text in ("banana", "unapple")])
    assert [i.key for i in await s.search(("a",), query="apple")] == ["banana", "unapple"]


@rules.both(index=TEXT)
async def a_put_is_found_at_once(s: Face) -> None:
    """The next search after a put or an overwrite scores the new text."""
    for text in ("apple", "banana", "cherry"):
        await s.put(("a",), "k", {"text": text}, ["text"])
        assert abs((await s.search(("a",), query=text))[0].score - 1.0) < 1e-4
    assert abs((await s.search(("a",), query="apple"))[0].score) < 1e-4


@rules.both(index=TEXT, cases={"absent": {"value": {"n": 1}}, "null": {"value": {"text": None}}, "moved": {"value": {"other": "apple"}}})
async def no_vector_after_the_field_is_gone(s: Face, value: dict[str, Any]) -> None:
    """When an overwrite has no text in the field, the old text's vector is gone.

    Reading: InMemoryStore keeps it, and finds the item by a text it no longer holds.
    """
    await s.put(("a",), "k", {"text": "apple"}, ["text"])
    await s.put(("a",), "k", value, ["text"])
    assert [i.score for i in await s.search(("a",), query="apple")] in ([], [None])


@rules.both(index=TEXT)
async def no_vector_after_index_false(s: Face) -> None:
    """When an overwrite says `index=False`, the old vector is gone."""
    await s.put(("a",), "k", {"text": "apple"}, ["text"])
    await s.put(("a",), "k", {"text": "apple"}, False)
    assert [i.score for i in await s.search(("a",), query="apple")] in ([], [None])


@rules.both(index={"fields": ["l[*]"]})
async def no_vector_after_the_list_shrank(s: Face) -> None:
    """When an overwrite has fewer elements, the vectors of the others are gone."""
    await s.put(("a",), "k", {"l": ["banana", "cherry", "apple"]}, ["l[*]"])
    await s.put(("a",), "k", {"l": ["banana"]}, ["l[*]"])
    assert abs((await s.search(("a",), query="apple"))[0].score) < 1e-4


@rules.both(index=TEXT)
async def no_vector_after_other_paths(s: Face) -> None:
    """When an overwrite embeds other paths, the vectors of the first are gone."""
    await s.put(("a",), "k", {"text": "apple", "note": "banana"}, ["text"])
    await s.put(("a",), "k", {"text": "apple", "note": "banana"}, ["note"])
    assert abs((await s.search(("a",), query="apple"))[0].score) < 1e-4


@rules.both(index=TEXT)
async def no_vector_after_delete(s: Face) -> None:
    """A deleted item is not found by a query, and put again without text it has no score."""
    await s.put(("a",), "k", {"text": "apple"}, ["text"])
    await s.delete(("a",), "k")
    assert await s.search(("a",), query="apple") == []
    await s.put(("a",), "k", {"n": 1}, ["text"])
    assert [i.score for i in await s.search(("a",), query="apple")] in ([], [None])


@rules.both(index=TEXT)
async def the_same_text_twice(s: Face) -> None:
    """Several items of one batch may hold the same text."""
    await s.batch([PutOp(("a",), key, {"text": "apple"}, ["text"]) for key in ("x", "y", "z")])
    found = await s.search(("a",), query="apple")
    assert sorted(i.key for i in found) == ["x", "y", "z"]
    assert all(abs(i.score - 1.0) < 1e-4 for i in found)


@rules.both(index=TEXT, needs=("filters",))
async def filter_comes_before_limit(s: Face) -> None:
    """With query and filter, the nearest of the matching items are found, however many nearer ones do not match."""
    for n in range(12):
        await s.put(("a",), f"near{n}", {"text": "apple", "ok": False}, ["text"])
    await s.batch([PutOp(("a",), f"far{n}", {"text": "banana " * (n + 1) + "apple", "ok": True}, ["text"]) for n in range(3)])
    found = await s.search(("a",), query="apple", filter={"ok": True}, limit=2)
    assert [i.key for i in found] == ["far0", "far1"]


@rules.both(index=TEXT, needs=("filters",))
async def filter_counts_with_a_query(s: Face) -> None:
    """With query and filter, operators hold as without a query, and the score stays the cosine."""
    await s.batch([PutOp(("a",), str(n), {"text": "apple " + "banana " * n, "n": n}, ["text"]) for n in range(4)])
    found = await s.search(("a",), query="apple", filter={"n": {"$gte": 1, "$lt": 3}})
    assert [i.key for i in found] == ["1", "2"]
    assert abs(found[0].score - cosine("apple", "apple banana")) < 1e-4


@rules.both(index=TEXT)
async def query_stays_under_the_prefix(s: Face) -> None:
    """A query finds under its namespace prefix only, however near other items are, and not too few for it."""
    for n in range(12):
        await s.put(("ab", str(n)), "k", {"text": "apple"}, ["text"])
    await s.put(("a", "x"), "k", {"text": "banana"}, ["text"])
    assert [i.namespace for i in await s.search(("a",), query="apple", limit=1)] == [("a", "x")]


@rules.both(index={"fields": ["text"], "embed": Source("KitEmbeddings('cherry')")})
async def queries_are_embedded_as_queries(s: Face) -> None:
    """The query goes through `embed_query`, the texts through `embed_documents`.

    Reading: LangChain's `Embeddings` has both since many models embed queries differently (a prefix, another tower); InMemoryStore keeps them
    apart, SqliteStore sends queries through `embed_documents`. The rule's embedding takes every query for "cherry".
    """
    await s.batch([PutOp(("a",), text, {"text": text}, ["text"]) for text in ("apple", "cherry")])
    assert (await s.search(("a",), query="apple"))[0].key == "cherry"


@rules.async_(index={"fields": ["text"], "embed": Source("aembed")})
async def asynchronous_embedding_functions(store: Any) -> None:
    """`embed` may be an asynchronous function, for the asynchronous methods."""
    await store.aput(("a",), "k", {"text": "apple"}, ["text"])
    (found,) = await store.asearch(("a",), query="apple")
    assert abs(found.score - 1.0) < 1e-4


@rules.both(index=TEXT)
async def searching_without_a_query(s: Face) -> None:
    """Without a query, items with and without vectors are found alike, with score None."""
    await s.put(("a",), "x", {"text": "apple"})
    await s.put(("a",), "y", {"text": "apple"}, False)
    found = await s.search(("a",))
    assert sorted((i.key, i.score) for i in found) == [("x", None), ("y", None)]
