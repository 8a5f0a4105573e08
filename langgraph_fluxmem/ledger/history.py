"""The past of one node, for people who ask: its versions, the edges and the evidence that name it, undone ones too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sqlalchemy import Text as SqlText
from sqlalchemy import and_, bindparam, exists, or_, select

from langgraph_fluxmem.ledger.rows import EdgeRow, EvidenceRow
from langgraph_fluxmem.ledger.sql import Session, Statement
from langgraph_fluxmem.ledger.tables import dead, edges, evidence, namespaces, nodes, operations
from langgraph_fluxmem.schema import RESET, Channel, EdgeKind, Namespace, NodeKind


@dataclass(frozen=True, slots=True)
class History:
    """Version ids of a node in log order, edges and evidence that name it or one of its steps, each with whether it counts now."""

    versions: tuple[tuple[str, bool], ...]
    edges: tuple[tuple[EdgeRow, bool], ...]
    evidence: tuple[tuple[EvidenceRow, bool], ...]


def _undone(op: Any) -> Any:
    return exists().where(dead.c.op == op, dead.c.until.is_(None)).label("undone")


_PLACE_OF_VERSION = Statement(
    select(namespaces.c.path, nodes.c.node).join(nodes, nodes.c.ns == namespaces.c.id).where(nodes.c.id == bindparam("id"))
)
_PLACE_OF_NODE = Statement(
    select(namespaces.c.path, nodes.c.node)
    .distinct()
    .join(nodes, nodes.c.ns == namespaces.c.id)
    .where(nodes.c.node == bindparam("id"))
    .order_by(namespaces.c.path)
)
_VERSIONS = Statement(
    select(nodes.c.id, _undone(nodes.c.op)).where(nodes.c.ns == bindparam("ns"), nodes.c.node == bindparam("node")).order_by(nodes.c.seq)
)
_VERSION = bindparam("version", type_=SqlText)
"""``node:%``, escaped."""
_LATER = bindparam("later", type_=SqlText)
"""``%>node:%``, escaped."""
_EDGES = Statement(
    select(edges.c.id, edges.c.kind, edges.c.src, edges.c.dst, edges.c.weight, edges.c.op, operations.c.commit_id, _undone(edges.c.op))
    .join(operations, operations.c.position == edges.c.op)
    .where(
        and_(edges.c.ns == bindparam("ns"), or_(edges.c.src.like(_VERSION, escape="\\"), edges.c.dst.like(_VERSION, escape="\\"))),
    )
    .order_by(edges.c.op, edges.c.ordinal)
)
_EVIDENCE = Statement(
    select(
        evidence.c.target,
        evidence.c.activation,
        evidence.c.channel,
        evidence.c.weight,
        evidence.c.op,
        operations.c.commit_id,
        _undone(evidence.c.op),
    )
    .join(operations, operations.c.position == evidence.c.op)
    .where(
        and_(
            evidence.c.ns == bindparam("ns"),
            or_(evidence.c.target.like(_VERSION, escape="\\"), evidence.c.target.like(_LATER, escape="\\")),
        )
    )
    .order_by(evidence.c.op, evidence.c.target, evidence.c.activation, evidence.c.channel)
)


def places(session: Session, id: str) -> list[tuple[Namespace, str]]:
    """(namespace, node) of a version id, or of a node id in every namespace that has one of that name."""
    found = session.all(_PLACE_OF_VERSION, {"id": id}) or session.all(_PLACE_OF_NODE, {"id": id})
    return [(tuple(json.loads(path)), node) for path, node in found]


def history(session: Session, ns: int, node: str) -> History:
    """Everything that names a node."""
    escaped = node.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    params = {"ns": ns, "version": f"{escaped}:%"}
    return History(
        tuple((id_, not undone) for id_, undone in session.all(_VERSIONS, {"ns": ns, "node": node})),
        tuple((EdgeRow(*row), not undone) for *row, undone in session.all(_EDGES, params)),
        tuple((EvidenceRow(*row), not undone) for *row, undone in session.all(_EVIDENCE, {**params, "later": f"%>{escaped}:%"})),
    )


def since_reset(found: History, reset: int) -> History:
    """The same where evidence up to log position `reset` counts no more."""
    return replace(found, evidence=tuple((row, counts and row.op > reset) for row, counts in found.evidence))


# ---------------------------------------------------------------------------------------------------------------- a whole namespace
class VersionRow(NamedTuple):
    """A version without what it says. `readable`: it is no tombstone and was not erased."""

    id: str
    node: str
    kind: NodeKind
    op: int
    readable: bool


class EdgeMoment(NamedTuple):
    """An edge as operation `op` wrote it."""

    kind: EdgeKind
    src: str
    dst: str
    weight: float
    op: int


class EvidenceMoment(NamedTuple):
    """Evidence as operation `op` wrote it."""

    target: str
    channel: Channel
    weight: float
    op: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """All that was ever written in a namespace, in log order, and when it did not count.

    `dead`: operation -> spans (since, until) of positions at which it does not count; `until` None: to this day. `resets` are positions of
    resets of learning: while one counts, evidence written before it does not.
    """

    versions: tuple[VersionRow, ...]
    edges: tuple[EdgeMoment, ...]
    evidence: tuple[EvidenceMoment, ...]
    dead: Mapping[int, tuple[tuple[int, int | None], ...]]
    resets: tuple[int, ...]


_ALL_VERSIONS = Statement(
    select(nodes.c.id, nodes.c.node, nodes.c.kind, nodes.c.op, nodes.c.tombstone, nodes.c.erased_by)
    .where(nodes.c.ns == bindparam("ns"))
    .order_by(nodes.c.seq)
)
_ALL_EDGES = Statement(
    select(edges.c.kind, edges.c.src, edges.c.dst, edges.c.weight, edges.c.op)
    .where(edges.c.ns == bindparam("ns"))
    .order_by(edges.c.op, edges.c.ordinal)
)
_ALL_EVIDENCE = Statement(
    select(evidence.c.target, evidence.c.channel, evidence.c.weight, evidence.c.op)
    .where(evidence.c.ns == bindparam("ns"))
    .order_by(evidence.c.op)
)
_ALL_DEAD = Statement(
    select(dead.c.op, dead.c.since, dead.c.until)
    .join(operations, operations.c.position == dead.c.op)
    .where(operations.c.ns == bindparam("ns"))
    .order_by(dead.c.op, dead.c.since)
)


def timeline(session: Session, ns: int) -> Timeline:
    """Everything that was ever written in a namespace."""
    params = {"ns": ns}
    versions = [
        VersionRow(id_, node, kind, op, not tombstone and erased is None)
        for id_, node, kind, op, tombstone, erased in session.all(_ALL_VERSIONS, params)
    ]
    spans: dict[int, list[tuple[int, int | None]]] = {}
    for op, since, until in session.all(_ALL_DEAD, params):
        spans.setdefault(op, []).append((since, until))
    return Timeline(
        tuple(versions),
        tuple(EdgeMoment(*row) for row in session.all(_ALL_EDGES, params)),
        tuple(EvidenceMoment(*row) for row in session.all(_ALL_EVIDENCE, params)),
        {op: tuple(found) for op, found in spans.items()},
        tuple(row.op for row in versions if row.node == RESET and row.kind == "mark"),
    )
