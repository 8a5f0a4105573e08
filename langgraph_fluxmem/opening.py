"""Opening an address: one engine for each directory and process, shared by all who open it, closed by the last."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from langgraph_fluxmem.config import Config
from langgraph_fluxmem.embeddings import Embedder, resolve
from langgraph_fluxmem.engine import Engine
from langgraph_fluxmem.errors import ConfigError
from langgraph_fluxmem.indexing import indexed_again
from langgraph_fluxmem.ledger import Ledger
from langgraph_fluxmem.text import VERSION

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings


class _Shared:
    """An open engine and how many hold it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.holders = 1


_lock = threading.Lock()
_open: dict[str, _Shared] = {}


def acquire(address: str | Path, embeddings: str | Embeddings | None, config: Config) -> tuple[Engine, Callable[[], None]]:
    """The engine for an address, and a function that lets go of it.

    Raises:
        ConfigError: the address is open in this process with other options. See `FluxMem.open` for the rest.
    """
    if not isinstance(address, (str, Path)) or not str(address).strip():
        raise ConfigError(f"the address is {address!r}; give a directory, or an address such as postgresql://user@host/db")
    embedder = resolve(embeddings)
    text = str(address)
    is_url = "://" in text
    key = text if is_url else str(Path(text).expanduser().resolve())
    with _lock:
        shared = _open.get(key)
        if shared is not None:
            _check_same(shared.engine, embedder, config, key)
            shared.holders += 1
        else:
            shared = _open[key] = _Shared(_open_engine(text if is_url else Path(key), embedder, config))
    return shared.engine, lambda: _release(key, shared)


def is_open(address: str | Path) -> bool:
    """Whether a memory is open in this process."""
    text = str(address)
    with _lock:
        return (text if "://" in text else str(Path(text).expanduser().resolve())) in _open


def _open_engine(address: str | Path, embedder: Embedder, config: Config) -> Engine:
    ledger = Ledger.open(address, durability=config.durability, busy_timeout=config.busy_timeout, connections=config.connections)
    try:
        ledger.check_embedding(embedder.fingerprint, embedder.dims)
        ledger.check_terms(VERSION, indexed_again)
        return Engine(ledger, embedder, config, address if isinstance(address, Path) else None)
    except BaseException:
        ledger.close()
        raise


def _release(key: str, shared: _Shared) -> None:
    with _lock:
        shared.holders -= 1
        if shared.holders:
            return
        del _open[key]
        shared.engine.close()


def _check_same(engine: Engine, embedder: Embedder, config: Config, key: str) -> None:
    if engine.config != config:
        different = [name for name in Config.model_fields if getattr(engine.config, name) != getattr(config, name)]
        raise ConfigError(
            f"{key} is open in this process with other values of {', '.join(different)}; use the same options, or close it first"
        )
    if engine.embedder.fingerprint != embedder.fingerprint:
        raise ConfigError(
            f"{key} is open in this process with the embedding {engine.embedder.fingerprint!r}, now {embedder.fingerprint!r}; use the same, or close it first"
        )
