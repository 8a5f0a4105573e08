"""The reads, each one statement on a reader's session."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BigInteger, Select, and_, bindparam, func, literal_column, null, or_, select, type_coerce, union_all
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.expression import FromClause

from langgraph_fluxmem.edits import Text
from langgraph_fluxmem.ledger.rows import Change, EdgeRow, EvidenceRow, NodeRow, RawBody
from langgraph_fluxmem.ledger.sql import Session, Statement, any_of
from langgraph_fluxmem.ledger.tables import (
    SEQ_BITS,
    dead,
    edges,
    edits,
    evidence,
    namespaces,
    nodes,
    operations,
    vectors,
)
from langgraph_fluxmem.schema import RESET, Namespace


# ------------------------------------------------------------------------------------------------------------------ what counts
def dead_operations(at: str | None = None) -> Select[Any]:
    """Positions of operations that do not count now, or at the position in parameter `at`."""
    if at is None:
        return select(dead.c.op).where(dead.c.until.is_(None))
    p = bindparam(at, type_=BigInteger)
    return select(dead.c.op).where(dead.c.since <= p, or_(dead.c.until.is_(None), dead.c.until > p))


def is_live(op: ColumnElement[Any], at: str | None = None) -> ColumnElement[bool]:
    """The operation at position `op` counts."""
    live = op.not_in(dead_operations(at))
    return live if at is None else and_(op <= bindparam(at, type_=BigInteger), live)


def named(at: int | None) -> str | None:
    """The parameter that a statement takes a position by."""
    return None if at is None else "at"


def with_at(params: dict[str, Any], at: int | None) -> dict[str, Any]:
    """The parameters of a statement, with the position where it takes one."""
    return params if at is None else {**params, "at": at}


def current_condition(version: FromClause, at: str | None = None) -> ColumnElement[bool]:
    """`version` (nodes or an alias) is the latest live version of its node.

    Asked for each version by itself: one look into the index of (namespace, node, seq), whatever a planner thinks of the tables. As ``NOT
    EXISTS (a later one)`` Postgres makes a join of it, and without fresh statistics one that reads the whole namespace for each version.
    """
    other = nodes.alias("other")
    latest = select(other.c.seq).where(other.c.ns == version.c.ns, other.c.node == version.c.node, is_live(other.c.op, at))
    return version.c.seq == latest.order_by(other.c.seq.desc()).limit(1).scalar_subquery()


# ------------------------------------------------------------------------------------------------------------------------ nodes
def _node_columns(*, bodies: bool) -> list[Any]:
    return [
        nodes.c.id,
        nodes.c.node,
        nodes.c.kind,
        nodes.c.body if bodies else null(),
        nodes.c.texts,
        nodes.c.key,
        nodes.c.source,
        nodes.c.position,
        nodes.c.speaker,
        nodes.c.created_at,
        operations.c.at,
        nodes.c.expires_at,
        nodes.c.ttl,
        nodes.c.op,
        operations.c.commit_id,
        operations.c.id.label("operation"),
        nodes.c.tombstone,
        nodes.c.erased_by,
    ]


def _select_nodes(*, bodies: bool = True) -> Any:
    return select(*_node_columns(bodies=bodies)).join(operations, operations.c.position == nodes.c.op).where(nodes.c.ns == bindparam("ns"))


def _node_row(row: tuple[Any, ...], said: Sequence[Sequence[str]] | None = None) -> NodeRow:
    """`said` are its texts where they are decoded already."""
    (
        id_,
        node,
        kind,
        body,
        texts,
        key,
        source,
        position,
        speaker,
        created,
        updated,
        expires,
        ttl,
        op,
        commit,
        operation,
        tombstone,
        erased,
    ) = row
    return NodeRow(
        id_,
        node,
        kind,
        None if body is None else json.loads(body),
        tuple([Text(*text) for text in said]) if said is not None else _texts(texts) if texts else (),
        node if key is None else key,
        source,
        position,
        speaker,
        created,
        updated,
        expires,
        ttl,
        op,
        commit,
        operation,
        bool(tombstone),
        erased is not None,
    )


@functools.cache
def _current_nodes(*, kinds: bool, at: bool, bodies: bool) -> Statement:
    when = "at" if at else None
    query = _select_nodes(bodies=bodies).where(
        nodes.c.seq >= bindparam("from_seq", type_=BigInteger),
        nodes.c.tombstone == literal_column("0"),
        nodes.c.erased_by.is_(None),
        current_condition(nodes, when),
    )
    if kinds:
        query = query.where(any_of(nodes.c.kind, "kinds"))
    return Statement(query.order_by(nodes.c.seq))


def _current_by(found: ColumnElement[bool], at: str | None) -> Any:
    return _select_nodes().where(
        found,
        nodes.c.tombstone == literal_column("0"),
        nodes.c.erased_by.is_(None),
        or_(nodes.c.expires_at.is_(None), nodes.c.expires_at > bindparam("now")),
        current_condition(nodes, at),
    )


@functools.cache
def _current(at: str | None, *, one: bool) -> Statement:
    # Two halves, because one OR would be answered by reading the whole namespace. One key by itself, because Postgres would make a plan
    # for each list anew, which takes three times as long as looking.
    key, node = (
        (nodes.c.key == bindparam("key"), nodes.c.node == bindparam("key"))
        if one
        else (any_of(nodes.c.key, "keys"), any_of(nodes.c.node, "keys"))
    )
    return Statement(union_all(_current_by(key, at), _current_by(and_(nodes.c.key.is_(None), node), at)))


_LOAD = Statement(
    select(nodes.c.ns, *_node_columns(bodies=True)).join(operations, operations.c.position == nodes.c.op).where(any_of(nodes.c.id, "ids"))
)
_BODIES = Statement(
    select(nodes.c.ns, nodes.c.id, nodes.c.kind, nodes.c.key, nodes.c.node, nodes.c.body, nodes.c.texts).where(any_of(nodes.c.id, "ids"))
)
_NEWEST_BODIES = Statement(
    select(nodes.c.id, nodes.c.kind, nodes.c.key, nodes.c.node, nodes.c.body, nodes.c.texts)
    .where(
        nodes.c.ns == bindparam("ns"),
        nodes.c.tombstone == literal_column("0"),
        nodes.c.erased_by.is_(None),
        any_of(nodes.c.kind, "kinds"),
        current_condition(nodes),
    )
    .order_by(nodes.c.seq.desc())
    .limit(bindparam("max"))
)
_ERASED = Statement(select(nodes.c.id).where(nodes.c.erased_by > bindparam("after")))


def current_nodes(session: Session, ns: int, *, after: int, kinds: Sequence[str] | None, at: int | None, bodies: bool) -> list[NodeRow]:
    params: dict[str, Any] = {"ns": ns, "from_seq": (after + 1) << SEQ_BITS}
    if kinds is not None:
        params["kinds"] = session.list(kinds)
    if at is not None:
        params["at"] = at
    rows = session.all(_current_nodes(kinds=kinds is not None, at=at is not None, bodies=bodies), params)
    texts = json.loads(f"[{','.join([row[4] or '[]' for row in rows])}]")  # all in one go, which takes a third of the time
    return [_node_row(row, said) for row, said in zip(rows, texts, strict=True)]


def load(session: Session, ns: int, ids: Sequence[str]) -> dict[str, NodeRow]:
    # The namespace is compared here: a planner without statistics would rather read the whole of it than look ids up.
    return {row[1]: _node_row(row[1:]) for row in session.all(_LOAD, {"ids": session.list(ids)}) if row[0] == ns}


def raw_bodies(session: Session, ns: int, ids: Sequence[str]) -> list[RawBody]:
    found = session.all(_BODIES, {"ids": session.list(ids)})
    return [
        RawBody(id_, kind, node if key is None else key, body, texts) for space, id_, kind, key, node, body, texts in found if space == ns
    ]


def newest_bodies(session: Session, ns: int, kinds: Sequence[str], limit: int, room: Callable[[RawBody], bool]) -> list[RawBody]:
    out: list[RawBody] = []
    session.run(_NEWEST_BODIES, {"ns": ns, "kinds": session.list(kinds), "max": limit})
    try:
        for id_, kind, key, node, body, texts in session.cursor:
            row = RawBody(id_, kind, node if key is None else key, body, texts)
            if not room(row):
                break
            out.append(row)
    finally:
        session.end()
    return out


def erased(session: Session, after: int) -> list[str]:
    return [id_ for (id_,) in session.all(_ERASED, {"after": after})]


def _texts(texts: str) -> tuple[Text, ...]:
    return tuple([Text(*text) for text in json.loads(texts)])


def current(session: Session, ns: int, keys: Sequence[str], now: float, at: int | None = None) -> dict[str, NodeRow]:
    one = len(keys) == 1
    params = {"ns": ns, "now": now, **({"key": keys[0]} if one else {"keys": session.list(keys)})}
    found = (_node_row(row) for row in session.all(_current(named(at), one=one), with_at(params, at)))
    return {row.key: row for row in sorted(found, key=lambda row: row.op)}


# ------------------------------------------------------------------------------------------------- edges, evidence, vectors
@functools.cache
def _edges(at: str | None) -> Statement:
    return Statement(
        select(edges.c.id, edges.c.kind, edges.c.src, edges.c.dst, edges.c.weight, edges.c.op, operations.c.commit_id)
        .join(operations, operations.c.position == edges.c.op)
        .where(edges.c.ns == bindparam("ns"), edges.c.op > bindparam("after"), is_live(edges.c.op, at))
        .order_by(edges.c.op, edges.c.ordinal)
    )


def _reset(at: str | None) -> Any:
    """Position of the last live reset of learning: earlier evidence does not count."""
    return (
        select(func.coalesce(func.max(nodes.c.op), 0))
        .where(
            nodes.c.ns == bindparam("ns"),
            nodes.c.node == literal_column(f"'{RESET}'"),
            nodes.c.kind == literal_column("'mark'"),
            is_live(nodes.c.op, at),
        )
        .scalar_subquery()
    )


_LAST_RESET = Statement(select(_reset(None)))


@functools.cache
def _evidence(at: str | None) -> Statement:
    return Statement(
        select(evidence.c.target, evidence.c.activation, evidence.c.channel, evidence.c.weight, evidence.c.op, operations.c.commit_id)
        .join(operations, operations.c.position == evidence.c.op)
        .where(evidence.c.ns == bindparam("ns"), evidence.c.op > bindparam("after"))
        .where(evidence.c.op > _reset(at), is_live(evidence.c.op, at))
        .order_by(evidence.c.op)
    )


_VECTORS = Statement(
    select(vectors.c.hash, vectors.c.vector).where(
        vectors.c.ns == bindparam("ns"), any_of(vectors.c.hash, "hashes"), vectors.c.fingerprint == bindparam("fingerprint")
    )
)


def edge_rows(session: Session, ns: int, after: int, at: int | None = None) -> list[EdgeRow]:
    return [EdgeRow(*row) for row in session.all(_edges(named(at)), with_at({"ns": ns, "after": after}, at))]


def evidence_rows(session: Session, ns: int, after: int, at: int | None = None) -> list[EvidenceRow]:
    return [EvidenceRow(*row) for row in session.all(_evidence(named(at)), with_at({"ns": ns, "after": after}, at))]


def vector_rows(session: Session, ns: int, hashes: Sequence[str], fingerprint: str) -> dict[str, NDArray[np.float32]]:
    found = session.all(_VECTORS, {"ns": ns, "hashes": session.list(hashes), "fingerprint": fingerprint})
    return {hash_: np.frombuffer(blob, dtype="<f4") for hash_, blob in found}


# ------------------------------------------------------------------------------------------------------------------- the log
_HEAD = Statement(select(func.max(operations.c.position)))
_NAMESPACE_HEAD = Statement(select(namespaces.c.head).where(namespaces.c.path == bindparam("path")))
_HEADS = Statement(select(namespaces.c.path, namespaces.c.head).where(namespaces.c.head > bindparam("after")))
_NAMESPACE_ID = Statement(select(namespaces.c.id).where(namespaces.c.path == bindparam("path")))


@functools.cache
def _changes(*, scoped: bool) -> Statement:
    seq = edits.c.position * type_coerce(literal_column(str(1 << SEQ_BITS)), BigInteger) + edits.c.ordinal
    query = (
        select(edits.c.position, operations.c.id, operations.c.kind, namespaces.c.path, edits.c.edit, edits.c.target, nodes.c.node)
        .join(operations, operations.c.position == edits.c.position)
        .join(namespaces, namespaces.c.id == edits.c.ns)
        .outerjoin(nodes, and_(nodes.c.seq == seq, nodes.c.id == edits.c.target))
        .where(edits.c.position > bindparam("after"), edits.c.position <= bindparam("upto"))
    )
    if scoped:
        query = query.where(edits.c.ns == bindparam("ns"))
    return Statement(query.order_by(edits.c.position, edits.c.ordinal).limit(bindparam("max")))


def head(session: Session) -> int:
    found = session.one(_HEAD)
    return int(found[0]) if found and found[0] is not None else 0


def namespace_head(session: Session, path: str) -> int:
    found = session.one(_NAMESPACE_HEAD, {"path": path})
    return int(found[0]) if found else 0


def heads(session: Session, after: int) -> dict[Namespace, int]:
    return {tuple(json.loads(path)): int(at) for path, at in session.all(_HEADS, {"after": after})}


def namespace_id(session: Session, path: str) -> int | None:
    found = session.one(_NAMESPACE_ID, {"path": path})
    return None if found is None else int(found[0])


def changes(session: Session, after: int, ns: int | None, limit: int) -> list[Change]:
    """Entries after a position, whole operations only: the last one that `limit` would cut is left for the next call, or is given whole
    when it is the only one."""
    everything = (1 << 62, 1 << 62)
    params: dict[str, Any] = {"after": after, "upto": everything[0], "max": limit + 1}
    if ns is not None:
        params["ns"] = ns
    statement = _changes(scoped=ns is not None)
    rows = session.all(statement, params)
    if len(rows) > limit:
        cut = rows[-1][0]
        if rows[0][0] == cut:
            rows = session.all(statement, {**params, "upto": cut, "max": everything[1]})
        else:
            rows = [row for row in rows if row[0] != cut]
    paths: dict[str, Namespace] = {path: tuple(json.loads(path)) for path in {row[3] for row in rows}}
    return [Change(position, id_, kind, paths[path], edit, target, node) for position, id_, kind, path, edit, target, node in rows]


def last_reset(session: Session, ns: int) -> int:
    """Position of the last live reset of learning; 0 when there is none."""
    found = session.one(_LAST_RESET, {"ns": ns})
    return int(found[0]) if found else 0
