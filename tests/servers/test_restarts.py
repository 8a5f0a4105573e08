"""A database server that is stopped under load, or away for a while: callers wait, nothing acknowledged is lost, nothing is there twice."""

from __future__ import annotations

import threading

import pytest

from langgraph_fluxmem import Episode, FluxMem, Step
from langgraph_fluxmem.errors import LedgerError, UnavailableError
from langgraph_fluxmem.ledger import Ledger

from .real import Postgres

HERE = ("acme", "ada")


@pytest.fixture(scope="module")
def server():
    pytest.importorskip("psycopg")
    if Postgres.missing:
        pytest.skip(Postgres.missing)
    server = Postgres()
    server.start()
    yield server
    server.close()


def test_a_database_that_crashes_under_load_loses_nothing_acknowledged(server):
    """Three crashes while four threads remember, commit and recall. None of them sees an error."""
    acknowledged: list[set[str]] = [set() for _ in range(4)]
    errors: list[BaseException] = []
    over = threading.Event()
    moved = threading.Condition()

    with FluxMem.open(server.address, chroma="off", busy_timeout=60) as mem:

        def work(worker: int) -> None:
            try:
                number = 0
                while not over.is_set():
                    number += 1
                    name = f"w{worker}n{number}"
                    if number % 3:
                        mem.remember(f"fact {name}", namespace=HERE)
                    else:
                        mem.commit(Episode(id=name, task=f"fact {name}", steps=[Step(action=name)], outcome="success"), namespace=HERE)
                    with moved:
                        acknowledged[worker].add(name)
                        moved.notify_all()
                    assert mem.recall(f"fact {name}", namespace=HERE, k=3).facts
            except BaseException as error:
                errors.append(error)
                with moved:
                    moved.notify_all()
                raise

        def more(count: int) -> None:
            with moved:
                until = sum(map(len, acknowledged)) + count
                assert moved.wait_for(lambda: errors or sum(map(len, acknowledged)) >= until, timeout=60)

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
        for thread in threads:
            thread.start()
        more(20)
        for _ in range(3):
            server.stop("immediate")
            server.start()
            more(20)
        over.set()
        for thread in threads:
            thread.join(100)
        assert errors == []
        assert mem.engine.verify() == []
        facts = [row.body["content"] for row in mem.engine.ledger.nodes(HERE, kinds=("fact",))]
        episodes = [row.body["id"] for row in mem.engine.projections.episodes(HERE)]
    everything = {name for names in acknowledged for name in names}
    held = [text.removeprefix("fact ") for text in facts] + episodes
    assert everything <= set(held)
    assert len(held) == len(set(held))
    assert len(held) <= len(everything) + 4  # one of each thread may be there without its caller having heard


def test_a_database_that_stays_away_is_named_and_one_that_comes_back_is_used(server):
    with Ledger.open(server.address, busy_timeout=0.2) as ledger:
        assert ledger.cursor("mine") == 0
        server.stop("fast")
        with pytest.raises(UnavailableError, match="the server is away; try again"):
            ledger.head()
        with pytest.raises(UnavailableError, match="the server is away; try again"):
            ledger.set_cursor("mine", 7)
        with pytest.raises(UnavailableError, match="cannot open the ledger"):
            Ledger.open(server.address, busy_timeout=0.1)
        server.start()
        ledger.set_cursor("mine", 8)
        assert ledger.cursor("mine") == 8


def test_what_refuses_is_not_waited_for(server):
    with pytest.raises(LedgerError, match="does not exist") as caught:
        Ledger.open(server.address + "x", busy_timeout=60)
    assert not isinstance(caught.value, UnavailableError)


def test_readers_share_a_bounded_pool(server):
    """Forty threads read at once over three connections."""
    with Ledger.open(server.address, connections=3) as ledger:
        ledger.set_cursor("mine", 1)
        counts: list[int] = []

        def read() -> None:
            assert ledger.cursor("mine") == 1
            counts.append(_connections(server))

        threads = [threading.Thread(target=read) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(counts) == 40
    assert max(counts) <= 4


def _connections(server) -> int:
    import psycopg

    with psycopg.connect(server.address) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'langgraph_fluxmem' AND pid <> pg_backend_pid()"
        ).fetchone()
    assert row is not None
    return int(row[0])
