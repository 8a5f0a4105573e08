"""The variants: each is a memory and the way it is wired into the agent."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

from langgraph.graph import END, StateGraph
from langgraph.runtime import Runtime

from langgraph_fluxmem.demo.agents import Memory, Seat, State, over, situation
from langgraph_fluxmem.demo.baselines import StepStore
from langgraph_fluxmem.demo.games import GameCache
from langgraph_fluxmem.demo.replay import Replay
from langgraph_fluxmem.schema import Advice, Episode, Step

Builder = StateGraph[State, Seat, State, State]
WEIGHTS = {"static": 8.0, "nearest": 16.0}
"""Best weights (logits at nearness 1) of the variants that do not evolve, by a sweep over development games."""
FLUXMEM = ("fluxmem", "refine")
"""Names of the variant that is FluxMem: the demonstration's, and the benchmark's for stages I and II."""
BUILT_ON = {"practice": "replay"}
"""Variants that spend what another one did, and so play after it."""
VARIANTS = ("none", *WEIGHTS, *FLUXMEM, "noedits", "full", "replay", "practice")
EVERY = 5
"""Games after which ``full`` consolidates."""


def open_memory(variant: str, folder: Path, cache: GameCache | None = None) -> Memory:
    """The memory of a variant, on what `folder` holds of it.

    ``static@8`` is `static` with another weight. ``refine`` and ``practice`` are FluxMem with stages I and II, ``noedits`` the same
    without edits inside the episode. ``full`` consolidates every few games (``full@10``: every ten) by rules, ``replay`` by rules and
    counterfactual replay of the games in `cache`.

    Raises:
        ValueError: no such variant.
    """
    name, _, weight = variant.partition("!")[0].partition("@")
    if name == "none":
        return NoMemory()
    if name in WEIGHTS:
        return StaticMemory(folder, weight=float(weight) if weight else WEIGHTS[name], failures=name == "nearest")
    if name in (*FLUXMEM, "practice", "noedits"):
        return FluxMemory(folder / "memory", namespace=("kitchens",), edits=name != "noedits")
    if name in ("full", "replay"):
        replay = Replay(cache or GameCache()) if name == "replay" else None
        return FluxMemory(folder / "memory", namespace=("kitchens",), every=int(weight or EVERY), replay=replay)
    raise ValueError(f"there is no variant {variant!r}; expected one of {', '.join(VARIANTS)}")


def check_variants(variants: Sequence[str]) -> None:
    """Refuse variants that do not exist before anything is played.

    Raises:
        ValueError: no such variant, or one without the one it is built on.
    """
    for variant in variants:
        if BUILT_ON.get(variant, variant) not in variants:
            raise ValueError(f"{variant!r} spends what {BUILT_ON[variant]!r} did; give both, found {', '.join(variants)}")
        if variant.partition("!")[0].partition("@")[0] not in VARIANTS:
            raise ValueError(f"there is no variant {variant!r}; expected some of {', '.join(VARIANTS)}")


class NoMemory:
    """Plays each game as if it were the first."""

    name = "none"
    traced = False

    def advise(self, state: State, commands: Sequence[str]) -> list[Advice] | None:
        """Nothing."""
        del state, commands

    def wire(self, builder: Builder) -> None:
        """Act until the game is over."""
        builder.add_edge("begin", "act")
        builder.add_conditional_edges("act", over, {"again": "act", "done": END})

    def episodes(self) -> int:
        """None."""
        return 0

    def close(self) -> None:
        """Nothing to free."""


class StaticMemory:
    """Every step that earned progress is stored and the nearest suggested; nothing evolves (`baselines.StepStore`).

    Args:
        folder: where it keeps its steps.
        weight: logits of advice at nearness 1, fixed from development games.
        failures: the variant ``nearest``: failed steps are stored too and count against.

    """

    traced = True

    def __init__(self, folder: Path, *, weight: float, failures: bool = False) -> None:
        self.name = "nearest" if failures else "static"
        folder.mkdir(parents=True, exist_ok=True)
        self._store = StepStore(folder / "steps.jsonl", weight=weight, failures=failures)

    def advise(self, state: State, commands: Sequence[str]) -> list[Advice] | None:
        """Nearness to stored steps."""
        return self._store.advise(situation(state), commands)

    def wire(self, builder: Builder) -> None:
        """Act until the game is over, then keep the steps."""
        builder.add_node("keep", self._keep)
        builder.add_edge("begin", "act")
        builder.add_conditional_edges("act", over, {"again": "act", "done": "keep"})
        builder.add_edge("keep", END)

    def episodes(self) -> int:
        """Episodes stored."""
        return len(self._store.episodes)

    def close(self) -> None:
        """Nothing to free."""

    def _keep(self, state: State, runtime: Runtime[Seat]) -> State:
        if not runtime.context.frozen:
            outcome = "success" if state.get("won") else "failure"
            steps = tuple(Step(**step) for step in state.get("trace", ()))
            self._store.commit(Episode(task=state.get("task", ""), steps=steps, outcome=outcome, id=state.get("memory_episode_id")))
        return {"memory_episode_id": None}


class FluxMemory:
    """The memory this package is about, as its three nodes.

    Args:
        folder: directory of the memory.
        namespace: one per seed, so that runs do not learn from each other.
        every: consolidate after every so many games; 0: never.
        replay: games that consolidation plays again.
        edits: whether advice changes inside an episode that gets nowhere.

    """

    name = "fluxmem"
    traced = False

    def __init__(
        self, folder: Path, *, namespace: tuple[str, ...], every: int = 0, replay: Replay | None = None, edits: bool = True
    ) -> None:
        from langgraph_fluxmem.memory import FluxMem  # noqa: PLC0415  (heavy; the other variants do without)

        self.every = every
        self.replay = replay
        self.edits = edits
        self.mem = FluxMem.open(folder)
        self.namespace = namespace

    def advise(self, state: State, commands: Sequence[str]) -> list[Advice] | None:
        """What the activation in the state says."""
        activation = self.mem.activation(state)
        if not self.edits:
            activation.repair = {}
        return activation.advise(commands)

    def wire(self, builder: Builder) -> None:
        """Begin -> retrieve -> act -> refine -> (again: act | next: retrieve | done: commit_episode)."""
        nodes = self.mem.nodes(
            namespace=self.namespace, task="task", observation="observation", notes="notes", action="action", actions="offered"
        )
        builder.add_node("retrieve", nodes.retrieve)
        builder.add_node("refine", nodes.refine)
        builder.add_node("commit_episode", nodes.commit_episode)
        builder.add_edge("begin", "retrieve")
        builder.add_edge("retrieve", "act")
        builder.add_edge("act", "refine")

        def route(state: State, runtime: Runtime[Seat]) -> str:
            decided = nodes.route(state)
            return "frozen" if decided == "done" and runtime.context.frozen else decided

        paths: dict[Hashable, str] = {"again": "act", "next": "retrieve", "done": "commit_episode", "frozen": END}
        builder.add_conditional_edges("refine", route, paths)
        builder.add_node("consolidate", self._consolidate)
        builder.add_edge("commit_episode", "consolidate")
        builder.add_edge("consolidate", END)

    def _consolidate(self, state: State) -> State:
        """Stage III, after every so many games. A run that is resumed here does it again, and finds nothing new."""
        del state
        if self.every and self.episodes() % self.every == 0:
            self.mem.consolidate(namespace=self.namespace, replay=self.replay.runnable if self.replay is not None else None)
        return {}

    def spent(self) -> int:
        """Commands given in replays since this was asked last."""
        return self.replay.spent() if self.replay is not None else 0

    def episodes(self) -> int:
        """Episodes in the ledger."""
        return sum(commit.live for commit in self.mem.engine.ledger.commits(self.namespace))

    def holdings(self) -> dict[str, Any]:
        """What it holds: counts, and the action templates that gained most, with their steps' evidence."""
        steps = self.mem.engine.learned(self.namespace).steps.steps
        totals: dict[str, list[float]] = {}
        for step in steps.values():
            sums = totals.setdefault(step.key, [0.0, 0.0, 0.0])
            for channel, weight in enumerate(step.evidence):
                sums[channel] += weight
        best = sorted(totals, key=lambda key: (-totals[key][0], key))[:8]
        skills = self.mem.engine.learned(self.namespace).skills.active()
        return {
            "episodes": self.episodes(),
            "skills": [{"status": held.skill.status, "text": held.skill.text(), "rules": len(held.skill.rules)} for held in skills],
            "steps": len(steps),
            "templates": len(totals),
            "links": len({(link, step.key) for step in steps.values() for link in step.links}),
            "best": [dict(zip(("template", "led on", "failed", "lost"), (key, *totals[key]), strict=True)) for key in best],
        }

    def close(self) -> None:
        """Close the memory."""
        self.mem.close()
