"""The key-value stores where LangChain uses them, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import InMemoryVectorStore

from langgraph_fluxmem import FluxMem, FluxMemStore, InvalidContentError, InvalidNamespaceError
from langgraph_fluxmem.kv import FluxMemByteStore, FluxMemKVStore


class Counting(DeterministicFakeEmbedding):
    embedded: list[str] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.embedded.extend(texts)
        return super().embed_documents(texts)


def test_cached_embeddings_survive_a_restart(tmp_path: Path) -> None:
    from langchain_classic.embeddings import CacheBackedEmbeddings

    answers = []
    counts = []
    for _ in range(2):
        underlying = Counting(size=8, embedded=[])
        with FluxMem.open(tmp_path / "memory", chroma="off") as mem:
            cached = CacheBackedEmbeddings.from_bytes_store(
                underlying, FluxMemByteStore(mem, namespace=("cache", "fake")), namespace="fake", key_encoder="sha256"
            )
            answers.append(cached.embed_documents(["apple", "banana"]))
        counts.append(len(underlying.embedded))
    assert answers[0] == answers[1]
    assert counts == [2, 0]


def test_multi_vector_retriever(mem: FluxMem) -> None:
    from langchain_classic.retrievers import MultiVectorRetriever

    parents = [Document("Ada's whole contract ...", metadata={"page": 1}, id="a"), Document("Bob's whole contract ...", id="b")]
    for docstore in (
        {"byte_store": FluxMemByteStore(mem, namespace=("bytes",))},
        {"docstore": FluxMemKVStore[Document](mem, namespace=("documents",), encode=Document.model_dump, decode=Document.model_validate)},
    ):
        vectors = InMemoryVectorStore(DeterministicFakeEmbedding(size=32))
        retriever = MultiVectorRetriever(vectorstore=vectors, id_key="doc_id", search_kwargs={"k": 1}, **docstore)
        vectors.add_documents([Document("ada plan", metadata={"doc_id": "a"}), Document("bob plan", metadata={"doc_id": "b"})])
        retriever.docstore.mset([(parent.id, parent) for parent in parents])
        (found,) = retriever.invoke("ada plan")
        assert (found.page_content, found.metadata) == ("Ada's whole contract ...", {"page": 1})


async def test_the_async_face_never_blocks_the_loop(tmp_path: Path) -> None:
    with blockbuster_ctx():
        async with FluxMemStore.from_conn_string(tmp_path / "memory", chroma="off") as store:
            kv = FluxMemByteStore(store)
            await kv.amset([("a1", b"1"), ("a2", b"2"), ("b", b"3")])
            assert await kv.amget(["a2", "c"]) == [b"2", None]
            assert sorted([key async for key in kv.ayield_keys(prefix="a")]) == ["a1", "a2"]
            await kv.amdelete(["a1", "c"])
            assert [key async for key in kv.ayield_keys()] == ["a2", "b"]


def test_namespaces_keep_stores_apart(mem: FluxMem) -> None:
    one, other, below = (FluxMemByteStore(mem, namespace=name) for name in (("one",), ("other",), ("one", "below")))
    one.mset([("k", b"1")])
    below.mset([("l", b"2")])
    assert other.mget(["k"]) == [None]
    assert list(one.yield_keys()) == ["k"]


def test_values_are_not_recalled(mem: FluxMem) -> None:
    FluxMemKVStore(mem, namespace=("kv",)).mset([("k", "Ada is on the team plan")])
    assert mem.recall("which plan is Ada on?", namespace=("kv",)).facts == ()


def test_what_is_refused(mem: FluxMem) -> None:
    with pytest.raises(InvalidContentError, match="delete the key"):
        FluxMemKVStore(mem).mset([("good", 1), ("k", None)])
    with pytest.raises(InvalidContentError, match="FluxMemKVStore"):
        FluxMemByteStore(mem).mset([("good", b""), ("k", "text")])
    with pytest.raises(InvalidContentError, match=r"value\['value'\]\['x'\]"):
        FluxMemKVStore(mem).mset([("good", 1), ("k", {"x": {1}})])
    assert list(FluxMemKVStore(mem).yield_keys()) == []
    with pytest.raises(InvalidNamespaceError):
        FluxMemByteStore(mem, namespace="kv")
    FluxMemKVStore(mem).mset([("k", {"n": 1})])
    with pytest.raises(InvalidContentError, match="namespace of its own"):
        FluxMemByteStore(mem).mget(["k"])
