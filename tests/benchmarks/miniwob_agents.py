"""The agent, a LangGraph graph that tries one page per run, and the memories that can be wired into it.

    begin -> retrieve -> act -> refine --next--> retrieve, --done--> commit_episode          (FluxMem: refine, full, practice, static)
    begin -> act --again--> act, --done--> keep                                              (none, trajectory, recent)

The act node is the same for all: an action is drawn in proportion to the explorer's weight times exp(what memory advises). Where tasks like
this one were solved more often than not (`FAST`), the weights are taken to a higher power. An action that ended this very page badly after
the same actions is not tried again.
"""

from __future__ import annotations

import math
import operator
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from langgraph.graph import END, START, StateGraph

from langgraph_fluxmem import Feedback, FluxMem
from langgraph_fluxmem.state import FluxMemState
from tests.benchmarks import explorer, miniwob_page
from tests.benchmarks.common import CachedEmbeddings
from tests.benchmarks.miniwob_page import Page, Pages

LIMIT = 10
"""Most actions in an attempt."""
FAST = 0.6
"""Share of similar tasks solved from which on the agent stops exploring."""
POWER = 6.0
NAMESPACE = ("pages",)
VARIANTS = ("none", "trajectory", "recent", "static", "refine", "full", "practice")


class State(FluxMemState, total=False):
    """What the agent knows."""

    task: str
    observation: dict[str, str]
    notes: list[str]
    action: dict[str, str] | None
    given: Annotated[list[dict[str, str]], operator.add]
    progress: float
    done: bool


@dataclass
class Seat:
    """Run context: the page an agent sits at, and its chance.

    Attributes:
        page: as it is now.
        learn: whether the attempt is learned from.
        tabu: (actions before, action) that ended this page badly.
        touched, driven: elements used and driver actions done in this attempt.
        flipped: the outcome is told the other way around, to see what wrong feedback does.
        rate: share of similar tasks that were solved.
        solved: whether this page was.

    """

    pages: Pages
    page: Page
    rng: random.Random
    learn: bool
    tabu: set[tuple[tuple[str, ...], str]]
    flipped: bool = False
    touched: set[int] = field(default_factory=set)
    driven: list[tuple[Any, ...]] = field(default_factory=list)
    rate: float = 0.0
    solved: bool = False


class Record:
    """Tasks tried so far and whether they were solved: what the fast path looks at."""

    def __init__(self) -> None:
        self.vectors: list[np.ndarray] = []
        self.solved: list[float] = []

    def add(self, vector: np.ndarray, *, solved: bool) -> None:
        self.vectors.append(vector)
        self.solved.append(float(solved))

    def near(self, vector: np.ndarray) -> np.ndarray:
        """How much each counts for a task like this, (tasks,)."""
        if not self.vectors:
            return np.zeros(0)
        return np.clip((np.array(self.vectors) @ vector - 0.5) / 0.5, 0.0, 1.0) ** 2

    def rate(self, vector: np.ndarray) -> float:
        near = self.near(vector)
        return float(near @ np.array(self.solved) + 0.3) / float(near.sum() + 1.0) if len(near) else 0.3


class NoMemory:
    """Explores each page as if it were the first."""

    flux = False

    def __init__(self, embeddings: CachedEmbeddings) -> None:
        self.embeddings = embeddings
        self.record = Record()

    def vector(self, page: Page) -> np.ndarray:
        return np.asarray(self.embeddings.embed_query(miniwob_page.task(page)))

    def advise(self, state: State, seat: Seat, actions: Sequence[dict[str, str]]) -> list[float] | None:
        """Logits per action, or None."""
        del state, seat, actions

    def begin(self, seat: Seat) -> None:
        """Get ready for an attempt."""

    def keep(self, state: State, page: Page) -> None:
        """Learn from an attempt that has ended."""

    def contradictory(self) -> bool:
        """Whether it says that its evidence contradicts itself."""
        return False

    def close(self) -> None:
        """Nothing to free."""


class Trajectories(NoMemory):
    """Successes are kept whole. The nearest (or, `recent`, the latest similar) is replayed; the next nearest where an action of it cannot be
    grounded in the page; else exploring."""

    def __init__(self, embeddings: CachedEmbeddings, *, recent: bool) -> None:
        super().__init__(embeddings)
        self._kept: list[tuple[np.ndarray, list[dict[str, str]], dict[str, str]]] = []
        self._recent = recent
        self._plans: list[list[dict[str, str]]] = []

    def begin(self, seat: Seat) -> None:
        vector = self.vector(seat.page)
        scored = [(float(kept[0] @ vector), number) for number, kept in enumerate(self._kept)]
        scored = [(near, number) for near, number in scored if near > 0.6]
        scored.sort(key=lambda pair: (pair[1], pair[0]) if self._recent else pair, reverse=True)
        self._plans = [self._kept[number][1] for _, number in scored[:5]]

    def advise(self, state: State, seat: Seat, actions: Sequence[dict[str, str]]) -> list[float] | None:
        turn = len(seat.driven)
        here = masked(actions, state.get("notes", []))
        while self._plans:
            plan = self._plans[0]
            if turn < len(plan):
                best = max(range(len(here)), key=lambda number: fit(plan[turn], here[number]))
                if fit(plan[turn], here[best]) >= 1.0:
                    return [50.0 if number == best else 0.0 for number in range(len(here))]
            self._plans.pop(0)
        return None

    def keep(self, state: State, page: Page) -> None:
        if state.get("progress", 0.0) > 0:
            self._kept.append((self.vector(page), masked(state.get("given", []), miniwob_page.notes(page)), {}))


def masked(actions: Sequence[dict[str, str]], notes: Sequence[str]) -> list[dict[str, str]]:
    """Actions with the fields' values replaced by their names."""
    names = {explorer.normalise(note.split(" ", 1)[1]): f"<{note.split(' ', 1)[0]}>" for note in notes if " " in note}
    return [{key: names.get(explorer.normalise(value), value) for key, value in action.items()} for action in actions]


def fit(kept: dict[str, str], action: dict[str, str]) -> float:
    """How well an action of this page stands for one that was kept: below 1 not at all."""
    if kept["op"] != action["op"]:
        return 0.0
    fits = 0.0
    for key, weight in (("value", 4.0), ("text", 4.0), ("label", 2.0), ("id", 2.0), ("class", 1.0), ("ord", 1.0)):
        one, other = kept.get(key, ""), action.get(key, "")
        if one == other:
            fits += weight * bool(one)
        elif one.startswith("<") or other.startswith("<"):
            return 0.0
    return fits


class Flux(NoMemory):
    """FluxMem through its nodes. `static` keeps successes only."""

    flux = True

    def __init__(self, embeddings: CachedEmbeddings, folder: Path, *, static: bool) -> None:
        super().__init__(embeddings)
        self.static = static
        self.mem = FluxMem.open(folder, embeddings=embeddings, chroma="off")

    def advise(self, state: State, seat: Seat, actions: Sequence[dict[str, str]]) -> list[float] | None:
        del seat
        return [said.score for said in self.mem.activation(state).advise(actions)]

    def contradictory(self) -> bool:
        return bool(self.mem.engine.learned(NAMESPACE).steps.contradiction())

    def close(self) -> None:
        self.mem.close()


def build(memory: NoMemory) -> Any:
    """Compile the agent around a memory."""

    def begin(state: State, runtime: Any) -> State:
        del state
        seat: Seat = runtime.context
        seat.rate = memory.record.rate(memory.vector(seat.page))
        memory.begin(seat)
        return {
            **_told(seat.page),
            "task": miniwob_page.task(seat.page),
            "notes": miniwob_page.notes(seat.page),
            "action": None,
            "done": False,
        }

    def act(state: State, runtime: Any) -> State:
        seat: Seat = runtime.context
        page = seat.page
        candidates = explorer.candidates(page)
        actions = [miniwob_page.action(candidate, page) for candidate in candidates]
        if not candidates:
            return {
                "action": None,
                "progress": 0.0,
                "done": True,
                "memory_feedback": Feedback(outcome="failure", done=True).model_dump(mode="json"),
            }
        chosen = choose(seat, candidates, memory.advise(state, seat, actions))
        driven = explorer.to_driver(candidates[chosen])
        before = tuple(map(str, seat.driven))
        seat.page = seat.pages.step(driven)
        seat.touched.add(driven[1])
        seat.driven.append(driven)
        ended = bool(seat.page["done"])
        seat.solved = ended and seat.page["r"] >= 1
        done = ended or len(seat.driven) >= LIMIT
        solved = done and seat.solved != seat.flipped
        if ended and not solved:
            seat.tabu.add((before, str(driven)))
        progress = 1.0 if solved else -1.0 if ended else 0.0
        outcome: Literal["success", "failure", "unknown"] = "unknown" if not done else "success" if solved else "failure"
        return {
            **(_told(seat.page) if not ended else {}),
            "action": actions[chosen],
            "given": [actions[chosen]],
            "progress": progress,
            "done": done,
            "memory_feedback": Feedback(outcome=outcome, progress=progress, done=done).model_dump(mode="json"),
        }

    builder: StateGraph[State, Seat, State, State] = StateGraph(State, context_schema=Seat)
    builder.add_node("begin", begin)
    builder.add_node("act", act)
    builder.add_edge(START, "begin")
    if not isinstance(memory, Flux):
        builder.add_edge("begin", "act")
        builder.add_conditional_edges("act", lambda state: "done" if state.get("done") else "again", {"again": "act", "done": END})
        return builder.compile()
    nodes = memory.mem.nodes(namespace=NAMESPACE, task="task", observation="observation", notes="notes", action="action")
    builder.add_node("retrieve", nodes.retrieve)
    builder.add_node("refine", nodes.refine)
    builder.add_node("commit_episode", nodes.commit_episode)
    builder.add_edge("begin", "retrieve")
    builder.add_edge("retrieve", "act")
    builder.add_edge("act", "refine")

    def route(state: State, runtime: Any) -> str:
        decided = nodes.route(state)
        if decided != "done":
            return "next"
        kept = runtime.context.learn and (state.get("progress", 0.0) > 0 or not memory.static)
        return "done" if kept else "frozen"

    builder.add_conditional_edges("refine", route, {"next": "retrieve", "done": "commit_episode", "frozen": END})
    builder.add_edge("commit_episode", END)
    return builder.compile()


def _told(page: Page) -> State:
    return {"observation": miniwob_page.observation(page)}


def choose(seat: Seat, candidates: Sequence[Any], advice: Sequence[float] | None) -> int:
    """Draw an action."""
    weights = np.array(explorer.weights(seat.page, candidates, seat.touched))
    if advice is not None:
        weights *= np.exp(np.maximum(np.array(advice) - max(advice), -30.0))
        if seat.rate >= FAST:
            weights = (weights / weights.max()) ** POWER
    before = tuple(map(str, seat.driven))
    tabu = [(before, str(explorer.to_driver(candidate))) in seat.tabu for candidate in candidates]
    if any(tabu) and not all(tabu):
        weights[tabu] = 0.0
    if not math.isfinite(weights.sum()) or weights.sum() <= 0:
        weights = np.ones(len(candidates))
    return seat.rng.choices(range(len(candidates)), weights.tolist())[0]


def open_memory(variant: str, embeddings: CachedEmbeddings, folder: Path) -> NoMemory:
    """The memory of a variant.

    Raises:
        ValueError: there is none of that name.
    """
    if variant == "none":
        return NoMemory(embeddings)
    if variant in ("trajectory", "recent"):
        return Trajectories(embeddings, recent=variant == "recent")
    if variant in VARIANTS:
        return Flux(embeddings, folder, static=variant == "static")
    raise ValueError(f"there is no variant {variant!r}; expected some of {', '.join(VARIANTS)}")
