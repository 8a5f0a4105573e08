"""Stores to test with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from langgraph_fluxmem import FluxMemStore
from langgraph_fluxmem.testing.conformance.embedding import DIMS, embed

INDEX = {"dims": DIMS, "embed": embed, "fields": ["text"]}


class Clock:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.now = 1_000_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FluxMemStore]:
    """An indexed store on a memory of its own, without Chroma."""
    with FluxMemStore.from_conn_string(tmp_path / "memory", index=INDEX, chroma="off") as opened:
        yield opened
