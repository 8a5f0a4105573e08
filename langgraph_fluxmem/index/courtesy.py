"""When a local Chroma may write: calls go first.

It lives in this process, and holds the interpreter's lock while it writes: a millisecond for each vector, in which nothing else gets on. A
call that lets go of that lock a hundred times, as one that reads the ledger does, waits a hundred times. So it writes in moments without
any, and where there is none, every now and then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

QUIET = 0.2
"""Seconds after a call from which on there is none."""
PATIENT = 10.0
"""Seconds to wait for a moment without calls before following begins all the same."""
UNHURRIED, NEEDED = 50, 1
"""How many times as long as the last batch took to wait for one before the next all the same: where no search asks Chroma, and where one has."""


class Courtesy:
    """Knows of calls under way and of who waits for Chroma, and lets the thread that writes wait. Safe from any thread.

    `state` is the condition that thread waits on, `stop` says that it has to end.
    """

    def __init__(self, state: threading.Condition, stop: threading.Event) -> None:
        self._state, self._stop = state, stop
        self._calls = 0
        self._called = 0.0
        self._waiting = 0
        self._written: float | None = None
        self.needed = False
        """Whether a search has asked Chroma."""

    def begin_call(self) -> None:
        """The memory is used from now on, until `end_call`."""
        with self._state:
            self._calls += 1

    def end_call(self) -> None:
        """That call is over."""
        with self._state:
            self._calls -= 1
            self.called()

    def called(self) -> None:
        """The memory was used just now."""
        self._called = time.monotonic()

    @contextmanager
    def hurried(self) -> Generator[None]:
        """Somebody waits for what is to be written: nobody goes first. Whoever enters wakes the thread."""
        with self._state:
            self._waiting += 1
        try:
            yield
        finally:
            with self._state:
                self._waiting -= 1

    def begin(self) -> None:
        """Nothing was written yet in this round."""
        self._written = None

    def give_way(self) -> None:
        """Wait for a moment without calls, unless somebody waits for what is to be written."""
        begun = time.monotonic()
        most = PATIENT if self._written is None else (NEEDED if self.needed else UNHURRIED) * (begun - self._written)
        with self._state:
            while not (self._stop.is_set() or self._waiting):
                now = time.monotonic()
                left = min(begun + most - now, QUIET if self._calls else self._called + QUIET - now)
                if left <= 0:
                    break
                self._state.wait(left)
        self._written = time.monotonic()
