"""What memory does, made visible: runs for LangChain's tracers, events for metrics.

A call to remember, recall, refine, learn, commit, undo or consolidate is a run beneath the run it is made in, so that any tracer shows it
with its inputs, its result, what it counted and what it cost. Listeners (`FluxMem.on_event`) get an `Event` for each: numbers, no content.
Where nobody looks, neither costs more than a look whether somebody does.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextvars import Token
from dataclasses import dataclass, field
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

from langchain_core.callbacks import AsyncCallbackManager, BaseCallbackManager, CallbackManager
from langchain_core.runnables.config import RunnableConfig, var_child_runnable_config

from langgraph_fluxmem.consolidation.report import Report
from langgraph_fluxmem.edits import Applied
from langgraph_fluxmem.requests import Begin, End, Stage
from langgraph_fluxmem.schema import Activation, Feedback

Kind = Literal["remember", "recall", "refine", "learn", "commit", "undo", "consolidate"]
P = ParamSpec("P")
Owner = TypeVar("Owner")
M = TypeVar("M", CallbackManager, AsyncCallbackManager)
_LOG = logging.getLogger("langgraph_fluxmem")
_TRACING = ("LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2", "LANGSMITH_TRACING", "LANGCHAIN_TRACING")


@dataclass(frozen=True, slots=True)
class Event:
    """One call, done or failed. Numbers and names only: no text of a query, a fact or a step is in it.

    `started` is in epoch seconds, `counts` by what there was of each (facts, episodes, skills, steps, fallbacks, ...), `error` the name of
    what was raised (None: nothing), `operation` what it wrote, for `undo` (None: it wrote nothing).
    """

    kind: Kind
    namespace: tuple[str, ...] | None
    started: float
    seconds: float
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    model_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    operation: str | None = None
    error: str | None = None


Listener = Callable[[Event], None]


def observed(kind: Kind) -> Callable[[Callable[Concatenate[Owner, P], Stage]], Callable[Concatenate[Owner, P], Stage]]:
    """Make a builder of stages say when its stage begins and how it ends; its first argument is what it is about."""

    def decorate(builder: Callable[Concatenate[Owner, P], Stage]) -> Callable[Concatenate[Owner, P], Stage]:
        @functools.wraps(builder)
        def stage(owner: Owner, *args: P.args, **kwargs: P.kwargs) -> Stage:
            run = yield Begin(kind, args, kwargs)
            try:
                result = yield from builder(owner, *args, **kwargs)
            except Exception as error:
                yield End(run, error=error)
                raise
            yield End(run, result)
            return result

        return stage

    return decorate


class Observers:
    """Who listens to one memory in this process."""

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()
        self._lock = threading.Lock()

    def add(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` after each call; returns what ends that. What it raises is logged, and goes no further."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def remove() -> None:
            with self._lock:
                self._listeners = tuple(other for other in self._listeners if other is not listener)

        return remove

    def watch(self) -> Watch:
        """What one drive of the engine reports to."""
        return Watch(self)

    @property
    def some(self) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners)

    def tell(self, event: Event) -> None:
        """Hand an event to every listener."""
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:  # noqa: BLE001 - shown in the log; a listener is not memory
                _LOG.exception("a listener raised on %s; memory is not affected", event.kind)


@dataclass(slots=True)
class _Run:
    """One call under way. `traced` is its run in the tracers, `token` restores the context that its own calls of a model stood in."""

    kind: Kind
    args: tuple[Any, ...]
    options: Mapping[str, Any]
    started: float
    clock: float
    traced: Any = None
    token: Token[RunnableConfig | None] | None = None

    @property
    def about(self) -> Any:
        """What was called upon: a query, an activation, an episode, ..."""
        return self.args[0] if self.args else None


class Watch:
    """The observers of one drive: told of each begin and end, and of an abandoned drive. Its methods are generators: what they yield is
    called by the driver, and awaited if it is awaitable."""

    __slots__ = ("_observers", "_open")

    def __init__(self, observers: Observers) -> None:
        self._observers = observers
        self._open: list[_Run] = []

    def ignored(self, request: Begin | End) -> bool:
        """Whether nobody would hear of it: no generator need be made then."""
        if isinstance(request, End):
            return request.run is None
        if self._observers.some or _environment_traces():
            return False
        config = var_child_runnable_config.get()
        return not (config and config.get("callbacks"))

    def told(self, request: Begin | End, *, asynchronous: bool) -> Generator[Callable[[], Any], Any, _Run | None]:
        """Answer a stage's request."""
        if isinstance(request, Begin):
            return (yield from self._begin(request, asynchronous=asynchronous))
        return (yield from self._end(request))

    def _begin(self, request: Begin, *, asynchronous: bool) -> Generator[Callable[[], Any], Any, _Run | None]:
        """Start a run where somebody looks; None where nobody does."""
        config = var_child_runnable_config.get()
        manager = _manager(config, AsyncCallbackManager) if asynchronous else _manager(config, CallbackManager)
        if manager is None and not self._observers.some:
            return None
        run = _Run(request.kind, request.args, request.options, time.time(), time.perf_counter())
        if manager is not None:
            inputs = _inputs(run)
            run.traced = yield lambda: manager.on_chain_start({}, inputs, name=f"fluxmem.{run.kind}")
            child: RunnableConfig = {**(config or {}), "callbacks": run.traced.get_child()}
            run.token = var_child_runnable_config.set(child)
        self._open.append(run)
        return run

    def _end(self, request: End) -> Generator[Callable[[], Any], Any, None]:
        """End a run with its result, or with what was raised."""
        run: _Run | None = request.run
        if run is None:
            return
        self._open.remove(run)
        if run.token is not None:
            var_child_runnable_config.reset(run.token)
        seconds = time.perf_counter() - run.clock
        error = request.error
        event = _event(run, seconds, request.result, error)
        if run.traced is not None:
            if error is not None:
                yield lambda: run.traced.on_chain_error(error)
            else:
                outputs = _outputs(request.result, event)
                yield lambda: run.traced.on_chain_end(outputs)
        self._observers.tell(event)

    def abandoned(self, error: BaseException) -> Generator[Callable[[], Any], Any, None]:
        """End what is open, because the drive was cancelled or interrupted."""
        for run in reversed(list(self._open)):
            yield from self._end(End(run, error=error))


@functools.cache
def _environment_traces() -> bool:
    """Whether the environment turns tracing on; read once, as LangSmith does."""
    return any(os.environ.get(name) == "true" for name in _TRACING)


def _manager(config: RunnableConfig | None, kind: type[M]) -> M | None:
    """The callback manager of the run that this call is made in; None where no handler would hear of it."""
    found = config.get("callbacks") if config else None
    if isinstance(found, BaseCallbackManager):
        if not found.handlers:
            return None
        return kind(
            handlers=found.handlers,
            inheritable_handlers=found.inheritable_handlers,
            parent_run_id=found.parent_run_id,
            tags=found.tags,
            inheritable_tags=found.inheritable_tags,
            metadata=found.metadata,
            inheritable_metadata=found.inheritable_metadata,
        )
    if found or _environment_traces():
        manager = kind.configure(inheritable_callbacks=found)
        return manager if manager.handlers else None
    return None


# ------------------------------------------------------------------------------------------------------------------ what is reported
def _namespace(run: _Run) -> tuple[str, ...] | None:
    given = run.options.get("namespace") or getattr(run.about, "namespace", None)
    return tuple(given) if given else None


def _inputs(run: _Run) -> dict[str, Any]:
    about = run.about
    said: dict[str, Any] = {}
    if isinstance(about, Activation):
        said["activation"] = about.id
    elif hasattr(about, "model_dump"):
        said[type(about).__name__.lower()] = about.model_dump(mode="json", exclude_defaults=True)
    elif isinstance(about, str):
        said["operation" if run.kind == "undo" else "text"] = about
    elif isinstance(about, (list, tuple)):
        said["documents"] = len(about)
    if len(run.args) > 1 and isinstance(run.args[1], Feedback):
        said["feedback"] = run.args[1].model_dump(mode="json", exclude_defaults=True)
    said["namespace"] = _namespace(run)
    for name in ("k", "preset", "evidence", "source", "enrich", "cascade"):
        if run.options.get(name) is not None:
            said[name] = run.options[name]
    return said


def _event(run: _Run, seconds: float, result: Any, error: BaseException | None) -> Event:
    counts: dict[str, int] = {}
    calls = read = written = 0
    operation: str | None = None
    if isinstance(result, Activation):
        counts = {name: len(getattr(result, name)) for name in ("facts", "steps", "episodes", "skills", "fallbacks")}
        counts["round"] = result.round
        calls, read, written = result.model_calls, result.input_tokens, result.output_tokens
        if run.kind == "refine" and isinstance(run.about, Activation):
            before = run.about
            calls, read, written = calls - before.model_calls, read - before.input_tokens, written - before.output_tokens
    elif isinstance(result, Report):
        counts = {
            "episodes": result.new,
            "explained": result.explained,
            "accepted": len(result.decided("accepted")),
            "replays": result.replays,
            "fallbacks": result.fallbacks,
        }
        calls, read, written, operation = result.calls, result.input_tokens, result.output_tokens, result.operation
    elif isinstance(result, Applied):
        counts, operation = {"duplicates": int(result.duplicate)}, result.operation or None
    elif isinstance(result, list):
        counts = {"facts": len(result)}
    elif isinstance(result, str):
        operation = result
    name = None if error is None else type(error).__name__
    return Event(run.kind, _namespace(run), run.started, seconds, counts, calls, read, written, operation, name)


def _outputs(result: Any, event: Event) -> dict[str, Any]:
    said: dict[str, Any] = {"counts": dict(event.counts), "operation": event.operation}
    if event.model_calls:
        said["cost"] = {"model_calls": event.model_calls, "input_tokens": event.input_tokens, "output_tokens": event.output_tokens}
    if isinstance(result, Activation):
        said["activation"] = result.id
        said["facts"] = [{"id": fact.id, "score": fact.score, "content": fact.content} for fact in result.facts]
        said["skills"] = [{"id": skill.id, "name": skill.name} for skill in result.skills]
        said["edits"] = [{"action": edit.action, "reason": edit.reason} for edit in result.edits]
        said["context"] = result.context
    elif isinstance(result, Report):
        said["report"] = str(result)
    elif isinstance(result, list):
        said["ids"] = list(result)
    return said
