"""Where the neighbours of every fact stand, as one table for each view: what the context signals read instead of walking along sources."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.index.view import NamespaceView

SHARES: Mapping[int, float] = {-4: 0.2, -3: 0.3, -2: 0.4, -1: 0.6, 0: 1.0, 1: 0.5, 2: 0.3}
"""What a fact's neighbours in its source count for in its context, by offset: what was said before tells more than what comes after."""


class Windows:
    """Neighbours, lengths and source lengths of one view; made once for each and shared by all queries on it."""

    def __init__(self, view: NamespaceView) -> None:
        size = view.size
        nobody = np.int32(size)
        everyone = np.arange(size, dtype=np.int32)
        step: dict[int, NDArray[np.int32]] = {}
        for one in (-1, 1):
            beside = view.neighbours(everyone, one)
            step[one] = np.append(np.where(beside >= 0, beside, nobody), nobody)
        columns: dict[int, NDArray[np.int32]] = {0: np.append(everyone, nobody)}
        for one in (-1, 1):
            at = one
            while at in SHARES:
                columns[at] = step[one][columns[at - one]]
                at += one
        self.beside: NDArray[np.int32] = np.stack([columns[offset] for offset in SHARES])
        """(offsets, size + 1) the row that stands at each offset of `SHARES`; `size` where none does."""
        self.holders: NDArray[np.int32] = np.stack(
            [columns[-offset] if -offset in columns else self._beyond(columns, step, -offset) for offset in SHARES]
        )
        """(offsets, size + 1) the row from which each row stands at that offset; `size` where none."""
        self.shares: NDArray[np.float32] = np.array(list(SHARES.values()), np.float32)[:, None]
        self.before: NDArray[np.int32] = columns[-1]
        """(size + 1,) the row just before; `size` where none is."""
        lengths = np.append(view.lengths, np.float32(0))
        self.lengths: NDArray[np.float32] = (self.shares * lengths[self.beside]).sum(axis=0)[:size]
        """(size,) terms in each window, neighbours' by their share."""
        self.average = float(self.lengths.mean()) if size else 0.0
        self.sources = int(view.source.max(initial=-1)) + 1
        """How many source codes there are."""
        known = view.source >= 0
        self.source_lengths: NDArray[Any] = np.bincount(view.source[known], weights=view.lengths[known], minlength=self.sources)
        """(sources,) terms in each source."""
        self.live_sources = int((self.source_lengths > 0).sum())

    @staticmethod
    def _beyond(columns: Mapping[int, NDArray[np.int32]], step: Mapping[int, NDArray[np.int32]], offset: int) -> NDArray[np.int32]:
        one = 1 if offset > 0 else -1
        at = max((held for held in columns if held * one >= 0), key=abs)
        rows = columns[at]
        while at != offset:
            rows = step[one][rows]
            at += one
        return rows


_lock = threading.Lock()
_made: weakref.WeakKeyDictionary[NamespaceView, Windows] = weakref.WeakKeyDictionary()


def windows_of(view: NamespaceView) -> Windows:
    """The windows of a view, made when they are first asked for. Safe from any thread."""
    with _lock:
        found = _made.get(view)
    if found is None:
        found = Windows(view)
        with _lock:
            found = _made.setdefault(view, found)
    return found
