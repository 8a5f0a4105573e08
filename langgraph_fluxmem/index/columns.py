"""Growing arrays: append-only buffers with doubling capacity, of which readers hold slices that never change."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


class Column(Generic[Scalar]):
    """A growing array of shape (n, *shape). A slice given out stays as it is: appending writes behind it or into a new buffer."""

    def __init__(self, dtype: type[Scalar], shape: tuple[int, ...] = (), *, block: int = 1) -> None:
        """`block`: the buffer's length is a multiple of it, for `blocks`."""
        self._buffer: NDArray[Scalar] = np.zeros((0, *shape), dtype=dtype)
        self._size = 0
        self._block = block

    def __len__(self) -> int:
        return self._size

    @property
    def nbytes(self) -> int:
        """Bytes of the buffer, spare capacity included."""
        return self._buffer.nbytes

    def extend(self, values: ArrayLike) -> None:
        """Append (m, *shape) values; amortised O(m)."""
        new = np.asarray(values, dtype=self._buffer.dtype)
        needed = self._size + len(new)
        if needed > len(self._buffer):
            self.reserve(max(needed, 8, 2 * len(self._buffer)))
        self._buffer[self._size : needed] = new
        self._size = needed

    def reserve(self, size: int) -> None:
        """Make room for `size` values in all. Room that is not used yet takes address space, not memory."""
        if size > len(self._buffer):
            grown = np.zeros((-(-size // self._block) * self._block, *self._buffer.shape[1:]), dtype=self._buffer.dtype)
            grown[: self._size] = self._buffer[: self._size]
            self._buffer = grown

    def read(self, size: int | None = None) -> NDArray[Scalar]:
        """The first `size` values (default: all), read-only, no copy."""
        out = self._buffer[: self._size if size is None else size]
        out.flags.writeable = False
        return out

    def blocks(self) -> NDArray[Scalar]:
        """(n / block, block, *shape) the same read-only, filled up to whole blocks with what stands behind it (zeros, or later values)."""
        whole = -(-self._size // self._block)
        out = self._buffer[: whole * self._block].reshape((whole, self._block, *self._buffer.shape[1:]))
        out.flags.writeable = False
        return out

    def put(self, index: Any, values: ArrayLike) -> None:
        """Overwrite some values in a new buffer, so that slices given out keep theirs; O(n)."""
        self._buffer = self._buffer.copy()
        self._buffer[: self._size][index] = values

    def put_in_place(self, index: Any, values: ArrayLike) -> None:
        """Overwrite some values that every slice given out sees too: only for values that older slices know to ignore."""
        self._buffer[: self._size][index] = values
