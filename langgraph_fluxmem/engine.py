"""The only place where stages meet IO: two small drivers, one sync and one async, that answer the requests a stage yields."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from langgraph_fluxmem.config import Config
from langgraph_fluxmem.embeddings import Embedder
from langgraph_fluxmem.errors import ClosedError
from langgraph_fluxmem.index.projections import Projections
from langgraph_fluxmem.learned import Learned
from langgraph_fluxmem.ledger import Ledger
from langgraph_fluxmem.requests import Apply, Embed, EmbedFor, Fetch, LearnedOf, Load, Request, Stage, Views
from langgraph_fluxmem.schema import Namespace, Vector, VectorWrite


class Engine:
    """Ledger, projections and embedding of one memory, shared by every `FluxMem` opened on its address in this process."""

    def __init__(self, ledger: Ledger, embedder: Embedder, config: Config, directory: Path | None) -> None:
        self.ledger = ledger
        self.embedder = embedder
        self.config = config
        self.projections = Projections(ledger, config, directory=directory)
        self._learned: OrderedDict[tuple[Namespace, frozenset[str]], Learned] = OrderedDict()
        self._lock = threading.Lock()
        self._closed = False

    # ------------------------------------------------------------------------------------------------------------------- drivers
    def run(self, stage: Stage) -> Any:
        """Drive a stage to its result, answering each request here."""
        return self._drive(stage, self._answer)

    async def arun(self, stage: Stage) -> Any:
        """The same for asyncio: embeddings are awaited, everything else that may block runs in a worker thread."""
        self._check_open()
        answer: Any = None
        failure: BaseException | None = None
        while True:
            try:
                request = stage.throw(failure) if failure else stage.send(answer)
            except StopIteration as stop:
                return stop.value
            try:
                answer, failure = await self._aanswer(request), None
            except Exception as error:  # noqa: BLE001 - handed to the stage, which raises it unless it knows better
                answer, failure = None, error

    def _drive(self, stage: Stage, answerer: Callable[[Request], Any]) -> Any:
        self._check_open()
        answer: Any = None
        failure: BaseException | None = None
        while True:
            try:
                request = stage.throw(failure) if failure else stage.send(answer)
            except StopIteration as stop:
                return stop.value
            try:
                answer, failure = answerer(request), None
            except Exception as error:  # noqa: BLE001 - handed to the stage, which raises it unless it knows better
                answer, failure = None, error

    # ------------------------------------------------------------------------------------------------------------------- answers
    def _answer(self, request: Request) -> Any:
        if isinstance(request, Embed):
            return self.embedder.embed(request.texts, query=request.query)
        if isinstance(request, EmbedFor):
            known, missing = self._known_vectors(request)
            return self._with_new(known, missing, self.embedder.embed([text for _, text in missing]) if missing else ())
        return self._blocking(request)

    async def _aanswer(self, request: Request) -> Any:
        if isinstance(request, Embed):
            return await self.embedder.aembed(request.texts, query=request.query)
        if isinstance(request, EmbedFor):
            known, missing = await asyncio.to_thread(self._known_vectors, request)
            return self._with_new(known, missing, await self.embedder.aembed([text for _, text in missing]) if missing else ())
        if isinstance(request, Apply):
            await asyncio.to_thread(self._check_embedding, request)
            return await asyncio.wrap_future(self.ledger.submit(request.plan))
        return await asyncio.to_thread(self._blocking, request)

    def _blocking(self, request: Request) -> Any:
        if isinstance(request, Apply):
            self._check_embedding(request)
            return self.ledger.apply(request.plan)
        if isinstance(request, Views):
            return [self.projections.view(namespace, request.hidden) for namespace in request.namespaces]
        if isinstance(request, Load):
            return self.ledger.load(request.namespace, request.ids)
        if isinstance(request, LearnedOf):
            return self.learned(request.namespace, request.hidden)
        if isinstance(request, Fetch):
            return getattr(self.ledger, request.method)(*request.args)
        raise TypeError(f"a stage yielded {type(request).__name__}, which is no request")

    def _known_vectors(self, request: EmbedFor) -> tuple[dict[str, Vector], list[tuple[str, str]]]:
        unique = dict(request.texts)
        known = self.ledger.vectors(request.namespace, list(unique))
        return known, [(key, text) for key, text in unique.items() if key not in known]

    @staticmethod
    def _with_new(
        known: dict[str, Vector], missing: Sequence[tuple[str, str]], vectors: Sequence[Vector]
    ) -> tuple[dict[str, VectorWrite], dict[str, Vector]]:
        new = {key: VectorWrite(key, vector) for (key, _), vector in zip(missing, vectors, strict=True)}
        return new, {**known, **{key: write.vector for key, write in new.items()}}

    def _check_embedding(self, request: Apply) -> None:
        if self.ledger.embedding() is None and any(isinstance(write, VectorWrite) for write in request.plan.writes):
            self.ledger.check_embedding(self.embedder.fingerprint, self.embedder.dims)

    # ------------------------------------------------------------------------------------------------------------------- learned
    def learned(self, namespace: Namespace, hidden: Collection[str] = ()) -> Learned:
        """What evidence has taught in a namespace (without the `hidden` commits), caught up with the log."""
        key = (namespace, frozenset(hidden))
        with self._lock:
            found = self._learned.pop(key, None)
            if found is None:
                found = Learned(namespace, key[1])
            self._learned[key] = found
            while len(self._learned) > self.config.open_namespaces:
                self._learned.popitem(last=False)
        found.catch_up(self.ledger)
        return found

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
        if name != "learned":
            self.projections.rebuild(name)

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
