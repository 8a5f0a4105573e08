"""The kit's own embedding: deterministic, small, needs no model, and its cosines can be worked out by hand.

A text becomes counts of its words; each word of `VOCABULARY` has a dimension of its own, other words share the rest. A word that
starts with "un" points the opposite way of the word without it, so that a cosine can be negative: embed("unapple") = -embed("apple").
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Sequence
from zlib import crc32

from langchain_core.embeddings import Embeddings

VOCABULARY = ("apple", "banana", "cherry", "date", "elder", "fig", "grape", "hazel", "text", "note", "title", "content")
SHARED = 12
DIMS = len(VOCABULARY) + SHARED
FAILING_WORD = "unembeddable"
"""A text that holds this word makes `embed` raise RuntimeError, as an embedding service that is down does."""

SLOW = 0.2
"""Seconds that `SlowEmbeddings` takes."""

_WORD = re.compile(r"[a-z]+")


def _dimension(word: str) -> int:
    return VOCABULARY.index(word) if word in VOCABULARY else len(VOCABULARY) + crc32(word.encode()) % SHARED


def embed(texts: Sequence[str]) -> list[list[float]]:
    """Vectors of `DIMS` floats, one for each text; never all zero. Raises RuntimeError for a text with `FAILING_WORD`."""
    vectors: list[list[float]] = []
    for text in texts:
        words = _WORD.findall(text.lower()) or ["nothing"]
        if FAILING_WORD in words:
            raise RuntimeError(f"the kit's embedding refuses texts with the word {FAILING_WORD!r}, by design")
        vector = [0.0] * DIMS
        for word in words:
            if word.startswith("un") and len(word) > 2:
                vector[_dimension(word[2:])] -= 1.0
            else:
                vector[_dimension(word)] += 1.0
        if not any(vector):
            vector[-1] = 1.0
        vectors.append(vector)
    return vectors


async def aembed(texts: Sequence[str]) -> list[list[float]]:
    """`embed` as an asynchronous function, for stores that are given one."""
    return embed(texts)


def cosine(left: str, right: str) -> float:
    """Cosine of the two texts' vectors, in [-1, 1]."""
    a, b = embed([left, right])
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


class KitEmbeddings(Embeddings):
    """The same embedding as a LangChain object. With `query_text`, every query is embedded as that text instead: models that embed
    queries and documents differently are common, and a store must call `embed_query` for queries."""

    def __init__(self, query_text: str | None = None) -> None:
        self.query_text = query_text

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return embed(texts)

    def embed_query(self, text: str) -> list[float]:
        return embed([self.query_text or text])[0]

    def __repr__(self) -> str:
        return f"KitEmbeddings({self.query_text!r})" if self.query_text else "KitEmbeddings()"


class SlowEmbeddings(KitEmbeddings):
    """The same embedding, taking `SLOW` seconds for documents: time enough to be cancelled in the middle of a batch."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        time.sleep(SLOW)
        return embed(texts)

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        await asyncio.sleep(SLOW)
        return embed(texts)
