"""Time to live, and which namespaces hold something."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import bindparam, exists, or_, select, update

from langgraph_fluxmem.edits import NodeWrite, Plan
from langgraph_fluxmem.ledger.apply import apply
from langgraph_fluxmem.ledger.plans import prepare
from langgraph_fluxmem.ledger.reads import current_condition
from langgraph_fluxmem.ledger.sql import Session, Statement, any_of
from langgraph_fluxmem.ledger.tables import namespaces, nodes
from langgraph_fluxmem.ledger.writer import Transaction
from langgraph_fluxmem.schema import Namespace

_PRESENT = (nodes.c.tombstone == 0, nodes.c.erased_by.is_(None))
_EXPIRED = Statement(
    select(
        namespaces.c.path,
        nodes.c.seq,
        nodes.c.id,
        nodes.c.node,
        nodes.c.kind,
        nodes.c.key,
        nodes.c.texts,
        current_condition(nodes).label("current"),
    )
    .join(namespaces, namespaces.c.id == nodes.c.ns)
    .where(nodes.c.expires_at <= bindparam("now"), *_PRESENT)
)
_REFRESH = Statement(
    update(nodes)
    .where(nodes.c.ns + 0 == bindparam("b_ns"), any_of(nodes.c.id, "b_ids"), nodes.c.ttl.is_not(None), *_PRESENT)
    .values(expires_at=bindparam("b_now") + nodes.c.ttl)
)


def _holding(*, kinds: bool) -> Statement:
    held = exists().where(
        nodes.c.ns == namespaces.c.id,
        *_PRESENT,
        or_(nodes.c.expires_at.is_(None), nodes.c.expires_at > bindparam("now")),
        current_condition(nodes),
    )
    if kinds:
        held = held.where(any_of(nodes.c.kind, "kinds"))
    return Statement(select(namespaces.c.path).where(held).order_by(namespaces.c.path))


_HOLDS = Statement(
    select(nodes.c.seq)
    .where(nodes.c.ns == bindparam("ns"), any_of(nodes.c.kind, "kinds"), *_PRESENT, current_condition(nodes))
    .order_by(nodes.c.seq.desc())
    .limit(1)
)
_HOLDING_OF = Statement(
    select(namespaces.c.path).where(
        any_of(namespaces.c.path, "paths"),
        exists().where(nodes.c.ns == namespaces.c.id, any_of(nodes.c.kind, "kinds"), *_PRESENT, current_condition(nodes)),
    )
)
_HOLDING = _holding(kinds=False)
_HOLDING_KINDS = _holding(kinds=True)


def sweep(tx: Transaction, now: float, memory_id: str) -> int:
    """Erase versions whose time has come: one operation ``expire`` per namespace. Current ones leave a tombstone.

    Returns the number of nodes that are gone by it.
    """
    by_path: dict[str, list[tuple[Any, ...]]] = {}
    for row in sorted(tx.session.all(_EXPIRED, {"now": now}), key=itemgetter(1)):
        by_path.setdefault(row[0], []).append(row[1:])
    gone = 0
    for path, rows in by_path.items():
        operation = str(uuid.uuid5(uuid.UUID(memory_id), f"expire {tx.peek_position()}"))
        tombstones = tuple(
            NodeWrite(str(uuid.uuid5(uuid.UUID(operation), node)), node, kind, None, key=key, erase=True)
            for _, _, node, kind, key, _, current in rows
            if current
        )
        buried = {write.node for write in tombstones}
        others = [(seq, id_, texts) for seq, id_, node, _, _, texts, _ in rows if node not in buried]
        apply(tx, prepare(Plan(operation, "expire", tuple(json.loads(path)), tombstones)), None, erase_too=others)
        gone += len(tombstones)
    return gone


def refresh(tx: Transaction, path: str, ids: Sequence[str], now: float) -> int:
    """Let versions with a time to live live that long from `now`; returns how many have one."""
    ns, known = tx.find_namespace(path)
    return tx.session.run(_REFRESH, {"b_ns": ns, "b_ids": tx.session.list(ids), "b_now": now}) if known else 0


def holding(session: Session, now: float, kinds: Sequence[str] | None = None) -> list[Namespace]:
    """Namespaces with a current node (of these kinds) whose time has not expired, sorted by path."""
    if kinds is None:
        found = session.all(_HOLDING, {"now": now})
    else:
        found = session.all(_HOLDING_KINDS, {"now": now, "kinds": session.list(kinds)})
    return sorted(tuple(json.loads(path)) for (path,) in found)


def holds(session: Session, ns: int, kinds: Sequence[str]) -> bool:
    """Whether a namespace has a current node of these kinds."""
    return session.one(_HOLDS, {"ns": ns, "kinds": session.list(kinds)}) is not None


def holding_of(session: Session, paths: Mapping[str, Namespace], kinds: Sequence[str]) -> set[Namespace]:
    """Which of these namespaces, by path, have a current node of these kinds."""
    found = session.all(_HOLDING_OF, {"paths": session.list(paths), "kinds": session.list(kinds)})
    return {paths[path] for (path,) in found}


def matches(namespace: Namespace, pattern: Sequence[str], *, at_end: bool) -> bool:
    """Whether `namespace` begins (or ends) with `pattern`, segment by segment; ``"*"`` stands for any one segment."""
    if len(pattern) > len(namespace):
        return False
    part = namespace[len(namespace) - len(pattern) :] if at_end else namespace[: len(pattern)]
    return all(want in ("*", found) for want, found in zip(pattern, part, strict=True))
