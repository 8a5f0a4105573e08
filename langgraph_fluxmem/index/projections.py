"""The owner of all projections of one memory: opens them, keeps them at the log's head, checks and rebuilds them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from langgraph_fluxmem.config import Config
from langgraph_fluxmem.errors import ClosedError
from langgraph_fluxmem.index.follower import NamespaceFollower
from langgraph_fluxmem.index.view import NamespaceView
from langgraph_fluxmem.schema import Namespace

if TYPE_CHECKING:
    from langgraph_fluxmem.ledger import Ledger
    from langgraph_fluxmem.ledger.rows import NodeRow


class Projections:
    """Every projection of a ledger, for at most ``config.open_namespaces`` namespaces at once.

    `directory` is where a local Chroma may keep its folder; None (a ledger on a server): none is kept.
    """

    def __init__(self, ledger: Ledger, config: Config, *, directory: Path | None) -> None:
        self._ledger, self._config, self._directory = ledger, config, directory
        self._lock = threading.Lock()
        self._followers: OrderedDict[Namespace, NamespaceFollower] = OrderedDict()
        self._closed = False
        self.notices: list[str] = []
        """What was found and mended."""

    def view(self, namespace: Namespace, hidden: Collection[str] = ()) -> NamespaceView:
        """Catch up with the log, then a snapshot of a namespace without what the `hidden` commits wrote.

        Raises:
            ClosedError: after `close`.
        """
        return self._follower(namespace).view(hidden)

    def episodes(self, namespace: Namespace, hidden: Collection[str] = ()) -> list[NodeRow]:
        """The live episodes of a namespace, oldest first, without the `hidden` commits'."""
        rows = self._ledger.nodes(namespace, kinds=("episode",))
        without = frozenset(hidden)
        return [row for row in rows if row.commit not in without] if without else rows

    def _follower(self, namespace: Namespace) -> NamespaceFollower:
        with self._lock:
            if self._closed:
                raise ClosedError("this memory is closed; open it again with `FluxMem.open(...)`")
            found = self._followers.pop(namespace, None)
            if found is None:
                found = NamespaceFollower(self._ledger, namespace, far=None, exact_max=self._config.exact_max)
            self._followers[namespace] = found
            while len(self._followers) > self._config.open_namespaces:
                self._followers.popitem(last=False)
            return found

    def close(self) -> None:
        """Stop following; a second call does nothing."""
        with self._lock:
            self._closed = True
            self._followers.clear()
