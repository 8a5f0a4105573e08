"""Evidence that contradicts itself: when the kinds of action do not differ in how often they led on, what is learned is chance.

Advice then says so, and takes no side. The test is coarse on purpose: over the latest episodes, each kind of action counts once per
episode, by the share of its steps that led on of themselves (credit that flowed to what came before would make chance look like
structure). The kinds differ when the likelihood ratio for a rate of their own is at least `TELLING` times what chance gives it.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING

from langgraph_fluxmem.learning.tree import Node

if TYPE_CHECKING:
    from langgraph_fluxmem.learning.memory import StepMemory

LATEST = 200
"""Episodes that are looked at."""
EPISODES, KINDS, UNITS = 30, 3, 120
"""Below so many episodes, kinds of action, or kinds counted once per episode, nothing is said."""
OFTEN = 5
"""A kind of action that occurred in fewer episodes is left out."""
TELLING = 1.5
"""How many times what chance gives the likelihood ratio must be."""
SURE = 4.0
"""Nats by which a condition must explain outcomes, besides the log of the number of patterns it was chosen from, to be no chance."""


def contradiction(memory: StepMemory) -> str:
    """What is to be said when the evidence of a memory contradicts itself; empty when it does not, or is too little to say."""
    kinds: dict[str, list[float]] = {}
    episodes = 0
    for episode in islice(reversed(memory.bodies), LATEST):
        shares = _shares(memory, episode)
        episodes += bool(shares)
        for key, share in shares.items():
            kinds.setdefault(key, []).append(share)
    kinds = {key: shares for key, shares in kinds.items() if len(shares) >= OFTEN}
    units = sum(map(len, kinds.values()))
    if episodes < EPISODES or len(kinds) < KINDS or units < UNITS:
        return ""
    good = sum(map(sum, kinds.values()))
    if good >= units:  # nothing ever failed: that is one-sided, not contradictory
        return ""
    ratio = 2.0 * (_nats(good, units) - sum(_nats(sum(shares), len(shares)) for shares in kinds.values()))
    if ratio >= TELLING * (len(kinds) - 1):
        return ""
    return (
        f"contradictory: {len(kinds)} kinds of action in {episodes} episodes led on about equally often "
        f"({good / units:.2f}), as if by chance; the evidence takes no side"
    )


def decisive(node: Node, patterns: int) -> bool:
    """Whether the first condition of a tree explains so much that it is no chance find among that many patterns."""
    if node.yes is None or node.no is None:
        return False
    gain = _nats(node.good, node.total) - _nats(node.yes.good, node.yes.total) - _nats(node.no.good, node.no.total)
    return gain >= SURE + math.log(max(patterns, 1))


def _shares(memory: StepMemory, episode: str) -> dict[str, float]:
    """Kind of action -> share of its steps in an episode that led on: by the progress they made, or by the word on the whole episode."""
    steps = memory.bodies[episode]["steps"]
    moved = {ordinal for ordinal, step in enumerate(steps) if step.get("progress", 0.0) > 0}
    acted = {ordinal for ordinal, step in enumerate(steps) if "template" in step}
    dense = bool(moved - {max(acted, default=-1)})
    found: dict[str, list[float]] = {}
    for ordinal in sorted(acted):
        step = memory.steps.get(f"{episode}#{ordinal}")
        if step is None or not any(step.evidence):
            continue
        led, failed, _ = step.evidence
        share = float(ordinal in moved) if dense else led / (led + failed) if led + failed else 0.0
        found.setdefault(step.key, []).append(share)
    return {key: sum(shares) / len(shares) for key, shares in found.items()}


def _nats(good: float, total: float) -> float:
    """What it takes to say outcomes of `total` weight, `good` of it good, given their share."""
    if not 0.0 < good < total:
        return 0.0
    share = good / total
    return -(good * math.log(share) + (total - good) * math.log1p(-share))
