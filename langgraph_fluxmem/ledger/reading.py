"""The reads of a ledger, each on a session of its own; nothing here writes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import bindparam, select

from langgraph_fluxmem.ledger import apply as applying
from langgraph_fluxmem.ledger import commits, compacting, expiry, integrity, journal, leases, reads, undo
from langgraph_fluxmem.ledger import history as histories
from langgraph_fluxmem.ledger.database import Database
from langgraph_fluxmem.ledger.plans import namespace_path
from langgraph_fluxmem.ledger.readers import Readers, Reading, patient
from langgraph_fluxmem.ledger.rows import BodyRow, Change, CommitRow, EdgeRow, EvidenceRow, NodeRow, OperationRow, RawBody, decoded
from langgraph_fluxmem.ledger.sql import Session, Statement
from langgraph_fluxmem.ledger.tables import meta
from langgraph_fluxmem.schema import Namespace

T = TypeVar("T")
EVER = float("-inf")
"""The moment at which nothing has expired."""
META = Statement(select(meta.c.value).where(meta.c.key == bindparam("key")))


class LedgerReads:
    """What a ledger is asked, from any thread."""

    def __init__(self, database: Database, memory_id: str, clock: Callable[[], float], connections: int) -> None:
        self.memory_id = memory_id
        self.database = database
        self._clock = clock
        self._readers = Readers(database, connections)
        self._namespace_ids: dict[str, int] = {}

    def now(self) -> float:
        """Seconds since the epoch by the ledger's clock, which decides what has expired."""
        return self._clock()

    @patient
    def read(self, run: Callable[[Session], T]) -> T:
        """Run a reading on a session of its own; it may end anywhere, must not write, and is run again where the server was away."""
        with self._reading() as session:
            return run(session)

    def _reading(self) -> Reading:
        return Reading(self._readers)

    def _namespace_id(self, session: Session, namespace: Namespace) -> int | None:
        path = namespace_path(namespace)
        known = self._namespace_ids.get(path)
        if known is None:
            known = reads.namespace_id(session, path)
            if known is not None:
                self._namespace_ids[path] = known
        return known

    # ---------------------------------------------------------------------------------------------------------------- nodes and the log
    @patient
    def head(self, namespace: Namespace | None = None) -> int:
        """Last log position, or the last one that changed something in `namespace`; 0 when there is none."""
        with self._reading() as session:
            return reads.head(session) if namespace is None else reads.namespace_head(session, namespace_path(namespace))

    @patient
    def changes(self, after: int, namespace: Namespace | None = None, limit: int = 10_000) -> list[Change]:
        """The edit log after position `after`, in order. About `limit` entries, never a part of an operation; empty at the end. An
        operation that edits nothing has no entry, so a follower that has read to the end stands at the `head` it read before."""
        with self._reading() as session:
            ns = None if namespace is None else self._namespace_id(session, namespace)
            if namespace is not None and ns is None:
                return []
            return reads.changes(session, after, ns, max(1, limit))

    @patient
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

    @patient
    def load(self, namespace: Namespace, ids: Sequence[str]) -> dict[str, NodeRow]:
        """Versions by id, whether current, superseded, undone or erased; unknown ids are absent."""
        with self._reading() as session:
            ns = self._namespace_id(session, namespace)
            return {} if ns is None else reads.load(session, ns, ids)

    def bodies(self, namespace: Namespace, ids: Sequence[str]) -> dict[str, BodyRow]:
        """As `load`, but only what the versions say: a fifth of the time."""
        return {row.id: row for row in decoded(self.raw_bodies(namespace, ids))}

    @patient
    def raw_bodies(self, namespace: Namespace, ids: Sequence[str]) -> list[RawBody]:
        """As `bodies`, as the ledger holds them."""
        with self._reading() as session:
            ns = self._namespace_id(session, namespace)
            return [] if ns is None else reads.raw_bodies(session, ns, ids)

    @patient
    def newest_bodies(self, namespace: Namespace, kinds: Sequence[str], limit: int, room: Callable[[RawBody], bool]) -> list[RawBody]:
        """At most `limit` current versions of these kinds, newest first, up to the first that there is no `room` for."""
        with self._reading() as session:
            ns = self._namespace_id(session, namespace)
            return [] if ns is None else reads.newest_bodies(session, ns, kinds, limit, room)

    @patient
    def erased(self, after: int) -> list[str] | None:
        """Versions, of any namespace, that operations after position `after` erased; None when the log was compacted beyond that."""
        with self._reading() as session:
            return None if compacting.horizon(session) > after else reads.erased(session, after)

    @patient
    def horizon(self) -> int:
        """The position up to which the log was compacted: operations up to it cannot be undone, nor the memory read as of then. 0: never."""
        with self._reading() as session:
            return compacting.horizon(session)

    @patient
    def size(self) -> int:
        """Bytes that the ledger takes where it is kept."""
        with self._reading() as session:
            return self.database.size(session)

    @patient
    def current(self, namespace: Namespace, keys: Sequence[str], *, expired: bool = False) -> dict[str, NodeRow]:
        """Current versions by store key; absent ones are left out, and so are expired ones unless `expired`."""
        with self._reading() as session:
            ns = self._namespace_id(session, namespace)
            return {} if ns is None else reads.current(session, ns, keys, EVER if expired else self._clock())

    @patient
    def edges(self, namespace: Namespace, *, after: int = 0) -> list[EdgeRow]:
        """Stored edges of live operations, in log order, one row for each operation that wrote it."""
        with self._reading() as session:
            ns = self._namespace_id(session, namespace)
            return [] if ns is None else reads.edge_rows(session, ns, after)

    @patient
    def evidence(self, namespace: Namespace, *, after: int = 0) -> list[EvidenceRow]:
        """Evidence of live operations, in log order."""
        with self._reading() as session:
            ns = self._namespace_id(session, namespace)
            return [] if ns is None else reads.evidence_rows(session, ns, after)

    @patient
    def vectors(self, namespace: Namespace, hashes: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Vectors (d,) float32, read-only, by content hash, of the memory's embedding; unknown hashes are absent."""
        with self._reading() as session:
            ns = self._namespace_id(session, namespace)
            found = session.one(META, {"key": "embedding"})
            embedding = applying.stored_embedding(found[0] if found else None)
            return {} if ns is None or embedding is None else reads.vector_rows(session, ns, hashes, embedding[0])

    # -------------------------------------------------------------------------------------------------------------- commits, operations
    @patient
    def commits(self, namespace: Namespace, *, after: int = 0) -> list[CommitRow]:
        """The commits of a namespace after position `after`, in log order, undone ones too (`live` is False)."""
        with self._reading() as session:
            ns = self._namespace_id(session, namespace)
            return [] if ns is None else commits.commit_rows(session, ns, after)

    @patient
    def commits_named(self, namespace: Namespace, ids: Sequence[str]) -> list[CommitRow]:
        """Those of these commits that are of a namespace, in log order; unknown ids are absent."""
        with self._reading() as session:
            ns = self._namespace_id(session, namespace)
            return [] if ns is None else commits.commits_named(session, ns, ids)

    @patient
    def resolve_episode(self, namespace: Namespace | None, episode_id: str) -> list[CommitRow]:
        """Commits of an episode (several when branches differ), in log order; in any namespace when that is None; empty when none."""
        with self._reading() as session:
            ns = None if namespace is None else self._namespace_id(session, namespace)
            return [] if namespace is not None and ns is None else commits.commits_of_episode(session, ns, episode_id)

    @patient
    def resolve_run(self, run_id: str) -> list[CommitRow]:
        """Commits of a run, in any namespace, in log order."""
        with self._reading() as session:
            return commits.commits_of_run(session, run_id)

    @patient
    def operations(self, namespace: Namespace | None = None, *, limit: int = 100) -> list[OperationRow]:
        """The log as people read it: the newest `limit` operations, newest first."""
        with self._reading() as session:
            ns = None if namespace is None else self._namespace_id(session, namespace)
            return [] if namespace is not None and ns is None else journal.operation_rows(session, ns, limit)

    @patient
    def operation(self, id: str) -> OperationRow | None:
        with self._reading() as session:
            return journal.operation_row(session, id)

    @patient
    def operations_at(self, positions: Sequence[int]) -> dict[int, OperationRow]:
        """Operations by log position; positions that have none are absent."""
        with self._reading() as session:
            return journal.operations_at(session, positions)

    @patient
    def places(self, id: str) -> list[tuple[Namespace, str]]:
        """(namespace, node) of a version id, or of a node id in every namespace that has it; empty when nothing is called so."""
        with self._reading() as session:
            return histories.places(session, id)

    @patient
    def history(self, namespace: Namespace, node: str) -> histories.History:
        """Versions of a node, and edges and evidence that name it, with whether each counts now."""
        with self._reading() as session:
            ns = self._namespace_id(session, namespace)
            if ns is None:
                return histories.History((), (), ())
            return histories.since_reset(histories.history(session, ns, node), reads.last_reset(session, ns))

    @patient
    def timeline(self, namespace: Namespace) -> histories.Timeline:
        """All that was ever written in a namespace, without what it says, and when it did not count."""
        with self._reading() as session:
            ns = self._namespace_id(session, namespace)
            return histories.Timeline((), (), (), {}, ()) if ns is None else histories.timeline(session, ns)

    @patient
    def dependents(self, operation: str, namespace: Namespace | None = None) -> tuple[str, ...]:
        """Ids, in log order, of the operations that ``undo(operation, cascade=True)`` would undo with it; with a `namespace` those of it alone.

        Raises:
            UnknownIdError: no such operation.
        """
        with self._reading() as session:
            ns = None if namespace is None else self._namespace_id(session, namespace)
            return undo.dependents(session, undo.position_of(session, operation), ns)

    # ----------------------------------------------------------------------------------------------------------------------- namespaces
    @patient
    def namespaces(self, kinds: Sequence[str] | None = None, *, expired: bool = False) -> list[Namespace]:
        """Namespaces that hold a current node (of these kinds), sorted. What has expired does not count unless `expired`."""
        with self._reading() as session:
            return expiry.holding(session, EVER if expired else self._clock(), kinds)

    @patient
    def holds(self, namespace: Namespace, kinds: Sequence[str]) -> bool:
        """Whether a namespace holds a current node of these kinds, expired ones included."""
        with self._reading() as session:
            ns = self._namespace_id(session, namespace)
            return ns is not None and expiry.holds(session, ns, kinds)

    @patient
    def holding(self, namespaces: Collection[Namespace], kinds: Sequence[str]) -> set[Namespace]:
        """Those of these namespaces that hold a current node of these kinds, expired ones included."""
        with self._reading() as session:
            return expiry.holding_of(session, {namespace_path(namespace): namespace for namespace in namespaces}, kinds)

    @patient
    def heads(self, after: int) -> dict[Namespace, int]:
        """The namespaces that changed after position `after`, with the last position that changed each."""
        with self._reading() as session:
            return reads.heads(session, after)

    def list_namespaces(
        self,
        *,
        prefix: Sequence[str] = (),
        suffix: Sequence[str] = (),
        max_depth: int | None = None,
        kinds: Sequence[str] | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Namespace]:
        """`namespaces` that begin with `prefix` and end with `suffix`, by segment (``"*"``: any one), cut to `max_depth` segments, each
        once, sorted."""
        found = [n for n in self.namespaces(kinds) if expiry.matches(n, prefix, at_end=False) and expiry.matches(n, suffix, at_end=True)]
        cut = sorted({namespace[:max_depth] for namespace in found})
        return cut[offset : None if limit is None else offset + limit]

    # ------------------------------------------------------------------------------------------------------- cursors, leases, embedding
    @patient
    def cursor(self, name: str) -> int:
        """Log position up to which the projection `name` has followed; 0 when it never did."""
        with self._reading() as session:
            return leases.cursor(session, name)

    @patient
    def leased(self, name: str, owner: str) -> bool:
        """Whether somebody else than `owner` holds the lease now."""
        with self._reading() as session:
            return leases.leased(session, name, owner, self._clock())

    @patient
    def check_lease(self, name: str, token: int) -> None:
        """Raise `LeaseLostError` unless `token` holds the lease now. To write only while it does, pass ``fence=`` to `apply`."""
        with self._reading() as session:
            leases.check(session, name, token, self._clock())

    @patient
    def embedding(self) -> tuple[str, int] | None:
        """(fingerprint, dimensions) of the memory's vectors; None until the first ones are written."""
        with self._reading() as session:
            found = session.one(META, {"key": "embedding"})
            return applying.stored_embedding(found[0] if found else None)

    @patient
    def check(self) -> list[str]:
        """Integrity of the ledger: one line for each difference, ``[]`` when it is clean."""
        with self._reading() as session:
            return integrity.check(session)
