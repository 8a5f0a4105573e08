"""Three scripted agents, with and without memory in one run: the calls each task takes.

    python -m tests.benchmarks.agents [--seeds 1,2,3] [--tasks 40] [--worlds tools,sources] [--variants none,fluxmem,fluxmem!edits] [--json FILE]

tools: `create_agent` with tools that want another call first, an argument in a format of their own, and a pause. sources: a retrieval graph
that must choose which of four sources to ask. commands: a release on a command line in an order that nobody tells. No model: a policy
tries what it has not tried, and memory (offline embedding, defaults) is all that can tell it better. `fluxmem!edits` is memory without a
part of learning (`without`). ± is a 95% t-interval over seeds of what a variant takes more than the first one.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from langgraph_fluxmem import FluxMem
from langgraph_fluxmem.demo.report import t_half_width

from .agent_worlds import WORLDS, Ran
from .common import print_table, write_json
from .without import PARTS, without


def measure(
    seeds: Sequence[int], tasks: int, worlds: Sequence[str] = tuple(WORLDS), variants: Sequence[str] = ("none", "fluxmem")
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Rows of the table, and the last context that each world's memory wrote (first seed)."""
    rows: list[dict[str, Any]] = []
    contexts: dict[str, str] = {}
    for name in worlds:
        every = {variant: [_played(variant, name, seed, tasks) for seed in seeds] for variant in variants}
        if "fluxmem" in every:
            contexts[name] = every["fluxmem"][0].context
        rows += [{"agent": name, "variant": variant, **_shares(ran)} for variant, ran in every.items()]
        for variant in variants[1:]:
            last = [
                float(np.mean(b.calls[-tasks // 2 :]) - np.mean(a.calls[-tasks // 2 :]))
                for a, b in zip(every[variants[0]], every[variant], strict=True)
            ]
            half = t_half_width(last) if len(last) > 1 else None
            rows.append(
                {
                    "agent": name,
                    "variant": f"{variant} - {variants[0]}",
                    "calls_last_half": float(np.mean(last)),
                    "calls_last_half_ci": half,
                    "seeds": len(last),
                }
            )
    return rows, contexts


def _played(variant: str, name: str, seed: int, tasks: int) -> Ran:
    memory, *parts = variant.split("!")
    if memory == "none":
        return WORLDS[name](None, seed, tasks)
    with without(parts), tempfile.TemporaryDirectory() as folder, FluxMem.open(Path(folder) / "memory", chroma="off") as mem:
        return WORLDS[name](mem, seed, tasks)


def _shares(every: Sequence[Ran]) -> dict[str, Any]:
    tasks = len(every[0].calls)
    return {
        "calls_first_5": float(np.mean([ran.calls[:5] for ran in every])),
        "calls_last_half": float(np.mean([ran.calls[-tasks // 2 :] for ran in every])),
        "solved": float(np.mean([ran.solved for ran in every])),
        "solved_last_half": float(np.mean([ran.solved[-tasks // 2 :] for ran in every])),
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.agents", description=__doc__)
    parser.add_argument("--seeds", type=lambda text: tuple(map(int, text.split(","))), default=tuple(range(1, 9)))
    parser.add_argument("--tasks", type=int, default=40)
    parser.add_argument("--worlds", default=",".join(WORLDS), help=f"some of {', '.join(WORLDS)}")
    parser.add_argument("--variants", default="none,fluxmem", help="none, fluxmem, and fluxmem without parts of learning: fluxmem!edits")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args(argv)
    worlds, variants = args.worlds.split(","), args.variants.split(",")
    for name, known in (
        *((world, WORLDS) for world in worlds),
        *((variant.partition("!")[0], ("none", "fluxmem")) for variant in variants),
        *((part, PARTS) for variant in variants for part in variant.split("!")[1:]),
    ):
        if name not in known:
            parser.error(f"there is no {name!r}; expected some of {', '.join(known)}")
    rows, contexts = measure(args.seeds, args.tasks, worlds, variants)
    print_table(rows, ("agent", "variant", "calls_first_5", "calls_last_half", "calls_last_half_ci", "solved", "solved_last_half"))
    for name, context in contexts.items():
        print(f"\n{name}: the context of the last task\n{context}")
    write_json(args.json, rows)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
