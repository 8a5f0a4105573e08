"""A `Face` lets a rule be written once: the same calls go to `store.put` or to `await store.aput`."""

from __future__ import annotations

import asyncio
import inspect
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, Literal

from langgraph.store.base import BaseStore, Op

from .model import FaceName, NotOffered
from .storage import Storage

STALL = 0.7
"""Seconds a call or a pause may take longer than asked before a rule that waits is tried again on a busy machine."""


class Worker:
    """One daemon thread that runs calls in order: a store that never answers cannot keep the process from ending."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def run(self, call: Callable[[], Any]) -> Any:
        """The call's result, awaited; what it raises is raised here."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, daemon=True, name="conformance-sync-face")
            self._thread.start()
        future: Future[Any] = Future()
        self._calls.put((future, call))
        return await asyncio.wrap_future(future)

    def stop(self) -> None:
        self._calls.put(None)

    def _serve(self) -> None:
        while (order := self._calls.get()) is not None:
            future, call = order
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001 - handed to the caller
                future.set_exception(error)
            else:
                future.set_result(result)


class Face:
    """The methods of `BaseStore`, asynchronous in form, through the synchronous or the asynchronous methods of `store`.

    Synchronous calls run in a thread, so that a store may need its event loop to answer them.
    """

    def __init__(self, store: BaseStore, name: FaceName, worker: Worker, storage: Storage | None = None) -> None:
        self.store = store
        self.name: FaceName = name
        self.storage = storage
        self.stalled = False
        """Something took so much longer than asked that time-dependent expectations mean nothing."""
        self._worker = worker

    async def _call(self, method: str, *args: Any, **options: Any) -> Any:
        before = time.monotonic()
        try:
            if self.name == "async":
                return await getattr(self.store, f"a{method}")(*args, **options)
            return await self._worker.run(lambda: getattr(self.store, method)(*args, **options))
        finally:
            self.stalled |= time.monotonic() - before > STALL

    async def get(self, namespace: tuple[str, ...], key: str, **options: Any) -> Any:
        return await self._call("get", namespace, key, **options)

    async def put(self, namespace: tuple[str, ...], key: str, value: Mapping[str, Any], index: Any = None, **options: Any) -> Any:
        return await self._call("put", namespace, key, value, index, **options)

    async def delete(self, namespace: tuple[str, ...], key: str) -> Any:
        return await self._call("delete", namespace, key)

    async def search(self, namespace_prefix: tuple[str, ...], /, **options: Any) -> list[Any]:
        return await self._call("search", namespace_prefix, **options)

    async def list_namespaces(self, **options: Any) -> list[tuple[str, ...]]:
        return await self._call("list_namespaces", **options)

    async def batch(self, ops: Iterable[Op]) -> list[Any]:
        return await self._call("batch", ops)

    async def pause(self, seconds: float) -> None:
        """Let time pass."""
        before = time.monotonic()
        await asyncio.sleep(seconds)
        self.stalled |= time.monotonic() - before > seconds + STALL

    async def own(self, method: str, *args: Any) -> Any:
        """A method that is not in `BaseStore` but in the stores that have expiry or tables: `setup`, `sweep_ttl`. Awaited if it needs it."""
        call = getattr(self.store, method, None)
        if call is None:
            raise NotOffered(f"{type(self.store).__name__} has no {method}()")
        if self.name == "sync":
            if inspect.iscoroutinefunction(call):
                raise NotOffered(f"{method}() is asynchronous only")
            return await self._worker.run(lambda: call(*args))
        made = call(*args)
        return await made if inspect.isawaitable(made) else made

    async def sweep(self) -> int | None:
        """Delete what has expired, if the store sweeps at all."""
        return await self.own("sweep_ttl") if hasattr(self.store, "sweep_ttl") else None

    async def reopen(self) -> None:
        """Close the store and open it again at the same path."""
        assert self.storage is not None
        self.store = await self.storage.reopen()

    async def elsewhere(self, call: str) -> str:
        """Run `print(store.<call>)`, or its asynchronous form, in another process that opens the same path; what it printed."""
        assert self.storage is not None
        return await self.storage.elsewhere(self.printed(call))

    def printed(self, call: str) -> str:
        return f"print(await store.a{call})" if self.name == "async" else f"print(store.{call})"

    async def crash(self, how: Literal["iterating", "timed"], fraction: float) -> bool:
        """Close the store, and have another process killed inside a batch at the same path (`processes.crash`)."""
        assert self.storage is not None
        return await self.storage.crash(self.name, how, fraction)
