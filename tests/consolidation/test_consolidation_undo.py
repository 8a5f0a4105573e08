"""Undo of whole consolidations, and replay of what depends on order: recall and advice come out exactly the same, over made-up histories."""

import random
import tempfile
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from langgraph_fluxmem import Feedback, FluxMem, Situation
from langgraph_fluxmem.testing.models import ScriptedChatModel

from .tasks import HERE, SCREEN, box, commit, login, view, world

THINGS = ["kettle", "lamp", "drawer", "shelf", "password", "username", "form", "button"]
DEEDS = ["remember", "succeed", "fail", "choose", "used", "misled", "consolidate", "replay", "model", "take back"]
ASKED = [login(50).task, login(3).task, box(50).task, "where is the lamp by the drawer?"]
NOTE = {"context": "It says where things are", "keywords": ["things"]}


class History:
    """A memory, and what was done to it."""

    def __init__(self, mem: FluxMem, seed: int) -> None:
        self.mem, self.chance, self.number = mem, random.Random(seed), 0
        self.done: list[tuple[str, Any]] = []
        """Consolidations that count, with what recall gave before."""

    def sees(self) -> Any:
        """What recall and advice give."""
        recalled = [view(self.mem.recall(query, namespace=HERE)) for query in ASKED]
        situation = Situation(task=login(60).task, observation=SCREEN, done=({"op": "click", "on": "username"},))
        advice = self.mem.recall(situation, namespace=HERE).advise([{"op": "click", "on": on} for on in ("password", "Login", "Cancel")])
        return recalled, [(said.score, said.value, said.risk, said.support) for said in advice]

    def do(self, deed: str) -> None:
        """One deed."""
        self.number += 1
        one, two, three = self.chance.sample(THINGS, 3)
        facts = [fact.id for fact in self.mem.recall(f"{one} {two}", namespace=HERE, k=3).facts]
        deeds: dict[str, Callable[[], Any]] = {
            "remember": lambda: self.mem.remember(
                [f"the {one} stands by the {two}", f"the {one} by the {two} near the {three} is old"], namespace=HERE
            ),
            "succeed": lambda: commit(self.mem, *(login(100 * self.number + n, scroll=bool(n % 2)) for n in range(3))),
            "fail": lambda: commit(self.mem, *(login(100 * self.number + n, ok=False) for n in range(2))),
            "choose": lambda: commit(self.mem, *(box(100 * self.number + n) for n in range(2))),
            "used": lambda: self.learn(f"{one} {two}", Feedback(outcome="success", used=tuple(facts[:2]))),
            "misled": lambda: self.learn(f"{one} {two}", Feedback(outcome="failure", harmful=tuple(facts[:1]))),
            "consolidate": lambda: self.consolidate(),
            "replay": lambda: self.consolidate(replay=world()),
            "model": lambda: self.consolidate(model=ScriptedChatModel(answer=lambda name, _: NOTE if name == "Extracted" else "banana")),
            "take back": self.take_back,
        }
        deeds[deed]()

    def learn(self, query: str, feedback: Feedback) -> None:
        self.mem.learn(self.mem.recall(query, namespace=HERE), feedback)

    def consolidate(self, **options: Any) -> None:
        before = self.sees()
        report = self.mem.consolidate(namespace=HERE, **options)
        self.done = [(report.operation, before)] if report.operation else self.done

    def take_back(self) -> None:
        if self.done and self.mem.engine.ledger.operations(HERE)[0].id == self.done[-1][0]:
            operation, before = self.done.pop()
            self.mem.undo(operation)
            assert self.sees() == before


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(DEEDS), min_size=4, max_size=10), st.integers(0, 1000), st.sampled_from(["consolidate", "replay", "model"]))
def test_undo_of_a_whole_consolidation_restores_recall_exactly_and_what_follows_the_log_equals_its_full_replay(deeds, seed, last):
    with tempfile.TemporaryDirectory() as place:
        with FluxMem.open(place, chroma="off") as mem:
            history = History(mem, seed)
            for deed in ["remember", "succeed", "choose", *deeds, last, "take back"]:
                history.do(deed)
            followed = history.sees()
            mem.engine.rebuild()
            assert history.sees() == followed
            assert mem.verify() == []
        with FluxMem.open(place, chroma="off") as mem:
            assert History(mem, seed).sees() == followed
