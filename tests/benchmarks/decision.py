"""What a decision costs while memory grows: web forms with key-value actions, commands with notes.

    python -m tests.benchmarks.decision [--sizes 100,1000,10000] [--json FILE]

For each size: milliseconds of CPU to advise on the admissible actions for the first time after a commit of a like task (`first_ms`, median of
`ROUNDS`), again in the same situation (`again_ms`), for a task never seen before (`new_task_ms`), and to take up a committed episode
(`commit_ms`). No embedding and no ledger are part of it.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from langgraph_fluxmem.learning import StepMemory, advise, evidence, record
from langgraph_fluxmem.schema import Action, Episode, Situation, Step, Vector
from tests.benchmarks.common import print_table, write_json

ROUNDS = 9
DIMENSIONS = 64
KINDS = 40
"""Kinds of task; their vectors are near one another in groups of four."""
COLUMNS = ("actions", "episodes", "first_ms", "again_ms", "new_task_ms", "commit_ms")
Maker = Callable[[random.Random, int], tuple[Episode, tuple[Action, ...]]]


def form(rng: random.Random, kind: int) -> tuple[Episode, tuple[Action, ...]]:
    """A web form: choose what a note names, then send."""
    names = [f"name{rng.randrange(500)}" for _ in range(6)]
    radios: tuple[Action, ...] = tuple(
        {"op": "click radio", "text": name, "id": f"k{kind}r{place}", "class": f"c{kind % 5}", "ord": str(place)}
        for place, name in enumerate(names)
    )
    send: Action = {"op": "click button", "text": "Send", "id": f"k{kind}go", "ord": "0"}
    chosen = rng.randrange(6)
    won = chosen == 0
    steps = (Step(notes=(f"target {names[0]}",)), Step(action=radios[chosen]), Step(action=send, progress=1.0 if won else -1.0))
    return Episode(task=f"Form {kind}: choose x and send.", steps=steps, outcome="success" if won else "failure"), (*radios, send)


def kitchen(rng: random.Random, kind: int) -> tuple[Episode, tuple[Action, ...]]:
    """A dish: read what is to be done with it, do it with what is there."""
    thing, verb = f"thing{rng.randrange(60)}", rng.choice(("fry", "roast", "grill"))
    tools = ("stove", "oven", "barbecue", "toaster")
    actions: tuple[Action, ...] = tuple(f"cook {thing} with {tool}" for tool in tools) + ("look", f"eat {thing}", f"drop {thing}")
    chosen = rng.randrange(4)
    won = tools[chosen] == {"fry": "stove", "roast": "oven", "grill": "barbecue"}[verb]
    room = {"room": f"You see {', '.join(tools)}.", "inv": thing}
    steps = (
        Step(observation=room, action="look", notes=(f"{verb} the {thing}",), actions=actions),
        Step(observation=room, action=actions[chosen], progress=0.5 if won else 0.0, loss=0.0 if won else 1.0, actions=actions),
    )
    return Episode(task=f"Cook dish {kind}.", steps=steps, outcome="success" if won else "failure"), actions


def vectors() -> list[Vector]:
    """(KINDS + 1) task vectors; the last is of a task that no episode has."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(KINDS // 4 + 1, DIMENSIONS))
    made = [centres[kind // 4] + 0.4 * rng.normal(size=DIMENSIONS) for kind in range(KINDS + 1)]
    return [(vector / np.linalg.norm(vector)).astype(np.float32) for vector in made]


def measure(make: Maker, sizes: Sequence[int]) -> list[dict[str, Any]]:
    rng = random.Random(0)
    of = vectors()
    memory = StepMemory()
    made: list[dict[str, Any]] = []
    number = 0

    def commit() -> tuple[Episode, tuple[Action, ...], int]:
        nonlocal number
        kind = number % KINDS
        episode, actions = make(rng, kind)
        memory.add_episode(f"e{number}", record(episode), of[kind], number)
        for ordinal, channel, weight in evidence(episode):
            memory.add_evidence(f"e{number}#{ordinal}", channel, weight, number)
        number += 1
        return episode, actions, kind

    def ask(episode: Episode, actions: Sequence[Action], vector: Vector) -> float:
        notes = tuple(note for step in episode.steps for note in step.notes)
        situation = Situation(task=episode.task, notes=notes, observation=episode.steps[-1].observation)
        return timed(lambda: advise(memory, situation, vector, actions))

    for size in sizes:
        while number < size - ROUNDS:
            commit()
        first: list[float] = []
        again: list[float] = []
        new: list[float] = []
        commits: list[float] = []
        for _ in range(ROUNDS):
            episode, actions, kind = commit()
            first.append(ask(episode, actions, of[kind]))
            again.append(ask(episode, actions, of[kind]))
            other = of[-1] + 0.2 * np.random.default_rng(number).normal(size=DIMENSIONS).astype(np.float32)
            new.append(ask(episode, actions, (other / np.linalg.norm(other)).astype(np.float32)))
            commits.append(timed(commit))
        row = {"actions": make.__name__, "episodes": size}
        made.append(row | {name: statistics.median(times) for name, times in zip(COLUMNS[2:], (first, again, new, commits), strict=True)})
    return made


def timed(act: Callable[[], Any]) -> float:
    """Milliseconds of CPU."""
    started = time.process_time()
    act()
    return 1000.0 * (time.process_time() - started)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.decision", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sizes", default="100,1000,10000")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args(argv)
    sizes = sorted(int(size) for size in args.sizes.split(","))
    made = [row for make in (form, kitchen) for row in measure(make, sizes)]
    print_table(made, COLUMNS)
    write_json(args.json, made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
