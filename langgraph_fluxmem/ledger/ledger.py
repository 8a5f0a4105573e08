"""`Ledger`: the truth of a memory. Writes go through one writer thread, reads through sessions of their own."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Self, TypeVar

from langgraph_fluxmem.edits import Applied, Plan
from langgraph_fluxmem.ledger import apply as applying
from langgraph_fluxmem.ledger import expiry, leases, migrations, reindexing, undo
from langgraph_fluxmem.ledger.database import Database, Durability
from langgraph_fluxmem.ledger.plans import namespace_path, prepare
from langgraph_fluxmem.ledger.readers import patient
from langgraph_fluxmem.ledger.reading import META, LedgerReads
from langgraph_fluxmem.ledger.writer import Transaction, Writer
from langgraph_fluxmem.schema import Namespace, Provenance

T = TypeVar("T")
CONNECTIONS = 16
"""Connections to a database server that one process reads with at most."""


class Ledger(LedgerReads):
    """Nodes and versions, evidence, edges, vectors, commits, and the edit log that every projection follows.

    Open it with `Ledger.open`; use it from any thread; several processes may hold one address. Every method raises `ClosedError` after
    `close`, and `LedgerError` when the database fails.
    """

    def __init__(self, database: Database, memory_id: str, clock: Callable[[], float], connections: int = CONNECTIONS) -> None:
        super().__init__(database, memory_id, clock, connections)
        self._fingerprint: str | None = None
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
        connections: int = CONNECTIONS,
    ) -> Self:
        """Open or make a ledger.

        Args:
            address: a directory (made when missing; the file in it is ``ledger.sqlite``), or a ``postgresql://`` URL.
            durability: ``"process"``: acknowledged writes survive a kill of the process. ``"power"``: they are synced to disk first.
            busy_timeout: seconds a write waits for another process, and everything for a database server that is away.
            clock: seconds since the epoch; for tests.
            connections: to Postgres, for reading, at most; one more writes.

        Raises:
            NotAMemoryError: a file, or a directory or database of something else.
            SchemaVersionError: written by a newer version of the package.
            LedgerError: it cannot be opened, read or written; the message says how to mend it.
        """
        database = Database(address, durability=durability, busy_timeout=busy_timeout)
        return cls(database, migrations.setup(database, clock()), clock, connections)

    # --------------------------------------------------------------------------------------------------------------------------- writes
    def submit(self, plan: Plan, *, fence: tuple[str, int] | None = None) -> Future[Applied]:
        """Queue a plan; the future is done when it is durable. Validation errors are raised here, the others by the future. With
        `fence`, a lease's (name, token), the plan is refused with `LeaseLostError` unless that token holds the lease at that moment.

        Raises:
            InvalidNamespaceError, InvalidContentError, InvalidVectorError, DimensionMismatchError: the plan is refused as a whole.
        """
        prepared = prepare(plan)
        fingerprint = self._fingerprint

        def run(tx: Transaction) -> Applied:
            if fence is not None:
                leases.check(tx.session, *fence, tx.now())
            return applying.apply(tx, prepared, fingerprint)

        return self._writer.submit(run, foresee=lambda tx: applying.foresee(tx, prepared))

    def apply(self, plan: Plan, *, fence: tuple[str, int] | None = None) -> Applied:
        """`submit`, and wait until it is durable. A plan whose operation id, or whose commit's (episode, digest), the ledger holds is a
        duplicate: nothing is written and the earlier position is returned.

        Raises:
            LedgerError: a version id was written before, or the database failed; nothing of the plan was written.
            StaleError: what the plan expects, or rests on, does not hold any more.
            EmbeddingMismatchError, DimensionMismatchError: vectors of another embedding than the memory holds.
            LeaseLostError: the lease of `fence` is lost.
        """
        return self.submit(plan, fence=fence).result()

    def submit_many(self, plans: Sequence[Plan]) -> Future[list[Applied]]:
        """Queue several plans, of other namespaces, that are applied together or not at all; otherwise as `submit`."""
        prepared = [prepare(plan) for plan in plans]
        fingerprint = self._fingerprint

        def foresee(tx: Transaction) -> None:
            for each in prepared:
                applying.foresee(tx, each)

        def run(tx: Transaction) -> list[Applied]:
            return [applying.apply(tx, each, fingerprint) for each in prepared]

        return self._writer.submit(run, foresee=foresee)

    def transact(self, run: Callable[[Transaction], T]) -> T:
        """Run a job in the writer's transaction and wait until it is durable; what it raises rolls it back and is raised here."""
        return self._writer.submit(run).result()

    def undo(self, operation: str, *, cascade: bool = False, provenance: Provenance | None = None) -> Applied:
        """Let an operation count no more (or again, when it is an undo itself): one new operation ``undo``, whose id and position are
        returned. An operation that is undone already is left so; the answer then names the undo that did it, as a duplicate.

        Raises:
            UnknownIdError: no such operation.
            DependentsError: other operations rest on it, and `cascade` is False.
            LedgerError: it erased content that would have to come back.
        """
        who = provenance or Provenance()
        return self._writer.submit(lambda tx: undo.undo(tx, operation, cascade=cascade, memory_id=self.memory_id, provenance=who)).result()

    def sweep_expired(self, now: float | None = None) -> int:
        """Erase versions whose time to live ended by `now` (default: the clock's), as operations ``expire``; returns how many nodes
        are gone by it."""
        moment = self._clock() if now is None else now
        return self._writer.submit(lambda tx: expiry.sweep(tx, moment, self.memory_id)).result()

    def refresh_expiry(self, namespace: Namespace, ids: Sequence[str], now: float | None = None) -> int:
        """Let the versions of these that have a time to live live that long from `now` on; not logged. Returns how many have one."""
        path, moment, wanted = namespace_path(namespace), self._clock() if now is None else now, tuple(ids)
        return self._writer.submit(lambda tx: expiry.refresh(tx, path, wanted, moment)).result()

    def clean(self) -> None:
        """Give back the space of what was deleted and overwrite what is left of it in the files. Writers of this process wait; those of other
        processes wait up to their busy timeout.

        Raises:
            LedgerError: another process keeps the files busy, or the disk is full.
        """
        self._writer.submit(self.database.clean, outside=True).result()

    # ------------------------------------------------------------------------------------------------------------------ cursors, leases
    def set_cursor(self, name: str, position: int) -> None:
        self._writer.submit(lambda tx: leases.set_cursor(tx, name, position)).result()

    def acquire_lease(self, name: str, owner: str, ttl: float) -> int | None:
        """Take lease `name` for `ttl` seconds. Returns a fencing token greater than all before it, or None while another owner holds
        the lease; the same owner takes it again at any time, and its older tokens are lost."""
        return self._writer.submit(lambda tx: leases.acquire(tx, name, owner, ttl)).result()

    def renew_lease(self, name: str, owner: str, token: int, ttl: float) -> None:
        """Hold the lease for `ttl` seconds from now.

        Raises:
            LeaseLostError: it expired, or a newer token holds it.
        """
        self._writer.submit(lambda tx: leases.renew(tx, name, owner, token, ttl)).result()

    def release_lease(self, name: str, owner: str, token: int) -> None:
        """Give the lease back; does nothing when it was lost."""
        self._writer.submit(lambda tx: leases.release(tx, name, owner, token)).result()

    # ------------------------------------------------------------------------------------------------------------------------ embedding
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

    @patient
    def check_terms(self, version: str, indexer: reindexing.Indexer) -> int:
        """Make the terms of stored texts again if other rules than those of `version` made them; returns how many nodes changed."""
        with self._reading() as session:
            found = session.one(META, {"key": reindexing.KEY})
        return 0 if found is not None and found[0] == version else reindexing.reindex(self._writer, version, indexer)

    # -------------------------------------------------------------------------------------------------------------------------- the end
    def backup(self, directory: str | os.PathLike[str]) -> None:
        """Write a consistent copy into a new or empty directory while the memory is in use (SQLite only; for Postgres use pg_dump).

        Raises:
            LedgerError: the directory holds something, cannot be written, or the ledger is on Postgres.
        """
        self.database.backup(directory)

    @property
    def closed(self) -> bool:
        return self._readers.closed

    def close(self) -> None:
        """Finish queued writes and close all connections. Safe to call twice."""
        self._readers.closed = True
        self._finalizer()
        self._readers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
