"""The lease of a consolidation: held on while a model takes its time, given back when it is interrupted, run out soon when it was killed."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from langgraph_fluxmem import FluxMem
from langgraph_fluxmem.consolidation import holding
from langgraph_fluxmem.consolidation.graph import consolidation_graph
from langgraph_fluxmem.consolidation.holding import BEATS, Held
from langgraph_fluxmem.consolidation.run import lease_name
from langgraph_fluxmem.ledger import leases
from langgraph_fluxmem.operators import Judgement, RuleOperators
from langgraph_fluxmem.operators.protocol import Task

from .tasks import HERE, commit, login, skills

SHORT = {"lease": 0.2}


class Asked(RuleOperators):
    """Rules that do something before they answer."""

    def __init__(self, first: Callable[[], None]) -> None:
        self.first = first

    def judge(self, task: Task[Any]) -> Judgement[Any]:
        self.first()
        return super().judge(task)


@pytest.fixture
def beats(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Released at each renewal."""
    every, extend = threading.Semaphore(0), leases.extend

    def counted(*args: Any) -> bool:
        done = extend(*args)
        every.release()
        return done

    monkeypatch.setattr(leases, "extend", counted)
    return every


@pytest.mark.parametrize("how", ["call", "graph"])
def test_a_lease_is_held_on_while_a_model_takes_longer_than_it_lasts(mem: FluxMem, beats: threading.Semaphore, how: str):
    commit(mem, *(login(n) for n in range(5)))
    taken: list[int | None] = []

    def long() -> None:
        if not taken:
            assert all(beats.acquire(timeout=60) for _ in range(2 * BEATS)), "so many beats are two of its lives"
            taken.append(mem.engine.ledger.acquire_lease(lease_name(HERE), "somebody", 60.0))

    model = Asked(long)
    if how == "call":
        assert mem.consolidate(namespace=HERE, model=model, thresholds=SHORT).operation
    else:
        consolidation_graph(mem, model=model, thresholds=SHORT).invoke({"namespace": list(HERE)})
    assert taken == [None]
    assert len(skills(mem)) == 1
    assert mem.engine.ledger.acquire_lease(lease_name(HERE), "somebody", 60.0) is not None, "it was given back"


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_who_is_interrupted_gives_the_lease_back(mem: FluxMem, interrupt: type[BaseException]):
    commit(mem, *(login(n) for n in range(5)))

    def stop() -> None:
        raise interrupt

    with pytest.raises(interrupt) as caught:
        mem.consolidate(namespace=HERE, model=Asked(stop))
    assert skills(mem) == []
    assert mem.consolidate(namespace=HERE).operation is not None
    del caught  # until here its traceback kept every frame, as it does where it goes on through a program


async def test_who_is_cancelled_gives_the_lease_back(mem: FluxMem):
    commit(mem, *(login(n) for n in range(5)))
    asked = asyncio.Event()

    class Endless(RuleOperators):
        async def ajudge(self, task: Task[Any]) -> Judgement[Any]:
            del task
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError

    work = asyncio.create_task(mem.aconsolidate(namespace=HERE, model=Endless()))
    await asked.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await work
    assert (await mem.aconsolidate(namespace=HERE)).operation is not None
    del caught


def test_a_lease_that_was_lost_is_not_renewed_by_who_lost_it(mem: FluxMem, beats: threading.Semaphore):
    ledger = mem.engine.ledger
    token = ledger.acquire_lease("work", "ada", 60.0)
    ledger.transact(lambda tx: leases.break_(tx, "work"))
    newer = ledger.acquire_lease("work", "bob", 60.0)
    held = Held(ledger, "work", "ada", 0.01, token)
    assert all(beats.acquire(timeout=60) for _ in range(2))
    held.close()
    ledger.check_lease("work", newer or 0)


def test_what_hangs_is_renewed_no_more(mem: FluxMem, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(holding, "HUNG", 0.0)
    before = set(threading.enumerate())
    Held(mem.engine.ledger, "work", "ada", 0.01)
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
        assert not thread.is_alive()
