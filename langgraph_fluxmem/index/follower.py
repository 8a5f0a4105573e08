"""One namespace following the log: its arrays, how far they have followed, and the views made of them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.index.check import array_differences
from langgraph_fluxmem.index.namespace import NamespaceArrays
from langgraph_fluxmem.index.view import NamespaceView, Nearest
from langgraph_fluxmem.ledger.rows import begins_anew
from langgraph_fluxmem.schema import Namespace, NodeKind

if TYPE_CHECKING:
    from langgraph_fluxmem.ledger import Ledger
    from langgraph_fluxmem.ledger.rows import Change, NodeRow

SEARCHED: tuple[NodeKind, ...] = ("fact", "item")
"""The kinds of nodes that vectors and postings are kept for."""
PAGE = 10_000
"""Log entries read at a time."""
LOAD = 5_000
"""Rows whose vectors are read at a time."""
HIDDEN_VIEWS = 8
"""Views without some hidden commits that are kept for one namespace."""


def changes_after(ledger: Ledger, after: int, namespace: Namespace | None = None) -> list[Change]:
    """All log entries after a position."""
    out: list[Change] = []
    while page := ledger.changes(after, namespace, limit=PAGE):
        out += page
        after = page[-1].position
        if len(page) < PAGE:
            break
    return out


def load_arrays(ledger: Ledger, namespace: Namespace) -> tuple[NamespaceArrays, int]:
    """Fresh arrays of a namespace and the log position they stand for at least."""
    position = ledger.head(namespace)
    arrays = NamespaceArrays()
    append(ledger, namespace, arrays, ledger.nodes(namespace, kinds=SEARCHED, bodies=False))
    return arrays, position


def append(ledger: Ledger, namespace: Namespace, arrays: NamespaceArrays, rows: Sequence[NodeRow]) -> None:
    """Append those rows that have an indexed text, with the vectors that the ledger holds."""
    indexed = [row for row in rows if row.texts]
    embedding = ledger.embedding() if len(indexed) > LOAD else None
    if embedding is not None:
        rows_needed = arrays.vectors.rows + sum(len(row.texts) for row in indexed)
        arrays.vectors.reserve(rows_needed + rows_needed // 4, embedding[1])
    for start in range(0, len(indexed), LOAD):
        part = indexed[start : start + LOAD]
        hashes = list({text.hash: None for row in part for text in row.texts})
        arrays.append(part, ledger.vectors(namespace, hashes))


class NamespaceFollower:
    """Keeps one namespace's arrays at the log's head; `view` may be called from any thread."""

    def __init__(
        self, ledger: Ledger, namespace: Namespace, *, far: Nearest | None, exact_max: int, news: Callable[[], None] = lambda: None
    ) -> None:
        """`news` is called when the log has moved; `far` answers above `exact_max` vectors."""
        self._ledger, self._namespace, self._far, self._exact_max, self._news = ledger, namespace, far, exact_max, news
        self._lock = threading.Lock()
        self.arrays: NamespaceArrays | None = None
        """None until the first view."""
        self.position = 0
        """Log position followed to."""
        self._settled = 0
        self._view: NamespaceView | None = None
        self._without: OrderedDict[frozenset[str], NamespaceView] = OrderedDict()

    def view(self, hidden: Collection[str] = (), head: int | None = None) -> NamespaceView:
        """Catch up with the log and answer with a snapshot; the same object as before when nothing changed. `head` is the log's where the
        caller has read it.

        Errors of the ledger pass through; the arrays then stay where they were.
        """
        with self._lock:
            self._catch_up(head)
            if self._view is None:
                self._view = self._make(None)
            if not hidden:
                return self._view
            return self._view_without(self._view, frozenset(hidden))

    def _view_without(self, whole: NamespaceView, hidden: frozenset[str]) -> NamespaceView:
        found = self._without.pop(hidden, None)
        if found is None:
            assert self.arrays is not None
            slots = self.arrays.hidden_slots(hidden)
            found = self._make(slots) if len(slots) else whole
        self._without[hidden] = found
        while len(self._without) > HIDDEN_VIEWS:
            self._without.popitem(last=False)
        return found

    def _make(self, hidden: NDArray[np.int64] | None) -> NamespaceView:
        assert self.arrays is not None
        return NamespaceView(
            self._namespace, self.position, self.arrays, hidden=hidden, far=self._far, exact_max=self._exact_max, settled=self._settled
        )

    def drop(self) -> None:
        """Forget the arrays; the next view loads them from the ledger. Views given out stay as they are."""
        with self._lock:
            self.arrays = None
            self._forget_views()

    def differences(self) -> list[str]:
        """Compare the arrays with the ledger as of the position they have followed to; nothing when they are not loaded."""
        with self._lock:
            if self.arrays is None:
                return []
            self._catch_up()
            rows = self._ledger.nodes(self._namespace, kinds=SEARCHED, at=self.position, bodies=False)
            indexed = [row for row in rows if row.texts]
            vectors = self._ledger.vectors(self._namespace, list({text.hash for row in indexed for text in row.texts}))
            return array_differences(self._namespace, self.arrays, indexed, vectors)

    # ------------------------------------------------------------------------------------------------------------------ catching up
    def _catch_up(self, head: int | None = None) -> None:
        if self.arrays is None:
            self.arrays, self.position = load_arrays(self._ledger, self._namespace)
            self._settled = self.position
            self._forget_views()
            return
        head = self._ledger.head(self._namespace) if head is None else max(head, self.position)
        if head == self.position:
            return
        changes = changes_after(self._ledger, self.position, self._namespace)
        if changes:
            self._follow(self.arrays, changes, head)
            if self.arrays.wants_compaction():
                self.arrays = self.arrays.compacted()
        self.position = max([head, *(change.position for change in changes[-1:])])
        self._forget_views()
        self._news()

    def _follow(self, arrays: NamespaceArrays, changes: Iterable[Change], head: int) -> None:
        """Apply log entries. Doing it twice, or with rows newer than the entries, does no harm: ids are version ids."""
        changed: set[str] = set()
        unusual = False
        for change in changes:
            if begins_anew(change, self.position):
                unusual = True
            elif change.edit in ("version", "tombstone") or (change.edit == "erase" and arrays.holds(change.target)):
                if change.node is None:
                    unusual = True
                else:
                    changed.add(change.node)
        if unusual:
            rows = self._ledger.nodes(self._namespace, kinds=SEARCHED, bodies=False)
            self._settled = head
            gone = set(arrays.nodes) - {row.node for row in rows if row.texts}
        else:
            rows = self._ledger.nodes(self._namespace, after=self.position, kinds=SEARCHED, bodies=False) if changed else []
            gone = changed - {row.node for row in rows if row.texts}
        new = [row for row in rows if not arrays.holds(row.id)]
        arrays.retire([*gone, *(row.node for row in new)])
        append(self._ledger, self._namespace, arrays, new)

    def _forget_views(self) -> None:
        self._view = None
        self._without.clear()
