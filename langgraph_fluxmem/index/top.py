"""The best of many scores, without sorting or copying them all."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCK = 64


def top(scores: NDArray[np.float32], m: int, rank: NDArray[Any] | None = None) -> NDArray[np.int64]:
    """The at most `m` indices with the highest scores (n,), best first, equal ones by `rank` (n,), then by index.

    Of the maxima of blocks, the m-th highest is a bound that at least m scores reach: only those are looked at.
    """
    count = len(scores)
    if m <= 0 or not count:
        return np.zeros(0, np.int64)
    whole = count // _BLOCK
    if whole > 2 * m:
        maxima = scores[: whole * _BLOCK].reshape(whole, _BLOCK).max(axis=1)
        picked = np.flatnonzero(scores >= np.partition(maxima, whole - m)[whole - m])
        found = scores[picked]
    else:
        picked, found = np.arange(count), scores
    if len(picked) > m:
        least = np.partition(found, len(picked) - m)[len(picked) - m]
        keep = np.flatnonzero(found >= least)
        picked, found = picked[keep], found[keep]
        if len(picked) > m and rank is not None:  # several stand equal at the cut
            order = np.lexsort((picked, rank[picked], -found))[:m]
            return picked[order]
    return picked[np.argsort(-found, kind="stable")[:m]]


def among(scores: NDArray[np.float32], m: int, rank: NDArray[Any], *, above_zero: bool = False) -> NDArray[np.int64]:
    """The indices that `top` gives, in no certain order: half of its time where only the set counts. `above_zero`: only of such scores."""
    count = len(scores)
    if not 0 < m < count or count > 2 * m * _BLOCK:
        found = top(scores, m, rank)
        return found[scores[found] > 0] if above_zero else found
    ordered = scores.copy()
    ordered.partition(count - m)
    least = ordered[count - m]
    if above_zero and least <= 0:
        return (scores > 0).nonzero()[0]
    found = (scores >= least).nonzero()[0]
    if len(found) == m:
        return found
    said = scores[found]
    above, equal = found[said > least], found[said == least]
    return np.concatenate([above, equal[np.lexsort((equal, rank[equal]))[: m - len(above)]]])
