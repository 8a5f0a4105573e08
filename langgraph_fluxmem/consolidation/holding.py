"""Holding on to the lease of a consolidation while it works, however long a model takes over one answer.

A lease is short, so that a consolidation that was killed holds up nobody for long; a thread renews it while a piece of work is under way. That
is for liveness alone: what may be written is decided by the fencing token, in the transaction that writes.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from langgraph_fluxmem.errors import ClosedError, FluxMemError
from langgraph_fluxmem.ledger import leases

if TYPE_CHECKING:
    from langgraph_fluxmem.ledger import Ledger

BEATS = 4
"""A lease is renewed so many times before it would run out."""
HUNG = 3600.0
"""Seconds after which one piece of work is taken for hung: its lease is renewed no more, so that somebody else may consolidate."""


class Held:
    """A lease that is renewed in the background until `stop` or `close`, while `owner` holds it; `token` is what it is given back with."""

    def __init__(self, ledger: Ledger, name: str, owner: str, ttl: float, token: int = 0) -> None:
        self._ledger, self._name, self._owner, self._ttl = ledger, name, owner, ttl
        self.token = token
        self._stopped = threading.Event()
        self._until = 0.0
        self.works()
        threading.Thread(target=self._hold, name="fluxmem-lease", daemon=True).start()

    def works(self) -> None:
        """A piece of work is done: it is not hung."""
        self._until = time.monotonic() + HUNG

    def stop(self) -> None:
        """Renew it no more."""
        self._stopped.set()

    def close(self) -> None:
        """Renew it no more, and give it back."""
        self.stop()
        self._ledger.release_lease(self._name, self._owner, self.token)

    def abandon(self) -> None:
        """Give it back where the work was interrupted; where that cannot be, it runs out."""
        with contextlib.suppress(FluxMemError):
            self.close()

    def _hold(self) -> None:
        while not self._stopped.wait(self._ttl / BEATS) and time.monotonic() < self._until:
            try:
                self._ledger.transact(lambda tx: leases.extend(tx, self._name, self._owner, self._ttl))
            except ClosedError:
                return
            except FluxMemError:  # a database that is away: a later beat may reach it, and if none does, the fence refuses the result
                continue
