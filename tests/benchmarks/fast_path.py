"""What a recall costs for a mature task, on the fast path, and for a fresh one: python -m tests.benchmarks.fast_path [--facts 1000,10000]
[--recalls 200] [--json FILE].

A memory with so many facts (made up, offline embedding) and a mature skill for one kind of task. A recall of a task of that kind activates
the skill's circuit; a fresh task is searched with all signals and, with a model, verified. Each query is recalled once before it is timed, so
that no embedding is in the figures; `calls` are calls of the model in a recall, which answers at once, so that its own time is in none.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from langgraph_fluxmem import Episode, FluxMem, Step
from langgraph_fluxmem.operators import RuleOperators
from langgraph_fluxmem.schema import Activation
from langgraph_fluxmem.testing.models import ScriptedChatModel

HERE = ("memories",)
NAMES = ["Ann", "Bob", "Cyd", "Dora", "Edith", "Finn", "Gil", "Hal", "Ida", "Jo"]
THINGS = "lamp cup door bowl chair shirt paper box carrot onion plate brush towel letter apple pan knife table shelf book".split()
PLACES = "kitchen garden attic cellar office hall garage shed pantry studio".split()


def login(number: int) -> Episode:
    """A task of the mature kind, solved."""
    who = NAMES[number % len(NAMES)]
    actions: list[dict[str, Any]] = [{"op": "click", "on": "username"}, {"op": "type", "text": who}, {"op": "click", "on": "Login"}]
    steps = tuple(
        Step(observation={"buttons": "Login Cancel"}, action=action, progress=float(n == len(actions) - 1))
        for n, action in enumerate(actions)
    )
    return Episode(task=f'Enter the username "{who}" and press login.', steps=steps, outcome="success", id=f"login-{number}")


def verify(tool: str, messages: list[Any]) -> dict[str, Any]:
    """A model that finds every candidate middling."""
    return {"scores": [0.5] * sum(line.startswith("[") for line in str(messages[-1].text).splitlines())}


def timed(mem: FluxMem, queries: list[str], recalls: int) -> tuple[list[float], list[Activation]]:
    """Milliseconds of each recall, and what came of the last ones."""
    for query in queries:
        mem.recall(query, namespace=HERE)
    took: list[float] = []
    last: list[Activation] = []
    for number in range(recalls):
        start = time.perf_counter()
        activation = mem.recall(queries[number % len(queries)], namespace=HERE)
        took.append((time.perf_counter() - start) * 1000)
        last = [*last, activation][-len(queries) :]
    return took, last


def measure(facts: int, recalls: int, *, model: bool) -> list[dict[str, Any]]:
    """A row for the mature task and one for a fresh one."""
    chance = random.Random(facts)
    asked = ScriptedChatModel(answer=verify) if model else None
    with tempfile.TemporaryDirectory() as folder, FluxMem.open(Path(folder), model=asked, chroma="off") as mem:
        mem.remember(
            [
                f"{chance.choice(NAMES)} left the {chance.choice(THINGS)} {n} in the {chance.choice(PLACES)} on day {n % 365}"
                for n in range(facts)
            ],
            namespace=HERE,
        )
        for first, last in ((0, 5), (10, 20)):
            for number in range(first, last):
                mem.commit(login(number), namespace=HERE)
            mem.consolidate(namespace=HERE, model=RuleOperators())
        tasks = {
            "mature (fast path)": [login(number).task for number in range(5)],
            "fresh": [f"where did {name} leave the {thing}?" for name, thing in zip(NAMES[:5], THINGS, strict=False)],
        }
        rows: list[dict[str, Any]] = []
        for kind, queries in tasks.items():
            took, activations = timed(mem, queries, recalls)
            quantiles = statistics.quantiles(took, n=20)
            rows.append(
                {
                    "facts": facts,
                    "model": "scripted" if model else "none",
                    "task": kind,
                    "p50_ms": round(statistics.median(took), 3),
                    "p95_ms": round(quantiles[-1], 3),
                    "calls": statistics.mean(activation.model_calls for activation in activations),
                    "searched": any(activation.facts for activation in activations),
                    "mature": all(activation.skills and activation.skills[0].status == "mature" for activation in activations),
                }
            )
        return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", default="1000,10000")
    parser.add_argument("--recalls", type=int, default=200)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = [row for size in map(int, args.facts.split(",")) for model in (False, True) for row in measure(size, args.recalls, model=model)]
    print(f"{'facts':>7}  {'model':9} {'task':19} {'p50 ms':>8} {'p95 ms':>8} {'calls':>6}  searched")
    for row in rows:
        print(
            f"{row['facts']:>7}  {row['model']:9} {row['task']:19} {row['p50_ms']:>8.2f} {row['p95_ms']:>8.2f} {row['calls']:>6.1f}  {row['searched']}"
        )
    if args.json:
        args.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
