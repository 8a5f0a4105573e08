"""Apply a prepared plan inside the writer's transaction.

What a plan has to know of the ledger is asked in one go (`_questions`), before anything is written: on a server that is one round trip for
all plans of a transaction, see `foresee`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import and_, bindparam, delete, exists, func, null, select, update

from langgraph_fluxmem.edits import Applied, Plan
from langgraph_fluxmem.errors import DimensionMismatchError, EmbeddingMismatchError, LedgerError, StaleError
from langgraph_fluxmem.ledger.plans import Prepared, encode_seen
from langgraph_fluxmem.ledger.reads import current_condition, is_live
from langgraph_fluxmem.ledger.sql import Params, Session, Statement, any_of, insert_into
from langgraph_fluxmem.ledger.tables import (
    SEQ_BITS,
    commits,
    edges,
    edits,
    evidence,
    meta,
    namespaces,
    nodes,
    operations,
    rests_on,
    text_refs,
    vectors,
)
from langgraph_fluxmem.ledger.writer import Transaction
from langgraph_fluxmem.schema import Provenance
from langgraph_fluxmem.testing import faults

_FIND_OPERATION = Statement(select(operations.c.position).where(operations.c.id == bindparam("id")))
_FIND_COMMIT = Statement(
    select(commits.c.op, operations.c.id)
    .join(operations, operations.c.position == commits.c.op)
    .where(commits.c.ns == bindparam("ns"), commits.c.episode == bindparam("episode"), commits.c.digest == bindparam("digest"))
)
_FIND_ID = Statement(select(nodes.c.id, nodes.c.op).where(any_of(nodes.c.id, "ids")))
_FIND_CREATOR = Statement(
    select(nodes.c.node, func.min(nodes.c.op))
    .where(nodes.c.ns == bindparam("ns"), any_of(nodes.c.node, "ids"), is_live(nodes.c.op))
    .group_by(nodes.c.node)
)
_PREDECESSORS = Statement(
    select(nodes.c.node, nodes.c.op, nodes.c.created_at, nodes.c.tombstone).where(
        nodes.c.ns == bindparam("ns"), any_of(nodes.c.node, "ids"), current_condition(nodes)
    )
)
_CURRENT_IDS = Statement(
    select(nodes.c.node, nodes.c.id).where(
        nodes.c.ns == bindparam("ns"), any_of(nodes.c.node, "ids"), nodes.c.tombstone == 0, current_condition(nodes)
    )
)
_COUNTING = Statement(select(operations.c.position).where(any_of(operations.c.position, "ops"), is_live(operations.c.position)))
_EMBEDDING = Statement(select(meta.c.value).where(meta.c.key == "embedding"))
_INSERT_META = insert_into(meta)
_INSERT_OPERATION = insert_into(operations)
_INSERT_EDIT = insert_into(edits)
_INSERT_NODE = insert_into(nodes)
_INSERT_TEXT_REF = insert_into(text_refs, ignore=True)
_INSERT_VECTOR = insert_into(vectors, ignore=True)
_INSERT_EDGE = insert_into(edges)
_INSERT_EVIDENCE = insert_into(evidence, ignore=True)
_INSERT_COMMIT = insert_into(commits)
_INSERT_RESTS_ON = insert_into(rests_on, ignore=True)
_SET_HEAD = Statement(update(namespaces).where(namespaces.c.id == bindparam("b_ns")).values(head=bindparam("head")))
_ERASABLE = Statement(
    select(nodes.c.seq, nodes.c.id, nodes.c.texts).where(
        nodes.c.ns == bindparam("ns"),
        any_of(nodes.c.node, "ids"),
        nodes.c.tombstone == 0,
        nodes.c.erased_by.is_(None),
    )
)
_ERASE = Statement(
    update(nodes)
    .where(nodes.c.seq == bindparam("b_seq"))
    .values(erased_by=bindparam("by"), body=null(), texts=null(), source=null(), speaker=null(), key=null())
)
_DELETE_TEXT_REF = Statement(
    delete(text_refs).where(text_refs.c.ns == bindparam("ns"), text_refs.c.hash == bindparam("hash"), text_refs.c.seq == bindparam("seq"))
)
_DELETE_VECTORS = Statement(
    delete(vectors).where(
        vectors.c.ns == bindparam("ns"),
        any_of(vectors.c.hash, "hashes"),
        ~exists().where(and_(text_refs.c.ns == vectors.c.ns, text_refs.c.hash == vectors.c.hash)),
    )
)


Erasable = tuple[int, str, str | None]
"""seq, version id, texts (JSON)"""
_NOBODY = Provenance()


def write_operation(
    tx: Transaction, operation: str, kind: str, ns: int, provenance: Provenance | None = None, *, edit_count: int, commit: str | None = None
) -> int:
    """Take the next position for an operation and write its row; returns the position."""
    position = tx.next_position()
    tx.entries += edit_count
    row: dict[str, Any] = {
        "position": position,
        "id": operation,
        "kind": kind,
        "ns": ns,
        "at": tx.now(),
        "commit_id": commit,
        "edits": edit_count,
    }
    row.update(dict(provenance or _NOBODY))
    tx.session.write(_INSERT_OPERATION, row)
    faults.point("ledger.after_operation")
    return position


def write_edits(tx: Transaction, position: int, entries: list[tuple[int, str, str]]) -> None:
    """Append entries (namespace id, edit, target) to the log and move the heads of their namespaces."""
    rows = [{"position": position, "ordinal": i, "ns": ns, "edit": edit, "target": target} for i, (ns, edit, target) in enumerate(entries)]
    tx.session.many(_INSERT_EDIT, rows)
    for ns in {ns for ns, _, _ in entries}:
        set_head(tx, ns, position)


def set_head(tx: Transaction, ns: int, position: int) -> None:
    tx.session.write(_SET_HEAD, {"b_ns": ns, "head": position})


def find_operation(tx: Transaction, operation: str) -> int | None:
    """Position of an operation id, None when the ledger does not hold it."""
    found = tx.session.one(_FIND_OPERATION, {"id": operation})
    return None if found is None else int(found[0])


def _questions(session: Session, prepared: Prepared, ns: int | None) -> dict[str, tuple[Statement, Params]]:
    """What the ledger is asked before a plan is written. `ns`: None while its namespace is new."""
    plan = prepared.plan
    asked: dict[str, tuple[Statement, Params]] = {"operation": (_FIND_OPERATION, {"id": plan.operation})}
    if prepared.nodes or prepared.refers:
        asked["ids"] = (_FIND_ID, {"ids": session.list(prepared.refers.union(row["id"] for row in prepared.nodes))})
    if plan.rests_on:
        asked["counting"] = (_COUNTING, {"ops": session.list(plan.rests_on)})
    if prepared.vectors:
        asked["embedding"] = (_EMBEDDING, {})
    if ns is None:
        return asked
    if prepared.commit is not None:
        asked["commit"] = (_FIND_COMMIT, {"ns": ns, "episode": prepared.commit.episode, "digest": prepared.commit.digest})
    if plan.expects:
        asked["expected"] = (_CURRENT_IDS, {"ns": ns, "ids": session.list(plan.expects)})
    if prepared.nodes:
        asked["before"] = (_PREDECESSORS, {"ns": ns, "ids": session.list(row["node"] for row in prepared.nodes)})
    if prepared.erase:
        asked["erasable"] = (_ERASABLE, {"ns": ns, "ids": session.list(prepared.erase)})
    return asked


Rows = list[tuple[Any, ...]]
Answers = Mapping[str, Callable[[], Rows]]


def foresee(tx: Transaction, prepared: Prepared) -> None:
    """Ask what `apply` will have to know, together with what is asked for other plans; it asks again what they have changed by then."""
    ns = tx.known_namespace(prepared.path)
    if ns is not None:
        tx.foreseen[id(prepared)] = {name: tx.session.ask(*question) for name, question in _questions(tx.session, prepared, ns).items()}


def _answers(tx: Transaction, prepared: Prepared, ns: int | None) -> dict[str, Rows]:
    foreseen: Answers | None = tx.foreseen.pop(id(prepared), None)
    if foreseen is not None and not _touched(tx, prepared):
        return {name: rows() for name, rows in foreseen.items()}
    return {name: tx.session.all(*question) for name, question in _questions(tx.session, prepared, ns).items()}


def _touched(tx: Transaction, prepared: Prepared) -> bool:
    """Whether an earlier plan of this transaction wrote something that this one asks about."""
    if not tx.written:
        return False
    names = {prepared.plan.operation, *prepared.refers, *prepared.plan.expects, *prepared.erase}
    names.update(name for row in prepared.nodes for name in (row["id"], row["node"]))
    if prepared.commit is not None:
        names.add(prepared.commit.episode)
    return not tx.written.isdisjoint(names)


def _note_written(tx: Transaction, prepared: Prepared) -> None:
    tx.written.add(prepared.plan.operation)
    tx.written.update(name for row in prepared.nodes for name in (row["id"], row["node"]))
    if prepared.commit is not None:
        tx.written.add(prepared.commit.episode)


def apply(tx: Transaction, prepared: Prepared, fingerprint: str | None, *, erase_too: Sequence[Erasable] = ()) -> Applied:
    """Write a plan. `fingerprint`: the embedding that the writing process declared. `erase_too`: versions to erase beyond those that
    the plan's own writes erase. What is refused is refused before anything is written.

    Raises:
        LedgerError: a version id was written before by another operation.
        StaleError: what the plan expects, or rests on, does not hold any more.
        EmbeddingMismatchError, DimensionMismatchError: vectors of another embedding than the memory holds.
    """
    plan, session = prepared.plan, tx.session
    found, known = tx.find_namespace(prepared.path)
    answers = _answers(tx, prepared, found if known else None)
    if answers["operation"]:
        return Applied(plan.operation, int(answers["operation"][0][0]), duplicate=True)
    commit = prepared.commit
    for position, operation in answers.get("commit", ()):
        return Applied(str(operation), int(position), duplicate=True)
    _check_current(plan, answers)
    if prepared.vectors:
        _hold_embedding(tx, fingerprint, prepared.dims, answers["embedding"])
    written = {str(id_): int(op) for id_, op in answers.get("ids", ())}
    clash = [row["id"] for row in prepared.nodes if row["id"] in written]
    if clash:
        ids = ", ".join(map(repr, clash[:3])) + (", ..." if len(clash) > 3 else "")
        raise LedgerError(f"a version id was written before: {ids}; mint a new id for each version of a node")

    ns = found if known else tx.namespace_id(prepared.path)[0]
    before: dict[str, tuple[int, float, bool]] = {
        node: (op, created, bool(tombstone)) for node, op, created, tombstone in answers.get("before", ())
    }
    erased: list[Erasable] = [(int(seq), str(id_), texts) for seq, id_, texts in answers.get("erasable", ())]
    erased.extend(erase_too)
    entries = prepared.edits + [("erase", id_) for _, id_, _ in erased]
    bases = {op for op, _, _ in before.values()} | _bases(tx, prepared, ns, written) | set(plan.rests_on)
    _note_written(tx, prepared)
    position = write_operation(
        tx, plan.operation, plan.kind, ns, plan.provenance, edit_count=len(entries), commit=commit.id if commit else None
    )

    now, start = tx.now(), position << SEQ_BITS
    if prepared.nodes:
        rows: list[dict[str, Any]] = []
        for ordinal, row in enumerate(prepared.nodes):
            created = row["created_at"]
            if created is None:
                predecessor = before.get(row["node"])
                created = predecessor[1] if predecessor is not None and not predecessor[2] else now
            rows.append({**row, "seq": start + ordinal, "ns": ns, "op": position, "created_at": created})
        session.many(_INSERT_NODE, rows)
        session.many(_INSERT_TEXT_REF, [{"ns": ns, "hash": hash_, "seq": start + ordinal} for ordinal, hash_ in prepared.text_refs])
    if prepared.vectors:
        session.many(
            _INSERT_VECTOR, [{"ns": ns, "hash": hash_, "fingerprint": fingerprint, "vector": blob} for hash_, blob in prepared.vectors]
        )
    session.many(_INSERT_EDGE, [{**row, "ns": ns, "op": position, "ordinal": ordinal} for ordinal, row in enumerate(prepared.edges)])
    session.many(_INSERT_EVIDENCE, [{**row, "ns": ns, "op": position} for row in prepared.evidence])
    if commit is not None:
        row = {
            "op": position,
            "ns": ns,
            "id": commit.id,
            "episode": commit.episode,
            "digest": commit.digest,
            "seen": encode_seen(commit),
        }
        session.write(_INSERT_COMMIT, row)
    session.many(_INSERT_RESTS_ON, [{"base": base, "op": position} for base in sorted(bases)])
    if erased:
        _erase(tx, ns, position, erased)
    if entries:
        write_edits(tx, position, [(ns, edit, target) for edit, target in entries])
    else:
        set_head(tx, ns, position)
    faults.point("ledger.after_writes")
    return Applied(plan.operation, position)


def _check_current(plan: Plan, answers: Mapping[str, Rows]) -> None:
    """Raise `StaleError` unless what the plan expects is current, and what it rests on counts."""
    if plan.expects:
        found = {str(node): str(version) for node, version in answers.get("expected", ())}
        changed = tuple(node for node, version in plan.expects.items() if found.get(node) != version)
        if changed:
            shown = ", ".join(f"{node!r} is at {found.get(node)!r}, not {plan.expects[node]!r}" for node in changed[:3])
            raise StaleError(f"plan {plan.operation!r} is stale: {shown}; read these nodes again and make the plan anew", changed)
    if plan.rests_on:
        gone = sorted(set(plan.rests_on) - {int(row[0]) for row in answers["counting"]})
        if gone:
            raise StaleError(f"plan {plan.operation!r} is stale: the operations at {gone} do not count any more; make the plan anew")


def stored_embedding(value: str | None) -> tuple[str, int] | None:
    return None if value is None else embedding_of(value)


def embedding_of(value: str) -> tuple[str, int]:
    """(fingerprint, dimensions) as the ledger keeps them."""
    fingerprint, dims = json.loads(value)
    return str(fingerprint), int(dims)


def _hold_embedding(tx: Transaction, fingerprint: str | None, dims: int, found: Rows) -> None:
    if fingerprint is None:
        raise LedgerError("vectors were written before their embedding was named; call ledger.check_embedding(fingerprint, dims) first")
    held = found or tx.session.all(_EMBEDDING)  # an earlier plan of this transaction may have been the first to write vectors
    if held:
        compare_embedding(embedding_of(held[0][0]), fingerprint, dims)
    else:
        tx.session.write(_INSERT_META, {"key": "embedding", "value": json.dumps([fingerprint, dims])})


def compare_embedding(stored: tuple[str, int], fingerprint: str, dims: int | None) -> None:
    """Raise unless an embedding is the one that the memory's vectors came from."""
    mend = "open it with that embedding (`embeddings=`), or move the memory to this one: FluxMem.reembed(address, embeddings)"
    if stored[0] != fingerprint:
        raise EmbeddingMismatchError(
            f"this memory holds vectors of embedding {stored[0]!r} ({stored[1]} dimensions); found {fingerprint!r}; {mend}"
        )
    if dims is not None and stored[1] != dims:
        raise DimensionMismatchError(
            f"this memory holds vectors of {stored[1]} dimensions from {stored[0]!r}; found {dims} dimensions; {mend}"
        )


def _bases(tx: Transaction, prepared: Prepared, ns: int, written: Mapping[str, int]) -> set[int]:
    """Positions of the operations that wrote what the plan's edges and evidence name, by version id (as `written`) or else by node."""
    own = {row["id"] for row in prepared.nodes} | {row["node"] for row in prepared.nodes}
    wanted = prepared.refers - own
    found = {written[id_] for id_ in wanted if id_ in written}
    missing = wanted - written.keys()
    if missing:
        found.update(int(op) for _, op in tx.session.all(_FIND_CREATOR, {"ns": ns, "ids": tx.session.list(missing)}))
    return found


def _erase(tx: Transaction, ns: int, position: int, erased: list[Erasable]) -> None:
    """Blank versions, and drop the vectors that only they referred to."""
    session = tx.session
    session.many(_ERASE, [{"b_seq": seq, "by": position} for seq, _, _ in erased])
    delete_texts(session, ns, [(hash_, seq) for seq, _, texts in erased if texts for _, hash_, _ in json.loads(texts)])


def delete_texts(session: Session, ns: int, refs: Sequence[tuple[str, int]]) -> int:
    """Drop references (content hash, seq of the version) to texts, and the vectors that nothing refers to any more; returns how many."""
    session.many(_DELETE_TEXT_REF, [{"ns": ns, "hash": hash_, "seq": seq} for hash_, seq in refs])
    return session.run(_DELETE_VECTORS, {"ns": ns, "hashes": session.list({hash_ for hash_, _ in refs})})


def insert_nodes(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Insert complete rows of versions."""
    session.many(_INSERT_NODE, rows)
