"""Consolidation as a LangGraph graph: one task per cluster and per rewrite, so that a checkpointer resumes a crash at the cluster.

    START -> name -> begin -> induce (one for each cluster) -> gather -> rewrite (one for each proposal) -> score -> ...
                           -> tend (one for each batch of facts) -> tended -> accept -> END

Clusters, rewrites and batches of facts go out in batches of `Settings.parallel`, each with a checkpoint of its own: what a kill may repeat is the batch under
way, and of that only what the checkpointer had not kept yet. The lease belongs to the consolidation's id, which follows from the thread and
its count of consolidations: a resumed run takes the lease again, another run is skipped. A run of the same thread with new input resumes
too, so that the next fire of a cron takes up what a crash left. Progress is on the custom stream (``stream_mode="custom"``). All state is
JSON.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from langchain_core.runnables import Runnable, RunnableLambda
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from typing_extensions import TypedDict

from langgraph_fluxmem import execution
from langgraph_fluxmem.consolidation.accepting import accept
from langgraph_fluxmem.consolidation.facts import tend
from langgraph_fluxmem.consolidation.holding import Held
from langgraph_fluxmem.consolidation.inducing import Json, induce_cluster
from langgraph_fluxmem.consolidation.means import Means
from langgraph_fluxmem.consolidation.rewriting import rewrite_unit
from langgraph_fluxmem.consolidation.run import BUSY, acquire, begun, give_up, lease_name, release, report_of, round_over, skipped
from langgraph_fluxmem.consolidation.settings import Settings
from langgraph_fluxmem.consolidation.snapshot import jobs_of, looked_up_to, snapshot
from langgraph_fluxmem.errors import FluxMemError, LeaseLostError, StateError
from langgraph_fluxmem.namespaces import DEFAULT, check_namespace
from langgraph_fluxmem.operators import Cost, Operators, resolve_operators
from langgraph_fluxmem.requests import Call, Stage
from langgraph_fluxmem.testing.faults import point

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

    from langgraph_fluxmem.consolidation.replaying import Replay
    from langgraph_fluxmem.memory import FluxMem

_IDS = uuid.UUID("7f0f2c0e-6f0a-5d0e-9a53-1f3c0f1f7a14")


def _collected(held: list[Json] | None, new: list[Json] | None) -> list[Json]:
    """Results of parallel tasks; None begins afresh."""
    return [] if new is None else [*(held or []), *new]


class ConsolidationState(TypedDict, total=False):
    """Input: `namespace` and `thresholds` (`Settings`), both optional. Output: `report` (`Report` as JSON). The rest is under way."""

    namespace: list[str]
    thresholds: dict[str, Any]
    consolidation: str
    finished: int
    snapshot: dict[str, Any]
    results: Annotated[list[Json], _collected]
    rewritten: Annotated[list[Json], _collected]
    cared: Annotated[list[Json], _collected]
    units: dict[str, Json]
    rounds: list[Json]
    cost: dict[str, Any]
    replays: int
    stopped: str
    report: dict[str, Any]


def consolidation_graph(
    mem: FluxMem | None = None,
    *,
    model: BaseChatModel | str | Operators | None = None,
    replay: Replay | None = None,
    thresholds: Settings | Mapping[str, Any] | None = None,
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Build the graph. Without `mem` it works on ``runtime.store`` of where it runs, when that is a `FluxMemStore`.

    `model`, `replay` and `thresholds` are those of `FluxMem.consolidate`; ``thresholds`` in the input override these.

    Raises:
        ConfigError: a threshold, or a model, that cannot be.
    """
    bodies = _Bodies(resolve_operators(model), replay, Settings.of(thresholds))
    builder = StateGraph(ConsolidationState)
    for name, body in (
        ("name", bodies.name),
        ("begin", bodies.lasting(bodies.begin)),
        ("induce", bodies.lasting(bodies.induce)),
        ("gather", bodies.gather),
        ("rewrite", bodies.lasting(bodies.rewrite)),
        ("score", bodies.score),
        ("tend", bodies.lasting(bodies.tend)),
        ("tended", bodies.tended),
        ("accept", bodies.lasting(bodies.accept)),
    ):
        builder.add_node(name, _node(name, bodies.careful(body), mem))
    builder.add_edge(START, "name")
    builder.add_edge("name", "begin")
    builder.add_conditional_edges("begin", bodies.onward, ["induce", "gather", "rewrite", "score", "tend", "tended", "accept", END])
    builder.add_edge("induce", "gather")
    builder.add_conditional_edges("gather", bodies.after_gather, ["induce", "rewrite", "tend", "accept"])
    builder.add_edge("rewrite", "score")
    builder.add_conditional_edges("score", bodies.to_rewrite, ["rewrite", "tend", "accept"])
    builder.add_edge("tend", "tended")
    builder.add_conditional_edges("tended", bodies.to_tend, ["tend", "accept"])
    builder.add_edge("accept", END)
    return builder.compile(checkpointer=checkpointer, name="consolidation")


class _Bodies:
    """The node bodies as stages: they yield requests and return the update of the state."""

    def __init__(self, operators: Operators, replay: Replay | None, settings: Settings) -> None:
        self.operators = operators
        self.replay = replay
        self.settings = settings

    def careful(self, body: Callable[[Mapping[str, Any]], Stage]) -> Callable[[Mapping[str, Any]], Stage]:
        """`body`, which gives the lease back when it fails, so that the next consolidation need not wait until it runs out."""

        def stage(state: Mapping[str, Any]) -> Stage:
            try:
                return (yield from body(state))
            except Exception as error:
                if state.get("consolidation"):
                    try:
                        yield from give_up(self._means(state).namespace, state["consolidation"], self._means(state).settings)
                    except FluxMemError as also:
                        error.add_note(f"its lease could not be given back ({also}), and runs out")
                raise

        return stage

    def lasting(self, body: Callable[[Mapping[str, Any]], Stage]) -> Callable[[Mapping[str, Any]], Stage]:
        """`body`, during which the lease is held on, however long a model takes."""

        def stage(state: Mapping[str, Any]) -> Stage:
            means = self._means(state)
            name, owner = lease_name(means.namespace), state["consolidation"]
            held: Held = yield Call(lambda engine: Held(engine.ledger, name, owner, means.settings.lease))
            try:
                return (yield from body(state))
            finally:
                held.stop()

        return stage

    def name(self, state: Mapping[str, Any]) -> Stage:
        """Name the consolidation, check the input, forget the thread's last one; one that was cut short is taken up again."""
        means = self._means(state)
        left: Mapping[str, Any] = state["snapshot"] if _cut_short(state) else {}
        if left and tuple(left["namespace"]) == means.namespace:
            since = yield Call(lambda engine: looked_up_to(engine.ledger, means.namespace))
            if since == left["since"]:
                return {"namespace": list(means.namespace), "thresholds": dict(state.get("thresholds") or {})}
        thread = execution.current().provenance.thread_id
        finished = int(state.get("finished", 0)) + bool(left)
        name = uuid.uuid5(_IDS, f"{thread}\x00{finished}").hex if thread else uuid.uuid4().hex
        return {
            "namespace": list(means.namespace),
            "thresholds": dict(state.get("thresholds") or {}),
            "consolidation": name,
            "finished": finished,
            "snapshot": {},
            "results": None,
            "rewritten": None,
            "cared": None,
            "units": {},
            "rounds": [],
            "cost": Cost().as_dict(),
            "replays": 0,
            "stopped": "",
            "report": {},
        }

    def begin(self, state: Mapping[str, Any]) -> Stage:
        """Take the lease and the snapshot. Without the lease this run is over; what an earlier one had begun is left for a later one."""
        means, name, left = self._means(state), state["consolidation"], state["snapshot"]
        if (yield from acquire(means.namespace, name, means.settings)) is None:
            _tell(state, "skipped", why=BUSY)
            report = skipped(means.namespace, name, BUSY).model_dump(mode="json")
            return {"report": report, "stopped": state["stopped"] if left else BUSY, "finished": state["finished"] + (not left)}
        if left:
            _tell(state, "resumed", position=left["position"], clusters=len(jobs_of(left)), finished=len(state["results"]))
            return {"report": {}}
        point("consolidation.held")
        taken: Json = yield from snapshot(means, name)
        point("consolidation.looked")
        _tell(state, "snapshot", position=taken["position"], new=taken["new"], clusters=len(taken["jobs"]))
        return {"snapshot": taken, "stopped": begun(taken) or "nothing was proposed"}

    def induce(self, state: Mapping[str, Any]) -> Stage:
        """One cluster."""
        means = yield from self._held(state)
        job = state["job"]
        result: Json = yield from induce_cluster(means, job, state["snapshot"])
        point("consolidation.induced")
        _tell(state, "induce", cluster=job["cluster"], induced=result["induced"], why=result["why"])
        return {"results": [result]}

    def gather(self, state: Mapping[str, Any]) -> Stage:
        """A batch of clusters is in. When it was the last: the proposals, in the order of the clusters."""
        yield from ()
        if len(state["results"]) < len(jobs_of(state["snapshot"])):
            return {}
        order = {job["cluster"]: number for number, job in enumerate(jobs_of(state["snapshot"]))}
        results = sorted(state["results"], key=lambda result: order[result["cluster"]])
        units = {unit["skill"]["node"]: unit for result in results for unit in result["units"]}
        return {"units": units, **_spent(state, results)}

    def rewrite(self, state: Mapping[str, Any]) -> Stage:
        """One round for one proposal."""
        means = yield from self._held(state)
        unit: Json = yield from rewrite_unit(means, state["unit"], state["round"])
        point("consolidation.rewritten")
        return {"rewritten": [unit]}

    def score(self, state: Mapping[str, Any]) -> Stage:
        """A batch of rewrites is in. When it was the round's last: whether it gained enough for another round."""
        means = self._means(state)
        yield from ()
        if _unwritten(state):
            return {}
        round_ = len(state["rounds"]) + 1
        order = {node: number for number, node in enumerate(state["units"])}
        units = sorted(state["rewritten"], key=lambda unit: order[unit["skill"]["node"]])
        verdict, entry = round_over(units, round_, means.settings)
        _tell(state, "rewrite", **entry)
        merged = {**state["units"], **{unit["skill"]["node"]: {**unit, "done": unit["done"] or verdict.done} for unit in units}}
        return {"units": merged, "rewritten": None, "rounds": [*state["rounds"], entry], "stopped": verdict.why, **_spent(state, units)}

    def tend(self, state: Mapping[str, Any]) -> Stage:
        """One batch of facts."""
        means = yield from self._held(state)
        result: Json = yield from tend(means, state["batch"], state["since"])
        point("consolidation.tended")
        return {"cared": [{**result, "number": state["number"]}]}

    def tended(self, state: Mapping[str, Any]) -> Stage:
        """Some batches of facts are in."""
        yield from ()
        _tell(state, "facts", batch=len(state["cared"]), of=len(state["snapshot"]["facts"]))
        return {}

    def accept(self, state: Mapping[str, Any]) -> Stage:
        """Write the operation, give the lease back, and report."""
        means = self._means(state)
        token = yield from self._token(means, state)
        taken, name = state["snapshot"], state["consolidation"]
        provenance = execution.current().provenance
        units = list(state["units"].values())
        point("consolidation.accepting")
        cared = sorted(state.get("cared") or (), key=lambda part: part["number"])
        lease, withheld = (
            (lease_name(means.namespace), token),
            [item for part in state.get("results") or () for item in part.get("withheld", ())],
        )
        accepted: Json = yield from accept(means, taken, units, provenance, lease=lease, tended=cared, withheld=withheld)
        point("consolidation.accepted")
        yield from release(means.namespace, name, token)
        cost = Cost()
        for part in ({"cost": state["cost"]}, *cared):
            cost.plus(part["cost"])
        spent = {"cost": cost.as_dict(), "replays": state["replays"]}
        report = report_of(taken, state.get("results") or [], state["rounds"], accepted | spent, state["stopped"])
        _tell(state, "accept", operation=accepted["operation"], active=accepted["active"])
        return {"report": report.model_dump(mode="json"), "finished": state["finished"] + 1}

    def onward(self, state: Mapping[str, Any]) -> str | Sequence[Send]:
        """Where a consolidation begins, or goes on after it was cut short."""
        if not state["snapshot"] or state["report"]:
            return END
        if state["units"]:
            return "score" if state["rewritten"] and not _unwritten(state) else self.to_rewrite(state)
        if state["results"] and len(state["results"]) == len(jobs_of(state["snapshot"])):
            return "gather"
        return self.to_induce(state)

    def to_induce(self, state: Mapping[str, Any]) -> str | Sequence[Send]:
        """The next batch of clusters; on to the facts when there is none."""
        done = {result["cluster"] for result in state.get("results") or ()}
        slim = {"snapshot": {key: state["snapshot"][key] for key in ("id", "position", "trials")}}
        left = [job for job in jobs_of(state["snapshot"]) if job["cluster"] not in done][: self._means(state).settings.parallel]
        return [Send("induce", {**_shared(state), **slim, "job": job}) for job in left] or self.to_tend(state)

    def after_gather(self, state: Mapping[str, Any]) -> str | Sequence[Send]:
        """More clusters, or the first round of rewriting."""
        left = len(jobs_of(state["snapshot"])) - len(state["results"])
        return self.to_induce(state) if left else self.to_rewrite(state)

    def to_rewrite(self, state: Mapping[str, Any]) -> str | Sequence[Send]:
        """The next batch of rewrites of this round; on to the facts when none is left."""
        settings, round_ = self._means(state).settings, len(state["rounds"]) + 1
        if round_ > settings.rounds:
            return self.to_tend(state)
        shared = _shared(state)
        return [
            Send("rewrite", {**shared, "unit": unit, "round": round_}) for unit in _unwritten(state)[: settings.parallel]
        ] or self.to_tend(state)

    def to_tend(self, state: Mapping[str, Any]) -> str | Sequence[Send]:
        """The next batches of facts; on to the end when none is left."""
        done = {part["number"] for part in state.get("cared") or ()}
        left = [(at, batch) for at, batch in enumerate(state["snapshot"]["facts"]) if at not in done][
            : self._means(state).settings.parallel
        ]
        shared = {**_shared(state), "since": state["snapshot"]["since"]}
        return [Send("tend", {**shared, "number": at, "batch": batch}) for at, batch in left] or "accept"

    def _held(self, state: Mapping[str, Any]) -> Stage:
        means = self._means(state)
        yield from self._token(means, state)
        return means

    def _token(self, means: Means, state: Mapping[str, Any]) -> Stage:
        """Hold the lease on, or take it again after a crash.

        Raises:
            LeaseLostError: another consolidation has taken over.
        """
        token = yield from acquire(means.namespace, state["consolidation"], means.settings)
        if token is None:
            raise LeaseLostError(f"{BUSY}, and took the lease of {state['consolidation']}; start a new consolidation when it is over")
        return token

    def _means(self, state: Mapping[str, Any]) -> Means:
        given = state.get("thresholds") or {}
        settings = Settings.of({**self.settings.model_dump(), **given}) if given else self.settings
        return Means(check_namespace(tuple(state.get("namespace") or DEFAULT)), settings, self.operators, self.replay)


def _cut_short(state: Mapping[str, Any]) -> bool:
    """Whether the thread's last consolidation had begun, and has no report, or only that it had to wait."""
    report = state.get("report") or {}
    return bool(state.get("snapshot")) and (not report or bool(report["skipped"]))


def _unwritten(state: Mapping[str, Any]) -> list[Json]:
    """Proposals that are still to be rewritten in this round."""
    done = {unit["skill"]["node"] for unit in state.get("rewritten") or ()}
    return [unit for node, unit in state["units"].items() if not unit["done"] and node not in done]


def _shared(state: Mapping[str, Any]) -> dict[str, Any]:
    return {key: state[key] for key in ("namespace", "thresholds", "consolidation")}


def _spent(state: Mapping[str, Any], parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    cost = Cost()
    cost.plus(state["cost"])
    for part in parts:
        cost.plus(part["cost"])
    return {"cost": cost.as_dict(), "replays": state["replays"] + sum(part["replays"] for part in parts)}


def _tell(state: Mapping[str, Any], stage: str, **more: Any) -> None:
    get_stream_writer()({"consolidation": state["consolidation"], "namespace": list(state["namespace"]), "stage": stage, **more})


def _node(name: str, body: Callable[[Mapping[str, Any]], Stage], mem: FluxMem | None) -> Runnable[Any, Any]:
    def memory() -> FluxMem:
        return mem or _memory_of(execution.current().store)

    def sync(state: Any) -> Any:
        return memory().engine.run(body(state))

    async def asynchronous(state: Any) -> Any:
        return await memory().engine.arun(body(state))

    return RunnableLambda(sync, afunc=asynchronous, name=name)


def _memory_of(store: object) -> FluxMem:
    mem = getattr(store, "mem", None)
    if mem is None:
        found = "no store" if store is None else f"a {type(store).__name__}"
        raise StateError(
            f"the consolidation graph needs a memory, and it has {found}; give `consolidation_graph(mem)`, or run it with a FluxMemStore"
        )
    return mem
