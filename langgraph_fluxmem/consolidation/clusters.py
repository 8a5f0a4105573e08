"""Clusters of episodes by the cosine of their tasks' embeddings: one pass, in log order, so that the same log gives the same clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.schema import Vector

BLOCK = 1024
"""Vectors compared with all clusters at once."""


@dataclass(slots=True)
class Cluster:
    """Indices of members, in log order; `seed` is the index of the skill it began as, None for a new one."""

    members: list[int] = field(default_factory=list)
    seed: int | None = None


def cluster(vectors: NDArray[np.float32], cosine: float, seeds: Sequence[Vector] = ()) -> list[Cluster]:
    """Put each of `vectors` (n, d), L2-normalised, into the cluster whose mean is nearest, or into a new one below `cosine`.

    `seeds` (d,) are the means of what existing skills were distilled from; their clusters come first, also when nothing joins them.
    Each vector costs one product with the means of all clusters so far: O(n * clusters * d).
    """
    clusters = [Cluster(seed=number) for number in range(len(seeds))]
    n = len(vectors)
    if not n:
        return clusters
    sums = np.zeros((max(8, 2 * len(seeds)), vectors.shape[1]), np.float64)
    means = np.zeros_like(sums, dtype=np.float32)
    for number, seed in enumerate(seeds):
        sums[number] = means[number] = seed
    used = len(seeds)
    for start in range(0, n, BLOCK):
        block = vectors[start : start + BLOCK]
        known = used
        near = block @ means[:known].T if known else np.zeros((len(block), 0), np.float32)
        moved: set[int] = set()
        for row, vector in enumerate(block):
            similarity = near[row].copy()
            for number in moved:
                if number < known:
                    similarity[number] = means[number] @ vector
            if used > known:
                similarity = np.concatenate((similarity, means[known:used] @ vector))
            best = int(np.argmax(similarity)) if used else -1
            if best < 0 or similarity[best] < cosine:
                if used == len(sums):
                    sums = np.concatenate((sums, np.zeros_like(sums)))
                    means = np.concatenate((means, np.zeros_like(means)))
                best = used
                used += 1
                clusters.append(Cluster())
            clusters[best].members.append(start + row)
            sums[best] += vector
            norm = float(np.linalg.norm(sums[best]))
            means[best] = sums[best] / norm if norm else 0.0
            moved.add(best)
    return clusters


def mean_of(vectors: NDArray[np.float32]) -> Vector:
    """The normalised mean (d,) of vectors (n, d), n >= 1."""
    total = vectors.sum(axis=0, dtype=np.float64)
    norm = float(np.linalg.norm(total))
    return (total / norm if norm else total).astype(np.float32)
