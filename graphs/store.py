"""The store of a LangGraph server: one memory for all its graphs, and for the server's own store endpoints.

    {"store": {"path": "./graphs/store.py:store"}}

`FLUXMEM_PATH` is a directory, made when missing, or a ``postgresql://`` URL (default: ``.fluxmem``); `FLUXMEM_EMBEDDINGS` what
`FluxMem.open` takes as text, ``local`` or ``provider:model`` (default: the offline embedding); `FLUXMEM_FIELDS` the paths of values that
are indexed, separated by commas (default: the whole value). The server passes on neither ``store.index`` nor ``store.ttl``.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from langgraph_fluxmem import FluxMemStore


@asynccontextmanager
async def store() -> AsyncGenerator[FluxMemStore, None]:
    """Open the memory, off the event loop, until the server ends. Several in one process share one engine."""
    index = {"embed": os.environ.get("FLUXMEM_EMBEDDINGS") or None, "fields": (os.environ.get("FLUXMEM_FIELDS") or "$").split(",")}
    async with FluxMemStore.from_conn_string(os.environ.get("FLUXMEM_PATH") or ".fluxmem", index=index) as opened:
        yield opened
