"""Where the neighbours of every fact stand: the facts of a view laid out on a line, source by source, with gaps between the sources.

On that line a neighbour is an index away, and the sum over every fact's window is a handful of shifted additions; nothing walks along
sources.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.index.view import NamespaceView

SHARES: Mapping[int, float] = {-4: 0.2, -3: 0.3, -2: 0.4, -1: 0.6, 0: 1.0, 1: 0.5, 2: 0.3}
"""What a fact's neighbours in its source count for in its context, by offset: what was said before tells more than what comes after."""
_GAP = max(map(abs, SHARES))
_OFFSETS = np.array(list(SHARES))[:, None]
_SELF = list(SHARES).index(0)


class Windows:
    """Neighbours, lengths and source lengths of one view; made once for each and shared by all queries on it."""

    shares: NDArray[np.float32] = np.array(list(SHARES.values()), np.float32)[:, None]
    """(offsets, 1) what the neighbour at each offset counts for."""

    def __init__(self, view: NamespaceView) -> None:
        size, source, order = view.size, view.source, view.order
        self.size = size
        self.chained: NDArray[np.int64] = np.flatnonzero(order >= 0)
        """Rows that have a source, and so may have neighbours."""
        self.alone = not len(self.chained)
        """Whether no fact has a source: every window is the fact itself."""
        if self.alone:
            self._nobody(view)
            return
        codes = source[self.chained]
        members: NDArray[np.int64] = np.bincount(codes)
        taken = np.where(members > 0, members + _GAP, 0)
        starts = np.cumsum(taken) - taken + 2 * _GAP + 1
        self.place: NDArray[np.int64] = np.full(size, _GAP)
        """(size,) where each row stands on the line; facts without a source share a place in the first gap, where nobody is near."""
        self.place[self.chained] = starts[codes] + order[self.chained]
        self.row_at: NDArray[np.int64] = np.full(2 * _GAP + 1 + int(taken.sum()) + _GAP, size)
        """(line,) the row at each place; `size` in the gaps."""
        self.row_at[self.place[self.chained]] = self.chained
        self.lengths: NDArray[np.float32] = self.summed(view.lengths)
        """(size,) terms in each window, neighbours' by their share."""
        self.average = float(self.lengths.mean(dtype=np.float64)) if size else 0.0
        self.sources = int(source.max(initial=-1)) + 1
        """How many source codes there are."""
        self.source_lengths: NDArray[Any] = np.bincount(codes, weights=view.lengths[self.chained], minlength=self.sources)
        """(sources,) terms in each source."""
        self.live_sources = int((self.source_lengths > 0).sum())

    def _nobody(self, view: NamespaceView) -> None:
        """What the rest is where no fact has a source."""
        self.place, self.row_at = np.full(self.size, _GAP), np.full(3 * _GAP + 1, self.size)
        self.lengths, self.average = view.lengths, view.average_length
        self.sources, self.source_lengths, self.live_sources = 0, np.zeros(0), 0

    def beside(self, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        """(offsets, m) the row that stands at each offset of `SHARES` from each of rows (m,); `size` where none does."""
        found = self.row_at[self.place[rows] + _OFFSETS]
        found[_SELF] = rows
        return found

    def holders(self, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        """(offsets, m) the row in whose window each of rows (m,) stands at that offset; `size` where none."""
        found = self.row_at[self.place[rows] - _OFFSETS]
        found[_SELF] = rows
        return found

    def before(self, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        """(m,) the row just before each of rows (m,) in its source; `size` where none is."""
        return self.row_at[self.place[rows] - 1]

    def summed(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(..., size) the values (..., size) of every fact's window, each by its share, added up."""
        out = values.astype(np.float32)
        if not self.alone:
            line = np.zeros((*values.shape[:-1], len(self.row_at)), np.float32)
            line[..., self._chain] = values[..., self.chained]
            out[..., self.chained] = self._shifted(line)[..., self._chain - _GAP]
        return out

    @cached_property
    def _chain(self) -> NDArray[np.int64]:
        return self.place[self.chained]

    @staticmethod
    def _shifted(line: NDArray[np.float32]) -> NDArray[np.float32]:
        """(..., n - 2 * gap) the sum over shares of the line (..., n), from its place `gap` on."""
        end = line.shape[-1] - 2 * _GAP
        parts = [line[..., _GAP + offset : _GAP + offset + end] * np.float32(share) for offset, share in SHARES.items()]
        out = parts[0]
        for part in parts[1:]:
            out += part
        return out


def windows_of(view: NamespaceView) -> Windows:
    """The windows of a view, made when they are first asked for. Safe from any thread."""
    return view.kept("windows", Windows)
