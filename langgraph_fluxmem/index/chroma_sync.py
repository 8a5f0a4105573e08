"""What has to be written to Chroma: where a store stands, and bringing it from there to the log's head. No threads, no locks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from langgraph_fluxmem.index.chroma import (
    WRITTEN,
    ChromaStore,
    Marker,
    folder_fault,
    has_database,
    read_marker_file,
    record_id,
    remove_folder,
)
from langgraph_fluxmem.index.follower import SEARCHED
from langgraph_fluxmem.ledger.rows import begins_anew
from langgraph_fluxmem.schema import Namespace
from langgraph_fluxmem.testing.faults import point

if TYPE_CHECKING:
    from langgraph_fluxmem.ledger import Ledger
    from langgraph_fluxmem.ledger.rows import Change, NodeRow

CURSOR = "chroma"
"""Name of the cursor in the ledger."""
PAGE = 2_000
"""Log entries in one step."""
NOTHING = Marker("", -1, "", "", 0)
"""Stands before everything: all that is live has to be written."""


class ChromaSync:
    """Brings a Chroma folder, or the collection on a server, to the head of a ledger's log.

    `notice` is told what was found and mended; `check` is called between batches and may raise to stop.
    """

    def __init__(self, ledger: Ledger, place: Path | str, *, notice: Callable[[str], None], check: Callable[[], None]) -> None:
        self._ledger, self._notice, self._check = ledger, notice, check
        self.folder = place if isinstance(place, Path) else None
        """None for a server."""
        self._address = place if isinstance(place, str) else ""
        self.where = f"the Chroma folder {place}" if isinstance(place, Path) else f"the Chroma server at {place}"
        self.store: ChromaStore | None = None
        self.marker = NOTHING
        """Where the store stands."""
        self._told = False
        self._distrusted = False
        """What the store holds cannot be built on."""

    # ------------------------------------------------------------------------------------------------------------------- looking
    def behind(self) -> bool:
        """Whether there is something to follow or to mend, as far as can be told without opening Chroma."""
        recorded = self._ledger.cursor(CURSOR)
        wrong = recorded != self._ledger.head() and self._any_news(recorded)
        if self.folder is not None and recorded:
            marker = read_marker_file(self.folder)
            wrong = wrong or marker is None or marker.busy or marker.position != recorded or not has_database(self.folder)
        if self.folder is not None and recorded and not self.folder.exists():
            self._tell(f"{self.where} is missing: rebuilding it from the ledger, nothing is embedded again")
        return wrong

    def _any_news(self, after: int) -> bool:
        """Whether the log has versions after a position; evidence and edges do not concern Chroma."""
        page = self._ledger.changes(after, limit=PAGE)
        return len(page) >= PAGE or any(change.edit in ("version", "tombstone", "undo", "redo", "compact") for change in page)

    # ------------------------------------------------------------------------------------------------------------------- opening
    def open(self) -> None:
        """Open the store; a folder that cannot be opened is removed and made anew.

        Raises:
            Exception: whatever chromadb raises when a server is away or a folder cannot be made.
        """
        if self.folder is None:
            self.store = ChromaStore.open(self._address, self._ledger.memory_id)
            return
        fault = folder_fault(self.folder)
        if fault and self._ledger.cursor(CURSOR):
            self._tell(f"{self.where} {fault}: rebuilding it from the ledger, nothing is embedded again")
        if fault:
            remove_folder(self.folder)
        try:
            self.store = self._probed(self.folder)
        except BaseException as error:  # a panic inside chromadb is no Exception
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            self._tell(f"{self.where} is corrupt ({str(error)[:200]}): rebuilding it from the ledger, nothing is embedded again")
            remove_folder(self.folder)
            self.store = self._probed(self.folder)

    def _probed(self, folder: Path) -> ChromaStore:
        store = ChromaStore.open(folder, self._ledger.memory_id)
        try:
            len(store)
            store.marker()
        except BaseException:
            store.close()
            raise
        return store

    def discard(self) -> None:
        """Close, and remove a folder that failed in use; it is made anew when opened again."""
        self.close()
        if self.folder is not None:
            self._tell(f"{self.where} failed in use: rebuilding it from the ledger, nothing is embedded again")
            remove_folder(self.folder)

    def renew(self) -> None:
        """Close, and remove the folder, for what was deleted is still in Chroma's files; the next steps fill it again. Whoever calls this
        holds the folder's lock."""
        assert self.folder is not None
        self.close()
        self._ledger.set_cursor(CURSOR, 0)
        remove_folder(self.folder)
        self.marker = NOTHING

    def close(self) -> None:
        """Close the store; safe to call twice."""
        store, self.store = self.store, None
        if store is not None:
            store.close()

    def settle(self) -> None:
        """Find out where the open store stands, and say what is wrong with it."""
        assert self.store is not None
        recorded, marker, embedding = self._ledger.cursor(CURSOR), self.store.marker(), self._ledger.embedding()
        wrong: str | None = None
        if marker is None:
            wrong = "is empty" if recorded else None
        elif not self._is_ours(marker):
            wrong = "belongs to another history"
        elif marker.embedding and embedding is not None and marker.embedding != embedding[0]:
            wrong = "holds vectors of another embedding"
        elif not marker.busy and len(self.store) != marker.vectors:
            wrong = f"holds {len(self.store)} vectors where {marker.vectors} were written"
        elif 0 <= marker.position < recorded:
            self._tell(f"{self.where} is an older copy (log position {marker.position}, expected {recorded}): replaying the log from there")
        if wrong:
            self._tell(f"{self.where} {wrong}: rebuilding it from the ledger, nothing is embedded again")
        if wrong or marker is None:
            self.start_anew()
            self._distrusted = bool(wrong) or len(self.store) > 0  # another process may hold an empty collection open, too
        else:
            self.marker = marker
        self._told = False

    def glance(self) -> None:
        """Take over the marker that another process left on the server, so that it is known how much the collection holds."""
        if self.store is not None and self.marker.position < self._ledger.cursor(CURSOR):
            marker = self.store.marker()
            if marker is not None and not marker.busy and self._is_ours(marker):
                self.marker = marker

    def start_anew(self) -> None:
        """Write everything again at the next step, into an empty collection."""
        self.marker, self._distrusted = NOTHING, True

    def _is_ours(self, marker: Marker) -> bool:
        """Whether the marker stands in this ledger's log."""
        if marker.memory != self._ledger.memory_id or marker.position > self._ledger.head():
            return False
        return marker.position < 0 or marker.operation == self._operation_at(marker.position)

    def _operation_at(self, position: int) -> str:
        found = self._ledger.changes(position - 1, limit=1) if position > 0 else []
        return found[0].operation if found and found[0].position == position else ""

    def _tell(self, text: str) -> None:
        """One notice for one mishap, however many signs of it there are."""
        if not self._told:
            self._notice(text)
            self._told = True

    # ----------------------------------------------------------------------------------------------------------------- following
    def step(self) -> bool:
        """Follow the next entries of the log; False at its end. Each step leaves a marker in the store, then the ledger's cursor."""
        assert self.store is not None
        self._check()
        if self.marker.position < 0:
            self._fill(self.store)
            return True
        head = self._ledger.head()
        page = self._ledger.changes(self.marker.position, limit=PAGE)
        if page:
            self._apply(self.store, page)
            self._done(self.store, page[-1].position, page[-1].operation)
            return True
        if self.marker.position < head or self.marker.busy:
            self._done(self.store, max(head, self.marker.position), self._operation_at(max(head, self.marker.position)))
        elif self._ledger.cursor(CURSOR) != self.marker.position:
            self._ledger.set_cursor(CURSOR, self.marker.position)
        return False

    def _begin(self, store: ChromaStore) -> None:
        """Say in the store that a batch is under way, so that what it leaves when it is cut off is expected."""
        if not self.marker.busy:
            embedding = self._ledger.embedding()
            marker = replace(self.marker, memory=self._ledger.memory_id, embedding=embedding[0] if embedding else "", busy=True)
            store.mark(marker)
            self.marker = marker
            point("chroma.begun")

    def _done(self, store: ChromaStore, position: int, operation: str) -> None:
        point("chroma.before_mark")
        embedding = self._ledger.embedding()
        marker = Marker(self._ledger.memory_id, position, operation, embedding[0] if embedding else "", len(store))
        store.mark(marker)
        point("chroma.before_cursor")
        self._ledger.set_cursor(CURSOR, position)
        self.marker = marker
        point("chroma.followed")

    def _fill(self, store: ChromaStore) -> None:
        """Write everything that is live now; what was retired is never written. A fill that was cut off goes on where it was."""
        head = self._ledger.head()
        if self._distrusted:
            store.reset()
            point("rebuild.emptied")
            self._distrusted = False
        self._begin(store)
        wanted: set[str] = set()
        for namespace in self._ledger.namespaces():
            rows = self._ledger.nodes(namespace, kinds=SEARCHED, bodies=False)
            wanted.update(_records(rows))
            held = set(store.ids_in(namespace))
            self._upsert(store, namespace, [row for row in rows if not held.issuperset(_records([row]))])
        store.delete(sorted(set(store.ids()) - wanted))
        self._done(store, head, self._operation_at(head))

    def _apply(self, store: ChromaStore, page: Sequence[Change]) -> None:
        """Follow some log entries; doing it twice does no harm."""
        latest: dict[Namespace, dict[str, str]] = {}
        anew: set[Namespace] = set()
        for change in page:
            if begins_anew(change, self.marker.position) or (change.edit in ("version", "tombstone") and change.node is None):
                anew.add(change.namespace)
            elif change.edit in ("version", "tombstone") and change.node is not None:
                latest.setdefault(change.namespace, {})[change.node] = change.target
        if anew or latest:
            self._begin(store)
        for namespace in anew:
            rows = self._ledger.nodes(namespace, kinds=SEARCHED, bodies=False)
            held = set(store.ids_in(namespace))
            store.delete(sorted(held - set(_records(rows))))
            self._upsert(store, namespace, [row for row in rows if not held.issuperset(_records([row]))])
        for namespace, versions in latest.items():
            if namespace in anew:
                continue
            rows = [row for row in self._ledger.load(namespace, list(versions.values())).values() if row.kind in SEARCHED]
            live = [row for row in rows if not row.tombstone and not row.erased]
            current = set(_records(live))
            store.delete([held for held in store.ids_of_nodes(namespace, [row.node for row in rows]) if held not in current])
            self._upsert(store, namespace, live)

    def _upsert(self, store: ChromaStore, namespace: Namespace, rows: Sequence[NodeRow]) -> None:
        wanted = [(record_id(row.id, index), row.node, text.hash) for row in rows for index, text in enumerate(row.texts)]
        for start in range(0, len(wanted), WRITTEN):
            self._check()
            part = wanted[start : start + WRITTEN]
            vectors = self._ledger.vectors(namespace, list({digest for _, _, digest in part}))
            known = [(record, node, vectors[digest]) for record, node, digest in part if digest in vectors]
            if known:
                store.upsert(namespace, [item[0] for item in known], [item[1] for item in known], [item[2] for item in known])
                point("chroma.written")


def _records(rows: Sequence[NodeRow]) -> list[str]:
    return [record_id(row.id, index) for row in rows for index in range(len(row.texts))]
