"""A tree of conditions over weighted rows: which patterns of a situation decide how an action turns out.

Grown greedily, deterministic in the set of rows (not their order): a condition is added where it explains the outcomes by at least
`gain` nats over what their parent says, so that the best of hundreds of chance patterns does not get a say; estimates of a branch are
shrunk to its parent's.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(slots=True)
class Node:
    """`good` of `total` weight came out in this branch, `value` is their shrunk share; `test` is the pattern asked for, None at a leaf."""

    good: float
    total: float
    value: float
    test: str | None = None
    yes: Node | None = None
    no: Node | None = None

    def leaf(self, patterns: Container[str]) -> tuple[Node, list[tuple[str, bool]]]:
        """The leaf for a situation, and the answers on the way."""
        node: Node = self
        path: list[tuple[str, bool]] = []
        while node.test is not None:
            held = node.test in patterns
            path.append((node.test, held))
            following = node.yes if held else node.no
            assert following is not None
            node = following
        return node, path


def grow(
    features: NDArray[np.float64],
    names: Sequence[str],
    order: NDArray[np.int64],
    good: NDArray[np.float64],
    total: NDArray[np.float64],
    prior: float,
    *,
    k: float,
    gain: float,
    smallest: float,
    depth: int,
) -> Node:
    """Grow a tree over rows: `features` (rows, patterns) of 0 and 1, `good` <= `total` weights (rows,); `order` ranks patterns for ties."""
    g, n = float(good.sum()), float(total.sum())
    value = (g + k * prior) / (n + k)
    node = Node(g, n, value)
    if depth == 0 or n < 2 * smallest or g <= 0.0 or g >= n:
        return node
    yes_n = total @ features
    yes_g = good @ features
    no_n, no_g = n - yes_n, g - yes_g
    with np.errstate(divide="ignore", invalid="ignore"):
        gains = _cost(g, n) - _cost(yes_g, yes_n) - _cost(no_g, no_n)
    gains = np.where((yes_n >= smallest) & (no_n >= smallest), gains, -1.0)
    best = float(gains.max(initial=-1.0))
    if best < gain:
        return node
    ties = np.flatnonzero(gains >= best - 1e-9)
    chosen = int(ties[np.argmin(order[ties])])
    held = features[:, chosen] > 0
    node.test = names[chosen]
    rest = {"k": k, "gain": gain, "smallest": smallest, "depth": depth - 1}
    node.yes = grow(features[held], names, order, good[held], total[held], value, **rest)
    node.no = grow(features[~held], names, order, good[~held], total[~held], value, **rest)
    return node


def _cost(good, total):
    """Nats to say the outcomes of `total` weight, `good` of it good, with the share itself as the model."""
    bad = total - good
    share = np.where(total > 0, good / np.maximum(total, 1e-300), 0.0)
    return -(np.where(good > 0, good * np.log(np.maximum(share, 1e-300)), 0.0) + np.where(bad > 0, bad * np.log(np.maximum(1 - share, 1e-300)), 0.0))
