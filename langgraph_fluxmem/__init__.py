"""Memory for LangGraph agents that rewires itself.

    from langgraph_fluxmem import FluxMem, Feedback

    with FluxMem.open("memory/") as mem:
        mem.remember(["Ada is on the team plan."])
        activation = mem.recall("which plan is she on?")
        mem.learn(activation, Feedback(outcome="success", used=[activation.facts[0].id]))

Names are loaded when they are first used, so that importing the package stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langgraph_fluxmem.errors import (
        AmbiguousIdError,
        ClosedError,
        ConfigError,
        DependentsError,
        DimensionMismatchError,
        EmbeddingFailedError,
        EmbeddingMismatchError,
        FeedbackError,
        FluxMemError,
        ForeignMemoryError,
        InvalidContentError,
        InvalidNamespaceError,
        InvalidVectorError,
        LeaseLostError,
        LedgerError,
        MissingExtraError,
        NotAMemoryError,
        SchemaVersionError,
        StaleError,
        StateError,
        UnavailableError,
        UnknownIdError,
        UnresolvedNamespaceError,
    )
    from langgraph_fluxmem.memory import FluxMem
    from langgraph_fluxmem.middleware import FluxMemMiddleware
    from langgraph_fluxmem.nodes import fluxmem_nodes
    from langgraph_fluxmem.schema import Activation, Episode, Feedback, Situation, Step
    from langgraph_fluxmem.state import FluxMemState
    from langgraph_fluxmem.store import FluxMemStore
    from langgraph_fluxmem.tools import memory_tools

__version__ = "0.1.0"

_HOME = {
    "Activation": "schema",
    "Episode": "schema",
    "Feedback": "schema",
    "FluxMem": "memory",
    "FluxMemMiddleware": "middleware",
    "FluxMemState": "state",
    "FluxMemStore": "store",
    "Situation": "schema",
    "Step": "schema",
    "fluxmem_nodes": "nodes",
    "memory_tools": "tools",
    "AmbiguousIdError": "errors",
    "ClosedError": "errors",
    "ConfigError": "errors",
    "DependentsError": "errors",
    "DimensionMismatchError": "errors",
    "EmbeddingFailedError": "errors",
    "EmbeddingMismatchError": "errors",
    "FeedbackError": "errors",
    "FluxMemError": "errors",
    "ForeignMemoryError": "errors",
    "InvalidContentError": "errors",
    "InvalidNamespaceError": "errors",
    "InvalidVectorError": "errors",
    "LeaseLostError": "errors",
    "LedgerError": "errors",
    "MissingExtraError": "errors",
    "NotAMemoryError": "errors",
    "SchemaVersionError": "errors",
    "StaleError": "errors",
    "StateError": "errors",
    "UnavailableError": "errors",
    "UnknownIdError": "errors",
    "UnresolvedNamespaceError": "errors",
}

__all__ = [
    "Activation",
    "AmbiguousIdError",
    "ClosedError",
    "ConfigError",
    "DependentsError",
    "DimensionMismatchError",
    "EmbeddingFailedError",
    "EmbeddingMismatchError",
    "Episode",
    "Feedback",
    "FeedbackError",
    "FluxMem",
    "FluxMemError",
    "FluxMemMiddleware",
    "FluxMemState",
    "FluxMemStore",
    "ForeignMemoryError",
    "InvalidContentError",
    "InvalidNamespaceError",
    "InvalidVectorError",
    "LeaseLostError",
    "LedgerError",
    "MissingExtraError",
    "NotAMemoryError",
    "SchemaVersionError",
    "Situation",
    "StaleError",
    "StateError",
    "Step",
    "UnavailableError",
    "UnknownIdError",
    "UnresolvedNamespaceError",
    "fluxmem_nodes",
    "memory_tools",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
