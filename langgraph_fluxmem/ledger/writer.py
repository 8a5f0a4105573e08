"""The one writer: a thread that runs queued jobs in group commits.

All jobs that wait when the writer becomes free share one transaction, each in its own savepoint: one that fails is rolled back alone and
its caller gets the error, the others are acknowledged after the one COMMIT.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, overload

from sqlalchemy import bindparam, func, select

from langgraph_fluxmem.errors import ClosedError, FluxMemError, UnavailableError
from langgraph_fluxmem.ledger.database import Database
from langgraph_fluxmem.ledger.sql import Session, Statement, insert_into
from langgraph_fluxmem.ledger.tables import namespaces, operations
from langgraph_fluxmem.testing import faults

T = TypeVar("T")
GROUP_LIMIT = 256
"""Jobs in one transaction at most, so that other processes get their turn."""

_LAST_POSITION = Statement(select(func.max(operations.c.position)))
_NAMESPACE_ID = Statement(select(namespaces.c.id).where(namespaces.c.path == bindparam("path")))
_LAST_NAMESPACE = Statement(select(func.max(namespaces.c.id)))
_INSERT_NAMESPACE = insert_into(namespaces)


class Transaction:
    """What a job sees: the session, and the positions and namespace ids that this transaction hands out."""

    __slots__ = ("_clock", "_last", "_new", "_now", "_shared", "session")

    def __init__(self, session: Session, shared: dict[str, int], clock: Callable[[], float]) -> None:
        self.session = session
        self._shared = shared
        self._new: dict[str, int] = {}
        self._last: int | None = None
        self._clock = clock
        self._now: float | None = None

    def now(self) -> float:
        """Seconds since the epoch, one value within a job."""
        if self._now is None:
            self._now = self._clock()
        return self._now

    def at(self, moment: float) -> None:
        """Let what this job writes from here on have been written at `moment`: it is a copy."""
        self._now = moment

    def peek_position(self) -> int:
        """The position that `next_position` would take."""
        if self._last is None:
            found = self.session.one(_LAST_POSITION)
            self._last = int(found[0]) if found and found[0] is not None else 0
        return self._last + 1

    def next_position(self) -> int:
        self._last = self.peek_position()
        return self._last

    def find_namespace(self, path: str) -> tuple[int, bool]:
        """Id of a namespace and True, or (0, False)."""
        known = self._shared.get(path) or self._new.get(path)
        if known is None:
            found = self.session.one(_NAMESPACE_ID, {"path": path})
            if found is None:
                return 0, False
            known = self._new[path] = int(found[0])
        return known, True

    def namespace_id(self, path: str) -> tuple[int, bool]:
        """Id of a namespace, made when it is new; and whether it was there before this transaction's job."""
        known, found = self.find_namespace(path)
        if found:
            return known, True
        last = self.session.one(_LAST_NAMESPACE)
        id_ = (int(last[0]) if last and last[0] is not None else 0) + 1
        self.session.run(_INSERT_NAMESPACE, {"id": id_, "path": path, "head": 0})
        self._new[path] = id_
        return id_, False

    def mark(self) -> tuple[int | None, dict[str, int]]:
        self._now = None
        return self._last, dict(self._new)

    def restore(self, mark: tuple[int | None, dict[str, int]]) -> None:
        self._last, self._new = mark

    def committed(self) -> None:
        self._shared.update(self._new)


@dataclass(slots=True)
class _Job(Generic[T]):
    run: Callable[[Any], T]
    outside: bool = False
    """It gets the session, outside of any transaction."""
    future: Future[T] = field(default_factory=Future)


class Writer:
    """Owner of the write connection. `submit` queues a job; its future is done after COMMIT."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._session: Session | None = database.connect(writing=True)
        self._namespaces: dict[str, int] = {}
        self._queue: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._open = True
        self._thread = threading.Thread(target=self._loop, name="fluxmem-ledger", daemon=True)
        self._thread.start()

    @overload
    def submit(self, run: Callable[[Transaction], T]) -> Future[T]: ...
    @overload
    def submit(self, run: Callable[[Session], T], *, outside: bool) -> Future[T]: ...
    def submit(self, run: Callable[[Any], T], *, outside: bool = False) -> Future[T]:
        """Queue a job. It may be run twice (the first transaction having failed as a whole, or a server having gone away while it committed),
        so it acts on the transaction only, and finds out what is there already; with `outside` it is run once, alone, on the session without
        a transaction.

        Raises:
            ClosedError: the writer was closed.
        """
        job = _Job(run, outside)
        with self._gate:
            if not self._open:
                raise ClosedError(f"the ledger at {self._database.name} is closed; open the memory again")
            self._queue.put(job)
        return job.future

    def close(self) -> None:
        """Finish what is queued, then close the connection. Safe to call twice, and from any thread."""
        with self._gate:
            if self._open:
                self._open = False
                self._queue.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    # ------------------------------------------------------------------------------------------------------------ the thread
    def _loop(self) -> None:
        stop = False
        while not stop:
            first = self._queue.get()
            jobs: list[_Job[Any]] = []
            while True:
                if first is None:
                    stop = True
                elif first.future.set_running_or_notify_cancel():
                    jobs.append(first)
                if stop or len(jobs) >= GROUP_LIMIT:
                    break
                try:
                    first = self._queue.get_nowait()
                except queue.Empty:
                    break
            if jobs:
                self._group(jobs)
        if self._session is not None:
            self._database.retire(self._session)
            self._session = None

    def _group(self, jobs: list[_Job[Any]]) -> None:
        """Run jobs in one transaction; when it fails as a whole, each again in its own."""
        if any(job.outside for job in jobs):
            for job in jobs:
                if job.outside:
                    self._outside(job)
                else:
                    self._group([job])
            return
        try:
            outcomes = self._transacted(jobs)
            faults.point("ledger.before_ack")
        except Exception as error:  # noqa: BLE001  # whatever it is belongs to the callers
            if len(jobs) == 1 or isinstance(error, UnavailableError):
                for job in jobs:
                    job.future.set_exception(self._translated(error))
            else:
                for job in jobs:
                    self._group([job])
            return
        self._acknowledge(jobs, outcomes)

    def _transacted(self, jobs: list[_Job[Any]]) -> list[tuple[Any, Exception | None]]:
        """The outcomes of a transaction; it is made again while the server is away."""
        if self._database.sqlite:
            return self._transact(jobs)

        def attempt() -> list[tuple[Any, Exception | None]]:
            with self._database.translating("write to"):
                return self._transact(jobs)

        return self._database.patiently(attempt)

    def _outside(self, job: _Job[Any]) -> None:
        try:
            job.future.set_result(job.run(self._connected()))
        except Exception as error:  # noqa: BLE001  # whatever it is belongs to the caller
            job.future.set_exception(self._translated(error))

    def _acknowledge(self, jobs: list[_Job[Any]], outcomes: list[tuple[Any, Exception | None]]) -> None:
        for job, (result, error) in zip(jobs, outcomes, strict=True):
            if job.future.done():
                continue
            if error is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(self._translated(error))

    def _transact(self, jobs: list[_Job[Any]]) -> list[tuple[Any, Exception | None]]:
        session = self._connected()
        faults.point("ledger.before_begin")
        tx = Transaction(session, self._namespaces, self._clock)
        try:
            self._database.begin(session)
            outcomes = [self._savepoint(tx, job) for job in jobs] if len(jobs) > 1 else [self._alone(tx, jobs[0])]
            if faults.switch("ledger.ack_before_commit"):
                self._acknowledge(jobs, outcomes)
            faults.point("ledger.before_commit")
            self._database.commit(session)
        except BaseException:
            self._abandon(session)
            raise
        tx.committed()
        faults.point("ledger.after_commit")
        return outcomes

    def _alone(self, tx: Transaction, job: _Job[Any]) -> tuple[Any, Exception | None]:
        tx.mark()
        return job.run(tx), None

    def _savepoint(self, tx: Transaction, job: _Job[Any]) -> tuple[Any, Exception | None]:
        mark = tx.mark()
        tx.session.text("SAVEPOINT job")
        try:
            result = job.run(tx)
        except Exception as error:  # noqa: BLE001  # belongs to this job's caller; a lost transaction fails below and is raised
            tx.session.text("ROLLBACK TO SAVEPOINT job")
            tx.session.text("RELEASE SAVEPOINT job")
            tx.restore(mark)
            return None, error
        tx.session.text("RELEASE SAVEPOINT job")
        return result, None

    def _connected(self) -> Session:
        if self._session is not None and self._database.lost(self._session):
            self._database.retire(self._session)
            self._session = None
        if self._session is None:
            self._session = self._database.connect(writing=True)
        return self._session

    def _abandon(self, session: Session) -> None:
        """Roll back; a connection that cannot even do that is replaced."""
        if not self._database.rollback(session):
            self._session = None

    def _translated(self, error: Exception) -> Exception:
        return error if isinstance(error, FluxMemError) else self._database.translate(error, "write to")
