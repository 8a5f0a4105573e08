"""`batch` and `abatch`: order, reads before writes, all or nothing."""

from __future__ import annotations

from contextlib import suppress

from langgraph.store.base import GetOp, ListNamespacesOp, PutOp, SearchOp

from langgraph_fluxmem.testing.conformance.faces import Face
from langgraph_fluxmem.testing.conformance.helpers import refused
from langgraph_fluxmem.testing.conformance.registry import Group

rules = Group("batch")


@rules.both
async def reads_come_before_writes(s: Face) -> None:
    """Within one batch every read sees the store as it was before the batch, wherever it stands.

    Reading: all stock stores do so (LangGraph batches the calls of one tick, whose order means nothing), none documents it.
    """
    assert await s.batch([PutOp(("a",), "k", {"n": 1}), GetOp(("a",), "k")]) == [None, None]
    ops = [PutOp(("a",), "k", {"n": 2}), GetOp(("a",), "k"), SearchOp(("a",))]
    _, got, found = await s.batch(ops)
    assert got.value == {"n": 1}
    assert [i.value for i in found] == [{"n": 1}]


@rules.both
async def listing_comes_before_writes(s: Face) -> None:
    """A listing in a batch does not show the namespaces that the batch puts."""
    assert await s.batch([PutOp(("a",), "k", {"n": 1}), ListNamespacesOp()]) == [None, []]


@rules.both
async def last_put_wins(s: Face) -> None:
    """Of several puts of one key in a batch, the last counts."""
    await s.batch([PutOp(("a",), "k", {"n": 1}), PutOp(("a",), "k", {"n": 2}), PutOp(("a",), "k", {"n": 3})])
    assert (await s.get(("a",), "k")).value == {"n": 3}
    assert len(await s.search(("a",))) == 1


@rules.both
async def last_delete_wins(s: Face) -> None:
    """A delete after a put of the same key wins; a put after a delete does, too."""
    await s.batch([PutOp(("a",), "gone", {"n": 1}), PutOp(("a",), "gone", None)])
    await s.batch([PutOp(("a",), "there", None), PutOp(("a",), "there", {"n": 2})])
    assert [i.key for i in await s.search(("a",))] == ["there"]


@rules.both
async def answers_keep_the_order(s: Face) -> None:
    """Each answer stands where its operation stood."""
    await s.batch([PutOp(("a",), "x", {"n": 1}), PutOp(("b",), "y", {"n": 2})])
    ops = [ListNamespacesOp(), GetOp(("b",), "y"), PutOp(("a",), "z", {"n": 3}), SearchOp(("a",)), GetOp(("a",), "x")]
    names, y, put, found, x = await s.batch(ops)
    assert (names, put) == ([("a",), ("b",)], None)
    assert (y.value, x.value, [i.key for i in found]) == ({"n": 2}, {"n": 1}, ["x"])


@rules.both
async def the_same_read_twice(s: Face) -> None:
    """Equal operations in one batch are each answered."""
    await s.put(("a",), "k", {"n": 1})
    first, second = await s.batch([GetOp(("a",), "k"), GetOp(("a",), "k")])
    assert (first.value, second.value) == ({"n": 1}, {"n": 1})


@rules.both
async def nothing_to_do(s: Face) -> None:
    """An empty batch answers an empty list."""
    assert await s.batch([]) == []


@rules.both
async def any_iterable(s: Face) -> None:
    """Operations may come from any iterable, read once."""
    await s.batch(PutOp(("a",), str(n), {"n": n}) for n in range(3))
    assert sorted(i.key for i in await s.search(("a",))) == ["0", "1", "2"]


@rules.both
async def a_large_batch(s: Face) -> None:
    """A batch of 1,200 puts, and one of as many gets, is answered as a small one is."""
    await s.batch([PutOp(("a",), str(n), {"n": n}) for n in range(1200)])
    got = await s.batch([GetOp(("a",), str(n)) for n in range(1200)])
    assert [i.value["n"] for i in got] == list(range(1200))


@rules.both
async def nothing_stays_when_a_namespace_is_refused(s: Face) -> None:
    """All or nothing: when an operation's namespace is refused, no other put of the batch stays.

    Reading: a batch is one call with one answer; a caller that gets an exception cannot know which part to repeat. (A store that takes the
    bad namespace stores all, and breaks `namespaces.checked-in-a-batch` instead.)
    """
    with suppress(ValueError):
        await s.batch([PutOp(("a",), "good", {"n": 1}), PutOp(("a.b",), "bad", {"n": 2})])
    assert len(await s.search(())) in (0, 2)


@rules.both
async def nothing_stays_when_a_value_is_refused(s: Face) -> None:
    """All or nothing: when a value is refused, no other put of the batch stays."""
    with suppress(TypeError, ValueError):
        await s.batch([PutOp(("a",), "good", {"n": 1}), PutOp(("a",), "bad", {"n": {1, 2}})])
    assert len(await s.search(("a",))) in (0, 2)


@rules.both
async def nothing_goes_when_a_key_is_refused(s: Face) -> None:
    """All or nothing: when a key cannot be stored (a lone surrogate is no valid text), no delete of the batch stays."""
    await s.put(("a",), "old", {"n": 1})
    with suppress(Exception):
        await s.batch([PutOp(("a",), "old", None), PutOp(("a",), "\ud800", {"n": 2})])
    assert len(await s.search(("a",))) == 1


@rules.both(needs=("filters",))
async def nothing_stays_when_a_read_is_refused(s: Face) -> None:
    """All or nothing: when a search of the batch is refused, no put of the batch stays."""
    await s.put(("a",), "old", {"n": 1})
    with suppress(ValueError):
        await s.batch([PutOp(("a",), "new", {"n": 1}), SearchOp(("a",), filter={"n": {"$nope": 1}})])
    assert [i.key for i in await s.search(("a",))] == ["old"]


@rules.both(index={"fields": ["text"]})
async def nothing_stays_when_embedding_fails(s: Face) -> None:
    """All or nothing: when the embedding raises for one text, the caller is told and nothing of the batch stays."""
    await s.put(("a",), "old", {"text": "apple"}, ["text"])
    with refused(Exception):
        await s.batch(
            [PutOp(("a",), "old", None), PutOp(("a",), "new", {"n": 1}), PutOp(("a",), "bad", {"text": "unembeddable"}, ["text"])]
        )
    assert [i.key for i in await s.search(("a",))] == ["old"]


@rules.both
async def usable_after_a_refusal(s: Face) -> None:
    """A batch that raised leaves the store in order: the next put and get work."""
    for _ in range(3):
        with suppress(Exception):
            await s.batch([PutOp(("a",), "old", None), PutOp(("a",), "\ud800", {"n": {1}})])
    await s.put(("a",), "k", {"n": 1})
    assert (await s.get(("a",), "k")).value == {"n": 1}
