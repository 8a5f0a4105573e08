"""Compaction: what only the past needs is dropped up to a horizon, a position of the log; what holds after it stays as it was.

Up to the horizon go superseded, undone and erased versions, edges and evidence of operations that do not count, evidence from before a
reset, vectors that nothing refers to, and operations of which nothing is left. Commits stay: a node that runs again must still find its
episode. The steps are transactions of their own, in an order in which each leaves a sound ledger; after a kill the same call goes on.

Nothing up to the horizon can be undone or read as of then any more, so the horizon is noted before anything is dropped. Followers that had
not come so far are told by an entry ``compact`` that names it, and read anew (`rows.begins_anew`).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, delete, exists, func, literal_column, or_, select, update

from langgraph_fluxmem.errors import ConfigError
from langgraph_fluxmem.ledger.apply import delete_texts, write_edits, write_operation
from langgraph_fluxmem.ledger.reads import is_live
from langgraph_fluxmem.ledger.sql import Session, Statement, any_of, insert_into
from langgraph_fluxmem.ledger.tables import (
    SEQ_BITS,
    commits,
    dead,
    edges,
    edits,
    evidence,
    meta,
    namespaces,
    nodes,
    operations,
    rests_on,
    undoes,
)
from langgraph_fluxmem.ledger.writer import Transaction
from langgraph_fluxmem.schema import RESET

KEY = "compacted"
COMPACT = "compact"
"""Verb of the operations, and of their only log entry."""
PAGE = 20_000
"""Operations that are looked at in one transaction."""


@dataclass(slots=True)
class Dropped:
    """How many rows went."""

    versions: int = 0
    vectors: int = 0
    edges: int = 0
    evidence: int = 0
    operations: int = 0

    def add(self, other: Dropped) -> None:
        """Count what another step dropped, too."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


_FIND = Statement(select(meta.c.value).where(meta.c.key == KEY))
_UNSET = Statement(delete(meta).where(meta.c.key == KEY))
_SET = insert_into(meta)
_NTH = Statement(select(operations.c.position).order_by(operations.c.position.desc()).limit(1).offset(bindparam("keep")))
_SINCE = Statement(select(func.min(operations.c.position)).where(operations.c.at >= bindparam("moment")))
_HEAD = Statement(select(func.max(operations.c.position)))
_LOWEST = Statement(select(func.min(undoes.c.target)).where(undoes.c.op > bindparam("h"), undoes.c.target <= bindparam("h")))


def horizon(session: Session) -> int:
    """The position up to which the memory was compacted; 0 when it never was."""
    found = session.one(_FIND)
    return int(found[0]) if found else 0


def set_horizon(tx: Transaction, keep: int | None, before: float | None) -> int:
    """Note and return the horizon that leaves the newest `keep` operations, or those since `before`, undoable; never lower than it was.

    It is lowered so far that no later undo reaches behind it.

    Raises:
        ConfigError: `keep` is negative.
    """
    session = tx.session
    last = session.one(_HEAD)
    newest = int(last[0]) if last and last[0] is not None else 0
    wanted = 0
    if keep is not None:
        if keep < 0:
            raise ConfigError(f"keep is {keep!r}; it is how many of the newest operations stay undoable, 0 or more")
        found = session.one(_NTH, {"keep": keep})
        wanted = int(found[0]) if found else 0
    elif before is not None:
        found = session.one(_SINCE, {"moment": before})
        wanted = newest if found is None or found[0] is None else int(found[0]) - 1
    while wanted > 0:
        found = session.one(_LOWEST, {"h": wanted})
        if found is None or found[0] is None:
            break
        wanted = int(found[0]) - 1
    was = horizon(session)
    if wanted <= was:
        return was
    session.run(_UNSET)
    session.run(_SET, {"key": KEY, "value": str(wanted)})
    return wanted


# ------------------------------------------------------------------------------------------------------------- rows of one namespace
_later = nodes.alias("later")
_PAST = Statement(
    select(nodes.c.seq, nodes.c.id, nodes.c.op, nodes.c.erased_by, nodes.c.texts).where(
        nodes.c.ns == bindparam("ns"),
        nodes.c.seq < bindparam("upto"),
        or_(
            nodes.c.tombstone == literal_column("1"),
            nodes.c.erased_by.is_not(None),
            ~is_live(nodes.c.op),
            exists().where(
                _later.c.ns == nodes.c.ns,
                _later.c.node == nodes.c.node,
                _later.c.seq > nodes.c.seq,
                _later.c.seq < bindparam("upto"),
                is_live(_later.c.op),
            ),
        ),
    )
)
_DROP_NODE = Statement(delete(nodes).where(nodes.c.seq == bindparam("seq")))
_DROP_ENTRY = Statement(delete(edits).where(and_(edits.c.position == bindparam("position"), edits.c.ordinal == bindparam("ordinal"))))
_DROP_ERASE = Statement(
    delete(edits).where(
        and_(edits.c.position == bindparam("position"), edits.c.edit == literal_column("'erase'"), edits.c.target == bindparam("target"))
    )
)


def _dead_ops(table: Any) -> Statement:
    return Statement(select(table.c.op).where(table.c.ns == bindparam("ns"), table.c.op <= bindparam("h"), ~is_live(table.c.op)).distinct())


def _drop_of(table: Any) -> Statement:
    return Statement(delete(table).where(table.c.ns == bindparam("ns"), any_of(table.c.op, "ops")))


def _drop_entries(edit: str) -> Statement:
    return Statement(delete(edits).where(edits.c.edit == literal_column(f"'{edit}'"), any_of(edits.c.position, "ops")))


_RESET = Statement(
    select(func.max(nodes.c.op)).where(
        nodes.c.ns == bindparam("ns"), nodes.c.node == literal_column(f"'{RESET}'"), nodes.c.op <= bindparam("h"), is_live(nodes.c.op)
    )
)
_BEFORE_RESET = Statement(select(evidence.c.op).where(evidence.c.ns == bindparam("ns"), evidence.c.op < bindparam("reset")).distinct())
_DEAD_EDGES, _DEAD_EVIDENCE = _dead_ops(edges), _dead_ops(evidence)
_DROP_EDGES, _DROP_EVIDENCE = _drop_of(edges), _drop_of(evidence)
_DROP_EDGE_ENTRIES, _DROP_EVIDENCE_ENTRIES = _drop_entries("edge"), _drop_entries("evidence")
_entries = select(func.count()).select_from(edits).where(edits.c.position == operations.c.position).scalar_subquery()
_RECOUNT = Statement(update(operations).where(any_of(operations.c.position, "ops")).values(edits=_entries))
_NAMESPACES = Statement(select(namespaces.c.id).order_by(namespaces.c.id))


def namespace_ids(session: Session) -> list[int]:
    """Every namespace, as the ledger numbers them."""
    return [int(id_) for (id_,) in session.all(_NAMESPACES)]


def compact_namespace(tx: Transaction, ns: int, h: int) -> Dropped:
    """Drop the rows of a namespace that only positions before `h` need, with their log entries."""
    session, out = tx.session, Dropped()
    past = session.all(_PAST, {"ns": ns, "upto": (h + 1) << SEQ_BITS})
    session.many(_DROP_NODE, [{"seq": seq} for seq, *_ in past])
    out.vectors += delete_texts(session, ns, [(hash_, seq) for seq, *_, texts in past if texts for _, hash_, _ in json.loads(texts)])
    ordinals = (1 << SEQ_BITS) - 1
    session.many(_DROP_ENTRY, [{"position": op, "ordinal": seq & ordinals} for seq, _, op, _, _ in past])
    session.many(_DROP_ERASE, [{"position": by, "target": id_} for _, id_, _, by, _ in past if by is not None])
    touched = {op for _, _, op, _, _ in past} | {by for *_, by, _ in past if by is not None}
    out.versions += len(past)

    idle = {int(op) for (op,) in session.all(_DEAD_EDGES, {"ns": ns, "h": h})}
    out.edges += _drop(session, ns, idle, _DROP_EDGES, _DROP_EDGE_ENTRIES)
    weak = {int(op) for (op,) in session.all(_DEAD_EVIDENCE, {"ns": ns, "h": h})}
    reset = session.one(_RESET, {"ns": ns, "h": h})
    if reset and reset[0] is not None:
        weak |= {int(op) for (op,) in session.all(_BEFORE_RESET, {"ns": ns, "reset": reset[0]})}
    out.evidence += _drop(session, ns, weak, _DROP_EVIDENCE, _DROP_EVIDENCE_ENTRIES)
    touched |= idle | weak
    if touched:
        session.run(_RECOUNT, {"ops": session.list(touched)})
        operation = f"{COMPACT}-{uuid.uuid4().hex}"
        write_edits(tx, write_operation(tx, operation, COMPACT, ns, edit_count=1), [(ns, COMPACT, str(h))])
    return out


def _drop(session: Session, ns: int, ops: set[int], rows: Statement, entries: Statement) -> int:
    if not ops:
        return 0
    listed = session.list(ops)
    session.run(entries, {"ops": listed})
    return session.run(rows, {"ns": ns, "ops": listed})


# ----------------------------------------------------------------------------------------------------------------------- the log
def _none(table: Any, *conditions: Any) -> Any:
    return ~exists().select_from(table).where(*conditions)


_p = operations.c.position
_EMPTY = Statement(
    select(_p).where(
        _p > bindparam("after"),
        _p <= bindparam("upto"),
        _none(nodes, nodes.c.seq >= _p * (1 << SEQ_BITS), nodes.c.seq < (_p + 1) * (1 << SEQ_BITS)),
        _none(nodes, nodes.c.erased_by == _p),
        _none(edges, edges.c.ns == operations.c.ns, edges.c.op == _p),
        _none(evidence, evidence.c.ns == operations.c.ns, evidence.c.op == _p),
        _none(commits, commits.c.op == _p),
        _none(undoes, undoes.c.op == _p),
        operations.c.kind != literal_column(f"'{COMPACT}'"),
    )
)
_GONE = {
    name: Statement(delete(table).where(any_of(column, "ops")))
    for name, table, column in (
        ("entries", edits, edits.c.position),
        ("spans", dead, dead.c.op),
        ("undoes", undoes, undoes.c.target),
        ("bases", rests_on, rests_on.c.base),
        ("dependents", rests_on, rests_on.c.op),
        ("operations", operations, operations.c.position),
    )
}
_FROZEN = Statement(delete(rests_on).where(rests_on.c.base <= bindparam("h")))


def compact_log(tx: Transaction, after: int, h: int) -> Dropped:
    """Drop operations of which nothing is left, in one page of positions after `after`."""
    session = tx.session
    params = {"after": after, "upto": min(after + PAGE, h)}
    gone = [int(position) for (position,) in session.all(_EMPTY, params)]
    if gone:
        for statement in _GONE.values():
            session.run(statement, {"ops": session.list(gone)})
    return Dropped(operations=len(gone))


def pages(h: int) -> Iterator[int]:
    """Where the pages of `compact_log` begin. An undo is dropped once what it undid is: go through them until nothing is dropped."""
    return iter(range(0, h, PAGE))


def freeze(tx: Transaction, h: int) -> None:
    """Drop what rests on operations that cannot be undone any more."""
    tx.session.run(_FROZEN, {"h": h})
