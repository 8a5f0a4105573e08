"""Every error this package raises on purpose.

Each class is also a standard type, so that callers who do not know the package catch what they expect. A message says what was
found, what was expected, and the one argument or command that mends it.
"""

from __future__ import annotations


class FluxMemError(Exception):
    """Base class of all errors of langgraph_fluxmem."""


class ConfigError(FluxMemError, ValueError):
    """An option is unknown, has a wrong value, or conflicts with another one."""


class InvalidContentError(FluxMemError, ValueError):
    """Content that cannot be remembered: empty, not text, holding NUL or lone surrogates, or a value JSON cannot carry."""


class InvalidNamespaceError(FluxMemError, ValueError):
    """A namespace that is empty, dotted, nested wrongly, or reserved."""


class UnresolvedNamespaceError(InvalidNamespaceError):
    """A namespace template names a value that neither the runtime context, the configuration nor the server's user has."""


class InvalidVectorError(FluxMemError, ValueError):
    """An embedding returned something that is not a finite, non-zero vector of the expected length."""


class DimensionMismatchError(InvalidVectorError):
    """An embedding returned vectors of another length than this memory holds."""


class EmbeddingMismatchError(FluxMemError, ValueError):
    """The memory was written with another embedding than the one it is opened with."""


class EmbeddingFailedError(FluxMemError, RuntimeError):
    """The embedding raised; nothing of the batch was stored. The cause is chained."""


class LedgerError(FluxMemError, OSError):
    """The ledger cannot be opened, read or written (not a directory, read-only, disk full, corrupt, busy)."""


class NotAMemoryError(LedgerError):
    """The address is a file, or a directory that holds something else."""


class UnavailableError(LedgerError):
    """The database server is away, or has no connection to give, for longer than `busy_timeout`; what was to be written may be tried again."""


class SchemaVersionError(LedgerError):
    """The ledger was written by a newer version of the package."""


class ClosedError(FluxMemError, RuntimeError):
    """The memory was used after `close()`."""


class UnknownIdError(FluxMemError, KeyError):
    """An id of a version, episode, run, operation or commit that this memory does not hold."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class AmbiguousIdError(UnknownIdError):
    """An id that stands in several namespaces; which one is meant has to be said."""


class ForeignMemoryError(FluxMemError, ValueError):
    """An activation, commit or export that belongs to another memory."""


class FeedbackError(FluxMemError, ValueError):
    """Feedback that contradicts itself."""


class DependentsError(FluxMemError, RuntimeError):
    """`undo` was refused because later operations rest on the one named; `dependents` lists them."""

    def __init__(self, message: str, dependents: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.dependents = dependents


class LeaseLostError(FluxMemError, RuntimeError):
    """A lease expired, or somebody with a newer fencing token holds it."""


class StaleError(FluxMemError, RuntimeError):
    """A plan was made from what is not current any more; nothing of it was written. `nodes` are the nodes that have changed."""

    def __init__(self, message: str, nodes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.nodes = nodes


class StateError(FluxMemError, ValueError):
    """A graph's state lacks the memory channels, or holds something the memory nodes did not write."""


class MissingExtraError(FluxMemError, ImportError):
    """An optional dependency is not installed; the message holds the pip line."""
