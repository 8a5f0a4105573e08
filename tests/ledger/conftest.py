"""Every test of the ledger runs on SQLite, and on Postgres too where ``FLUXMEM_TEST_POSTGRES`` names a database to use."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from langgraph_fluxmem.ledger import Ledger

from ledger_support import DIMS

POSTGRES = os.environ.get("FLUXMEM_TEST_POSTGRES")


@pytest.fixture(
    params=["sqlite", pytest.param("postgres", marks=pytest.mark.skipif(not POSTGRES, reason="FLUXMEM_TEST_POSTGRES is not set"))]
)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield str(tmp_path / "memory")
        return
    import psycopg

    schema = f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(POSTGRES, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        yield f"{POSTGRES}?options=-csearch_path%3D{schema}"
        connection.execute(f"DROP SCHEMA {schema} CASCADE")


class Clock:
    """Time that moves when told."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(address: str, clock: Clock) -> Iterator[Callable[..., Ledger]]:
    """Opens ledgers on the test's address and closes them afterwards."""
    ledgers: list[Ledger] = []

    def open_(**options) -> Ledger:
        ledger = Ledger.open(address, clock=clock, **options)
        ledger.check_embedding("test-embedding", DIMS)
        ledgers.append(ledger)
        return ledger

    yield open_
    for ledger in ledgers:
        ledger.close()


@pytest.fixture
def ledger(opened: Callable[..., Ledger]) -> Iterator[Ledger]:
    """A ledger that must be clean when the test ends."""
    ledger = opened()
    yield ledger
    if not ledger.closed:
        assert ledger.check() == []
