"""Which memory a command means, and with which embedding it was written."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from langgraph_fluxmem.cli import show
from langgraph_fluxmem.errors import InvalidNamespaceError, NotAMemoryError
from langgraph_fluxmem.ledger import Ledger
from langgraph_fluxmem.ledger.database import FILE
from langgraph_fluxmem.memory import FluxMem
from langgraph_fluxmem.namespaces import DEFAULT, check_namespace
from langgraph_fluxmem.schema import Namespace


def holds_memory(address: str) -> bool:
    """Whether a memory is at the address; of a database's address that is not looked up."""
    return "://" in address or (Path(address).expanduser() / FILE).is_file()


def existing(address: str) -> str:
    """The address, if a memory is there.

    Raises:
        NotAMemoryError: nothing is there, or something else. A command that looks must not make what it looks for.
    """
    if not holds_memory(address):
        raise NotAMemoryError(f"{address!r} holds no memory; name its directory, or make one: python -m langgraph_fluxmem init {address}")
    return address


def embedding_of(address: str) -> str | None:
    """The `embeddings` argument that fits what a memory was written with."""
    with Ledger.open(address if "://" in address else Path(address).expanduser()) as ledger:
        found = ledger.embedding()
    return argument_of(found[0]) if found is not None else None


def argument_of(fingerprint: str) -> str | None:
    """The `embeddings` argument of a fingerprint; one that has no such name is returned as it is, and refused where it is opened."""
    if fingerprint.startswith("offline-"):
        return None
    return "local" if fingerprint == "all-MiniLM-L6-v2" else fingerprint


@contextmanager
def opened(address: str, embeddings: str | None = None, **options: Any) -> Generator[FluxMem]:
    """The memory at an address, opened with its own embedding unless another is given; `options` are those of `Config`.

    Raises:
        FluxMemError: as `existing` and `FluxMem.open`.
    """
    place = existing(address)
    with FluxMem.open(place, embeddings=embeddings or embedding_of(place), **options) as mem:
        yield mem


def opened_or_made(address: str, embeddings: str | None = None) -> AbstractContextManager[FluxMem]:
    """The memory at an address, with its own embedding unless another is given; one that is not there is made.

    Raises:
        FluxMemError: as `FluxMem.open`.
    """
    if holds_memory(address):
        return opened(address, embeddings)
    return FluxMem.open(address, embeddings=embeddings)


def namespace_of(text: str | None) -> Namespace:
    """Labels joined by dots, as in ``acme.ada``; None: the default namespace.

    Raises:
        InvalidNamespaceError: an empty label.
    """
    return DEFAULT if text is None else check_namespace(tuple(text.split(".")))


def tell_elsewhere(mem: FluxMem, text: str | None) -> None:
    """Say on standard error which namespaces hold something, where the one that was asked holds nothing."""
    held = mem.engine.ledger.namespaces()
    if held and namespace_of(text) not in held:
        there = ", ".join(".".join(namespace) for namespace in held[:10])
        asked = ".".join(namespace_of(text))
        show.err.print(f"namespace {asked!r} holds nothing; namespaces that do: {there} (--namespace)", markup=False, soft_wrap=True)


def found_namespaces(mem: FluxMem, text: str | None) -> list[Namespace]:
    """The namespace named, or all that hold anything.

    Raises:
        InvalidNamespaceError: the one named holds nothing; those that do are listed.
    """
    held = mem.engine.ledger.namespaces()
    if text is None:
        return held
    wanted = namespace_of(text)
    if wanted not in held:
        there = ", ".join(".".join(namespace) for namespace in held[:10]) or "none"
        raise InvalidNamespaceError(f"namespace {text!r} holds nothing; namespaces that do: {there}")
    return [wanted]
