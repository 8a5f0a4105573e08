"""The checkpointer of a LangGraph server, on disk: what a run has done survives a kill of the server, and the run can be resumed.

    {"checkpointer": {"path": "./graphs/checkpointer.py:checkpointer"}}

`FLUXMEM_CHECKPOINTS` is the file (default: ``.fluxmem-checkpoints.sqlite``). `langgraph dev` alone writes its checkpoints every ten seconds.
Needs ``pip install langgraph-checkpoint-sqlite aiosqlite``.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver


@asynccontextmanager
async def checkpointer() -> AsyncGenerator[AsyncSqliteSaver, None]:
    """Open the file until the server ends."""
    async with AsyncSqliteSaver.from_conn_string(os.environ.get("FLUXMEM_CHECKPOINTS") or ".fluxmem-checkpoints.sqlite") as saver:
        yield saver
