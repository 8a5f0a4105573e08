"""Where a ledger lives: finding or making it, its connections, and what its failures mean."""

from __future__ import annotations

import os
import selectors
import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection, create_engine
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from langgraph_fluxmem.errors import FluxMemError, LedgerError, MissingExtraError, NotAMemoryError, UnavailableError
from langgraph_fluxmem.ledger.sql import Session
from langgraph_fluxmem.ledger.tables import edits, metadata
from langgraph_fluxmem.testing.faults import point

T = TypeVar("T")
Durability = Literal["process", "power"]
FILE = "ledger.sqlite"
APPLICATION_ID = 0x464C584D
"""``FLXM``: marks the SQLite file as ours."""
_LOCK = 0x666C78
"""Advisory lock that Postgres writers take, so that positions become visible in order."""
_GONE = ("08", "57P", "53300")
"""SQLSTATEs of a server that stops, starts, breaks the connection or has none left."""
_REFUSALS = ("authentication failed", "does not exist", "no pg_hba.conf entry", "permission denied")
"""What connecting says, without a SQLSTATE, when trying again would not help."""
_Selector: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.SelectSelector)
"""Asks about one connection without making anything in the system."""
_PAUSES = (0.02, 1.0)
"""Seconds between attempts to reach a server that is away: the first, and the most."""


class Database:
    """A SQLite file in a directory, or a Postgres database."""

    def __init__(self, address: str | os.PathLike[str], *, durability: Durability, busy_timeout: float) -> None:
        if durability not in ("process", "power"):
            raise LedgerError(f"durability {durability!r}; expected 'process' (survives a kill) or 'power' (synced at each commit)")
        self._durability = durability
        self.busy_timeout = busy_timeout
        text = os.fspath(address)
        if "://" in text:
            self.path: Path | None = None
            self.name, self.engine = _postgres(text)
        else:
            directory = _memory_directory(Path(text))
            self.path = directory / FILE
            self.name = str(self.path)
            self.engine = create_engine("sqlite+pysqlite://", creator=self._sqlite, poolclass=NullPool, paramstyle="named")
        self.sqlite = self.path is not None

    def _sqlite(self) -> sqlite3.Connection:
        connection = sqlite3.connect(str(self.path), timeout=self.busy_timeout, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA cache_size=-16000")
            connection.execute("PRAGMA temp_store=MEMORY")
            connection.execute("PRAGMA secure_delete=ON")
            connection.execute(f"PRAGMA synchronous={'FULL' if self._durability == 'power' else 'NORMAL'}")
        except BaseException:
            connection.close()
            raise
        return connection

    # -------------------------------------------------------------------------------------------------------------- sessions
    def connect(self, *, writing: bool) -> Session:
        """A session of its own; readers see each statement's newest committed state."""
        with self.translating("open"):
            dialect = self.engine.dialect
            if self.sqlite:
                connection: Any = self._sqlite()
                if not writing:
                    connection.execute("PRAGMA query_only=ON")
            else:
                arguments, options = dialect.create_connect_args(self.engine.url)
                connection = dialect.connect(*arguments, **options)
                connection.autocommit = True  # transactions are begun and ended in so many words
            return Session(connection, dialect)

    def lost(self, session: Session) -> bool:
        """Whether the server has ended the session's connection, as far as can be told without asking it."""
        if self.sqlite:
            return False
        if session.connection.closed:
            return True
        with _Selector() as selector:  # an idle connection has nothing to read, unless the server has said good-bye
            selector.register(session.connection.fileno(), selectors.EVENT_READ)
            return bool(selector.select(0))

    def patiently(self, attempt: Callable[[], T]) -> T:
        """The result of `attempt`, which is repeated while the server is away, up to the busy timeout.

        Raises:
            UnavailableError: it stayed away.
        """
        deadline = time.monotonic() + self.busy_timeout
        pause = _PAUSES[0]
        while True:
            try:
                return attempt()
            except UnavailableError:
                if time.monotonic() + pause >= deadline:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, _PAUSES[1])

    def begin(self, session: Session) -> None:
        """Begin a write transaction: wait for the lock; for that of a file up to the busy timeout."""
        if not self.sqlite:
            session.say("BEGIN")
            session.say(f"SELECT pg_advisory_xact_lock({_LOCK})")
            return
        self.retry_busy(lambda: session.text("BEGIN IMMEDIATE"))

    def retry_busy(self, attempt: Callable[[], object]) -> None:
        """Repeat while SQLite is locked, up to the busy timeout: recovery and mode changes do not wait by themselves."""
        deadline = time.monotonic() + self.busy_timeout
        pause = 0.001
        while True:
            try:
                attempt()
            except (sqlite3.OperationalError, DBAPIError) as error:
                if not _is_busy(error) or time.monotonic() >= deadline:
                    raise
                time.sleep(pause)
                pause = min(pause * 2, 0.1)
            else:
                return

    def lock(self, connection: Connection) -> None:
        """Take Postgres' writer lock until the end of the transaction."""
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")

    def commit(self, session: Session) -> None:
        """Say COMMIT; on a server it is done when `committed` says so."""
        session.say("COMMIT")

    def committed(self, session: Session) -> None:
        """Raise unless the COMMIT that was said last has committed: a server answers ROLLBACK where a statement before it had failed."""
        if not self.sqlite and session.said() != "COMMIT":
            raise LedgerError(
                f"cannot write to the ledger {self.name}: the server answered {session.said()!r} to COMMIT; nothing was written"
            )

    def rollback(self, session: Session) -> bool:
        """Roll back; False when the connection is of no use any more."""
        try:
            session.connection.rollback()
        except session.error:
            self._discard(session)
            return False
        return self.sqlite or not session.connection.closed

    def _discard(self, session: Session) -> None:
        try:
            session.close()
        except session.error:
            return  # it was broken before; the caller opens another

    def retire(self, session: Session) -> None:
        """Close a session at the end."""
        self._discard(session)

    def backup(self, directory: str | os.PathLike[str]) -> None:
        """Copy the file, compacted and consistent, into a new or empty directory. One that was cut off is not taken for a memory."""
        if not self.sqlite:
            raise LedgerError(f"{self.name} is no SQLite file; copy it with pg_dump")
        target = _memory_directory(Path(directory)) / FILE
        if target.exists():
            raise LedgerError(f"{target} exists; a backup goes into a new or empty directory")
        part = target.with_suffix(".part")
        session = self.connect(writing=True)
        try:
            with self.translating("back up"):
                point("backup.begun")
                session.cursor.execute("VACUUM INTO ?", (str(part),))
                _sync(part)
                point("backup.copied")
                part.replace(target)
                _sync(target.parent)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        finally:
            self._discard(session)

    def clean(self, session: Session) -> None:
        """Rewrite the file (or the tables) without what was deleted, and empty the write-ahead log. `session` is in no transaction.

        Raises:
            LedgerError: another process reads or writes all the time.
        """
        if not self.sqlite:
            for table in metadata.tables:
                session.text(f'VACUUM (FULL, ANALYZE) "{table}"')
            return
        session.text("PRAGMA temp_store=FILE")  # the copy may be larger than memory
        try:
            self.retry_busy(lambda: session.text("VACUUM"))
            point("compact.after_vacuum")
            self.retry_busy(lambda: self._truncate(session))
        finally:
            session.text("PRAGMA temp_store=MEMORY")

    @staticmethod
    def _truncate(session: Session) -> None:
        if session.text("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]:
            raise sqlite3.OperationalError("database is locked: somebody reads the write-ahead log")

    def tend(self, session: Session, written: int) -> None:
        """Let Postgres look at the tables again where this process alone has written twice as many log entries as it knows of.

        It plans by statistics, keeps plans, and looks by itself once a minute at most: in the first minute of a busy memory every look for a
        node would read all of its namespace. `session` is in no transaction.
        """
        if self.sqlite:
            return
        (known,) = session.text(f"SELECT reltuples FROM pg_class WHERE oid = '{edits.name}'::regclass")[0]  # noqa: S608 - our own name
        if 2 * known < written:
            session.text(f"ANALYZE (SKIP_LOCKED) {', '.join(metadata.tables)}")

    def size(self, session: Session) -> int:
        """Bytes of the file and its write-ahead log, or of the tables with their indexes."""
        if self.path is not None:
            return sum(path.stat().st_size for path in self.path.parent.glob(f"{FILE}*"))
        return sum(int(session.text(f"SELECT pg_total_relation_size('\"{table}\"')")[0][0]) for table in metadata.tables)

    # --------------------------------------------------------------------------------------------------------------- errors
    @contextmanager
    def translating(self, action: str) -> Generator[None]:
        """Turn the driver's errors into ours."""
        try:
            yield
        except FluxMemError:
            raise
        except (DBAPIError, OSError, *self._driver_errors()) as error:
            raise self.translate(error, action) from error

    def _driver_errors(self) -> tuple[type[Exception], ...]:
        driver: Any = self.engine.dialect.dbapi
        return (driver.Error,)

    def translate(self, error: Exception, action: str) -> Exception:
        """The error to raise for a failure of driver or system while trying to `action` the ledger; other errors as they are."""
        cause = error.orig if isinstance(error, DBAPIError) and isinstance(error.orig, Exception) else error
        if isinstance(cause, FluxMemError) or not isinstance(cause, (OSError, *self._driver_errors())):
            return error
        text = str(cause).strip()
        if self._away(cause):
            translated: LedgerError = UnavailableError(f"cannot {action} the ledger {self.name}: {text}: the server is away; try again")
        else:
            translated = LedgerError(f"cannot {action} the ledger {self.name}: {self._meaning(text)}")
        translated.__cause__ = error
        return translated

    def _away(self, cause: Exception) -> bool:
        """Whether a failure means that the server is away, or was while it was asked; not that it refuses."""
        if self.sqlite:
            return False
        driver: Any = self.engine.dialect.dbapi
        state = getattr(cause, "sqlstate", None)
        if state is not None:
            return str(state).startswith(_GONE)
        return isinstance(cause, (driver.OperationalError, driver.InterfaceError)) and not any(word in str(cause) for word in _REFUSALS)

    def _meaning(self, text: str) -> str:
        low = text.lower()
        if "locked" in low or "busy" in low:
            mend = f"another process held the write lock for {self.busy_timeout:g} s; try again, or raise busy_timeout"
        elif "readonly" in low or "read-only" in low:
            mend = "it is read-only; give this user write permission on the directory and its files"
        elif "full" in low or "no space" in low:
            mend = "the disk is full; free some space and try again, the memory is as it was before"
        elif "disk i/o" in low:
            mend = "the disk is full, a quota or file size limit is reached, or the disk fails; mend that and try again, the memory is as it was before"
        elif "malformed" in low or "not a database" in low or "corrupt" in low:
            mend = "the file is corrupt; restore ledger.sqlite from a backup (projections are rebuilt from it)"
        elif "unable to open" in low:
            mend = "the file cannot be opened or made; check that the directory is writable"
        else:
            return text
        return f"{text}: {mend}"


def _is_busy(error: Exception) -> bool:
    return "locked" in str(error) or "busy" in str(error)


def _postgres(address: str) -> tuple[str, Engine]:
    try:
        url = make_url(address)
    except ArgumentError:
        raise LedgerError(f"address {address!r} is no URL; expected a directory or postgresql://user:password@host/database") from None
    if url.get_backend_name() != "postgresql":
        raise LedgerError(f"address {url.render_as_string()!r}: expected a directory or postgresql://user:password@host/database")
    name = url.set(drivername="postgresql+psycopg").render_as_string(hide_password=True)
    url = url.set(drivername="postgresql+psycopg", query={"connect_timeout": "10", "application_name": "langgraph_fluxmem", **url.query})
    try:
        return name, create_engine(url, poolclass=NullPool)
    except (ImportError, NoSuchModuleError):
        raise MissingExtraError('Postgres needs psycopg: pip install "langgraph_fluxmem[postgres]"') from None


def _sync(path: Path) -> None:
    """Write a file, or a directory's entries, to disk, where the system can."""
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _memory_directory(directory: Path) -> Path:
    """Make or accept the directory of a memory."""
    try:
        missing = [path for path in (directory, *directory.parents) if not path.exists()]
        directory.mkdir(parents=True, exist_ok=True)
        for path in missing:
            _sync(path.parent)
        names = sorted(entry.name for entry in directory.iterdir())
    except FileExistsError:
        raise NotAMemoryError(f"{directory} is a file; expected a directory (a new one is made) or a postgresql:// address") from None
    except OSError as error:
        raise LedgerError(f"cannot make or read the directory {directory}: {error.strerror}; check its path and permissions") from error
    if names and FILE not in names:
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        raise NotAMemoryError(f"{directory} holds {shown} and no {FILE}, so it is not a memory; open an empty or new directory")
    return directory
