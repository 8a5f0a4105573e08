"""Short ways to write plans."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np

from langgraph_fluxmem.edits import CommitWrite, EdgeWrite, EvidenceWrite, NodeWrite, Plan, Text, VectorWrite
from langgraph_fluxmem.schema import Provenance

ADA = ("acme", "ada")
BOB = ("acme", "bob")
DIMS = 8
_count = itertools.count(1)


def fresh(prefix: str = "id") -> str:
    return f"{prefix}-{next(_count)}"


def content_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def vector(text: str, dims: int = DIMS) -> np.ndarray:
    raw = np.random.default_rng(int(content_hash(text), 16)).standard_normal(dims).astype(np.float32)
    return raw / np.linalg.norm(raw)


def plan(*writes, op: str | None = None, kind: str = "remember", ns=ADA, **provenance) -> Plan:
    return Plan(op or fresh("op"), kind, ns, tuple(writes), Provenance(**provenance))


def fact(node: str, content: str = "text", *, id: str | None = None, **more) -> NodeWrite:
    more.setdefault("kind", "fact")
    more.setdefault("texts", (Text("content", content_hash(content), content),))
    return NodeWrite(id=id or fresh("v"), node=node, body={"content": content}, **more)


def gone(node: str, *, id: str | None = None, erase: bool = False, kind: str = "fact") -> NodeWrite:
    return NodeWrite(id=id or fresh("v"), node=node, kind=kind, body=None, erase=erase)


def remember(node: str, content: str = "text", *, op: str | None = None, ns=ADA, **more) -> Plan:
    return plan(fact(node, content, **more), VectorWrite(content_hash(content), vector(content)), op=op, ns=ns)


def evidence(target: str, channel: str = "progress", weight: float = 1.0, activation: str = "act") -> EvidenceWrite:
    return EvidenceWrite(target, activation, channel, weight)


__all__ = [
    "ADA",
    "BOB",
    "DIMS",
    "CommitWrite",
    "EdgeWrite",
    "content_hash",
    "evidence",
    "fact",
    "fresh",
    "gone",
    "plan",
    "remember",
    "vector",
]
