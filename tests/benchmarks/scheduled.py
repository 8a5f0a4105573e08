"""Consolidation on a schedule in a real `langgraph dev`, beside an agent that plays:
python -m tests.benchmarks.scheduled [--episodes 300] [--every 20] [--games DIR] [--json FILE].

An agent plays a stream of TextWorld games (cooking, and three smaller kinds) with a memory on disk. A server on loopback, a process of its
own, consolidates the same memory by a cron that fires every so many seconds. On the way

- the cron is registered three times;
- at a third of the stream three runs are started at once by the API, beside the cron's own fires (each induction is made to take three seconds);
- the server is stopped for a while; the next one is killed (SIGKILL) at the third induction of a fire; the one after it takes that
  consolidation up. What is induced is noted by the graph in a file, so that repeated work is counted.

Games are made once and kept (``--games``, default the demonstration's cache); play takes about two seconds a game.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver

from langgraph_fluxmem import ConfigError, FluxMem, schedule
from langgraph_fluxmem.demo import games
from langgraph_fluxmem.demo.agents import Agent, Seat, build_agent, play
from langgraph_fluxmem.demo.kitchen import Kitchen
from langgraph_fluxmem.demo.memories import FluxMemory
from tests.benchmarks.common import print_table, write_json
from tests.integration.test_langgraph_dev import ROOT, Server, serving

HERE = ("kitchens",)
OTHERS = {
    "tw-coin_collector": ("--level", "3"),
    "tw-treasure_hunter": ("--level", "4"),
    "tw-simple": ("--rewards", "dense", "--goal", "detailed"),
}
"""Smaller kinds of games, so that there is more than one kind of task; two of five games are of these."""
GRAPH = """
import asyncio, hashlib, os, signal
from pathlib import Path
from langgraph_fluxmem.consolidation.graph import consolidation_graph
from langgraph_fluxmem.operators import RuleOperators

class Noting(RuleOperators):
    count = 0

    async def ajudge(self, task):
        if task.operator == "induce":
            Noting.count += 1
            await asyncio.to_thread(self.note, hashlib.sha256(task.draft.model_dump_json().encode()).hexdigest()[:12])
            if Noting.count == int(os.environ.get("KILL_AT", "0")):
                os.kill(os.getpid(), signal.SIGKILL)
            await asyncio.sleep(float(os.environ.get("SLOW", "0")))
        return await super().ajudge(task)

    def note(self, text):
        with Path(__file__).with_name("induced").open("a") as file:
            file.write(text + chr(10))

graph = consolidation_graph(model=Noting())
"""
SLOW = {"SLOW": "3"}
KILL = {"KILL_AT": "3"}
WORKERS = ("--n-jobs-per-worker", "4")


def stream(count: int) -> list[tuple[str, int]]:
    """(kind, seed) of so many games, mixed."""
    few = count * 2 // 5 // len(OTHERS)
    found = [(kind, seed) for kind in OTHERS for seed in range(few)]
    cooking = [*range(160), *range(1000, 1120), *range(5000, 5120)]
    found += [("cooking", cooking[number % len(cooking)]) for number in range(count - len(found))]
    random.Random(7).shuffle(found)
    return found


def story(kind: str, seed: int, cache: games.GameCache) -> Path:
    """The game's file, made first where it is missing."""
    if kind == "cooking":
        return cache.ensure(games.GameSpec(seed))
    import textworld
    import textworld.challenges
    import textworld.generator

    path = cache.root / "others" / f"{kind}-{seed:05}.z8"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _, make, add_arguments = textworld.challenges.CHALLENGES[kind]
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        options = textworld.GameOptions()
        options.seeds, options.file_ext = seed, ".z8"
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            options.path = str(Path(folder) / path.name)
            game = make(settings=vars(parser.parse_args(list(OTHERS[kind]))), options=options)
            textworld.generator.compile_game(game, options)
            for suffix in (".json", ".z8"):
                (Path(folder) / path.name).with_suffix(suffix).replace(path.with_suffix(suffix))
    return path


class Watch:
    """Reads the report of the cron's thread every second and keeps each one once."""

    def __init__(self) -> None:
        self.reports: list[dict[str, Any]] = []
        self.played = 0
        self.server: Server | None = None
        self._seen: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def keep(self, report: dict[str, Any], fire: str) -> None:
        """Note a report once."""
        if report and report["id"] not in self._seen and not report["skipped"]:
            self._seen.add(report["id"])
            self.reports.append({"fire": fire, "at": self.played, **report})

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._stop.wait(1.0):
            server = self.server
            if server is not None:
                try:
                    state = server.ask(f"/threads/{schedule.thread_of(HERE)}/state", method="GET")
                except (OSError, HTTPException):
                    continue
                self.keep((state.get("values") or {}).get("report") or {}, "cron")


def fire(server: Server) -> dict[str, Any]:
    """One run by the API; its report."""
    return server.ask("/runs/wait", {"assistant_id": "consolidation", "input": {"namespace": list(HERE), "thresholds": {"parallel": 1}}})[
        "report"
    ]


def registered(server: Server, every: int) -> int:
    """Register the cron three times; how many crons there are then."""
    url = f"http://127.0.0.1:{server.port}"
    for _ in range(3):
        schedule.schedule(url, namespace=HERE, cron=f"* * * * * */{every}", thresholds={"parallel": 1})
    return len(schedule.scheduled(url))


def holdings(mem: FluxMem) -> dict[str, Any]:
    """What the memory holds: nodes and edges by kind, evidence, skills by status, bytes of the ledger."""
    ledger = mem.engine.ledger
    rows = ledger.nodes(HERE)
    skills = Counter(str((row.body or {}).get("status")) for row in rows if row.kind == "skill")
    return {
        "nodes": dict(Counter(row.kind for row in rows)),
        "edges": dict(Counter(row.kind for row in ledger.edges(HERE))),
        "evidence": len(ledger.evidence(HERE)),
        "skills": dict(skills),
        "operations": dict(Counter(row.kind for row in ledger.operations(HERE, limit=1_000_000))),
    }


class Player:
    """Plays the stream, game by game."""

    def __init__(self, memory: FluxMemory, cache: games.GameCache, every: list[tuple[str, int]], watch: Watch) -> None:
        self.saver = InMemorySaver()
        self.agent: Agent = build_agent(memory, self.saver)
        self.cache, self.every, self.watch = cache, every, watch
        self.won: list[bool] = []
        self.start = time.monotonic()

    def upto(self, count: int) -> None:
        """Play on until so many games are played."""
        for number in range(len(self.won), count):
            kind, seed = self.every[number]
            with Kitchen(story(kind, seed, self.cache)) as kitchen:
                state = play(self.agent, Seat(kitchen, 1, number), thread=f"game-{number}", episode=f"game-{number}")
            self.won.append(bool(state.get("won")))
            self.saver.delete_thread(f"game-{number}")
            self.watch.played = number + 1
            if (number + 1) % 10 == 0:
                took = time.monotonic() - self.start
                say(f"[{took:5.0f} s] {number + 1} games, {sum(self.won[-10:])} of the last ten won")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run(place: Path, count: int, every: int, cache: games.GameCache) -> dict[str, Any]:
    """The whole stream; what came of it."""
    shutil.copytree(ROOT / "graphs", place / "graphs", ignore=shutil.ignore_patterns("__pycache__"))
    (place / "graphs" / "consolidation.py").write_text(GRAPH)
    induced = place / "graphs" / "induced"
    induced.touch()
    given = json.loads((ROOT / "langgraph.json").read_text())
    (place / "langgraph.json").write_text(json.dumps({**given, "checkpointer": {"path": "./graphs/checkpointer.py:checkpointer"}}))
    watch, out = Watch(), {}
    memory = FluxMemory(place / "memory", namespace=HERE)
    player = Player(memory, cache, stream(count), watch)
    try:
        out["before"] = holdings(memory.mem)
        with serving(place, WORKERS, **SLOW) as watch.server:
            out["crons"] = registered(watch.server, every)
            player.upto(count // 3)
            out["overlap"] = overlap(watch, player)
            player.upto(count // 2)
            watch.server, server = None, watch.server
            trouble = faults_in(server)
        say("the server was stopped")
        player.upto(count * 2 // 3)
        out["kill"] = killed(place, induced, watch, every)
        with serving(place, WORKERS) as watch.server:
            registered(watch.server, every)
            wait(lambda: len(watch.reports) > out["kill"]["reports"], "the fire that takes it up")
            out["kill"] |= resumed(induced, watch, out["kill"])
            player.upto(count)
            wait(lambda: watch.reports[-1]["at"] >= count, "a last fire")
            last = fire(watch.server)
            out["last"] = last["stopped"]
            watch.server, server = None, watch.server
            out["trouble"] = trouble + faults_in(server)
        out["after"] = holdings(memory.mem)
        out["won"] = [sum(player.won[start : start + 50]) for start in range(0, count, 50)]
        out["lost"] = count - sum(commit.live for commit in memory.mem.engine.ledger.commits(HERE))
        out["verify"] = memory.mem.verify()
        out["consolidations"] = out["after"]["operations"].get("consolidate", 0)
        out["bytes"] = sum(path.stat().st_size for path in (place / "memory").rglob("*") if path.is_file())
        out["reports"] = watch.reports
        out["skills"] = [
            {key: (row.body or {})[key] for key in ("name", "status", "number", "trials", "pems")}
            | {"steps": [step["text"] for step in (row.body or {})["steps"]]}
            for row in memory.mem.engine.ledger.nodes(HERE, kinds=("skill",))
        ]
        out["seconds"] = time.monotonic() - player.start
    finally:
        watch.stop()
        memory.close()
    return out


def faults_in(server: Server) -> list[str]:
    """What a server said of things that went wrong; not that a fire was refused while another one ran, which is meant."""
    return [line[:200] for line in server.log if "Background run failed" in line or "BlockingError" in line]


def overlap(watch: Watch, player: Player) -> dict[str, Any]:
    """Three runs at once by the API, beside the cron's own, while the agent plays on; how each ended."""
    server = watch.server
    assert server is not None
    reports: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: reports.append(fire(server))) for _ in range(3)]
    for thread in threads:
        thread.start()
    player.upto(len(player.won) + 3)
    for thread in threads:
        thread.join()
    for report in reports:
        watch.keep(report, "api")
    ends = Counter("consolidated" if report["operation"] else report["skipped"] or report["stopped"] for report in reports)
    return {"fires": len(reports), "ends": dict(ends)}


def killed(place: Path, induced: Path, watch: Watch, every: int) -> dict[str, Any]:
    """A server that dies at its third induction."""
    before = len(induced.read_text().split())
    with serving(place, WORKERS, **KILL) as server:
        with suppress(ConfigError):  # the cron of before is kept by the server, and may fire before this is done
            registered(server, every)
        wait(lambda: dead(server), "the kill")
    done = induced.read_text().split()[before:]
    say(f"killed after {done}")
    return {"reports": len(watch.reports), "induced before": done, "first": before}


def resumed(induced: Path, watch: Watch, kill: dict[str, Any]) -> dict[str, Any]:
    """What was induced again after the kill: the cluster under way, and no other."""
    after = induced.read_text().split()[kill["first"] + len(kill["induced before"]) :]
    report = watch.reports[kill["reports"]]
    again = [name for name in after if name in kill["induced before"]]
    return {"induced after": after, "repeated": again, "clusters": len([part for part in report["clusters"] if part["induced"]])}


def dead(server: Server) -> bool:
    try:
        server.ask("/ok", method="GET")
    except (OSError, HTTPException):
        return True
    return False


def wait(done: Any, what: str) -> None:
    """Ask every second until it is so.

    Raises:
        TimeoutError: not within two minutes.
    """
    for _ in range(120):
        if done():
            return
        time.sleep(1.0)
    raise TimeoutError(f"{what} did not happen within two minutes")


def rows_of(out: dict[str, Any]) -> list[dict[str, Any]]:
    """One row for each consolidation that was written."""
    rows: list[dict[str, Any]] = []
    for report in out["reports"]:
        if report["operation"]:
            decided = Counter(skill["decision"] for skill in report["skills"])
            rows.append(
                {
                    "fire": report["fire"],
                    "episodes": report["episodes"],
                    "new": report["new"],
                    "explained": report["explained"],
                    "clusters": len(report["clusters"]),
                    "induced": sum(part["induced"] for part in report["clusters"]),
                    "active": report["active"],
                    **{name: decided.get(name, 0) for name in ("accepted", "promoted", "demoted", "retired", "rejected", "kept")},
                    "calls": report["calls"],
                    "stopped": report["stopped"],
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=300)
    parser.add_argument("--every", type=int, default=20, help="seconds between two fires of the cron (default: 20)")
    parser.add_argument("--games", type=Path, help="where games are kept (default: the demonstration's cache)")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fluxmem-scheduled-") as place:
        out = run(Path(place), options.episodes, options.every, games.GameCache(options.games))
    rows = rows_of(out)
    print_table(rows, [key for key in rows[0] if key != "stopped"])
    for skill in out["skills"]:
        print(
            f"[{skill['status']}] {skill['name']} v{skill['number']}, {skill['trials']['successes']:g} successes, {skill['trials']['failures']:g} failures"
        )
        print("".join(f"    {step}\n" for step in skill["steps"]), end="")
    for name in ("crons", "overlap", "kill", "last", "before", "after", "bytes", "won", "lost", "verify", "trouble", "seconds"):
        print(f"{name}: {out[name]}")
    write_json(options.json, [*rows, {key: value for key, value in out.items() if key != "reports"}])


if __name__ == "__main__":
    main()
