"""The systems that `tests.benchmarks.store` measures, each behind the same few calls, and the made-up data they all get."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from langchain_core.embeddings import Embeddings

DIMS = 384
BATCH = 500
WORDS = 5_000


class Data:
    """Texts of 20 made-up words (Zipf over 5,000; letters only, since a word with digits counts in parts, too, as an identifier) with random
    unit vectors, and queries of 8 words with vectors near a text's (cosine about .7).

    A vector is looked up by the number its text begins with, so that embedding costs no more than a list of floats.
    """

    def __init__(self, facts: int, namespaces: int, *, extra: int = 1_000, queries: int = 4_000, seed: int = 7) -> None:
        rng = np.random.default_rng(seed)
        self.facts, self.namespaces = facts, namespaces
        vocabulary = np.array([_word(number) for number in range(WORDS)])
        weights = 1 / np.arange(1, WORDS + 1)
        words = vocabulary[rng.choice(WORDS, size=(facts + extra, 20), p=weights / weights.sum())]
        self.texts = [f"{number} " + " ".join(row) for number, row in enumerate(words)]
        self.vectors = _unit(rng.standard_normal((facts + extra, DIMS)))
        chosen = rng.integers(0, facts, queries)
        noise = _unit(rng.standard_normal((queries, DIMS)))
        first = facts + extra
        self.queries = [
            f"{first + number} " + " ".join(words[fact][rng.choice(20, 8, replace=False)]) for number, fact in enumerate(chosen)
        ]
        self.query_namespaces = [self.namespace(int(fact)) for fact in chosen]
        self.vectors = np.concatenate([self.vectors, _unit(self.vectors[chosen] + noise)]).astype(np.float32)

    def namespace(self, fact: int) -> int:
        return fact % self.namespaces

    def vector(self, text: str) -> list[float]:
        return self.vectors[int(text.partition(" ")[0])].tolist()


def _word(number: int) -> str:
    """A word of three syllables that no other number has."""
    return "".join(
        "bdfgklmnprstvz"[part % 14] + "aeiou"[part // 14] for part in (number % 70, number // 70 % 70, (number * 37 + number // 4900) % 70)
    )


def _unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Lookup(Embeddings):
    """The data's vectors behind LangChain's interface."""

    fingerprint = "benchmark"

    def __init__(self, data: Data) -> None:
        self.data = data

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.data.vector(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.data.vector(text)


class System(Protocol):
    """What is measured. `namespace` is a number."""

    def add(self, namespace: int, texts: Sequence[str]) -> None: ...
    def search(self, namespace: int, query: str) -> int: ...
    def close(self) -> None: ...


def _name(namespace: int) -> tuple[str, ...]:
    return ("tenant", f"n{namespace}")


class FluxMemSystem:
    """`FluxMem.remember` and `recall`: facts, with their terms, all default signals, k=10."""

    def __init__(self, data: Data, place: Path, **options: Any) -> None:
        from langgraph_fluxmem import FluxMem

        self.data = data
        self.mem = FluxMem.open(place, embeddings=Lookup(data), **options)

    def add(self, namespace: int, texts: Sequence[str]) -> None:
        self.mem.remember(list(texts), namespace=_name(namespace))

    def search(self, namespace: int, query: str) -> int:
        return len(self.mem.recall(query, namespace=_name(namespace), k=10).facts)

    def settle(self) -> None:
        self.mem.flush(600)

    def close(self) -> None:
        self.mem.close()


class LearnedSystem(FluxMemSystem):
    """The same after 1,000 recalls were judged, each with the ten facts it gave: 10,000 links from tasks to facts."""

    def settle(self) -> None:
        from langgraph_fluxmem import Feedback

        for number in range(min(1_000, self.data.facts)):
            fact = number * 7_919 % self.data.facts  # of every namespace as many
            found = self.mem.recall(self.data.texts[fact], namespace=_name(self.data.namespace(fact)), k=10)
            self.mem.learn(found, Feedback(outcome="success", used=tuple(one.id for one in found.facts)))
        super().settle()

    def served(self, namespace: int, query: str) -> bool:
        """Whether a task near this query has facts that served it."""
        found = self.mem.recall(query, namespace=_name(namespace), k=10)
        return any("served" in fact.why.signals for fact in found.facts)


class ChromaSystem:
    """Chroma's PersistentClient with its defaults: one collection per namespace up to 20 of them, beyond that one with a filter."""

    def __init__(self, data: Data, place: Path) -> None:
        import chromadb

        self.data = data
        self.client = chromadb.PersistentClient(str(place))
        self.apart = data.namespaces <= 20
        self.collections: dict[int, Any] = {}
        self.count = 0

    def _collection(self, namespace: int) -> Any:
        number = namespace if self.apart else 0
        if number not in self.collections:
            self.collections[number] = self.client.get_or_create_collection(
                f"facts-{number}", embedding_function=None, metadata={"hnsw:space": "cosine"}
            )
        return self.collections[number]

    def add(self, namespace: int, texts: Sequence[str]) -> None:
        self._collection(namespace).add(
            ids=[str(self.count + number) for number in range(len(texts))],
            embeddings=[self.data.vector(text) for text in texts],
            documents=list(texts),
            metadatas=[{"namespace": namespace}] * len(texts),
        )
        self.count += len(texts)

    def search(self, namespace: int, query: str) -> int:
        where = None if self.apart else {"namespace": namespace}
        found = self._collection(namespace).query(query_embeddings=[self.data.vector(query)], n_results=10, where=where)
        return len(found["ids"][0])

    def close(self) -> None:
        self.client._system.stop()


class StoreSystem:
    """Any LangGraph store: `{"text": ...}` items, "text" embedded."""

    def __init__(self, store: Any, close: Callable[[], None] = lambda: None) -> None:
        self.store, self._close = store, close
        self.count = 0

    def add(self, namespace: int, texts: Sequence[str]) -> None:
        from langgraph.store.base import PutOp

        self.store.batch([PutOp(_name(namespace), str(self.count + number), {"text": text}) for number, text in enumerate(texts)])
        self.count += len(texts)

    def search(self, namespace: int, query: str) -> int:
        return len(self.store.search(_name(namespace), query=query, limit=10))

    def close(self) -> None:
        self._close()


def index_of(data: Data) -> dict[str, Any]:
    return {"dims": DIMS, "embed": Lookup(data), "fields": ["text"]}


def memory_store(data: Data, place: Path) -> tuple[Any, Callable[[], None]]:
    from langgraph.store.memory import InMemoryStore

    return InMemoryStore(index=index_of(data)), lambda: None


def sqlite_store(data: Data, place: Path) -> tuple[Any, Callable[[], None]]:
    """SqliteStore needs a sqlite3 that loads extensions; where Python's does not, pysqlite3 takes its place."""
    import sqlite3

    if not hasattr(sqlite3.Connection, "enable_load_extension"):
        import pysqlite3

        sys.modules["sqlite3"] = pysqlite3
    from langgraph.store.sqlite import SqliteStore

    place.mkdir()
    entered = SqliteStore.from_conn_string(str(place / "store.db"), index={**index_of(data), "text_fields": ["text"]})
    store = entered.__enter__()
    store.setup()
    return store, lambda: entered.__exit__(None, None, None)


def fluxmem_store(data: Data, place: Path) -> tuple[Any, Callable[[], None]]:
    from langgraph_fluxmem import FluxMemStore

    store = FluxMemStore.from_conn_string(place, index=index_of(data))
    return store, store.close


SYSTEMS: dict[str, Callable[[Data, Path], System]] = {
    "fluxmem": lambda data, place: FluxMemSystem(data, place),
    "fluxmem-chroma": lambda data, place: FluxMemSystem(data, place, exact_max=0),
    "chroma": ChromaSystem,
    "langgraph-inmemory": lambda data, place: StoreSystem(*memory_store(data, place)),
    "langgraph-sqlite": lambda data, place: StoreSystem(*sqlite_store(data, place)),
}
STORES: dict[str, Callable[[Data, Path], tuple[Any, Callable[[], None]]]] = {
    "fluxmem-store": fluxmem_store,
    "langgraph-inmemory": memory_store,
    "langgraph-sqlite": sqlite_store,
}


@dataclass(frozen=True)
class Case:
    """One measurement: a system, how many facts, over how many namespaces."""

    table: str
    system: str
    facts: int
    namespaces: int
