"""Statements compiled once per dialect, and the sessions that run them on a driver's connection.

SQLAlchemy Core writes the SQL and opens the connections; executing compiled text on the driver's own cursor keeps a statement at a few
microseconds. Two things differ between the dialects, and both live here: lists as parameters, and ignoring conflicts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

from sqlalchemy import Boolean, Integer, Table, bindparam, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import BindParameter, ColumnElement

Params = Mapping[str, Any]


class any_of(ColumnElement[bool]):  # noqa: N801  # reads as an operator: any_of(column, "ids")
    """``column`` equals one of the values of list parameter `name` (bind it with `Session.list`)."""

    inherit_cache = False
    type = Boolean()

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        self.column = column
        self.values: BindParameter[Any] = bindparam(name)

    def self_group(self, against: Any = None) -> Self:  # noqa: ARG002  # as an operand it needs neither brackets nor "= 1"
        return self


@compiles(any_of, "sqlite")
def _any_of_sqlite(element: any_of, compiler: Any, **options: Any) -> str:
    # Both parts are SQL that the compiler made; the values are bound. Without the cast SQLite would not use an index on the column.
    kind = "INTEGER" if isinstance(element.column.type, Integer) else "TEXT"
    return f"{compiler.process(element.column, **options)} IN (SELECT CAST(value AS {kind}) FROM json_each({compiler.process(element.values, **options)}))"  # noqa: S608


@compiles(any_of, "postgresql")
def _any_of_postgresql(element: any_of, compiler: Any, **options: Any) -> str:
    return f"{compiler.process(element.column, **options)} = ANY({compiler.process(element.values, **options)})"


class Statement:
    """SQL text per dialect, compiled when first run. `build` makes the Core construct for a dialect name."""

    __slots__ = ("_build", "_columns", "_compiled")

    def __init__(self, build: Callable[[str], Any] | Any, columns: Sequence[str] | None = None) -> None:
        self._build = build
        self._columns = columns
        self._compiled: dict[str, tuple[str, dict[str, Any]]] = {}

    def sql(self, dialect: Dialect) -> tuple[str, dict[str, Any]]:
        """Text and constant parameters of the statement for `dialect`."""
        found = self._compiled.get(dialect.name)
        if found is None:
            construct: Any = self._build(dialect.name) if callable(self._build) else self._build
            compiled = construct.compile(dialect=dialect, column_keys=self._columns, compile_kwargs={"render_postcompile": True})
            constants = {name: value for name, value in compiled.params.items() if not compiled.binds[name].required}
            found = self._compiled[dialect.name] = (str(compiled), constants)
        return found


def insert_into(table: Table, *, ignore: bool = False) -> Statement:
    """INSERT of all columns; `ignore` skips rows that conflict with one already there."""
    columns = [column.name for column in table.columns]
    if not ignore:
        return Statement(insert(table).inline(), columns)

    def build(dialect: str) -> Any:
        if dialect == "postgresql":
            return postgresql.insert(table).on_conflict_do_nothing().inline()
        return sqlite.insert(table).on_conflict_do_nothing().inline()

    return Statement(build, columns)


class Session:
    """One connection of the driver, used by one thread at a time."""

    __slots__ = ("connection", "cursor", "dialect", "error", "integrity_error", "sqlite")

    def __init__(self, connection: Any, dialect: Dialect) -> None:
        self.connection = connection
        self.dialect = dialect
        self.sqlite = dialect.name == "sqlite"
        self.cursor = connection.cursor()
        driver: Any = dialect.dbapi
        self.error: type[Exception] = driver.Error
        self.integrity_error: type[Exception] = driver.IntegrityError

    def list(self, values: Iterable[Any]) -> Any:
        """The value of a list parameter (see `any_of`)."""
        return json.dumps(list(values)) if self.sqlite else list(values)

    def run(self, statement: Statement, params: Params | None = None) -> int:
        """Execute; returns the number of rows changed."""
        sql, constants = statement.sql(self.dialect)
        self.cursor.execute(sql, {**constants, **(params or {})} if constants else params or {})
        return int(self.cursor.rowcount)

    def many(self, statement: Statement, rows: Sequence[Params]) -> None:
        """Execute once for each row, in bulk."""
        if len(rows) == 1:
            self.run(statement, rows[0])
        elif rows:
            sql, constants = statement.sql(self.dialect)
            self.cursor.executemany(sql, [{**constants, **row} for row in rows] if constants else rows)

    def all(self, statement: Statement, params: Params | None = None) -> list[tuple[Any, ...]]:
        self.run(statement, params)
        return self.cursor.fetchall()

    def one(self, statement: Statement, params: Params | None = None) -> tuple[Any, ...] | None:
        self.run(statement, params)
        return self.cursor.fetchone()

    def text(self, sql: str) -> list[tuple[Any, ...]]:
        """Execute plain SQL without parameters; rows where it has some."""
        self.cursor.execute(sql)
        return self.cursor.fetchall() if self.cursor.description else []

    @contextmanager
    def consistently(self) -> Generator[None]:
        """All reads within see the database at one moment."""
        self.text("BEGIN" if self.sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ")
        try:
            yield
        finally:
            self.text("ROLLBACK")

    def end(self) -> None:
        """End a statement whose rows were not all read: an open one would keep SQLite from tidying its log."""
        self.cursor.close()
        self.cursor = self.connection.cursor()

    def close(self) -> None:
        self.connection.close()
