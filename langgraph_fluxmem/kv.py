"""LangChain's other `BaseStore` (mget, mset, mdelete, yield_keys) over a memory: for `CacheBackedEmbeddings`, `MultiVectorRetriever` and
whatever else wants a key-value store. Values live in one namespace and are not indexed: `recall` does not find them."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from langchain_core.stores import BaseStore
from langgraph.store.base import GetOp, Op, PutOp

from langgraph_fluxmem.errors import InvalidContentError
from langgraph_fluxmem.namespaces import check_namespace
from langgraph_fluxmem.store import FluxMemStore

if TYPE_CHECKING:
    from langgraph_fluxmem.memory import FluxMem

V = TypeVar("V")


class FluxMemKVStore(BaseStore[str, V], Generic[V]):
    """Values of any kind by key, in one namespace of a memory.

        docstore = FluxMemKVStore(mem, namespace=("docs",), encode=Document.model_dump, decode=Document.model_validate)
        FluxMemKVStore(mem).mset([("a", {"n": 1})])

    `encode` turns a value into something JSON carries, `decode` back; without them values are JSON themselves. `memory` is a `FluxMem` or
    a `FluxMemStore`, and stays the caller's to close. Thread-safe; sync and async methods may be mixed.

    Raises:
        InvalidNamespaceError: the namespace is no namespace.
    """

    def __init__(
        self,
        memory: FluxMem | FluxMemStore,
        *,
        namespace: Sequence[str] = ("kv",),
        encode: Callable[[V], Any] | None = None,
        decode: Callable[[Any], V] | None = None,
    ) -> None:
        self.store = memory if isinstance(memory, FluxMemStore) else memory.store
        self.namespace = check_namespace(namespace)
        self._encode = encode or _as_it_is
        self._decode = decode or cast("Callable[[Any], V]", _as_it_is)

    def mget(self, keys: Sequence[str]) -> list[V | None]:
        """The value of each key, None where there is none."""
        return self._values(self.store.batch(self._gets(keys)))

    async def amget(self, keys: Sequence[str]) -> list[V | None]:
        """Async twin of `mget`."""
        return self._values(await self.store.abatch(self._gets(keys)))

    def mset(self, key_value_pairs: Sequence[tuple[str, V]]) -> None:
        """Store values, all or none.

        Raises:
            InvalidContentError: a value is None or cannot be encoded as JSON, or a key is no text.
        """
        self.store.batch(self._puts(key_value_pairs))

    async def amset(self, key_value_pairs: Sequence[tuple[str, V]]) -> None:
        """Async twin of `mset`."""
        await self.store.abatch(self._puts(key_value_pairs))

    def mdelete(self, keys: Sequence[str]) -> None:
        """Delete keys, all or none; those that are not there are passed over."""
        self.store.batch(self._deletes(keys))

    async def amdelete(self, keys: Sequence[str]) -> None:
        """Async twin of `mdelete`."""
        await self.store.abatch(self._deletes(keys))

    def yield_keys(self, *, prefix: str | None = None) -> Iterator[str]:
        """The keys that begin with `prefix` (default: all), as they were when the first was asked for, oldest value first."""
        for row in self.store.mem.engine.ledger.nodes(self.namespace, kinds=("item",), bodies=False):
            if row.key.startswith(prefix or ""):
                yield row.key

    async def ayield_keys(  # pyright: ignore[reportIncompatibleMethodOverride] - an asynchronous generator, as the base's is
        self, *, prefix: str | None = None
    ) -> AsyncIterator[str]:
        """Async twin of `yield_keys`."""
        for key in await asyncio.to_thread(lambda: list(self.yield_keys(prefix=prefix))):
            yield key

    def _gets(self, keys: Sequence[str]) -> list[Op]:
        return [GetOp(self.namespace, key) for key in keys]

    def _puts(self, pairs: Sequence[tuple[str, V]]) -> list[Op]:
        return [PutOp(self.namespace, key, {"value": self._encoded(key, value)}, index=False) for key, value in pairs]

    def _deletes(self, keys: Sequence[str]) -> list[Op]:
        return [PutOp(self.namespace, key, None) for key in keys]

    def _encoded(self, key: str, value: V) -> Any:
        if value is None:
            raise InvalidContentError(f"the value of {key!r} is None, which stands for a key that is not there; delete the key instead")
        return self._encode(value)

    def _values(self, items: Sequence[Any]) -> list[V | None]:
        return [None if item is None else self._decode(item.value["value"]) for item in items]


class FluxMemByteStore(FluxMemKVStore[bytes]):
    """Bytes by key: a LangChain `ByteStore` (kept as base64, since the ledger's values are JSON)."""

    def __init__(self, memory: FluxMem | FluxMemStore, *, namespace: Sequence[str] = ("kv",)) -> None:
        super().__init__(memory, namespace=namespace, encode=_to_text, decode=_to_bytes)


def _as_it_is(value: Any) -> Any:
    return value


def _to_text(value: bytes) -> str:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise InvalidContentError(f"a byte store got a {type(value).__name__}; encode it, or use FluxMemKVStore")
    return base64.b64encode(value).decode("ascii")


def _to_bytes(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise InvalidContentError(
            "this namespace holds values that a byte store did not write; give each store a namespace of its own"
        ) from None
