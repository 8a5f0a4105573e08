"""The ledger as it was at a position of the log, for reading: what was written later is not there, what was undone later counts.

What was erased since (deleted, expired or forgotten content) is gone at every position, and times to live are those of today.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BigInteger, bindparam, exists, func, literal_column, or_, select

from langgraph_fluxmem.errors import LedgerError
from langgraph_fluxmem.ledger import commits, reads
from langgraph_fluxmem.ledger.plans import namespace_path
from langgraph_fluxmem.ledger.rows import BodyRow, CommitRow, EdgeRow, EvidenceRow, NodeRow, OperationRow
from langgraph_fluxmem.ledger.sql import Session, Statement, any_of
from langgraph_fluxmem.ledger.tables import edits, namespaces, nodes, operations
from langgraph_fluxmem.schema import Namespace

if TYPE_CHECKING:
    from langgraph_fluxmem.ledger import Ledger

_HEAD = Statement(select(func.max(edits.c.position)).where(edits.c.ns == bindparam("ns"), edits.c.position <= bindparam("at")))
_HOLDING = Statement(
    select(namespaces.c.path)
    .where(
        exists().where(
            nodes.c.ns == namespaces.c.id,
            any_of(nodes.c.kind, "kinds"),
            nodes.c.tombstone == literal_column("0"),
            nodes.c.erased_by.is_(None),
            or_(nodes.c.expires_at.is_(None), nodes.c.expires_at > bindparam("now")),
            nodes.c.op <= bindparam("at", type_=BigInteger),
            reads.current_condition(nodes, "at"),
        )
    )
    .order_by(namespaces.c.path)
)
_AT_TIME = Statement(select(func.max(operations.c.position)).where(operations.c.at <= bindparam("at")))
_TIME = Statement(select(operations.c.at).where(operations.c.position <= bindparam("at")).order_by(operations.c.position.desc()).limit(1))
_FIRST_FROM = Statement(select(func.min(operations.c.position)).where(operations.c.checkpoint_id == bindparam("checkpoint")))
_EVER = float("-inf")
T = TypeVar("T")


def position_at(session: Session, seconds: float) -> int:
    """The last position written by a time, by the ledger's clock; 0 when there was none."""
    found = session.one(_AT_TIME, {"at": seconds})
    return int(found[0]) if found and found[0] is not None else 0


def time_of(session: Session, position: int) -> float:
    """When a position was written, epoch seconds; 0.0 before the first."""
    found = session.one(_TIME, {"at": position})
    return float(found[0]) if found else 0.0


def first_from(session: Session, checkpoint: str) -> int | None:
    """The first position whose operation started from a checkpoint."""
    found = session.one(_FIRST_FROM, {"checkpoint": checkpoint})
    return int(found[0]) if found and found[0] is not None else None


class PastLedger:
    """Reads of `ledger` as of `position`; `moment` is the time it then was. Names and answers are those of `Ledger`; nothing can be written.

    Closing it leaves the ledger open.
    """

    def __init__(self, ledger: Ledger, position: int, moment: float) -> None:
        self.memory_id = ledger.memory_id
        self.position = position
        self._ledger, self._moment = ledger, moment

    def _of(self, namespace: Namespace, read: Callable[[Session, int], T], empty: T) -> T:
        path = namespace_path(namespace)

        def answer(session: Session) -> T:
            ns = reads.namespace_id(session, path)
            return empty if ns is None else read(session, ns)

        return self._ledger.read(answer)

    def now(self) -> float:
        """Epoch seconds of the moment."""
        return self._moment

    def head(self, namespace: Namespace | None = None) -> int:
        if namespace is None:
            return self.position
        found = self._of(namespace, lambda session, ns: session.one(_HEAD, {"ns": ns, "at": self.position}), None)
        return int(found[0]) if found and found[0] is not None else 0

    def nodes(self, namespace: Namespace, *, after: int = 0, kinds: Sequence[str] | None = None, bodies: bool = True) -> list[NodeRow]:
        return self._ledger.nodes(namespace, after=after, kinds=kinds, at=self.position, bodies=bodies)

    def load(self, namespace: Namespace, ids: Sequence[str]) -> dict[str, NodeRow]:
        return self._ledger.load(namespace, ids)

    def bodies(self, namespace: Namespace, ids: Sequence[str]) -> dict[str, BodyRow]:
        return self._ledger.bodies(namespace, ids)

    def vectors(self, namespace: Namespace, hashes: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        return self._ledger.vectors(namespace, hashes)

    def embedding(self) -> tuple[str, int] | None:
        return self._ledger.embedding()

    def operations_at(self, positions: Sequence[int]) -> Mapping[int, OperationRow]:
        return self._ledger.operations_at(positions)

    def current(self, namespace: Namespace, keys: Sequence[str], *, expired: bool = False) -> dict[str, NodeRow]:
        now = _EVER if expired else self._moment
        return self._of(namespace, lambda session, ns: reads.current(session, ns, keys, now, self.position), {})

    def edges(self, namespace: Namespace, *, after: int = 0) -> list[EdgeRow]:
        return self._of(namespace, lambda session, ns: reads.edge_rows(session, ns, after, self.position), [])

    def evidence(self, namespace: Namespace, *, after: int = 0) -> list[EvidenceRow]:
        return self._of(namespace, lambda session, ns: reads.evidence_rows(session, ns, after, self.position), [])

    def commits(self, namespace: Namespace, *, after: int = 0) -> list[CommitRow]:
        return self._of(namespace, lambda session, ns: commits.commit_rows(session, ns, after, self.position), [])

    def namespaces(self, kinds: Sequence[str], *, expired: bool = False) -> list[Namespace]:
        now = _EVER if expired else self._moment

        def read(session: Session) -> list[Namespace]:
            found = session.all(_HOLDING, {"kinds": session.list(kinds), "now": now, "at": self.position})
            return sorted(tuple(json.loads(path)) for (path,) in found)

        return self._ledger.read(read)

    def heads(self, after: int) -> dict[Namespace, int]:
        """Nothing moves in the past."""
        del after
        return {}

    def refresh_expiry(self, namespace: Namespace, ids: Sequence[str], now: float | None = None) -> int:
        """Reading the past gives nothing more time."""
        del namespace, ids, now
        return 0

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise LedgerError("the past cannot be changed; call the memory itself, not what `as_of` gave")

    apply = submit = submit_many = undo = transact = _refuse

    def close(self) -> None:
        """Nothing to close."""
