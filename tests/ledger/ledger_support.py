"""Short ways to write plans."""

from __future__ import annotations

import hashlib
import itertools
import threading
from concurrent.futures import Future

import numpy as np

from langgraph_fluxmem.edits import CommitWrite, EdgeWrite, EvidenceWrite, NodeWrite, Plan, Text, VectorWrite
from langgraph_fluxmem.errors import LedgerError
from langgraph_fluxmem.schema import Provenance
from langgraph_fluxmem.testing import faults

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


class Held:
    """The writer, held before it commits `first`, so that what is submitted meanwhile queues up behind that."""

    def __init__(self, ledger, first):
        self.ledger, self.plan = ledger, first
        self.entered, self.release = threading.Event(), threading.Event()

    def _hold(self):
        self.entered.set()
        assert self.release.wait(30)

    def __enter__(self):
        faults.arm("ledger.before_commit", self._hold, at=1)
        self.first = self.ledger.submit(self.plan)
        assert self.entered.wait(30)
        return self

    def __exit__(self, *_):
        self.release.set()
        faults.disarm()


def outcome(future: Future):
    try:
        return future.result().position
    except LedgerError as error:
        return str(error)


__all__ = [
    "ADA",
    "BOB",
    "DIMS",
    "CommitWrite",
    "EdgeWrite",
    "Held",
    "content_hash",
    "evidence",
    "fact",
    "fresh",
    "gone",
    "outcome",
    "plan",
    "remember",
    "vector",
]
