"""Embeddings behind one interface: any LangChain `Embeddings`, the local model, or the deterministic offline one.

An `Embedder` gives L2-normalised float32 rows and checks what it got. Its fingerprint names the embedding in the ledger, so that a memory
is never read with another one than it was written with.
"""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.errors import (
    ConfigError,
    DimensionMismatchError,
    EmbeddingFailedError,
    FluxMemError,
    InvalidVectorError,
    MissingExtraError,
)

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

Matrix = NDArray[np.float32]


class Embedder(ABC):
    """Turns texts into vectors.

    `fingerprint` names the embedding; `dims` is the length of its vectors, None until the first answer told.
    """

    fingerprint: str
    dims: int | None
    lexical: bool = False
    """Whether likeness means shared words and spellings, not meaning."""

    def embed(self, texts: Sequence[str], query: bool = False) -> Matrix:
        """Vectors (n, dims) float32, rows L2-normalised, for n texts. `query` selects the query side of an asymmetric embedding.

        Raises:
            EmbeddingFailedError: the embedding raised; the cause is chained.
            InvalidVectorError: it gave something else than n finite, non-zero vectors of one length.
            DimensionMismatchError: it gave vectors of another length than before.
        """
        if not texts:
            return np.zeros((0, self.dims or 0), np.float32)
        try:
            answer = self._embed(list(texts), query)
        except FluxMemError:
            raise
        except Exception as error:
            raise self._failed(error, len(texts)) from error
        return self._checked(answer, len(texts))

    async def aembed(self, texts: Sequence[str], query: bool = False) -> Matrix:
        """Async twin of `embed`."""
        if not texts:
            return np.zeros((0, self.dims or 0), np.float32)
        try:
            answer = await self._aembed(list(texts), query)
        except FluxMemError:
            raise
        except Exception as error:
            raise self._failed(error, len(texts)) from error
        return self._checked(answer, len(texts))

    @abstractmethod
    def _embed(self, texts: list[str], query: bool) -> Any: ...

    async def _aembed(self, texts: list[str], query: bool) -> Any:
        return await asyncio.to_thread(self._embed, texts, query)

    def _failed(self, error: Exception, count: int) -> EmbeddingFailedError:
        return EmbeddingFailedError(
            f"the embedding {self.fingerprint!r} raised {type(error).__name__} on a batch of {count}: {error!s:.300}; "
            "nothing of the batch was stored, repeat the call once it answers"
        )

    def _checked(self, answer: Any, count: int) -> Matrix:
        try:
            vectors = np.asarray(answer, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InvalidVectorError(
                f"the embedding {self.fingerprint!r} gave no array of numbers for {count} texts ({error}); expected {count} vectors of one length"
            ) from None
        if vectors.ndim != 2 or len(vectors) != count or not vectors.shape[1]:
            raise InvalidVectorError(
                f"the embedding {self.fingerprint!r} gave shape {vectors.shape} for {count} texts, expected ({count}, dims)"
            )
        if self.dims is not None and vectors.shape[1] != self.dims:
            raise DimensionMismatchError(
                f"the embedding {self.fingerprint!r} gave vectors of {vectors.shape[1]} dimensions, before they had {self.dims}; "
                "use one model with one `dimensions` setting per memory"
            )
        norms = np.sqrt(np.add.reduce(np.square(vectors), axis=1))
        if not all(0 < norm < math.inf for norm in norms.tolist()):  # NaN fails every comparison
            bad = np.flatnonzero(~np.isfinite(norms) | (norms == 0))
            what = "the zero vector" if norms[bad[0]] == 0 else "NaN or infinity"
            raise InvalidVectorError(
                f"the embedding {self.fingerprint!r} gave {what} for text {int(bad[0])} of {count}; a vector must be finite and not zero"
            )
        self.dims = int(vectors.shape[1])
        return (vectors / norms[:, None]).astype(np.float32)


class LangChainEmbedder(Embedder):
    """Any LangChain `Embeddings`. The fingerprint is its class and what it says of its model, unless given; a `lexical` attribute of True
    says that it sees words alone."""

    def __init__(self, embeddings: Embeddings, fingerprint: str | None = None) -> None:
        self.embeddings = embeddings
        self.fingerprint = fingerprint or _fingerprint_of(embeddings)
        self.lexical = getattr(embeddings, "lexical", False) is True
        self.dims = None

    def _embed(self, texts: list[str], query: bool) -> Any:
        if query:
            return [self.embeddings.embed_query(text) for text in texts]
        return self.embeddings.embed_documents(texts)

    async def _aembed(self, texts: list[str], query: bool) -> Any:
        if query:
            return [await self.embeddings.aembed_query(text) for text in texts]
        return await self.embeddings.aembed_documents(texts)


def resolve(embeddings: str | Embeddings | Embedder | None) -> Embedder:
    """The embedder for what a user gave.

    None: the offline embedding. ``"local"``: all-MiniLM-L6-v2 on this machine. ``"provider:model"``: LangChain's `init_embeddings`.
    Else any LangChain `Embeddings`.

    Raises:
        ConfigError: something else, or a string without a provider.
        MissingExtraError: what the string needs is not installed.
    """
    if embeddings is None:
        from langgraph_fluxmem.hashing import HashingEmbedder  # noqa: PLC0415 - it imports this module

        return HashingEmbedder()
    if isinstance(embeddings, Embedder):
        return embeddings
    if isinstance(embeddings, str):
        return _named(embeddings)
    if callable(getattr(embeddings, "embed_documents", None)) and callable(getattr(embeddings, "embed_query", None)):
        return LangChainEmbedder(embeddings)
    raise ConfigError(
        f"embeddings is {type(embeddings).__name__}, expected None, 'local', a string like 'openai:text-embedding-3-small', "
        "or an object with embed_documents and embed_query (LangChain `Embeddings`)"
    )


def _named(name: str) -> Embedder:
    if name == "local":
        from langgraph_fluxmem.minilm import MiniLMEmbedder  # noqa: PLC0415 - only who asks for it loads it

        return MiniLMEmbedder()
    provider, separator, model = name.partition(":")
    if not (provider and separator and model):
        raise ConfigError(
            f"embeddings={name!r} is not 'local' and names no provider; write it as 'provider:model', e.g. 'openai:text-embedding-3-small'"
        )
    try:
        from langchain.embeddings import init_embeddings  # noqa: PLC0415 - an optional dependency
    except ImportError as error:
        raise MissingExtraError(f"embeddings={name!r} needs langchain: pip install langchain langchain-{provider}") from error
    try:
        made = init_embeddings(name)
    except ImportError as error:
        raise MissingExtraError(f"embeddings={name!r} needs its provider's package: pip install langchain-{provider} ({error})") from error
    except Exception as error:
        raise ConfigError(f"embeddings={name!r} could not be made: {type(error).__name__}: {error}") from error
    return LangChainEmbedder(made, name)  # pyright: ignore[reportArgumentType] - declared as Embeddings or Runnable


_MODEL_FIELDS = ("model", "model_name", "model_id", "deployment", "repo_id", "dimensions", "size")


def _fingerprint_of(embeddings: object) -> str:
    """``package.Class`` with its model fields. What serves a cache (`CacheBackedEmbeddings`) is named by what it wraps."""
    inner = getattr(embeddings, "underlying_embeddings", None)
    if inner is not None:
        return _fingerprint_of(inner)
    given = getattr(embeddings, "fingerprint", None)
    if isinstance(given, str) and given:
        return given
    said = [f"{field}={value}" for field in _MODEL_FIELDS if isinstance(value := getattr(embeddings, field, None), str | int)]
    kind = type(embeddings)
    return f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}" + (f"({', '.join(said)})" if said else "")
