"""Factories for LangGraph's own stores, to run the kit on: `python -m langgraph_fluxmem.testing.conformance <this module>:sqlite`.

SqliteStore and AsyncSqliteStore load an extension for vector search, which many builds of Python's `sqlite3` cannot. If `pysqlite3` is
installed (PyPI: pysqlite3-binary), connections come from there, and then they can.
"""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore

from .reference import ReferenceStore

UNSYNCED = "PRAGMA synchronous=OFF"
"""The kit opens hundreds of stores, and waiting for the disk each time takes minutes; it makes a difference after a power loss only."""


def reference(index: Any = None, ttl: Any = None) -> Iterator[BaseStore]:
    """The kit's own store."""
    yield ReferenceStore(index=index, ttl=ttl)


def memory(index: Any = None) -> Iterator[BaseStore]:
    """LangGraph's InMemoryStore."""
    yield InMemoryStore(index=index)


def sqlite(path: Path, index: Any = None, ttl: Any = None) -> Iterator[BaseStore]:
    """LangGraph's SqliteStore, in a file."""
    from langgraph.store.sqlite import SqliteStore  # noqa: PLC0415 - an optional package

    connection = _dbapi().connect(str(path / "store.db"), check_same_thread=False, isolation_level=None)
    connection.execute(UNSYNCED)
    try:
        store = SqliteStore(connection, index=index, ttl=ttl)
        store.setup()
        yield store
    finally:
        connection.close()


async def async_sqlite(path: Path, index: Any = None, ttl: Any = None) -> AsyncIterator[BaseStore]:
    """LangGraph's AsyncSqliteStore, in a file."""
    import aiosqlite  # noqa: PLC0415 - an optional package
    from langgraph.store.sqlite.aio import AsyncSqliteStore  # noqa: PLC0415

    dbapi = _dbapi()
    async with aiosqlite.Connection(lambda: dbapi.connect(str(path / "store.db"), isolation_level=None), 64) as connection:
        await connection.execute(UNSYNCED)
        async with AsyncSqliteStore(connection, index=index, ttl=ttl) as store:
            await store.setup()
            yield store


def _dbapi() -> Any:
    """A module like `sqlite3` whose connections load extensions, if there is one; else `sqlite3`."""
    if hasattr(sqlite3.Connection, "enable_load_extension"):
        return sqlite3
    try:
        return importlib.import_module("pysqlite3")
    except ModuleNotFoundError:
        return sqlite3
