"""What facts say, kept in memory: a recall then reads no text from the ledger.

A version never changes what it says, so the only thing to follow is erasure. Every read names the log position it has to hold for (that of
the view which showed the ids); what was erased up to there is dropped before it is answered.
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from langgraph_fluxmem.index.follower import SEARCHED
from langgraph_fluxmem.ledger.rows import BodyRow, RawBody, decoded
from langgraph_fluxmem.schema import Namespace

if TYPE_CHECKING:
    from langgraph_fluxmem.ledger import Ledger

OVERHEAD = 600
"""Bytes that keeping a body takes beside its text: its id, its places in dictionaries, the objects it is decoded to."""
AT_ONCE = 4
"""A namespace that is read again and again is loaded whole where that takes at most one part in so many of the room, and of that what is newest where
it takes more."""
FIRST, SOON = 1_000, 4
"""The first read of a namespace loads so many at most; the whole is loaded by the read of this number that finds something missing."""

NAMESPACES = 10_000
"""Of so many namespaces it is remembered how often they were read."""


class Bodies:
    """Bodies of versions by id, those used of late, in about `most` bytes. Safe from any thread.

    What it gives is shared: callers copy what they hand out (`storing.fields.fact_of` does).
    """

    def __init__(self, ledger: Ledger, most: int) -> None:
        self._ledger, self._most = ledger, most
        self._held: OrderedDict[str, tuple[Namespace, int, RawBody | BodyRow]] = OrderedDict()
        self._missed: dict[Namespace, int] = {}
        self._bytes = 0
        self._position = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """About how many bytes it takes."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._held)

    def read(self, namespace: Namespace, ids: Sequence[str], at: int) -> dict[str, BodyRow]:
        """As `Ledger.bodies`, without anything that was erased up to log position `at`."""
        with self._lock:
            if at > self._position:
                self._follow()
            found, missing = self._known(namespace, ids)
            position = self._position
            times = self._missed.get(namespace, 0) + 1
            if missing:
                if len(self._missed) >= NAMESPACES:
                    self._missed.clear()
                self._missed[namespace] = times
            room = min(self._most // AT_ONCE, self._most - self._bytes)
        if missing and times in (1, SOON):
            many = FIRST if times == 1 else room // OVERHEAD
            self._keep(namespace, reversed(self._newest(namespace, room, many)), position)
            with self._lock:
                known, missing = self._known(namespace, missing)
            found.update(known)
        if missing:
            rows = self._ledger.raw_bodies(namespace, missing)
            found.update((row.id, row) for row in decoded(rows))
            self._keep(namespace, rows, position)
        return found

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._held.clear()
            self._missed.clear()
            self._bytes = 0

    def _known(self, namespace: Namespace, ids: Sequence[str]) -> tuple[dict[str, BodyRow], list[str]]:
        found: dict[str, BodyRow] = {}
        missing: list[str] = []
        held, raw = self._held, list[RawBody]()
        for version in ids:
            kept = held.get(version)
            if kept is None or kept[0] != namespace:
                missing.append(version)
                continue
            row = kept[2]
            held.move_to_end(version)
            if isinstance(row, RawBody):
                raw.append(row)
            else:
                found[version] = row
        for row in decoded(raw) if raw else ():
            found[row.id] = row
            held[row.id] = (namespace, held[row.id][1], row)
        return found, missing

    def _follow(self) -> None:
        """Drop what was erased since; the log's head is read first, so that nothing is missed."""
        head = self._ledger.head()
        if self._held:
            erased = self._ledger.erased(self._position)
            if erased is None:
                self._held.clear()
                self._missed.clear()
                self._bytes = 0
            for version in erased or ():
                gone = self._held.pop(version, None)
                if gone is not None:
                    self._bytes -= gone[1]
        self._position = head

    def _newest(self, namespace: Namespace, room: int, many: int) -> list[RawBody]:
        """The `many` newest searched versions of a namespace, newest first, as far as there is room for them."""

        def fits(row: RawBody) -> bool:
            nonlocal room
            room -= _size(row)
            return room >= 0

        return self._ledger.newest_bodies(namespace, SEARCHED, min(many, room // OVERHEAD), fits) if room > 0 else []

    def _keep(self, namespace: Namespace, rows: Iterable[RawBody], position: int) -> None:
        """Keep what was read when everything erased up to `position` had been dropped, unless more has been dropped since."""
        with self._lock:
            if self._position != position:
                return
            for row in rows:
                if row.body is not None and row.id not in self._held:
                    size = _size(row)
                    self._held[row.id] = (namespace, size, row)
                    self._bytes += size
            while self._bytes > self._most:
                self._bytes -= self._held.popitem(last=False)[1][1]


def _size(row: RawBody) -> int:
    """Bytes that a body takes, counted as text and decoded."""
    return 2 * sys.getsizeof(row.body) + sys.getsizeof(row.texts) + OVERHEAD
