"""Looking for text in everything a memory leaves behind: files, whole and unpacked, and the tables of a Postgres database."""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path
from typing import Any

_ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]")


def forms(mark: str) -> list[bytes]:
    """How a text may stand in a file."""
    return list(dict.fromkeys((mark.encode(), mark.encode("utf-16-le"), mark.encode("utf-16-be"), json.dumps(mark)[1:-1].encode())))


def holds(data: bytes, mark: str) -> bool:
    low = data.lower()
    return any(form.lower() in low for form in forms(mark))


def unpacked(data: bytes) -> list[bytes]:
    """Everything in the data that zlib can open."""
    found: list[bytes] = []
    for hit in _ZLIB.finditer(data):
        try:
            found.append(zlib.decompressobj().decompress(data[hit.start() : hit.start() + 1_000_000]))
        except zlib.error:
            continue
    return found


def files_with(directory: Path, mark: str) -> list[str]:
    """The files under a directory that hold a mark in any form."""
    found: list[str] = []
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            if holds(data, mark) or holds(str(path).encode(), mark) or any(holds(part, mark) for part in unpacked(data)):
                found.append(str(path.relative_to(directory)))
    return found


def tables_with(address: str, mark: str) -> list[str]:
    """The tables of a Postgres schema of which a row, or the file a table is kept in, holds a mark."""
    import psycopg

    found: list[str] = []
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        (data,) = connection.execute("SHOW data_directory").fetchone() or ("",)
        names: list[Any] = connection.execute(
            "SELECT c.relname, pg_relation_filepath(c.oid), c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'i', 't')"
        ).fetchall()
        for name, file, kind in names:
            if kind == "r":
                rows = connection.execute(f'SELECT t::text FROM "{name}" t').fetchall()
                if any(holds(row[0].encode(), mark) for row in rows):
                    found.append(name)
            path = Path(data) / file
            if path.is_file() and holds(path.read_bytes(), mark):
                found.append(f"{name} (its file)")
    return found


def left_of(address: str | Path, mark: str) -> list[str]:
    """Where a memory still holds a mark."""
    return tables_with(str(address), mark) if "://" in str(address) else files_with(Path(address), mark)
