"""Undo, and what rests on what.

An operation is live iff no live operation undoes it; so an undo can itself be undone. Undoing is closed in both directions: what stops
counting takes along the live operations that refer to it, and what counts again needs the operations it refers to. Either kind is a
dependent, named and refused unless the undo cascades.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from sqlalchemy import and_, bindparam, func, select, update

from langgraph_fluxmem.edits import Applied
from langgraph_fluxmem.errors import DependentsError, LedgerError, UnknownIdError
from langgraph_fluxmem.ledger.apply import find_operation, write_edits, write_operation
from langgraph_fluxmem.ledger.compacting import horizon
from langgraph_fluxmem.ledger.sql import Session, Statement, any_of, insert_into
from langgraph_fluxmem.ledger.tables import dead, nodes, operations, rests_on, undoes
from langgraph_fluxmem.ledger.writer import Transaction
from langgraph_fluxmem.schema import FORGET, Provenance

_FIND = Statement(select(operations.c.position).where(operations.c.id == bindparam("id")))
_IS_DEAD = Statement(select(dead.c.since).where(dead.c.op == bindparam("op"), dead.c.until.is_(None)))
_UNDOERS = Statement(select(undoes.c.op).where(undoes.c.target == bindparam("op")))
_TARGETS = Statement(select(undoes.c.target).where(undoes.c.op == bindparam("op")))
_RESTING = Statement(select(rests_on.c.op).where(rests_on.c.base == bindparam("op")))
_BASES = Statement(select(rests_on.c.base).where(rests_on.c.op == bindparam("op")))
_NAMES = Statement(
    select(operations.c.position, operations.c.id, operations.c.kind, operations.c.ns)
    .where(any_of(operations.c.position, "ops"))
    .order_by(operations.c.position)
)
_ERASED = Statement(select(nodes.c.erased_by, nodes.c.op, nodes.c.id).where(any_of(nodes.c.erased_by, "ops")).order_by(nodes.c.seq))
_COUNT_UNDOERS = Statement(select(func.count()).select_from(undoes).where(undoes.c.target == bindparam("op")))
_INSERT_UNDOES = insert_into(undoes)
_INSERT_DEAD = insert_into(dead)
_REVIVE = Statement(update(dead).where(and_(dead.c.op == bindparam("b_op"), dead.c.until.is_(None))).values(until=bindparam("b_until")))


@dataclass(slots=True)
class Effect:
    """What would become of the ledger if `asked` were undone."""

    asked: set[int]
    dies: set[int] = field(default_factory=set)
    revives: set[int] = field(default_factory=set)
    needed: set[int] = field(default_factory=set)
    """Live operations that would have to be undone as well."""


def position_of(session: Session, operation: str) -> int:
    found = session.one(_FIND, {"id": operation})
    if found is None:
        gone = f" (those up to position {horizon(session)} may have been compacted away)" if horizon(session) else ""
        raise UnknownIdError(f"no operation {operation!r} in this memory{gone}; `log` lists those it holds")
    return int(found[0])


def _column(session: Session, statement: Statement, op: int) -> list[int]:
    return [int(row[0]) for row in session.all(statement, {"op": op})]


def _dead_since(session: Session, op: int) -> int | None:
    found = session.one(_IS_DEAD, {"op": op})
    return None if found is None else int(found[0])


def effect(session: Session, asked: set[int]) -> Effect:
    """Which operations stop and begin to count when a new live operation undoes `asked`, and what else that takes."""
    result = Effect(asked)
    below = _reachable(session, asked)
    live: dict[int, bool] = {}
    for op in sorted(below, reverse=True):
        live[op] = op not in asked and not any(
            live[undoer] if undoer in live else _dead_since(session, undoer) is None for undoer in _column(session, _UNDOERS, op)
        )
    for op, now in live.items():
        before = _dead_since(session, op) is None
        if before and not now:
            result.dies.add(op)
        elif now and not before:
            result.revives.add(op)
    for op in result.dies:
        for other in _column(session, _RESTING, op):
            if other not in result.dies and (other in result.revives or _dead_since(session, other) is None):
                result.needed.add(other)
    for op in result.revives:
        for base in _column(session, _BASES, op):
            if base not in result.revives and _dead_since(session, base) is not None:
                undoers = _column(session, _UNDOERS, base)
                result.needed.update(u for u in undoers if (live[u] if u in live else _dead_since(session, u) is None))
    result.needed -= asked
    return result


def _reachable(session: Session, asked: set[int]) -> set[int]:
    """`asked`, what they undo, what that undid, and so on."""
    seen: set[int] = set()
    todo = list(asked)
    while todo:
        op = todo.pop()
        if op not in seen:
            seen.add(op)
            todo.extend(_column(session, _TARGETS, op))
    return seen


def closure(session: Session, op: int) -> Effect:
    """The effect of undoing `op` together with all that it takes."""
    result = effect(session, {op})
    while result.needed:
        result = effect(session, result.asked | result.needed)
    return result


def dependents(session: Session, op: int, ns: int | None = None) -> tuple[str, ...]:
    """Ids, in log order, of the operations (of namespace `ns`; None: of any) that undoing `op` would have to undo as well; none when it is
    undone already."""
    if _dead_since(session, op) is not None:
        return ()
    others = closure(session, op).asked - {op}
    return tuple(row[1] for row in session.all(_NAMES, {"ops": session.list(others)}) if ns is None or row[3] == ns)


def undo(tx: Transaction, operation: str, *, cascade: bool, memory_id: str, provenance: Provenance) -> Applied:
    """Write one operation ``undo``. An operation that is undone already is left so: the answer is a duplicate.

    Raises:
        UnknownIdError: no such operation.
        DependentsError: later operations rest on it, and `cascade` is False.
        LedgerError: it erased content that would have to come back.
    """
    session = tx.session
    op = position_of(session, operation)
    if session.all(_NAMES, {"ops": session.list([op])})[0][2] == FORGET:
        raise LedgerError(f"operation {operation!r} forgot for good, which cannot be undone; write the content again instead")
    since = _dead_since(session, op)
    if since is not None:
        return Applied(session.all(_NAMES, {"ops": session.list([since])})[0][1], since, duplicate=True)
    _refuse_compacted(session, operation, {op})
    result = closure(session, op)
    _refuse_compacted(session, operation, result.asked)
    names = {row[0]: row for row in session.all(_NAMES, {"ops": session.list(result.asked | result.dies | result.revives)})}
    others = tuple(row[1] for position, row in names.items() if position in result.asked and position != op)
    if others and not cascade:
        shown = ", ".join(f"{row[2]} {row[1]}" for position, row in names.items() if position in result.asked and position != op)
        raise DependentsError(f"operation {operation!r} has dependents: {shown}; undo them first, or pass cascade=True", others)
    _refuse_erased(session, result)

    times = session.one(_COUNT_UNDOERS, {"op": op})
    id_ = str(uuid.uuid5(uuid.UUID(memory_id), f"undo {operation} {times[0] if times else 0}"))
    if find_operation(tx, id_) is not None:
        raise LedgerError(f"the undo {id_!r} is in the log but undoes nothing; run check() and restore a backup")
    entries = [
        (row[3], "undo" if position in result.dies else "redo", row[1])
        for position, row in names.items()
        if position in result.dies | result.revives
    ]
    ns = names[op][3]
    position = write_operation(tx, id_, "undo", ns, provenance, edit_count=len(entries))
    session.many(_INSERT_UNDOES, [{"op": position, "target": target} for target in sorted(result.asked)])
    session.many(_INSERT_DEAD, [{"op": target, "since": position, "until": None} for target in sorted(result.dies)])
    session.many(_REVIVE, [{"b_op": target, "b_until": position} for target in sorted(result.revives)])
    write_edits(tx, position, entries)
    return Applied(id_, position)


def _refuse_compacted(session: Session, operation: str, ops: set[int]) -> None:
    """Refuse when what an operation replaced was dropped."""
    upto = horizon(session)
    if min(ops) <= upto:
        raise LedgerError(
            f"operation {operation!r} cannot be undone: it reaches back to position {min(ops)}, and the memory was compacted up to {upto}, so "
            "what it replaced is gone; write that again instead, or compact with a larger keep= next time"
        )


def _refuse_erased(session: Session, result: Effect) -> None:
    """Refuse when an erasure would be undone while the operation that wrote the content counts."""
    for by, op, version in session.all(_ERASED, {"ops": session.list(result.dies)}):
        counts = op not in result.dies and (op in result.revives or _dead_since(session, op) is None)
        if counts:
            name = session.all(_NAMES, {"ops": session.list([by])})[0][1]
            raise LedgerError(
                f"operation {name!r} erased version {version!r} for good and cannot be undone; write the content again instead"
            )
