"""The sessions that a ledger reads with: idle ones are kept, on Postgres at most so many are open, and a read that a lost connection cut off
is made again."""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from langgraph_fluxmem.errors import ClosedError, LedgerError, UnavailableError
from langgraph_fluxmem.ledger.database import Database
from langgraph_fluxmem.ledger.sql import Session

Args = ParamSpec("Args")
Answer = TypeVar("Answer")


class Asked(Protocol):
    """What is read from."""

    database: Database


Ledger = TypeVar("Ledger", bound=Asked)


def patient(read: Callable[Concatenate[Ledger, Args], Answer]) -> Callable[Concatenate[Ledger, Args], Answer]:
    """A method that only reads, made again while the server is away, up to the busy timeout."""

    @functools.wraps(read)
    def again(ledger: Ledger, *args: Args.args, **named: Args.kwargs) -> Answer:
        try:
            return read(ledger, *args, **named)
        except UnavailableError:
            return ledger.database.patiently(lambda: read(ledger, *args, **named))

    return again


class Readers:
    """A pool of reading sessions. `limit`: how many may be open on a server; a file has no limit."""

    def __init__(self, database: Database, limit: int) -> None:
        self._database = database
        self._limit = limit
        self._room = None if database.sqlite else threading.BoundedSemaphore(limit)
        self._idle: deque[Session] = deque()
        self.closed = False

    def take(self) -> Session:
        """A session for one reading; give it back with `give`.

        Raises:
            ClosedError: after `close`.
            UnavailableError: the server is away. LedgerError: every connection is in use for longer than the busy timeout.
        """
        if self.closed:
            raise ClosedError(f"the ledger at {self._database.name} is closed; open the memory again")
        if self._room is None:
            try:
                return self._idle.pop()
            except IndexError:
                return self._database.connect(writing=False)
        if not self._room.acquire(timeout=self._database.busy_timeout):
            raise LedgerError(f"all {self._limit} connections to {self._database.name} stay in use; raise the option `connections`")
        try:
            return self._sound()
        except BaseException:
            self._room.release()
            raise

    def _sound(self) -> Session:
        """An idle session whose connection the server has not ended, or a new one."""
        while self._idle:
            try:
                session = self._idle.pop()
            except IndexError:
                break
            if not self._database.lost(session):
                return session
            self._database.retire(session)
        return self._database.connect(writing=False)

    def give(self, session: Session, error: BaseException | None) -> None:
        """End a reading; raises what its `error` means."""
        try:
            if error is None:
                self._idle.append(session)
            else:
                self._database.retire(session)
        finally:
            if self._room is not None:
                self._room.release()
        if error is not None:
            meant = self._database.translate(error, "read") if isinstance(error, Exception) else error
            if meant is not error:
                raise meant from error
        if self.closed:
            self._retire_idle()

    def close(self) -> None:
        """Close the idle sessions, and each other one when it is given back."""
        self.closed = True
        self._retire_idle()

    def _retire_idle(self) -> None:
        while True:
            try:
                session = self._idle.pop()
            except IndexError:
                return
            self._database.retire(session)


class Reading:
    """A session to read with, idle again at the end; what fails in between is told in our errors, and its session is closed."""

    __slots__ = ("_readers", "_session")

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    def __enter__(self) -> Session:
        self._session = self._readers.take()
        return self._session

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._readers.give(self._session, error)
