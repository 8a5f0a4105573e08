"""Search beyond what the conformance kit asks: both ways to many namespaces, shelves, Chroma, and order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langgraph.store.base import PutOp, SearchOp

from langgraph_fluxmem import FluxMem, FluxMemStore
from langgraph_fluxmem.storing import reading
from langgraph_fluxmem.storing.filters import compiled
from langgraph_fluxmem.storing.shelves import KINDS, Shelves
from langgraph_fluxmem.testing.conformance.embedding import cosine

from .conftest import INDEX

WORDS = ("apple", "banana", "cherry", "date", "elder", "fig", "grape", "hazel")


def _fill(store: FluxMemStore, *, namespaces: int, items: int, seed: int = 1) -> None:
    rng = np.random.default_rng(seed)
    ops: list[PutOp] = []
    for number in range(items):
        text = " ".join(rng.choice(WORDS, size=rng.integers(1, 4)))
        value = {"text": text, "n": number} if number % 5 else {"n": number}
        ops.append(PutOp(("t", f"n{number % namespaces}"), str(number), value))
    store.batch(ops)


def _answers(store: FluxMemStore, **options: Any) -> list[Any]:
    searches = [
        SearchOp(("t",), **{"limit": 7, "offset": 2, "query": query, "filter": where, **options})
        for query in (None, "apple fig")
        for where in (None, {"n": {"$gte": 20}}, {"n": {"$lt": 0}})
    ]
    return [
        [(item.namespace, item.key, item.value, item.score and round(item.score, 4)) for item in found] for found in store.batch(searches)
    ]


def test_both_ways_to_many_namespaces_agree(store: FluxMemStore, monkeypatch: pytest.MonkeyPatch) -> None:
    _fill(store, namespaces=9, items=60)
    by_view = _answers(store), _answers(store, limit=100)
    monkeypatch.setattr(reading, "FEW", 0)
    assert (_answers(store), _answers(store, limit=100)) == by_view
    store.delete(("t", "n3"), "3")
    store.put(("t", "n4"), "4", {"text": "apple fig", "n": 4})
    by_shelf = _answers(store)
    monkeypatch.setattr(reading, "FEW", 64)
    assert _answers(store) == by_shelf


def test_scores_over_many_namespaces_are_cosines(store: FluxMemStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "FEW", 0)
    _fill(store, namespaces=5, items=40)
    found = store.search((), query="apple", limit=100)
    scored = [item for item in found if item.score is not None]
    assert len(found) == 40
    assert [item.score for item in scored] == sorted((item.score for item in scored), reverse=True)
    assert all(abs(item.score - cosine("apple", item.value["text"])) < 1e-5 for item in scored)
    assert all(item.score is None for item in found[len(scored) :])


def test_last_written_first_over_namespaces(store: FluxMemStore) -> None:
    for number in range(6):
        store.put((f"n{number % 3}",), str(number), {"n": number})
    store.put(("n0",), "0", {"n": "again"})
    assert [item.key for item in store.search(())] == ["0", "5", "4", "3", "2", "1"]
    assert [item.key for item in store.search(("n0",))] == ["0", "3"]


@pytest.mark.parametrize("few", [0, 64])
@pytest.mark.parametrize("namespaces", [1, 3])
def test_pages_of_equal_scores(store: FluxMemStore, monkeypatch: pytest.MonkeyPatch, few: int, namespaces: int) -> None:
    """Equal ones come first written first, so that pages show each once."""
    monkeypatch.setattr(reading, "FEW", few)
    for number in range(40):
        store.put((f"n{number % namespaces}",), str(number), {"text": "apple" if number % 3 else "apple fig"})
    pages = [[item.key for item in store.search((), query="apple", limit=3, offset=start)] for start in range(0, 42, 3)]
    nearest_first = sorted(range(40), key=lambda number: (number % 3 == 0, number))
    assert [int(key) for page in pages for key in page] == nearest_first


def test_beyond_the_exact_tier_chroma_answers(tmp_path: Path) -> None:
    with FluxMemStore.from_conn_string(tmp_path / "memory", index=INDEX, exact_max=0) as store:
        _fill(store, namespaces=2, items=30)
        assert store.mem.flush(120)
        store.put(("t", "n0"), "late", {"text": "apple fig", "n": 100})
        got = _answers(store)
    with FluxMemStore.from_conn_string(tmp_path / "other", index=INDEX, chroma="off") as store:
        _fill(store, namespaces=2, items=30)
        store.put(("t", "n0"), "late", {"text": "apple fig", "n": 100})
        scores = [[item[3] for item in found] for found in _answers(store)]
    assert [[item[3] for item in found] for found in got] == scores, "the same scores; equal ones may change places"


def test_shelves_are_bounded_and_read_again(mem: FluxMem) -> None:
    for number in range(30):
        mem.store.put((f"n{number % 6}",), str(number), {"n": number})
    shelves = Shelves(mem.engine.ledger, max_entries=12)
    shelves.refresh()
    for _ in range(2):
        assert [len(shelf) for shelf in shelves.each([(f"n{number}",) for number in range(6)])] == [5] * 6
        assert sum(map(len, shelves._shelves.values())) <= 12


def test_shelves_follow_undo_and_what_others_write(mem: FluxMem) -> None:
    ledger = mem.engine.ledger
    shelves = Shelves(ledger)
    (fact,) = mem.remember("apple", namespace=("a",))
    mem.store.put(("a",), "k", {"n": 1})
    operation = ledger.operations(("a",))[0].id
    shelves.refresh()
    assert [row.kind for row in shelves.shelf(("a",)).newest(None)] == ["item", "fact"]
    assert shelves.names() == [("a",)]
    undone = mem.undo(operation)
    shelves.refresh()
    assert [row.id for row in shelves.shelf(("a",)).newest(None)] == [fact]
    mem.undo(undone.operation)
    mem.store.delete(("a",), fact.partition(":")[0])
    mem.store.put(("b",), "k", {"n": 1})
    shelves.refresh()
    assert [row.key for row in shelves.shelf(("a",)).newest(None)] == ["k"]
    assert shelves.names() == [("a",), ("b",)]
    mem.store.delete(("a",), "k")
    shelves.refresh()
    assert shelves.names() == [("b",)]
    assert ledger.namespaces(KINDS) == [("b",)]


@pytest.mark.parametrize("where", [{"n": {"$lt": 300}}, {"n": {"$gte": 290}}, {"n": 7}, {"n": -1}, {"rare": True}])
def test_query_and_filter_find_the_nearest_that_match(store: FluxMemStore, where: dict[str, Any]) -> None:
    """However rare the filter: the nearest rows are tried first, every entry only then."""
    rng = np.random.default_rng(5)
    values = [
        {"text": " ".join(rng.choice(WORDS, size=5)), "n": number, **({"rare": True} if number in (3, 250) else {})}
        for number in range(300)
    ]
    store.batch([PutOp(("a",), str(number), value) for number, value in enumerate(values)])
    found = store.search(("a",), query="apple fig", filter=where, limit=2)
    everything = store.search(("a",), query="apple fig", limit=300)
    matcher = compiled(where)
    assert matcher is not None
    assert [item.key for item in found] == [item.key for item in everything if matcher(item.value)][:2]
