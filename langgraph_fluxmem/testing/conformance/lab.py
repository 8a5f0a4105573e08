"""What a scenario gets: it opens, closes and reopens stores itself, and says with its own code how to reproduce what it found."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from langgraph.store.base import BaseStore

from .faces import Face, Worker
from .factories import StoreFactory
from .model import Check, FaceName


class Lab:
    """A scenario's bench: one face and one variant of a factory's stores, and a directory for their storage."""

    def __init__(self, factory: StoreFactory, check: Check, path: Path) -> None:
        self.factory = factory
        self.check = check
        self.path = path
        self.case = dict(check.rule.cases.get(check.case, {}))

    @property
    def face(self) -> FaceName:
        return self.check.face

    @property
    def index(self) -> Mapping[str, Any] | None:
        return (self.check.rule.index or {}) if self.check.variant == "indexed" else None

    @property
    def spec(self) -> str:
        return self.factory.spec or self.factory.name

    @asynccontextmanager
    async def open(self, *, path: Path | None = None) -> AsyncGenerator[BaseStore]:
        """A store at `path` (default: the lab's own directory, so that opening twice is reopening)."""
        async with self.factory.open(index=self.index, ttl=self.check.rule.ttl, path=path or self.path) as store:
            yield store

    @asynccontextmanager
    async def open_face(self, *, path: Path | None = None) -> AsyncGenerator[Face]:
        """The same, as a `Face`."""
        worker = Worker()
        try:
            async with self.open(path=path) as store:
                yield Face(store, self.face, worker)
        finally:
            worker.stop()

    def code(self, call: str) -> str:
        """`put(...)` as the code that calls it on this face: `store.put(...)` or `await store.aput(...)`."""
        return f"store.{call}" if self.face == "sync" else f"await store.a{call}"

    def options(self) -> str:
        """The configuration as keyword arguments in source, each after a comma."""
        given = "" if self.index is None else f", index={dict(self.index)!r}"
        return given if self.check.rule.ttl is None else f"{given}, ttl={dict(self.check.rule.ttl)!r}"
