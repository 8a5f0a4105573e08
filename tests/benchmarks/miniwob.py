"""MiniWoB++ pages: a stream of instances of several families, each tried once, then frozen memory on new instances and on unseen families.

    python -m tests.benchmarks.miniwob --families a,b --unseen c,d --seeds 1,2 --instances 12 --variants none,trajectory,static,refine,full,practice
                                       [--families-file FILE] [--drift] [--flip SHARE] [--json FILE] [--plot FILE] [--resume DIR]
                                       [--pages FILE]

Needs: pip install miniwob selenium; Debian packages chromium and chromium-driver. All variants share explorer, features, grounding and
embedding. With `--drift` pages change in the middle of the stream (`miniwob_page.drifted`) and each task may be tried three times. `full`
replays its successes without steps that they may not need, and tries again what the memory finds worth it (`BUDGET` steps a task);
`practice` spends as many steps on trying past tasks again, any of them. What is done is kept under
`--resume` by seed and variant, so that a run that was cut short goes on, and what the browser showed under `--pages` (`miniwob_seen`).
`refine!loss` is a variant without a part of learning (`without`); `--flip` tells the memory the wrong outcome of a share of the attempts.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.runnables import RunnableLambda

from langgraph_fluxmem import FluxMem
from tests.benchmarks import explorer, miniwob_agents, miniwob_page, without
from tests.benchmarks.common import CachedEmbeddings, print_table, write_json
from tests.benchmarks.miniwob_agents import NAMESPACE, VARIANTS, Flux, NoMemory, Seat, build, open_memory
from tests.benchmarks.miniwob_page import Pages

SEEN, UNSEEN = 4, 3
"""New instances of each seen family, and of each unseen one."""
BUDGET = 5
"""Steps that `full` may replay and rehearse for each task of the stream."""
ATTEMPTS = 3
"""Attempts at a task when pages drift."""
KEYS = ("stream", "second_half", "seen", "unseen", "seen_within_3", "seen_within_6", "steps", "extra_steps", "contradictory")
"""Measures of a row; the last is the share of seeds whose memory says, after the stream, that its evidence contradicts itself."""
COMPARE = (("refine", "static"), ("refine", "trajectory"), ("refine", "recent"), ("full", "practice"), ("full", "refine"))
T95 = (
    12.706,
    4.303,
    3.182,
    2.776,
    2.571,
    2.447,
    2.365,
    2.306,
    2.262,
    2.228,
    2.201,
    2.179,
    2.160,
    2.145,
    2.131,
    2.120,
    2.110,
    2.101,
    2.093,
    2.086,
)
"""Student's t, two-sided 95%, for 1 to 20 degrees of freedom."""
PARTS = {**without.PARTS, "fast": ((miniwob_agents, "FAST", lambda _: math.inf),)}
"""What `refine!part` can leave out: parts of learning, and the agent's fast path."""
Result = dict[str, Any]
Place = tuple[str, str, bool]
"""Family and instance of a task, and whether its pages had changed."""


@dataclass(frozen=True)
class Course:
    """What one variant does with one seed."""

    families: tuple[str, ...]
    unseen: tuple[str, ...]
    instances: int
    seed: int
    drift: bool
    variant: str = ""
    flip: float = 0.0

    def stream(self) -> list[tuple[str, str]]:
        """(family, instance), shuffled."""
        order = [(family, f"{self.seed}-{number}") for family in self.families for number in range(self.instances)]
        random.Random(self.seed).shuffle(order)
        return order

    def tests(self) -> list[tuple[str, str, str]]:
        """(part, family, instance)."""
        listed = [("seen", family, f"{self.seed}-t{number}") for family in self.families for number in range(SEEN)]
        return listed + [("unseen", family, f"{self.seed}-u{number}") for family in self.unseen for number in range(UNSEEN)]

    @property
    def key(self) -> str:
        """Names its results on disk."""
        said = json.dumps([self.families, self.unseen, self.instances, self.drift, *([self.flip] if self.flip else [])], sort_keys=True)
        return f"{self.variant}-seed{self.seed}-{hashlib.sha256(said.encode()).hexdigest()[:10]}"

    def flipped(self, *what: object) -> bool:
        """Whether feedback is turned around here."""
        return random.Random(f"flip/{self.seed}/{what}").random() < self.flip


class Session:
    """One variant, one seed, from an empty memory to the end of the tests."""

    def __init__(self, course: Course, pages: Pages, embeddings: CachedEmbeddings, folder: Path) -> None:
        self.course = course
        self.pages = pages
        self.memory: NoMemory = open_memory(course.variant.partition("!")[0], embeddings, folder)
        self.agent = build(self.memory)
        self.extra = 0
        self.past: list[Place] = []
        self.places: dict[str, Place] = {}
        self.tabu: defaultdict[Place, set[Any]] = defaultdict(set)
        self.consolidates = course.variant.startswith("full")

    @property
    def flux(self) -> FluxMem:
        """The memory of a variant that has FluxMem."""
        assert isinstance(self.memory, Flux)
        return self.memory.mem

    def run(self, allowance: Sequence[int] | None) -> list[Result]:
        """All results; `allowance` is how many extra steps practice may have spent after each task of the stream."""
        results: list[Result] = []
        stream = self.course.stream()
        for number, (family, instance) in enumerate(stream):
            drifted = self.course.drift and number >= len(stream) // 2
            result = self.task("stream", family, instance, drifted=drifted, learn=True)
            self.past.append((family, instance, drifted))
            if self.consolidates:
                self.rehearse(number)
            chance = random.Random(f"practice/{self.course.seed}/{number}")
            while allowance is not None and self.extra < allowance[number]:
                before = self.extra
                self.attempt(*chance.choice(self.past), learn=True, tabu=set(), name=f"practice-{number}-{before}", extra=True)
                if self.extra == before:
                    break
            results.append({**result, "extra": self.extra, "contradictory": self.memory.contradictory()})
        results.extend(
            self.task(part, family, instance, drifted=self.course.drift, learn=False) for part, family, instance in self.course.tests()
        )
        return results

    def task(self, part: str, family: str, instance: str, *, drifted: bool, learn: bool) -> Result:
        """Try a task; more than once when pages drift."""
        steps, tabu = 0, self.tabu[family, instance, drifted]
        solved = False
        for number in range(ATTEMPTS if self.course.drift else 1):
            solved, used = self.attempt(family, instance, drifted, learn=learn, tabu=tabu, name=f"{instance}-{number}")
            steps += used
            if solved:
                break
        return {"part": part, "family": family, "solved": solved, "steps": steps}

    def attempt(
        self, family: str, instance: str, drifted: bool, *, learn: bool, tabu: set[Any], name: str, extra: bool = False
    ) -> tuple[bool, int]:
        """One attempt; (solved, steps)."""
        page = self.pages.reset(family, instance, drifted=drifted)
        if page["done"]:
            return False, 0
        flipped = learn and self.course.flipped(family, name)
        chance = random.Random(f"{self.course.seed}/{family}/{name}")
        seat = Seat(self.pages, page, chance, learn, tabu, flipped=flipped)
        episode = f"{family}-{name}"
        self.places[episode] = (family, instance, drifted)
        state = self.agent.invoke({"memory_episode_id": episode}, {"recursion_limit": 200}, context=seat)
        solved, steps = state.get("progress", 0.0) > 0, len(seat.driven)  # as it was told
        if learn:
            self.memory.record.add(self.memory.vector(page), solved=solved)
            self.memory.keep(state, page)
        if learn and solved and self.consolidates:
            self.flux.shorten(episode, RunnableLambda(self.replay), namespace=NAMESPACE)
        self.extra += steps if extra else 0
        return seat.solved, steps

    def rehearse(self, number: int) -> None:
        """Stage III beside `shorten`: what the memory finds worth it is tried again, for what is left of the steps."""
        while self.extra < BUDGET * (number + 1):
            before = self.extra
            for found in self.flux.rehearsals(namespace=NAMESPACE):
                place = self.places[found.episode]
                self.attempt(*place, learn=True, tabu=self.tabu[place], name=f"rehearsal-{number}-{before}", extra=True)
            if self.extra == before:
                break

    def replay(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Do these actions on the page of an episode, from its beginning; as `FluxMem.shorten` asks for it."""
        family, instance, drifted = self.places[asked["episode"]]
        page = self.pages.reset(family, instance, drifted=drifted)
        seen: list[dict[str, Any]] = []
        for action in asked["actions"]:
            candidates = [] if page["done"] else explorer.candidates(page)
            found = next((candidate for candidate in candidates if miniwob_page.action(candidate, page) == action), None)
            if found is None:
                return {"success": False}
            seen.append(dict(miniwob_page.observation(page)))
            page = self.pages.step(explorer.to_driver(found))
            self.extra += 1
        solved = bool(page["done"]) and page["r"] >= 1
        return {"success": solved != self.course.flipped(family, instance, self.extra), "observations": seen}


def measures(results: Sequence[Result]) -> dict[str, float]:
    """One seed's row."""
    stream = [result for result in results if result["part"] == "stream"]
    seen = [result for result in results if result["part"] == "seen"]

    def share(chosen: Sequence[Result], within: float = math.inf) -> float:
        return float(np.mean([result["solved"] and result["steps"] <= within for result in chosen])) if chosen else math.nan

    return {
        "stream": share(stream),
        "second_half": share(stream[len(stream) // 2 :]),
        "seen": share(seen),
        "unseen": share([result for result in results if result["part"] == "unseen"]),
        "seen_within_3": share(seen, 3),
        "seen_within_6": share(seen, 6),
        "steps": float(np.mean([result["steps"] for result in stream])),
        "extra_steps": float(stream[-1]["extra"]),
        "contradictory": float(stream[-1].get("contradictory", False)),
    }


def rows(found: dict[tuple[str, int], dict[str, float]], *, drift: bool, flip: float = 0.0) -> list[dict[str, Any]]:
    """A row per variant, and per pair of `COMPARE` that was run: means over seeds, and the half-width of the 95% t-interval."""
    variants = list(dict.fromkeys(variant for variant, _ in found))
    series = {variant: {seed: row for (name, seed), row in found.items() if name == variant} for variant in variants}
    for one, other in (*COMPARE, *((variant, variant.partition("!")[0]) for variant in variants if "!" in variant)):
        if one in series and other in series:
            both = sorted(series[one].keys() & series[other].keys())
            series[f"{one} - {other}"] = {seed: {key: series[one][seed][key] - series[other][seed][key] for key in KEYS} for seed in both}
    made: list[dict[str, Any]] = []
    for variant, by_seed in series.items():
        row: dict[str, Any] = {"variant": variant, "drift": drift, "flip": flip}
        for key in KEYS:
            values = np.array([measured[key] for measured in by_seed.values()])
            row[key] = float(values.mean()) if len(values) else None
            if len(values) > 1:
                row[f"{key}_ci"] = float(T95[min(len(values) - 2, len(T95) - 1)] * values.std(ddof=1) / math.sqrt(len(values)))
        made.append({**row, "seeds": len(by_seed)})
    return made


def plot(path: Path, all_results: dict[tuple[str, int], list[Result]]) -> None:
    """Share solved along the stream, mean over seeds, in windows of an eighth of it."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4))
    for variant in dict.fromkeys(name for name, _ in all_results):
        curves = np.array(
            [[r["solved"] for r in results if r["part"] == "stream"] for (name, _), results in all_results.items() if name == variant],
            float,
        )
        window = max(1, curves.shape[1] // 8)
        smooth = np.convolve(curves.mean(axis=0), np.ones(window) / window, "valid")
        axes.plot(np.arange(len(smooth)) + window, smooth, label=variant)
    axes.set_xlabel("tasks tried")
    axes.set_ylabel("share solved")
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def run(courses: Sequence[Course], variants: Sequence[str], resume: Path, seen: Path | None = None) -> dict[tuple[str, int], list[Result]]:
    """Run what is not on disk yet."""
    resume.mkdir(parents=True, exist_ok=True)
    embeddings = CachedEmbeddings("minilm")
    pages = Pages(seen)
    found: dict[tuple[str, int], list[Result]] = {}
    started = time.monotonic()
    try:
        for base in courses:
            for variant in variants:
                course = replace(base, variant=variant)
                kept = resume / f"{course.key}.json"
                if not kept.exists():
                    allowance = None
                    if variant == "practice":
                        allowance = [result["extra"] for result in found["full", base.seed] if result["part"] == "stream"]
                    folder = Path(tempfile.mkdtemp(prefix="fluxmem-miniwob-"))
                    with without.without(variant.split("!")[1:], PARTS):
                        session = Session(course, pages, embeddings, folder)
                        try:
                            results = session.run(allowance)
                        finally:
                            session.memory.close()
                            shutil.rmtree(folder, ignore_errors=True)
                    kept.write_text(json.dumps(results), encoding="utf-8")
                found[variant, base.seed] = json.loads(kept.read_text(encoding="utf-8"))
                row = measures(found[variant, base.seed])
                said = "  ".join(f"{key} {row[key]:.3f}" for key in ("stream", "seen", "unseen", "steps"))
                print(f"[{time.monotonic() - started:5.0f} s] {variant}, seed {base.seed}: {said}", file=sys.stderr, flush=True)
    finally:
        pages.close()
        at = pages.browser
        print(
            f"pages asked for {at.asked}, shown by the browser {at.shown}, changed when shown again {at.moved}, lost {at.lost}",
            file=sys.stderr,
        )
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.miniwob", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--families", metavar="a,b", help="families of the stream")
    parser.add_argument("--unseen", default="", metavar="c,d", help="families that only the last test shows")
    parser.add_argument("--families-file", type=Path, metavar="FILE", help='JSON with "stream" and "unseen", instead of the two')
    parser.add_argument("--half", type=int, choices=(0, 1), help="only this half of the families (split by a hash of their names)")
    parser.add_argument("--seeds", default=",".join(map(str, range(1, 13))))
    parser.add_argument("--instances", type=int, default=12)
    parser.add_argument("--variants", default="none,trajectory,static,refine,full,practice", help=f"some of {', '.join(VARIANTS)}")
    parser.add_argument("--drift", action="store_true")
    parser.add_argument("--flip", type=float, default=0.0, metavar="SHARE", help="turn the outcome of this share of attempts around")
    parser.add_argument("--resume", type=Path, metavar="DIR", help="where finished runs are kept (default: a fresh temporary folder)")
    parser.add_argument(
        "--pages", type=Path, metavar="FILE", help="where pages that the browser has shown are kept (default: until it ends)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw share solved along the stream (needs matplotlib)")
    args = parser.parse_args(argv)
    given = json.loads(args.families_file.read_text(encoding="utf-8")) if args.families_file else {}
    families = args.families.split(",") if args.families else given.get("stream", [])
    unseen = args.unseen.split(",") if args.unseen else given.get("unseen", [])
    if not families:
        parser.error("name the families: --families a,b --unseen c,d, or --families-file FILE")
    if args.half is not None:
        families, unseen = half(families, args.half), half(unseen, args.half)
    variants = args.variants.split(",")
    if "practice" in variants and "full" not in variants[: variants.index("practice")]:
        parser.error("practice spends what full spent: name full before it")
    if unknown := [variant for variant in variants if variant.partition("!")[0] not in VARIANTS]:
        parser.error(f"there is no variant {unknown[0]!r}; expected some of {', '.join(VARIANTS)}")
    if unknown := [part for variant in variants for part in variant.split("!")[1:] if part not in PARTS]:
        parser.error(f"there is no part {unknown[0]!r}; parts are {', '.join(PARTS)}")
    courses = [
        Course(tuple(families), tuple(unseen), args.instances, int(seed), args.drift, flip=args.flip) for seed in args.seeds.split(",")
    ]
    found = run(courses, variants, args.resume or Path(tempfile.mkdtemp(prefix="fluxmem-miniwob-runs-")), args.pages)
    made = rows({key: measures(results) for key, results in found.items()}, drift=args.drift, flip=args.flip)
    shown = [{key: interval(row, key) for key in ("variant", *KEYS, "seeds")} for row in made]
    print_table(shown, ("variant", *KEYS, "seeds"))
    write_json(args.json, made)
    if args.plot:
        plot(args.plot, found)
    return 0


def half(families: Sequence[str], number: int) -> list[str]:
    """Every second of the families in the order of a hash of their names."""
    return sorted(sorted(families, key=lambda family: hashlib.sha256(family.encode()).hexdigest())[number::2])


def interval(row: dict[str, Any], key: str) -> Any:
    """A cell: the mean, and the half-width of its interval where there is one."""
    value = row[key]
    return f"{value:.3f} ±{row[f'{key}_ci']:.3f}" if isinstance(value, float) and f"{key}_ci" in row else value


if __name__ == "__main__":
    sys.exit(main())
