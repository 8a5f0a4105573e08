"""Memory as nodes of a LangGraph graph: retrieve, refine, commit_episode, and the route between them.

    START -> retrieve -> agent -> refine --again--> agent, --next--> retrieve, --done--> commit_episode -> END

Every node body is one generator, driven synchronously or asynchronously by the engine; a node holds no state of its own.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from langchain_core.runnables import Runnable, RunnableLambda

from langgraph_fluxmem import execution, refinement
from langgraph_fluxmem.branches import CommitsChannel, branch_of, lineage_of, with_commit
from langgraph_fluxmem.episodes import Committed
from langgraph_fluxmem.errors import ConfigError, StateError
from langgraph_fluxmem.execution import Execution
from langgraph_fluxmem.learning import Repair, ended_badly, repair_after
from langgraph_fluxmem.namespaces import DEFAULT, NamespaceTemplate
from langgraph_fluxmem.origins import USUAL, checked_origins
from langgraph_fluxmem.pending import Pending, credited, held_open, shown_by, taken, tentative
from langgraph_fluxmem.reading import Reader, StateReader, get
from langgraph_fluxmem.requests import Stage
from langgraph_fluxmem.schema import Activation, Episode, Feedback, Origin, Step
from langgraph_fluxmem.stages import at_least_one
from langgraph_fluxmem.state import CHANNELS
from langgraph_fluxmem.trace import Trace, appended, outline, steps_of

if TYPE_CHECKING:
    from langgraph_fluxmem.memory import FluxMem

CHECKED = 10
"""Steps that a self-check looks at."""
DETAIL = 500
"""Characters of a feedback's detail that are stored with its episode."""
_EPISODE = uuid.UUID("7f0f2c0e-6f0a-5d0e-9a53-1f3c0f1f7a12")
_MIXIN = "class State(MessagesState, FluxMemState): ...   # from langgraph_fluxmem import FluxMemState"
Route = Literal["again", "next", "done"]
Update = dict[str, Any]


@dataclass(frozen=True)
class MemoryNodes:
    """The nodes and the route; add them with ``builder.add_node("retrieve", nodes.retrieve)`` and so on."""

    retrieve: Runnable[Any, Update]
    refine: Runnable[Any, Update]
    commit_episode: Runnable[Any, Update]
    route: Callable[[Any], Route]


def fluxmem_nodes(
    mem: FluxMem | None = None,
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
    """Build the nodes. Without `mem` they use ``runtime.store`` of the graph they run in, when that is a `FluxMemStore`.

    `namespace` and `also` may hold ``{fields}``; `task`, `observation`, `notes`, `action`, `result`, `actions` say where the state holds them
    (`reading.StateReader`); `context` is the key that receives the text for the prompt; at most `k` facts are recalled. With `self_check` the
    model that the memory was opened with says how a step went where `memory_feedback` does not (one call a step; rules see errors only).
    `origins` says where fields come from, other than usual (`origins.USUAL`): ``{"task": "tool"}`` for tasks that were read out of mails.

    Raises:
        ConfigError, InvalidNamespaceError: at once, for arguments that cannot work.
    """
    check_memory(mem)
    at_least_one(k)
    reader = StateReader(task, observation, notes, action, result, actions, checked_origins(origins))
    bodies = _Bodies(NamespaceTemplate(namespace), tuple(NamespaceTemplate(other) for other in also), reader, context, k, self_check)
    return MemoryNodes(
        retrieve=_node("retrieve", bodies.retrieve, mem, (*CHANNELS, context)),
        refine=_node("refine", bodies.refine, mem, (*CHANNELS, context)),
        commit_episode=_node("commit_episode", bodies.commit, mem, CHANNELS),
        route=route,
    )


def check_memory(mem: object) -> None:
    """Refuse what is no open memory, at once.

    Raises:
        ConfigError: `mem` is neither None nor a `FluxMem`.
    """
    if mem is not None and not hasattr(mem, "stages"):
        raise ConfigError(f"mem is {mem if isinstance(mem, str) else type(mem).__name__!r}; give an open memory: FluxMem.open(...)")


def route(state: Any) -> Route:
    """``"done"``: the episode is over; ``"again"``: the same step once more, with the refined context; ``"next"``: the next step."""
    return cast("Route", _memory(state).get("route", "done"))


def activation_of(state: Any) -> Activation:
    """The activation a state carries (ids and scores, no texts).

    Raises:
        StateError: no retrieve node ran, or the state lacks the channel.
    """
    return Activation.model_validate(_memory(state)["activation"])


Body = Callable[["FluxMem", Any, Execution], Stage]


def _node(name: str, body: Body, mem: FluxMem | None, channels: Sequence[str]) -> Runnable[Any, Update]:
    def prepare() -> tuple[FluxMem, Execution]:
        run = execution.current()
        _check_channels(run, channels)
        return mem or _memory_of_store(run.store), run

    def sync(state: Any) -> Update:
        memory, run = prepare()
        return memory.engine.run(body(memory, state, run))

    async def asynchronous(state: Any) -> Update:
        memory, run = prepare()
        return await memory.engine.arun(body(memory, state, run))

    return RunnableLambda(sync, afunc=asynchronous, name=name)


@dataclass(frozen=True)
class _Bodies:
    """The node bodies as stages: they yield requests and return the update of the state."""

    namespace: NamespaceTemplate
    also: tuple[NamespaceTemplate, ...]
    reader: StateReader
    context: str
    k: int
    self_check: bool

    def retrieve(self, mem: FluxMem, state: Any, run: Execution) -> Stage:
        namespace = run.fill(self.namespace)
        also = tuple(map(run.fill, self.also))
        channel = _channel(state, run)
        memory = get(state, "memory", {})
        episode = get(state, "memory_episode_id")
        going_on = episode is not None and memory.get("episode") == episode
        trace: Trace = memory.get("trace", {}) if going_on else {}
        ended = memory.get("ended", [])
        repair = {**(memory.get("repair", {}) if going_on else {}), "ended": ended}
        open_: Pending = memory.get("pending", {}) if going_on else {}
        if going_on and self.reader.from_messages:
            before = activation_of(state)
            open_ = taken(open_, before, len(self.reader.message_steps(state, task=before.situation.task)[1]))
        situation = self.reader.situation(state, outline(trace))
        activation: Activation = yield from mem.stages.recall(
            situation, namespace=namespace, also=also, k=self.k, branch=branch_of(channel), repair=repair
        )
        episode = episode or _episode_id(run, channel)
        return {
            "memory": {**_packed(activation, trace, open_, episode=episode), "ended": ended},
            self.context: activation.context,
            "memory_round": 0,
            "memory_feedback": None,
            "memory_commits": channel,
            "memory_episode_id": episode,
        }

    def refine(self, mem: FluxMem, state: Any, run: Execution) -> Stage:
        del run
        memory = _memory(state)
        activation = activation_of(state)
        feedback = _feedback(state)
        trace: Trace = memory.get("trace", {})
        open_: Pending = memory.get("pending", {})
        if self.self_check and feedback.outcome == "unknown":
            activation, feedback = yield from refinement.self_check(
                activation, feedback, self._attempt(state, activation, trace), mem.operators
            )
        if self.reader.from_messages:
            steps = self.reader.message_steps(state, task=activation.situation.task)[1]
            open_ = taken(open_, activation, len(steps), feedback)
        else:
            done = self.reader.step(state, activation.situation, feedback, shown_by(activation))
            if done is not None:
                step, changed = done
                trace = appended(trace, step)
                assert step.action is not None
                repair = repair_after(Repair.of(activation.repair), step.action, progress=step.progress, loss=step.loss, changed=changed)
                activation = activation.model_copy(update={"repair": repair.as_dict()})
        round_ = int(get(state, "memory_round", 0))
        decided: Route = "done" if feedback.done else "next"
        if not feedback.done and feedback.outcome == "failure" and round_ + 1 < mem.config.max_rounds:
            decided = "again"
        if decided == "again":
            activation = activation.model_copy(update={"situation": self.reader.situation(state, outline(trace))})
        activation = yield from mem.stages.refine(activation, feedback, again=decided == "again")
        packed = _packed(activation, trace, held_open(open_, activation), episode=memory.get("episode"))
        acted = [step.action for step in outline(trace) if step.action is not None]
        badly = feedback.done and (feedback.loss > 0 or feedback.outcome == "failure")
        ended = memory.get("ended", [])
        packed["ended"] = ended_badly(ended, activation.situation.task, acted) if badly else ended
        packed |= {"route": decided, "outcome": feedback.outcome}
        if feedback.detail or feedback.origin != "environment":
            packed["told"] = {"detail": feedback.detail[:DETAIL], "origin": feedback.origin}
        return {"memory": packed, self.context: activation.context, "memory_round": round_ + 1, "memory_feedback": None}

    def _attempt(self, state: Any, activation: Activation, trace: Trace) -> tuple[Step, ...]:
        """What was done so far, for a self-check: at most the last `CHECKED` steps."""
        if self.reader.from_messages:
            return self.reader.message_steps(state, task=activation.situation.task)[1][-CHECKED:]
        done = self.reader.step(state, activation.situation, Feedback(), ())
        return (*steps_of(trace), *(done[:1] if done is not None else ()))[-CHECKED:]

    def commit(self, mem: FluxMem, state: Any, run: Execution) -> Stage:
        memory = _memory(state)
        activation = activation_of(state)
        channel = _channel(state, run)
        feedback = _feedback(state)
        outcome = feedback.outcome if feedback.outcome != "unknown" else memory.get("outcome", "unknown")
        yield from refinement.check_ids(activation, (*feedback.used, *feedback.harmful), mem.id)
        open_: Pending = memory.get("pending", {})
        told: dict[str, Any] = (
            {"detail": feedback.detail[:DETAIL], "origin": feedback.origin} if feedback.detail else memory.get("told", {})
        )
        metadata: dict[str, Any] = {"feedback": told} if told else {}
        judge: Origin = feedback.origin if feedback.outcome != "unknown" else told.get("origin", USUAL["outcome"])
        cursor = get(state, "memory_cursor")
        if self.reader.from_messages:
            task, steps, cursor = self.reader.message_steps(state, task=activation.situation.task)
            cursor = cursor or get(state, "memory_cursor")
            open_ = taken(open_, activation, len(steps))
            steps = credited(open_, steps, feedback, outcome)
        else:
            task, steps = activation.situation.task, _with_first_notes(steps_of(memory.get("trace", {})), activation.situation.notes)
        episode = Episode(
            task=task,
            steps=steps,
            outcome=outcome,
            score=sum(step.progress for step in steps),
            id=get(state, "memory_episode_id"),
            metadata=metadata,
            origins=self._origins(judge),
        )
        provenance = run.provenance.model_copy(update={"lineage": channel.get("lineage")})
        committed: Committed = yield from mem.stages.commit(
            episode,
            namespace=activation.namespace,
            provenance=provenance,
            branch=branch_of(channel),
            above=run.above,
            activation=activation.id,
            tentative=tentative(open_, activation),
        )
        return {
            "memory": {**memory, "trace": {}, "repair": {}, "pending": {}, "episode": None, "committed": committed.id},
            "memory_commits": with_commit(channel, committed.id, committed.after, alone=committed.elsewhere),
            "memory_episode_id": None,
            "memory_feedback": None,
            "memory_round": 0,
            "memory_cursor": cursor,
        }

    def _origins(self, judge: Origin) -> dict[Any, Origin]:
        task: dict[Any, Origin] = {"task": self.reader.origins["task"]} if "task" in self.reader.origins else {}
        return task if judge == USUAL["outcome"] else {**task, "outcome": judge}


def _with_first_notes(steps: Sequence[Step], notes: Sequence[str]) -> tuple[Step, ...]:
    """The steps of an episode; notes that were there before any of them stand on a step of their own, in which nothing is done."""
    brought = {note for step in steps for note in step.notes}
    given = tuple(note for note in notes if note not in brought)
    return (Step(notes=given), *steps) if given and steps else tuple(steps)


def _packed(activation: Activation, trace: Trace, open_: Pending, *, episode: str | None) -> dict[str, Any]:
    """The `memory` channel: the activation without the texts of its facts, the trace of the episode, the repairs in force, and what waits
    for the outcome."""
    slim = activation.model_dump(mode="json")
    slim["facts"] = [{**fact, "content": "", "metadata": {}} for fact in slim["facts"]]
    slim["context"] = ""
    return {"activation": slim, "trace": trace, "repair": activation.repair, "pending": dict(open_), "episode": episode}


def _channel(state: Any, run: Execution) -> CommitsChannel:
    where = run.provenance
    return lineage_of(get(state, "memory_commits"), thread_id=where.thread_id, start=run.within or where.checkpoint_id)


def _episode_id(run: Execution, channel: CommitsChannel) -> str:
    """uuid5 of the run id and what is committed, else of the task LangGraph is executing (the same on a retry), else random.

    A subgraph's own checkpoints may be gone when it runs again, so there the run of the subgraph stands for its tasks.
    """
    where = run.provenance
    committed = "\x00".join(sorted((*channel.get("ids", []), *channel.get("alone", []))))
    if where.run_id:
        return uuid.uuid5(_EPISODE, f"{where.run_id}\x00{run.within or ''}\x00{committed}").hex
    if where.thread_id and run.within:
        return uuid.uuid5(_EPISODE, f"{where.thread_id}\x00{run.within}\x00{committed}").hex
    if where.thread_id and where.checkpoint_id and where.task_id:
        return uuid.uuid5(_EPISODE, f"{where.thread_id}\x00{where.checkpoint_id}\x00{where.task_id}").hex
    return uuid.uuid4().hex


def _feedback(state: Any) -> Feedback:
    value = get(state, "memory_feedback")
    if value is None:
        return Feedback()
    if isinstance(value, Feedback):
        return value
    if not isinstance(value, dict):
        raise StateError(
            f"state['memory_feedback'] holds a {type(value).__name__}; write `Feedback(...).model_dump()` or a dict of its fields"
        )
    return Feedback(**value)


def _memory(state: Any) -> dict[str, Any]:
    memory = get(state, "memory")
    if not isinstance(memory, dict) or "activation" not in memory:
        raise StateError(f"the state holds no activation: run the retrieve node first, and give the state the memory channels: {_MIXIN}")
    return memory


def _check_channels(run: Execution, channels: Sequence[str]) -> None:
    """LangGraph drops keys that are no channel without a word; a memory that forgets silently is worse than an error."""
    missing = run.lacks(channels)
    if missing is not None:
        raise StateError(f"the graph's state has no channel {missing!r}, so LangGraph would drop it; declare it: {_MIXIN}")


def _memory_of_store(store: object) -> FluxMem:
    mem = getattr(store, "mem", None)
    if mem is None:
        found = "no store" if store is None else f"a {type(store).__name__}"
        raise StateError(
            f"fluxmem_nodes() without a memory needs a FluxMemStore, and the graph has {found}; compile with `store=mem.store`"
        )
    return mem
