"""What each part of learning is worth on TextWorld: variants of ``refine`` and ``full`` without it.

    python -m tests.benchmarks.textworld --variants "refine,refine!loss,refine!expand" --first-game 1000 --games 60 --no-tests

``refine!loss`` is ``refine`` without the loss channel; several parts are taken out by ``refine!loss!negative``. This is the one place that
reaches into the library to switch parts off: none of them is an option, since none of them helps a user by being off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from langgraph_fluxmem import episodes
from langgraph_fluxmem.learning import advice, credit, memory
from langgraph_fluxmem.learning.credit import StepEvidence, evidence
from langgraph_fluxmem.learning.repair import Repair
from langgraph_fluxmem.learning.table import Grown
from langgraph_fluxmem.learning.tree import Node
from langgraph_fluxmem.schema import Channel, Episode


def _without(channel: Channel) -> Callable[[Episode], list[StepEvidence]]:
    return lambda episode: [row for row in evidence(episode) if row[1] != channel]


def no_loss() -> None:
    """Losses are failures like others."""
    episodes.step_evidence = _without("loss")


def no_negative() -> None:
    """Only what led on, and losses, are evidence."""
    episodes.step_evidence = _without("failure")


def no_dependency() -> None:
    """Progress belongs to the step that made it, and to nothing before."""
    credit.FLOW = 0.0


def no_expand() -> None:
    """What was hardly tried is not preferred while an episode is stuck."""
    Repair.optimism = property(lambda _: 0.0)


def no_novelty() -> None:
    """However long an episode is stuck, evidence from other moments counts."""
    Repair.novelty = property(lambda _: False)


def no_relax() -> None:
    """Caution does not fall while an episode is stuck."""
    Repair.caution = property(lambda _: 1.0)


def no_prune() -> None:
    """What did nothing just now, or ended the task badly, is advised as before."""
    advice._pruned = lambda said, *_: said


def no_evidence() -> None:
    """Stages I and III alone: advice knows the skills' rules and no evidence on steps."""
    nothing = Grown(Node(0.0, 0.0, 0.27), Node(0.0, 0.0, 0.05), {}, {}, {})
    memory.StepMemory.grown = lambda *_: nothing


PARTS: dict[str, Callable[[], None]] = {
    "loss": no_loss,
    "negative": no_negative,
    "dependency": no_dependency,
    "expand": no_expand,
    "novelty": no_novelty,
    "relax": no_relax,
    "prune": no_prune,
    "evidence": no_evidence,
}


def take_out(parts: Sequence[str]) -> None:
    """Switch parts of learning off for the rest of this process.

    Raises:
        ValueError: no such part.
    """
    for part in parts:
        if part not in PARTS:
            raise ValueError(f"there is no part {part!r}; expected some of {', '.join(PARTS)}")
        PARTS[part]()
