"""Operations as people read them: who did what when, and what was undone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, bindparam, exists, select

from langgraph_fluxmem.ledger.rows import OperationRow
from langgraph_fluxmem.ledger.sql import Session, Statement, any_of
from langgraph_fluxmem.ledger.tables import dead, namespaces, operations, undoes
from langgraph_fluxmem.schema import Provenance

PROVENANCE = tuple(Provenance.model_fields)


def provenance_of(values: Sequence[Any]) -> Provenance:
    return Provenance(**dict(zip(PROVENANCE, values, strict=True)))


def _select_operations() -> Select[Any]:
    return select(
        operations.c.id,
        operations.c.kind,
        namespaces.c.path,
        operations.c.position,
        operations.c.at,
        operations.c.edits,
        operations.c.commit_id,
        exists().where(dead.c.op == operations.c.position, dead.c.until.is_(None)).label("undone"),
        *(operations.c[name] for name in PROVENANCE),
    ).join(namespaces, namespaces.c.id == operations.c.ns)


_OPERATIONS = Statement(_select_operations().order_by(operations.c.position.desc()).limit(bindparam("max")))
_OPERATIONS_OF = Statement(
    _select_operations().where(operations.c.ns == bindparam("ns")).order_by(operations.c.position.desc()).limit(bindparam("max"))
)
_OPERATION = Statement(_select_operations().where(operations.c.id == bindparam("id")))
_OPERATIONS_AT = Statement(_select_operations().where(any_of(operations.c.position, "ops")).order_by(operations.c.position))
_UNDOES = Statement(
    select(undoes.c.op, operations.c.id)
    .join(operations, operations.c.position == undoes.c.target)
    .where(any_of(undoes.c.op, "ops"))
    .order_by(undoes.c.target)
)


def _operation_rows(session: Session, found: list[tuple[Any, ...]]) -> list[OperationRow]:
    targets: dict[int, list[str]] = {}
    asked = [row[3] for row in found if row[1] == "undo"]
    for op, id_ in session.all(_UNDOES, {"ops": session.list(asked)}) if asked else ():
        targets.setdefault(op, []).append(id_)
    return [
        OperationRow(
            id_,
            kind,
            tuple(json.loads(path)),
            position,
            at,
            provenance_of(provenance),
            count,
            commit,
            tuple(targets.get(position, ())),
            bool(undone),
        )
        for id_, kind, path, position, at, count, commit, undone, *provenance in found
    ]


def operation_rows(session: Session, ns: int | None, limit: int) -> list[OperationRow]:
    found = session.all(_OPERATIONS, {"max": limit}) if ns is None else session.all(_OPERATIONS_OF, {"ns": ns, "max": limit})
    return _operation_rows(session, found)


def operation_row(session: Session, operation: str) -> OperationRow | None:
    rows = _operation_rows(session, session.all(_OPERATION, {"id": operation}))
    return rows[0] if rows else None


def operations_at(session: Session, positions: Sequence[int]) -> dict[int, OperationRow]:
    return {row.position: row for row in _operation_rows(session, session.all(_OPERATIONS_AT, {"ops": session.list(positions)}))}
