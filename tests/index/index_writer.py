"""What the tests of the projections write: facts with texts of a few words and seeded vectors."""

from __future__ import annotations

import itertools

import numpy as np

from langgraph_fluxmem.ledger import Ledger
from langgraph_fluxmem.edits import EdgeWrite, EvidenceWrite, NodeWrite, Plan, Text, VectorWrite

NS = ("acme", "ada")
DIMS = 8
_operations = itertools.count()
_versions = itertools.count()


def unit(seed: int, dims: int = DIMS) -> np.ndarray:
    """The same random direction for the same seed."""
    vector = np.random.default_rng(seed).standard_normal(dims).astype(np.float32)
    return vector / np.linalg.norm(vector)


class Writer:
    """Writes to a ledger the way the engine does; vectors are those of `vector_of`."""

    def __init__(self, ledger: Ledger, dims: int = DIMS) -> None:
        self.ledger, self.dims = ledger, dims
        ledger.check_embedding("test", dims)

    def vector_of(self, digest: str) -> np.ndarray:
        seed = int.from_bytes(digest.encode(), "big") % 2**32
        return unit(seed, self.dims)

    def node(self, node: str, terms: str = "", *, texts=None, **more):
        """(NodeWrite, vectors) of a new version."""
        version = f"{node}:{next(_versions)}"
        made = tuple(
            Text(path, digest, words) for path, digest, words in (texts if texts is not None else [("content", f"h-{version}", terms)])
        )
        write = NodeWrite(version, node, more.pop("kind", "fact"), {"content": terms}, made, **more)
        return write, [VectorWrite(text.hash, self.vector_of(text.hash)) for text in made]

    def apply(self, *writes, namespace=NS, kind="remember", operation=None):
        operation = operation or f"op-{next(_operations)}"
        self.ledger.apply(Plan(operation, kind, namespace, tuple(writes)))
        return operation

    def put(self, node: str, terms: str = "", *, namespace=NS, texts=None, vectors=True, with_writes=(), **more) -> str:
        write, made = self.node(node, terms, texts=texts, **more)
        self.last = self.apply(write, *(made if vectors else ()), *with_writes, namespace=namespace)
        return write.id

    def put_many(self, nodes, namespace=NS):
        """[(node, terms, options)] in one operation; their version ids."""
        pairs = [self.node(node, terms, **options) for node, terms, options in nodes]
        self.last = self.apply(*(write for write, _ in pairs), *(vector for _, vectors in pairs for vector in vectors), namespace=namespace)
        return [write.id for write, _ in pairs]

    def forget(self, node: str, *, namespace=NS, erase=False) -> None:
        self.last = self.apply(NodeWrite(f"{node}:{next(_versions)}", node, "fact", None, erase=erase), namespace=namespace, kind="remove")

    def link(self, *edges, namespace=NS, commit=None):
        writes = [EdgeWrite(*edge) for edge in edges]
        self.last = self.apply(*writes, *([commit] if commit else []), namespace=namespace, kind="commit" if commit else "link")

    def judge(self, *rows, namespace=NS, activation="a"):
        self.last = self.apply(
            *(EvidenceWrite(target, activation, channel, weight) for target, channel, weight in rows), namespace=namespace, kind="learn"
        )
