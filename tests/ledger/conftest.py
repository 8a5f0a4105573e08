"""Every test of the ledger runs on SQLite, and on Postgres too where ``FLUXMEM_TEST_POSTGRES`` names a database to use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from langgraph_fluxmem.ledger import Ledger

from ledger_support import DIMS


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
