"""Several processes with several threads each on one memory: every acknowledged write is found, no call fails, and how many there are a second.

    python -m tests.benchmarks.workers --seconds 60 --processes 4 --threads 4 --json FILE

Systems: FluxMem on a SQLite directory, FluxMem on Postgres with a Chroma server, and LangGraph's own SqliteStore and PostgresStore. The
workload ``store`` is the same for all four, without vectors (30% put, 50% get of an earlier key, 20% search by filter, limit 10). The
workload ``memory`` (30% remember, 40% recall, 10% commit, 10% learn, 10% put) has no counterpart in the stock stores. Real servers are started
on loopback; Postgres runs with ``fsync`` on. Afterwards another process looks for every acknowledged write, and `verify()` runs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from langgraph.store.base import BaseStore

from langgraph_fluxmem import Episode, Feedback, FluxMem, Step

SYSTEMS = {
    "store": ("FluxMem SQLite", "SqliteStore", "FluxMem Postgres + Chroma", "PostgresStore"),
    "memory": ("FluxMem SQLite", "FluxMem Postgres + Chroma"),
}
SPACES = [("workers", str(number)) for number in range(8)]
WORDS = ("harbour", "engine", "meadow", "ledger", "window", "copper", "lantern", "orchard")


# --------------------------------------------------------------------------------------------------------------------- what is measured
@contextlib.contextmanager
def opened(system: str, place: dict[str, str]) -> Iterator[tuple[BaseStore, FluxMem | None]]:
    """A store of this system, and the memory under it where it is ours."""
    if system == "SqliteStore":
        from langgraph.store.sqlite import SqliteStore

        with SqliteStore.from_conn_string(place["file"]) as store:
            store.setup()
            yield store, None
    elif system == "PostgresStore":
        from langgraph.store.postgres import PostgresStore

        with PostgresStore.from_conn_string(place["postgres"], pool_config={"min_size": 1, "max_size": 16}) as store:
            store.setup()
            yield store, None
    else:
        servers = system.endswith("Chroma")
        with FluxMem.open(place["postgres"] if servers else place["directory"], chroma=place["chroma"] if servers else "auto") as mem:
            yield mem.store, mem


class Worker:
    """One thread's calls; `acknowledged` holds what must be found afterwards."""

    def __init__(self, name: str, store: BaseStore, mem: FluxMem | None) -> None:
        self.name, self.store, self.mem = name, store, mem
        self.rng = random.Random(name)
        self.acknowledged: list[tuple[str, ...]] = []
        self.counts: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()

    def go_on(self, until: float) -> None:
        number = 0
        while time.monotonic() < until:
            number += 1
            kind = self._kind()
            try:
                getattr(self, kind)(f"{self.name}.{number}", self.rng.choice(SPACES))
            except Exception as error:
                self.failures[f"{kind}: {type(error).__name__}: {str(error)[:120]}"] += 1
            else:
                self.counts[kind] += 1

    def _kind(self) -> str:
        if self.mem is None or self.workload == "store":
            kinds, weights = ("put", "get", "filter"), (3, 5, 2)
        else:
            kinds, weights = ("remember", "recall", "commit", "learn", "put"), (3, 4, 1, 1, 1)
        return self.rng.choices(kinds, weights)[0]

    workload = "store"

    def put(self, name: str, space: tuple[str, ...]) -> None:
        self.store.put(space, name, value_of(name), index=False if self.workload == "store" else None)
        self.acknowledged.append(("put", "/".join(space), name))

    def get(self, name: str, space: tuple[str, ...]) -> None:
        _, where, key = self.rng.choice(self.acknowledged or [("put", "/".join(space), name)])
        found = self.store.get(tuple(where.split("/")), key)
        assert found is None or found.value == value_of(key)

    def filter(self, name: str, space: tuple[str, ...]) -> None:
        for item in self.store.search(space, filter={"word": self.rng.choice(WORDS)}, limit=10):
            assert item.value == value_of(item.key)

    def remember(self, name: str, space: tuple[str, ...]) -> None:
        assert self.mem is not None
        self.mem.remember(text_of(name), namespace=space)
        self.acknowledged.append(("remember", "/".join(space), name))

    def recall(self, name: str, space: tuple[str, ...]) -> None:
        assert self.mem is not None
        self.mem.recall(f"what of the {self.rng.choice(WORDS)}?", namespace=space)

    def commit(self, name: str, space: tuple[str, ...]) -> None:
        assert self.mem is not None
        steps = [Step(observation=f"at the {word}", action=f"go to the {word}") for word in self.rng.sample(WORDS, 2)]
        self.mem.commit(Episode(id=name, task=text_of(name), steps=steps, outcome="success"), namespace=space)
        self.acknowledged.append(("commit", "/".join(space), name))

    def learn(self, name: str, space: tuple[str, ...]) -> None:
        assert self.mem is not None
        activation = self.mem.recall(f"what of the {self.rng.choice(WORDS)}?", namespace=space)
        applied = self.mem.learn(activation, Feedback(outcome="success", used=[fact.id for fact in activation.facts[:1]]))
        self.acknowledged.append(("learn", "/".join(space), applied.operation))


def value_of(name: str) -> dict[str, Any]:
    return {"text": text_of(name), "word": random.Random(name).choice(WORDS)}


def text_of(name: str) -> str:
    return f"{name}: the {' and the '.join(random.Random(name).sample(WORDS, 3))}"


# -------------------------------------------------------------------------------------------------------------------------- processes
def child(spec: dict[str, Any]) -> None:
    """One process: open, say so, wait for the word, work, report."""
    with opened(spec["system"], spec["place"]) as (store, mem):
        store.get(SPACES[0], "warm")
        if mem is not None and spec["workload"] == "memory":
            mem.recall("warm up", namespace=SPACES[0])
        print("ready", flush=True)
        sys.stdin.readline()
        workers = [Worker(f"{spec['name']}.{thread}", store, mem) for thread in range(spec["threads"])]
        until = time.monotonic() + spec["seconds"]
        for worker in workers:
            worker.workload = spec["workload"]
        threads = [threading.Thread(target=worker.go_on, args=(until,)) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        report = {
            "counts": sum((worker.counts for worker in workers), Counter()),
            "failures": sum((worker.failures for worker in workers), Counter()),
            "acknowledged": [entry for worker in workers for entry in worker.acknowledged],
        }
    print(json.dumps(report), flush=True)


def found_of(system: str, place: dict[str, str], acknowledged: list[list[str]]) -> tuple[list[str], list[str]]:
    """What was acknowledged and is not there as it was written, and what `verify()` says."""
    lost: list[str] = []
    with opened(system, place) as (store, mem):
        facts: dict[str, set[str]] = {}
        for kind, where, name in acknowledged:
            space = tuple(where.split("/"))
            if kind == "put":
                item = store.get(space, name)
                there = item is not None and item.value == value_of(name)
            elif kind == "remember":
                assert mem is not None
                if where not in facts:
                    facts[where] = {row.body["content"] for row in mem.engine.ledger.nodes(space, kinds=("fact",)) if row.body}
                there = text_of(name) in facts[where]
            elif kind == "commit":
                assert mem is not None
                there = len(mem.engine.ledger.resolve_episode(space, name)) == 1
            else:
                assert mem is not None
                there = mem.engine.ledger.operation(name) is not None
            if not there:
                lost.append(f"{kind} {name}")
        return lost, [] if mem is None else mem.engine.verify()


def measure(system: str, workload: str, place: dict[str, str], processes: int, threads: int, seconds: float) -> dict[str, Any]:
    """One system under one workload."""
    started = []
    with opened(system, place):  # make the tables once
        pass
    for number in range(processes):
        spec = {"system": system, "workload": workload, "place": place, "name": f"p{number}", "threads": threads, "seconds": seconds}
        command = [sys.executable, "-m", "tests.benchmarks.workers", "--child", json.dumps(spec)]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    for process in started:
        assert process.stdout is not None and process.stdout.readline() == "ready\n", "a worker did not start"
    begun = time.monotonic()
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    reports = [json.loads(process.communicate()[0]) for process in started]
    took = time.monotonic() - begun
    counts: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    for report in reports:
        counts.update(report["counts"])
        failures.update(report["failures"])
    acknowledged = [entry for report in reports for entry in report["acknowledged"]]
    lost, wrong = found_of(system, place, acknowledged)
    return {
        "system": system,
        "workload": workload,
        "processes": processes,
        "threads": threads,
        "seconds": seconds,
        "took": round(took, 1),
        "calls": sum(counts.values()),
        "calls_per_s": round(sum(counts.values()) / seconds, 1),
        "counts": dict(sorted(counts.items())),
        "acknowledged": len(acknowledged),
        "lost": len(lost),
        "failed": sum(failures.values()),
        "failures": dict(failures.most_common(3)),
        "verify": wrong[:3],
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.workers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--threads", type=int, default=4, help="in each process")
    parser.add_argument("--systems", default="", help="only these, by their beginnings, comma separated")
    parser.add_argument("--workloads", default="store,memory")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(json.loads(options.child))
        return 0
    rows = []
    print(f"{'system':28} {'workload':9} {'calls/s':>8} {'writes':>8} {'lost':>5} {'failed':>7}  verify")
    for workload in options.workloads.split(","):
        for system in SYSTEMS[workload]:
            if options.systems and not system.startswith(tuple(options.systems.split(","))):
                continue
            with contextlib.ExitStack() as stack:
                base = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                place = {"directory": str(base / "memory"), "file": str(base / "store.sqlite"), "postgres": "", "chroma": ""}
                if "Postgres" in system:
                    from tests.servers.real import Chroma, Postgres

                    database, vectors = Postgres(fsync=True), Chroma(base / "chroma")
                    stack.callback(database.close)
                    stack.callback(vectors.stop)
                    database.start()
                    vectors.start()
                    place.update(postgres=database.address, chroma=vectors.address)
                row = measure(system, workload, place, options.processes, options.threads, options.seconds)
            rows.append(row)
            shown = f"{row['calls_per_s']:8} {row['acknowledged']:8} {row['lost']:5} {row['failed']:7}"
            print(f"{system:28} {workload:9} {shown}  {row['verify'] or 'clean'} {row['failures'] or ''}", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    return 0 if not any(row["lost"] or row["verify"] or (row["failed"] and row["system"].startswith("FluxMem")) for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
