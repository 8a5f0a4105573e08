"""Where nodes stand: what means something alike, and what is linked, lies together.

The layout of UMAP (McInnes, Healy and Melville 2018) with the edges of memory beside the nearest neighbours of the vectors: it begins with
the two main axes of the vectors, neighbours attract and random others repel. Written with sums over arrays, so that 5,000 nodes take about a second; the same graph is laid out the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 6
"""Of the vectors, that attract."""
ROUNDS = 100
REPELLED_BY = 5
"""Random others, in each round."""
STEP = 0.5
"""At most so far in a round, in units of the layout; it shrinks to nothing."""
SPREAD = 0.22
"""Side of the square in which nodes begin, for each of them: times twice the root of how many there are."""
GRAVITY = 0.004
"""Pull to the middle."""
EXTENT = 1000.0
"""The picture reaches from -EXTENT to EXTENT, about."""
STRETCH = 0.55
"""How much of a place is its rank along each axis: 0 keeps clusters dense, 1 fills the square evenly."""
_A, _B = 1.58, 0.9
"""UMAP's curve for a least distance of 0.1."""
_BLOCK = 512

Points = NDArray[np.float64]


def layout(vectors: NDArray[np.float32], known: NDArray[np.bool_], ends: NDArray[np.int64], weights: Points) -> Points:
    """(n, 2) places.

    Args:
        vectors: (n, d), L2-normalised; rows that are not `known` are zero.
        known: (n,) which nodes have a vector.
        ends: (m, 2) of each edge.
        weights: (m,) of each edge; below 0 counts as hardly anything.

    """
    count = len(vectors)
    random = np.random.default_rng(7)
    if count < 3:
        return np.linspace(-EXTENT / 4, EXTENT / 4, count)[:, None] * np.array([[1.0, 0.0]])
    places = _axes(vectors, known, random)
    _beside(places, known, ends, random)
    near, alike = _nearest(vectors, known)
    pairs = np.concatenate([near, ends])
    pull = np.concatenate([alike, np.clip(weights, 0.05, 2.0)])
    for number in range(ROUNDS):
        left = 1.0 - number / ROUNDS
        move = _attracted(places, pairs, pull) + _repelled(places, random) - GRAVITY * places
        length = np.linalg.norm(move, axis=1, keepdims=True)
        places += move * np.minimum(1.0, STEP / np.maximum(length, 1e-9)) * left
    return _framed(places, random)


def _axes(vectors: NDArray[np.float32], known: NDArray[np.bool_], random: np.random.Generator) -> Points:
    """The two main axes of the vectors by rank, so that what is far from all else does not push the rest together; with a little noise that keeps
    equal ones apart."""
    places = random.normal(0.0, 0.4, (len(vectors), 2))
    count = int(known.sum())
    if count > 2 and vectors.shape[1] > 1:
        held = vectors[known].astype(np.float64)
        held -= held.mean(axis=0)
        _, axes = np.linalg.eigh(held.T @ held)
        main = axes[:, -2:][:, ::-1]
        main *= np.where(main[np.abs(main).argmax(axis=0), [0, 1]] < 0, -1.0, 1.0)
        ranks = (held @ main).argsort(axis=0).argsort(axis=0)
        places[known] += (ranks / (count - 1) - 0.5) * 2.0 * np.sqrt(count) * SPREAD
    return places


def _beside(places: Points, known: NDArray[np.bool_], ends: NDArray[np.int64], random: np.random.Generator) -> None:
    """Nodes without a vector begin in the middle of what they are linked with."""
    for node in np.flatnonzero(~known).tolist():
        others = np.concatenate([ends[ends[:, 0] == node, 1], ends[ends[:, 1] == node, 0]])
        others = others[known[others]] if len(others) else others
        if len(others):
            places[node] = places[others].mean(axis=0) + random.normal(0.0, 0.3, 2)


def _nearest(vectors: NDArray[np.float32], known: NDArray[np.bool_]) -> tuple[NDArray[np.int64], Points]:
    """Pairs (m, 2) of nodes that are nearest by cosine, and how much so."""
    rows = np.flatnonzero(known)
    held = vectors[rows]
    many = min(NEIGHBOURS, len(rows) - 1)
    pairs: list[NDArray[np.int64]] = [np.zeros((0, 2), np.int64)]
    alike: list[Points] = [np.zeros(0)]
    for start in range(0, len(rows), _BLOCK):
        cosine = held[start : start + _BLOCK] @ held.T
        own = np.arange(len(cosine))
        cosine[own, start + own] = -2.0
        for _ in range(many):  # a few passes for the greatest take a tenth of what partitioning takes
            best = cosine.argmax(axis=1)
            pairs.append(np.stack([rows[start + own], rows[best]], axis=1))
            alike.append(np.clip(cosine[own, best].astype(np.float64), 0.0, 1.0))
            cosine[own, best] = -2.0
    return np.concatenate(pairs), np.concatenate(alike)


def _attracted(places: Points, pairs: NDArray[np.int64], pull: Points) -> Points:
    if not len(pairs):
        return np.zeros_like(places)
    away = places[pairs[:, 0]] - places[pairs[:, 1]]
    square = (away**2).sum(axis=1) + 1e-6
    force = -2.0 * _A * _B * square ** (_B - 1.0) / (1.0 + _A * square**_B) * pull
    pushed = np.clip(away * force[:, None], -4.0, 4.0)
    return 0.25 * (_summed(pairs[:, 0], pushed, len(places)) - _summed(pairs[:, 1], pushed, len(places)))


def _repelled(places: Points, random: np.random.Generator) -> Points:
    count = len(places)
    others = random.integers(0, count, (count, REPELLED_BY))
    away = places[:, None, :] - places[others]
    square = (away**2).sum(axis=2)
    force = np.where(square > 0, 2.0 * _B / ((0.01 + square) * (1.0 + _A * square**_B)), 0.0)
    pushed: Points = np.clip(away * force[:, :, None], -4.0, 4.0).sum(axis=1)
    return pushed


def _summed(at: NDArray[np.int64], amounts: Points, count: int) -> Points:
    summed: Points = np.stack([np.bincount(at, amounts[:, axis], count).astype(np.float64) for axis in (0, 1)], axis=1)
    return summed


def _framed(places: Points, random: np.random.Generator) -> Points:
    """Centred and scaled to the extent; where it is crowded it is stretched, by rank, and then nobody stands on another's feet."""
    centred = places - np.median(places, axis=0)
    reach = np.quantile(np.abs(centred), 0.98, axis=0)
    scaled = np.clip(centred / np.maximum(reach, 1e-9), -1.25, 1.25)
    ranks = centred.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable") / (len(places) - 1) * 2.0 - 1.0
    spread: Points = EXTENT * ((1.0 - STRETCH) * scaled + STRETCH * ranks)
    return _apart(spread, random)


def _apart(places: Points, random: np.random.Generator) -> Points:
    """Push apart what stands nearer than its share of the room: each node from those beside it, in rows of a grid laid anew each round."""
    count = len(places)
    room = 1.5 * EXTENT / np.sqrt(count)
    for _ in range(ROUNDS // 2):
        shift = random.random(2) * room
        turned = places if random.random() < 0.5 else places[:, ::-1]
        order = np.lexsort((turned[:, 0], np.floor((turned[:, 1] + shift[1]) / room)))
        for step in (1, 2, 3):
            first, second = order[:-step], order[step:]
            away = places[first] - places[second]
            length = np.sqrt((away**2).sum(axis=1)) + 1e-9
            push = np.where(length < room, 0.22 * (room - length) / length, 0.0)[:, None] * (away + random.normal(0.0, 1e-3, away.shape))
            places = places + _summed(first, push, count) - _summed(second, push, count)
    return places
