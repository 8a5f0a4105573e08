"""Which past tasks are worth trying again: recent ones of a kind that is solved about half of the time.

Of a kind that always goes well, or never does, another attempt says little; where it is open how it will end, it says most. What was tried
long ago may have changed since, so only the latest tasks are asked for, and the latest attempts say most of how tasks of a kind go.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import dropwhile, islice
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from langgraph_fluxmem.learning.memory import StepMemory

LOOKED = 200
"""Episodes that are looked at, the latest ones."""
COUNTED = 100
"""Attempts that say how tasks of a kind go."""
FADE = 0.97
"""What an attempt counts for, against the one after it."""
LIKE = 0.5
"""Kernel weight from which a task is of the kind of another, for what its successes needed."""
LATELY = 4
"""Successes at tasks of a kind that say how many steps they need."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A past task to try again.

    Attributes:
        episode: id that the latest attempt at it was committed under.
        task: as it was committed.
        metadata: of that episode, for instance the seed of its environment.
        attempts: at this very task (the same text, the same notes), among the episodes looked at.
        rate: share of the latest attempts at tasks like it that went well; half before anything is known.
        value: rate * (1 - rate) / (1 + attempts).
    """

    episode: str
    task: str
    metadata: Mapping[str, Any]
    attempts: int
    rate: float
    value: float


@dataclass(slots=True)
class _Tried:
    version: str
    group: int
    attempts: int = 0


def rehearsals(memory: StepMemory, k: int, recent: int) -> list[Rehearsal]:
    """At most `k` of the `recent` tasks that were tried first last, the most valuable first."""
    tried: dict[tuple[str, tuple[str, ...]], _Tried] = {}
    attempts: list[tuple[int, float]] = []
    for version, group in reversed(list(islice(_attempts(memory), LOOKED))):
        body = memory.bodies[version]
        notes = tuple(note for step in body["steps"] if step["action"] is None for note in step.get("notes", ()))
        one = tried.setdefault((str(body["task"]), notes), _Tried(version, group))
        one.version = version
        one.attempts += 1
        if body["outcome"] != "unknown":
            attempts.append((group, float(body["outcome"] == "success")))
    groups = np.array([group for group, _ in attempts[-COUNTED:]], np.int64)
    solved = np.array([went for _, went in attempts[-COUNTED:]])
    fading = FADE ** np.arange(len(groups))[::-1]
    rates: dict[int, float] = {}
    found: list[Rehearsal] = []
    for one in list(tried.values())[-recent:]:
        if one.group not in rates:
            say = memory.alike(one.group)[groups] * fading
            rates[one.group] = float(say @ solved + 0.25) / float(say.sum() + 0.5)
        rate, body = rates[one.group], memory.bodies[one.version]
        value = rate * (1.0 - rate) / (1 + one.attempts)
        found.append(Rehearsal(str(body["id"]), str(body["task"]), body.get("metadata", {}), one.attempts, rate, value))
    return sorted(found, key=lambda rehearsal: -rehearsal.value)[:k]


def needed_lately(memory: StepMemory, version: str) -> list[int]:
    """How many steps led on in each of the latest successes at tasks like that of the episode `version` before it; the latest first."""
    before = dropwhile(lambda attempt: attempt[0] != version, _attempts(memory))
    _, group = next(before, ("", -1))
    if group < 0:
        return []
    alike = memory.alike(group)
    like = (episode for episode, other in islice(before, LOOKED) if alike[other] >= LIKE)
    lengths = (_led(memory, episode) for episode in like if memory.bodies[episode]["outcome"] == "success")
    return list(islice(lengths, LATELY))


def shorter_than(body: Mapping[str, Any]) -> str | None:
    """The episode (version id) that this one is a shorter way of; None where it was lived."""
    return body.get("shortens")


def _attempts(memory: StepMemory) -> Iterator[tuple[str, int]]:
    """(episode version, task group) of what was lived, the latest first."""
    for version in reversed(memory.bodies):
        body = memory.bodies[version]
        if shorter_than(body) is None:
            first = next(
                (i for i, step in enumerate(body["steps"]) if f"{version}#{i}" in memory.steps and step["action"] is not None), None
            )
            if first is not None:
                yield version, memory.steps[f"{version}#{first}"].group


def _led(memory: StepMemory, version: str) -> int:
    ids = (f"{version}#{ordinal}" for ordinal in range(len(memory.bodies[version]["steps"])))
    return sum(step.evidence[0] > step.evidence[1] for name in ids if (step := memory.steps.get(name)) is not None)
