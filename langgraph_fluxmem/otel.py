"""What memory does as OpenTelemetry spans and metrics; needs ``pip install 'langgraph_fluxmem[otel]'``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from langgraph_fluxmem.errors import MissingExtraError

try:
    from opentelemetry import metrics, trace
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise MissingExtraError("langgraph_fluxmem.otel needs opentelemetry-api: pip install 'langgraph_fluxmem[otel]'") from error

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from langgraph_fluxmem.memory import FluxMem
    from langgraph_fluxmem.observing import Event

_NAME = "langgraph_fluxmem"


def instrument(
    mem: FluxMem,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    namespaces: bool = False,
) -> Callable[[], None]:
    """Report every call of a memory; returns what ends that. Providers default to OpenTelemetry's global ones.

    A span for each call, ``fluxmem.recall`` and so on, beneath the span that is current, with the counts of `observing.Event`. Metrics:
    ``fluxmem.call.duration`` (histogram, seconds), ``fluxmem.model.calls`` and ``fluxmem.model.tokens`` (counters), by kind and by the error's
    name. No content leaves memory; `namespaces` adds the namespace to the spans, which may name a person.
    """
    tracer = trace.get_tracer(_NAME, tracer_provider=tracer_provider)
    meter = metrics.get_meter(_NAME, meter_provider=meter_provider)
    duration = meter.create_histogram("fluxmem.call.duration", unit="s", description="How long calls of memory took")
    calls = meter.create_counter("fluxmem.model.calls", description="Calls of a chat model by memory")
    tokens = meter.create_counter("fluxmem.model.tokens", unit="{token}", description="Tokens of those calls")

    def report(event: Event) -> None:
        labels = {"fluxmem.kind": event.kind, **({"error.type": event.error} if event.error else {})}
        started = int(event.started * 1e9)
        span = tracer.start_span(f"fluxmem.{event.kind}", start_time=started)
        span.set_attributes({f"fluxmem.{name}": count for name, count in event.counts.items()})
        if event.operation is not None:
            span.set_attribute("fluxmem.operation", event.operation)
        if namespaces and event.namespace is not None:
            span.set_attribute("fluxmem.namespace", event.namespace)
        if event.error is not None:
            span.set_status(trace.StatusCode.ERROR, event.error)
        span.end(started + int(event.seconds * 1e9))
        duration.record(event.seconds, labels)
        if event.model_calls:
            calls.add(event.model_calls, labels)
            tokens.add(event.input_tokens, {**labels, "direction": "input"})
            tokens.add(event.output_tokens, {**labels, "direction": "output"})

    return mem.on_event(report)
