"""BM25 over the facts of a view, over their windows and over their sources: what a term adds to each is kept for the queries to come.

The counts that BM25 needs (how many facts, how long they are) are those of one view, so the parts are, too. What they take is bounded by
what the facts themselves take.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import log1p
from typing import Any

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.index.view import NamespaceView
from langgraph_fluxmem.windows import Windows

Scores = NDArray[np.float32]

K1, B = 1.2, 0.75
FEW = 4096
"""Up to this many documents the windows of several terms are worked out at once, in one matrix."""
KEPT_BYTES = 512
"""What is kept of terms takes at most so many bytes for each document of a collection, and 64 KiB."""
_AT_ONCE = 1 << 18
"""Numbers in one matrix of several terms."""


def norm(lengths: NDArray[np.floating], average: float) -> Scores:
    """The part of BM25's denominator that depends on the length of a text."""
    made: Scores = np.float32(K1 * (1 - B)) + np.float32(K1 * B / max(average, 1e-9)) * lengths.astype(np.float32)
    return made


def idf(df: int, size: int) -> float:
    """ln(1 + (N - df + .5) / (df + .5)): never negative."""
    return log1p((size - df + 0.5) / (df + 0.5))


class Part:
    """What one term adds to the documents that hold it: `values` (n,) for `rows` (n,), or for all of them where `rows` is None."""

    __slots__ = ("most", "rows", "values")

    def __init__(self, rows: NDArray[np.integer] | None, values: Scores) -> None:
        self.rows, self.values = rows, values
        self.most = 0.0
        """The most that the term could add to any document: of one that says nothing else, over and over."""

    @property
    def nbytes(self) -> int:
        return self.values.nbytes + (0 if self.rows is None else self.rows.nbytes)


Postings = list[tuple[NDArray[np.int32], NDArray[np.int32]]]


class Collection(ABC):
    """Documents made of the facts of one view, as BM25 sees them. Safe from any thread."""

    def __init__(self, view: NamespaceView, size: int, norms: Scores) -> None:
        self.view, self.size, self.norms = view, size, norms
        self._parts: dict[str, Part] = {}
        self._bytes = 0
        self._most = KEPT_BYTES * size + (1 << 16)
        self._lock = threading.Lock()
        self._nothing = Part(np.zeros(0, np.int64), np.zeros(0, np.float32))
        self._nothing.most = idf(0, size) * (K1 + 1)

    @abstractmethod
    def made(self, postings: Postings) -> list[Part]:
        """The part of each term, given the facts that hold it and how often each does; none is empty."""

    def scores(self, terms: Mapping[str, float]) -> Scores:
        """(size,) BM25 of every document for terms, which count as often as the query has them."""
        out = np.zeros(self.size, np.float32)
        rows: list[NDArray[np.integer]] = []
        values: list[Scores] = []
        for part, times in zip(self._parts_of(terms), terms.values(), strict=True):
            value = part.values if times == 1 else np.float32(times) * part.values
            if part.rows is None:
                out += value
            elif len(value):
                rows.append(part.rows)
                values.append(value)
        if sum(map(len, rows)) * 8 < self.size:
            for where, value in zip(rows, values, strict=True):
                out[where] += value
        elif rows:
            out += np.bincount(np.concatenate(rows), np.concatenate(values), self.size)
        return out

    def most(self, terms: Mapping[str, float]) -> float:
        """What no document's score for these terms reaches: each held over and over by a document that says nothing else."""
        return sum(times * part.most for part, times in zip(self._parts_of(terms), terms.values(), strict=True))

    def _parts_of(self, terms: Mapping[str, float]) -> list[Part]:
        with self._lock:
            missing = [term for term in terms if term not in self._parts]
            if missing:
                if self._bytes > self._most:
                    self._parts, self._bytes = {}, 0
                    missing = list(terms)
                self._add(missing)
            return [self._parts[term] for term in terms]

    def _add(self, terms: list[str]) -> None:
        found: list[str] = []
        postings: Postings = []
        for term, (rows, frequencies) in zip(terms, self.view.postings(terms), strict=True):
            self._bytes += 100 + len(term)
            if len(rows):
                found.append(term)
                postings.append((rows, frequencies))
            else:
                self._parts[term] = self._nothing
        for term, part, (rows, _) in zip(found, self.made(postings) if found else (), postings, strict=True):
            part.most = idf(len(rows), self.size) * (K1 + 1)
            self._parts[term] = part
            self._bytes += part.nbytes

    def _packed(self, rows: NDArray[np.integer], values: NDArray[Any]) -> Part:
        """Rows and values, or values for all where that takes less."""
        if 3 * len(rows) < self.size:
            return Part(rows, values)
        whole = np.zeros(self.size, np.float32)
        whole[rows] = values
        return Part(None, whole)


class Facts(Collection):
    """Every fact by itself."""

    def __init__(self, view: NamespaceView) -> None:
        super().__init__(view, view.size, norm(view.lengths, view.average_length))

    def asked(self, terms: Mapping[str, float]) -> tuple[Scores, float]:
        """`scores` and `most` of terms. Of few facts they are worked out in one pass: what would be kept of terms is not worth its making."""
        if self.size > FEW:
            return self.scores(terms), self.most(terms)
        postings = self.view.postings(terms)
        held = [pairs.shape[1] for pairs in postings]
        weights = [times * (K1 + 1) * idf(df, self.size) for times, df in zip(terms.values(), held, strict=True)]
        if not any(held):
            return np.zeros(self.size, np.float32), sum(weights)
        rows, frequencies = np.concatenate(postings, axis=1)
        tf = frequencies.astype(np.float32)
        values = np.array(weights, np.float32).repeat(held)
        values *= tf
        tf += self.norms[rows]
        values /= tf
        return np.bincount(rows, values, self.size).astype(np.float32), sum(weights)

    def made(self, postings: Postings) -> list[Part]:
        held = [len(rows) for rows, _ in postings]
        rows = np.concatenate([rows for rows, _ in postings])
        tf = np.concatenate([frequencies for _, frequencies in postings]).astype(np.float32)
        weights = np.array([idf(df, self.size) * (K1 + 1) for df in held], np.float32)
        values: NDArray[Any] = np.repeat(weights, held) * tf / (tf + self.norms[rows])
        parts: list[Part] = []
        start = 0
        for df in held:
            parts.append(self._packed(rows[start : start + df], values[start : start + df]))
            start += df
        return parts


class Surroundings(Collection):
    """Every fact's window: its neighbours' terms count as its own, less with distance, and so do their lengths."""

    def __init__(self, view: NamespaceView, windows: Windows) -> None:
        super().__init__(view, view.size, norm(windows.lengths, windows.average))
        self.windows = windows

    def made(self, postings: Postings) -> list[Part]:
        if self.size > FEW:
            return [self._one(rows, frequencies) for rows, frequencies in postings]
        step = max(1, _AT_ONCE // max(self.size, 1))
        return [part for start in range(0, len(postings), step) for part in self._several(postings[start : start + step])]

    def _several(self, postings: Postings) -> list[Part]:
        tf = np.zeros((len(postings), self.size), np.float32)
        for counts, (rows, frequencies) in zip(tf, postings, strict=True):
            counts[rows] = frequencies
        tf = self.windows.summed(tf)
        tf /= tf + self.norms
        tf *= np.array([[idf(len(rows), self.size) * (K1 + 1)] for rows, _ in postings], np.float32)
        return [Part(None, values) for values in tf]

    def _one(self, rows: NDArray[np.int32], frequencies: NDArray[np.int32]) -> Part:
        windows, weight = self.windows, np.float32(idf(len(rows), self.size) * (K1 + 1))
        if len(rows) * len(windows.shares) * 4 > self.size:
            tf = np.zeros(self.size, np.float32)
            tf[rows] = frequencies
            tf = windows.summed(tf)
            tf /= tf + self.norms
            return Part(None, weight * tf)
        holders = windows.holders(rows).ravel()
        where, place = np.unique(holders, return_inverse=True)
        tf = np.bincount(place, (windows.shares * frequencies).ravel()).astype(np.float32)
        if where[-1] == self.size:  # nobody
            where, tf = where[:-1], tf[:-1]
        values: NDArray[Any] = weight * tf / (tf + self.norms[where])
        return self._packed(where, values)


class Sources(Collection):
    """Every source as one document."""

    def __init__(self, view: NamespaceView, windows: Windows) -> None:
        count, alive = windows.sources, windows.live_sources
        average = float(windows.source_lengths.sum()) / max(alive, 1)
        super().__init__(view, count, norm(windows.source_lengths, average))
        self.alive = alive

    def made(self, postings: Postings) -> list[Part]:
        return [self._one(rows, frequencies) for rows, frequencies in postings]

    def _one(self, rows: NDArray[np.int32], frequencies: NDArray[np.int32]) -> Part:
        tf = np.bincount(self.view.source[rows] + 1, frequencies, self.size + 1)[1:].astype(np.float32)
        where = np.flatnonzero(tf)
        tf = tf[where]
        values: NDArray[Any] = np.float32(idf(len(where), self.alive) * (K1 + 1)) * tf / (tf + self.norms[where])
        return self._packed(where, values)
