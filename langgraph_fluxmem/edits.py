"""What changes memory: the writes of a plan, applied in one transaction, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from langgraph_fluxmem.schema import Channel, EdgeKind, Namespace, NodeKind, Provenance, Vector


@dataclass(frozen=True, slots=True)
class Text:
    """One indexed text of a node version: `path` inside the value (``"content"`` for a fact), content `hash`, and its `terms` (stems
    joined by blanks; empty: no lexical posting). A vector for it is kept under (namespace, hash, fingerprint)."""

    path: str
    hash: str
    terms: str = ""


@dataclass(frozen=True, slots=True)
class NodeWrite:
    """A new version `id` of `node`. ``body=None`` is a tombstone: the node is gone from here on (earlier bodies are erased when
    `erase`). `key` is the store key (default: the node). Times are epoch seconds."""

    id: str
    node: str
    kind: NodeKind
    body: Mapping[str, Any] | None
    texts: tuple[Text, ...] = ()
    key: str | None = None
    source: str | None = None
    position: float | None = None
    speaker: str | None = None
    created_at: float | None = None
    expires_at: float | None = None
    ttl: float | None = None
    erase: bool = False


@dataclass(frozen=True, slots=True)
class EdgeWrite:
    """A stored edge; its id is derived from (kind, src, dst). `weight` >= 0; data is content-free."""

    kind: EdgeKind
    src: str
    dst: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class EvidenceWrite:
    """`weight` of evidence on `target`, above 0; below 0 it withdraws what was written before: a step id (``episode version#ordinal``), a node version, or an edge ``src>dst``.
    Unique per (operation, activation, target, channel)."""

    target: str
    activation: str
    channel: Channel
    weight: float


@dataclass(frozen=True, slots=True)
class VectorWrite:
    """A vector (d,) float32, L2-normalised, for the text with this content hash, under the ledger's current embedding."""

    hash: str
    vector: Vector


@dataclass(frozen=True, slots=True)
class CommitWrite:
    """An episode commit: `id` = uuid5(episode id, digest). `seen` are the commits it came after, each standing for those it came after itself;
    `alone` are further ones that stand for themselves only. `above` are the checkpoints of the graphs around the subgraph it was made in."""

    id: str
    episode: str
    digest: str
    seen: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    above: tuple[str, ...] = ()


Write = NodeWrite | EdgeWrite | EvidenceWrite | VectorWrite | CommitWrite


@dataclass(frozen=True, slots=True)
class Plan:
    """One operation: all of its writes are applied in one transaction, once per operation id.

    `kind` is the verb that made it (``remember``, ``put``, ``learn``, ``commit``, ``undo``, ...). `expects` maps nodes to the version that must
    be current in the transaction that writes the plan (None: the node must not be there): compare-and-swap. `rests_on` are log positions
    of operations that must count then; undoing one of them takes this one along, as it does for what edges and evidence name. Where one of
    these does not hold the plan is refused with `StaleError` as a whole.
    """

    operation: str
    kind: str
    namespace: Namespace
    writes: tuple[Write, ...]
    provenance: Provenance = field(default_factory=Provenance)
    expects: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    rests_on: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a plan: its log `position`, and whether the ledger already held this operation."""

    operation: str
    position: int
    duplicate: bool = False
