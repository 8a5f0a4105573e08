"""What searches read: the facts and items of each namespace in memory, caught up with the ledger's log, bounded in number.

A projection like the others: it can be dropped at any time and is read again from the ledger. Values are held parsed, since a filter looks
at every one of them; vectors only where a search runs over many namespaces at once (otherwise the exact tier has them).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.ledger.rows import begins_anew
from langgraph_fluxmem.schema import Namespace, Vector

if TYPE_CHECKING:
    from langgraph_fluxmem.engine import Engine
    from langgraph_fluxmem.ledger import Ledger
    from langgraph_fluxmem.ledger.rows import NodeRow

KINDS = ("fact", "item")
"""The kinds of nodes that a store shows."""
MAX_ENTRIES = 200_000
"""How many facts and items all shelves of a memory hold; the least recently used shelf goes first."""

Test = Callable[["NodeRow"], bool]


class Shelf:
    """The current facts and items of one namespace, in the order in which they were last written."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        self.lock = threading.RLock()
        self.stale = True
        self._position = 0
        self._entries: dict[str, NodeRow] = {}
        self._expiring: set[str] = set()
        self._vectors: dict[str, Vector] = {}
        self._matrix: tuple[NDArray[np.float32], NDArray[np.int32], list[NodeRow]] | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def catch_up(self, ledger: Ledger) -> None:
        """Follow the log to its head."""
        with self.lock:
            if not self.stale:
                return
            self.stale = False
            try:
                self._follow(ledger)
            except BaseException:
                self.stale = True
                raise

    def _follow(self, ledger: Ledger) -> None:
        head = ledger.head(self.namespace)
        after = self._position
        while after < head and after > 0:
            changes = ledger.changes(after, self.namespace)
            if not changes:
                break
            if any(begins_anew(change, self._position) for change in changes):
                self._forget(list(self._entries))
                self._position = after = 0
                break
            self._forget(change.node for change in changes if change.node is not None)
            after = changes[-1].position
        if self._position < head:
            for row in ledger.nodes(self.namespace, after=self._position, kinds=KINDS):
                self._forget([row.node])
                self._entries[row.node] = row
                self._matrix = None
                if row.expires_at is not None:
                    self._expiring.add(row.node)
            self._position = head

    def _forget(self, nodes: Iterable[str]) -> None:
        for node in nodes:
            if self._entries.pop(node, None) is not None:
                self._matrix = None
                self._expiring.discard(node)

    def newest(self, count: int | None, test: Test | None = None) -> list[NodeRow]:
        """The last written `count` (None: all) that pass the test, newest first."""
        with self.lock:
            found: Iterator[NodeRow] = reversed(self._entries.values())
            if test is not None:
                found = filter(test, found)
            return list(found if count is None else islice(found, count))

    def passing(self, versions: Sequence[str], test: Test) -> list[int]:
        """The places in `versions` of those that are the current ones of their nodes and pass the test."""
        with self.lock:
            rows = [self._entries.get(version.rpartition(":")[0]) for version in versions]
        return [
            at for at, (version, row) in enumerate(zip(versions, rows, strict=True)) if row is not None and row.id == version and test(row)
        ]

    def expired(self, now: float) -> list[NodeRow]:
        """Those whose time had passed when they were last read from the ledger."""
        if not self._expiring:
            return []
        with self.lock:
            rows = [self._entries[node] for node in self._expiring]
        return [row for row in rows if row.expires_at is not None and row.expires_at <= now]

    def renew(self, rows: Iterable[NodeRow]) -> None:
        """Replace versions by what the ledger holds of them now (their expiry moves without a log entry)."""
        with self.lock:
            for row in rows:
                held = self._entries.get(row.node)
                if held is not None and held.id == row.id:
                    self._entries[row.node] = row

    def vectors(self, ledger: Ledger) -> tuple[NDArray[np.float32], NDArray[np.int32], list[NodeRow]]:
        """The vectors (v, d) of all indexed texts, where those of each entry that has some begin (n,), and those entries (n)."""
        with self.lock:
            if self._matrix is None:
                self._matrix = self._stacked(ledger)
            return self._matrix

    def _stacked(self, ledger: Ledger) -> tuple[NDArray[np.float32], NDArray[np.int32], list[NodeRow]]:
        wanted = {text.hash for row in self._entries.values() for text in row.texts}
        missing = wanted - self._vectors.keys()
        held = {name: vector for name, vector in self._vectors.items() if name in wanted}
        if missing:
            held.update(ledger.vectors(self.namespace, list(missing)))
        owners: list[NodeRow] = []
        starts: list[int] = []
        hashes: list[str] = []
        for row in self._entries.values():
            mine = [text.hash for text in row.texts if text.hash in held]
            if mine:
                owners.append(row)
                starts.append(len(hashes))
                hashes += mine
        matrix = np.stack([held[name] for name in hashes]) if hashes else np.zeros((0, 0), np.float32)
        self._vectors = dict(zip(hashes, matrix, strict=True))  # rows of the matrix: what was read is let go
        return matrix, np.array(starts, np.int32), owners


class Shelves:
    """All shelves of one memory. Share them with `shelves_of`."""

    def __init__(self, ledger: Ledger, *, max_entries: int = MAX_ENTRIES) -> None:
        self._ledger = ledger
        self._max_entries = max_entries
        self._lock = threading.RLock()
        self._shelves: OrderedDict[Namespace, Shelf] = OrderedDict()
        self._names: list[Namespace] | None = None
        self._doubtful: set[Namespace] = set()
        self._position = -1

    def each(self, namespaces: Iterable[Namespace]) -> Iterator[Shelf]:
        """The shelves of namespaces, each caught up with the log as of the last `refresh` when its turn comes."""
        with self._lock:
            shelves = [self._shelf(namespace) for namespace in namespaces]
        for shelf in shelves:
            if shelf.stale:
                shelf.catch_up(self._ledger)
                self._bound(shelf)
            yield shelf

    def shelf(self, namespace: Namespace) -> Shelf:
        """The shelf of one namespace."""
        return next(self.each((namespace,)))

    def _shelf(self, namespace: Namespace) -> Shelf:
        shelf = self._shelves.get(namespace)
        if shelf is None:
            shelf = self._shelves[namespace] = Shelf(namespace)
        else:
            self._shelves.move_to_end(namespace)
        return shelf

    def refresh(self) -> None:
        """Note which namespaces have changed. Costs one small read when none has."""
        with self._lock:
            head = self._ledger.head()
            if head == self._position:
                return
            for namespace in self._ledger.heads(max(0, self._position)):
                shelf = self._shelves.get(namespace)
                if shelf is not None:
                    shelf.stale = True
                self._doubtful.add(namespace)
            self._position = head

    def names(self) -> list[Namespace]:
        """The namespaces that hold a fact or an item (expired ones count until they are swept), sorted."""
        with self._lock:
            if self._names is None:
                self._names = self._ledger.namespaces(KINDS, expired=True)
            elif self._doubtful:
                holding = self._ledger.holding(self._doubtful, KINDS)
                before = self._doubtful.intersection(self._names)
                if holding != before:
                    self._names = sorted(set(self._names) - before | holding)
            self._doubtful.clear()
            return self._names

    def _bound(self, newest: Shelf) -> None:
        with self._lock:
            total = sum(map(len, self._shelves.values()))
            for namespace, shelf in list(self._shelves.items()):
                if total <= self._max_entries:
                    return
                if shelf is not newest:
                    total -= len(shelf)
                    del self._shelves[namespace]


_all: WeakKeyDictionary[Engine, Shelves] = WeakKeyDictionary()
_all_lock = threading.Lock()


def shelves_of(engine: Engine) -> Shelves:
    """The shelves of an engine, shared by every store on it."""
    with _all_lock:
        found = _all.get(engine)
        if found is None:
            found = _all[engine] = Shelves(engine.ledger)
        return found
