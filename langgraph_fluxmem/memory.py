"""`FluxMem`: the memory as one object. Every call has an async twin; both drive the same stage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langgraph_fluxmem.consolidation import Means, Report, Settings
from langgraph_fluxmem.edits import Applied
from langgraph_fluxmem.errors import ConfigError
from langgraph_fluxmem.execution import current
from langgraph_fluxmem.ingestion import Progress, Rememberable
from langgraph_fluxmem.keeping import KeptMemory
from langgraph_fluxmem.namespaces import DEFAULT, NamespaceTemplate, check_namespace
from langgraph_fluxmem.nodes import MemoryNodes, activation_of, fluxmem_nodes
from langgraph_fluxmem.operators import Operators, resolve_operators
from langgraph_fluxmem.presets import PresetName
from langgraph_fluxmem.reading import Reader
from langgraph_fluxmem.rehearsing import RehearsalCalls
from langgraph_fluxmem.schema import Activation, Episode, Feedback, Origin, Situation, Step
from langgraph_fluxmem.stages import at_least_one
from langgraph_fluxmem.trust.calls import QuarantineCalls

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.runnables import Runnable

    from langgraph_fluxmem.explaining import Explanation
    from langgraph_fluxmem.gate import Note
    from langgraph_fluxmem.ledger.rows import OperationRow
    from langgraph_fluxmem.retriever import FluxMemRetriever
    from langgraph_fluxmem.store import FluxMemStore
    from langgraph_fluxmem.topics import Topic


class FluxMem(KeptMemory, QuarantineCalls, RehearsalCalls):
    """A memory that rewires itself: open it, then remember, recall, refine, learn and commit.

        with FluxMem.open("memory/") as mem:
            mem.remember(["Ada is on the team plan."])
            activation = mem.recall("which plan is she on?")
            mem.learn(activation, Feedback(outcome="success", used=[activation.facts[0].id]))

    Thread-safe. Two opens of one directory in one process share one engine; it closes with the last of them.
    """

    _store: FluxMemStore | None = None

    @property
    def store(self) -> FluxMemStore:
        """The LangGraph store over this memory, for ``builder.compile(store=mem.store)``. Items are indexed as a whole and can be recalled.

        For other fields, or for expiry, make one: ``FluxMemStore(mem, index={"fields": ["text"]}, ttl={"default_ttl": 60})``.
        """
        if self._store is None:
            from langgraph_fluxmem.store import FluxMemStore  # noqa: PLC0415 - a store makes memories, too

            self._store = FluxMemStore(self, index={})
        return self._store

    # -------------------------------------------------------------------------------------------------------------------- semantic
    def remember(
        self,
        documents: Rememberable,
        *,
        namespace: Sequence[str] = DEFAULT,
        source: str | None = None,
        batch: int | None = None,
        progress: Progress | None = None,
        enrich: bool = False,
    ) -> list[str]:
        """Store texts, `Document`s or messages as facts, verbatim but for secrets (`Config.redact`; `redacted` counts them); returns their ids in
        order. The same thing twice is stored once.

        All or nothing: one bad document, or an embedding that raises, stores none. For many, `batch` stores and embeds so many at a time
        (all or nothing each; documents may be a generator), and `progress` gets ``{"done", "total", "stored"}`` after each: after an
        interruption the same call goes on, and what is stored is not embedded again. Texts longer than `split_chars` become several facts.

        `enrich` lets the memory's model write a note on each new fact (a plain sentence and keywords), by which it is found as well: a call
        for up to 16 facts; `progress` then also gets what it cost. Facts for which it gives no usable answer have none.

        Raises:
            InvalidContentError, InvalidNamespaceError, EmbeddingFailedError, InvalidVectorError. ConfigError: `batch` below 1, or `enrich`
            without a model.
        """
        provenance = current().provenance
        return self._run(
            self.stages.remember(
                documents, namespace=namespace, source=source, provenance=provenance, batch=batch, progress=progress, enrich=enrich
            )
        )

    async def aremember(
        self,
        documents: Rememberable,
        *,
        namespace: Sequence[str] = DEFAULT,
        source: str | None = None,
        batch: int | None = None,
        progress: Progress | None = None,
        enrich: bool = False,
    ) -> list[str]:
        """Async twin of `remember`."""
        provenance = current().provenance
        return await self._arun(
            self.stages.remember(
                documents, namespace=namespace, source=source, provenance=provenance, batch=batch, progress=progress, enrich=enrich
            )
        )

    def recall(
        self,
        query: str | Situation,
        *,
        namespace: Sequence[str] = DEFAULT,
        also: Sequence[Sequence[str]] = (),
        k: int = 10,
        preset: PresetName | None = None,
        signals: Mapping[str, float] | None = None,
        evidence: int | None = None,
    ) -> Activation:
        """Activate what memory holds for a query or a situation: at most `k` facts, best first, with matching steps and episodes.

        `also` adds other namespaces to the facts; nothing else crosses namespaces. `preset` chooses the signals (None: as configured), `signals`
        overrides their weights by name. `evidence` rounds, at most 3, ask whether the facts suffice and search for what is missing
        [M 3.4.2]: by the model the memory was opened with, else by rules, which found no more on LoCoMo. None: two with a model and preset
        ``"thorough"``, else none. Writes nothing.

        Raises:
            InvalidContentError: an empty query. InvalidNamespaceError. ConfigError: k below 1, an unknown preset or signal, or more rounds.
        """
        return self._run(self.stages.recall(query, namespace=namespace, also=also, k=k, preset=preset, signals=signals, evidence=evidence))

    async def arecall(
        self,
        query: str | Situation,
        *,
        namespace: Sequence[str] = DEFAULT,
        also: Sequence[Sequence[str]] = (),
        k: int = 10,
        preset: PresetName | None = None,
        signals: Mapping[str, float] | None = None,
        evidence: int | None = None,
    ) -> Activation:
        """Async twin of `recall`."""
        return await self._arun(
            self.stages.recall(query, namespace=namespace, also=also, k=k, preset=preset, signals=signals, evidence=evidence)
        )

    def topics(self, *, namespace: Sequence[str] = DEFAULT, limit: int = 20) -> list[Topic]:
        """What the facts of a namespace are about: its `limit` weightiest topics, with labels in the facts' own words. Writes nothing.

        Computed from what is indexed, without a model; none where too few facts have words in common.

        Raises:
            InvalidNamespaceError.
        """
        return self._run(self.stages.topics(namespace=namespace, limit=limit))

    async def atopics(self, *, namespace: Sequence[str] = DEFAULT, limit: int = 20) -> list[Topic]:
        """Async twin of `topics`."""
        return await self._arun(self.stages.topics(namespace=namespace, limit=limit))

    def notes(self, *, namespace: Sequence[str] = DEFAULT) -> list[Note]:
        """What says the same, oldest first: the notes that the gate has made (``gate="inline"``), each with the ids of the facts it was merged
        from and what they say together. Writes nothing.

        Raises:
            InvalidNamespaceError.
        """
        return self._run(self.stages.notes(namespace=namespace))

    async def anotes(self, *, namespace: Sequence[str] = DEFAULT) -> list[Note]:
        """Async twin of `notes`."""
        return await self._arun(self.stages.notes(namespace=namespace))

    # -------------------------------------------------------------------------------------------------------------------- learning
    def refine(
        self, activation: Activation, feedback: Feedback, *, k: int | None = None, attempt: str | Sequence[Step] | None = None
    ) -> Activation:
        """Repair the activation by feedback: expand, prune, reshape or bypass [F 3.2]. Tentative: writes nothing.

        On failure the cause is found by the memory's model, or by rules. Where something was missing, `facts` are the next `k` that were not
        shown yet, chosen around those `used`; where something misled, the others stay and the next best fill up; where a fact is too coarse
        or too fine, `reshaped` has it in another grain. On success it comes back as it is; so it does after `max_rounds`.

        `attempt` (what the agent answered, or its steps) asks for a self-check where the feedback's outcome is unknown: the model judges it,
        and `checked` is what it said. Rules see an error in the last result, and no success.

        Raises:
            ForeignMemoryError: of another memory. UnknownIdError: `used` or `harmful` name what this memory does not hold.
        """
        return self._run(self.stages.refine(activation, feedback, k=k, attempt=attempt), getattr(activation, "as_of", None))

    async def arefine(
        self, activation: Activation, feedback: Feedback, *, k: int | None = None, attempt: str | Sequence[Step] | None = None
    ) -> Activation:
        """Async twin of `refine`."""
        return await self._arun(self.stages.refine(activation, feedback, k=k, attempt=attempt), getattr(activation, "as_of", None))

    def learn(self, target: Activation | str, feedback: Feedback, *, namespace: Sequence[str] | None = None) -> Applied:
        """Make feedback durable: for an activation, or later for a committed episode by its id or its run's id.

        The same feedback on the same target counts once. Outcome ``"unknown"`` without `used` or `harmful` is stored and teaches
        nothing. `namespace` narrows the search for an episode or run. The result names the operation, for `undo`.

        Raises:
            ForeignMemoryError, UnknownIdError, FeedbackError.
        """
        return self._run(self.stages.learn(target, feedback, namespace=namespace, provenance=current().provenance))

    async def alearn(self, target: Activation | str, feedback: Feedback, *, namespace: Sequence[str] | None = None) -> Applied:
        """Async twin of `learn`."""
        return await self._arun(self.stages.learn(target, feedback, namespace=namespace, provenance=current().provenance))

    def commit(self, episode: Episode, *, namespace: Sequence[str] = DEFAULT) -> str:
        """Store an episode with its evidence; returns the commit id. The same episode (id, steps and outcome) is stored once.

        Raises:
            InvalidContentError: an empty task. InvalidNamespaceError.
        """
        return self._run(self.stages.commit(episode, namespace=namespace, provenance=current().provenance)).id

    async def acommit(self, episode: Episode, *, namespace: Sequence[str] = DEFAULT) -> str:
        """Async twin of `commit`."""
        return (await self._arun(self.stages.commit(episode, namespace=namespace, provenance=current().provenance))).id

    def undo(self, operation: str, *, cascade: bool = False) -> Applied:
        """Undo one operation (its id, or a commit id) as one new operation, which can be undone again.

        Raises:
            UnknownIdError: no such operation. DependentsError: later operations rest on it; `cascade=True` undoes them too.
        """
        return self._run(self.stages.undo(operation, cascade=cascade))

    async def aundo(self, operation: str, *, cascade: bool = False) -> Applied:
        """Async twin of `undo`."""
        return await self._arun(self.stages.undo(operation, cascade=cascade))

    def reset_learning(self, *, namespace: Sequence[str] = DEFAULT) -> Applied:
        """Let all evidence of a namespace so far count no more: past uses, weights of signals, what steps led to, trials of skills.

        One operation, which can be undone; nothing is deleted. Facts, episodes and skills stay, and what is judged later counts.

        Raises:
            InvalidNamespaceError.
        """
        return self._run(self.stages.reset_learning(namespace=namespace, provenance=current().provenance))

    async def areset_learning(self, *, namespace: Sequence[str] = DEFAULT) -> Applied:
        """Async twin of `reset_learning`."""
        return await self._arun(self.stages.reset_learning(namespace=namespace, provenance=current().provenance))

    # --------------------------------------------------------------------------------------------------------------- consolidation
    def consolidate(
        self,
        *,
        namespace: Sequence[str] = DEFAULT,
        model: BaseChatModel | str | Operators | None = None,
        replay: Runnable[dict[str, Any], Any] | None = None,
        thresholds: Settings | Mapping[str, Any] | None = None,
        progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> Report:
        """Make skills of what has recurred in a namespace's episodes [F 3.3]; one operation, whose id the report gives for `undo`.

        `model` judges (None: the one the memory was opened with, or rules). `replay` is a Runnable that says what would have come of an episode (`consolidation.replaying`);
        without one no rewrite is accepted offline. `thresholds` are those of `consolidation.Settings`. `progress` gets a dict per stage.
        Only one consolidation of a namespace runs at a time, in any process: a second one is skipped, and its report says so.

        Raises:
            InvalidNamespaceError, ConfigError. LeaseLostError: another consolidation took over; nothing was written.
        """
        means = self._means(namespace, model, replay, thresholds)
        return self._run(self.stages.consolidate(means, provenance=current().provenance, progress=progress))

    async def aconsolidate(
        self,
        *,
        namespace: Sequence[str] = DEFAULT,
        model: BaseChatModel | str | Operators | None = None,
        replay: Runnable[dict[str, Any], Any] | None = None,
        thresholds: Settings | Mapping[str, Any] | None = None,
        progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> Report:
        """Async twin of `consolidate`."""
        means = self._means(namespace, model, replay, thresholds)
        return await self._arun(self.stages.consolidate(means, provenance=current().provenance, progress=progress))

    def _means(
        self,
        namespace: Sequence[str],
        model: BaseChatModel | str | Operators | None,
        replay: Runnable[dict[str, Any], Any] | None,
        thresholds: Settings | Mapping[str, Any] | None,
    ) -> Means:
        return Means(
            check_namespace(namespace), Settings.of(thresholds), self.operators if model is None else resolve_operators(model), replay
        )

    # ---------------------------------------------------------------------------------------------------------------------- graphs
    def nodes(
        self,
        *,
        namespace: Sequence[str] = DEFAULT,
        also: Sequence[Sequence[str]] = (),
        task: Reader = "messages",
        observation: Reader | None = None,
        notes: Reader | None = None,
        action: Reader | None = None,
        result: Reader | None = None,
        actions: Reader | None = None,
        context: str = "memory_context",
        k: int = 10,
        self_check: bool = False,
        origins: Mapping[str, Origin] | None = None,
    ) -> MemoryNodes:
        """The nodes retrieve, refine and commit_episode, and the route between them, on this memory; see `nodes.fluxmem_nodes`."""
        return fluxmem_nodes(
            self,
            namespace=namespace,
            also=also,
            task=task,
            observation=observation,
            notes=notes,
            action=action,
            result=result,
            actions=actions,
            context=context,
            k=k,
            self_check=self_check,
            origins=origins,
        )

    def as_retriever(
        self, *, namespace: Sequence[str] = DEFAULT, also: Sequence[Sequence[str]] = (), k: int = 10, **options: Any
    ) -> FluxMemRetriever:
        """A LangChain retriever over this memory; `namespace` may hold ``{fields}``, `options` are further arguments of `recall`.

        Raises:
            InvalidNamespaceError, ConfigError: at once, for arguments that cannot work.
        """
        from langgraph_fluxmem.retriever import FluxMemRetriever  # noqa: PLC0415 - a retriever holds a memory

        unknown = sorted(set(options) - {"preset", "signals", "evidence"})
        if unknown:
            raise ConfigError(f"unknown option {unknown[0]!r}; those of a retriever are namespace, also, k, preset, signals, evidence")

        return FluxMemRetriever(
            mem=self,
            namespace=NamespaceTemplate(namespace).parts,
            also=tuple(NamespaceTemplate(other).parts for other in also),
            k=at_least_one(k),
            options=options,
        )

    def activation(self, state: Any) -> Activation:
        """The activation in a graph's state (or its JSON), bound to this memory and with the texts of its facts.

        Raises:
            StateError: the state carries none. ForeignMemoryError: it belongs to another memory.
        """
        return self._run(self.stages.restore(_activation_in(state)))

    async def aactivation(self, state: Any) -> Activation:
        """Async twin of `activation`."""
        return await self._arun(self.stages.restore(_activation_in(state)))

    # ------------------------------------------------------------------------------------------------------------------------ care
    def log(self, *, namespace: Sequence[str] | None = None, limit: int = 100) -> list[OperationRow]:
        """The newest `limit` operations, newest first: what changed memory, when, from where, and whether it was undone."""
        return self._run(self.stages.log(namespace=namespace, limit=limit))

    async def alog(self, *, namespace: Sequence[str] | None = None, limit: int = 100) -> list[OperationRow]:
        """Async twin of `log`."""
        return await self._arun(self.stages.log(namespace=namespace, limit=limit))

    def explain(self, target: Activation | str, *, namespace: Sequence[str] | None = None) -> Explanation:
        """Why an activation holds what it holds, or what an id names: of a version, node, step, episode, run or commit. Writes nothing.

        Of an activation: each signal's share, the past tasks that speak for a thing with the evidence and the operations behind them, and
        what the same recall would bring had nothing been learned (`RecallExplanation`), all of it on the memory as it was when it was
        recalled. Of an id: versions, origin, edges, evidence and
        what rests on it (`NodeExplanation`). Either is an object; ``str`` of it is text, and a notebook shows it as HTML. `namespace`
        narrows an id to what stands there.

        Raises:
            UnknownIdError: nothing is called so, or in several namespaces. ForeignMemoryError: an activation of another memory.
        """
        at = self._run(self.stages.recalled_at(target))
        return self._run(self.stages.explain(target, namespace=namespace), at)

    async def aexplain(self, target: Activation | str, *, namespace: Sequence[str] | None = None) -> Explanation:
        """Async twin of `explain`."""
        at = await self._arun(self.stages.recalled_at(target))
        return await self._arun(self.stages.explain(target, namespace=namespace), at)

    def verify(self) -> list[str]:
        """Compare every projection with the ledger, and the ledger with itself: one line for each difference, none when all is well."""
        return self.engine.verify()

    async def averify(self) -> list[str]:
        """Async twin of `verify`."""
        return await asyncio.to_thread(self.verify)

    def rebuild(self, projection: str | None = None) -> None:
        """Drop and replay one projection (``exact``, ``postings``, ``graph``, ``chroma``, ``learned``) or all. Nothing is embedded again."""
        self.engine.rebuild(projection)

    async def arebuild(self, projection: str | None = None) -> None:
        """Async twin of `rebuild`."""
        await asyncio.to_thread(self.rebuild, projection)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until Chroma has followed the log; False when `timeout` (seconds) passed first. Nobody needs it to find what was written."""
        return self.engine.projections.flush(timeout)

    async def aflush(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - the same argument as its twin
        """Async twin of `flush`."""
        return await asyncio.to_thread(self.flush, timeout)


def _activation_in(state: Any) -> Activation:
    if isinstance(state, Activation):
        return state
    if isinstance(state, Mapping) and "situation" in state and "memory" in state:
        return Activation.model_validate(state)
    return activation_of(state)
