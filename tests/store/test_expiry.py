"""Time to live, by a clock that the test turns."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from langgraph_fluxmem import ClosedError, ConfigError, FluxMem, FluxMemStore
from langgraph_fluxmem.config import Config
from langgraph_fluxmem.embeddings import resolve
from langgraph_fluxmem.engine import Engine
from langgraph_fluxmem.ledger import Ledger
from langgraph_fluxmem.storing.sweeping import Sweeper

from .conftest import Clock

NS = ("a",)


@pytest.fixture
def mem(tmp_path: Path, clock: Clock) -> Iterator[FluxMem]:
    embedder = resolve(None)
    ledger = Ledger.open(tmp_path / "m", clock=clock)
    ledger.check_embedding(embedder.fingerprint, embedder.dims)
    engine = Engine(ledger, embedder, Config.of(chroma="off"), tmp_path / "m")
    yield FluxMem(engine, lambda: None)
    engine.close()


def _keys(found: list[Any]) -> list[str]:
    return sorted(item.key for item in found)


def test_expired_items_stay_until_they_are_swept(mem: FluxMem, clock: Clock) -> None:
    store = FluxMemStore(mem, index={"fields": ["text"]}, ttl={"refresh_on_read": False})
    store.put(NS, "short", {"text": "apple"}, ttl=1)
    store.put(NS, "long", {"text": "apple"}, ttl=10)
    store.put(NS, "ever", {"text": "apple"})
    clock.now += 61
    assert _keys(store.search(NS, query="apple")) == ["ever", "long", "short"]
    assert store.sweep_ttl() == 1
    assert _keys(store.search(NS, query="apple")) == ["ever", "long"]
    assert store.get(NS, "short") is None
    assert store.sweep_ttl() == 0


def test_expired_items_are_omitted_when_that_is_asked(mem: FluxMem, clock: Clock) -> None:
    store = FluxMemStore(mem, index={"fields": ["text"]}, ttl={"refresh_on_read": False, "omit_expired": True})
    store.put(("gone",), "short", {"text": "apple", "n": 1}, ttl=1)
    store.put(NS, "short", {"text": "apple", "n": 1}, ttl=1)
    store.put(NS, "none", {"n": 1}, ttl=1)
    store.put(NS, "ever", {"text": "pear", "n": 1})
    assert len(store.search(())) == 4
    clock.now += 60
    for found in (
        store.search(()),
        store.search((), query="apple"),
        store.search((), filter={"n": 1}),
        store.search(NS, query="apple", filter={"n": 1}),
    ):
        assert _keys(found) == ["ever"]
    assert store.get(NS, "short") is None
    assert store.list_namespaces() == [NS]


def test_reading_gives_time_again(mem: FluxMem, clock: Clock) -> None:
    store = FluxMemStore(mem, ttl={"omit_expired": True, "default_ttl": 1})
    for key in ("got", "found", "left", "read in secret"):
        store.put(NS, key, {"of": key})
    clock.now += 40
    store.get(NS, "got")
    store.search(NS, filter={"of": "found"})
    store.get(NS, "read in secret", refresh_ttl=False)
    clock.now += 40
    assert _keys(store.search(NS, refresh_ttl=False)) == ["found", "got"]
    assert mem.engine.ledger.head() == 4, "reads are not logged"


def test_another_store_s_reading_gives_time_again(mem: FluxMem, clock: Clock, tmp_path: Path) -> None:
    """What a shelf holds of an expiry may be old: another process read the item."""
    store = FluxMemStore(mem, ttl={"omit_expired": True})
    store.put(NS, "k", {"n": 1}, ttl=1)
    assert _keys(store.search(NS, refresh_ttl=False)) == ["k"]
    with Ledger.open(tmp_path / "m", clock=clock) as other:
        clock.now += 40
        other.refresh_expiry(NS, [row.id for row in other.nodes(NS)])
    clock.now += 40
    assert _keys(store.search(NS, refresh_ttl=False)) == ["k"]
    clock.now += 40
    assert _keys(store.search(NS, refresh_ttl=False)) == []


def test_put_replaces_the_time(mem: FluxMem, clock: Clock) -> None:
    store = FluxMemStore(mem, ttl={"omit_expired": True, "default_ttl": 1})
    store.put(NS, "k", {"n": 1})
    store.put(NS, "k", {"n": 2}, ttl=None)
    clock.now += 100
    assert store.get(NS, "k").value == {"n": 2}
    store.put(NS, "k", {"n": 3}, ttl=0.5)
    created = store.get(NS, "k").created_at
    clock.now += 31
    assert store.get(NS, "k") is None
    store.put(NS, "k", {"n": 4})
    assert store.get(NS, "k").created_at > created, "an item put after its end is a new one"


def test_ttl_that_cannot_be(mem: FluxMem) -> None:
    for ttl in (0, -1, float("nan"), float("inf"), "5"):
        with pytest.raises(ConfigError, match="minutes"):
            mem.store.put(NS, "k", {"n": 1}, ttl=ttl)
    assert mem.store.search(()) == []


def test_swept_text_is_gone_from_the_file(mem: FluxMem, clock: Clock, tmp_path: Path) -> None:
    store = FluxMemStore(mem, index={"fields": ["text"]})
    store.put(NS, "k", {"text": "zanzibarium"}, ttl=1)
    clock.now += 61
    store.sweep_ttl()
    store.put(NS, "other", {"text": "pear"})
    mem.engine.close()
    assert b"zanzibarium" not in (tmp_path / "m" / "ledger.sqlite").read_bytes()


def test_the_sweeper_sweeps_until_it_is_stopped() -> None:
    swept = threading.Semaphore(0)
    sweeps = iter(range(1_000_000))

    def sweep() -> int:
        swept.release()
        if next(sweeps) == 1:  # the second one fails, and is not the last
            raise OSError("busy")
        return 1

    sweeper = Sweeper(sweep, 0.001)
    for _ in range(5):
        assert swept.acquire(timeout=30)
    assert sweeper.running
    assert sweeper.stop(30)
    assert sweeper.done.result(30) is None
    assert not sweeper.running


def test_cancelling_its_future_stops_the_sweeper(mem: FluxMem) -> None:
    store = FluxMemStore(mem, ttl={"sweep_interval_minutes": 1})
    future = store.start_ttl_sweeper()
    assert store.start_ttl_sweeper() is future
    future.cancel()
    assert store.stop_ttl_sweeper(30)
    assert store.start_ttl_sweeper(0.5) is not future
    store.close()
    store.get(NS, "the memory is open still")


def test_a_configured_sweeper_starts_with_the_store(tmp_path: Path) -> None:
    with FluxMemStore.from_conn_string(tmp_path / "m", ttl={"sweep_interval_minutes": 1}, chroma="off") as store:
        names = {thread.name for thread in threading.enumerate()}
        assert "fluxmem-sweeper" in names
        assert store.start_ttl_sweeper().running() is False
    assert "fluxmem-sweeper" not in {thread.name for thread in threading.enumerate()}


def test_the_sweeper_ends_with_the_memory(mem: FluxMem) -> None:
    def sweep() -> int:
        raise ClosedError("this memory is closed")

    sweeper = Sweeper(sweep, 0.001)
    assert sweeper.done.result(30) is None
    assert sweeper.stop(30)
