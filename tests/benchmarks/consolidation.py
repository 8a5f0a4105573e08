"""What a consolidation by rules costs: python -m tests.benchmarks.consolidation [--episodes 1000,10000] [--kinds 25] [--json FILE].

Made-up chores of so many kinds (a procedure of three to six steps each; a quarter of the attempts fails), committed to a fresh memory with
the offline embedding. `first`: all episodes are new. `ten`, `hundred`: so many more episodes than at the consolidation before. Seconds are of
the calling process (`cpu`) and of the wall clock; recall is of a task that a skill was made for.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from langgraph_fluxmem import Episode, FluxMem, Step
from langgraph_fluxmem.testing.models import ScriptedChatModel

HERE = ("chores",)
VERBS = "open take mix heat cool paint polish wash fold sort stack label scan copy send read cut peel fry bake".split()
THINGS = "lamp cup door bowl chair shirt paper box carrot onion plate brush towel letter apple pan knife table shelf book".split()
PLACES = "kitchen garden attic cellar office hall garage shed pantry studio".split()
Kind = tuple[list[str], str, str]


def kinds(count: int) -> list[Kind]:
    """So many kinds of chores: verbs in order, place, how the task is put."""
    chance = random.Random(7)
    made: list[Kind] = []
    for number in range(count):
        verbs, place = chance.sample(VERBS, chance.randint(3, 6)), chance.choice(PLACES)
        opening, end = chance.choice(["Please", "Kindly", "Quickly", "Now"]), chance.choice(["ready", "clean", "warm", "dry", "done"])
        made.append((verbs, place, f"{opening} {verbs[0]} and {verbs[1]} the {{}} in the {place} until it is {end} job{number}"))
    return made


def episode(number: int, of: list[Kind]) -> Episode:
    """One attempt, three of four go well; some look around on the way."""
    chance = random.Random(number)
    verbs, place, task = chance.choice(of)
    thing, ok = chance.choice(THINGS), chance.random() < 0.75
    actions = [f"{verb} {thing}" for verb in verbs]
    if chance.random() < 0.3:
        actions.insert(chance.randrange(len(actions)), "look around")
    if not ok:
        actions = [*actions[: chance.randint(1, len(actions) - 1)], f"drop {thing}"]
    seen = f"You are in the {place}. There is a {thing} here and a {chance.choice(THINGS)}."
    last = len(actions) - 1
    steps = tuple(
        Step(observation=seen, action=action, result="ok", progress=float(ok and n == last), loss=float(not ok and n == last))
        for n, action in enumerate(actions)
    )
    return Episode(task=task.format(thing), steps=steps, outcome="success" if ok else "failure", id=f"chore-{number}")


def measure(episodes: int, count: int) -> dict[str, Any]:
    """One row."""
    of = kinds(count)
    with tempfile.TemporaryDirectory() as place, FluxMem.open(Path(place) / "memory", chroma="off") as mem:
        start = time.perf_counter()
        for number in range(episodes):
            mem.commit(episode(number, of), namespace=HERE)
        row: dict[str, Any] = {"episodes": episodes, "kinds": count, "commit_ms": 1000 * (time.perf_counter() - start) / episodes}
        mem.recall(episode(0, of).task, namespace=HERE)
        for name, more in (("first", 0), ("ten", 10), ("hundred", 100)):
            for number in range(episodes, episodes + more):
                mem.commit(episode(number, of), namespace=HERE)
            episodes += more
            start, cpu = time.perf_counter(), time.process_time()
            report = mem.consolidate(namespace=HERE)
            row[name] = {
                "seconds": time.perf_counter() - start,
                "cpu": time.process_time() - cpu,
                "new": report.new,
                "explained": report.explained,
                "clusters": len(report.clusters),
                "induced": sum(part.induced for part in report.clusters),
                "skills": report.active,
            }
        start = time.perf_counter()
        for number in range(20):
            mem.recall(episode(number, of).task, namespace=HERE)
        row["recall_ms"] = 50 * (time.perf_counter() - start)
        row["rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return row


def model_calls() -> dict[str, Any]:
    """Calls of a model when eight of ten new episodes are explained by skills: counted with a scripted one."""
    of = kinds(2)
    chores = [episode(number, [of[0]]) for number in range(200)]
    good = [chore for chore in chores if chore.outcome == "success"]
    others = [chore for number in range(200, 300) if (chore := episode(number, [of[1]])).outcome == "success"]
    said = {"name": "a chore", "when": "there is a chore", "steps": [{"template": 0, "text": "do the first thing"}]}
    model = ScriptedChatModel(answers=[said])
    with tempfile.TemporaryDirectory() as place, FluxMem.open(Path(place) / "memory", chroma="off") as mem:
        for chore in good[:8]:
            mem.commit(chore, namespace=HERE)
        mem.consolidate(namespace=HERE)
        for chore in (*good[8:16], *others[:2]):
            mem.commit(chore, namespace=HERE)
        report = mem.consolidate(namespace=HERE, model=model)
    clusters = [part for part in report.clusters if part.new > part.explained]
    return {
        "system": "model calls", "new": report.new, "explained": report.explained, "clusters": len(clusters), "calls": len(model.asked),
        "tokens": report.input_tokens + report.output_tokens,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", default="1000")
    parser.add_argument("--kinds", type=int, default=25)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = [measure(int(episodes), options.kinds) for episodes in options.episodes.split(",")]
    for row in rows:
        print(
            f"{row['episodes']} episodes of {row['kinds']} kinds; commit {row['commit_ms']:.2f} ms, recall {row['recall_ms']:.1f} ms, {row['rss_mb']:.0f} MB"
        )
        for name in ("first", "ten", "hundred"):
            part = row[name]
            print(
                f"  {name:8} {part['seconds']:7.2f} s ({part['cpu']:.2f} s cpu)  {part['explained']} of {part['new']} explained, {part['induced']} induced, {part['skills']} skills"
            )
    asked = model_calls()
    print(
        f"{asked['explained']} of {asked['new']} new episodes explained: {asked['calls']} model calls for {asked['clusters']} clusters, {asked['tokens']} tokens"
    )
    rows.append(asked)
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=1))


if __name__ == "__main__":
    main()
