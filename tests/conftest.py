"""Fixtures that every test may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from langgraph_fluxmem import FluxMem


@pytest.fixture
def mem(tmp_path: Path) -> Iterator[FluxMem]:
    """An embedded memory with the offline embedding and without Chroma (its follower has tests of its own)."""
    from langgraph_fluxmem import FluxMem

    with FluxMem.open(tmp_path / "memory", chroma="off") as opened:
        yield opened
