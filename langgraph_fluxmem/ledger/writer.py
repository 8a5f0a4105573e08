"""The one writer: a thread that runs queued jobs in group commits.

All jobs that wait when the writer has the lock share one transaction, each in its own savepoint: one that fails is rolled back alone and
its caller gets the error, the others are acknowledged after the one COMMIT. A server is spoken to in three round trips, however many jobs
and statements there are: for the lock, for what the jobs have to know, and for what they write with the COMMIT; only the last two are made
while others wait for the lock.
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

TENDED = 64
"""Log entries that this process has written when the database is first tended to; then at twice as many, and so on."""

_LAST_POSITION = Statement(select(func.max(operations.c.position)))
_NAMESPACE_ID = Statement(select(namespaces.c.id).where(namespaces.c.path == bindparam("path")))
_LAST_NAMESPACE = Statement(select(func.max(namespaces.c.id)))
_INSERT_NAMESPACE = insert_into(namespaces)


class Transaction:
    """What a job sees: the session, and the positions and namespace ids that this transaction hands out."""

    __slots__ = ("_asked_last", "_clock", "_found_last", "_last", "_new", "_now", "_shared", "entries", "foreseen", "session", "written")

    def __init__(self, session: Session, shared: dict[str, int], clock: Callable[[], float]) -> None:
        self.session = session
        self.foreseen: dict[int, Any] = {}
        """Answers to what jobs asked beforehand, by job; true unless something was written since."""
        self.entries = 0
        """Log entries written."""
        self.written: set[str] = set()
        """Ids that jobs wrote, as far as other jobs may have asked for them."""
        self._shared = shared
        self._new: dict[str, int] = {}
        self._last: int | None = None
        self._asked_last: Callable[[], list[tuple[Any, ...]]] | None = None
        self._found_last: int | None = None
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

    def foresee_position(self) -> None:
        """Ask for the last position, together with what else is asked."""
        self._asked_last = self.session.ask(_LAST_POSITION)

    def peek_position(self) -> int:
        """The position that `next_position` would take."""
        if self._last is None:
            if self._found_last is None:
                rows = self._asked_last() if self._asked_last is not None else self.session.all(_LAST_POSITION)
                self._found_last = int(rows[0][0]) if rows[0][0] is not None else 0
            self._last = self._found_last
        return self._last + 1

    def next_position(self) -> int:
        self._last = self.peek_position()
        return self._last

    def known_namespace(self, path: str) -> int | None:
        """Id of a namespace that this process or this transaction has had to do with."""
        return self._shared.get(path) or self._new.get(path)

    def find_namespace(self, path: str) -> tuple[int, bool]:
        """Id of a namespace and True, or (0, False)."""
        known = self.known_namespace(path)
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
        self.session.write(_INSERT_NAMESPACE, {"id": id_, "path": path, "head": 0})
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
    foresee: Callable[[Transaction], None] | None = None
    """It asks beforehand what the job will have to know."""
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
        self._kept: _Job[Any] | None = None
        """Taken from the queue, and not to share a transaction with those before it."""
        self._ended = False
        self._entries, self._tended = 0, TENDED
        self._gate = threading.Lock()
        self._open = True
        self._thread = threading.Thread(target=self._loop, name="fluxmem-ledger", daemon=True)
        self._thread.start()

    @overload
    def submit(self, run: Callable[[Transaction], T], *, foresee: Callable[[Transaction], None] | None = None) -> Future[T]: ...
    @overload
    def submit(self, run: Callable[[Session], T], *, outside: bool) -> Future[T]: ...
    def submit(self, run: Callable[[Any], T], *, foresee: Callable[[Transaction], None] | None = None, outside: bool = False) -> Future[T]:
        """Queue a job. It may be run twice (the first transaction having failed as a whole, or a server having gone away while it committed),
        so it acts on the transaction only, and finds out what is there already; with `outside` it is run once, alone, on the session without
        a transaction. `foresee` asks a server what the job will have to know, together with what other jobs ask; such a job has no savepoint
        there: where it fails after it wrote something, the jobs of its transaction are run again one by one.

        Raises:
            ClosedError: the writer was closed.
        """
        job = _Job(run, foresee, outside)
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
        while True:
            jobs: list[_Job[Any]] = []
            self._gather(jobs, wait=True)
            if not jobs:
                break
            self._group(jobs)
        if self._session is not None:
            self._database.retire(self._session)
            self._session = None

    def _gather(self, jobs: list[_Job[Any]], *, wait: bool) -> None:
        """Add to `jobs` what is queued and may share their transaction; with `wait` at least one, but at the end of all."""
        while len(jobs) < GROUP_LIMIT:
            job = self._next(wait=wait and not jobs)
            if job is None:
                return
            if job.outside and jobs:
                self._kept = job
                return
            jobs.append(job)
            if job.outside:
                return

    def _next(self, *, wait: bool) -> _Job[Any] | None:
        """The next job that nobody has cancelled; None when there is none, or will never be one."""
        kept, self._kept = self._kept, None
        if kept is not None or self._ended:
            return kept
        while True:
            try:
                job = self._queue.get(block=wait)
            except queue.Empty:
                return None
            if job is None:
                self._ended = True
                return None
            if job.future.set_running_or_notify_cancel():
                return job

    def _group(self, jobs: list[_Job[Any]], *, alone: bool = False) -> None:
        """Run jobs, and unless `alone` those that are queued by then, in one transaction; when it fails as a whole, each again in its own."""
        if jobs[0].outside:
            self._outside(jobs[0])
            return
        try:
            outcomes = self._transacted(jobs, alone=alone)
            faults.point("ledger.before_ack")
        except Exception as error:  # noqa: BLE001  # whatever it is belongs to the callers
            if len(jobs) == 1 or isinstance(error, UnavailableError):
                for job in jobs:
                    job.future.set_exception(self._translated(error))
            else:
                for job in jobs:
                    self._group([job], alone=True)
            return
        self._acknowledge(jobs, outcomes)
        if self._entries >= self._tended:
            self._tend()

    def _tend(self) -> None:
        while self._tended <= self._entries:
            self._tended *= 2
        session = self._session
        if session is not None:
            try:
                self._database.tend(session, self._entries)
            except session.error:  # a matter of speed; a connection that was lost is replaced when it is next needed
                self._abandon(session)

    def _transacted(self, jobs: list[_Job[Any]], *, alone: bool) -> list[tuple[Any, Exception | None]]:
        """The outcomes of a transaction; it is made again while the server is away."""
        if self._database.sqlite:
            return self._transact(jobs, alone=alone)

        def attempt() -> list[tuple[Any, Exception | None]]:
            with self._database.translating("write to"):
                return self._transact(jobs, alone=alone)

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

    def _transact(self, jobs: list[_Job[Any]], *, alone: bool) -> list[tuple[Any, Exception | None]]:
        session = self._connected()
        faults.point("ledger.before_begin")
        tx = Transaction(session, self._namespaces, self._clock)
        try:
            self._begin(tx, jobs, alone=alone)
            with session.together():
                outcomes = [self._kept_apart(tx, job) for job in jobs] if len(jobs) > 1 else [self._by_itself(tx, jobs[0])]
                if faults.switch("ledger.ack_before_commit"):
                    self._acknowledge(jobs, outcomes)
                faults.point("ledger.before_commit")
                self._database.commit(session)
            self._database.committed(session)
        except BaseException:
            self._abandon(session)
            raise
        tx.committed()
        self._entries += tx.entries
        faults.point("ledger.after_commit")
        return outcomes

    def _begin(self, tx: Transaction, jobs: list[_Job[Any]], *, alone: bool) -> None:
        """Take the lock, and in the same breath ask what the jobs will have to know; likewise for those that came while it was waited for."""
        with tx.session.together():
            self._database.begin(tx.session)
            self._foresee(tx, jobs)
        if alone:
            return
        known = len(jobs)
        self._gather(jobs, wait=False)
        if len(jobs) > known:
            with tx.session.together():
                self._foresee(tx, jobs[known:])

    def _foresee(self, tx: Transaction, jobs: list[_Job[Any]]) -> None:
        if self._database.sqlite:  # asking beforehand saves nothing there
            return
        tx.foresee_position()
        for job in jobs:
            if job.foresee is not None:
                job.foresee(tx)

    def _by_itself(self, tx: Transaction, job: _Job[Any]) -> tuple[Any, Exception | None]:
        tx.mark()
        return job.run(tx), None

    def _kept_apart(self, tx: Transaction, job: _Job[Any]) -> tuple[Any, Exception | None]:
        """Run a job so that its failure is its own. An error of a server is not: what was sent to it before is in doubt."""
        mark = tx.mark()
        apart = self._database.sqlite or job.foresee is None
        if apart:
            tx.session.say("SAVEPOINT job")
        try:
            result = job.run(tx)
        except Exception as error:
            if not self._database.sqlite and (isinstance(error, tx.session.error) or (not apart and tx.mark() != mark)):
                raise
            if apart:
                tx.session.say("ROLLBACK TO SAVEPOINT job")
                tx.session.say("RELEASE SAVEPOINT job")
            tx.restore(mark)
            return None, error
        if apart:
            tx.session.say("RELEASE SAVEPOINT job")
        if job.foresee is None:
            tx.foreseen.clear()
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
