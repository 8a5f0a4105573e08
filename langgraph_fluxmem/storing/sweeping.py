"""The sweeper: a thread that deletes what has expired, at an interval, until it is stopped."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future

from langgraph_fluxmem.errors import ClosedError

_log = logging.getLogger(__name__)


class Sweeper:
    """Calls `sweep` every `interval` seconds, until it is stopped or the memory is closed. A sweep that fails is logged and tried again."""

    def __init__(self, sweep: Callable[[], int], interval: float) -> None:
        self._sweep = sweep
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fluxmem-sweeper", daemon=True)
        self.done: Future[None] = Future()
        """Done when the sweeper has stopped; cancelling it stops the sweeper."""
        self.done.add_done_callback(lambda future: self._stop.set() if future.cancelled() else None)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it still sweeps."""
        return self._thread.is_alive() and not self._stop.is_set()

    def stop(self, timeout: float | None = None) -> bool:
        """Stop it and wait at most `timeout` seconds; whether it has stopped."""
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                gone = self._sweep()
            except ClosedError:
                break
            except Exception:  # noqa: BLE001 - whatever it is, it is logged, and the next sweep may succeed
                _log.exception("the sweep of expired items failed and is tried again in %g s", self._interval)
            else:
                if gone:
                    _log.info("swept %d expired items", gone)
        if not self.done.cancelled():
            self.done.set_result(None)
