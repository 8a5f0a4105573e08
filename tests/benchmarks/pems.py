"""PEMS over a stream of TextWorld episodes, with replay in the real games:
python -m tests.benchmarks.pems --memory DIR --games DIR [--every 20] [--json FILE] [--plot FILE].

DIR of --memory is a memory that the demonstration filled (``<data>/seed-1/fluxmem/memory``), of --games its cache of games. Its episodes are
committed again, in order, to a fresh memory, which is consolidated after every so many; a rewrite is accepted by replaying its source
episodes. One row for each consolidation: what was decided, eta, tokens, PEMS, rounds with their gains, and why rewriting stopped.
"""

from __future__ import annotations

import argparse
import json
import re
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableLambda

from langgraph_fluxmem import Episode, FluxMem
from langgraph_fluxmem.demo.kitchen import Kitchen
from langgraph_fluxmem.learning import steps_of

HERE = ("kitchens",)


def recorded(memory: Path, place: Path) -> list[Episode]:
    """The episodes of a memory, which is copied first and left as it is."""
    place.mkdir()
    with sqlite3.connect(f"file:{memory}/ledger.sqlite?mode=ro", uri=True) as source, sqlite3.connect(place / "ledger.sqlite") as copy:
        source.backup(copy)
    with FluxMem.open(place, chroma="off") as mem:
        bodies = [row.body for row in mem.engine.ledger.nodes(HERE, kinds=("episode",)) if row.body and row.body.get("steps")]
    return [
        Episode(task=body["task"], steps=tuple(steps_of(body)), outcome=body["outcome"], score=body["score"], id=body["id"])
        for body in bodies
    ]


def replaying(games: Path) -> RunnableLambda[dict[str, Any], bool]:
    """Plays a game's commands anew; what is not admissible any more is left out."""

    def play(given: dict[str, Any]) -> bool:
        found = re.search(r"(train|test)-\d{5}", given["episode"])
        assert found, f"episode {given['episode']!r} does not name its game"
        with Kitchen(next(games.rglob(f"{found[0]}.z8"))) as kitchen:
            frame = kitchen.reset()
            for command in given["actions"]:
                if frame.done:
                    break
                if command in frame.commands:
                    frame = kitchen.step(command)
            return frame.won

    return RunnableLambda(play)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", type=Path, required=True)
    parser.add_argument("--games", type=Path, required=True)
    parser.add_argument("--every", type=int, default=20)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as place:
        episodes = recorded(options.memory, Path(place) / "copy")
        with FluxMem.open(Path(place) / "memory", chroma="off") as mem:
            for number, episode in enumerate(episodes, 1):
                mem.commit(episode, namespace=HERE)
                if number % options.every:
                    continue
                start = time.perf_counter()
                report = mem.consolidate(namespace=HERE, replay=replaying(options.games))
                skills = [
                    {
                        key: getattr(skill, key)
                        for key in ("decision", "status", "number", "eta", "eta_from", "tokens", "pems", "why", "steps")
                    }
                    for skill in report.skills
                ]
                rounds = [part.model_dump() for part in report.rounds]
                rows.append(
                    {
                        "episodes": number, "new": report.new, "explained": report.explained, "active": report.active, "replays": report.replays,
                        "seconds": time.perf_counter() - start, "stopped": report.stopped, "skills": skills, "rounds": rounds,
                    }
                )  # fmt: skip
                print(report, flush=True)
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=1))
    if options.plot:
        plot(rows, options.plot)


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """PEMS, eta and length of the skill in force after each consolidation."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    kept = [
        (row["episodes"], skill) for row in rows for skill in row["skills"] if skill["decision"] != "rejected" and skill["pems"] is not None
    ]
    refused = [(row["episodes"], skill) for row in rows for skill in row["skills"] if skill["decision"] == "rejected"]
    figure, (above, below, rounds) = plt.subplots(3, 1, sharex=True, figsize=(7, 7))
    above.plot([at for at, _ in kept], [skill["pems"] for _, skill in kept], "o-", label="PEMS")
    for at, skill in kept:
        above.annotate(f"v{skill['number']}", (at, skill["pems"]), textcoords="offset points", xytext=(0, 6), ha="center", fontsize=8)
    above.set_ylabel("PEMS")
    below.plot([at for at, _ in kept], [skill["eta"] for _, skill in kept], "o-", label="in force")
    below.plot([at for at, _ in refused], [skill["eta"] for _, skill in refused], "x", color="tab:red", label="refused rewrite")
    below.set_ylabel("success rate eta")
    width = 0.8 * (rows[1]["episodes"] - rows[0]["episodes"]) / 5 if len(rows) > 1 else 1.0
    for row in rows:
        trace = [(row["episodes"] + width * part["round"], part) for part in row["rounds"] if part["value"] is not None]
        rounds.plot([at for at, _ in trace], [part["value"] for _, part in trace], "-", color="tab:gray", linewidth=1)
        for at, part in trace:
            rounds.plot([at], [part["value"]], "^" if part["refined"] else "x", color="tab:green" if part["refined"] else "tab:gray")
    rounds.set_ylabel("|V| PEMS, round by round")
    rounds.set_xlabel("episodes (rounds to the right: triangle refined, cross not)")
    below.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path)


if __name__ == "__main__":
    main()
