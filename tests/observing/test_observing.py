"""What memory does is seen by tracers and listeners, and costs nothing where nobody looks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.base import BaseTracer
from langchain_core.tracers.schemas import Run

from langgraph_fluxmem import Episode, Feedback, FluxMem, FluxMemError, Step
from langgraph_fluxmem.observing import Event
from langgraph_fluxmem.testing.models import ScriptedChatModel

from ..nodes.agent import build
from ..nodes.test_loop import start

HERE = ("memories",)


class Tracer(BaseTracer):
    """Keeps the root runs it was handed, as any tracer of LangChain gets them."""

    def __init__(self) -> None:
        super().__init__()
        self.roots: list[Run] = []

    def _persist_run(self, run: Run) -> None:
        self.roots.append(run)


def named(run: Run, prefix: str = "fluxmem.") -> list[Run]:
    """All runs beneath one, by the start of their name, in order."""
    return [found for child in run.child_runs for found in ([child] if child.name.startswith(prefix) else []) + named(child, prefix)]


@pytest.fixture
def mem(tmp_path: Path) -> Iterator[FluxMem]:
    with FluxMem.open(tmp_path / "m", chroma="off") as opened:
        yield opened


def everything(mem: FluxMem) -> None:
    ids = mem.remember(["Ada is on the team plan.", "Bob prefers tea."])
    activation = mem.recall("which plan is she on?")
    mem.refine(activation, Feedback(outcome="failure", used=[ids[0]]))
    learned = mem.learn(activation, Feedback(outcome="success", used=[ids[0]]))
    mem.commit(Episode(task="find the key", steps=(Step(observation="a room", action="take key"),), outcome="success"))
    mem.consolidate()
    mem.undo(learned.operation)


KINDS = ["remember", "recall", "refine", "learn", "commit", "consolidate", "undo"]


def test_each_call_is_an_event(mem: FluxMem) -> None:
    events: list[Event] = []
    stop = mem.on_event(events.append)
    everything(mem)
    assert [event.kind for event in events] == KINDS
    assert all(event.error is None and event.seconds >= 0 for event in events)
    assert [event.namespace for event in events] == [HERE] * 6 + [None]
    counts = {event.kind: dict(event.counts) for event in events}
    assert counts["remember"] == {"facts": 2}
    assert counts["recall"]["facts"] == 2
    assert counts["refine"]["round"] == 1
    assert counts["learn"] == {"duplicates": 0}
    assert counts["consolidate"]["episodes"] == 1
    assert next(event for event in events if event.kind == "learn").operation is not None
    stop()
    mem.recall("again")
    assert len(events) == len(KINDS)


def test_an_event_holds_no_content(mem: FluxMem) -> None:
    events: list[Event] = []
    mem.on_event(events.append)
    everything(mem)
    with pytest.raises(FluxMemError):
        mem.recall("Ada's secret", k=0)
    said = repr(events)
    assert not any(word in said for word in ("Ada", "Bob", "key", "room", "plan"))
    assert events[-1].error == "ConfigError"


def test_each_call_is_a_run_with_inputs_outputs_and_counts(mem: FluxMem) -> None:
    tracer = Tracer()
    RunnableLambda(lambda _: everything(mem), name="mine").invoke(None, {"callbacks": [tracer]})
    (root,) = tracer.roots
    runs = named(root)
    assert [run.name for run in runs] == [f"fluxmem.{kind}" for kind in KINDS]
    recall = runs[1]
    assert recall.inputs == {"text": "which plan is she on?", "namespace": HERE, "k": 10}
    assert recall.outputs is not None
    assert recall.outputs["counts"]["facts"] == 2
    assert [fact["content"] for fact in recall.outputs["facts"]][0] == "Ada is on the team plan."
    assert "team plan" in recall.outputs["context"]
    assert runs[2].inputs["feedback"]["outcome"] == "failure"
    assert runs[4].inputs["episode"]["task"] == "find the key"
    assert runs[5].outputs is not None
    assert "consolidation of memories" in runs[5].outputs["report"]
    assert all(run.parent_run_id == root.id for run in runs)


def test_a_failed_call_is_a_failed_run(mem: FluxMem) -> None:
    tracer = Tracer()
    with pytest.raises(FluxMemError, match="k is 0"):
        RunnableLambda(lambda _: mem.recall("a", k=0)).invoke(None, {"callbacks": [tracer]})
    (run,) = named(tracer.roots[0])
    assert run.error is not None
    assert "k is 0" in run.error


@pytest.mark.parametrize("face", ["sync", "async"])
async def test_inside_a_graph_runs_stand_beneath_their_nodes(mem: FluxMem, face: str) -> None:
    tracer = Tracer()
    events: list[Event] = []
    mem.on_event(events.append)
    app = build(mem).compile()
    given = start(["open red door", "open green door"])
    if face == "sync":
        await asyncio.to_thread(app.invoke, given, {"callbacks": [tracer]})
    else:
        await app.ainvoke(given, {"callbacks": [tracer]})
    (root,) = tracer.roots
    under = {run.name: {child.name for child in named(run)} for run in root.child_runs}
    assert under["retrieve"] == {"fluxmem.recall"}
    assert under["refine"] == {"fluxmem.refine"}
    assert under["commit_episode"] == {"fluxmem.commit"}
    assert {event.kind for event in events} == {"recall", "refine", "commit"}


@pytest.mark.parametrize("face", ["sync", "async"])
async def test_calls_of_a_model_stand_beneath_the_call_that_made_them(tmp_path: Path, face: str) -> None:
    model = ScriptedChatModel(answers=["no structure"])
    with FluxMem.open(tmp_path / "m", chroma="off", model=model) as mem:
        mem.remember(["Ada is on the team plan.", "Bob prefers tea.", "The plan costs ten euros."])
        tracer = Tracer()
        events: list[Event] = []
        mem.on_event(events.append)
        if face == "sync":
            asked = RunnableLambda(lambda _: mem.recall("which plan is ada on?").model_calls)
            calls = await asyncio.to_thread(asked.invoke, None, {"callbacks": [tracer]})
        else:

            async def ask(_: object) -> int:
                return (await mem.arecall("which plan is ada on?")).model_calls

            calls = await RunnableLambda(ask).ainvoke(None, {"callbacks": [tracer]})
        assert calls > 0
        (recall,) = named(tracer.roots[0])
        (event,) = events
        assert event.model_calls == calls
        assert event.input_tokens > 0
        assert event.counts["fallbacks"] == 1
        assert recall.outputs is not None
        assert recall.outputs["cost"]["model_calls"] == calls
        assert named(recall, "ScriptedChatModel")


async def test_handlers_of_the_other_kind_hear_of_it(mem: FluxMem) -> None:
    """A synchronous call inside an async run, with an async handler, and the reverse."""
    heard: list[str] = []

    class Async(AsyncCallbackHandler):
        async def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:
            heard.append(str(kwargs.get("name")))

    class Sync(BaseCallbackHandler):
        def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:
            heard.append(str(kwargs.get("name")))

    async def inside(_: object) -> None:
        await asyncio.to_thread(mem.recall, "a question")
        await mem.arecall("another")

    for handler in (Async(), Sync()):
        await RunnableLambda(inside, name="mine").ainvoke(None, {"callbacks": [handler]})
    assert heard == ["mine", "fluxmem.recall", "fluxmem.recall"] * 2


async def test_a_cancelled_call_ends_its_run(mem: FluxMem) -> None:
    mem.remember("Ada is on the team plan.")
    events: list[Event] = []
    mem.on_event(events.append)
    embedder = mem.engine.embedder
    waiting = asyncio.Event()

    async def slow(*_: Any, **__: Any) -> Any:
        waiting.set()
        await asyncio.Event().wait()

    embedder.aembed = slow  # type: ignore[method-assign]

    async def ask(_: object) -> None:
        await mem.arecall("a question")

    tracer = Tracer()
    call = asyncio.ensure_future(RunnableLambda(ask).ainvoke(None, {"callbacks": [tracer]}))
    await asyncio.wait([call, asyncio.ensure_future(waiting.wait())], return_when=asyncio.FIRST_COMPLETED)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert [(event.kind, event.error) for event in events] == [("recall", "CancelledError")]
    assert named(tracer.roots[0])[0].error is not None


def test_a_listener_that_raises_is_logged_and_harms_nothing(mem: FluxMem, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[str] = []

    def broken(event: Event) -> None:
        raise RuntimeError("out of order")

    mem.on_event(broken)
    mem.on_event(lambda event: heard.append(event.kind))
    with caplog.at_level(logging.ERROR):
        assert mem.remember("Ada is on the team plan.")
    assert heard == ["remember"]
    assert "out of order" in caplog.text


def test_nobody_looks_nobody_is_told(mem: FluxMem, monkeypatch: pytest.MonkeyPatch) -> None:
    from langgraph_fluxmem import observing

    monkeypatch.setattr(observing, "_event", lambda *_: pytest.fail("an event was made for nobody"))
    everything(mem)


def test_opentelemetry(mem: FluxMem) -> None:
    metrics = pytest.importorskip("opentelemetry.sdk.metrics", reason="needs opentelemetry-sdk")
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from langgraph_fluxmem.otel import instrument

    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    stop = instrument(mem, tracer_provider=provider, meter_provider=metrics.MeterProvider([reader]))
    everything(mem)
    with pytest.raises(FluxMemError):
        mem.recall("a", k=0)
    found = spans.get_finished_spans()
    assert [span.name for span in found] == [f"fluxmem.{kind}" for kind in [*KINDS, "recall"]]
    assert found[1].attributes is not None
    assert found[1].attributes["fluxmem.facts"] == 2
    assert "fluxmem.namespace" not in found[1].attributes
    assert not found[-1].status.is_ok
    data = reader.get_metrics_data()
    assert data is not None
    (duration,) = [m for scope in data.resource_metrics[0].scope_metrics for m in scope.metrics if m.name == "fluxmem.call.duration"]
    assert sum(point.count for point in duration.data.data_points) == 8
    stop()
    mem.recall("again")
    assert len(spans.get_finished_spans()) == 8


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("chained", [False, True])
async def test_a_retriever_s_recall_is_a_run_beneath_its_own(mem: FluxMem, asynchronous: bool, chained: bool) -> None:
    mem.remember("Ada is on the team plan.")
    tracer = Tracer()
    retriever: Any = mem.as_retriever(k=1)
    asked = retriever | RunnableLambda(len) if chained else retriever
    if asynchronous:
        await asked.ainvoke("plan?", {"callbacks": [tracer]})
    else:
        asked.invoke("plan?", {"callbacks": [tracer]})
    (root,) = tracer.roots
    found = root.child_runs[0] if chained else root
    assert found.run_type == "retriever"
    assert [run.name for run in found.child_runs] == ["fluxmem.recall"]
    assert [run.name for run in named(root)] == ["fluxmem.recall"]
