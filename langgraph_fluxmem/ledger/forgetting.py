"""Forgetting in the ledger: nodes lose all their versions' content, and what was learned about them, in one transaction.

What stays is content-free: version ids in the log, and a tombstone for each node that was there, so that everybody who follows the log
learns of it. It is the one change that is not append-only: edges and evidence that name what is forgotten are deleted with their log
entries, and so is everything that the operations of forgotten episodes taught.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, delete, func, literal_column, null, or_, select, true, update

from langgraph_fluxmem.digests import digest
from langgraph_fluxmem.ledger import leases
from langgraph_fluxmem.ledger.apply import delete_texts, insert_nodes, write_edits, write_operation
from langgraph_fluxmem.ledger.plans import namespace_path
from langgraph_fluxmem.ledger.reads import current_condition, namespace_id
from langgraph_fluxmem.ledger.sql import Session, Statement, any_of
from langgraph_fluxmem.ledger.tables import SEQ_BITS, commits, edges, edits, evidence, namespaces, nodes, operations
from langgraph_fluxmem.ledger.writer import Transaction
from langgraph_fluxmem.schema import FORGET, Namespace, Provenance

Row = dict[str, Any]


@dataclass(slots=True)
class Erased:
    """What forgetting removed of one namespace: how many versions, edges and rows of evidence; `threads` and `runs` whose graphs wrote what
    is gone, or used it; `mentioned`: versions of episodes that stay and in which it was shown, used or linked."""

    namespace: Namespace
    operation: str = ""
    position: int = 0
    versions: int = 0
    vectors: int = 0
    edges: int = 0
    evidence: int = 0
    threads: set[str] = field(default_factory=set)
    mentioned: set[str] = field(default_factory=set)


class Rehearsal(Exception):  # noqa: N818 - no error: it carries what would have been done out of a transaction that is rolled back
    """The transaction was only tried."""

    def __init__(self, erased: list[Erased]) -> None:
        super().__init__("rehearsed")
        self.erased = erased


def _versions(*, whole: bool) -> Statement:
    columns = (nodes.c.seq, nodes.c.id, nodes.c.node, nodes.c.op, nodes.c.kind, nodes.c.tombstone, nodes.c.erased_by, nodes.c.texts)
    query = select(*columns, current_condition(nodes).label("current")).where(
        nodes.c.ns == bindparam("ns"), true() if whole else any_of(nodes.c.node, "ids")
    )
    return Statement(query.order_by(nodes.c.seq))


_VERSIONS = _versions(whole=False)
_ALL_VERSIONS = _versions(whole=True)
_BLANK = Statement(
    update(nodes)
    .where(nodes.c.seq == bindparam("b_seq"))
    .values(
        erased_by=func.coalesce(nodes.c.erased_by, bindparam("by")),
        body=null(),
        texts=null(),
        source=null(),
        speaker=null(),
        position=null(),
        key=null(),
    )
)
_UNNAME = Statement(update(nodes).where(nodes.c.seq == bindparam("b_seq")).values(key=null(), source=null(), speaker=null()))
_EDGES = Statement(select(edges.c.op, edges.c.ordinal, edges.c.id, edges.c.src, edges.c.dst).where(edges.c.ns == bindparam("ns")))
_EVIDENCE = Statement(
    select(evidence.c.op, evidence.c.target, evidence.c.activation, evidence.c.channel).where(evidence.c.ns == bindparam("ns"))
)
_DELETE_EDGE = Statement(
    delete(edges).where(and_(edges.c.ns == bindparam("ns"), edges.c.op == bindparam("op"), edges.c.ordinal == bindparam("ordinal")))
)
_DELETE_EVIDENCE = Statement(
    delete(evidence).where(
        and_(
            evidence.c.ns == bindparam("ns"),
            evidence.c.op == bindparam("op"),
            evidence.c.target == bindparam("target"),
            evidence.c.activation == bindparam("activation"),
            evidence.c.channel == bindparam("channel"),
        )
    )
)
_ENTRIES = Statement(
    select(edits.c.position, edits.c.ordinal, edits.c.edit, edits.c.target).where(
        any_of(edits.c.position, "ops"), edits.c.edit.in_([literal_column("'edge'"), literal_column("'evidence'")])
    )
)
_DELETE_ENTRY = Statement(delete(edits).where(and_(edits.c.position == bindparam("position"), edits.c.ordinal == bindparam("ordinal"))))
_FEWER = Statement(
    update(operations).where(operations.c.position == bindparam("b_op")).values(edits=operations.c.edits - bindparam("fewer"))
)
_THREADS = Statement(
    select(operations.c.thread_id).where(any_of(operations.c.position, "ops"), operations.c.thread_id.is_not(None)).distinct()
)


def forget(
    tx: Transaction,
    asked: dict[Namespace, Collection[str] | None],
    *,
    provenance: Provenance | None = None,
    leases_of: dict[Namespace, str] | None = None,
    again: Sequence[str] = (),
    rehearse: bool = False,
) -> list[Erased]:
    """Forget nodes by namespace (None: all that it holds), in one operation for each namespace that has something of it.

    The leases named by `leases_of` are taken from whoever holds them: what they are about to write may be made of what is forgotten. The
    cursors named in `again` go back to the beginning. With `rehearse` nothing is written.

    Raises:
        Rehearsal: with `rehearse`, to roll back; it carries the result.
    """
    done: list[Erased] = []
    for namespace, wanted in asked.items():
        ns, known = tx.find_namespace(namespace_path(namespace))
        if known:
            erased = _forget(tx, ns, Erased(namespace), wanted, provenance)
            if erased is not None:
                done.append(erased)
                if leases_of and namespace in leases_of:
                    leases.break_(tx, leases_of[namespace])
    if done:
        for name in again:
            leases.set_cursor(tx, name, 0)
    if rehearse:
        raise Rehearsal(done)
    return done


def _forget(tx: Transaction, ns: int, out: Erased, wanted: Collection[str] | None, provenance: Provenance | None) -> Erased | None:
    session = tx.session
    params: Row = {"ns": ns} if wanted is None else {"ns": ns, "ids": session.list(wanted)}
    rows = session.all(_ALL_VERSIONS if wanted is None else _VERSIONS, params)
    held = [row for row in rows if not row[5] and row[6] is None]
    gone = [row for row in held if row[8]]
    if not held:
        return None
    out.versions = len(held)
    taught = {row[3] for row in held if row[4] == "episode"}
    entries = _unlink(tx, ns, out, {row[2] for row in rows}, {row[1] for row in rows}, taught)
    out.threads.update(str(thread) for (thread,) in session.all(_THREADS, {"ops": session.list({*entries, *(row[3] for row in held)})}))
    _unlog(tx, entries)

    out.operation = f"{FORGET}-{uuid.uuid4().hex}"
    out.position = write_operation(tx, out.operation, FORGET, ns, provenance, edit_count=len(gone) + len(held))
    start, now = out.position << SEQ_BITS, tx.now()
    tombstones = [
        {"id": f"{node}:{digest(out.operation, node)[:16]}", "node": node, "kind": kind, "seq": start + at, "ns": ns, "op": out.position}
        for at, (_, _, node, _, kind, *_) in enumerate(gone)
    ]
    insert_nodes(session, [_BARE | row | {"created_at": now} for row in tombstones])
    session.many(_BLANK, [{"b_seq": row[0], "by": out.position} for row in held])
    session.many(_UNNAME, [{"b_seq": row[0]} for row in rows if row[5] or row[6] is not None])
    refs = [(hash_, row[0]) for row in held if row[7] for _, hash_, _ in json.loads(row[7])]
    out.vectors = delete_texts(session, ns, refs)
    write_edits(
        tx, out.position, [*((ns, "tombstone", str(row["id"])) for row in tombstones), *((ns, "erase", str(row[1])) for row in held)]
    )
    return out


_BARE: Row = dict.fromkeys(("key", "source", "position", "speaker", "expires_at", "ttl", "erased_by", "texts", "body")) | {"tombstone": 1}


def _unlink(  # noqa: PLR0917 - one place calls it
    tx: Transaction, ns: int, out: Erased, gone: set[str], versions: set[str], taught: set[int]
) -> dict[int, Counter[tuple[str, str]]]:
    """Delete edges and evidence that name what is `gone`, or that operations in `taught` wrote. Returns their log entries by operation."""
    session = tx.session
    names = gone | versions
    entries: dict[int, Counter[tuple[str, str]]] = {}

    def named(ends: Iterable[str]) -> bool:
        return any(end.partition("#")[0] in names or end.partition("#")[0].rpartition(":")[0] in gone for end in ends)

    cut: list[Row] = []
    for op, ordinal, id_, src, dst in session.all(_EDGES, {"ns": ns}):
        if op in taught or named((src, dst)):
            cut.append({"ns": ns, "op": op, "ordinal": ordinal})
            entries.setdefault(op, Counter())["edge", id_] += 1
            out.mentioned.update(_episodes((src, dst)))
    weak: list[Row] = []
    for op, target, activation, channel in session.all(_EVIDENCE, {"ns": ns}):
        ends = target.split(">")
        if op in taught or named((*ends, activation)):
            weak.append({"ns": ns, "op": op, "target": target, "activation": activation, "channel": channel})
            entries.setdefault(op, Counter())["evidence", target] += 1
            out.mentioned.update(_episodes(ends))
    session.many(_DELETE_EDGE, cut)
    session.many(_DELETE_EVIDENCE, weak)
    out.edges, out.evidence = len(cut), len(weak)
    out.mentioned = {version for version in out.mentioned if not named((version,))}
    return entries


def _episodes(ends: Iterable[str]) -> Iterable[str]:
    return (end.partition("#")[0] for end in ends if end.startswith(("e-", "u-")))


def _unlog(tx: Transaction, entries: dict[int, Counter[tuple[str, str]]]) -> None:
    """Take the log entries of deleted rows out of the log."""
    if not entries:
        return
    session = tx.session
    left = {op: Counter(found) for op, found in entries.items()}
    cut: list[Row] = []
    for position, ordinal, edit, target in session.all(_ENTRIES, {"ops": session.list(entries)}):
        if left[position][edit, target] > 0:
            left[position][edit, target] -= 1
            cut.append({"position": position, "ordinal": ordinal})
    session.many(_DELETE_ENTRY, cut)
    session.many(_FEWER, [{"b_op": op, "fewer": count} for op, count in Counter(row["position"] for row in cut).items()])


# ------------------------------------------------------------------------------------------------------------ what there is to forget
class Version(NamedTuple):
    """A version that still says something, current or not, undone or not. `at`: when its operation was written."""

    id: str
    node: str
    kind: str
    op: int
    source: str | None
    body: dict[str, Any]
    at: float


def _select_versions(*, kinds: bool) -> Statement:
    query = (
        select(nodes.c.id, nodes.c.node, nodes.c.kind, nodes.c.op, nodes.c.source, nodes.c.body, operations.c.at)
        .join(operations, operations.c.position == nodes.c.op)
        .where(nodes.c.ns == bindparam("ns"), nodes.c.body.is_not(None))
    )
    return Statement((query.where(any_of(nodes.c.kind, "kinds")) if kinds else query).order_by(nodes.c.seq))


_SELECT, _SELECT_KINDS = _select_versions(kinds=False), _select_versions(kinds=True)
_PATHS = Statement(select(namespaces.c.path).order_by(namespaces.c.path))
_ENDS = Statement(
    select(edges.c.src, edges.c.dst)
    .where(edges.c.ns == bindparam("ns"), edges.c.kind == bindparam("kind"))
    .order_by(edges.c.op, edges.c.ordinal)
)
_OF_COMMIT = Statement(
    select(nodes.c.id)
    .join(operations, operations.c.position == nodes.c.op)
    .outerjoin(commits, commits.c.op == nodes.c.op)
    .where(
        nodes.c.ns == bindparam("ns"),
        nodes.c.kind == literal_column("'episode'"),
        or_(commits.c.id == bindparam("id"), commits.c.episode == bindparam("id"), operations.c.run_id == bindparam("id")),
    )
)


def every_namespace(session: Session) -> list[Namespace]:
    """Every namespace that something was ever written in."""
    return [tuple(json.loads(path)) for (path,) in session.all(_PATHS)]


def versions(session: Session, namespace: Namespace, kinds: Sequence[str] | None = None) -> Iterator[Version]:
    """Every version of a namespace (of these kinds) that still says something, in log order. Read it to its end, or call `session.end`."""
    ns = namespace_id(session, namespace_path(namespace))
    if ns is None:
        return
    session.run(_SELECT if kinds is None else _SELECT_KINDS, {"ns": ns} if kinds is None else {"ns": ns, "kinds": session.list(kinds)})
    while rows := session.cursor.fetchmany(1_000):
        for id_, node, kind, op, source, body, at in rows:
            yield Version(id_, node, kind, op, source, json.loads(body), at)


def edges_of(session: Session, namespace: Namespace, kind: str) -> list[tuple[str, str]]:
    """(src, dst) of every edge of a kind, undone ones too."""
    ns = namespace_id(session, namespace_path(namespace))
    return [] if ns is None else [(str(src), str(dst)) for src, dst in session.all(_ENDS, {"ns": ns, "kind": kind})]


def episodes_of(session: Session, namespace: Namespace, id_: str) -> list[str]:
    """Versions of the episodes that a commit id, an episode's own id or a run id names."""
    ns = namespace_id(session, namespace_path(namespace))
    return [] if ns is None else [str(version) for (version,) in session.all(_OF_COMMIT, {"ns": ns, "id": id_})]
