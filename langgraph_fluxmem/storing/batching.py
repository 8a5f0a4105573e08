"""One batch as one stage: check everything, read, embed, write. The same generator serves `batch` and `abatch`."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from json import dumps
from typing import TYPE_CHECKING, Any

from langgraph.store.base import SearchOp

from langgraph_fluxmem.edits import NodeWrite, Plan, VectorWrite
from langgraph_fluxmem.errors import DimensionMismatchError
from langgraph_fluxmem.requests import ApplyAll, Call, Embed, Stage
from langgraph_fluxmem.schema import Namespace, NodeKind, Provenance, Vector
from langgraph_fluxmem.storing.fields import Index
from langgraph_fluxmem.storing.filters import Matcher
from langgraph_fluxmem.storing.operations import Operations, Write, sorted_out
from langgraph_fluxmem.storing.reading import Reader, Search

if TYPE_CHECKING:
    from langgraph_fluxmem.ledger.rows import NodeRow


def item_node(namespace: Namespace, key: str) -> str:
    """The node id of the item `key` in `namespace`: 32 hexadecimal digits, the same in every memory."""
    return blake2b(b"item\0" + dumps([*namespace, key], ensure_ascii=False).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class _Before:
    """What the ledger holds before the batch is written: the answers of its reads, rows in the place of its writes, known vectors."""

    now: float
    answers: dict[int, Any]
    rows: Mapping[Namespace, Mapping[str, NodeRow]]
    known: Mapping[Namespace, frozenset[str]]


def batch(ops: Iterable[Any], index: Index | None, *, omit_expired: bool, provenance: Callable[[], Provenance]) -> Stage:
    """Answer a batch: reads see the memory as it was before; of several puts of a key the last counts; all writes are made, or none.

    Raises:
        InvalidNamespaceError, InvalidContentError, ConfigError, ValueError, TypeError: an operation is refused; nothing was done.
        EmbeddingFailedError, InvalidVectorError, DimensionMismatchError: nothing was written.
    """
    work = sorted_out(ops, index)
    vectors = (yield from _query_vectors(work, index)) if index is not None else {}
    if not work.reads and not work.writes:
        return []
    before: _Before = yield Call(lambda engine: _read(Reader(engine, engine.ledger.now(), omit_expired), work, vectors))
    if work.writes:
        plans = yield from _plans(work, before, index, provenance())
        if plans:
            yield ApplyAll(plans)
    return [before.answers.get(position) for position in range(work.count)]


def _query_vectors(work: Operations, index: Index | None) -> Stage:
    queries = tuple(dict.fromkeys(op.query for _, op, _ in work.searches if op.query and op.query.strip()))
    if not queries:
        return {}
    matrix = yield Embed(queries, query=True)
    _check_dims(matrix, index)
    return dict(zip(queries, matrix, strict=True))


def _read(reader: Reader, work: Operations, vectors: Mapping[str, Vector]) -> _Before:
    answers: dict[int, Any] = dict(reader.get(work.gets))
    for position, op, matcher in work.searches:
        answers[position] = reader.search(_searched(op, matcher, vectors))
    for position, op in work.listings:
        answers[position] = reader.list_namespaces(op)
    reader.finish()
    rows: dict[Namespace, dict[str, NodeRow]] = {}
    known: dict[Namespace, frozenset[str]] = {}
    for namespace, writes in _by_namespace(work).items():
        rows[namespace] = reader.standing(namespace, [write.key for write in writes])
        hashes = {name for write in writes for name in write.indexed.contents}
        known[namespace] = frozenset(reader.engine.ledger.vectors(namespace, list(hashes))) if hashes else frozenset()
    return _Before(reader.now, answers, rows, known)


def _searched(op: SearchOp, matcher: Matcher | None, vectors: Mapping[str, Vector]) -> Search:
    return Search(op, matcher, vectors.get(op.query) if op.query else None)


def _by_namespace(work: Operations) -> dict[Namespace, list[Write]]:
    grouped: dict[Namespace, list[Write]] = {}
    for write in work.writes.values():
        grouped.setdefault(write.namespace, []).append(write)
    return grouped


def _plans(work: Operations, before: _Before, index: Index | None, provenance: Provenance) -> Stage:
    """One plan for each namespace; texts that any of them lacks a vector for are embedded in one call."""
    grouped = _by_namespace(work)
    missing: dict[str, str] = {}
    for namespace, writes in grouped.items():
        for write in writes:
            missing.update((name, text) for name, text in write.indexed.contents.items() if name not in before.known[namespace])
    new: dict[str, VectorWrite] = {}
    if missing:
        matrix = yield Embed(tuple(missing.values()))
        _check_dims(matrix, index)
        new = {name: VectorWrite(name, vector) for name, vector in zip(missing, matrix, strict=True)}
    plans: list[Plan] = []
    for namespace, writes in grouped.items():
        operation = uuid.uuid4().hex
        rows = before.rows[namespace]
        nodes = [
            _node(write, rows.get(write.key), operation, before.now) for write in writes if write.value is not None or write.key in rows
        ]
        wanted = {name for write in writes for name in write.indexed.contents} - before.known[namespace]
        if nodes:
            kind = "put" if any(node.body is not None for node in nodes) else "delete"
            vectors = [new[name] for name in new if name in wanted]
            plans.append(Plan(operation, kind, namespace, (*nodes, *vectors), provenance))
    return tuple(plans)


def _node(write: Write, standing: NodeRow | None, operation: str, now: float) -> NodeWrite:
    """A new version of the item; of what stands under its key, which may be a fact that was remembered."""
    node = item_node(write.namespace, write.key) if standing is None else standing.node
    kind: NodeKind = "item" if write.value is not None or standing is None else standing.kind
    ttl = None if write.ttl is None else write.ttl * 60.0
    return NodeWrite(
        id=f"{node}:{operation[:16]}",
        node=node,
        kind=kind,
        body=None if write.value is None else {"value": write.value},
        texts=write.indexed.texts,
        key=write.key,
        created_at=now if standing is not None and standing.expires_at is not None and standing.expires_at <= now else None,
        expires_at=None if ttl is None else now + ttl,
        ttl=ttl,
        erase=write.value is None,
    )


def _check_dims(matrix: Any, index: Index | None) -> None:
    if index is not None and index.dims is not None and matrix.shape[1] != index.dims:
        raise DimensionMismatchError(
            f"index['dims'] is {index.dims}, and the embedding gave vectors of {matrix.shape[1]} dimensions; set dims to {matrix.shape[1]}, or leave it out"
        )
