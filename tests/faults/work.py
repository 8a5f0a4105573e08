"""The work of a process that is killed, told before and after each call, and what a memory must hold after it.

What a call writes follows from its name, so whoever reads ``["done", kind, name, ...]`` can say what must be there, and a call that was
begun and not acknowledged can be made again by the next process, as a caller would.
"""

from __future__ import annotations

import json
import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from langgraph_fluxmem import Feedback, FluxMem
from langgraph_fluxmem.errors import FluxMemError, LeaseLostError, StaleError, UnknownIdError
from tests.consolidation.tasks import login

HERE = ("soak", "agent")
Event = tuple[str, ...]
"""(kind, name, ...)"""


def texts_of(name: str) -> list[str]:
    return [f"{name} says thing {number} about {word}" for number, word in enumerate(random.Random(name).sample(WORDS, 3))]


WORDS = ("apples", "boats", "clocks", "dunes", "engines", "forests", "gates", "harbours")


def value_of(name: str) -> dict[str, Any]:
    return {"text": f"{name} keeps {random.Random(name).choice(WORDS)}", "number": len(name)}


class Tell:
    """Writes one line for each event, whole or not at all."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __call__(self, what: str, *event: str) -> None:
        os.write(self._descriptor, (json.dumps([what, *event]) + "\n").encode())


# ------------------------------------------------------------------------------------------------------------------------- the calls
def remember(mem: FluxMem, name: str) -> tuple[str, ...]:
    return tuple(mem.remember(texts_of(name), namespace=HERE))


def commit(mem: FluxMem, name: str) -> tuple[str, ...]:
    number = random.Random(name).randrange(1000)
    episode = login(number, ok=number % 4 != 0, scroll=number % 2 == 0)
    return (mem.commit(episode.model_copy(update={"id": name}), namespace=HERE),)


def learn(mem: FluxMem, name: str, episode: str) -> tuple[str, ...]:
    return (mem.learn(episode, Feedback(outcome="success", detail=name), namespace=HERE).operation,)


def put(mem: FluxMem, name: str) -> tuple[str, ...]:
    mem.store.put(HERE, name, value_of(name))
    return ()


def delete(mem: FluxMem, name: str) -> tuple[str, ...]:
    mem.store.delete(HERE, name)
    return ()


def undo(mem: FluxMem, name: str, commit_id: str) -> tuple[str, ...]:
    return (mem.undo(commit_id, cascade=True).operation,)


def forget(mem: FluxMem, name: str, *ids: str) -> tuple[str, ...]:
    try:
        return mem.forget(list(ids), namespace=HERE).operations
    except UnknownIdError:  # a call before this one forgot them, and was not heard
        return ()


def consolidate(mem: FluxMem, name: str) -> tuple[str, ...]:
    """Once. Forgetting takes its lease away, undoing makes its plan stale: it then says so, and wrote nothing."""
    try:
        report = mem.consolidate(namespace=HERE, thresholds={"lease": 0.5})
    except (LeaseLostError, StaleError):
        return ("",)
    return (report.operation or "",)


CALLS: dict[str, Callable[..., tuple[str, ...]]] = {
    call.__name__: call for call in (remember, commit, learn, put, delete, undo, forget, consolidate)
}


def call(mem: FluxMem, tell: Tell, kind: str, name: str, *given: str) -> tuple[str, ...]:
    """Make one call, told before and after; returns what it gave back."""
    tell("begin", kind, name, *given)
    gave = CALLS[kind](mem, name, *given)
    tell("done", kind, name, *given, *(gave if kind in ("learn", "undo", "consolidate") else ()))
    return gave


def mixed(mem: FluxMem, tell: Tell, name: str, *, consolidating: bool, taking_back: bool = True) -> None:
    """Calls of every kind, from two threads, until the process is killed. What is taken back (undone, deleted, forgotten) takes the lease
    of a consolidation away and makes its plan stale, so that it does not get to its end."""

    def go(thread: int) -> None:
        for round_ in range(10**9):
            base = f"{name}.{thread}.{round_}"
            ids = call(mem, tell, "remember", f"{base}r")
            (commit_id,) = call(mem, tell, "commit", f"{base}c")
            call(mem, tell, "put", f"{base}p")
            call(mem, tell, "learn", f"{base}l", f"{base}c")
            mem.recall(texts_of(f"{base}r")[0], namespace=HERE, k=3)
            if taking_back and round_ % 3 == 1:
                call(mem, tell, "undo", f"{base}c", commit_id)
                call(mem, tell, "delete", f"{base}p")
                call(mem, tell, "forget", f"{base}r", *ids)
            if consolidating and not thread:
                call(mem, tell, "consolidate", f"{base}s")

    other = threading.Thread(target=go, args=(1,), daemon=True)
    other.start()
    go(0)


# ------------------------------------------------------------------------------------------------------------------------ the ledger
@dataclass
class Findings:
    """What was wrong; empty lists when nothing was."""

    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    half: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


@dataclass
class Expected:
    """What a directory must hold, from what its processes told."""

    done: list[Event] = field(default_factory=list)
    begun: dict[tuple[str, str], Event] = field(default_factory=dict)

    def hear(self, lines: Iterable[str]) -> None:
        for line in lines:
            what, *event = json.loads(line)
            if what == "aged":
                continue
            key = (event[0], event[1])
            if what == "done":
                self.done.append(tuple(event))
                self.begun.pop(key, None)
            elif what == "begin":
                self.begun[key] = tuple(event)

    def of(self, kind: str) -> dict[str, Event]:
        return {event[1]: event for event in self.done if event[0] == kind}

    def compare(self, mem: FluxMem) -> Findings:
        """Every acknowledged call is there once and whole, and every other one whole or not at all; then `verify`."""
        found = Findings()
        ledger = mem.engine.ledger
        counts = Counter(row.body["content"] for row in ledger.nodes(HERE, kinds=("fact",)) if row.body)
        forgotten, maybe = self.of("forget"), {name for kind, name in self.begun if kind == "forget"}
        for name in {*self.of("remember"), *(name for kind, name in self.begun if kind == "remember")}:
            there = [counts[text] for text in texts_of(name)]
            if max(there) > 1:
                found.duplicated.append(f"facts of {name}: {there}")
            if name in forgotten and any(there):
                found.lost.append(f"that {name} was forgotten: {there}")
            elif len(set(there)) > 1:
                found.half.append(f"facts of {name}: {there}")
            elif name in self.of("remember") and name not in forgotten and name not in maybe and not all(there):
                found.lost.append(f"facts of {name}")
        undone, maybe = self.of("undo"), {name for kind, name in self.begun if kind == "undo"}
        episodes = Counter(row.body.get("id") for row in ledger.nodes(HERE, kinds=("episode",)) if row.body)
        commits = Counter(commit.episode for commit in ledger.commits(HERE) if commit.live)
        for name in {*self.of("commit"), *(name for kind, name in self.begun if kind == "commit")}:
            if commits[name] > 1 or episodes[name] > 1:
                found.duplicated.append(f"episode {name}: {commits[name]} commits, {episodes[name]} episodes")
            if commits[name] != episodes[name]:
                found.half.append(f"episode {name}: {commits[name]} commits, {episodes[name]} episodes")
            if name in undone and commits[name]:
                found.lost.append(f"that {name} was undone")
            elif name in self.of("commit") and name not in undone and name not in maybe and not commits[name]:
                found.lost.append(f"episode {name}")
        deleted, maybe = self.of("delete"), {name for kind, name in self.begun if kind == "delete"}
        for name in self.of("put"):
            item = mem.store.get(HERE, name)
            if name in deleted and item is not None:
                found.lost.append(f"that item {name} was deleted")
            elif name not in deleted and name not in maybe and (item is None or item.value != value_of(name)):
                found.lost.append(f"item {name}")
        maybe = {name for kind, name in self.begun if kind == "undo"}
        for _, name, episode, operation in self.of("learn").values():
            counts_still = episode not in undone and episode not in maybe  # what does not may be compacted away
            if operation and counts_still and ledger.operation(operation) is None:
                found.lost.append(f"learn {name}: operation {operation}")
        found.duplicated += self._twice(mem)
        found.wrong += mem.engine.verify()
        return found

    def _twice(self, mem: FluxMem) -> list[str]:
        """Evidence that two live operations wrote for one judgement."""
        rows = Counter((row.target, row.activation, row.channel) for row in mem.engine.ledger.evidence(HERE))
        return [f"evidence {key} is there {count} times" for key, count in rows.items() if count > 1]

    def again(self, mem: FluxMem, tell: Tell) -> None:
        """Make the calls again that were not heard of, in their order."""
        for event in list(self.begun.values()):
            kind, name, *given = event
            try:
                call(mem, tell, kind, name, *given)
            except UnknownIdError:  # what it rests on was not written either, or was undone
                tell("done", kind, name, *given, "")


def backup_is_whole(directory: Path, done: Iterable[Event]) -> list[str]:
    """Differences of a backup whose process was killed: it is refused, or it holds everything that was acknowledged before it began."""
    if not directory.exists() or not (directory / "ledger.sqlite").exists():
        return []
    try:
        with FluxMem.open(directory, chroma="off") as mem:
            expected = Expected(done=[event for event in done if event[0] == "remember"])
            gone = {event[1] for event in done if event[0] == "forget"}
            expected.done = [event for event in expected.done if event[1] not in gone]
            found = expected.compare(mem)
            return [*found.lost, *found.half, *found.wrong]
    except FluxMemError as error:
        return [f"the backup cannot be opened: {error}"]
