"""Chroma as a projection: one collection per memory that holds ids, namespaces and vectors, and never a text.

An id is ``version id|index of the text``; the metadata are the namespace and the node id, by which retired versions are found. Everything
that touches chromadb is in this module, and chromadb is imported when a store is opened, not before.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.errors import ConfigError
from langgraph_fluxmem.schema import Namespace, Vector

SETTINGS = {"hnsw": {"space": "cosine", "ef_search": 400, "ef_construction": 200, "max_neighbors": 32}}
"""Recall@10 was .994 at 10k random unit vectors with these, .50 with the defaults."""
WRITTEN = 100
"""Vectors in one upsert: a local Chroma stops this process for 1.1 ms for each, at 10,000 vectors, in batches of 500 as of 100; smaller ones
take longer for each."""
BATCH = 500
"""Ids in one request."""
PAGE = 5_000
FOLDER = "chroma"
MARKER = "fluxmem.json"


@dataclass(frozen=True, slots=True)
class Marker:
    """Where a Chroma stands: it has followed `memory` to `position`, where the log has `operation`.

    `vectors` is how many it then held, `embedding` the fingerprint they are of; `busy` says that a batch was begun after that.
    """

    memory: str
    position: int
    operation: str
    embedding: str
    vectors: int
    busy: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """One vector as Chroma holds it."""

    id: str
    metadata: Mapping[str, Any]
    vector: Vector
    document: str | None


def record_id(version: str, index: int) -> str:
    """Chroma's id of a text's vector."""
    return f"{version}|{index}"


def version_of(record: str) -> str:
    """The version id in a record's id."""
    return record.rpartition("|")[0]


def namespace_name(namespace: Namespace) -> str:
    """A namespace as Chroma's metadata hold it; segments hold no dots."""
    return ".".join(namespace)


# --------------------------------------------------------------------------------------------------------------------- the folder
def read_marker_file(folder: Path) -> Marker | None:
    """The marker that the last batch left beside Chroma's files; None when there is none that can be read."""
    try:
        return _marker(json.loads((folder / MARKER).read_text()))
    except (OSError, ValueError):
        return None


def folder_fault(folder: Path) -> str | None:
    """What is wrong with a Chroma folder, as far as can be told without opening it; None when it looks sound."""
    if not folder.exists():
        return "is missing"
    if not folder.is_dir():
        return "is not a directory"
    database = folder / "chroma.sqlite3"
    if not database.exists():
        return "holds no chroma.sqlite3"
    try:
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        return f"is corrupt ({error})"
    return None if found == "ok" else f"is corrupt ({found})"


def has_database(folder: Path) -> bool:
    """Whether Chroma's SQLite file is there and begins as one."""
    try:
        with (folder / "chroma.sqlite3").open("rb") as file:
            return file.read(16) == b"SQLite format 3\0"
    except OSError:
        return False


def remove_folder(folder: Path) -> None:
    """Delete a Chroma folder, or what stands in its place. It holds only what the ledger has."""
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
    else:
        folder.unlink(missing_ok=True)


def _marker(data: Any) -> Marker | None:
    try:
        return Marker(
            str(data["memory"]),
            int(data["position"]),
            str(data["operation"]),
            str(data["embedding"]),
            int(data["vectors"]),
            bool(data["busy"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


# --------------------------------------------------------------------------------------------------------------------- the store
class ChromaStore:
    """An open collection. Its methods raise whatever chromadb raises; the follower turns that into notices."""

    _spelling = 0

    def __init__(self, client: Any, name: str, folder: Path | None) -> None:
        self._client = client
        self._name = name
        self._folder = folder
        self._collection: Any = client.get_or_create_collection(name, embedding_function=None, configuration=SETTINGS)

    @classmethod
    def open(cls, place: Path | str, memory: str) -> Self:
        """Open the folder `place`, or the server at the address `place`, and this memory's collection there.

        Raises:
            ConfigError: the address of a server cannot be read.
        """
        chromadb: Any = importlib.import_module("chromadb")
        settings: Any = importlib.import_module("chromadb.config").Settings(anonymized_telemetry=False)
        if isinstance(place, str):
            host, port, secure = server_address(place)
            return cls._opened(chromadb.HttpClient(host, port, ssl=secure, settings=settings), memory, None)
        # chromadb keeps one system per spelling of a path, also one that failed to start: each open uses a spelling of its own.
        ChromaStore._spelling += 1
        place.mkdir(parents=True, exist_ok=True)
        spelled = str(place) + "/." * (1 + ChromaStore._spelling % 64)
        return cls._opened(chromadb.PersistentClient(spelled, settings=settings), memory, place)

    @classmethod
    def _opened(cls, client: Any, memory: str, folder: Path | None) -> Self:
        try:
            return cls(client, f"fluxmem-{memory}", folder)
        except BaseException:
            _close(client)
            raise

    def _ask(self, method: str, **arguments: Any) -> Any:
        """Call the collection. Another process may have dropped it and made it anew, which leaves the name and changes the id."""
        try:
            return getattr(self._collection, method)(**arguments)
        except Exception as error:
            if self._folder is not None or type(error).__name__ != "NotFoundError":
                raise
            self._collection = self._client.get_collection(self._name, embedding_function=None)
            return getattr(self._collection, method)(**arguments)

    def close(self) -> None:
        """Let go of the client, its files and connections."""
        _close(self._client)

    def reset(self) -> None:
        """Drop all vectors, and the marker."""
        if self._folder is not None:
            (self._folder / MARKER).unlink(missing_ok=True)
        self._client.delete_collection(self._name)
        self._collection = self._client.create_collection(self._name, embedding_function=None, configuration=SETTINGS)

    # -------------------------------------------------------------------------------------------------------------------- marker
    def marker(self) -> Marker | None:
        """The marker in the collection's metadata."""
        metadata = self._client.get_collection(self._name, embedding_function=None).metadata
        return None if metadata is None else _marker(metadata)

    def mark(self, marker: Marker) -> None:
        """Write the marker into the collection, and beside a folder's files."""
        self._ask("modify", metadata=asdict(marker))
        if self._folder is not None:
            scratch = self._folder / f"{MARKER}.new"
            scratch.write_text(json.dumps(asdict(marker)))
            scratch.replace(self._folder / MARKER)

    # ------------------------------------------------------------------------------------------------------------------- vectors
    def __len__(self) -> int:
        return int(self._ask("count"))

    def upsert(self, namespace: Namespace, ids: Sequence[str], nodes: Sequence[str], vectors: Sequence[Vector]) -> None:
        """Write at most `WRITTEN` vectors."""
        name = namespace_name(namespace)
        metadata = [{"namespace": name, "node": node} for node in nodes]
        self._ask("upsert", ids=list(ids), embeddings=np.stack(vectors), metadatas=metadata)

    def delete(self, ids: Sequence[str]) -> None:
        """Delete vectors; unknown ids are passed over."""
        for start in range(0, len(ids), BATCH):
            self._ask("delete", ids=list(ids[start : start + BATCH]))

    def ids_of_nodes(self, namespace: Namespace, nodes: Sequence[str]) -> list[str]:
        """Ids of every vector of these nodes."""
        out: list[str] = []
        for start in range(0, len(nodes), BATCH):
            some = list(nodes[start : start + BATCH])
            out += self._ask("get", where={"$and": [{"namespace": namespace_name(namespace)}, {"node": {"$in": some}}]}, include=[])["ids"]
        return out

    def ids_in(self, namespace: Namespace) -> list[str]:
        """Ids of every vector of a namespace."""
        return list(self._ask("get", where={"namespace": namespace_name(namespace)}, include=[])["ids"])

    def ids(self) -> list[str]:
        """Ids of every vector."""
        return list(self._ask("get", include=[])["ids"])

    def records(self) -> Iterator[Record]:
        """Every vector with all that is stored of it."""
        offset = 0
        while True:
            page = self._ask("get", include=["embeddings", "metadatas", "documents"], limit=PAGE, offset=offset)
            ids: list[str] = page["ids"]
            vectors: NDArray[np.float32] = np.asarray(page["embeddings"], dtype=np.float32)
            for index, record in enumerate(ids):
                yield Record(record, page["metadatas"][index] or {}, vectors[index], page["documents"][index])
            if len(ids) < PAGE:
                return
            offset += PAGE

    def nearest(self, vector: Vector, m: int) -> list[str]:
        """Ids of the `m` vectors that are nearest, of any namespace, best first; fewer when there are no more.

        A ``where`` on the namespace is not used: at 10k vectors of one namespace it took 31 ms where this takes 2.
        """
        return list(self._ask("query", query_embeddings=vector[None, :].astype(np.float32), n_results=m, include=[])["ids"][0])


def _close(client: Any) -> None:
    # chromadb 1.5 leaves the connections of an HttpClient open: its own, and those of the admin client inside it.
    parts = [client, getattr(client, "_admin_client", None)]
    connections = [getattr(getattr(part, "_server", None), "_session", None) for part in parts]
    client.close()
    for connection in connections:
        if connection is not None:
            connection.close()


def server_address(address: str) -> tuple[str, int, bool]:
    """(host, port, https) of ``http://host:port``.

    Raises:
        ConfigError: no host, or a port that is no number.
    """
    parts = urlsplit(address)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(f"chroma={address!r} is no address of a Chroma server; expected one like 'http://localhost:8000'")
    secure = parts.scheme == "https"
    return host, port or (443 if secure else 8000), secure
