"""Fixtures that every test may use."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from langgraph_fluxmem import FluxMem

POSTGRES = os.environ.get("FLUXMEM_TEST_POSTGRES")


@pytest.fixture
def mem(tmp_path: Path) -> Iterator[FluxMem]:
    """An embedded memory with the offline embedding and without Chroma (its follower has tests of its own)."""
    from langgraph_fluxmem import FluxMem

    with FluxMem.open(tmp_path / "memory", chroma="off") as opened:
        yield opened


@pytest.fixture(
    params=["sqlite", pytest.param("postgres", marks=pytest.mark.skipif(not POSTGRES, reason="FLUXMEM_TEST_POSTGRES is not set"))]
)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a memory may live: a directory, and a schema of its own on Postgres where ``FLUXMEM_TEST_POSTGRES`` names a database."""
    if request.param == "sqlite":
        yield str(tmp_path / "memory")
        return
    import psycopg

    schema = f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(POSTGRES, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        yield f"{POSTGRES}?options=-csearch_path%3D{schema}"
        connection.execute(f"DROP SCHEMA {schema} CASCADE")
