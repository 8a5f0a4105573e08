"""The ledger's integrity: one line for each difference from what its own rules say."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import bindparam, func, literal_column, or_, select
from sqlalchemy.sql.elements import ColumnElement

from langgraph_fluxmem.ledger.apply import stored_embedding
from langgraph_fluxmem.ledger.compacting import horizon
from langgraph_fluxmem.ledger.reembedding import next_embedding
from langgraph_fluxmem.ledger.sql import Session, Statement
from langgraph_fluxmem.ledger.tables import (
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
    text_refs,
    undoes,
    vectors,
)

Check = Callable[[Session], Iterator[str]]
SHOWN = 20
"""Lines per check at most; the rest is counted."""

_OP_COLUMNS: dict[str, ColumnElement[Any]] = {
    "node versions": nodes.c.op,
    "edges": edges.c.op,
    "evidence": evidence.c.op,
    "commits": commits.c.op,
    "log entries": edits.c.position,
    "dependencies": rests_on.c.op,
    "bases of dependencies": rests_on.c.base,
    "undoes": undoes.c.op,
    "undone operations": undoes.c.target,
    "dead spans": dead.c.op,
}


def _orphans_of(column: ColumnElement[Any]) -> Statement:
    has_operation = select(literal_column("1")).select_from(operations).where(operations.c.position == column).exists()
    return Statement(select(column).where(~has_operation).distinct().order_by(column))


_ORPHANS = {name: _orphans_of(column) for name, column in _OP_COLUMNS.items()}
_SPAN = Statement(
    select(func.min(operations.c.position), func.max(operations.c.position), func.count()).where(operations.c.position > bindparam("after"))
)
_OPERATIONS = Statement(select(operations.c.position, operations.c.id, operations.c.edits).order_by(operations.c.position))
_LOGGED = Statement(select(edits.c.position, edits.c.edit, func.count()).group_by(edits.c.position, edits.c.edit))
_STORED = {
    "version": Statement(select(nodes.c.op, func.count()).where(nodes.c.tombstone == 0).group_by(nodes.c.op)),
    "tombstone": Statement(select(nodes.c.op, func.count()).where(nodes.c.tombstone == 1).group_by(nodes.c.op)),
    "edge": Statement(select(edges.c.op, func.count()).group_by(edges.c.op)),
    "evidence": Statement(select(evidence.c.op, func.count()).group_by(evidence.c.op)),
    "commit": Statement(select(commits.c.op, func.count()).group_by(commits.c.op)),
    "erase": Statement(select(nodes.c.erased_by, func.count()).where(nodes.c.erased_by.is_not(None)).group_by(nodes.c.erased_by)),
}
_DUPLICATES = Statement(
    select(evidence.c.op, evidence.c.target, evidence.c.channel, func.count())
    .group_by(evidence.c.op, evidence.c.target, evidence.c.activation, evidence.c.channel)
    .having(func.count() > 1)
)
_last = select(edits.c.ns, func.max(edits.c.position).label("position")).group_by(edits.c.ns).subquery()
_HEADS = Statement(
    select(namespaces.c.path, namespaces.c.head, _last.c.position)
    .join(_last, _last.c.ns == namespaces.c.id)
    .where(namespaces.c.head < _last.c.position)
)
_TEXTS = Statement(select(nodes.c.ns, nodes.c.seq, nodes.c.texts).where(nodes.c.texts.is_not(None)))
_REFERENCES = Statement(select(text_refs.c.ns, text_refs.c.seq, text_refs.c.hash))
_WRONG_BODIES = Statement(
    select(nodes.c.id, nodes.c.erased_by).where(
        or_(
            nodes.c.erased_by.is_not(None) & (nodes.c.body.is_not(None) | nodes.c.texts.is_not(None)),
            nodes.c.erased_by.is_(None) & (nodes.c.body.is_(None) != (nodes.c.tombstone == 1)),
        )
    )
)
_EMBEDDING = Statement(select(meta.c.value).where(meta.c.key == "embedding"))
_VECTORS = Statement(
    select(vectors.c.fingerprint, func.length(vectors.c.vector), func.count()).group_by(
        vectors.c.fingerprint, func.length(vectors.c.vector)
    )
)
_UNDOES = Statement(select(undoes.c.op, undoes.c.target))
_DEAD = Statement(select(dead.c.op).where(dead.c.until.is_(None)))


def check(session: Session) -> list[str]:
    """All differences, in one consistent read."""
    with session.consistently():
        return [line for each in _CHECKS for line in _bounded(each(session))]


def _bounded(lines: Iterator[str]) -> Iterator[str]:
    more = 0
    for count, line in enumerate(lines):
        if count < SHOWN:
            yield line
        else:
            more += 1
    if more:
        yield f"... and {more} more like the last"


def _file(session: Session) -> Iterator[str]:
    if session.sqlite:
        for (line,) in session.text("PRAGMA quick_check"):
            if line != "ok":
                yield f"SQLite: {line}"


def _positions(session: Session) -> Iterator[str]:
    after = horizon(session)
    found = session.one(_SPAN, {"after": after})
    if found and found[2]:
        first = after + 1 if after else found[0]
        if found[1] - first + 1 != found[2]:
            yield f"positions {first} to {found[1]} hold {found[2]} operations; expected {found[1] - first + 1}: the log has gaps"


def _orphans(session: Session) -> Iterator[str]:
    for name, statement in _ORPHANS.items():
        for (op,) in session.all(statement):
            yield f"{name} of position {op}, where the log has no operation"


def _half_operations(session: Session) -> Iterator[str]:
    logged: dict[int, dict[str, int]] = defaultdict(dict)
    for position, edit, count in session.all(_LOGGED):
        logged[position][edit] = count
    stored = {edit: dict(session.all(statement)) for edit, statement in _STORED.items()}
    for position, id_, expected in session.all(_OPERATIONS):
        entries = logged.get(position, {})
        if sum(entries.values()) != expected:
            yield f"operation {id_} at {position} has {sum(entries.values())} log entries; expected {expected}"
        for edit, rows in stored.items():
            if rows.get(position, 0) != entries.get(edit, 0):
                yield f"operation {id_} at {position} has {rows.get(position, 0)} rows for {entries.get(edit, 0)} log entries {edit!r}"


def _duplicate_evidence(session: Session) -> Iterator[str]:
    for op, target, channel, count in session.all(_DUPLICATES):
        yield f"evidence of position {op} on {target} ({channel}) is there {count} times"


def _heads(session: Session) -> Iterator[str]:
    for path, head, last in session.all(_HEADS):
        yield f"namespace {path} has head {head}; its last log entry is at {last}"


def _texts(session: Session) -> Iterator[str]:
    expected = {(ns, seq, hash_) for ns, seq, texts in session.all(_TEXTS) for _, hash_, _ in json.loads(texts)}
    found = set(session.all(_REFERENCES))
    for _, seq, hash_ in sorted(expected - found):
        yield f"text {hash_} of version row {seq} is not referenced; its vector could be dropped"
    for _, seq, hash_ in sorted(found - expected):
        yield f"a reference to text {hash_} names version row {seq}, which does not hold it"


def _bodies(session: Session) -> Iterator[str]:
    for id_, erased_by in session.all(_WRONG_BODIES):
        yield f"version {id_} " + (
            "has no body and is no tombstone" if erased_by is None else f"was erased at {erased_by} and still holds content"
        )


def _vectors(session: Session) -> Iterator[str]:
    found = session.one(_EMBEDDING)
    embedding = stored_embedding(found[0] if found else None)
    coming = next_embedding(session)
    for fingerprint, length, count in session.all(_VECTORS):
        if fingerprint == coming:
            continue
        if embedding is None or fingerprint != embedding[0] or length != 4 * embedding[1]:
            yield f"{count} vectors of {length // 4} dimensions from {fingerprint!r}; the memory's embedding is {embedding!r}"


def _undone(session: Session) -> Iterator[str]:
    undoers: dict[int, list[int]] = defaultdict(list)
    for op, target in session.all(_UNDOES):
        undoers[target].append(op)
        if op <= target:
            yield f"operation at {op} undoes the later one at {target}"
    expected: set[int] = set()
    for target in sorted(undoers, reverse=True):
        if any(op not in expected for op in undoers[target]):
            expected.add(target)
    found = {op for (op,) in session.all(_DEAD)}
    for op in sorted(expected ^ found):
        yield f"operation at {op} is {'undone' if op in expected else 'live'} by its undos and {'undone' if op in found else 'live'} by its spans"


_CHECKS: tuple[Check, ...] = (
    _file,
    _positions,
    _orphans,
    _half_operations,
    _duplicate_evidence,
    _heads,
    _texts,
    _bodies,
    _vectors,
    _undone,
)
