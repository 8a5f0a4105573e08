"""MemoryGraph: what it holds, what evidence makes of it, and its walks against plain definitions."""

from __future__ import annotations

import sys
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "index"))
from index_writer import NS, Writer

from langgraph_fluxmem.config import Config
from langgraph_fluxmem.graph import KINDS, Evidence, MemoryGraph, vertex_of
from langgraph_fluxmem.index.projections import Projections
from langgraph_fluxmem.ledger import Ledger
from langgraph_fluxmem.ledger.rows import EdgeRow, EvidenceRow
from langgraph_fluxmem.edits import CommitWrite


def edge(kind, src, dst, weight=1.0, op=1, commit=None):
    return EdgeRow(f"{kind}{src}{dst}", kind, src, dst, weight, op, commit)


def evidence(target, channel, weight=1.0, op=1, commit=None):
    return EvidenceRow(target, "a", channel, weight, op, commit)


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "m") as ledger:
        yield ledger


@pytest.fixture
def write(ledger):
    return Writer(ledger)


@pytest.fixture
def projections(ledger):
    projections = Projections(ledger, Config(chroma="off"), directory=None)
    yield projections
    projections.close()


def test_versions_of_a_node_are_one_vertex():
    assert vertex_of("f1:abc") == "f1"
    assert vertex_of("f1") == "f1"
    assert vertex_of("e:1:abc#3") == "e:1#3"
    graph = MemoryGraph(NS)
    graph.add_edges(
        [edge("RELATES", "f1:a", "f2:a", 1.0, op=1), edge("RELATES", "f1:b", "f2:a", 3.0, op=2), edge("SUPERSEDES", "f1:b", "f1:a")]
    )
    assert graph.edges() == [("f1", "f2", "RELATES", 3.0)]
    assert graph.weight("f1:c", "f2", "RELATES") == 3.0
    assert "f1:anything" in graph
    assert "f9" not in graph


def test_the_later_write_of_an_edge_counts_in_any_order():
    rows = [edge("RELATES", "f1:a", "f2:a", 1.0, op=1), edge("RELATES", "f1:a", "f2:a", 5.0, op=4)]
    for order in (rows, rows[::-1]):
        graph = MemoryGraph(NS)
        graph.add_edges(order)
        assert graph.weight("f1", "f2", "RELATES") == 5.0


def test_evidence_moves_weights_both_ways():
    assert Evidence().factor == 1.0
    assert Evidence(progress=1e9).factor == pytest.approx(2.0)
    assert Evidence(failure=1e9).factor == pytest.approx(0.0, abs=1e-8)
    assert Evidence(progress=2.0).factor == pytest.approx(1.5)
    assert Evidence(loss=2.0).factor == pytest.approx(0.5)
    graph = MemoryGraph(NS)
    graph.add_edges([edge("RELATES", "f1:a", "f2:a", 4.0)])
    graph.add_evidence([evidence("f1:a>f2:a", "progress", 2.0), evidence("f1:b>f2:c", "failure", 1.0), evidence("e:x#2", "loss", 0.5)])
    assert graph.evidence("f1>f2") == Evidence(2.0, 1.0, 0.0)
    assert graph.evidence("e:y#2") == Evidence(0.0, 0.0, 0.5)
    assert graph.evidence("e#3") == Evidence()
    assert graph.weight("f1", "f2", "RELATES") == pytest.approx(4.0 * 2 * 3 / 5)


def test_following_is_incremental_and_undo_is_subtraction(ledger, write, projections, monkeypatch):
    ids = write.put_many([(f"f{n}", "", {}) for n in range(4)])
    write.link(("RELATES", ids[0], ids[1]))
    write.judge((f"{ids[0]}>{ids[1]}", "progress", 2.0))
    graph = projections.graph(NS)
    assert graph.weight("f0", "f1", "RELATES") == pytest.approx(1.5)
    read = []
    monkeypatch.setattr(ledger, "edges", lambda *a, original=ledger.edges, **k: read.append(k) or original(*a, **k))
    assert projections.graph(NS) is graph
    assert read == []
    before = ledger.head(NS)
    write.judge((f"{ids[0]}>{ids[1]}", "failure", 3.0), activation="b")
    judging = write.last
    assert projections.graph(NS).evidence("f0>f1") == Evidence(2.0, 3.0, 0.0)
    assert read == [{"after": before}]
    ledger.undo(judging)
    assert projections.graph(NS).evidence("f0>f1") == Evidence(2.0, 0.0, 0.0)
    assert projections.verify() == []


def test_hidden_commits_are_left_out(write, projections):
    ids = write.put_many([(f"f{n}", "", {}) for n in range(4)])
    write.link(("RELATES", ids[0], ids[1]))
    write.link(("RELATES", ids[1], ids[2]), commit=CommitWrite("c1", "e1", "d"))
    assert sorted(edge[:2] for edge in projections.graph(NS).edges()) == [("f0", "f1"), ("f1", "f2")]
    assert projections.graph(NS, {"unknown"}) is projections.graph(NS)
    assert [edge[:2] for edge in projections.graph(NS, {"c1"}).edges()] == [("f0", "f1")]
    write.link(("RELATES", ids[2], ids[3]), commit=CommitWrite("c2", "e2", "d"))
    assert sorted(edge[:2] for edge in projections.graph(NS, {"c1"}).edges()) == [("f0", "f1"), ("f2", "f3")]
    assert projections.verify() == []


def sample(seed=0, vertices=60, edges=200):
    rng = np.random.default_rng(seed)
    graph = MemoryGraph(NS)
    rows = {}
    for _ in range(edges):
        src, dst = rng.integers(vertices, size=2)
        if src != dst:
            kind = KINDS[rng.integers(4)]
            rows[kind, src, dst] = edge(kind, f"v{src}", f"v{dst}", float(rng.integers(1, 5)))
    graph.add_edges(rows.values())
    graph.add_evidence([evidence(f"v{row.src[1:]}>{row.dst}", "progress", 2.0) for row in list(rows.values())[::3]])
    return graph


def walked(graph):
    """The directed weights a walk sees, as a plain dictionary."""
    weights = {}
    for src, dst, kind, _ in graph.edges():
        learned = graph.weight(src, dst, kind)
        if kind != "SUPERSEDES":
            weights[src, dst] = weights.get((src, dst), 0.0) + learned
        if kind != "LEADS":
            weights[dst, src] = weights.get((dst, src), 0.0) + learned
    return weights


def test_directions_of_a_walk():
    graph = MemoryGraph(NS)
    graph.add_edges([edge("LEADS", "s", "a"), edge("SUPERSEDES", "new", "old"), edge("GROUNDS", "f", "e"), edge("RELATES", "f", "g", 2.0)])
    assert graph.neighbours("s") == {"a": 1.0}
    assert graph.neighbours("a") == {}
    assert graph.neighbours("old") == {"new": 1.0}
    assert graph.neighbours("new") == {}
    assert graph.neighbours("e") == {"f": 1.0}
    assert graph.neighbours("f") == {"e": 1.0, "g": 2.0}
    assert graph.neighbours("f", kinds=["RELATES"]) == {"g": 2.0}
    assert graph.neighbours("nowhere") == {}


def test_neighbourhood_is_breadth_first_search():
    graph = sample()
    plain = nx.DiGraph(walked(graph).keys())
    expected = nx.single_source_shortest_path_length(plain, "v3", cutoff=2)
    assert graph.neighbourhood(["v3", "unknown"], hops=2) == expected
    assert len(graph.neighbourhood(["v3"], hops=2, limit=5)) == 5
    assert graph.neighbourhood(["v3"], hops=0) == {"v3": 0}


def test_subgraph_is_a_copy_with_learned_weights():
    graph = sample()
    part = graph.subgraph(["v3"], hops=1)
    assert set(part) == set(graph.neighbourhood(["v3"], hops=1))
    for src, dst, kind, data in part.edges(keys=True, data=True):
        assert data["learned"] == pytest.approx(graph.weight(src, dst, kind))
    part.clear()
    assert len(graph) > 0


def test_spreading_is_the_powers_of_the_walk():
    graph = sample()
    weights = walked(graph)
    names = sorted({name for pair in weights for name in pair})
    index = {name: n for n, name in enumerate(names)}
    step = np.zeros((len(names), len(names)))
    for (src, dst), weight in weights.items():
        step[index[src], index[dst]] = weight
    step /= np.maximum(step.sum(1, keepdims=True), 1e-12)
    start = np.zeros(len(names))
    start[index["v3"]], start[index["v4"]] = 1.0, 0.5
    expected = start + 0.5 * start @ step + 0.25 * start @ step @ step
    spread = graph.spread({"v3": 1.0, "v4": 0.5, "unknown": 9.0}, hops=2, decay=0.5, floor=0.0)
    assert spread.scores == pytest.approx({name: expected[n] for name, n in index.items() if expected[n] > 0})
    for name in spread.scores:
        path = spread.path(name)
        assert path[0] in ("v3", "v4")
        assert path[-1] == name
        assert all(pair in weights for pair in zip(path, path[1:], strict=False))
        assert len(path) <= 3


def test_forward_push_comes_near_pagerank():
    graph = sample()
    weights = walked(graph)
    names = sorted({name for pair in weights for name in pair})
    index = {name: n for n, name in enumerate(names)}
    step = np.zeros((len(names), len(names)))
    for (src, dst), weight in weights.items():
        step[index[src], index[dst]] = weight
    sinks = step.sum(1) == 0
    step /= np.maximum(step.sum(1, keepdims=True), 1e-12)
    step[sinks] = np.eye(len(names))[sinks]
    start = np.zeros(len(names))
    start[index["v3"]] = 1.0
    exact = 0.15 * start @ np.linalg.inv(np.eye(len(names)) - 0.85 * step)
    found = graph.pagerank({"v3": 2.0}, alpha=0.15, epsilon=1e-9, max_pushes=10**6)
    assert found == pytest.approx({name: exact[n] for name, n in index.items() if exact[n] > 0}, abs=1e-5)
    rough = graph.pagerank({"v3": 2.0})
    assert sum(rough.values()) <= 1.0
    assert max(abs(rough.get(name, 0.0) - value) for name, value in found.items()) < 0.02
    assert graph.pagerank({"unknown": 1.0}) == {}


def test_learned_weight_turns_a_walk():
    graph = MemoryGraph(NS)
    graph.add_edges([edge("RELATES", "f", "good"), edge("RELATES", "f", "bad")])
    assert graph.spread({"f": 1.0}).scores["good"] == graph.spread({"f": 1.0}).scores["bad"]
    graph.add_evidence([evidence("f>good", "progress", 3.0), evidence("f>bad", "failure", 3.0)])
    scores = graph.spread({"f": 1.0}, hops=1).scores
    assert scores["good"] > 3 * scores["bad"] > 0


def test_what_cannot_be_is_named():
    graph = MemoryGraph(NS)
    graph.add_edges([edge("SUPERSEDES", "a", "b"), edge("SUPERSEDES", "b", "a"), edge("RELATES", "a", "c", -1.0)])
    lines = graph.check()
    assert len(lines) == 2
    assert "a and b supersede each other" in lines[1]
    assert "weighs -1.0" in lines[0]
    assert sample().check() == []
