"""What the details of a key-value action say side by side.

The levels of a command refine one another, the details of key-value pairs do not: an element's text, its id and its place each speak for
themselves. So each, with the head of the action, is a pattern of its own. What was seen of it in all situations, and at just this stage of
a task (`template.stage`), is shrunk to what was expected before any step, and the sum of what all patterns add to that, in logits, is
divided by the root of their number. (On web forms a chain of pairs knew nothing of what it had not seen whole; shrinking to the head's
estimate in place of a constant, or the mean in place of the sum over the root, solved fewer tasks.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from langgraph_fluxmem.learning.table import Grown
from langgraph_fluxmem.learning.template import STAGE
from langgraph_fluxmem.learning.tree import Growth

_MARGIN = 0.01
"""Shares are kept this far from 0 and 1, so that no detail has all the say."""


@dataclass(frozen=True, slots=True)
class Beside:
    """Constants for key-value actions.

    Attributes:
        k: weight of what was expected before any step in what a pattern says.
        always: say of a pattern's steps in all situations; of those at this stage it is 1.
        b: logits of advice per logit of value above the prior.
    """

    k: float = 1.0
    always: float = 0.5
    b: float = 1.0


def beside(known: Sequence[Grown], size: int, held: Mapping[int, str], growth: Growth, constants: Beside) -> tuple[float, float, float]:
    """(value, risk, support) of an action of `size` patterns, of which those `known` have evidence; `held` are the situation's patterns."""
    stage = next((number for number, link in held.items() if link.startswith(STAGE)), -1)
    value = risk = support = 0.0
    for grown in known:
        good, bad = grown.value.leaf(held)[0], grown.risk.leaf(held)[0]
        tried = grown.tried.get(stage, 0.0)
        value += _over(grown.led.get(stage, 0.0), tried, growth.v0, constants.k)
        value += constants.always * _over(good.good, good.total, growth.v0, constants.k)
        risk += _over(grown.lost.get(stage, 0.0), tried, growth.l0, constants.k)
        risk += constants.always * _over(bad.good, bad.total, growth.l0, constants.k)
        support = max(support, good.total)
    root = math.sqrt(size)
    return _share(_logit(growth.v0) + value / root), _share(_logit(growth.l0) + risk / root), support


def _over(good: float, total: float, prior: float, k: float) -> float:
    """Logits above what was expected."""
    return _logit(min(max((good + k * prior) / (total + k), _MARGIN), 1.0 - _MARGIN)) - _logit(prior)


def _share(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit))


def _logit(p: float) -> float:
    return math.log(p / (1.0 - p))
