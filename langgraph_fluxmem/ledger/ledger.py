"""`Ledger`: the truth of a memory. Writes go through one writer thread, reads through sessions of their own."""

from __future__ import annotations

import os
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import bindparam, select

from langgraph_fluxmem.errors import ClosedError
from langgraph_fluxmem.ledger import apply as applying
from langgraph_fluxmem.ledger import migrations, reads
from langgraph_fluxmem.ledger.database import Database, Durability
from langgraph_fluxmem.ledger.plans import namespace_path, prepare
from langgraph_fluxmem.ledger.rows import Change, CommitRow, EdgeRow, EvidenceRow, NodeRow, OperationRow
from langgraph_fluxmem.ledger.sql import Session, Statement
from langgraph_fluxmem.ledger.tables import meta
from langgraph_fluxmem.ledger.writer import Transaction, Writer
from langgraph_fluxmem.schema import Applied, Namespace, Plan

T = TypeVar("T")
_META = Statement(select(meta.c.value).where(meta.c.key == bindparam("key")))


class Ledger:
    """Nodes and versions, evidence, edges, vectors, commits, and the edit log that every projection follows.

    Open it with `Ledger.open`; use it from any thread; several processes may hold one address. Every method raises `ClosedError` after
    `close`, and `LedgerError` when the database fails.
    """

    def __init__(self, database: Database, memory_id: str, clock: Callable[[], float]) -> None:
        self.memory_id = memory_id
        self._database = database
        self._clock = clock
        self._idle: deque[Session] = deque()
        self._namespace_ids: dict[str, int] = {}
        self._fingerprint: str | None = None
        self._closed = False
        self._writer = Writer(database, clock)
        self._finalizer = weakref.finalize(self, Writer.close, self._writer)

    @classmethod
    def open(
        cls,
        address: str | os.PathLike[str],
        *,
        durability: Durability = "process",
        busy_timeout: float = 30.0,
        clock: Callable[[], float] = time.time,
    ) -> Self:
        """Open or make the ledger at `address`: a directory, or a ``postgresql://`` URL.

        Args:
            durability: ``"process"``: acknowledged writes survive a kill of the process. ``"power"``: they are synced to disk first.
            busy_timeout: seconds a write waits for another process.
            clock: seconds since the epoch; for tests.

        Raises:
            NotAMemoryError: a file, or a directory or database of something else.
            SchemaVersionError: written by a newer version of the package.
            LedgerError: it cannot be opened, read or written; the message says how to mend it.
        """
        database = Database(address, durability=durability, busy_timeout=busy_timeout)
        return cls(database, migrations.setup(database, clock()), clock)

    # --------------------------------------------------------------------------------------------------------------- writes
    def submit(self, plan: Plan) -> Future[Applied]:
        """Queue a plan; the future is done when it is durable. Validation errors are raised here, the others by the future.

        Raises:
            InvalidNamespaceError, InvalidContentError, InvalidVectorError, DimensionMismatchError: the plan is refused as a whole.
        """
        prepared = prepare(plan)
        fingerprint = self._fingerprint
        return self._write(lambda tx: applying.apply(tx, prepared, fingerprint))

    def apply(self, plan: Plan) -> Applied:
        """`submit`, and wait until it is durable. A plan whose operation id, or whose commit's (episode, digest), the ledger holds is a
        duplicate: nothing is written and the earlier position is returned.

        Raises:
            LedgerError: a version id was written before, or the database failed; nothing of the plan was written.
            EmbeddingMismatchError, DimensionMismatchError: vectors of another embedding than the memory holds.
        """
        return self.submit(plan).result()

    def _write(self, run: Callable[[Transaction], T]) -> Future[T]:
        return self._writer.submit(run)

    # ---------------------------------------------------------------------------------------------------------------- reads
    @contextmanager
    def _reading(self) -> Iterator[Session]:
        if self._closed:
            raise ClosedError(f"the ledger at {self._database.name} is closed; open the memory again")
        try:
            session = self._idle.pop()
        except IndexError:
            session = self._database.connect(writing=False)
        try:
            with self._database.translating("read"):
                yield session
        except BaseException:
            self._database.retire(session)
            raise
        self._idle.append(session)
        if self._closed:
            self._retire_idle()

    def _retire_idle(self) -> None:
        while True:
            try:
                session = self._idle.pop()
            except IndexError:
                return
            self._database.retire(session)

    def _namespace_id(self, session: Session, namespace: Namespace) -> int | None:
        path = namespace_path(namespace)
        known = self._namespace_ids.get(path)
        if known is None:
            known = reads.namespace_id(session, path)
            if known is not None:
                self._namespace_ids[path] = known
        return known

    def head(self, namespace: Namespace | None = None) -> int:
        """Last log position, or the last one that changed something in `namespace`; 0 when there is none."""
        with self._reading() as session:
            return reads.head(session) if namespace is None else reads.namespace_head(session, namespace_path(namespace))

    def changes(self, after: int, namespace: Namespace | None = None, limit: int = 10_000) -> list[Change]:
        """The edit log after position `after`, in order. About `limit` entries, never a part of an operation; empty at the end. An
        operation that edits nothing has no entry, so a follower that has read to the end stands at the `head` it read before."""
        with self._reading() as session:
            ns = None if namespace is None else self._namespace_id(session, namespace)
            if namespace is not None and ns is None:
                return []
            return reads.changes(session, after, ns, max(1, limit))

    def nodes(
        self,
        namespace: Namespace,
        *,
        after: int = 0,
        kinds: Sequence[str] | None = None,
        at: int | None = None,
        bodies: bool = True,
    ) -> list[NodeRow]:
        """Current versions of live nodes, in log order: those written after position `after`; as of position `at`. Versions whose time
        has expired are there until they are swept; erased ones are not, at any position. ``bodies=False`` leaves the bodies out."""
        with self._reading() as session:
            ns = self._namespace_id(session, namespace)
            return [] if ns is None else reads.current_nodes(session, ns, after=after, kinds=kinds, at=at, bodies=bodies)

    def load(self, namespace: Namespace, ids: Sequence[str]) -> dict[str, NodeRow]:
        """Versions by id, whether current, superseded, undone or erased; unknown ids are absent."""
        with self._reading() as session:
            ns = self._namespace_id(session, namespace)
            return {} if ns is None else reads.load(session, ns, ids)

    def current(self, namespace: Namespace, keys: Sequence[str]) -> dict[str, NodeRow]:
        """Current versions by store key; absent and expired ones are left out."""
        with self._reading() as session:
            ns = self._namespace_id(session, namespace)
            return {} if ns is None else reads.current(session, ns, keys, self._clock())

    def edges(self, namespace: Namespace, *, after: int = 0) -> list[EdgeRow]:
        """Stored edges of live operations, in log order, one row for each operation that wrote it."""
        with self._reading() as session:
            ns = self._namespace_id(session, namespace)
            return [] if ns is None else reads.edge_rows(session, ns, after)

    def evidence(self, namespace: Namespace, *, after: int = 0) -> list[EvidenceRow]:
        """Evidence of live operations, in log order."""
        with self._reading() as session:
            ns = self._namespace_id(session, namespace)
            return [] if ns is None else reads.evidence_rows(session, ns, after)

    def vectors(self, namespace: Namespace, hashes: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Vectors (d,) float32, read-only, by content hash, of the memory's embedding; unknown hashes are absent."""
        with self._reading() as session:
            ns = self._namespace_id(session, namespace)
            found = session.one(_META, {"key": "embedding"})
            embedding = applying.stored_embedding(found[0] if found else None)
            return {} if ns is None or embedding is None else reads.vector_rows(session, ns, hashes, embedding[0])

    # ----------------------------------------------------------------------------------------------------- commits, operations
    def commits(self, namespace: Namespace) -> list[CommitRow]:
        """All commits of a namespace in log order, undone ones too (`live` is False)."""
        with self._reading() as session:
            ns = self._namespace_id(session, namespace)
            return [] if ns is None else reads.commit_rows(session, ns)

    def resolve_episode(self, namespace: Namespace, episode_id: str) -> list[CommitRow]:
        """Commits of an episode (several when branches differ), in log order; empty when there is none."""
        with self._reading() as session:
            ns = self._namespace_id(session, namespace)
            return [] if ns is None else reads.commits_of_episode(session, ns, episode_id)

    def resolve_run(self, run_id: str) -> list[CommitRow]:
        """Commits of a run, in any namespace, in log order."""
        with self._reading() as session:
            return reads.commits_of_run(session, run_id)

    def operations(self, namespace: Namespace | None = None, *, limit: int = 100) -> list[OperationRow]:
        """The log as people read it: the newest `limit` operations, newest first."""
        with self._reading() as session:
            ns = None if namespace is None else self._namespace_id(session, namespace)
            return [] if namespace is not None and ns is None else reads.operation_rows(session, ns, limit)

    def operation(self, id: str) -> OperationRow | None:  # noqa: A002  # the field's name
        with self._reading() as session:
            return reads.operation_row(session, id)

    # ------------------------------------------------------------------------------------------------------------ embedding
    def embedding(self) -> tuple[str, int] | None:
        """(fingerprint, dimensions) of the memory's vectors; None until the first ones are written."""
        with self._reading() as session:
            found = session.one(_META, {"key": "embedding"})
            return applying.stored_embedding(found[0] if found else None)

    def check_embedding(self, fingerprint: str, dims: int | None) -> None:
        """Declare the embedding whose vectors this process writes.

        Raises:
            EmbeddingMismatchError: the memory's vectors came from another embedding.
            DimensionMismatchError: they have another length than `dims`.
        """
        stored = self.embedding()
        if stored is not None:
            applying.compare_embedding(stored, fingerprint, dims)
        self._fingerprint = fingerprint

    # ------------------------------------------------------------------------------------------------------------------ end
    def close(self) -> None:
        """Finish queued writes and close all connections. Safe to call twice."""
        self._closed = True
        self._finalizer()
        self._retire_idle()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
