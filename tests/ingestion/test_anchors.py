import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langgraph_fluxmem import FluxMem
from langgraph_fluxmem import anchors as module
from langgraph_fluxmem.signals import SIGNALS
from langgraph_fluxmem.anchors import LARGEST, PER_FACT, SMALLEST, anchors_of, grid

THEMES = {
    "kitchen": "oven flour butter recipe cake sugar",
    "garden": "roses soil watering seeds shovel compost",
    "music": "violin concert melody orchestra rehearsal choir",
}


def texts(per_theme=20):
    rng = np.random.default_rng(0)
    found = []
    for words in THEMES.values():
        for number in range(per_theme):
            some = rng.choice(words.split(), 3, replace=False)
            found.append(f"On day {number} we talked about the {some[0]}, the {some[1]} and the {some[2]}.")
    return found


@pytest.fixture(autouse=True)
def _nothing_known():
    module._graphs.clear()
    yield
    module._graphs.clear()


@pytest.fixture
def mem(tmp_path):
    with FluxMem.open(tmp_path / "mem", chroma="off") as mem:
        yield mem


def view(mem):
    return mem.engine.projections.view(("memories",))


def test_topics_are_the_themes_in_readable_words(mem):
    ids = mem.remember(texts())
    found = mem.topics()
    assert sorted(sorted(topic.keywords) for topic in found) == sorted(sorted(words.split()) for words in THEMES.values())
    for topic in found:
        assert topic.label == ", ".join(topic.keywords[:3])
        assert topic.size == 20
        theme = next(number for number, words in enumerate(THEMES.values()) if topic.keywords[0] in words)
        assert set(topic.facts) <= set(ids[20 * theme : 20 * theme + 20])
    assert len(mem.topics(limit=1)) == 1


async def test_the_async_twin_says_the_same(mem):
    mem.remember(texts())
    assert await mem.atopics() == mem.topics()


def test_nothing_is_no_topic(mem):
    assert mem.topics() == []
    mem.remember("alone")
    assert mem.topics() == []
    assert mem.recall("alone", signals={"topics": 1.0, "keywords": 1.0}).facts


def test_keywords_are_few_and_neither_everywhere_nor_once(mem):
    mem.remember([*texts(), "A zebra was seen once on day 3."])
    anchors = anchors_of(view(mem))
    assert np.bincount(anchors.row).max() <= PER_FACT
    assert {"talk", "day", "zebra", "3"}.isdisjoint(anchors.word)
    assert set(anchors.word) >= {"violin", "compost", "oven"}


def test_sizes_of_topics_are_bounded(mem, monkeypatch):
    monkeypatch.setattr(module, "LARGEST", 4)
    module._graphs.clear()
    mem.remember(texts())
    sizes = [len(topic.terms) for topic in anchors_of(view(mem)).graph.topics]
    assert sizes
    assert all(SMALLEST <= size <= 4 for size in sizes)
    module._graphs.clear()
    assert SMALLEST <= 4 < LARGEST


def test_later_facts_get_the_topics_known_until_then_and_nothing_is_worked_out_anew(mem, monkeypatch):
    mem.remember(texts())
    base = anchors_of(view(mem)).graph
    assert base.base == grid(60)
    monkeypatch.setattr(module, "_made", lambda *_: pytest.fail("worked out anew"))
    while grid(view(mem).size + 1) == base.base:
        mem.remember(f"Number {view(mem).size}: the violin and the orchestra at a concert.")
        anchors = anchors_of(view(mem))
        assert anchors.graph is base
        topic = base.topic_of["violin"]
        assert anchors.topic_shares(topic)[-1] == 1.0


@given(st.integers(0, 200_000))
@settings(deadline=None)
def test_the_grid_grows_by_a_tenth(size):
    base = grid(size)
    assert base <= size <= max(base * 1.1 + 1, base)
    assert grid(base) == base


def test_signals_lead_to_facts_that_share_no_word_with_the_query(mem):
    mem.remember([*texts(), *(f"A letter number {number} from the bank." for number in range(20))])
    off = {signal.name: 0.0 for signal in SIGNALS}
    for signal in ("keywords", "topics"):
        found = mem.recall("violin", k=25, signals={**off, signal: 1.0}).facts
        assert any("violin" not in fact.content for fact in found)
        assert all(any(word in fact.content for word in THEMES["music"].split()) for fact in found)
        assert all(set(fact.why.signals) <= {signal} for fact in found)


def test_they_are_off_by_default_and_not_even_worked_out(mem, monkeypatch):
    mem.remember(texts())
    monkeypatch.setattr("langgraph_fluxmem.bench.anchors_of", lambda _: pytest.fail("asked for"))
    assert mem.recall("violin").facts


def test_two_processes_and_a_rebuild_agree(tmp_path):
    with FluxMem.open(tmp_path / "mem", chroma="off") as mem:
        ids = mem.remember(texts())
        mem.remember([f"{text} Again." for text in texts(7)])
        operation = mem.log()[0].id if hasattr(mem, "log") else None
        if operation:
            mem.undo(operation)
        there = [topic.model_dump(mode="json") for topic in mem.topics()]
        mem.engine.rebuild()
        module._graphs.clear()
        assert [topic.model_dump(mode="json") for topic in mem.topics()] == there
    code = "import json, sys; from langgraph_fluxmem import FluxMem\nwith FluxMem.open(sys.argv[1], chroma='off') as mem: print(json.dumps([t.model_dump(mode='json') for t in mem.topics()]))"
    for seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "mem")],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(run.stdout) == there
    assert ids
