"""Statements compiled once per dialect, and the sessions that run them on a driver's connection.

SQLAlchemy Core writes the SQL and opens the connections; executing compiled text on the driver's own cursor keeps a statement at a few
microseconds. Two things differ between the dialects, and both live here: lists as parameters, and ignoring conflicts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
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

    __slots__ = ("_later", "_pipeline", "_pipelines", "connection", "cursor", "dialect", "error", "sqlite")

    def __init__(self, connection: Any, dialect: Dialect) -> None:
        self.connection = connection
        self.dialect = dialect
        self.sqlite = dialect.name == "sqlite"
        self.cursor = connection.cursor()
        driver: Any = dialect.dbapi
        self.error: type[Exception] = driver.Error
        self._pipelines = not self.sqlite and bool(driver.capabilities.has_pipeline())
        self._pipeline: Any = None
        self._later = self.cursor if self.sqlite else connection.cursor()

    def list(self, values: Iterable[Any]) -> Any:
        """The value of a list parameter (see `any_of`)."""
        return json.dumps(list(values)) if self.sqlite else list(values)

    # ---------------------------------------------------------------------------------------------------- statements that are awaited
    def _execute(self, cursor: Any, statement: Statement, params: Params | None) -> None:
        sql, constants = statement.sql(self.dialect)
        cursor.execute(sql, {**constants, **(params or {})} if constants else params or {})

    def run(self, statement: Statement, params: Params | None = None) -> int:
        """Execute; returns the number of rows changed."""
        self._execute(self.cursor, statement, params)
        if self._pipeline is not None:
            self._pipeline.sync()
        return int(self.cursor.rowcount)

    def all(self, statement: Statement, params: Params | None = None) -> list[tuple[Any, ...]]:
        self._execute(self.cursor, statement, params)
        return self.cursor.fetchall()

    def one(self, statement: Statement, params: Params | None = None) -> tuple[Any, ...] | None:
        self._execute(self.cursor, statement, params)
        return self.cursor.fetchone()

    def text(self, sql: str) -> list[tuple[Any, ...]]:
        """Execute plain SQL without parameters; rows where it has some. Not within `together`."""
        self.cursor.execute(sql)
        return self.cursor.fetchall() if self.cursor.description else []

    # --------------------------------------------------------------------------------------------- statements that go to a server together
    @contextmanager
    def together(self) -> Generator[None]:
        """What is written or asked within goes to a server in one go: its answers are awaited at the end, or by the first read. An error of
        a statement is raised there, and what follows it is not executed. A file knows no such thing: each statement is executed at once."""
        if not self._pipelines:
            yield
            return
        pipeline = self.connection.pipeline()
        self._pipeline = pipeline.__enter__()
        try:
            yield
        except BaseException:
            self._pipeline = None
            with suppress(self.error):  # what went wrong is raised already
                pipeline.__exit__(None, None, None)
            raise
        self._pipeline = None
        pipeline.__exit__(None, None, None)

    def write(self, statement: Statement, params: Params) -> None:
        """Execute; nobody wants to know how many rows it changed."""
        self._execute(self._later, statement, params)

    def many(self, statement: Statement, rows: Sequence[Params]) -> None:
        """`write` once for each row, in bulk."""
        if len(rows) == 1:
            self.write(statement, rows[0])
        elif rows:
            sql, constants = statement.sql(self.dialect)
            self._later.executemany(sql, [{**constants, **row} for row in rows] if constants else rows)

    def say(self, sql: str) -> None:
        """Execute plain SQL that has no parameters and no rows."""
        self._later.execute(sql)

    def said(self) -> str | None:
        """What a server answered to the last statement that was written or said, as the tag of its command."""
        return self._later.statusmessage

    def ask(self, statement: Statement, params: Params | None = None) -> Callable[[], list[tuple[Any, ...]]]:
        """Execute a reading whose rows are wanted later, once; call what is returned for them."""
        cursor = self.connection.cursor()
        self._execute(cursor, statement, params)
        return cursor.fetchall

    # -------------------------------------------------------------------------------------------------------------------------- reading
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
        if self.sqlite:
            self._later = self.cursor

    def close(self) -> None:
        self.connection.close()
