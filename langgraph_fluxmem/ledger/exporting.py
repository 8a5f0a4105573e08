"""What counts now, operation by operation in log order: what an export writes. Read page by page within one consistent view."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, select

from langgraph_fluxmem.ledger.journal import PROVENANCE
from langgraph_fluxmem.ledger.plans import decode_seen, namespace_path
from langgraph_fluxmem.ledger.reads import current_condition, is_live, last_reset, namespace_id
from langgraph_fluxmem.ledger.sql import Session, Statement, any_of
from langgraph_fluxmem.ledger.tables import SEQ_BITS, commits, edges, evidence, nodes, operations, vectors
from langgraph_fluxmem.schema import Namespace

PAGE = 500
"""Operations that are read at once."""
NODE = ("id", "node", "kind", "key", "source", "position", "speaker", "created_at", "expires_at", "ttl")
"""Columns of a version that are told as they are."""


@dataclass(slots=True)
class Told:
    """One operation, with what of its writes counts now. Vectors are by content hash, float32 little-endian."""

    id: str
    kind: str
    namespace: Namespace
    position: int
    at: float
    provenance: dict[str, Any]
    commit: dict[str, Any] | None = None
    nodes: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    edges: list[list[Any]] = field(default_factory=list[list[Any]])
    evidence: list[list[Any]] = field(default_factory=list[list[Any]])
    vectors: dict[str, bytes] = field(default_factory=dict[str, bytes])

    @property
    def empty(self) -> bool:
        """Whether nothing of it counts any more."""
        return not (self.commit or self.nodes or self.edges or self.evidence)


_OPERATIONS = Statement(
    select(operations.c.position, operations.c.id, operations.c.kind, operations.c.at, *(operations.c[name] for name in PROVENANCE))
    .where(operations.c.ns == bindparam("ns"), operations.c.position > bindparam("after"), is_live(operations.c.position))
    .order_by(operations.c.position)
    .limit(bindparam("page"))
)
_IDS = Statement(select(operations.c.id).where(operations.c.ns == bindparam("ns"), operations.c.kind == bindparam("kind")))
_NODES = Statement(
    select(nodes.c.op, nodes.c.body, nodes.c.texts, *(nodes.c[name] for name in NODE))
    .where(
        nodes.c.ns == bindparam("ns"),
        nodes.c.seq >= bindparam("first"),
        nodes.c.seq < bindparam("last"),
        nodes.c.body.is_not(None),
        current_condition(nodes),
    )
    .order_by(nodes.c.seq)
)
_EDGES = Statement(
    select(edges.c.op, edges.c.kind, edges.c.src, edges.c.dst, edges.c.weight)
    .where(edges.c.ns == bindparam("ns"), edges.c.op >= bindparam("lo"), edges.c.op <= bindparam("hi"), is_live(edges.c.op))
    .order_by(edges.c.op, edges.c.ordinal)
)
_EVIDENCE = Statement(
    select(evidence.c.op, evidence.c.target, evidence.c.activation, evidence.c.channel, evidence.c.weight)
    .where(evidence.c.ns == bindparam("ns"), evidence.c.op >= bindparam("lo"), evidence.c.op <= bindparam("hi"), is_live(evidence.c.op))
    .order_by(evidence.c.op, evidence.c.target, evidence.c.activation, evidence.c.channel)
)
_COMMITS = Statement(
    select(commits.c.op, commits.c.id, commits.c.episode, commits.c.digest, commits.c.seen).where(
        commits.c.ns == bindparam("ns"), commits.c.op >= bindparam("lo"), commits.c.op <= bindparam("hi")
    )
)
_VECTORS = Statement(
    select(vectors.c.hash, vectors.c.vector).where(
        vectors.c.ns == bindparam("ns"), any_of(vectors.c.hash, "hashes"), vectors.c.fingerprint == bindparam("fingerprint")
    )
)


def ids_of(session: Session, namespace: Namespace, kind: str) -> list[str]:
    """Ids of the operations of one kind that a namespace holds, undone and forgotten ones too."""
    ns = namespace_id(session, namespace_path(namespace))
    return [] if ns is None else [str(id_) for (id_,) in session.all(_IDS, {"ns": ns, "kind": kind})]


def told(session: Session, namespace: Namespace, fingerprint: str | None, *, with_vectors: bool) -> Iterator[Told]:
    """The operations of a namespace of which something counts. Without vectors, `Told.vectors` names the hashes that have one, with no bytes."""
    ns = namespace_id(session, namespace_path(namespace))
    if ns is None:
        return
    after, reset = 0, last_reset(session, ns)
    given: set[str] = set()
    while page := session.all(_OPERATIONS, {"ns": ns, "after": after, "page": PAGE}):
        found = {
            int(position): Told(
                id_, kind, namespace, int(position), at, {name: value for name, value in zip(PROVENANCE, values, strict=True) if value}
            )
            for position, id_, kind, at, *values in page
        }
        lo, after = int(page[0][0]), int(page[-1][0])
        span = {"ns": ns, "lo": lo, "hi": after}
        hashes: dict[str, Told] = {}
        for op, body, texts, *columns in session.all(_NODES, {"ns": ns, "first": lo << SEQ_BITS, "last": (after + 1) << SEQ_BITS}):
            row = dict(zip(NODE, columns, strict=True)) | {"body": json.loads(body), "texts": json.loads(texts) if texts else []}
            found[op].nodes.append(row)
            for _, hash_, _ in row["texts"]:
                if hash_ not in given:
                    hashes.setdefault(hash_, found[op])
        for op, *edge in session.all(_EDGES, span):
            found[op].edges.append(edge)
        for op, *row in session.all(_EVIDENCE, span):
            if op > reset:
                found[op].evidence.append(row)
        for op, id_, episode, digest, seen in session.all(_COMMITS, span):
            if op in found:
                came_after = dict(zip(("seen", "alone", "above"), decode_seen(seen), strict=True))
                found[op].commit = {"id": id_, "episode": episode, "digest": digest, **came_after}
        if hashes and fingerprint is not None:
            for hash_, blob in session.all(_VECTORS, {"ns": ns, "hashes": session.list(hashes), "fingerprint": fingerprint}):
                hashes[hash_].vectors[hash_] = bytes(blob) if with_vectors else b""
            given.update(hashes)
        yield from (operation for operation in found.values() if not operation.empty)
