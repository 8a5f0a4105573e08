"""Where the time of one recall goes: the named parts are timed, each without those it calls.

Processor time of the calling thread, so that a busy machine does not show."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from langgraph_fluxmem.bench import once

from .store_systems import Data, FluxMemSystem


class Stopwatch:
    """Wraps functions so that the time inside each, less what other wrapped ones inside it take, adds up under a part's name."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = defaultdict(float)
        self._open: list[float] = []
        self._replaced: list[tuple[Any, str, Any]] = []

    def wrap(self, owner: type | ModuleType, name: str, part: str) -> None:
        """Time ``owner.name`` from now on."""
        held = vars(owner)[name]
        plain = held.make if isinstance(held, once) else held

        def timed(*args: Any, **options: Any) -> Any:
            self._open.append(0.0)
            start = time.thread_time()
            try:
                return plain(*args, **options)
            finally:
                taken = time.thread_time() - start
                self.parts[part] += taken - self._open.pop()
                if self._open:
                    self._open[-1] += taken

        self._replaced.append((owner, name, held))
        timed.__name__ = name
        setattr(owner, name, once(timed) if isinstance(held, once) else timed)

    def unwrap(self) -> None:
        """Leave everything as it was."""
        for owner, name, held in reversed(self._replaced):
            setattr(owner, name, held)
        self._replaced.clear()


def _wrap_parts(watch: Stopwatch, signals: list[Any]) -> None:
    from langgraph_fluxmem import activation, bench, context, engine, formation
    from langgraph_fluxmem.bodies import Bodies
    from langgraph_fluxmem.embeddings import Embedder
    from langgraph_fluxmem.index.projections import Projections
    from langgraph_fluxmem.index.view import NamespaceView
    from langgraph_fluxmem.learned import Learned

    for owner, name, part in (
        (engine.Engine, "run", "stage, drivers, what is left"),
        (engine.Engine, "hidden", "branches: what is hidden"),
        (engine.Engine, "learned", "learned state: catch up"),
        (Learned, "served", "learned links"),
        (Learned, "recall_steps", "past steps"),
        (activation, "_experience", "past episodes and skills"),
        (Embedder, "embed", "embedding (looked up)"),
        (Projections, "view", "views: catch up"),
        (Bodies, "read", "texts of the facts found"),
        (engine._Heads, "of", "log position"),
        (formation, "fact_of", "texts of the facts found"),
        (formation, "recalled_fact", "result objects"),
        (formation, "_candidates", "candidates: union"),
        (formation, "_shares", "fusion"),
        (formation, "_best", "fusion"),
        (bench, "asked_terms", "query terms"),
        (bench.Bench, "_asked", "BM25"),
        (bench.Bench, "context", "BM25 of windows"),
        (bench.Bench, "sources", "BM25 of sources"),
        (bench.Bench, "best", "candidates: top"),
        (bench.Bench, "nearest", "candidates: top"),
        (NamespaceView, "dense_all", "cosine of all facts"),
        (context, "serialise", "context"),
    ):
        watch.wrap(owner, name, part)
    for signal in signals:
        score = signal.score

        def timed(bench: Any, rows: Any, score: Callable[..., Any] = score, part: str = f"signal: {signal.name}") -> Any:
            return score(bench, rows)

        holder = ModuleType(signal.name)
        holder.score = timed  # type: ignore[attr-defined]
        watch.wrap(holder, "score", f"signal: {signal.name}")
        object.__setattr__(signal, "score", lambda bench, rows, holder=holder: holder.score(bench, rows))  # type: ignore[attr-defined]


def profile(facts: int, namespaces: int, place: Path) -> list[dict[str, Any]]:
    """Rows of part, microseconds (median over queries) and share of one recall."""
    from langgraph_fluxmem.signals import SIGNALS
    from .store import batches

    data = Data(facts, namespaces)
    system = FluxMemSystem(data, place)
    for namespace, texts in batches(data):
        system.add(namespace, texts)
    system.settle()
    asked = list(zip(data.query_namespaces, data.queries, strict=True))
    for namespace, query in asked[: min(len(asked) // 2, 100)]:
        system.search(namespace, query)
    whole: list[float] = []
    for namespace, query in asked[100:]:
        start = time.thread_time()
        system.search(namespace, query)
        whole.append(time.thread_time() - start)
    watch = Stopwatch()
    scores = [(signal, signal.score) for signal in SIGNALS]
    _wrap_parts(watch, list(SIGNALS))
    each: list[dict[str, float]] = []
    try:
        for namespace, query in asked[100:]:
            watch.parts.clear()
            system.search(namespace, query)
            each.append(dict(watch.parts))
    finally:
        watch.unwrap()
        for signal, score in scores:
            object.__setattr__(signal, "score", score)
    system.close()
    names = list(dict.fromkeys(name for parts in each for name in parts))
    medians = {name: 1e6 * float(np.median([parts.get(name, 0.0) for parts in each])) for name in names}
    total = sum(medians.values())
    rows: list[dict[str, Any]] = [
        {"part": name, "us": taken, "share": taken / total} for name, taken in sorted(medians.items(), key=lambda kv: -kv[1])
    ]
    rows.append({"part": "one recall, not taken apart", "us": 1e6 * float(np.median(whole)), "share": 1.0})
    return rows
