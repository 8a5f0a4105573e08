"""Threads that make every kind of call on one namespace of one memory: none meets what another one is in the middle of."""

import random
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from langgraph_fluxmem import Feedback, FluxMem
from langgraph_fluxmem.errors import LeaseLostError, StaleError
from tests.consolidation.tasks import HERE, login, world

THREADS, CALLS = 6, 40
EXPECTED = (LeaseLostError, StaleError)
"""What a consolidation says when something was forgotten, or changed, under it; it has then written nothing."""


class Caller:
    """Makes calls in the order that its seed gives."""

    def __init__(self, mem: FluxMem, seed: int) -> None:
        self.mem, self.name, self.chance = mem, str(seed), random.Random(seed)
        self.facts: list[str] = []
        self.commits: list[tuple[str, str]] = []
        self.calls: dict[str, Callable[[], object]] = {
            name: getattr(self, name)
            for name in ("remember", "commit", "learn", "recall", "undo", "forget", "consolidate", "explain", "as_of", "store", "read")
        }

    def remember(self) -> None:
        self.facts += self.mem.remember([f"{self.name} saw {self.chance.random()} boats with apples"], namespace=HERE)

    def commit(self) -> None:
        episode = login(self.chance.randrange(1000), ok=self.chance.random() > 0.3, scroll=self.chance.random() > 0.5)
        episode = episode.model_copy(update={"id": f"{self.name}-{self.chance.random()}"})
        self.commits.append((episode.id, self.mem.commit(episode, namespace=HERE)))

    def learn(self) -> None:
        if self.commits:
            self.mem.learn(self.chance.choice(self.commits)[0], Feedback(outcome="success"), namespace=HERE)

    def recall(self) -> None:
        found = self.mem.recall(login(self.chance.randrange(1000)).task, namespace=HERE, k=5)
        found.advise([{"op": "click", "on": "Login"}, {"op": "click", "on": "Cancel"}])

    def undo(self) -> None:
        if self.commits:
            self.mem.undo(self.commits.pop(self.chance.randrange(len(self.commits)))[1], cascade=True)

    def forget(self) -> None:
        if self.facts:
            self.mem.forget([self.facts.pop()], namespace=HERE)

    def consolidate(self) -> None:
        self.mem.consolidate(namespace=HERE, replay=world())

    def explain(self) -> None:
        str(self.mem.explain(self.mem.recall("apples", namespace=HERE, k=5)))

    def as_of(self) -> None:
        if self.commits:
            self.mem.as_of(commit=self.commits[-1][1]).recall("apples", namespace=HERE)

    def store(self) -> None:
        self.mem.store.put(HERE, f"k{self.chance.randrange(20)}", {"text": f"{self.chance.random()}"})
        self.mem.store.search(HERE, query="apples", limit=5)

    def read(self) -> None:
        self.mem.notes(namespace=HERE)
        self.mem.topics(namespace=HERE)
        self.mem.log(namespace=HERE)


@pytest.fixture
def eager() -> Iterator[None]:
    """Threads take turns every twenty microseconds, so that they meet."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(2e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("eager")
def test_calls_of_every_kind_from_many_threads(mem: FluxMem):
    failed: list[str] = []

    def go(seed: int) -> None:
        caller = Caller(mem, seed)
        for _ in range(CALLS):
            name = caller.chance.choice(list(caller.calls))
            try:
                caller.calls[name]()
            except EXPECTED:
                continue
            except Exception as error:
                failed.append(f"{name}: {error!r}")

    threads = [threading.Thread(target=go, args=(seed,)) for seed in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert mem.verify() == []


@pytest.mark.usefixtures("eager")
def test_one_past_moment_recalled_from_many_threads(mem: FluxMem):
    """The second to come once took what the first had read for a log that had gone on."""
    for number in range(20):
        mem.commit(login(number), namespace=HERE)
    wanted = [row.id for row in mem.engine.ledger.commits(HERE)]
    start, failed = threading.Barrier(THREADS), []

    def go() -> None:
        for commit in wanted:
            start.wait()
            try:
                mem.as_of(commit=commit).recall(login(3).task, namespace=HERE)
            except Exception as error:
                failed.append(repr(error))

    threads = [threading.Thread(target=go) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
