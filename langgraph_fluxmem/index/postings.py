"""Lexical postings of one namespace: for each term the slots that hold it and how often, and for each slot its terms in order.

BM25 (Robertson and Zaragoza 2009) with the idf of Lucene, ``ln(1 + (N - df + .5) / (df + .5))``, which is never negative.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.index.columns import Column

Posting = tuple[NDArray[np.int32], NDArray[np.int32]]
"""Slots (df,), increasing, and term frequencies (df,)."""
BULK = 256
"""From this many documents at once their postings are sorted instead of appended one by one."""
REST = 4096
"""What was appended is sorted into the rest when it is more than this many pairs, and half as many as those."""
_EMPTY = np.zeros((2, 0), np.int32)


class Postings:
    """Growing postings; slots are appended in order. Appending is guarded by the caller's lock, `posting` by the same one.

    Most pairs of slot and frequency lie term by term in one array, which is never changed; later ones in a short array for each term.
    """

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._vocabulary: list[str] = []
        self._sorted: NDArray[np.int32] = _EMPTY
        self._starts: array[int] = array("q", (0,))
        self._late: dict[int, array[int]] = {}
        self._late_pairs = 0
        self._joined: dict[int, NDArray[np.int32]] = {}
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
        lengths = [len(terms) for terms in documents]
        self._ends.extend(len(self._tokens) + np.cumsum(lengths))
        self._tokens.extend(codes)
        if len(documents) >= BULK:
            self._extend_sorted(codes, np.repeat(np.arange(first, first + len(documents)), lengths))
        else:
            begin = 0
            for slot, length in enumerate(lengths, first):
                for code, frequency in Counter(codes[begin : begin + length]).items():
                    self._extend_late(code, array("i", (slot, frequency)))
                begin += length
        if self._late_pairs > max(REST, self._sorted.shape[1] // 2):
            self._sort(*(np.zeros(0, np.int32) for _ in range(3)))

    def _extend_late(self, code: int, pairs: array[int]) -> None:
        held = self._late.get(code)
        if held is None:
            self._late[code] = pairs
        else:
            held.extend(pairs)
            self._joined.pop(code, None)
        self._late_pairs += len(pairs) // 2

    def _extend_sorted(self, codes: Sequence[int], slots: NDArray[np.integer]) -> None:
        keys, frequencies = np.unique(np.array(codes, dtype=np.int64) << 32 | slots, return_counts=True)
        terms, slots = keys >> 32, keys & 0xFFFFFFFF
        if not len(keys):
            return
        if 2 * len(keys) >= self._sorted.shape[1]:
            self._sort(terms, slots, frequencies)
            return
        pairs = np.stack([slots, frequencies], axis=1).astype(np.int32)
        touched, starts = np.unique(terms, return_index=True)
        for code, begin, end in zip(touched.tolist(), starts.tolist(), [*starts[1:].tolist(), len(pairs)], strict=True):
            self._extend_late(code, array("i", pairs[begin:end].tobytes()))

    def _sort(self, terms: NDArray[np.integer], slots: NDArray[np.integer], frequencies: NDArray[np.integer]) -> None:
        """Put what was appended, and pairs given in the order of terms and slots, term by term beside what is sorted."""
        late = sorted(self._late)
        held = [np.frombuffer(self._late[code], dtype=np.int32).reshape(-1, 2) for code in late]
        between = np.concatenate(held) if held else np.zeros((0, 2), np.int32)
        every = np.concatenate(
            [
                np.repeat(np.arange(len(self._starts) - 1), np.diff(self._starts)),
                np.repeat(np.array(late, dtype=np.int64), [len(pairs) for pairs in held]),
                terms,
            ]
        )
        order = np.argsort(every, kind="stable")
        pairs = np.concatenate([self._sorted, between.T, np.stack([slots, frequencies]).astype(np.int32)], axis=1)
        self._sorted = pairs[:, order]
        self._starts = array("q", (0, *np.cumsum(np.bincount(every, minlength=len(self._ids))).tolist()))
        self._late, self._late_pairs, self._joined = {}, 0, {}

    def posting(self, term: str, size: int) -> Posting:
        """The posting of a term within the first `size` slots."""
        slots, frequencies = self.pairs(term, size)
        return slots, frequencies

    def pairs(self, term: str, size: int) -> NDArray[np.int32]:
        """(2, df) the same in one array: slots, and how often each holds the term."""
        code = self._ids.get(term)
        if code is None:
            return _EMPTY
        if code in self._late:
            found = self._joined.get(code)
            if found is None:
                late = np.array(self._late[code], dtype=np.int32).reshape(-1, 2).T
                found = self._joined[code] = np.concatenate([self._sorted_of(code), late], axis=1)
        else:
            found = self._sorted_of(code)
        return found if size >= len(self._ends) else found[:, : int(np.searchsorted(found[0], size))]

    def several(self, terms: Iterable[str], size: int) -> list[NDArray[np.int32]]:
        """The `pairs` of each term."""
        if size < len(self._ends):
            return [self.pairs(term, size) for term in terms]
        ids, late, starts, every = self._ids, self._late, self._starts, self._sorted
        return [
            _EMPTY
            if (code := ids.get(term)) is None
            else self.pairs(term, size)
            if code in late
            else every[:, starts[code] : starts[code + 1]]
            for term in terms
        ]

    def _sorted_of(self, code: int) -> NDArray[np.int32]:
        starts = self._starts
        return self._sorted[:, starts[code] : starts[code + 1]] if code + 1 < len(starts) else _EMPTY

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
        lists = self._sorted.nbytes + sum(120 + 4 * len(held) for held in self._late.values())
        words = sum(49 + len(term) for term in self._vocabulary) + (110 + 40) * len(self._vocabulary)
        return lists + words + self._tokens.nbytes + self._ends.nbytes + sum(pairs.nbytes for pairs in self._joined.values())


def bm25_weights(
    frequencies: NDArray[np.int32], lengths: NDArray[np.float32], average: float, *, df: int, size: int, k1: float, b: float
) -> NDArray[np.float32]:
    """BM25 of one term for the documents that hold it: `lengths` are theirs in terms, `df` and `size` count live documents."""
    idf = np.float32(np.log1p((size - df + 0.5) / (df + 0.5)))
    tf = frequencies.astype(np.float32)
    norm = np.float32(k1) * (np.float32(1.0 - b) + np.float32(b / average if average else 0.0) * lengths)
    return np.divide(idf * np.float32(k1 + 1.0) * tf, tf + norm, dtype=np.float32)
