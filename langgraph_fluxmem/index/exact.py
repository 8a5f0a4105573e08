"""The exact tier: every vector of a namespace in one float32 matrix; a slot (one fact or item) owns a run of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.errors import DimensionMismatchError
from langgraph_fluxmem.index.columns import Column
from langgraph_fluxmem.schema import Vector

NO_VECTOR = np.float32(-1.0)
"""Cosine given to a slot that has no vector: the least there is."""
BLOCK = 64
"""Rows multiplied with a query at a time. Whole blocks of one size let every row go through the same instructions, so that equal texts have
equal scores to the last bit wherever they stand (a product over any number of rows treats the last few differently); as fast as one
product, measured from 500 to 100,000 rows of 384."""


def dotted(blocks: NDArray[np.float32], vector: Vector) -> NDArray[np.float32]:
    """(b * BLOCK,) dot products of the rows of blocks (b, BLOCK, d) with a vector (d,)."""
    return np.matmul(blocks, vector).ravel()


@dataclass(frozen=True, slots=True)
class VectorSnapshot:
    """Vectors (v, d) of the first n slots: slot s owns rows ``start[s]`` to ``start[s] + count[s]``."""

    matrix: NDArray[np.float32]
    blocks: NDArray[np.float32]
    """The matrix (b, BLOCK, d), filled up to whole blocks."""
    start: NDArray[np.int32]
    count: NDArray[np.int32]
    plain: bool
    """Every slot owns exactly one row."""

    def scores(self, vector: Vector) -> NDArray[np.float32]:
        """Cosine of each slot's best row with a normalised vector (d,): shape (n,), `NO_VECTOR` where a slot has none."""
        if not len(self.matrix):
            return np.full(len(self.start), NO_VECTOR, dtype=np.float32)
        return self._best(dotted(self.blocks, self._checked(vector))[: len(self.matrix)], self.start, self.count)

    def scores_at(self, vector: Vector, slots: NDArray[np.integer]) -> NDArray[np.float32]:
        """The same for some slots (m,), touching only their rows."""
        if not len(self.matrix):
            return np.full(len(slots), NO_VECTOR, dtype=np.float32)
        if 4 * len(slots) >= len(self.start):
            return self.scores(vector)[slots]
        vector = self._checked(vector)
        if self.plain:
            return self._gathered(slots, vector)
        count = self.count[slots]
        ends = np.cumsum(count)
        rows = np.repeat(self.start[slots] - (ends - count), count) + np.arange(ends[-1] if len(ends) else 0)
        return self._best(self._gathered(rows, vector), (ends - count).astype(np.int32), count)

    def _gathered(self, rows: NDArray[np.integer], vector: Vector) -> NDArray[np.float32]:
        some = np.zeros((-(-len(rows) // BLOCK) * BLOCK, self.matrix.shape[1]), np.float32)
        np.take(self.matrix, rows, axis=0, out=some[: len(rows)], mode="clip")  # rows are in range; "raise" would copy twice
        return dotted(some.reshape(-1, BLOCK, some.shape[1]), vector)[: len(rows)]

    def _best(self, row_scores: NDArray[np.float32], start: NDArray[np.int32], count: NDArray[np.int32]) -> NDArray[np.float32]:
        if self.plain:
            return row_scores
        out = np.full(len(start), NO_VECTOR, dtype=np.float32)
        owners = np.flatnonzero(count)
        if len(owners):
            out[owners] = np.maximum.reduceat(row_scores, start[owners])
        return out

    def _checked(self, vector: Vector) -> Vector:
        if vector.shape != self.matrix.shape[1:]:
            raise DimensionMismatchError(
                f"a query vector of shape {vector.shape} meets vectors of {self.matrix.shape[1]} dimensions; "
                "open the memory with the embedding it was written with"
            )
        return np.ascontiguousarray(vector, dtype=np.float32)


class VectorTable:
    """The growing side of the exact tier; slots are appended in order, each with its vectors (none, one or several)."""

    def __init__(self) -> None:
        self._matrix: Column[np.float32] | None = None
        self._start: Column[np.int32] = Column(np.int32)
        self._count: Column[np.int32] = Column(np.int32)
        self._plain = True

    @property
    def rows(self) -> int:
        """How many vectors are held, those of retired slots included."""
        return 0 if self._matrix is None else len(self._matrix)

    @property
    def nbytes(self) -> int:
        """Bytes of the buffers."""
        return (0 if self._matrix is None else self._matrix.nbytes) + self._start.nbytes + self._count.nbytes

    def reserve(self, rows: int, dims: int) -> None:
        """Make room for `rows` vectors of `dims` numbers in all."""
        if self._matrix is None:
            self._matrix = Column(np.float32, (dims,), block=BLOCK)
        self._matrix.reserve(rows)

    def extend(self, slots: Sequence[Sequence[Vector]]) -> None:
        """Append one slot for each sequence of vectors (d,)."""
        counts = np.fromiter((len(vectors) for vectors in slots), dtype=np.int32, count=len(slots))
        flat = [vector for vectors in slots for vector in vectors]
        if flat:
            if self._matrix is None:
                self._matrix = Column(np.float32, (len(flat[0]),), block=BLOCK)
            base = len(self._matrix)
            self._matrix.extend(np.stack(flat))
        else:
            base = self.rows
        self._start.extend(base + np.cumsum(counts, dtype=np.int32) - counts)
        self._count.extend(counts)
        self._plain = self._plain and bool((counts == 1).all())

    def snapshot(self) -> VectorSnapshot:
        """What is held now; later appends do not change it."""
        if self._matrix is None:
            return VectorSnapshot(
                np.zeros((0, 0), np.float32), np.zeros((0, BLOCK, 0), np.float32), self._start.read(), self._count.read(), self._plain
            )
        return VectorSnapshot(self._matrix.read(), self._matrix.blocks(), self._start.read(), self._count.read(), self._plain)

    def vectors_at(self, slot: int) -> NDArray[np.float32]:
        """(c, d) the vectors of one slot."""
        held = self.snapshot()
        return held.matrix[held.start[slot] : held.start[slot] + held.count[slot]]

    def take(self, slots: NDArray[np.integer]) -> VectorTable:
        """A new table with these slots only, in this order."""
        held = self.snapshot()
        out = VectorTable()
        count = held.count[slots]
        ends = np.cumsum(count, dtype=np.int32)
        if self._matrix is not None:
            rows = np.repeat(held.start[slots] - (ends - count), count) + np.arange(ends[-1] if len(ends) else 0)
            out._matrix = Column(np.float32, held.matrix.shape[1:], block=BLOCK)
            out._matrix.extend(held.matrix[rows])
        out._start.extend(ends - count)
        out._count.extend(count)
        out._plain = bool((count == 1).all())
        return out
