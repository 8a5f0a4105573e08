"""What LangGraph knows of the node that is running: provenance for edits, and the values namespace templates are filled from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langgraph_fluxmem.branches import enclosing
from langgraph_fluxmem.namespaces import NamespaceTemplate
from langgraph_fluxmem.schema import Namespace, Provenance

if TYPE_CHECKING:
    from langgraph.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of a node; outside a graph every field is empty."""

    provenance: Provenance = field(default_factory=Provenance)
    context: object = None
    configurable: Mapping[str, Any] = field(default_factory=dict)
    user: object = None
    store: object = None
    above: tuple[str, ...] = ()
    """Checkpoints of the graphs around this one, where this one is a subgraph; the outermost first."""

    @property
    def within(self) -> str | None:
        """The run of the subgraph this node is in, which is the same when it is resumed; None outside of one, and in one that has a
        checkpointer of its own, whose runs are told apart by their checkpoints."""
        around = (self.provenance.checkpoint_ns or "").rpartition("|")[0]
        return around if ":" in around.rpartition("|")[2] else None

    def lacks(self, channels: Iterable[str]) -> str | None:
        """The first of these keys that the graph's state has no channel for; None: it has all of them, or LangGraph does not tell.

        How LangGraph tells is no part of its public interface: the function that reads a channel, which raises KeyError for one that is not
        there. Where that is absent, or has changed, nothing is refused here; a node that then misses what an earlier one wrote says so.
        """
        read = self.configurable.get("__pregel_read")
        if not callable(read):
            return None
        for channel in channels:
            try:
                read(channel)
            except KeyError:
                return channel
            except TypeError:
                return None
        return None

    def fill(self, template: NamespaceTemplate) -> Namespace:
        """The namespace of a template in this execution.

        Raises:
            UnresolvedNamespaceError, InvalidNamespaceError: see `NamespaceTemplate.resolve`.
        """
        return template.resolve(self.context, self.configurable, self.user)


def current() -> Execution:
    """The execution this code runs in; an empty one outside of a LangGraph node or task."""
    from langgraph.config import get_config  # noqa: PLC0415 - langgraph is loaded by those who use it
    from langgraph.runtime import get_runtime  # noqa: PLC0415

    try:
        config = get_config()
    except RuntimeError:  # not inside a runnable
        return Execution()
    configurable: Mapping[str, Any] = config.get("configurable", {})
    try:
        runtime: Runtime[Any] | None = get_runtime()
    except (RuntimeError, KeyError):
        runtime = None
    if runtime is None:  # inside a plain runnable, not inside a graph
        return Execution(configurable=configurable)
    info = runtime.execution_info
    server = runtime.server_info
    provenance = Provenance(
        thread_id=_text(info.thread_id if info else None),
        checkpoint_id=_text(info.checkpoint_id if info else None),
        checkpoint_ns=_text(info.checkpoint_ns if info else None),
        task_id=_text(info.task_id if info else None),
        run_id=_text(info.run_id if info else None) or _text(config.get("run_id")),
    )
    user = server.user if server is not None else configurable.get("langgraph_auth_user")
    above = enclosing(configurable.get("checkpoint_map") or {}, provenance.checkpoint_ns)
    return Execution(provenance, runtime.context, configurable, user, runtime.store, above)


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)
