"""Several workers on one Postgres and one Chroma server. Two openings of one database under different addresses are two engines, as two processes have."""

from __future__ import annotations

import threading

import pytest

from langgraph_fluxmem import Feedback, FluxMem
from langgraph_fluxmem.consolidation.run import BUSY, lease_name
from langgraph_fluxmem.errors import LeaseLostError
from langgraph_fluxmem.index import chroma_follower
from langgraph_fluxmem.ledger import Ledger, leases
from langgraph_fluxmem.testing import faults
from tests.consolidation.tasks import HERE as TASKS
from tests.consolidation.tasks import commit, login, skills
from tests.faults.kill import DIMS, plan_of

from .real import Chroma

HERE = ("acme", "ada")
WAIT = 120.0


@pytest.fixture
def workers(address, chroma):
    opened = []

    def open_(count: int = 2, **options) -> list[FluxMem]:
        options = {"chroma": chroma, **({} if options.get("chroma") == "off" else {"exact_max": 0}), **options}
        opened.extend(FluxMem.open(f"{address}&application_name=worker{number}", **options) for number in range(count))
        return opened

    yield open_
    for mem in opened:
        mem.close()


def test_what_one_worker_acknowledged_every_other_one_recalls_at_once(workers):
    """No waiting anywhere: a recall reads the log's head first, whatever Chroma has followed."""
    first, second, third = workers(3)
    for round_ in range(8):
        writer, *readers = [first, second, third][round_ % 3 :] + [first, second, third][: round_ % 3]
        (id_,) = writer.remember(f"the code of door {round_} is {round_ * 37}", namespace=HERE)
        activation = readers[0].recall(f"what is the code of door {round_}?", namespace=HERE, k=3)
        assert activation.facts[0].id == id_
        readers[1].learn(activation, Feedback(outcome="success", used=[id_]))
        again = writer.recall(f"what is the code of door {round_}?", namespace=HERE, k=3)
        assert again.facts[0].why.signals.get("used", again.facts[0].why.signals.get("past use", 1.0)) > 0
    undone = first.undo(first.engine.ledger.operations(limit=1)[0].id)
    assert undone.position == second.engine.ledger.head()
    for mem in (first, second, third):
        assert mem.engine.verify() == []


def test_chroma_is_followed_by_every_worker_in_its_turn(workers):
    """Whoever writes follows, whether or not the others do anything; none waits for another's lease to run out."""
    first, second = workers()
    for mem in (first, second, first, second):
        mem.remember(f"fact {mem.engine.ledger.head()}", namespace=HERE)
        assert mem.engine.projections.flush(WAIT)
        assert mem.engine.ledger.cursor("chroma") == mem.engine.ledger.head()
    assert chroma_follower.LONGEST + chroma_follower.TURN[1] < chroma_follower.LEASE


def test_a_reader_never_skips_a_slow_transaction(address):
    """A transaction that has its position and does not commit holds up those after it, and readers stand before it."""
    with Ledger.open(address) as slow, Ledger.open(address) as quick, Ledger.open(address) as reader:
        for ledger in (slow, quick):
            ledger.check_embedding("kill", DIMS)
        reached, go_on = threading.Event(), threading.Event()

        def wait() -> None:
            reached.set()
            assert go_on.wait(WAIT)

        with faults.armed("ledger.before_commit", wait, at=1):
            late = slow.submit(plan_of("slow"))
            assert reached.wait(WAIT)
            soon = quick.submit(plan_of("quick"))
            assert reader.head() == 0
            assert not soon.done()
            go_on.set()
            assert (late.result(WAIT).position, soon.result(WAIT).position) == (1, 2)
        assert [change.operation for change in reader.changes(0) if change.edit == "version"][0] == "slow"
        assert reader.head() == 2


def test_one_worker_consolidates_and_one_that_lost_its_lease_writes_nothing(workers):
    first, second = workers(chroma="off")
    commit(first, *(login(n) for n in range(5)))
    reached, go_on = threading.Event(), threading.Event()
    outcome: list[object] = []

    def wait() -> None:
        reached.set()
        assert go_on.wait(WAIT)

    def consolidate() -> None:
        try:
            outcome.append(first.consolidate(namespace=TASKS))
        except LeaseLostError as error:
            outcome.append(error)

    with faults.armed("consolidation.accepting", wait, at=1):
        thread = threading.Thread(target=consolidate)
        thread.start()
        assert reached.wait(WAIT)
        assert second.consolidate(namespace=TASKS).skipped == BUSY
        second.engine.ledger.transact(lambda tx: leases.break_(tx, lease_name(TASKS)))  # as if it had run out
        report = second.consolidate(namespace=TASKS)
        go_on.set()
        thread.join(WAIT)
    assert report.operation
    assert isinstance(outcome[0], LeaseLostError) or outcome[0].operation is None
    assert len(skills(first)) == 1
    assert [row.kind for row in first.engine.ledger.operations()].count("consolidate") == 1
    assert first.engine.verify() == second.engine.verify() == []


def test_recall_goes_on_without_the_chroma_server_and_says_so(address, tmp_path, monkeypatch):
    if Chroma.missing:
        pytest.skip(Chroma.missing)
    monkeypatch.setattr(chroma_follower, "RETRY", (0.05, 0.1))
    server = Chroma(tmp_path / "chroma")
    server.start()
    try:
        with FluxMem.open(address, chroma=server.address, exact_max=0) as mem:
            mem.remember([f"fact {number} of the harbour" for number in range(20)], namespace=HERE)
            assert mem.engine.projections.flush(WAIT)
            before = mem.recall("fact 7 of the harbour", namespace=HERE)
            server.stop()
            (late,) = mem.remember("fact 21 of the harbour", namespace=HERE)
            assert [fact.id for fact in mem.recall("fact 7 of the harbour", namespace=HERE).facts][0] == before.facts[0].id
            assert mem.recall("fact 21 of the harbour", namespace=HERE).facts[0].id == late
            assert not mem.engine.projections.flush(WAIT)
            assert "the exact tier answers meanwhile" in mem.notices[0]
            assert ["not compared" in line for line in mem.engine.verify()] == [True]
            server.start()
            while not mem.engine.projections.flush(1.0):
                pass
            assert "can be used again" in mem.notices[-1]
            assert mem.recall("fact 21 of the harbour", namespace=HERE).facts[0].id == late
            assert mem.engine.verify() == []
    finally:
        server.stop()


def test_many_namespaces_keep_to_the_bound(workers):
    (mem,) = workers(1, chroma="off", open_namespaces=64, text_cache_mb=1)
    names = [("tenant", str(number)) for number in range(300)]
    for name in names:
        mem.remember(f"the door of {name[1]} is red", namespace=name)
    for name in names:
        assert mem.recall("which door?", namespace=name).facts[0].content == f"the door of {name[1]} is red"
    projections = mem.engine.projections
    assert len(projections._followers) <= 64
    assert len(mem.engine._learned) <= 64
    assert len(mem.engine.ledger.namespaces()) == 300
