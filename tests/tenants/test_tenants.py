"""Tenants: no call for one namespace gives what another holds. Stateful, over every public call; marks are searched in every output."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from langchain_core.messages import BaseMessage
from langgraph.store.base import BaseStore

from langgraph_fluxmem import Feedback, FluxMem, FluxMemStore, UnknownIdError
from langgraph_fluxmem.cli.app import app
from langgraph_fluxmem.kv import FluxMemKVStore
from langgraph_fluxmem.testing.models import ScriptedChatModel

from .calls import CALLS, COMMANDS, COMMANDS_OTHERWISE, MARKS, OTHERWISE, SPACES, STORE_OTHERWISE, TENANTS, WHOLE, House, attempted, said


def public(kind: type) -> set[str]:
    """The public names of a class, async twins under the names of their twins."""
    names = {name for name in dir(kind) if not name.startswith("_")}
    return {name[1:] if name.startswith("a") and name[1:] in names else name for name in names}


def test_every_public_call_has_a_rule() -> None:
    assert public(FluxMem) - CALLS.keys() - WHOLE.keys() - OTHERWISE.keys() == set()
    store = {f"store.{name}" for name in public(FluxMemStore) - STORE_OTHERWISE.keys()}
    assert store - CALLS.keys() == set()
    assert {f"kv.{name}" for name in public(FluxMemKVStore)} - CALLS.keys() == set()
    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback is not None}
    assert commands - COMMANDS.keys() - COMMANDS_OTHERWISE == set()


class Tenants(RuleBasedStateMachine):
    """Three tenants, one of whose namespaces begins like another's, and one that is shared when asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.path = Path(tempfile.mkdtemp())
        self.who = "shared"
        self.events: list[Any] = []
        model = ScriptedChatModel(answer=self._asked)
        self.house = House(FluxMem.open(self.path / "m", chroma="off", model=model, gate="inline"), self.path / "m", model)
        self.house.mem.on_event(self.events.append)

    def _asked(self, tool: str, messages: list[BaseMessage]) -> Any:
        """What a model is shown for one tenant is an output, too."""
        del tool
        self._search("what a model is asked", messages, shared=True)
        return ValueError("the rules may answer")

    def _search(self, what: str, output: Any, *, shared: bool) -> None:
        text = said(output)
        foreign = {mark for who, mark in MARKS.items() if who != self.who and not (shared and who == "shared")}
        found = [mark for mark in foreign if mark in text]
        assert not found, f"{what} for {self.who} holds {found}: {text[max(0, text.find(found[0]) - 300) :][:600]}"

    @initialize(seeds=st.lists(st.integers(0, 10**6), min_size=4, max_size=4))
    def everybody_says_something(self, seeds: list[int]) -> None:
        for who, seed in zip(SPACES, seeds, strict=True):
            self.who = who
            for name in ("remember", "commit", "store.put"):
                self._search(name, attempted(self.house, name, who, seed), shared=False)

    @rule(who=st.sampled_from(TENANTS), name=st.sampled_from(sorted(CALLS)), seed=st.integers(0, 10**6), twin=st.booleans())
    def call(self, who: str, name: str, seed: int, twin: bool) -> None:  # noqa: FBT001 - drawn
        self.who = who
        output = asyncio.run(asyncio.to_thread(attempted, self.house, name, who, seed)) if twin else attempted(self.house, name, who, seed)
        asked_for_shared = name in ("recall", "as_retriever", "memory_tools", "nodes", "activation", "refine", "explain", "learn")
        self._search(name, output, shared=asked_for_shared)

    @rule(name=st.sampled_from(sorted(WHOLE)))
    def whole(self, name: str) -> None:
        self.who = "nobody"
        output = WHOLE[name](self.house)
        self._search(name, output, shared=False)
        if name == "verify":
            assert output == []

    def teardown(self) -> None:
        self.who = "nobody"
        self._search("an event", self.events, shared=False)
        self.house.mem.close()
        shutil.rmtree(self.path)


TestTenants = Tenants.TestCase
TestTenants.settings = settings(
    max_examples=10,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # a call takes milliseconds: shrinking would take minutes
)


def fill(house: House) -> None:
    for name in ("remember", "commit", "store.put", "kv.mset"):
        for who in SPACES:
            for seed in range(4):
                attempted(house, name, who, seed)


@pytest.mark.parametrize("who", TENANTS)
@pytest.mark.parametrize("name", sorted(CALLS))
def test_each_call_once_for_each_tenant(house: House, who: str, name: str) -> None:
    """The plain form: nothing is left to chance but the arguments."""
    for seed in range(3):
        text = said(attempted(house, name, who, seed))
        assert not [mark for other, mark in MARKS.items() if other not in (who, "shared") and mark in text]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("tenants") / "m"
    with FluxMem.open(path, chroma="off") as mem:
        house = House(mem, path, ScriptedChatModel())
        fill(house)
        yield house


def test_an_id_of_another_tenant_is_as_good_as_none(mem: FluxMem) -> None:
    (theirs,) = mem.remember(f"{MARKS['bob']} has the key", namespace=SPACES["bob"])
    mem.remember("nothing", namespace=SPACES["ann"])
    activation = mem.recall("key", namespace=SPACES["ann"])
    messages: set[str] = set()
    for name in (theirs, f"{theirs.split(':', maxsplit=1)[0]}:00000000"):
        for attempt in (
            lambda name=name: mem.learn(activation, Feedback(outcome="success", used=(name,))),
            lambda name=name: mem.explain(name, namespace=SPACES["ann"]),
            lambda name=name: mem.forget(name, namespace=SPACES["ann"]),
        ):
            with pytest.raises(UnknownIdError) as error:
                attempt()
            messages.add(str(error.value).replace(name, "ID"))
    assert len(messages) == 3  # one for each call: whether somebody else has it makes no difference


def test_only_also_shares_and_only_when_asked(mem: FluxMem) -> None:
    mem.remember(f"{MARKS['shared']} the red door opens at nine", namespace=SPACES["shared"])
    mem.remember("the red door is mine", namespace=SPACES["ann"])
    both = mem.recall("red door", namespace=SPACES["ann"], also=[SPACES["shared"]])
    assert MARKS["shared"] in both.context
    mem.learn(both, Feedback(outcome="success", used=tuple(fact.id for fact in both.facts)))
    alone = mem.recall("red door", namespace=SPACES["ann"])
    assert MARKS["shared"] not in said(alone)
    assert {fact.namespace for fact in alone.facts} == {SPACES["ann"]}
    back = mem.recall("red door", namespace=SPACES["shared"])
    assert {fact.namespace for fact in back.facts} == {SPACES["shared"]}


def test_the_same_text_shares_no_vector(mem: FluxMem) -> None:
    for who in TENANTS:
        mem.remember("the very same text", namespace=SPACES[who])
    held = [mem.engine.ledger.nodes(SPACES[who], kinds=("fact",))[0].texts[0].hash for who in TENANTS]
    assert len(set(held)) == 1
    mem.forget(namespace=SPACES["ann"])
    assert mem.engine.ledger.vectors(SPACES["ann"], held[:1]) == {}
    assert len(mem.engine.ledger.vectors(SPACES["bob"], held[:1])) == 1
    assert issubclass(FluxMemStore, BaseStore)
