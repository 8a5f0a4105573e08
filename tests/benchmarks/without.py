"""What each part of learning is worth: variants of a benchmark's ``refine`` and ``full`` without it.

    python -m tests.benchmarks.textworld --variants "refine,refine!loss,refine!expand" --first-game 1000 --games 60 --no-tests
    python -m tests.benchmarks.miniwob --families-file FILE --variants "refine,refine!loss,refine!edits"

``refine!loss`` is ``refine`` without the loss channel; several parts are taken out by ``refine!loss!negative``. This is the one place that
reaches into the library to switch parts off: none of them is an option, since none of them helps a user by being off.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from langgraph_fluxmem import episodes, refinement
from langgraph_fluxmem.learning import advice, credit, memory
from langgraph_fluxmem.learning.credit import StepEvidence
from langgraph_fluxmem.learning.repair import Repair
from langgraph_fluxmem.learning.table import Grown
from langgraph_fluxmem.learning.tree import Node
from langgraph_fluxmem.requests import Stage
from langgraph_fluxmem.schema import Activation, Channel, Episode
from langgraph_fluxmem.skills.book import SkillBook
from langgraph_fluxmem.trust.skills import Screen

Change = tuple[Any, str, Callable[[Any], Any]]
"""Whose attribute, its name, and what takes the place of what it was."""
_NOTHING = Grown(Node(0.0, 0.0, 0.27), Node(0.0, 0.0, 0.05), {}, {}, {})


def _without(channel: Channel) -> Callable[[Callable[[Episode], list[StepEvidence]]], Callable[[Episode], list[StepEvidence]]]:
    return lambda whole: lambda episode: [row for row in whole(episode) if row[1] != channel]


def _always(value: Any) -> Callable[[Any], property]:
    return lambda _: property(lambda _: value)


def _unrepaired(activation: Activation, *_: Any) -> Stage:
    yield from ()
    return activation, ()


EXPAND: Change = (Repair, "optimism", _always(0.0))
NOVELTY: Change = (Repair, "novelty", _always(False))  # noqa: FBT003  (the value of a property)
RELAX: Change = (Repair, "caution", _always(1.0))
PRUNE: Change = (advice, "_pruned", lambda _: lambda said, *_: said)
PARTS: dict[str, tuple[Change, ...]] = {
    "loss": ((episodes, "step_evidence", _without("loss")),),
    "negative": ((episodes, "step_evidence", _without("failure")),),
    "dependency": ((credit, "FLOW", lambda _: 0.0),),
    "expand": (EXPAND,),
    "novelty": (NOVELTY,),
    "relax": (RELAX,),
    "prune": (PRUNE,),
    "edits": (EXPAND, NOVELTY, RELAX, PRUNE),
    "repairs": ((refinement, "_attributed", lambda _: _unrepaired),),
    "fast": ((SkillBook, "fast", lambda _: lambda *_: None),),
    "evidence": ((memory.StepMemory, "grown", lambda _: lambda *_: _NOTHING),),
    "quarantine": ((Screen, "own", lambda _: lambda _, skill: (skill, None)), (Screen, "told", lambda _: lambda *_: None)),
    "doubt": ((memory.StepMemory, "contradiction", lambda _: lambda _: ""),),
}
"""What can be taken out: `loss` (the channel; losses are failures like others), `negative` (failures; only what led on, and losses, are
evidence), `dependency` (progress belongs to the step that made it, and to nothing before), `expand` (what was hardly tried is preferred
while an episode is stuck), `novelty` (after long, only evidence from such moments counts), `relax` (caution falls meanwhile), `prune` (what
did nothing just now, or ended the task badly, is not advised), `edits` (these four: stage II inside an episode), `repairs` (expand, prune,
reshape and bypass of the facts that were shown), `fast` (facts are searched though a mature skill matches), `evidence` (advice knows the
skills' rules and no evidence on steps), `quarantine` (nothing of others is kept out of skills), `doubt` (advice that says that its evidence
is contradictory)."""


def take_out(parts: Sequence[str], known: Mapping[str, tuple[Change, ...]] = PARTS) -> list[tuple[Any, str, Any]]:
    """Switch parts of learning off for the rest of this process; returns what `put_back` needs.

    Raises:
        ValueError: no such part.
    """
    taken: list[tuple[Any, str, Any]] = []
    for part in parts:
        if part not in known:
            raise ValueError(f"there is no part {part!r}; expected some of {', '.join(known)}")
        for owner, name, instead in known[part]:
            was = vars(owner)[name]
            taken.append((owner, name, was))
            setattr(owner, name, instead(was))
    return taken


def put_back(taken: Sequence[tuple[Any, str, Any]]) -> None:
    """Undo `take_out`."""
    for owner, name, was in reversed(taken):
        setattr(owner, name, was)


@contextmanager
def without(parts: Sequence[str], known: Mapping[str, tuple[Change, ...]] = PARTS) -> Generator[None]:
    """Parts of learning are off inside."""
    taken = take_out(parts, known)
    try:
        yield
    finally:
        put_back(taken)
