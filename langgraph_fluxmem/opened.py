"""An open memory: how it is opened and closed, by a call or as a context manager, and what it is made of. `FluxMem` adds what it can do."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from langgraph_fluxmem import opening
from langgraph_fluxmem.config import Config
from langgraph_fluxmem.engine import Engine
from langgraph_fluxmem.errors import ClosedError
from langgraph_fluxmem.observing import Listener
from langgraph_fluxmem.operators import Operators, RuleOperators, resolve_operators
from langgraph_fluxmem.past import AsOf, PastMemory
from langgraph_fluxmem.requests import Stage
from langgraph_fluxmem.stages import Stages

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings
    from langchain_core.language_models import BaseChatModel
    from langgraph.types import StateSnapshot


class OpenMemory:
    """Engine and stages of one opening, from `open` to `close`."""

    def __init__(self, engine: Engine, release: Callable[[], None], operators: Operators | None = None) -> None:
        self._engine = engine
        self._release = release
        self._closed = False
        self.stages = Stages(engine.config, engine.ledger.memory_id, engine.advise, engine.embedder.lexical, operators or RuleOperators())

    @classmethod
    def open(
        cls,
        address: str | Path,
        *,
        embeddings: str | Embeddings | None = None,
        model: BaseChatModel | str | Operators | None = None,
        **options: Any,
    ) -> Self:
        """Open the memory at `address`, a directory; what is missing is created.

        `embeddings`: None (deterministic, lexical, offline), ``"local"`` (all-MiniLM-L6-v2, extra ``local``), a string such as
        ``"openai:text-embedding-3-small"``, or any LangChain `Embeddings`. `model` judges what rules cannot: a chat model, a name such as
        ``"openai:gpt-4.1-mini"``, or `Operators` of your own; None: rules, and no call of a model. It belongs to this opening, not to the
        stored memory. `options` are those of `Config`.

        Raises:
            ConfigError: an unknown or conflicting option. NotAMemoryError: the address is a file, or holds something else.
            SchemaVersionError: written by a newer version. EmbeddingMismatchError: written with another embedding.
            LedgerError: unreadable, read-only, corrupt or full.
        """
        operators = resolve_operators(model)
        engine, release = opening.acquire(address, embeddings, Config.of(options))
        return cls(engine, release, operators)

    @classmethod
    async def aopen(
        cls,
        address: str | Path,
        *,
        embeddings: str | Embeddings | None = None,
        model: BaseChatModel | str | Operators | None = None,
        **options: Any,
    ) -> Self:
        """Async twin of `open`."""
        operators = await asyncio.to_thread(resolve_operators, model)
        engine, release = await asyncio.to_thread(opening.acquire, address, embeddings, Config.of(options))
        return cls(engine, release, operators)

    def close(self) -> None:
        """Release the memory; what was acknowledged is durable already. A second call does nothing."""
        if not self._closed:
            self._closed = True
            self._release()

    async def aclose(self) -> None:
        """Async twin of `close`."""
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    @property
    def engine(self) -> Engine:
        """Ledger, projections and drivers.

        Raises:
            ClosedError: after `close()`.
        """
        if self._closed:
            raise ClosedError("this memory is closed; open it again with `FluxMem.open(...)`")
        return self._engine

    @property
    def config(self) -> Config:
        """The validated configuration."""
        return self._engine.config

    @property
    def operators(self) -> Operators:
        """Who judges: rules, or the chat model the memory was opened with."""
        return self.stages.operators

    @property
    def id(self) -> str:
        """Identity of this memory, minted when it was created."""
        return self._engine.ledger.memory_id

    @property
    def notices(self) -> list[str]:
        """What was found and mended since the memory was opened (a missing Chroma folder, an older copy of it, ...)."""
        return list(self._engine.projections.notices)

    def on_event(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with an `observing.Event` after each call of this memory, from any opening of it in this process, also one inside a
        graph; returns what ends that. It is called in the thread or loop of the call, so it has to be quick; what it raises is logged."""
        return self.engine.observers.add(listener)

    @property
    def redacted(self) -> dict[str, int]:
        """Secrets that were cut out of what this opening stored (`Config.redact`), by kind."""
        return dict(self.stages.cut)

    def as_of(
        self,
        *,
        commit: str | None = None,
        checkpoint: str | Mapping[str, Any] | StateSnapshot | None = None,
        time: dt.datetime | float | None = None,
        position: int | None = None,
    ) -> PastMemory:
        """The memory as it was, to read from: recall, advice, topics and the store. Nothing is read before one of them is called.

        One of: `commit`, right after it (any operation's id), as its branch saw it; `checkpoint`, when it was made (its id, its config, or its
        state from ``graph.get_state``, which knows what its branch saw); `time`, an aware datetime or epoch seconds; a log `position`.

        Raises:
            ConfigError: not exactly one of them, or a time without its zone.
        """
        return PastMemory(self, AsOf(commit, checkpoint, time, position))

    def _run(self, stage: Stage, at: int | None = None) -> Any:
        return (self.engine if at is None else self.engine.past(at)).run(stage)

    async def _arun(self, stage: Stage, at: int | None = None) -> Any:
        engine = self.engine if at is None else await asyncio.to_thread(self.engine.past, at)
        return await engine.arun(stage)
