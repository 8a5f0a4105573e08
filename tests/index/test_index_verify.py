"""`verify` names every difference, in whichever array it is; `rebuild` mends it without embedding anything."""

from __future__ import annotations

import numpy as np
import pytest
from index_writer import NS

from langgraph_fluxmem.errors import ConfigError


@pytest.fixture
def ids(write, projections):
    found = write.put_many(
        [(f"f{n}", f"apple word{n}", {"source": "st"[n % 2], "position": n, "speaker": ["ada", None][n % 2]}) for n in range(8)]
    )
    write.judge((found[0], "progress", 1.0), (f"{found[0]}>{found[1]}", "failure", 2.0))
    write.link(("RELATES", found[0], found[1]), ("GROUNDS", found[2], "e1:x#3", 2.0))
    projections.view(NS)
    projections.graph(NS)
    assert projections.verify() == []
    return found


def poke(column, slot, value):
    column._buffer[slot] = value


def term(arrays, name):
    arrays.postings._joined.clear()
    return arrays.postings._late[arrays.postings._ids[name]]


def lose_a_posting(arrays):
    del term(arrays, "apple")[4:6]


def change_a_count(arrays):
    term(arrays, "apple")[5] = 3


def add_a_posting(arrays):
    term(arrays, "word3").extend((6, 1))


def shuffle_a_posting(arrays):
    held = term(arrays, "apple")
    held[0], held[2] = held[2], held[0]


def change_a_token(arrays):
    poke(arrays.postings._tokens, 3, arrays.postings._ids["word5"])


def swap_ids(arrays):
    arrays.ids[1], arrays.ids[2] = arrays.ids[2], arrays.ids[1]


def forget_an_id(arrays):
    del arrays.slot_of[arrays.ids[3]]


def lead_a_node_astray(arrays):
    arrays.nodes["f3"] = 4


def duplicate_a_version(arrays):
    arrays.ids[3] = arrays.ids[2]


def drop_a_vector(arrays):
    poke(arrays.vectors._count, 2, 0)


ARRAYS = [
    (lambda a: poke(a.alive, 3, value=False), "exact acme/ada: {3} is missing"),
    (lambda a: poke(a.vectors._matrix, 3, 0.5), "exact acme/ada: {3} has another vector than the ledger"),
    (drop_a_vector, "exact acme/ada: {2} has 0 vectors; the ledger has 1"),
    (lambda a: poke(a.op, 3, 99), "exact acme/ada: {3} has log position 99; the ledger says 1"),
    (lambda a: poke(a.source, 3, 0), "exact acme/ada: {3} has source 's'; the ledger says 't'"),
    (lambda a: poke(a.source, 3, 7), "exact acme/ada: {3} has source 'code 7'; the ledger says 't'"),
    (lambda a: poke(a.speaker, 3, 0), "exact acme/ada: {3} has speaker 'ada'; the ledger says None"),
    (lambda a: poke(a.commit, 3, a.commits.code("c")), "exact acme/ada: {3} has commit 'c'; the ledger says None"),
    (lambda a: poke(a.place, 3, 9.5), "exact acme/ada: {3} has position 9.5; the ledger says 3.0"),
    (lambda a: poke(a.chain.order, 3, 0), "exact acme/ada: {3} has place 0 in source 't'"),
    (lambda a: poke(a.chain.after, 3, -1), "exact acme/ada: {3} has place 1 in source 't' between 1 and -1"),
    (lambda a: poke(a.chain.before, 3, 2), "exact acme/ada: {3} has place 1 in source 't' between 2 and 5"),
    (swap_ids, "exact acme/ada: {1} is looked up at slot 1; it is at 2"),
    (forget_an_id, "exact acme/ada: {3} is looked up at slot None; it is at 3"),
    (lead_a_node_astray, "exact acme/ada: {3} is not what its node f3 leads to"),
    (duplicate_a_version, "exact acme/ada: 8 live slots hold 7 different versions"),
    (lose_a_posting, "postings acme/ada: term 'apple' counts 0 in {2}; the ledger says 1"),
    (change_a_count, "postings acme/ada: term 'apple' counts 3 in {2}; the ledger says 1"),
    (add_a_posting, "postings acme/ada: term 'word3' counts 1 in {6}; the ledger says 0"),
    (shuffle_a_posting, "postings acme/ada: the slots of term 'apple' are not in order"),
    (change_a_token, "postings acme/ada: the terms of {1} are"),
]


@pytest.mark.parametrize(("corrupt", "said"), ARRAYS, ids=[said.split(": ", 1)[1][:40] for _, said in ARRAYS])
def test_a_corrupt_array_is_named(ids, projections, corrupt, said):
    corrupt(projections._follower(NS).arrays)
    lines = projections.verify()
    assert any(line.startswith(said.format(*ids)) for line in lines), lines
    projections.rebuild("exact")
    projections.view(NS)
    assert projections.verify() == []


def graph_of(projections):
    return projections.graph(NS)


def test_corrupt_graphs_are_named(ids, projections):
    graph = projections.graph(NS)
    inner = graph._graph
    for corrupt, said in [
        (
            lambda: inner.remove_edge("f0", "f1", "RELATES"),
            "graph acme/ada: RELATES f0 -> f1 is missing; the ledger has it with weight 1.0",
        ),
        (lambda: inner.add_edge("f5", "f6", "RELATES", weight=1.0, op=1), "graph acme/ada: RELATES f5 -> f6 is not in the ledger"),
        (lambda: inner["f2"]["e1#3"]["GROUNDS"].update(weight=7.0), "graph acme/ada: GROUNDS f2 -> e1#3 weighs 7.0; the ledger says 2.0"),
        (
            lambda: inner["f2"]["e1#3"]["GROUNDS"].update(weight=-1.0),
            "graph acme/ada: GROUNDS f2 -> e1#3 weighs -1.0; expected a finite weight",
        ),
        (
            lambda: inner["f2"]["e1#3"]["GROUNDS"].update(weight=np.nan),
            "graph acme/ada: GROUNDS f2 -> e1#3 weighs nan; expected a finite weight",
        ),
        (lambda: inner.add_edge("f2", "f3", "LIKES", weight=1.0, op=1), "graph acme/ada: edge f2 -> f3 has kind 'LIKES'"),
        (lambda: graph._evidence.pop("f0"), "graph acme/ada: evidence on f0 is"),
        (lambda: graph._evidence["f0>f1"].__setitem__(1, 5.0), "graph acme/ada: evidence on f0>f1 is Evidence(progress=0.0, failure=5.0"),
        (lambda: graph._evidence.update({"ghost": [1.0, 0.0, 0.0]}), "graph acme/ada: evidence on ghost is"),
        (lambda: graph._evidence["f0"].__setitem__(0, -1.0), "graph acme/ada: evidence on f0 sums to"),
    ]:
        corrupt()
        lines = projections.verify()
        assert any(line.startswith(said) for line in lines), (said, lines)
        projections.rebuild("graph")
        assert projections.verify() == []


def test_several_differences_are_all_named(ids, projections):
    arrays = projections._follower(NS).arrays
    poke(arrays.vectors._matrix, 1, 0.5)
    poke(arrays.vectors._matrix, 5, 0.5)
    poke(arrays.op, 6, 77)
    assert len(projections.verify()) == 3


def test_a_stale_projection_is_caught_up_not_blamed(ids, projections, write):
    write.put("later", "pear")
    assert projections.verify() == []
    assert projections.view(NS).size == 9


def test_views_given_out_survive_a_rebuild(ids, projections):
    view = projections.view(NS)
    projections.rebuild()
    assert view.bm25(["word3"])[3] > 0
    later = projections.view(NS)
    assert later is not view
    assert list(later.ids) == list(view.ids)


def test_rebuild_of_what_does_not_exist(projections):
    with pytest.raises(ConfigError, match="expected one of exact, postings, graph, chroma"):
        projections.rebuild("everything")
