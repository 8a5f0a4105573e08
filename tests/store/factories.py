"""Stores for the conformance kit, at the top level of a module so that other processes find them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from langgraph_fluxmem import FluxMemStore


async def fluxmem(index: Any = None, ttl: Any = None, path: Path | None = None) -> AsyncIterator[FluxMemStore]:
    """A store in `path`, without Chroma."""
    assert path is not None
    async with FluxMemStore.from_conn_string(path / "memory", index=index, ttl=ttl, chroma="off") as store:
        yield store


async def fluxmem_chroma(index: Any = None, ttl: Any = None, path: Path | None = None) -> AsyncIterator[FluxMemStore]:
    """The same with the exact tier off: Chroma answers, as far as it has followed."""
    assert path is not None
    async with FluxMemStore.from_conn_string(path / "memory", index=index, ttl=ttl, exact_max=0) as store:
        yield store
