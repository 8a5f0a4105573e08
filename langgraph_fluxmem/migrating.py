"""Moving in from other memories: from any LangGraph store (`InMemoryStore`, `PostgresStore`, what langmem wrote), and from mem0.

Both can be run again: what is there already is not stored twice. On the command line: ``fluxmem migrate``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document
from langgraph.store.base import BaseStore, PutOp

from langgraph_fluxmem.errors import InvalidContentError
from langgraph_fluxmem.namespaces import NamespaceTemplate

if TYPE_CHECKING:
    from langgraph_fluxmem.memory import FluxMem

PAGE = 100
"""Items that are read, and written in one transaction, at a time."""
OWNERS = ("user_id", "agent_id", "app_id", "run_id", "actor_id")
"""What a memory of mem0 may be of: fields for the namespace."""
Told = Callable[[int], None]


def from_store(old: BaseStore, new: BaseStore, *, told: Told | None = None) -> int:
    """Copy every item of a store into another, keys, namespaces and values as they are; returns how many.

    Times are not part of the store's interface: items are as new as the copy. `told` gets the count after each page.
    """
    done = 0
    for namespace in _namespaces(old):
        skipped = 0
        while page := old.search(namespace, limit=PAGE, offset=skipped):
            skipped += len(page)
            own = [item for item in page if item.namespace == namespace]  # those of deeper namespaces come in their turn
            if own:
                new.batch([PutOp(item.namespace, item.key, item.value) for item in own])
                done += len(own)
                if told is not None:
                    told(done)
    return done


def from_mem0(
    memories: Iterable[Mapping[str, Any]], mem: FluxMem, *, namespace: Sequence[str] = ("{user_id}", "memories"), told: Told | None = None
) -> int:
    """Remember what mem0's ``get_all`` gave (its ``results``) as facts; returns how many. `namespace` may hold ``{user_id}``, ``{agent_id}``,
    ``{app_id}``, ``{run_id}`` and ``{actor_id}``.

    The text becomes the fact; its metadata are kept, ``created_at`` as ``time``, the id as ``mem0_id``.

    Raises:
        InvalidContentError: a memory without a text. UnresolvedNamespaceError: one that lacks a field of the namespace.
    """
    template = NamespaceTemplate(namespace)
    by_namespace: dict[tuple[str, ...], list[Document]] = {}
    for number, memory in enumerate(memories):
        if not isinstance(memory, Mapping):
            raise InvalidContentError(f"memory {number} is a {type(memory).__name__}; give the results of mem0's get_all()")
        text = memory.get("memory")
        if not isinstance(text, str) or not text.strip():
            raise InvalidContentError(f"memory {number} has no text under 'memory', it has {sorted(memory)}; give the results of get_all()")
        owners = {name: str(memory[name]) for name in OWNERS if memory.get(name)}
        metadata: dict[str, Any] = {**(memory.get("metadata") or {}), **owners, "mem0_id": memory.get("id")}
        if memory.get("created_at"):
            metadata["time"] = memory["created_at"]
        by_namespace.setdefault(template.resolve(configurable=owners), []).append(Document(text, metadata=metadata))
    done = 0
    for where, documents in by_namespace.items():
        done += len(mem.remember(documents, namespace=where, batch=PAGE))
        if told is not None:
            told(done)
    return done


def _namespaces(store: BaseStore) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    while page := store.list_namespaces(limit=PAGE, offset=len(found)):
        found += page
    return found
