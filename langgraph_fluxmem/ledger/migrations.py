"""Making and migrating the tables: decorated steps, applied in order on open, with a table of the names applied."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from sqlalchemy import Connection, insert, inspect, select, update

from langgraph_fluxmem.errors import NotAMemoryError, SchemaVersionError
from langgraph_fluxmem.ledger.database import APPLICATION_ID, Database
from langgraph_fluxmem.ledger.tables import meta, metadata, migrations
from langgraph_fluxmem.testing.faults import point

Step = Callable[[Connection], None]
STEPS: list[tuple[str, Step]] = []


def migration(step: Step) -> Step:
    """Register a step; its function's name is the migration's name, and the order of registration the order of application."""
    STEPS.append((step.__name__, step))
    return step


@migration
def m0001_first_tables(connection: Connection) -> None:
    metadata.create_all(connection)
    connection.execute(insert(meta), [{"key": "memory_id", "value": str(uuid.uuid4())}, {"key": "schema_version", "value": "0"}])


def setup(database: Database, now: float) -> str:
    """Make or migrate the tables as needed; returns the memory id.

    Raises:
        SchemaVersionError: written by a newer version of the package.
        NotAMemoryError: the file or database holds something else.
        LedgerError: it cannot be read or written.
    """
    with database.translating("open"), database.engine.connect() as connection:
        if database.sqlite:
            _wal(database, connection)
        if _applied(database, connection) != [name for name, _ in STEPS]:
            _begin(database, connection)
            point("migration.begun")
            _migrate(connection, _applied(database, connection), now)
            if database.sqlite:
                connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")
            connection.commit()
            point("migration.committed")
        return str(connection.execute(select(meta.c.value).where(meta.c.key == "memory_id")).scalar_one())


def _wal(database: Database, connection: Connection) -> None:
    """Write-ahead logging, once the file is known to be ours or empty."""
    kind = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
    if kind != APPLICATION_ID and connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one():
        raise NotAMemoryError(f"{database.name} is a SQLite file of something else; open an empty or new directory")
    if connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() != "wal":
        session = database.connect(writing=True)
        try:
            database.retry_busy(lambda: session.text("PRAGMA journal_mode=WAL"))
        finally:
            session.close()


def _begin(database: Database, connection: Connection) -> None:
    if database.sqlite:
        database.retry_busy(lambda: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    else:
        database.lock(connection)


def _applied(database: Database, connection: Connection) -> list[str]:
    tables = set(inspect(connection).get_table_names())
    if migrations.name not in tables:
        ours = sorted(tables & set(metadata.tables))
        if ours:
            raise NotAMemoryError(f"{database.name} holds {', '.join(ours)} but no {migrations.name}; restore it from a backup")
        return []
    applied = [str(name) for name in connection.execute(select(migrations.c.name).order_by(migrations.c.name)).scalars()]
    unknown = [name for name in applied if name not in dict(STEPS)]
    version = connection.execute(select(meta.c.value).where(meta.c.key == "schema_version")).scalar_one_or_none() if applied else None
    if unknown or (version is not None and int(version) > len(STEPS)):
        raise SchemaVersionError(
            f"{database.name} has schema version {version} ({', '.join(unknown) or 'newer'}); this package knows {len(STEPS)}: "
            "upgrade with pip install -U langgraph_fluxmem"
        )
    return applied


def _migrate(connection: Connection, applied: list[str], now: float) -> None:
    for name, step in STEPS:
        if name not in applied:
            step(connection)
            connection.execute(insert(migrations), {"name": name, "at": now})
            point("migration.stepped")
    connection.execute(update(meta).where(meta.c.key == "schema_version").values(value=str(len(STEPS))))
