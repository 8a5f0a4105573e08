"""A tree of conditions over weighted rows: which patterns of a situation decide how an action turns out.

Grown greedily: a condition is added where it explains the outcomes by at least `Growth.gain` nats over what their parent says, so that
the best of hundreds of chance patterns does not get a say, and the estimate of a branch is shrunk to its parent's. (A weighted mean
over all patterns of a situation, however sharpened, let the general ones drown the one that decides, or let chance decide.)
"""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Growth:
    """How trees are grown.

    Attributes:
        v0, l0: shares of progress and of loss before anything is known.
        k: weight of the parent's estimate in a branch's.
        gain: nats that a condition must explain.
        smallest: least weight of a branch.
        depth: most conditions on a path.
    """

    v0: float = 0.27
    l0: float = 0.05
    k: float = 0.5
    gain: float = 4.0
    smallest: float = 2.0
    depth: int = 6


@dataclass(slots=True)
class Node:
    """`good` of `total` weight came out in this branch, `value` is their shrunk share; `test` is the pattern asked for, -1 at a leaf."""

    good: float
    total: float
    value: float
    test: int = -1
    yes: Node | None = None
    no: Node | None = None

    def leaf(self, patterns: Container[int]) -> tuple[Node, list[tuple[int, bool]]]:
        """The leaf for a situation, and the tests on the way with their answers."""
        node = self
        path: list[tuple[int, bool]] = []
        while node.yes is not None and node.no is not None:
            held = node.test in patterns
            path.append((node.test, held))
            node = node.yes if held else node.no
        return node, path


def grow(
    features: NDArray[np.float64],
    names: NDArray[np.int64],
    good: NDArray[np.float64],
    total: NDArray[np.float64],
    prior: float,
    *,
    growth: Growth,
    depth: int = 0,
) -> Node:
    """Grow a tree.

    Args:
        features: (rows, patterns) of 0 and 1; of patterns that explain as much the first is tested.
        names: (patterns,) their numbers.
        good: (rows,) weight that came out.
        total: (rows,) weight in all.
        prior: the share expected before any row was seen.
        growth: how to grow.
        depth: how many conditions stand above.
    """
    g, n = float(good.sum()), float(total.sum())
    node = Node(g, n, (g + growth.k * prior) / (n + growth.k))
    if depth == growth.depth or n < 2 * growth.smallest or g <= 0.0 or g >= n or not len(names):
        return node
    yes_n, yes_g = total @ features, good @ features
    no_n, no_g = n - yes_n, g - yes_g
    gains = _nats(np.array([g]), np.array([n])) - _nats(yes_g, yes_n) - _nats(no_g, no_n)
    gains[(yes_n < growth.smallest) | (no_n < growth.smallest)] = -1.0
    best = float(gains.max())
    if best < growth.gain:
        return node
    chosen = int(np.flatnonzero(gains >= best - 1e-6)[0])
    held = features[:, chosen] > 0
    node.test = int(names[chosen])
    node.yes = grow(features[held], names, good[held], total[held], node.value, growth=growth, depth=depth + 1)
    node.no = grow(features[~held], names, good[~held], total[~held], node.value, growth=growth, depth=depth + 1)
    return node


def interval(good: float, total: float, z: float = 1.28) -> tuple[float, float]:
    """Wilson score interval of a share from `good` of `total`; (0, 1) without evidence. At z = 1.28 one in ten lies below it."""
    if total <= 0.0:
        return 0.0, 1.0
    share, square = good / total, z * z / total
    centre = share + square / 2.0
    spread = z * math.sqrt(max(0.0, share * (1.0 - share) / total + square / (4.0 * total)))
    return max(0.0, (centre - spread) / (1.0 + square)), min(1.0, (centre + spread) / (1.0 + square))


def _nats(good: NDArray[np.float64], total: NDArray[np.float64]) -> NDArray[np.float64]:
    """What it takes to say the outcomes of `total` weight, `good` of it good, given their share."""
    bad = np.maximum(total - good, 0.0)
    floor = 1e-12
    share = np.clip(good / np.maximum(total, floor), floor, 1.0 - floor)
    return -(good * np.log(share) + bad * np.log1p(-share))
