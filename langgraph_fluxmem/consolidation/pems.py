"""PEMS, the score of a skill, and when rewriting has converged [F 3.3].

    PEMS_k = eta_k / (|V_proc| * ln(l_k)) * (1 - delta_k)

eta: success rate of the source episodes under the skill, in [0, 1]. |V_proc|: active skills of the namespace. l: tokens of the skill's text;
below 2 counts as 2, since ln(1) = 0. delta: 1 - cosine of the embeddings of this version and of the one before, 0 for a first version.

PEMS falls as 1/|V_proc|, so that its own gain is below 0.01 for any memory of more than about twenty skills and rewriting would stop at
once; convergence is therefore read from |V_proc| * PEMS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from langgraph_fluxmem.schema import Vector

CHARS_PER_TOKEN = 4


def tokens(text: str) -> int:
    """Length of a text in tokens of four characters, rounded up."""
    return -(-len(text) // CHARS_PER_TOKEN)


def value(eta: float, length: int, delta: float) -> float:
    """|V_proc| * PEMS: what a skill is worth whatever else memory holds.

    Raises:
        ValueError: eta outside [0, 1], or delta outside [0, 2].
    """
    if not 0.0 <= eta <= 1.0:
        raise ValueError(f"eta is {eta}; a success rate is in [0, 1]")
    if not 0.0 <= delta <= 2.0:
        raise ValueError(f"delta is {delta}; one minus a cosine is in [0, 2]")
    return eta / log(max(2, length)) * (1.0 - delta)


def pems(eta: float, active: int, length: int, delta: float) -> float:
    """PEMS of one skill among `active` skills; `length` in tokens.

    Raises:
        ValueError: no active skill, or see `value`.
    """
    if active < 1:
        raise ValueError(f"|V_proc| is {active}; the skill that is scored counts, so it is at least 1")
    return value(eta, length, delta) / active


def drift(now: Vector, before: Vector | None) -> float:
    """Delta between the embeddings (d,) of two versions, in [0, 2]; 0 for a first version."""
    if before is None:
        return 0.0
    return min(2.0, max(0.0, 1.0 - float(now @ before)))


@dataclass(frozen=True, slots=True)
class Convergence:
    """Whether to rewrite on: `gain` is the mean gain of |V_proc| * PEMS over the skills refined in the last round."""

    done: bool
    gain: float
    why: str


def converged(gains: Sequence[float], round_: int, *, epsilon: float, rounds: int) -> Convergence:
    """Decide after round `round_` (from 1) of at most `rounds`; `gains` are those of the skills refined in it."""
    if not gains:
        return Convergence(True, 0.0, "no skill was refined")
    gain = sum(gains) / len(gains)
    if gain < epsilon:
        return Convergence(True, gain, f"the gain {gain:.4f} is below {epsilon:g}")
    if round_ >= rounds:
        return Convergence(True, gain, f"{rounds} rounds are over")
    return Convergence(False, gain, f"the gain {gain:.4f} is at least {epsilon:g}")
