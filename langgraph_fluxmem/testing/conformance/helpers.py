"""The few names, beside the store's own, that rules and their reproductions use."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import sys
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from langgraph.store.base import BaseStore

from .faces import Worker
from .factories import Factory, StoreFactory, load_factory
from .model import FaceName
from .storage import Storage


class refused:  # noqa: N801 - reads as a statement: `with refused(ValueError):`
    """The block must raise one of `errors`; AssertionError if it raises nothing. Other exceptions pass through."""

    def __init__(self, *errors: type[BaseException]) -> None:
        self.errors = errors

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        if error is None:
            raise AssertionError(f"nothing was raised, expected {' or '.join(e.__name__ for e in self.errors)}")
        return isinstance(error, self.errors)


def factory_at(factory: str | Factory | StoreFactory) -> StoreFactory:
    """The factory, from any way of naming it."""
    if isinstance(factory, StoreFactory):
        return factory
    return load_factory(factory) if isinstance(factory, str) else StoreFactory(factory)


@contextlib.contextmanager
def directory() -> Any:
    """A fresh directory for one store; it goes when the store has closed, whatever the store left in it."""
    with tempfile.TemporaryDirectory(prefix="conformance-", ignore_cleanup_errors=True) as path:
        yield Path(path)


@asynccontextmanager
async def opened(
    factory: str | Factory | StoreFactory, *, index: Mapping[str, Any] | None = None, ttl: Mapping[str, Any] | None = None
) -> AsyncGenerator[BaseStore]:
    """A fresh store of the factory ("module:name" or the callable), with the kit's embedding if `index` is given."""
    with directory() as path:
        async with factory_at(factory).open(index=index, ttl=ttl, path=path) as store:
            yield store


def reproduce(
    factory: str | Factory, *, index: Mapping[str, Any] | None = None, ttl: Mapping[str, Any] | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Run the decorated function at once with a fresh store: what reports print, a script of its own.

    A plain function runs in a thread beside the store's event loop, a coroutine function in that loop. Beside `store` it may ask for
    `reopen()`, which gives the store closed and opened again at the same path, `elsewhere(code)`, which runs code with `store` in another
    process, and `crash(how, fraction)`; in a coroutine function they are awaited.
    """

    async def run(body: Callable[..., Any]) -> None:
        with directory() as path:
            async with AsyncExitStack() as stack:
                storage = Storage(factory_at(factory), path, stack, index=index, ttl=ttl)
                store = await storage.open()
                face: FaceName = "async" if inspect.iscoroutinefunction(body) else "sync"
                tools = {"reopen": storage.reopen, "elsewhere": storage.elsewhere, "crash": partial(storage.crash, face)}
                asked = {name: tools[name] for name in inspect.signature(body).parameters if name in tools}
                if face == "async":
                    await body(store, **asked)
                    return
                worker, loop = Worker(), asyncio.get_running_loop()
                waiting = {name: _waiting(tool, loop) for name, tool in asked.items()}
                try:
                    await worker.run(lambda: body(store, **waiting))
                finally:
                    worker.stop()

    def decorate(body: Callable[..., Any]) -> Callable[..., Any]:
        asyncio.run(run(body))
        return body

    return decorate


def _waiting(tool: Callable[..., Coroutine[Any, Any, Any]], loop: asyncio.AbstractEventLoop) -> Callable[..., Any]:
    return lambda *args: asyncio.run_coroutine_threadsafe(tool(*args), loop).result()


def in_threads(count: int, work: Callable[[int], Any], *, seconds: float = 60.0) -> list[Any]:
    """`work(0)` ... `work(count - 1)`, each in a daemon thread, all released at once; their results.

    Threads change as often as Python lets them. Raises the first error of any, and TimeoutError if one has not ended after `seconds`.
    """
    start = threading.Barrier(count)
    futures: list[Future[Any]] = [Future() for _ in range(count)]

    def serve(n: int) -> None:
        start.wait()
        try:
            futures[n].set_result(work(n))
        except BaseException as error:  # noqa: BLE001 - handed to the caller
            futures[n].set_exception(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for n in range(count):
            threading.Thread(target=serve, args=(n,), daemon=True).start()
        return [future.result(seconds) for future in futures]
    finally:
        sys.setswitchinterval(before)
