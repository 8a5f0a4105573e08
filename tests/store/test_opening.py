"""How a store is made, opened and closed, and what wrong options say."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

from langgraph_fluxmem import ClosedError, ConfigError, DimensionMismatchError, EmbeddingMismatchError, FluxMem, FluxMemStore
from langgraph_fluxmem.storing.fields import configured
from langgraph_fluxmem.testing.conformance.embedding import aembed, embed

from .conftest import INDEX


def test_usable_at_once_and_closed_by_hand(tmp_path: Path) -> None:
    store = FluxMemStore.from_conn_string(tmp_path / "new" / "memory", chroma="off")
    store.put(("a",), "k", {"n": 1})
    store.setup()
    store.setup()
    assert store.get(("a",), "k").value == {"n": 1}
    store.close()
    store.close()
    with pytest.raises(ClosedError, match="from_conn_string"):
        store.get(("a",), "k")


def test_nothing_is_opened_before_it_is_needed(tmp_path: Path) -> None:
    FluxMemStore.from_conn_string(tmp_path / "memory")
    assert not (tmp_path / "memory").exists()


async def test_both_faces_of_one_store_and_setup_awaited(tmp_path: Path) -> None:
    async with FluxMemStore.from_conn_string(tmp_path / "memory", index=INDEX, chroma="off") as store:
        await store.setup()
        await store.aput(("a",), "k", {"text": "apple"})
        assert store.get(("a",), "k").value == {"text": "apple"}
        store.put(("a",), "l", {"text": "banana"})
        assert [item.key for item in await store.asearch(("a",), query="banana")] == ["l", "k"]


def test_a_store_outlives_the_loop_it_was_first_used_in(tmp_path: Path) -> None:
    store = FluxMemStore.from_conn_string(tmp_path / "memory", index=INDEX, chroma="off")
    asyncio.run(store.aput(("a",), "k", {"text": "apple"}))
    found = asyncio.run(store.asearch(("a",), query="apple"))
    assert [item.key for item in found] == ["k"]
    asyncio.run(store.aclose())


async def test_the_async_face_never_blocks_the_loop(tmp_path: Path) -> None:
    with blockbuster_ctx():
        async with FluxMemStore.from_conn_string(tmp_path / "memory", index={**INDEX, "embed": aembed}, chroma="off") as store:
            await store.aput(("a",), "k", {"text": "apple"}, ttl=5)
            assert (await store.aget(("a",), "k")).value == {"text": "apple"}
            assert len(await store.asearch((), query="apple", filter={"text": "apple"})) == 1
            assert await store.alist_namespaces() == [("a",)]
            await store.adelete(("a",), "k")
            await store.asweep_ttl()
        async with asyncio.timeout(30):
            unopened = FluxMemStore.from_conn_string(tmp_path / "memory", index={**INDEX, "embed": aembed}, chroma="off")
            assert await unopened.aget(("a",), "k") is None
            await unopened.aclose()


def test_wrong_options_are_named_before_anything_is_opened(tmp_path: Path) -> None:
    place = tmp_path / "memory"
    for options, said in [
        ({"index": {"field": ["text"]}}, "'field'"),
        ({"index": {"fields": "text"}}, "list of paths"),
        ({"index": {"dims": 0}}, "dims"),
        ({"index": {"embed": 3}}, "embed"),
        ({"ttl": {"default": 5}}, "'default'"),
        ({"ttl": {"default_ttl": -1}}, "minutes"),
        ({"ttl": {"omit_expired": "yes"}}, "True or False"),
        ({"exact_maximum": 5}, "exact_max"),
        ({"index": {"embed": embed}, "embeddings": "local"}, "one embedding"),
    ]:
        with pytest.raises(ConfigError, match=said):
            FluxMemStore.from_conn_string(place, **options)
    assert not place.exists()


def test_dims_that_the_embedding_does_not_have(tmp_path: Path) -> None:
    with FluxMemStore.from_conn_string(tmp_path / "memory", index={"dims": 7, "embed": embed}, chroma="off") as store:
        with pytest.raises(DimensionMismatchError, match="dims"):
            store.put(("a",), "k", {"text": "apple"})
        assert store.get(("a",), "k") is None


def test_a_memory_has_its_embedding_already(tmp_path: Path) -> None:
    with FluxMem.open(tmp_path / "memory", chroma="off") as mem, pytest.raises(ConfigError, match="embeddings="):
        FluxMemStore(mem, index={"embed": embed})


def test_the_store_of_a_memory_stays_open_as_long_as_the_memory(tmp_path: Path) -> None:
    with FluxMem.open(tmp_path / "memory", chroma="off") as mem:
        with mem.store as store:
            store.put(("a",), "k", {"n": 1})
        assert mem.store is store
        assert mem.store.get(("a",), "k").value == {"n": 1}
    with pytest.raises(ClosedError):
        mem.store.get(("a",), "k")


def test_a_store_without_an_index_on_a_memory_with_an_embedding(tmp_path: Path) -> None:
    with FluxMemStore.from_conn_string(tmp_path / "memory", index=INDEX, chroma="off") as store:
        store.put(("a",), "k", {"text": "apple"})
    with pytest.raises(EmbeddingMismatchError), FluxMemStore.from_conn_string(tmp_path / "memory", chroma="off"):
        pass
    same = configured(INDEX)[1]
    with FluxMemStore.from_conn_string(tmp_path / "memory", embeddings=same, chroma="off") as store:
        store.put(("a",), "l", {"text": "banana"})
        assert [item.score for item in store.search(("a",), query="apple")] == [None, None]
        assert len(store.mem.recall("apple", namespace=("a",)).facts) == 1
