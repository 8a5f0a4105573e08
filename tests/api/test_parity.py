"""Every call with an async twin, told once and made by both faces on memories of their own: they answer alike, and no async one blocks its loop.

The list of twins is made from the signatures: a new call without a line here fails the test.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blockbuster import blockbuster_ctx
from langchain_core.runnables import RunnableLambda

from langgraph_fluxmem import Episode, Feedback, FluxMem, FluxMemStore, Step
from langgraph_fluxmem.past import PastMemory

EPISODE = Episode(task="which plan?", steps=(Step(observation="a list", action="look up", progress=1.0),), outcome="success", id="e1")
HERE = ("memories",)


class Tale:
    """What was answered so far, by name, and a place for files."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.said: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        return self.said[name]


Given = tuple[tuple[Any, ...], dict[str, Any]]


def given(*args: Any, **named: Any) -> Given:
    return args, named


SCRIPT: list[tuple[str, Callable[[Tale], Given]]] = [
    ("remember", lambda tale: given(["ada is on the team plan", "bob is on no plan", "the plan costs ten euros"])),
    ("recall", lambda tale: given("which plan?", k=2)),
    ("activation", lambda tale: given(tale["recall"].model_dump(mode="json"))),
    ("refine", lambda tale: given(tale["recall"], Feedback(outcome="failure", used=[tale["recall"].facts[0].id]))),
    ("learn", lambda tale: given(tale["recall"], Feedback(outcome="success", used=[tale["recall"].facts[0].id]))),
    ("commit", lambda tale: given(EPISODE)),
    ("commit", lambda tale: given(Episode(task=" "))),
    ("rehearsals", lambda tale: given(2)),
    ("rehearsals", lambda tale: given(0)),
    ("shorten", lambda tale: given("e1", RunnableLambda(lambda _: True))),
    ("shorten", lambda tale: given("no such episode", RunnableLambda(lambda _: True))),
    ("explain", lambda tale: given(tale["recall"].facts[0].id)),
    ("topics", lambda tale: given()),
    ("notes", lambda tale: given()),
    ("quarantine", lambda tale: given(decided=True)),
    ("release", lambda tale: given("no such item")),
    ("discard", lambda tale: given("no such item")),
    ("undo", lambda tale: given(tale["learn"].operation)),
    ("undo", lambda tale: given("no such operation")),
    ("consolidate", lambda tale: given()),
    ("reset_learning", lambda tale: given()),
    ("log", lambda tale: given(limit=3)),
    ("past.moment", lambda tale: given()),
    ("past.recall", lambda tale: given("which plan?")),
    ("past.topics", lambda tale: given()),
    ("past.store.search", lambda tale: given(HERE, query="plan")),
    ("store.setup", lambda tale: given()),
    ("store.put", lambda tale: given(HERE, "k", {"text": "carl pays"})),
    ("store.get", lambda tale: given(HERE, "k")),
    ("store.search", lambda tale: given(HERE, query="who pays?")),
    ("store.list_namespaces", lambda tale: given()),
    ("store.batch", lambda tale: given([])),
    ("store.delete", lambda tale: given(HERE, "k")),
    ("store.sweep_ttl", lambda tale: given()),
    ("export", lambda tale: given(tale.place / "export.jsonl")),
    ("import_", lambda tale: given(tale.place / "export.jsonl", into={HERE: ("copy",)})),
    ("forget", lambda tale: given(tale["recall"].facts[0].id)),
    ("compact", lambda tale: given()),
    ("flush", lambda tale: given()),
    ("rebuild", lambda tale: given()),
    ("verify", lambda tale: given()),
    ("store.close", lambda tale: given()),
]
OTHERWISE = {"open", "close", "reembed"}
"""Twins that open or close the memory: tested where memories are opened, and embedded again."""


def twins(cls: type, prefix: str = "") -> set[str]:
    """Names of calls that have a twin with the same arguments."""
    names = {name for name in dir(cls) if not name.startswith("_") and callable(getattr(cls, name))}
    pairs = {name for name in names if f"a{name}" in names and inspect.iscoroutinefunction(getattr(cls, f"a{name}"))}
    return {f"{prefix}{name}" for name in pairs}


def holder(mem: FluxMem, name: str) -> tuple[Any, str]:
    """The object that a call of the script is made on, and the name of the call there."""
    owner, _, call = name.rpartition(".")
    past = mem.as_of(position=2)
    return {"": mem, "store": mem.store, "past": past, "past.store": past.store}[owner], call


def scrubbed(answer: Any) -> str:
    """What an answer says, without ids that are made anew, times and seconds."""
    text = re.sub(r"\d{9,10}\.\d+|datetime\.datetime\([^)]*\)|\d{4}-\d\d-\d\dT[\d:.+]+|seconds=[\d.e-]+", "T", repr(answer))
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{12,}|:[0-9a-f]{8}\b", "#", text)


def of_error(error: Exception) -> str:
    return scrubbed((type(error).__name__, str(error)))


def told_at_once(mem: FluxMem, tale: Tale) -> list[tuple[str, str]]:
    said: list[tuple[str, str]] = []
    for name, arguments in SCRIPT:
        on, call = holder(mem, name)
        args, named = arguments(tale)
        try:
            tale.said[name] = getattr(on, call)(*args, **named)
            said.append((name, scrubbed(tale[name]) if call != "setup" else "None"))
        except Exception as error:  # noqa: BLE001 - both must fail alike
            said.append((name, of_error(error)))
    return said


async def told_in_a_loop(mem: FluxMem, tale: Tale) -> list[tuple[str, str]]:
    said: list[tuple[str, str]] = []
    for name, arguments in SCRIPT:
        on, call = holder(mem, name)
        args, named = arguments(tale)
        with blockbuster_ctx():
            try:
                tale.said[name] = await getattr(on, f"a{call}")(*args, **named)
                said.append((name, scrubbed(tale[name])))
            except Exception as error:  # noqa: BLE001 - both must fail alike
                said.append((name, of_error(error)))
    return said


async def test_both_faces_say_the_same_and_nothing_blocks_the_loop(tmp_path: Path) -> None:
    places = {face: tmp_path / face for face in ("sync", "async")}
    with FluxMem.open(places["sync"], chroma="off") as mem:
        ours = await asyncio.to_thread(told_at_once, mem, Tale(places["sync"]))
    async with await FluxMem.aopen(places["async"], chroma="off") as mem:
        theirs = await told_in_a_loop(mem, Tale(places["async"]))
    places_out = [[(name, text.replace(f"/{face}/", "/")) for name, text in said] for face, said in (("sync", ours), ("async", theirs))]
    for one, other in zip(*places_out, strict=True):
        assert one == other


@pytest.mark.parametrize(("cls", "prefix"), [(FluxMem, ""), (PastMemory, "past."), (FluxMemStore, "store.")])
def test_every_twin_has_its_line_and_the_same_arguments(cls: type, prefix: str) -> None:
    pairs = twins(cls, prefix)
    assert pairs - OTHERWISE <= {name for name, _ in SCRIPT}
    for name in pairs:
        call = name.rpartition(".")[2]
        ours, theirs = (inspect.signature(getattr(cls, which)) for which in (call, f"a{call}"))
        assert list(ours.parameters.values()) == list(theirs.parameters.values()), name


def test_many_event_loops_use_one_memory(tmp_path: Path) -> None:
    errors: list[BaseException] = []
    with FluxMem.open(tmp_path / "m", chroma="off") as mem:

        async def work(loop: int) -> None:
            await mem.aremember([f"loop a{loop} fact b{number}" for number in range(5)])
            await asyncio.gather(*(mem.acommit(Episode(task=f"loop a{loop} task b{number}", id=f"{loop}-{number}")) for number in range(5)))
            await mem.store.aput(HERE, f"k{loop}", {"text": f"loop {loop}"})
            found = await asyncio.gather(*(mem.arecall(f"loop a{loop} fact b{number}", k=1) for number in range(5)))
            assert [activation.facts[0].content for activation in found] == [f"loop a{loop} fact b{number}" for number in range(5)]

        def in_a_loop(loop: int) -> None:
            try:
                for _ in range(2):  # a second loop of the same thread, when the first is gone
                    asyncio.run(work(loop))
            except BaseException as error:  # noqa: BLE001 - told to the test's thread
                errors.append(error)

        threads = [threading.Thread(target=in_a_loop, args=(loop,)) for loop in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        assert len(mem.engine.ledger.nodes(HERE, kinds=("fact",))) == len(mem.engine.ledger.nodes(HERE, kinds=("episode",))) == 20
        assert mem.verify() == []
