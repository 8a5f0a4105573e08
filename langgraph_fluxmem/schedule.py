"""Consolidation on a schedule: a cron of a LangGraph server, or a thread of one's own process [F 3.3].

A LangGraph server has no upsert for crons, so every cron of ours carries metadata that names its namespace: scheduling again changes the
one there is, and of several (two servers that started at once) the oldest stays. All fires of a namespace run on one thread, so that a fire
takes up what a crash left of the one before (its checkpoints are written before it goes on); a fire while that one runs is refused by the
server. Runs that are started elsewhere may overlap with it; the lease of a consolidation sees to it that one of them happens.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import uuid
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from langgraph_fluxmem.consolidation.report import Report
from langgraph_fluxmem.consolidation.settings import Settings
from langgraph_fluxmem.errors import ConfigError
from langgraph_fluxmem.namespaces import DEFAULT, check_namespace
from langgraph_fluxmem.schema import Namespace

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langgraph_sdk.client import SyncLangGraphClient

    from langgraph_fluxmem.consolidation.replaying import Replay
    from langgraph_fluxmem.memory import FluxMem
    from langgraph_fluxmem.operators import Operators

NIGHTLY = "0 3 * * *"
GRAPH = "consolidation"
_OURS = {"langgraph_fluxmem": "consolidation"}
_PAGE = 100
_THREADS = uuid.UUID("7f0f2c0e-6f0a-5d0e-9a53-1f3c0f1f7a15")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Scheduled:
    """One cron of ours on a server: `id` of the server, the namespace it consolidates, its cron expression, and the thread it runs on."""

    id: str
    namespace: Namespace
    cron: str
    thread: str = ""
    thresholds: Mapping[str, Any] = field(default_factory=dict)
    next_run: str | None = None
    enabled: bool = True


def schedule(
    url: str,
    *,
    namespace: Sequence[str] = DEFAULT,
    cron: str = NIGHTLY,
    thresholds: Mapping[str, Any] | None = None,
    timezone: str | None = None,
    graph: str = GRAPH,
    api_key: str | None = None,
) -> Scheduled:
    """Consolidate a namespace on a LangGraph server by a cron (UTC, or `timezone`): made, or changed where there is one. Returns it.

    `graph` is the name of the consolidation graph in the server's ``langgraph.json``. The thread of its fires holds the last report
    (``client.threads.get_state(thread)["values"]["report"]``).

    Raises:
        ConfigError: the server cannot be reached, has no such graph, or refuses the cron expression; a threshold that cannot be.
    """
    where = check_namespace(namespace)
    given = dict(thresholds or {})
    Settings.of(given)
    payload: dict[str, Any] = {
        "schedule": cron,
        "input": {"namespace": list(where), "thresholds": given},
        "metadata": {**_OURS, "namespace": _label(where)},
        "multitask_strategy": "reject",
        "durability": "sync",
    }
    if timezone is not None:
        payload["timezone"] = timezone
    with _client(url, api_key) as client:
        thread = thread_of(where)
        client.threads.create(thread_id=thread, if_exists="do_nothing", metadata=payload["metadata"])
        there = [cron for cron in _found(client, where) if cron.thread == thread]
        if there:
            changed = {key: value for key, value in payload.items() if key not in ("metadata", "multitask_strategy")}
            client.crons.update(there[0].id, **changed, enabled=True)
        else:
            client.crons.create_for_thread(thread, graph, **payload)
        first, *others = sorted(_found(client, where), key=lambda cron: cron.thread != thread)
        for other in others:
            client.crons.delete(other.id)
        return first


def thread_of(namespace: Sequence[str]) -> str:
    """Id of the server's thread on which a namespace is consolidated."""
    return str(uuid.uuid5(_THREADS, _label(check_namespace(namespace))))


def scheduled(url: str, *, namespace: Sequence[str] | None = None, api_key: str | None = None) -> list[Scheduled]:
    """The crons of ours on a server, oldest first; those of one namespace when it is given.

    Raises:
        ConfigError: the server cannot be reached.
    """
    where = None if namespace is None else check_namespace(namespace)
    with _client(url, api_key) as client:
        return _found(client, where)


def unschedule(url: str, *, namespace: Sequence[str] | None = None, api_key: str | None = None) -> int:
    """Remove the crons of a namespace, or all of ours; returns how many there were.

    Raises:
        ConfigError: the server cannot be reached.
    """
    where = None if namespace is None else check_namespace(namespace)
    with _client(url, api_key) as client:
        there = _found(client, where)
        for cron in there:
            client.crons.delete(cron.id)
        return len(there)


async def aschedule(url: str, **options: Any) -> Scheduled:
    """Async twin of `schedule`."""
    return await asyncio.to_thread(schedule, url, **options)


async def ascheduled(url: str, **options: Any) -> list[Scheduled]:
    """Async twin of `scheduled`."""
    return await asyncio.to_thread(scheduled, url, **options)


async def aunschedule(url: str, **options: Any) -> int:
    """Async twin of `unschedule`."""
    return await asyncio.to_thread(unschedule, url, **options)


@contextmanager
def _client(url: str, api_key: str | None) -> Generator[SyncLangGraphClient]:
    import httpx  # noqa: PLC0415 - langgraph's own client, loaded by those who schedule
    from langgraph_sdk import get_sync_client  # noqa: PLC0415
    from langgraph_sdk.errors import APIStatusError  # noqa: PLC0415

    client = get_sync_client(url=url, api_key=api_key)
    try:
        yield client
    except APIStatusError as error:
        raise ConfigError(
            f"the server at {url} refused ({error.status_code}): {str(error)[:300]}; is the graph in its langgraph.json?"
        ) from error
    except httpx.HTTPError as error:
        raise ConfigError(f"no LangGraph server answers at {url}: {error}; start one with `langgraph dev`, or give its address") from error
    finally:
        client.http.client.close()


def _label(namespace: Namespace) -> str:
    return ".".join(namespace)


def _found(client: SyncLangGraphClient, namespace: Namespace | None) -> list[Scheduled]:
    metadata = dict(_OURS) if namespace is None else {**_OURS, "namespace": _label(namespace)}
    rows: list[Mapping[str, Any]] = []
    while True:
        page: list[Any] = list(client.crons.search(metadata=metadata, limit=_PAGE, offset=len(rows)))
        rows += page
        if len(page) < _PAGE:
            break
    rows.sort(key=lambda row: (str(row.get("created_at")), str(row["cron_id"])))
    return [_read(row) for row in rows]


def _read(row: Mapping[str, Any]) -> Scheduled:
    given: Mapping[str, Any] = (row.get("payload") or {}).get("input") or {}
    when = row.get("next_run_date")
    return Scheduled(
        id=str(row["cron_id"]),
        namespace=tuple(given.get("namespace") or DEFAULT),
        cron=str(row["schedule"]),
        thread=str(row.get("thread_id") or ""),
        thresholds=dict(given.get("thresholds") or {}),
        next_run=None if when is None else str(when),
        enabled=bool(row.get("enabled", True)),
    )


class Scheduler:
    """Consolidates an embedded memory every so often, in a thread of its own.

        with Scheduler(mem, every=3600.0) as scheduler:
            ...
            scheduler.reports[-1]

    Args:
        every: seconds between the end of one pass and the beginning of the next.
        namespaces: what to consolidate; None: every namespace that holds something.
        on_report: called with each report. on_error: with a namespace and what it raised; without it failures are logged. Either way they
            are in `failures`, and the next pass goes on.

    """

    def __init__(
        self,
        mem: FluxMem,
        *,
        every: float = 3600.0,
        namespaces: Sequence[Sequence[str]] | None = None,
        model: BaseChatModel | str | Operators | None = None,
        replay: Replay | None = None,
        thresholds: Settings | Mapping[str, Any] | None = None,
        on_report: Callable[[Report], None] | None = None,
        on_error: Callable[[Namespace, Exception], None] | None = None,
    ) -> None:
        if not every > 0:
            raise ConfigError(f"every is {every!r}; give the seconds between two passes, above 0")
        self._mem = mem
        self._every = every
        self._namespaces = None if namespaces is None else [check_namespace(namespace) for namespace in namespaces]
        self._options: dict[str, Any] = {"model": model, "replay": replay, "thresholds": Settings.of(thresholds)}
        self._on_report = on_report
        self._on_error = on_error
        self.reports: deque[Report] = deque(maxlen=100)
        self.failures: deque[tuple[Namespace, Exception]] = deque(maxlen=100)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Begin; the first pass is after `every` seconds. A second call does nothing."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop, name="fluxmem-consolidation", daemon=True)
            self._thread.start()
        return self

    def stop(self) -> None:
        """End after the namespace that is under way."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def run_once(self) -> list[Report]:
        """One pass, now, in the caller's thread; returns its reports."""
        done: list[Report] = []
        for namespace in self._namespaces if self._namespaces is not None else self._mem.engine.ledger.namespaces():
            if self._stop.is_set():
                break
            try:
                report = self._mem.consolidate(namespace=namespace, **self._options)
            except Exception as error:  # noqa: BLE001 - kept, shown, and the other namespaces go on
                self.failures.append((namespace, error))
                if self._on_error is not None:
                    self._on_error(namespace, error)
                else:
                    _log.exception("consolidation of %s failed", ".".join(namespace))
                continue
            done.append(report)
            self.reports.append(report)
            if self._on_report is not None:
                self._on_report(report)
        return done

    def _loop(self) -> None:
        while not self._stop.wait(self._every):
            self.run_once()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
