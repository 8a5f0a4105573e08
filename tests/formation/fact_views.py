"""Views and stages without a database: rows made by hand, requests answered by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from langgraph_fluxmem.hashing import HashingEmbedder
from langgraph_fluxmem.index.namespace import NamespaceArrays
from langgraph_fluxmem.index.view import NamespaceView
from langgraph_fluxmem.ingestion import drafts
from langgraph_fluxmem.ledger.rows import NodeRow
from langgraph_fluxmem.requests import Load

NS = ("acme", "ada")
EMBEDDER = HashingEmbedder()


class Facts:
    """A namespace held in lists: documents as `ingestion` makes them of, their rows, and a view of them."""

    def __init__(self, documents: Any, namespace: tuple[str, ...] = NS, *, vectors: bool = True) -> None:
        self.namespace = namespace
        self.drafts = drafts(documents, namespace=namespace)
        self.rows = [
            NodeRow(
                f"{draft.node}:00000000",
                draft.node,
                "fact",
                draft.body,
                (draft.text,),
                draft.node,
                draft.source,
                draft.position,
                draft.speaker,
                0.0,
                0.0,
                None,
                None,
                position,
                None,
                "remember",
            )
            for position, draft in enumerate(self.drafts, 1)
        ]
        known = dict(
            zip((draft.text.hash for draft in self.drafts), EMBEDDER.embed([draft.embedded for draft in self.drafts]), strict=True)
        )
        arrays = NamespaceArrays()
        arrays.append(self.rows, known if vectors else {})
        self.view = NamespaceView(namespace, len(self.rows), arrays)
        self.asked: list[Any] = []

    @property
    def ids(self) -> list[str]:
        return [row.id for row in self.rows]

    def answer(self, request: Any) -> Any:
        self.asked.append(request)
        assert isinstance(request, Load)
        return {row.id: row for row in self.rows if row.id in request.ids and request.namespace == self.namespace}


def run(stage: Any, *spaces: Facts) -> Any:
    """Drive a stage that loads facts."""
    answer = None
    while True:
        try:
            request = stage.send(answer)
        except StopIteration as stop:
            return stop.value
        answer = {key: row for space in spaces for key, row in space.answer(request).items()}


def vector(text: str) -> np.ndarray:
    return EMBEDDER.embed([text], query=True)[0]
