"""The only place where stages meet IO: two small drivers, one sync and one async, that answer the requests a stage yields."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Generator, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from langgraph_fluxmem import packed
from langgraph_fluxmem.bodies import Bodies
from langgraph_fluxmem.branches import Branch, BranchView
from langgraph_fluxmem.config import Config
from langgraph_fluxmem.edits import VectorWrite
from langgraph_fluxmem.embeddings import Embedder, Matrix
from langgraph_fluxmem.errors import ClosedError
from langgraph_fluxmem.index.projections import Projections
from langgraph_fluxmem.learned import Learned
from langgraph_fluxmem.learning import FLOOR, LEXICAL_FLOOR, Repair
from langgraph_fluxmem.ledger import Ledger
from langgraph_fluxmem.ledger.past import PastLedger, time_of
from langgraph_fluxmem.observing import Observers
from langgraph_fluxmem.requests import (
    Apply,
    ApplyAll,
    Begin,
    Call,
    Embed,
    EmbedFor,
    End,
    Fetch,
    Hidden,
    Judge,
    LearnedOf,
    Load,
    Request,
    Stage,
    Undo,
    Views,
)
from langgraph_fluxmem.schema import Action, Activation, Advice, Namespace, Vector, Why

K = TypeVar("K")
V = TypeVar("V")
PASTS = 4
"""So many past moments are kept read."""
_KEPT_QUERIES = 1024
"""Vectors of queries and tasks of late, kept so that a task is embedded once and `advise` embeds nothing."""


class Engine:
    """Ledger, projections and embedding of one memory, shared by every `FluxMem` opened on its address in this process."""

    def __init__(self, ledger: Ledger, embedder: Embedder, config: Config, directory: Path | None) -> None:
        self.ledger = ledger
        self.embedder = embedder
        self.config = config
        self.projections = Projections(ledger, config, directory=directory)
        self.bodies = Bodies(ledger, config.text_cache_mb << 20) if config.text_cache_mb else None
        """What facts say, as far as it is kept in memory."""
        self.observers = Observers()
        self._learned: OrderedDict[tuple[Namespace, frozenset[str]], Learned] = OrderedDict()
        self._branches: OrderedDict[Namespace, BranchView] = OrderedDict()
        self._queries: OrderedDict[str, Vector] = OrderedDict()
        self._pasts: OrderedDict[tuple[int, float], tuple[Engine, int]] = OrderedDict()
        """Engines on the past, each with the log's head when it was known that nothing that it read had been erased."""
        self._lock = threading.Lock()
        self._closed = False

    # ------------------------------------------------------------------------------------------------------------------- drivers
    def run(self, stage: Stage) -> Any:
        """Drive a stage to its result, answering each request here; what a request raises is raised inside the stage."""
        self._check_open()
        answer: Any = None
        failure: Exception | None = None
        heads = _Heads(self.ledger)
        watch = self.observers.watch()
        self.projections.begin_call()
        try:
            while True:
                over, asked = _advance(stage, answer, failure)
                if over:
                    return asked
                try:
                    if isinstance(asked, (Begin, End)):
                        answer, failure = None if watch.ignored(asked) else _called(watch.told(asked, asynchronous=False)), None
                    else:
                        answer, failure = self._answer(asked, heads), None
                except Exception as error:  # noqa: BLE001 - raised inside the stage
                    answer, failure = None, error
        except BaseException as error:
            _called(watch.abandoned(error))
            stage.close()
            raise
        finally:
            self.projections.end_call()

    async def arun(self, stage: Stage) -> Any:
        """The same for asyncio: embeddings and writes are awaited, everything else that may block runs in a worker thread."""
        self._check_open()
        answer: Any = None
        failure: Exception | None = None
        heads = _Heads(self.ledger)
        watch = self.observers.watch()
        self.projections.begin_call()
        try:
            while True:
                over, asked = _advance(stage, answer, failure)
                if over:
                    return asked
                try:
                    if isinstance(asked, (Begin, End)):
                        answer, failure = None if watch.ignored(asked) else await _acalled(watch.told(asked, asynchronous=True)), None
                    else:
                        answer, failure = await self._aanswer(asked, heads), None
                except Exception as error:  # noqa: BLE001 - raised inside the stage
                    answer, failure = None, error
        except BaseException as error:
            await _acalled(watch.abandoned(error))
            await asyncio.to_thread(stage.close)
            raise
        finally:
            self.projections.end_call()

    # ------------------------------------------------------------------------------------------------------------------- answers
    def _answer(self, request: Request, heads: _Heads) -> Any:
        heads.before(request)
        if isinstance(request, Embed):
            missing = self._unknown_queries(request)
            return self._embedded(request, missing, self.embedder.embed(missing, query=request.query))
        if isinstance(request, EmbedFor):
            known, missing = self._known_vectors(request)
            return self._with_new(known, missing, self.embedder.embed([text for _, text in missing]))
        return self._blocking(request, heads)

    async def _aanswer(self, request: Request, heads: _Heads) -> Any:
        heads.before(request)
        if isinstance(request, Embed):
            missing = self._unknown_queries(request)
            return self._embedded(request, missing, await self.embedder.aembed(missing, query=request.query))
        if isinstance(request, EmbedFor):
            known, missing = await asyncio.to_thread(self._known_vectors, request)
            return self._with_new(known, missing, await self.embedder.aembed([text for _, text in missing]))
        if isinstance(request, Apply):
            applied = await asyncio.wrap_future(self.ledger.submit(request.plan))
            self.projections.follow()
            return applied
        if isinstance(request, ApplyAll):
            queued = await asyncio.to_thread(self.ledger.submit_many, request.plans)
            every = await asyncio.wrap_future(queued)
            self.projections.follow()
            return every
        if isinstance(request, Judge):
            return await request.operators.ajudge(request.task)
        return await asyncio.to_thread(self._blocking, request, heads)

    def _blocking(self, request: Request, heads: _Heads) -> Any:
        if isinstance(request, Views):
            return [self.projections.view(name, request.hidden, heads.of(name)) for name in request.namespaces]
        if isinstance(request, Hidden):
            return self.hidden(request.namespace, request.branch, heads.of(request.namespace))
        if isinstance(request, LearnedOf):
            return self.learned(request.namespace, request.hidden, heads.of(request.namespace))
        if isinstance(request, Load):
            if request.brief and request.at is not None and self.bodies is not None:
                return self.bodies.read(request.namespace, request.ids, request.at)
            return (self.ledger.bodies if request.brief else self.ledger.load)(request.namespace, request.ids)
        if isinstance(request, Judge):
            return request.operators.judge(request.task)
        if isinstance(request, Apply):
            applied = self.ledger.apply(request.plan)
            self.projections.follow()
            return applied
        if isinstance(request, ApplyAll):
            every = self.ledger.submit_many(request.plans).result()
            self.projections.follow()
            return every
        if isinstance(request, Call):
            return request.read(self)
        if isinstance(request, Undo):
            applied = self.ledger.undo(request.operation, cascade=request.cascade)
            self.projections.follow()
            return applied
        if isinstance(request, Fetch):
            return getattr(self.ledger, request.method)(*request.args)
        raise TypeError(f"a stage yielded {type(request).__name__}, which is no request")

    def _unknown_queries(self, request: Embed) -> list[str]:
        """The texts to embed: all of them, but for queries of late, whose vectors are kept."""
        if not request.query:
            return list(request.texts)
        with self._lock:
            return [text for text in dict.fromkeys(request.texts) if text not in self._queries]

    def _embedded(self, request: Embed, texts: list[str], vectors: Matrix) -> Matrix:
        if not request.query:
            return vectors
        new = dict(zip(texts, vectors, strict=True))
        with self._lock:
            answer = [new[text] if text in new else self._queries[text] for text in request.texts]
            self._queries.update(new)
            while len(self._queries) > _KEPT_QUERIES:
                self._queries.popitem(last=False)
        return answer[0][None] if len(answer) == 1 else np.stack(answer)

    def _known_vectors(self, request: EmbedFor) -> tuple[dict[str, Vector], list[tuple[str, str]]]:
        unique = dict(request.texts)
        known = self.ledger.vectors(request.namespace, list(unique))
        return known, [(key, text) for key, text in unique.items() if key not in known]

    @staticmethod
    def _with_new(
        known: dict[str, Vector], missing: Sequence[tuple[str, str]], vectors: Matrix
    ) -> tuple[dict[str, VectorWrite], dict[str, Vector]]:
        new = {key: VectorWrite(key, vector) for (key, _), vector in zip(missing, vectors, strict=True)}
        return new, {**known, **{key: write.vector for key, write in new.items()}}

    # ------------------------------------------------------------------------------------------------------------ branch, learned
    def hidden(self, namespace: Namespace, branch: Branch, head: int | None = None) -> frozenset[str]:
        """Commits that a branch must not see, from the commits as of the log's `head` (None: it is read)."""
        with self._lock:
            view = self._branches.get(namespace) or BranchView(namespace)
            self._keep(self._branches, namespace, view)
        return view.hidden(self.ledger, branch, self.config.on_fork, head)

    def learned(self, namespace: Namespace, hidden: Collection[str] = (), head: int | None = None) -> Learned:
        """What evidence has taught in a namespace (without the `hidden` commits), caught up with the log, up to its `head` (None: it is read)."""
        key = (namespace, frozenset(hidden))
        with self._lock:
            found = self._learned.get(key) or Learned(namespace, key[1], LEXICAL_FLOOR if self.embedder.lexical else FLOOR)
            self._keep(self._learned, key, found)
        state = found.followed(self.ledger, head)
        if state is not found:
            with self._lock:
                if self._learned.get(key) is found:
                    self._learned[key] = state
        return state

    def advise(self, activation: Activation, actions: Sequence[Action]) -> list[Advice]:
        """Answer `Activation.advise` from what is in memory; the log is read only when the learned state was dropped since the recall."""
        if activation.as_of is not None and not isinstance(self.ledger, PastLedger):
            return self.past(activation.as_of).advise(activation, actions)
        if activation.bypassed:
            return [Advice(action=action, score=0.0, value=0.5, risk=0.0, support=0.0, why=Why(path=("bypassed",))) for action in actions]
        learned = self.loaded(activation.namespace, activation.hidden, activation.position)
        if learned is None:
            self._check_open()
            learned = self.learned(activation.namespace, activation.hidden)
        vector = self._answer(Embed((activation.situation.task,), query=True), _Heads(self.ledger))[0]
        skills = [skill.id for skill in activation.skills]
        return learned.advise(activation.situation, vector, actions, Repair.of(activation.repair), skills)

    def past(self, position: int, moment: float | None = None) -> Engine:
        """An engine on the ledger as it was at a log position, when it was `moment` (epoch seconds; None: when that was written). One of the
        last `PASTS` is used again unless something was erased since; it need not be closed."""
        if moment is None:
            moment = self.ledger.read(lambda session: time_of(session, position))
        head = self.ledger.head()
        with self._lock:
            found, known = self._pasts.get((position, moment), (None, head))
        if found is None or (head > known and self.ledger.erased(known) != []):
            config = self.config.model_copy(update={"chroma": "off", "text_cache_mb": 0})
            found = Engine(cast("Ledger", PastLedger(self.ledger, position, moment)), self.embedder, config, None)
            found.observers = self.observers
        with self._lock:
            self._keep(self._pasts, (position, moment), (found, head), PASTS)
        return found

    def _keep(self, kept: OrderedDict[K, V], key: K, value: V, most: int | None = None) -> None:
        kept[key] = value
        kept.move_to_end(key)
        while len(kept) > (most or self.config.open_namespaces):
            kept.popitem(last=False)

    def loaded(self, namespace: Namespace, hidden: Collection[str], position: int) -> Learned | None:
        """The learned state if it is in memory and at least at `position`: no IO, for use inside an event loop."""
        with self._lock:
            found = self._learned.get((namespace, frozenset(hidden)))
        return found if found is not None and found.position >= position else None

    # --------------------------------------------------------------------------------------------------------------- care and end
    def verify(self) -> list[str]:
        """One line for each difference between a projection and the ledger, and within the ledger; empty when all is well."""
        lines = self.ledger.check() + self.projections.verify()
        with self._lock:
            states = list(self._learned.values())
        for state in states:
            lines += state.verify(self.ledger)
        return lines

    def rebuild(self, name: str | None = None) -> None:
        """Drop one projection (``exact``, ``postings``, ``graph``, ``chroma``, ``learned``), or all, and replay the log. Nothing is embedded."""
        if name in (None, "learned"):
            with self._lock:
                self._learned.clear()
        if name is None and self.bodies is not None:
            self.bodies.clear()
        if name != "learned":
            self.projections.rebuild(name)

    def forgot(self) -> None:
        """Something was forgotten: drop what is kept in memory of texts. Projections follow the log as always."""
        with self._lock:
            self._queries.clear()
        packed.clear()
        if self.bodies is not None:
            self.bodies.clear()

    def close(self) -> None:
        """Stop the threads and close every file; a second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self.projections.close()
        self.ledger.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("this memory is closed; open it again with `FluxMem.open(...)`")


class _Heads:
    """Heads of namespaces for one run: following reads of one namespace, with nothing else between them, are of one moment."""

    __slots__ = ("_known", "_ledger")

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: dict[Namespace, int] = {}

    def of(self, namespace: Namespace) -> int:
        """The log's head of a namespace, read when it is first asked for."""
        found = self._known.get(namespace)
        if found is None:
            found = self._known[namespace] = self._ledger.head(namespace)
        return found

    def before(self, request: Request) -> None:
        """Forget the heads where anything else than a read at the head comes: it may write, and it may take its time."""
        if self._known and type(request) not in _AT_HEAD:
            self._known.clear()


_AT_HEAD = frozenset((Hidden, LearnedOf, Views))


def _advance(stage: Stage, answer: Any, failure: Exception | None) -> tuple[bool, Any]:
    """(False, next request), or (True, the stage's result)."""
    try:
        return False, (stage.throw(failure) if failure else stage.send(answer))
    except StopIteration as stop:
        return True, stop.value


def _called(calls: Generator[Callable[[], Any], Any, Any]) -> Any:
    """Make the calls that observers ask for; returns their result."""
    answer: Any = None
    while True:
        try:
            call = calls.send(answer)
        except StopIteration as stop:
            return stop.value
        answer = call()


async def _acalled(calls: Generator[Callable[[], Any], Any, Any]) -> Any:
    """Async twin of `_called`."""
    answer: Any = None
    while True:
        try:
            call = calls.send(answer)
        except StopIteration as stop:
            return stop.value
        answer = call()
        if inspect.isawaitable(answer):
            answer = await answer
