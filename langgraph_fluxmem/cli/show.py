"""What commands print: a table or lines for people, or one JSON document for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def as_json(value: Any) -> None:
    """One JSON document on standard output."""
    out.print_json(json.dumps(value, ensure_ascii=False, default=str))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table; cells are stored text, so nothing in them is markup."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(escape(str(cell)) for cell in row))
    out.print(made)


def entries(title: str, rows: Iterable[tuple[str, str]]) -> None:
    """A title, and under it a line for each entry with what is said of it below."""
    out.print(title, style="bold")
    for head, said in rows:
        out.print(f"  {escape(head)}", soft_wrap=True)
        out.print(f"      {escape(said)}", style="dim", soft_wrap=True)


def lines(found: Mapping[str, object]) -> None:
    """``name: value`` lines."""
    for name, value in found.items():
        out.print(f"{escape(name)}: {escape(str(value))}")


def when(at: float) -> str:
    """Epoch seconds as UTC time."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def one_line(text: str, width: int = 100) -> str:
    """The beginning of a text on one line."""
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"
