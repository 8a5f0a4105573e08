"""Plans that share a transaction: what is asked for all of them beforehand must not blind one to what another wrote."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import text

from langgraph_fluxmem.errors import FluxMemError, LedgerError
from langgraph_fluxmem.ledger import Ledger
from langgraph_fluxmem.ledger.sql import Session, Statement
from langgraph_fluxmem.ledger.writer import TENDED
from langgraph_fluxmem.testing import faults

from ledger_support import ADA, BOB, CommitWrite, EdgeWrite, Held, evidence, fact, gone, outcome, plan, remember

WAIT = 30.0


def plans():
    """Each one meets something that one before it wrote: an operation, a version, a node, a commit, a namespace, the end of an edge."""
    return [
        remember("n", "first", id="n1", op="a"),
        remember("n", "first", id="n1", op="a"),
        remember("n", "second", id="n2", op="b"),
        remember("m", "clash", id="n2", op="c"),
        plan(EdgeWrite("RELATES", "n2", "n"), evidence("n1"), op="d"),
        plan(CommitWrite("c1", "e", "d1"), fact("e", id="e1"), op="e", kind="commit"),
        plan(CommitWrite("c2", "e", "d1"), fact("e", id="e2"), op="f", kind="commit"),
        plan(CommitWrite("c3", "e", "d2"), fact("e", id="e3"), op="g", kind="commit"),
        remember("n", "elsewhere", ns=BOB, id="b1", op="h"),
        remember("n", "elsewhere", ns=BOB, id="b2", op="i"),
        plan(gone("n", id="n3", erase=True), op="j"),
        remember("n", "again", id="n4", op="k"),
    ]


def told(future):
    try:
        return future.result()
    except FluxMemError as error:
        return str(error)


def stands(ledger: Ledger):
    """All that it holds, and what rests on what."""
    return (
        ledger.changes(0),
        [ledger.nodes(space) for space in (ADA, BOB)],
        [ledger.edges(ADA), ledger.evidence(ADA), ledger.commits(ADA)],
        {row.id: ledger.dependents(row.id) for row in ledger.operations()},
        ledger.heads(0),
    )


def test_a_group_of_plans_does_what_they_do_one_by_one(address, clock, tmp_path):
    with Ledger.open(tmp_path / "alone", clock=clock) as alone, Ledger.open(address, clock=clock) as together:
        for ledger in (alone, together):
            ledger.check_embedding("test-embedding", 8)
        begun = remember("before", id="z", op="z")
        one_by_one = [told(alone.submit(each)) for each in (begun, *plans())]
        with Held(together, begun) as held:
            futures = [together.submit(each) for each in plans()]
            held.release.set()
            grouped = [told(future) for future in (held.first, *futures)]
        assert grouped == one_by_one
        assert stands(together) == stands(alone)
        assert together.check() == alone.check() == []


def test_the_first_vectors_of_a_memory_may_come_twice_in_a_group(opened):
    ledger = opened()
    with Held(ledger, plan(op="empty")) as held:
        futures = [ledger.submit(remember(name, name)) for name in ("a", "b")]
        held.release.set()
        assert [future.result().position for future in futures] == [2, 3]
    assert ledger.check() == []


@pytest.mark.parametrize("call", [Session.run, Session.write])
def test_what_the_database_refuses_fails_alone(ledger, call):
    taken = Statement(text("INSERT INTO fluxmem_meta (key, value) VALUES ('memory_id', 'x')"))
    with Held(ledger, remember("n0")) as held:
        first = ledger.submit(remember("n1"))
        bad = ledger._writer.submit(lambda tx: call(tx.session, taken, {}))
        last = ledger.submit(remember("n2"))
        held.release.set()
        assert sorted((first.result().position, last.result().position)) == [2, 3]
        assert "cannot write to the ledger" in str(outcome(bad))
    assert ledger.head() == 3


def test_those_who_wait_for_the_lock_share_a_transaction(opened):
    """What is submitted while another process has the lock is written in one transaction, whenever it came."""
    busy, ledger = opened(), opened()
    ledger.apply(remember("warm"))
    reached, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        reached.set()
        assert go_on.wait(WAIT)

    commits: list[int] = []
    with faults.armed("ledger.before_commit", hold, at=1):
        slow = busy.submit(remember("slow"))
        assert reached.wait(WAIT)
        waiting = threading.Event()
        faults.arm("ledger.before_begin", waiting.set)
        faults.arm("ledger.after_commit", lambda: commits.append(1))
        futures = [ledger.submit(remember("m0"))]
        assert waiting.wait(WAIT)
        futures += [ledger.submit(remember(f"m{number}")) for number in range(1, 5)]
        go_on.set()
        assert slow.result(WAIT).position == 2
        assert [future.result(WAIT).position for future in futures] == [3, 4, 5, 6, 7]
    faults.disarm()
    assert len(commits) == 2


def test_a_server_is_awaited_three_times_at_most(opened, monkeypatch):
    """For the lock and what is asked with it, for what those ask that came meanwhile, and for all that is written, with the COMMIT."""
    ledger = opened()
    if ledger.database.sqlite:
        pytest.skip("a file is not awaited")
    ledger.apply(remember("warm", "warm"))
    awaited: list[str] = []
    together = Session.together

    def counted(name):
        def call(self, *args, _real=getattr(Session, name)):
            awaited.append(name)
            return _real(self, *args)

        return call

    def once(self):
        awaited.append("together")
        return together(self)

    for name in ("run", "all", "one", "text"):
        monkeypatch.setattr(Session, name, counted(name))
    monkeypatch.setattr(Session, "together", once)
    with Held(ledger, remember("n0", "first")) as held:
        assert awaited == ["together", "together"]
        futures = [ledger.submit(remember(f"n{number}", f"text {number}")) for number in range(1, 9)]
        held.release.set()
        assert [future.result().position for future in futures] == list(range(3, 11))
    assert len(awaited) in (4, 5)
    assert set(awaited) == {"together"}


def test_a_commit_that_did_not_commit_is_an_error(opened, monkeypatch):
    """A server answers ROLLBACK to the COMMIT of a transaction that failed before: nothing is acknowledged."""
    ledger = opened()
    if ledger.database.sqlite:
        pytest.skip("a file answers with an error")
    monkeypatch.setattr(Session, "said", lambda self: "ROLLBACK")
    with pytest.raises(LedgerError, match="'ROLLBACK' to COMMIT"):
        ledger.apply(remember("n"))


def test_statistics_keep_up_with_a_young_memory(opened):
    """Postgres knows how much its tables hold before a minute has gone by: otherwise it reads whole namespaces where it should look up."""
    ledger = opened()
    if ledger.database.sqlite:
        pytest.skip("a file is planned for without statistics")
    for number in range(TENDED):
        ledger.apply(remember(f"n{number}", f"text {number}"))
    ledger.close()  # the writer has done what it does after each transaction
    session = ledger.database.connect(writing=False)
    (known,) = session.text("SELECT reltuples FROM pg_class WHERE oid = 'fluxmem_edits'::regclass")[0]
    session.close()
    assert known >= TENDED
