from __future__ import annotations

import pytest

from langgraph_fluxmem.edits import Plan
from langgraph_fluxmem.ledger.past import PastLedger
from langgraph_fluxmem.errors import DependentsError, LedgerError, UnknownIdError

from ledger_support import ADA, BOB, CommitWrite, EdgeWrite, evidence, fact, gone, plan, remember


def contents(ledger, ns=ADA, **options):
    return [row.body["content"] for row in ledger.nodes(ns, **options)]


def test_undo_and_undo_of_undo(ledger):
    ledger.apply(remember("n", "one", op="a"))
    undone = ledger.undo("a")
    assert (undone.position, undone.duplicate) == (2, False)
    assert contents(ledger) == []
    row = ledger.operation(undone.operation)
    assert (row.kind, row.undoes, row.undone, row.namespace) == ("undo", ("a",), False, ADA)
    assert ledger.operation("a").undone
    again = ledger.undo(undone.operation)
    assert contents(ledger) == ["one"]
    assert not ledger.operation("a").undone
    ledger.undo(again.operation)
    assert contents(ledger) == []
    assert [(c.position, c.edit, c.target) for c in ledger.changes(1)] == [
        (2, "undo", "a"),
        (3, "redo", "a"),
        (3, "undo", undone.operation),
        (4, "undo", "a"),
        (4, "redo", undone.operation),
        (4, "undo", again.operation),
    ]
    assert ledger.head(ADA) == 4


def test_undo_of_what_is_undone_is_a_duplicate(ledger):
    ledger.apply(remember("n", op="a"))
    first = ledger.undo("a")
    again = ledger.undo("a")
    assert (again.operation, again.position, again.duplicate) == (first.operation, first.position, True)
    assert ledger.head() == 2
    ledger.undo(first.operation)
    third = ledger.undo("a")
    assert not third.duplicate
    assert third.operation != first.operation


def test_undo_brings_back_the_version_before(ledger):
    ledger.apply(remember("n", "one", op="a"))
    ledger.apply(remember("n", "two", op="b"))
    ledger.apply(plan(gone("n"), op="c", kind="delete"))
    assert contents(ledger) == []
    ledger.undo("c")
    assert contents(ledger) == ["two"]
    ledger.undo("b")
    assert contents(ledger) == ["one"]


def test_time_travel(ledger):
    ledger.apply(remember("n", "one", op="a"))  # 1
    ledger.apply(remember("n", "two", op="b"))  # 2
    undo = ledger.undo("b")  # 3
    ledger.apply(remember("m", "three", op="c"))  # 4
    ledger.undo(undo.operation)  # 5
    ledger.apply(plan(gone("m"), op="d"))  # 6
    assert [contents(ledger, at=p) for p in range(7)] == [[], ["one"], ["two"], ["one"], ["one", "three"], ["two", "three"], ["two"]]
    assert contents(ledger, at=100) == contents(ledger) == ["two"]


def test_every_reading_of_the_past(ledger, clock):
    """`PastLedger` answers as the ledger did when it stood there."""

    def told(one):
        return (
            one.head(ADA),
            [(row.id, row.body) for row in one.nodes(ADA)],
            {key: row.id for key, row in one.current(ADA, ["n", "m"]).items()},
            [(row.src, row.dst, row.op) for row in one.edges(ADA)],
            [(row.target, row.op) for row in one.evidence(ADA)],
            [(row.id, row.live) for row in one.commits(ADA)],
            one.namespaces(["fact", "episode"]),
        )

    seen = [told(ledger)]

    def does(write):
        clock.now += 1
        applied = ledger.apply(write) if isinstance(write, Plan) else ledger.undo(write, cascade=True)
        seen.append(told(ledger))
        return applied.operation

    first = does(remember("n", "one", id="v1"))
    does(plan(CommitWrite("c1", "e1", "d"), fact("e", id="e1:d", kind="episode"), evidence("e1:d#0"), kind="commit"))
    does(plan(EdgeWrite("RELATES", "v1", "e1:d"), evidence("v1>e1:d")))
    does(remember("m", "two", ns=BOB))
    does(plan(fact("reset_learning", id="r", kind="mark", texts=())))
    undone = does(first)
    does(remember("m", "three"))
    does(undone)
    does(plan(gone("m")))
    assert [told(PastLedger(ledger, position, clock.now)) for position in range(len(seen))] == seen


def test_dependents_are_named_and_refused(ledger):
    ledger.apply(remember("n", "one", id="v1", op="put"))
    ledger.apply(plan(evidence("v1"), op="by version", kind="learn"))
    ledger.apply(plan(evidence("v1#3"), op="by step", kind="learn"))
    ledger.apply(plan(evidence("x>v1"), op="by link", kind="learn"))
    ledger.apply(plan(EdgeWrite("RELATES", "v1", "y"), op="by edge", kind="learn"))
    ledger.apply(plan(EdgeWrite("GROUNDS", "z", "n"), op="by node", kind="learn"))
    ledger.apply(plan(evidence("v1"), op="elsewhere", kind="learn", ns=BOB))
    ledger.apply(remember("n", "two", op="next version"))
    ledger.apply(remember("m", "unrelated", op="unrelated"))
    resting = ("by version", "by step", "by link", "by edge", "by node", "elsewhere", "next version")
    assert ledger.dependents("put") == resting
    with pytest.raises(DependentsError, match="cascade=True") as caught:
        ledger.undo("put")
    assert caught.value.dependents == resting
    assert "learn by edge" in str(caught.value)
    assert ledger.head() == 9
    undone = ledger.undo("put", cascade=True)
    assert set(ledger.operation(undone.operation).undoes) == {"put", *resting}
    assert contents(ledger) == ["unrelated"]
    assert ledger.evidence(ADA) == ledger.edges(ADA) == ledger.evidence(BOB) == []
    assert ledger.head(BOB) == undone.position
    assert ledger.dependents("put") == ()
    ledger.undo(undone.operation)
    assert contents(ledger) == ["two", "unrelated"]
    assert len(ledger.evidence(ADA)) == 3
    assert len(ledger.evidence(BOB)) == 1


def test_dependents_of_dependents(ledger):
    ledger.apply(remember("n", id="v1", op="a"))
    ledger.apply(plan(EdgeWrite("DISTILLS", "v1", "v2"), fact("skill", id="v2", kind="skill"), op="b"))
    ledger.apply(plan(evidence("v2"), op="c"))
    assert ledger.dependents("a") == ("b", "c")
    assert ledger.dependents("b") == ("c",)
    ledger.undo("c")
    assert ledger.dependents("a") == ("b",)
    ledger.undo("b")
    assert ledger.dependents("a") == ()
    ledger.undo("a")


def test_what_comes_back_needs_what_it_rests_on(ledger):
    ledger.apply(remember("n", id="v1", op="a"))
    ledger.apply(plan(evidence("v1"), op="b"))
    undo_b = ledger.undo("b").operation
    undo_a = ledger.undo("a").operation
    assert ledger.dependents(undo_b) == (undo_a,)
    with pytest.raises(DependentsError) as caught:
        ledger.undo(undo_b)
    assert caught.value.dependents == (undo_a,)
    ledger.undo(undo_b, cascade=True)
    assert len(ledger.nodes(ADA)) == len(ledger.evidence(ADA)) == 1


def test_a_commit_does_not_rest_on_those_it_saw(ledger):
    ledger.apply(plan(CommitWrite("c1", "e1", "d"), op="a", kind="commit"))
    ledger.apply(plan(CommitWrite("c2", "e2", "d", seen=("c1",)), op="b", kind="commit"))
    assert ledger.dependents("a") == ()
    ledger.undo("a")
    assert [row.live for row in ledger.commits(ADA)] == [False, True]


def test_undone_commit_still_makes_its_repetition_a_duplicate(ledger):
    ledger.apply(plan(CommitWrite("c1", "e1", "d"), op="a", kind="commit"))
    ledger.undo("a")
    assert ledger.apply(plan(CommitWrite("c1", "e1", "d"), op="b", kind="commit")).duplicate


def test_erasing_cannot_be_undone_while_the_content_counts(ledger):
    ledger.apply(remember("n", "secret", op="put"))
    ledger.apply(plan(gone("n", erase=True), op="delete", kind="delete"))
    with pytest.raises(LedgerError, match="erased version .* for good"):
        ledger.undo("delete")
    assert ledger.dependents("put") == ("delete",)
    ledger.undo("put", cascade=True)
    assert ledger.nodes(ADA) == []


def test_undone_versions_keep_their_vectors_for_a_redo(ledger):
    from ledger_support import content_hash

    ledger.apply(remember("n", "one", op="a"))
    undo = ledger.undo("a")
    assert len(ledger.vectors(ADA, [content_hash("one")])) == 1
    ledger.undo(undo.operation)
    assert contents(ledger) == ["one"]


def test_unknown_operation(ledger):
    for use in (ledger.undo, ledger.dependents):
        with pytest.raises(UnknownIdError, match="no operation 'nope'"):
            use("nope")


def test_undo_survives_reopening(opened):
    first = opened()
    first.apply(remember("n", op="a"))
    first.undo("a")
    first.close()
    again = opened()
    assert again.nodes(ADA) == []
    assert again.check() == []
