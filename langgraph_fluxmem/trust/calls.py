"""The calls of a memory that look after its quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from langgraph_fluxmem.execution import current
from langgraph_fluxmem.namespaces import DEFAULT, check_namespace
from langgraph_fluxmem.opened import OpenMemory
from langgraph_fluxmem.trust import deciding

if TYPE_CHECKING:
    from langgraph_fluxmem.edits import Applied
    from langgraph_fluxmem.trust.quarantine import Quarantined


class QuarantineCalls(OpenMemory):
    """What an open memory can do with what was held back."""

    def quarantine(self, *, namespace: Sequence[str] = DEFAULT, decided: bool = False) -> list[Quarantined]:
        """What was held back of a namespace's skills and notes, oldest first, each with why; with `decided` also what was released or
        discarded. Writes nothing.

        Raises:
            InvalidNamespaceError.
        """
        return self._run(deciding.items(check_namespace(namespace), decided=decided))

    async def aquarantine(self, *, namespace: Sequence[str] = DEFAULT, decided: bool = False) -> list[Quarantined]:
        """Async twin of `quarantine`."""
        return await self._arun(deciding.items(check_namespace(namespace), decided=decided))

    def release(self, item: str, *, namespace: Sequence[str] = DEFAULT) -> Applied:
        """Let an item of the quarantine (its id) take its place; its texts pass from then on. One operation, which can be undone.

        A skill becomes the current version of the one it was made for, as a candidate where it does something else; a note joins its fact.

        Raises:
            UnknownIdError: no such item is held. StaleError: what it belongs to changed meanwhile. InvalidNamespaceError.
        """
        return self._run(deciding.release(item, check_namespace(namespace), current().provenance))

    async def arelease(self, item: str, *, namespace: Sequence[str] = DEFAULT) -> Applied:
        """Async twin of `release`."""
        return await self._arun(deciding.release(item, check_namespace(namespace), current().provenance))

    def discard(self, item: str, *, namespace: Sequence[str] = DEFAULT) -> Applied:
        """Drop an item of the quarantine (its id); the same text is held back in silence from then on. One operation, which can be undone.

        Raises:
            UnknownIdError: no such item is held. InvalidNamespaceError.
        """
        return self._run(deciding.discard(item, check_namespace(namespace), current().provenance))

    async def adiscard(self, item: str, *, namespace: Sequence[str] = DEFAULT) -> Applied:
        """Async twin of `discard`."""
        return await self._arun(deciding.discard(item, check_namespace(namespace), current().provenance))
