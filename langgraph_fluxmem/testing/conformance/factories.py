"""How the kit gets a store: from a factory of the user's, in whichever usual form it is written.

A factory is a callable that yields (or returns) a store, ready for use and empty. It may take keyword arguments, and by taking one it
offers a capability:

    index   the `IndexConfig` to open the store with, or None   -> vector search
    ttl     the `TTLConfig` to open the store with, or None     -> expiry
    path    a `pathlib.Path` to a directory that outlives the store; the same path opens the same storage again -> persistence

It is an async generator function, or anything that comes to the same: a generator function, a function that returns a (async)
context manager, a coroutine function, a class such as `InMemoryStore`.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from langgraph.store.base import BaseStore

from .embedding import DIMS, embed
from .rendering import value_of

Factory = Callable[..., Any]


class FactoryError(TypeError):
    """The factory cannot be found, or what it gave is not a store."""


class StoreFactory:
    """A user's factory in one form: `options` it takes, `open(...)` as an async context manager, `spec` to find it from another process."""

    def __init__(self, factory: Factory, spec: str | None = None) -> None:
        self.factory = factory
        self.spec = spec or _spec_of(factory)
        try:
            parameters = inspect.signature(factory).parameters
        except (TypeError, ValueError) as error:
            raise FactoryError(
                f"{factory!r} is no factory: expected a callable whose signature can be read, e.g. an async generator"
            ) from error
        anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        self.options = frozenset(name for name in ("index", "ttl", "path") if anything or name in parameters)

    @property
    def name(self) -> str:
        return self.spec or getattr(self.factory, "__qualname__", repr(self.factory))

    def arguments(self, *, index: Mapping[str, Any] | None, ttl: Mapping[str, Any] | None, path: Path | None) -> dict[str, Any]:
        """The keyword arguments for the factory; the kit's embedding is added to `index`, `Source` values become what they stand for."""
        given: dict[str, Any] = {
            "index": None if index is None else {"dims": DIMS, "embed": embed, **{k: value_of(v) for k, v in index.items()}},
            "ttl": None if ttl is None else dict(ttl),
            "path": path,
        }
        return {name: given[name] for name in self.options if not (name != "path" and given[name] is None)}

    @asynccontextmanager
    async def open(
        self, *, index: Mapping[str, Any] | None = None, ttl: Mapping[str, Any] | None = None, path: Path | None = None
    ) -> AsyncGenerator[BaseStore]:
        """The factory's store, closed at the end. Raises FactoryError if it is no `langgraph.store.base.BaseStore`."""
        made = self.factory(**self.arguments(index=index, ttl=ttl, path=path))
        if inspect.isasyncgen(made):
            opening: AbstractAsyncContextManager[Any] = asynccontextmanager(_same_async(made))()
        elif inspect.isgenerator(made):
            opening = _entered(contextmanager(_same(made))())
        elif inspect.isawaitable(made):
            opening = _given(await made)
        else:
            opening = _given(made)
        async with opening as store:
            if not isinstance(store, BaseStore):
                raise FactoryError(f"{self.name} gave {type(store).__name__}, expected a langgraph.store.base.BaseStore")
            yield store


@asynccontextmanager
async def _entered(manager: AbstractContextManager[Any]) -> AsyncGenerator[Any]:
    with manager as store:
        yield store


@asynccontextmanager
async def _given(made: Any) -> AsyncGenerator[Any]:
    """A returned store is entered if it is a context manager (what `__enter__` gives is the store)."""
    if isinstance(made, AbstractAsyncContextManager):
        async with made as store:
            yield store
    elif isinstance(made, AbstractContextManager):
        with made as store:
            yield store
    else:
        yield made


def _same_async(made: Any) -> Callable[[], AsyncGenerator[Any]]:
    return lambda: made


def _same(made: Any) -> Callable[[], Generator[Any]]:
    return lambda: made


def load_factory(spec: str) -> StoreFactory:
    """The factory at "package.module:name" or "path/to/file.py:name". Raises FactoryError, saying which part was not found."""
    where, _, name = spec.rpartition(":")
    if not where or not name:
        raise FactoryError(f"{spec!r} is not module:factory, e.g. my_package.testing:store or tests/stores.py:store")
    try:
        module = _from_file(Path(where)) if where.endswith(".py") else importlib.import_module(where)
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise FactoryError(
            f"{where!r} of {spec!r} was not found: {error}; expected a module on sys.path or a path to a .py file"
        ) from error
    try:
        found: Any = module
        for part in name.split("."):
            found = getattr(found, part)
    except AttributeError as error:
        raise FactoryError(f"{where!r} has no {name!r}: {error}") from error
    return StoreFactory(found, spec)


def _from_file(path: Path) -> Any:
    path = path.resolve()
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == str(path):
            return module
    name = f"_conformance_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"no Python file at {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _spec_of(factory: Factory) -> str | None:
    """Where another process finds the factory, or None if it cannot (a lambda, a function inside a function)."""
    module, name = getattr(factory, "__module__", None), getattr(factory, "__qualname__", None)
    if not module or not name or "<" in name:
        return None
    if module == "__main__" or module.startswith("_conformance_"):
        file = inspect.getsourcefile(factory)
        return f"{file}:{name}" if file else None
    return f"{module}:{name}"
