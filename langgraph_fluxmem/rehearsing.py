"""The calls of a memory that let an agent practise: which past tasks to try again, and what a success did not need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from langgraph_fluxmem.consolidation.shortening import Shortened, shorten
from langgraph_fluxmem.errors import ConfigError
from langgraph_fluxmem.execution import current
from langgraph_fluxmem.learning.rehearsal import Rehearsal
from langgraph_fluxmem.namespaces import DEFAULT, check_namespace
from langgraph_fluxmem.opened import OpenMemory
from langgraph_fluxmem.requests import LearnedOf, Stage

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable


class RehearsalCalls(OpenMemory):
    """What an open memory can do for an agent that may try past tasks again."""

    def rehearsals(self, k: int = 1, *, namespace: Sequence[str] = DEFAULT, recent: int = 30) -> list[Rehearsal]:
        """At most `k` of the `recent` latest tasks that are most worth trying again, the best first: those of kinds that are solved about half
        of the time lately, and those that were tried less often themselves. Writes nothing; what comes of a rehearsal is committed like any episode.

        Raises:
            ConfigError: `k` or `recent` is below 1. InvalidNamespaceError.
        """
        return self._run(_rehearsals(k, check_namespace(namespace), recent))

    async def arehearsals(self, k: int = 1, *, namespace: Sequence[str] = DEFAULT, recent: int = 30) -> list[Rehearsal]:
        """Async twin of `rehearsals`."""
        return await self._arun(_rehearsals(k, check_namespace(namespace), recent))

    def shorten(self, episode: str, replay: Runnable[dict[str, Any], Any], *, namespace: Sequence[str] = DEFAULT) -> Shortened:
        """Replay a committed success (its episode id) without steps that it may not need. What was not needed loses its part in it, and the
        shorter way is stored beside it; one operation, which can be undone.

        `replay` gets ``task``, ``actions`` (what to do, in order), ``episode`` and ``metadata``, and returns a bool, a number (success from 1 on), or a
        dict with ``success`` and, for the shorter way to be stored, ``observations``: what was seen before each action. It is run only where the
        episode took more steps than the latest successes at such tasks needed, and at most about half the square of its steps often.

        Raises:
            UnknownIdError: no episode of that id. FeedbackError: what the replay returned says nothing. InvalidNamespaceError.
        """
        return self._run(self._shorten(episode, replay, namespace))

    async def ashorten(self, episode: str, replay: Runnable[dict[str, Any], Any], *, namespace: Sequence[str] = DEFAULT) -> Shortened:
        """Async twin of `shorten`."""
        return await self._arun(self._shorten(episode, replay, namespace))

    def _shorten(self, episode: str, replay: Runnable[dict[str, Any], Any], namespace: Sequence[str]) -> Stage:
        where, learning = check_namespace(namespace), self.stages.config.learning
        return shorten(episode, replay, namespace=where, provenance=current().provenance, learning=learning)


def _rehearsals(k: int, namespace: tuple[str, ...], recent: int) -> Stage:
    if min(k, recent) < 1:
        raise ConfigError(f"k is {k!r} and recent is {recent!r}; both count tasks, from 1 on")
    learned = yield LearnedOf(namespace)
    return learned.rehearsals(k, recent)
