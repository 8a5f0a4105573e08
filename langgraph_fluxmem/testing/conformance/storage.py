"""One store's place while a rule runs: opened, closed and opened again, opened in another process, crashed in one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Literal

from langgraph.store.base import BaseStore

from .factories import StoreFactory
from .model import FaceName, NotOffered
from .processes import crash, other_process


class Storage:
    """A factory's store at one path. `open` and `reopen` give the store; it is closed when the stack it was given is."""

    def __init__(
        self, factory: StoreFactory, path: Path, stack: AsyncExitStack, *, index: Mapping[str, Any] | None, ttl: Mapping[str, Any] | None
    ) -> None:
        self.factory = factory
        self.path = path
        self.index = index
        self.ttl = ttl
        self._outer = stack
        self._inner: AsyncExitStack | None = None

    async def open(self) -> BaseStore:
        """The store, opened."""
        self._inner = AsyncExitStack()
        self._outer.push_async_callback(self._inner.aclose)
        return await self._inner.enter_async_context(self.factory.open(index=self.index, ttl=self.ttl, path=self.path))

    async def close(self) -> None:
        """Close the store; nothing happens if it is closed."""
        if self._inner is not None:
            await self._inner.aclose()

    async def reopen(self) -> BaseStore:
        """The store over the same path, closed and opened again."""
        await self.close()
        return await self.open()

    async def elsewhere(self, code: str) -> str:
        """Run `code` with `store` opened at the same path in another process; what it printed."""
        return await other_process(self._spec(), self.path, code, index=self.index)

    async def crash(self, face: FaceName, how: Literal["iterating", "timed"], fraction: float) -> bool:
        """Close the store, and have another process killed inside a batch on the same path. Whether the batch was answered before.

        Raises AssertionError if not even the put before it was answered.
        """
        await self.close()
        kept, answered = await crash(self._spec(), self.path, face=face, how=how, fraction=fraction)
        assert kept, "the process was killed before its first put was answered"
        return answered

    def _spec(self) -> str:
        if self.factory.spec is None:
            raise NotOffered("another process cannot import the factory: define it at the top level of a module")
        return self.factory.spec
