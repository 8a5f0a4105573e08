"""`FluxMemStore`: a LangGraph `BaseStore` over the memory's ledger.

Items put through it are facts of the memory: `recall` finds those that have indexed text, and what was remembered is read here, in its
namespace, under the fact's id without the version (``fact.id.partition(":")[0]``), as ``{"content": ..., "metadata": {...}}``.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from langgraph.store.base import BaseStore, IndexConfig, Op, Result, TTLConfig

from langgraph_fluxmem.config import Config
from langgraph_fluxmem.errors import ClosedError, ConfigError
from langgraph_fluxmem.execution import current
from langgraph_fluxmem.requests import Stage
from langgraph_fluxmem.schema import Provenance
from langgraph_fluxmem.storing.batching import batch
from langgraph_fluxmem.storing.fields import configured
from langgraph_fluxmem.storing.sweeping import Sweeper

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings
    from langchain_core.language_models import BaseChatModel

    from langgraph_fluxmem.memory import FluxMem
    from langgraph_fluxmem.operators import Operators

_TTL_KEYS = ("refresh_on_read", "omit_expired", "default_ttl", "sweep_interval_minutes")


class FluxMemStore(BaseStore):
    """Items by namespace and key, with search by meaning, filters and expiry, on the same ledger as facts, episodes and skills.

        with FluxMemStore.from_conn_string("memory/", index={"embed": "openai:text-embedding-3-small", "fields": ["text"]}) as store:
            store.put(("users", "ada"), "plan", {"text": "Ada is on the team plan"})
            store.search(("users",), query="who pays?")

    Thread-safe; sync and async methods may be mixed, in any number of event loops. A batch is one transaction: its reads see the memory as
    it was before, of several puts of a key the last counts, and all of its writes are made or none. Without a query a search gives what
    was written last first; with one, by cosine of the best indexed path, then items without indexed text. Every put is an operation of
    the log, with the thread, checkpoint and task it was made in: `store.mem.undo` takes it back.
    """

    __slots__ = ("_gate", "_index", "_mem", "_open", "_own", "_sweeper", "ttl_config")

    supports_ttl = True

    def __init__(
        self,
        mem: FluxMem | Callable[[], FluxMem],
        *,
        index: IndexConfig | Mapping[str, Any] | None = None,
        ttl: TTLConfig | Mapping[str, Any] | None = None,
    ) -> None:
        """A store on an open memory, or on one that is opened by the first call and closed with the store.

        `index` says which `fields` are embedded, with the memory's own embedding; None: nothing is. On an open memory the sweeper runs
        from `start_ttl_sweeper` on.

        Raises:
            ConfigError: a wrong option, or an `embed` in `index` (the memory has its embedding already).
        """
        super().__init__()
        self._index, embed = configured(index)
        if embed is not None:
            raise ConfigError("this memory has its embedding; give `embed` to FluxMem.open(..., embeddings=...), and leave it out of index")
        self.ttl_config = _checked_ttl(ttl)
        self._own = callable(mem)
        self._open: Callable[[], FluxMem] | None = mem if callable(mem) else None
        self._mem: FluxMem | None = None if callable(mem) else mem
        self._gate = threading.RLock()
        self._sweeper: Sweeper | None = None

    @classmethod
    def from_conn_string(
        cls,
        conn_string: str | Path,
        *,
        index: IndexConfig | Mapping[str, Any] | None = None,
        ttl: TTLConfig | Mapping[str, Any] | None = None,
        embeddings: str | Embeddings | None = None,
        model: BaseChatModel | str | Operators | None = None,
        **options: Any,
    ) -> Self:
        """The store of the memory at a directory (made when missing) or URL; `model` and `options` are those of `FluxMem.open`.

        Use it at once, or in ``with`` or ``async with``, which close the memory at the end. The memory is opened on entering, else by the
        first call: never in the event loop's thread by an async one. With ``sweep_interval_minutes`` in `ttl` the sweeper runs from then
        on.

        ``index["embed"]``, or else `embeddings`, is the memory's embedding: `Embeddings`, a function of a list of texts (sync or async;
        known by its name), a string like ``"openai:text-embedding-3-small"``, or None for the offline one. A memory that was written with
        another embedding is opened with that one, also by a store without an index.

        Raises:
            ConfigError: a wrong option. When it is opened: what `FluxMem.open` raises.
        """
        fields, embed = configured(index)
        if embed is not None and embeddings is not None:
            raise ConfigError("index holds `embed`, and `embeddings` is given, too; a memory has one embedding, leave one of them out")
        chosen = Config.of(options).model_dump(exclude_unset=True)

        def opened() -> FluxMem:
            from langgraph_fluxmem.memory import FluxMem  # noqa: PLC0415 - the memory makes stores, too

            return FluxMem.open(conn_string, embeddings=embeddings if embed is None else embed, model=model, **chosen)

        store = cls(opened, ttl=ttl)
        store._index = fields
        return store

    @property
    def mem(self) -> FluxMem:
        """The memory this store is a face of, opened by now."""
        with self._gate:
            if self._mem is None:
                if self._open is None:
                    raise ClosedError("this store is closed; make another with `FluxMemStore.from_conn_string(...)`")
                self._mem = self._open()
                if self.ttl_config is not None and self.ttl_config.get("sweep_interval_minutes"):
                    self.start_ttl_sweeper()
            return self._mem

    # ----------------------------------------------------------------------------------------------------------------------- batch
    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Answer operations in one transaction; see the class.

        Raises:
            InvalidNamespaceError, InvalidContentError, ConfigError, ValueError, TypeError: an operation is refused; nothing was done.
            EmbeddingFailedError, InvalidVectorError: the embedding is at fault; nothing was written.
            ClosedError: the memory was closed.
        """
        return self.mem.engine.run(self._stage(ops))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Async twin of `batch`; nothing blocks the event loop."""
        mem = self._mem or await asyncio.to_thread(lambda: self.mem)
        return await mem.engine.arun(self._stage(ops))

    def _stage(self, ops: Iterable[Op]) -> Stage:
        omit = bool(self.ttl_config and self.ttl_config.get("omit_expired"))
        return batch(ops, self._index, omit_expired=omit, provenance=_provenance)

    # -------------------------------------------------------------------------------------------------------------- setup, expiry
    def setup(self) -> _Awaitable:
        """Make what is missing: opens the memory. May be called, or awaited, any number of times."""
        self.mem.engine.ledger.head()
        return _Awaitable()

    async def asetup(self) -> None:
        """Async twin of `setup`."""
        await asyncio.to_thread(self.setup)

    def sweep_ttl(self) -> int:
        """Delete what has expired, text and vectors at once; returns how many items that were."""
        return self.mem.engine.ledger.sweep_expired()

    async def asweep_ttl(self) -> int:
        """Async twin of `sweep_ttl`."""
        return await asyncio.to_thread(self.sweep_ttl)

    def start_ttl_sweeper(self, sweep_interval_minutes: float | None = None) -> Future[None]:
        """Sweep every so many minutes (default: as configured, else 5) in a thread; the future is done when it has stopped.

        Started again while it runs, it goes on as it was.
        """
        with self._gate:
            if self._sweeper is None or not self._sweeper.running:
                minutes = sweep_interval_minutes or (self.ttl_config or {}).get("sweep_interval_minutes") or 5
                self._sweeper = Sweeper(self.sweep_ttl, float(minutes) * 60.0)
            return self._sweeper.done

    def stop_ttl_sweeper(self, timeout: float | None = None) -> bool:
        """Stop the sweeper, waiting at most `timeout` seconds; whether none runs now."""
        with self._gate:
            return self._sweeper is None or self._sweeper.stop(timeout)

    # ----------------------------------------------------------------------------------------------------------------------- close
    def close(self) -> None:
        """Stop the sweeper, and close the memory if this store opened it. A second call does nothing."""
        self.stop_ttl_sweeper()
        with self._gate:
            if not self._own:
                return
            mem, self._mem, self._open = self._mem, None, None
        if mem is not None:
            mem.close()

    async def aclose(self) -> None:
        """Async twin of `close`."""
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        self.setup()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        await self.asetup()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()


class _Awaitable:
    """What `setup` returns: None for those who call it, something to await for those who await it."""

    def __await__(self) -> Any:
        return iter(())


def _provenance() -> Provenance:
    return current().provenance


def _checked_ttl(ttl: TTLConfig | Mapping[str, Any] | None) -> TTLConfig | None:
    if ttl is None:
        return None
    if not isinstance(ttl, Mapping):
        raise ConfigError(f"ttl is a {type(ttl).__name__}; give a dict with {', '.join(_TTL_KEYS)}")
    for key, value in ttl.items():
        if key not in _TTL_KEYS:
            raise ConfigError(f"ttl holds {key!r}; its keys are {', '.join(_TTL_KEYS)}")
        if key in ("refresh_on_read", "omit_expired"):
            if not isinstance(value, bool):
                raise ConfigError(f"ttl[{key!r}] is {value!r}; expected True or False")
        elif value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0):
            raise ConfigError(f"ttl[{key!r}] is {value!r}; expected minutes, more than 0, or None")
    return TTLConfig(**ttl)  # pyright: ignore[reportArgumentType] - checked above
