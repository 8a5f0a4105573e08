"""What the ledger answers with: frozen rows. `op` is always a log position, `operation` an operation's id; times are epoch seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from langgraph_fluxmem.edits import Text
from langgraph_fluxmem.schema import Channel, EdgeKind, Namespace, NodeKind, Provenance

EditKind = Literal["version", "tombstone", "erase", "edge", "evidence", "commit", "undo", "redo", "compact"]
"""What an entry of the edit log did to its target. ``version``/``tombstone``/``erase``: a version id. ``edge``: an edge id. ``evidence``:
the evidence's target. ``commit``: a commit id. ``undo``/``redo``: the id of an operation that stopped or began to count again. ``compact``: the
position up to which the past was dropped."""


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One version of a node. ``body is None``: a tombstone, an erased version, or a read with ``bodies=False`` (`tombstone` and
    `erased` tell them apart)."""

    id: str
    node: str
    kind: NodeKind
    body: Mapping[str, Any] | None
    texts: tuple[Text, ...]
    key: str
    source: str | None
    position: float | None
    speaker: str | None
    created_at: float
    updated_at: float
    expires_at: float | None
    ttl: float | None
    op: int
    commit: str | None
    operation: str
    tombstone: bool = False
    erased: bool = False


class BodyRow(NamedTuple):
    """What a version says, without who wrote it when. ``body is None``: a tombstone or an erased version. `texts` are those of an item."""

    id: str
    kind: NodeKind
    key: str
    body: Mapping[str, Any] | None
    texts: tuple[Text, ...]


class RawBody(NamedTuple):
    """The same as the ledger holds it: `body` and `texts` are JSON."""

    id: str
    kind: NodeKind
    key: str
    body: str | None
    texts: str | None


def decoded(rows: Sequence[RawBody]) -> list[BodyRow]:
    """What they say: all of it decoded in one go, which takes half of the time."""
    bodies = json.loads(f"[{','.join(['null' if row.body is None else row.body for row in rows])}]")
    return [
        BodyRow(row.id, row.kind, row.key, body, _texts(row.texts) if row.texts and row.kind == "item" else ())
        for row, body in zip(rows, bodies, strict=True)
    ]


def _texts(texts: str) -> tuple[Text, ...]:
    return tuple([Text(*text) for text in json.loads(texts)])


@dataclass(frozen=True, slots=True)
class EdgeRow:
    """An edge as one operation wrote it: two operations that wrote the same edge are two rows with the same `id`."""

    id: str
    kind: EdgeKind
    src: str
    dst: str
    weight: float
    op: int
    commit: str | None


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """`weight` of evidence on `target`, unique per (operation, activation, target, channel)."""

    target: str
    activation: str
    channel: Channel
    weight: float
    op: int
    commit: str | None


@dataclass(frozen=True, slots=True)
class CommitRow:
    """An episode commit. `live` is False while its operation is undone; `seen`, `alone`, `above` as in `edits.CommitWrite`."""

    id: str
    episode: str
    digest: str
    namespace: Namespace
    op: int
    operation: str
    at: float
    provenance: Provenance
    seen: tuple[str, ...]
    live: bool
    alone: tuple[str, ...] = ()
    above: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OperationRow:
    """One operation of the log. `undoes` are the operations an ``undo`` was asked to undo; `undone` says that it does not count now."""

    id: str
    kind: str
    namespace: Namespace
    position: int
    at: float
    provenance: Provenance
    edits: int
    commit: str | None
    undoes: tuple[str, ...]
    undone: bool


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the edit log: the operation at `position`, of verb `kind`, did `edit` to `target`. `node` is the node of a version or
    tombstone, None for other edits and for versions that were compacted away."""

    position: int
    operation: str
    kind: str
    namespace: Namespace
    edit: EditKind
    target: str
    node: str | None = None


def begins_anew(change: Change, position: int) -> bool:
    """Whether somebody who has followed the log to `position` has to read everything again: something was undone, or what they had not seen
    yet was compacted away."""
    return change.edit in ("undo", "redo") or (change.edit == "compact" and int(change.target) > position)
