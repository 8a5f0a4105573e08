"""Anchors [MemFly]: the keywords of each fact, how they occur together, and topics: communities of keywords. Computed, never stored.

Keywords are statistical: a fact's rarest and most repeated terms among those that occur at least twice and not everywhere. Topics are a
partition of their co-occurrence graph by modularity (Blondel et al. 2008), with size bounds.

All of it is a function of what a view holds and nothing else, so that two processes agree. To be cheap it is worked out anew only when
the facts have grown by about a tenth: later facts get keywords and topics by what is known until then.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.index.view import NamespaceView
from langgraph_fluxmem.schema import Namespace

if TYPE_CHECKING:
    import networkx as nx

PER_FACT = 6
"""Keywords of one fact at most."""
SHARE = 0.05
"""A term in more than this share of the facts is no keyword, where there are many; of few facts, in more than `FEW` or a quarter."""
FEW = 20
MOST = 2_000
"""Keywords in the graph at most: the most frequent ones."""
SMALLEST, LARGEST = 3, 60
"""Bounds on the keywords of a topic: smaller communities are none, larger ones are divided again."""
_STEP = 1.1
_FINEST = 16.0
_KEPT = 32

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Community:
    """One topic: its keywords as terms, the one with the strongest ties within it first, and the weight of those ties."""

    terms: tuple[str, ...]
    weight: float


@dataclass(frozen=True, slots=True)
class Graph:
    """What was worked out of the first `base` facts: idf of every keyword, ties, topics."""

    base: int
    idf: dict[str, float]
    ties: dict[str, tuple[tuple[str, float], ...]]
    """Keyword -> its neighbours, the closest first, with how often they occur together relative to how often they could (cosine)."""
    topics: tuple[Community, ...]
    topic_of: dict[str, int]


class Anchors:
    """The keywords of every fact of a view, and the graph they make."""

    def __init__(self, view: NamespaceView) -> None:
        rows, codes, vocabulary = view.documents()
        self.size = view.size
        pairs, counts = np.unique(rows.astype(np.int64) << 32 | codes, return_counts=True)
        row, code = pairs >> 32, pairs & 0xFFFFFFFF
        self.graph = _graph_of(view, row, code, counts, vocabulary)
        idf = np.zeros(int(codes.max(initial=-1)) + 1)
        for at in np.unique(code).tolist():
            idf[at] = self.graph.idf.get(vocabulary[at], 0.0)
        self.row, kept = _best(row, code, counts, idf)
        """(n,) rows, each as often as it has keywords."""
        self.word: list[str] = [vocabulary[at] for at in kept.tolist()]
        """(n,) their keywords."""
        self._rows_of: dict[str, list[int]] = {}
        for at, word in zip(self.row.tolist(), self.word, strict=True):
            self._rows_of.setdefault(word, []).append(at)

    def rows_of(self, word: str) -> list[int]:
        """The rows that have a keyword."""
        return self._rows_of.get(word, [])

    def topic_shares(self, topic: int) -> NDArray[np.float32]:
        """(size,) the share of each fact's keywords that belongs to a topic."""
        inside = np.array([self.graph.topic_of.get(word) == topic for word in self.word], dtype=np.float64)
        count = np.bincount(self.row, minlength=self.size)
        return (np.bincount(self.row, inside, self.size) / np.maximum(count, 1)).astype(np.float32)


def anchors_of(view: NamespaceView) -> Anchors:
    """The anchors of a view, made when they are first asked for."""
    return view.kept("anchors", Anchors)


_graphs: OrderedDict[tuple[Namespace, int, int], Graph] = OrderedDict()
_lock = threading.Lock()


def _graph_of(view: NamespaceView, row: Ints, code: Ints, counts: Ints, vocabulary: list[str]) -> Graph:
    base = grid(view.size)
    key = (view.namespace, base, hash(tuple(view.ids[:base])))
    with _lock:
        found = _graphs.get(key)
    if found is None:
        early = row < base
        found = _made(base, row[early], code[early], counts[early], vocabulary)
    with _lock:
        _graphs[key] = found
        _graphs.move_to_end(key)
        while len(_graphs) > _KEPT:
            _graphs.popitem(last=False)
    return found


def grid(size: int) -> int:
    """The largest size at or below this one at which anchors are worked out: each is about a tenth above the one before."""
    step = 1
    while (following := max(step + 1, int(step * _STEP))) <= size:
        step = following
    return min(step, size)


def _made(base: int, row: Ints, code: Ints, counts: Ints, vocabulary: list[str]) -> Graph:
    df = np.bincount(code)
    usual = np.flatnonzero((df >= 2) & (df <= max(min(FEW, base / 4), SHARE * base)))
    idf = np.zeros(len(df))
    for at in usual.tolist():
        if _can_be_keyword(vocabulary[at]):
            idf[at] = np.log1p(base / df[at])
    names = {vocabulary[at]: float(idf[at]) for at in np.flatnonzero(idf).tolist()}
    rows, words = _best(row, code, counts, idf)
    frequency = np.bincount(words, minlength=len(df))
    chosen = sorted(np.flatnonzero(frequency).tolist(), key=lambda at: (-frequency[at], vocabulary[at]))[:MOST]
    order = {at: place for place, at in enumerate(sorted(chosen, key=vocabulary.__getitem__))}
    held: dict[int, list[int]] = {}
    for at, word in zip(rows.tolist(), words.tolist(), strict=True):
        if word in order:
            held.setdefault(at, []).append(order[word])
    together: dict[tuple[int, int], int] = {}
    for members in held.values():
        for pair in combinations(sorted(members), 2):
            together[pair] = together.get(pair, 0) + 1
    terms = [vocabulary[at] for at in sorted(chosen, key=vocabulary.__getitem__)]
    often = [int(frequency[at]) for at in sorted(chosen, key=vocabulary.__getitem__)]
    ties: dict[int, list[tuple[int, float]]] = {}
    for (one, other), times in together.items():
        close = times / (often[one] * often[other]) ** 0.5
        ties.setdefault(one, []).append((other, close))
        ties.setdefault(other, []).append((one, close))
    topics = _topics(terms, together)
    return Graph(
        base,
        names,
        {
            terms[at]: tuple((terms[other], close) for other, close in sorted(near, key=lambda tie: (-tie[1], tie[0])))
            for at, near in sorted(ties.items())
        },
        topics,
        {term: number for number, topic in enumerate(topics) for term in topic.terms},
    )


def _can_be_keyword(term: str) -> bool:
    word = term.rpartition(":")[2] if not term.startswith("@") else ""
    return len(word) > 1 and any(map(str.isalpha, word))


def _best(row: Ints, code: Ints, counts: Ints, idf: NDArray[np.float64]) -> tuple[Ints, Ints]:
    """The at most `PER_FACT` keywords of each row: (rows, codes), rows in order."""
    score = idf[code] * (1 + np.log(counts))
    some = np.flatnonzero(score > 0)
    some = some[np.lexsort((code[some], -score[some], row[some]))]
    row = row[some]
    first = np.flatnonzero(np.r_[True, row[1:] != row[:-1]]) if len(row) else np.zeros(0, np.int64)
    place = np.arange(len(row)) - np.repeat(first, np.diff(np.r_[first, len(row)]))
    return row[place < PER_FACT], code[some][place < PER_FACT]


def _topics(terms: list[str], together: dict[tuple[int, int], int]) -> tuple[Community, ...]:
    """Communities of keywords, the weightiest first."""
    import networkx as nx  # noqa: PLC0415 - who asks for no topics does not load it

    graph: nx.Graph[int] = nx.Graph()
    graph.add_weighted_edges_from((one, other, float(times)) for (one, other), times in sorted(together.items()))
    found: list[Community] = []
    for members in _parted(graph, 1.0) if len(graph) else ():
        inside = graph.subgraph(members)
        ties = {at: float(weight) for at, weight in inside.degree(weight="weight")}
        ranked = sorted(ties, key=lambda at: (-ties[at], terms[at]))[:LARGEST]
        found.append(Community(tuple(terms[at] for at in ranked), sum(ties[at] for at in ranked) / 2))
    return tuple(sorted(found, key=lambda topic: (-topic.weight, topic.terms)))


def _parted(graph: nx.Graph[int], resolution: float) -> list[list[int]]:
    """Communities of at least `SMALLEST`; one above `LARGEST` is divided, unless nothing but crumbs would be left of it."""
    import networkx as nx  # noqa: PLC0415 - as above

    found: list[list[int]] = []
    for members in nx.community.louvain_communities(graph, weight="weight", resolution=resolution, seed=0):
        some = sorted(members)
        parts: list[list[int]] = []
        if len(some) > LARGEST and resolution < _FINEST:
            inside: nx.Graph[int] = nx.Graph()
            inside.add_weighted_edges_from(sorted((min(a, b), max(a, b), w) for a, b, w in graph.subgraph(some).edges(data="weight")))
            parts = _parted(inside, resolution * 2)
        found += parts or ([some] if len(some) >= SMALLEST else [])
    return found
