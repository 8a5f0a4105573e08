"""The owner of all projections of one memory: opens them, keeps them at the log's head, checks and rebuilds them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from langgraph_fluxmem.config import Config
from langgraph_fluxmem.errors import ClosedError, ConfigError
from langgraph_fluxmem.index.check import chroma_differences
from langgraph_fluxmem.index.chroma_follower import ChromaFollower
from langgraph_fluxmem.index.follower import SEARCHED, NamespaceFollower
from langgraph_fluxmem.index.view import NamespaceView
from langgraph_fluxmem.schema import Namespace
from langgraph_fluxmem.testing.faults import point

if TYPE_CHECKING:
    from langgraph_fluxmem.graph import MemoryGraph
    from langgraph_fluxmem.ledger import Ledger
    from langgraph_fluxmem.ledger.rows import NodeRow

NAMES = ("exact", "postings", "graph", "chroma")


class Projections:
    """Every projection of a ledger, for at most ``config.open_namespaces`` namespaces at once.

    `directory` is where a local Chroma keeps its folder; None (a ledger on a server): only a Chroma server can be used.
    """

    def __init__(self, ledger: Ledger, config: Config, *, directory: Path | None) -> None:
        self._ledger, self._config = ledger, config
        self._lock = threading.Lock()
        self._followers: OrderedDict[Namespace, NamespaceFollower] = OrderedDict()
        self._graphs: OrderedDict[tuple[Namespace, frozenset[str]], MemoryGraph] = OrderedDict()
        self._closed = False
        self.notices: list[str] = []
        """What was found and mended, in words."""
        place = directory if config.chroma == "auto" else None if config.chroma == "off" else config.chroma
        self._chroma = None if place is None else ChromaFollower(ledger, place, notice=self.notices.append)
        if self._chroma is not None:
            self._chroma.start()

    # ------------------------------------------------------------------------------------------------------------------- reading
    def view(self, namespace: Namespace, hidden: Collection[str] = (), head: int | None = None) -> NamespaceView:
        """Catch up with the log, then a snapshot of a namespace without what the `hidden` commits wrote. `head` is the log's, of this
        namespace, where the caller has read it.

        Raises:
            ClosedError: after `close`.
        """
        return self._follower(namespace).view(hidden, head)

    def graph(self, namespace: Namespace, hidden: Collection[str] = ()) -> MemoryGraph:
        """Catch up with the log, then the stored edges of a namespace with their learned weights, without the `hidden` commits'.

        Raises:
            ClosedError: after `close`.
        """
        whole = self._graph(namespace, frozenset())
        without = whole.commits.intersection(hidden)
        return self._graph(namespace, frozenset(without)) if without else whole

    def episodes(self, namespace: Namespace, hidden: Collection[str] = ()) -> list[NodeRow]:
        """The live episodes of a namespace, oldest first, without the `hidden` commits'."""
        rows = self._ledger.nodes(namespace, kinds=("episode",))
        without = frozenset(hidden)
        return [row for row in rows if row.commit not in without] if without else rows

    def _follower(self, namespace: Namespace) -> NamespaceFollower:
        with self._lock:
            self._check_open()
            found = self._followers.pop(namespace, None)
            if found is None:
                found = NamespaceFollower(self._ledger, namespace, far=self._chroma, exact_max=self._config.exact_max, news=self.follow)
            self._followers[namespace] = found
            while len(self._followers) > self._config.open_namespaces:
                self._followers.popitem(last=False)
        return found

    def _graph(self, namespace: Namespace, hidden: frozenset[str]) -> MemoryGraph:
        from langgraph_fluxmem.graph import MemoryGraph  # noqa: PLC0415 - networkx is imported when a graph is first asked for

        with self._lock:
            self._check_open()
            found = self._graphs.pop((namespace, hidden), None)
            if found is None:
                found = MemoryGraph(namespace, hidden, half_life=self._config.half_life)
            self._graphs[namespace, hidden] = found
            while len(self._graphs) > self._config.open_namespaces:
                self._graphs.popitem(last=False)
        found.catch_up(self._ledger)
        return found

    # ------------------------------------------------------------------------------------------------------------------ following
    def follow(self) -> None:
        """Something was written: Chroma follows soon, in its own thread. Never blocks."""
        if self._chroma is not None:
            self._chroma.poke()

    def begin_call(self) -> None:
        """The memory is used from now on, until `end_call`: a local Chroma, which nothing gets on beside, lets calls go first."""
        if self._chroma is not None:
            self._chroma.courtesy.begin_call()

    def end_call(self) -> None:
        """That call is over."""
        if self._chroma is not None:
            self._chroma.courtesy.end_call()

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until Chroma has followed to the log's head.

        False when it has not within `timeout` seconds, or cannot now (away, or kept by another process). True without a Chroma.
        """
        return self._chroma is None or self._chroma.flush(timeout)

    # ----------------------------------------------------------------------------------------------------------------------- care
    def verify(self) -> list[str]:
        """Compare every projection that is in memory, and Chroma, with the ledger: one line for each difference, naming it.

        A local Chroma that another process keeps is left to that process, and a notice says so.
        """
        with self._lock:
            self._check_open()
            followers, graphs = list(self._followers.values()), list(self._graphs.values())
        lines = [line for follower in followers for line in follower.differences()]
        for graph in graphs:
            lines += self._graph_differences(graph)
        return lines + self._chroma_differences()

    def _graph_differences(self, graph: MemoryGraph) -> list[str]:
        while True:
            graph.catch_up(self._ledger)
            truth = type(graph)(graph.namespace, graph.hidden)
            truth.catch_up(self._ledger)
            if truth.position == graph.position:
                return graph.check() + graph.differences(truth)

    def _chroma_differences(self) -> list[str]:
        chroma = self._chroma
        if chroma is None:
            return []
        while True:
            head = self._ledger.head()
            if not chroma.flush():
                if chroma.elsewhere:
                    self.notices.append(f"chroma was not compared: {chroma.elsewhere}")
                    return []
                return [f"chroma: not compared: {chroma.trouble or 'it does not get on'}"]
            lines = chroma.with_store(lambda store: chroma_differences(self._ledger, store, SEARCHED))
            if lines is not None and self._ledger.head() == head:
                return lines

    def rebuild(self, name: str | None = None) -> None:
        """Drop one projection (``exact``, ``postings``, ``graph``, ``chroma``), or all, and build it from the ledger. Nothing is embedded.

        Vectors and postings of a namespace are one projection: they are dropped together, and built when a view is next asked for.

        Raises:
            ConfigError: no projection of that name.
        """
        if name is not None and name not in NAMES:
            raise ConfigError(f"there is no projection {name!r}; expected one of {', '.join(NAMES)}, learned")
        with self._lock:
            self._check_open()
            followers, graphs = list(self._followers.values()), list(self._graphs.values())
        if name in (None, "exact", "postings"):
            for follower in followers:
                follower.drop()
        if name in (None, "graph"):
            for graph in graphs:
                graph.clear()
        point("rebuild.dropped")
        if name in (None, "chroma") and self._chroma is not None:
            self._chroma.rebuild()

    def renew(self) -> str | None:
        """Make Chroma's files anew, without what was deleted from them. None when that is done, or there is no Chroma; else why not."""
        if self._chroma is None or self._chroma.renew():
            return None
        return self._chroma.elsewhere or self._chroma.trouble or "Chroma does not get on"

    # ------------------------------------------------------------------------------------------------------------------------ end
    def close(self) -> None:
        """Stop following, after the batch at hand; a second call does nothing. Views given out stay readable."""
        with self._lock:
            self._closed = True
            self._followers.clear()
            self._graphs.clear()
        if self._chroma is not None:
            self._chroma.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("this memory is closed; open it again with `FluxMem.open(...)`")
