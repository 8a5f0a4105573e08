"""The policy that all variants share: random among the admissible commands, bent by what memory advises.

The prior is generic: a command that was given before in this game becomes less likely each time. It knows no command, no recipe and no
kitchen. Memory's advice, in logits, multiplies the prior; without memory the prior alone decides.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence

AGAIN = 0.5
"""Factor on a command's weight for each time it was given in this game."""


def prior(commands: Sequence[str], given: Sequence[str]) -> list[float]:
    """Weight of each admissible command without memory: 1, times `AGAIN` for each time it is in `given`."""
    counts = Counter(given)
    return [AGAIN ** counts[command] for command in commands]


def choose(
    commands: Sequence[str],
    given: Sequence[str],
    rng: random.Random,
    *,
    advice: Sequence[float] | None = None,
) -> str:
    """Draw one command in proportion to prior x exp(advice).

    Args:
        commands: the admissible commands, at least one.
        given: the commands of this game so far.
        rng: the only source of chance, so that variants with one seed differ by their memory alone.
        advice: logits, one per command; 0 says nothing.

    Raises:
        ValueError: no command, or another number of logits than commands.

    """
    if not commands:
        raise ValueError("there is no admissible command to choose from")
    weights = prior(commands, given)
    if advice is not None:
        if len(advice) != len(commands):
            raise ValueError(f"found {len(advice)} logits for {len(commands)} commands; expected one per command")
        top = max(advice)
        weights = [weight * math.exp(logit - top) for weight, logit in zip(weights, advice, strict=True)]
    return rng.choices(list(commands), weights)[0]


def dice(seed: int, game: int, turn: int) -> random.Random:
    """The chance of one decision: the same for all variants, and after a resumed crash."""
    return random.Random(f"{seed}/{game}/{turn}")
