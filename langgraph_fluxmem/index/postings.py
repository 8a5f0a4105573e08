"""Lexical postings of one namespace: for each term the slots that hold it and how often, and for each slot its terms in order.

BM25 (Robertson and Zaragoza 2009) with the idf of Lucene, ``ln(1 + (N - df + .5) / (df + .5))``, which is never negative.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.index.columns import Column

Posting = tuple[NDArray[np.int32], NDArray[np.int32]]
"""Slots (df,), increasing, and term frequencies (df,)."""
BULK = 256
"""From this many documents at once their postings are sorted instead of appended one by one."""
_EMPTY = np.zeros((2, 0), np.int32)


class Postings:
    """Growing postings; slots are appended in order. Appending is guarded by the caller's lock, `posting` by the same one."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._vocabulary: list[str] = []
        self._lists: list[array[int]] = []
        self._pairs: dict[str, NDArray[np.int32]] = {}
        self._tokens: Column[np.int32] = Column(np.int32)
        self._ends: Column[np.int64] = Column(np.int64)

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def vocabulary(self) -> Sequence[str]:
        """Every term seen, by term id; it only grows."""
        return self._vocabulary

    def extend(self, documents: Sequence[Sequence[str]]) -> None:
        """Append one slot for each list of terms."""
        if not documents:
            return
        ids = self._ids
        first, known = len(self._ends), len(ids)
        codes = [ids.setdefault(term, len(ids)) for terms in documents for term in terms]
        new = list(islice(reversed(ids), len(ids) - known))
        self._vocabulary.extend(reversed(new))
        self._lists.extend(array("i") for _ in new)
        lengths = [len(terms) for terms in documents]
        self._ends.extend(len(self._tokens) + np.cumsum(lengths))
        self._tokens.extend(codes)
        if self._pairs:
            for term in {term for terms in documents for term in terms} if len(documents) < BULK else list(self._pairs):
                self._pairs.pop(term, None)
        if len(documents) < BULK:
            begin = 0
            for slot, length in enumerate(lengths, first):
                for code, frequency in Counter(codes[begin : begin + length]).items():
                    self._lists[code].extend((slot, frequency))
                begin += length
            return
        keys = np.array(codes, dtype=np.int64) << 32 | np.repeat(np.arange(first, first + len(documents)), lengths)
        keys, frequencies = np.unique(keys, return_counts=True)
        pairs = np.stack([keys & 0xFFFFFFFF, frequencies], axis=1).astype(np.int32)
        touched, starts = np.unique(keys >> 32, return_index=True)
        for code, begin, end in zip(touched.tolist(), starts.tolist(), [*starts[1:].tolist(), len(pairs)], strict=True):
            self._lists[code].frombytes(pairs[begin:end].tobytes())

    def posting(self, term: str, size: int) -> Posting:
        """The posting of a term within the first `size` slots."""
        slots, frequencies = self.pairs(term, size)
        return slots, frequencies

    def pairs(self, term: str, size: int) -> NDArray[np.int32]:
        """(2, df) the same in one array: slots, and how often each holds the term."""
        pairs = self._pairs.get(term)
        if pairs is None:
            code = self._ids.get(term)
            if code is None:
                return _EMPTY
            pairs = self._pairs[term] = np.array(np.array(self._lists[code], dtype=np.int32).reshape(-1, 2).T, order="C")
        if size >= len(self._ends):
            return pairs
        return pairs[:, : int(np.searchsorted(pairs[0], size))]

    def ends(self) -> NDArray[np.int64]:
        """Where each slot's terms end in `tokens`."""
        return self._ends.read()

    def tokens(self) -> NDArray[np.int32]:
        """The terms of all slots, one after the other, as term ids."""
        return self._tokens.read()

    def terms_of(self, slot: int) -> list[str]:
        """The terms of a slot, in order, repeated as they occur."""
        ends = self._ends.read()
        begin = int(ends[slot - 1]) if slot else 0
        return [self._vocabulary[code] for code in self._tokens.read()[begin : int(ends[slot])].tolist()]

    def take(self, slots: NDArray[np.integer]) -> Postings:
        """New postings of these slots only, in this order; terms that none of them holds are forgotten."""
        out = Postings()
        out.extend([self.terms_of(slot) for slot in slots.tolist()])
        return out

    @property
    def nbytes(self) -> int:
        """Bytes of lists and token arrays, and about what the dictionary of terms takes."""
        lists = sum(64 + 4 * len(held) for held in self._lists)
        words = sum(49 + len(term) for term in self._vocabulary) + 110 * len(self._vocabulary)
        return lists + words + self._tokens.nbytes + self._ends.nbytes + sum(pairs.nbytes for pairs in self._pairs.values())


def bm25_weights(
    frequencies: NDArray[np.int32], lengths: NDArray[np.float32], average: float, *, df: int, size: int, k1: float, b: float
) -> NDArray[np.float32]:
    """BM25 of one term for the documents that hold it: `lengths` are theirs in terms, `df` and `size` count live documents."""
    idf = np.float32(np.log1p((size - df + 0.5) / (df + 0.5)))
    tf = frequencies.astype(np.float32)
    norm = np.float32(k1) * (np.float32(1.0 - b) + np.float32(b / average if average else 0.0) * lengths)
    return np.divide(idf * np.float32(k1 + 1.0) * tf, tf + norm, dtype=np.float32)
