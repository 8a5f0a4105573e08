"""A query laid over one namespace as arrays: what the signals read, each thing worked out when the first signal asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Generic, Self, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.anchors import anchors_of
from langgraph_fluxmem.index.top import among
from langgraph_fluxmem.index.view import NamespaceView
from langgraph_fluxmem.lexical import Facts, Sources, Surroundings
from langgraph_fluxmem.querying import asked_terms, languages_of
from langgraph_fluxmem.schema import Vector
from langgraph_fluxmem.text import QUESTION, terms
from langgraph_fluxmem.windows import Windows, windows_of

Scores = NDArray[np.float32]
Rows = NDArray[np.integer]
Made = TypeVar("Made")

FEW = 4096
"""Up to this many facts the cosine of each is worked out at once; of more only that of those asked for."""
SUBSTANTIAL = 60
"""Rarity of the terms of a text, added up (`NamespaceView.rarities`), from which it counts as saying something: 15 terms that one in fifty facts
hold. A prior for longer texts without such a bound was worth more on LoCoMo and cost 3 points recall@10 where passages are all of some length."""
BRIEF = 32
"""Terms up to which facts, on average, are understood from what stands beside them (turns of LoCoMo have 18, passages of the Debian FAQ 87)."""
SPEAKERS = 512
"""Where more people than this have spoken, names in a query are not looked for among them."""


KEYWORDS, TOPICS = 10, 3
"""How many keywords and topics a query is led by [MemFly]."""


class once(Generic[Made]):  # noqa: N801 - reads as the decorator that it is
    """A property that is worked out when it is first asked for, and kept. For objects of one thread: `functools.cached_property` takes a lock
    each time it is first asked (until Python 3.12), and a recall asks for a dozen of them."""

    def __init__(self, make: Callable[[Any], Made]) -> None:
        self.make, self._name = make, make.__name__
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> Made: ...
    def __get__(self, instance: object | None, owner: type) -> Self | Made:
        if instance is None:
            return self
        made = instance.__dict__[self._name] = self.make(instance)
        return made


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for: its `text`, its vector (d,), what past use says of fact nodes, in [-1, 1], ids of facts to look
    `around` (they proved right), and of those shown and `passed` over."""

    text: str
    vector: Vector
    served: Mapping[str, float] = field(default_factory=dict[str, float])
    around: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()

    @property
    def past(self) -> bool:
        """Whether anything has served such a query, or there is something to look around."""
        return bool(self.served or self.around)


class Background:
    """What signals need of a view, whatever is asked: made once for each."""

    def __init__(self, view: NamespaceView) -> None:
        self.windows: Windows = windows_of(view)
        """Who stands beside whom."""
        self.facts = Facts(view)
        self.surroundings = None if self.windows.alone else Surroundings(view, self.windows)
        """None where every fact stands alone."""
        self.sources = Sources(view, self.windows) if self.windows.live_sources else None
        """None where no fact has a source."""
        self.questions: NDArray[np.bool_] = np.zeros(view.size, dtype=bool)
        """(size,) which facts are questions."""
        self.questions[view.rows_with(QUESTION)] = True
        self.languages = languages_of(view)
        self.any_questions = bool(self.questions.any())
        self.statements: Scores = (~self.questions).astype(np.float32)
        """(size,) 1 for what is no question."""
        self._view = view
        self._marked: dict[str, Scores] = {}
        self.spoken = bool((view.speaker >= 0).any())
        """Whether it is known of any fact who said it."""
        names = view.speaker_names if len(view.speaker_names) <= SPEAKERS else ()
        self.speakers: list[frozenset[str]] = [_name_terms(name) for name in names]
        """The terms of each speaker's name, by the speaker's code; none where there are too many."""

    def substance(self, rows: Rows) -> Scores:
        """(m,) see the signal, of rows (m,)."""
        return self._substance[rows] if self._view.size <= FEW else _substance(self._view.rarities(rows))

    @once
    def _substance(self) -> Scores:
        return _substance(self._view.rarities())

    def marked(self, mark: str) -> Scores:
        """(size,) of a mark of `kinds`: 1 for what has it."""
        found = self._marked.get(mark)
        if found is None:
            found = self._marked[mark] = _holders(self._view, mark)
        return found


def _substance(rarities: Scores) -> Scores:
    return np.minimum(rarities / np.float32(SUBSTANTIAL), np.float32(1))


def _holders(view: NamespaceView, term: str) -> Scores:
    out = np.zeros(view.size, np.float32)
    out[view.rows_with(term)] = 1
    return out


@lru_cache(maxsize=4 * SPEAKERS)
def _name_terms(name: str) -> frozenset[str]:
    return frozenset(terms(name))


def background_of(view: NamespaceView) -> Background:
    """The background of a view, made when it is first asked for. Safe from any thread."""
    return view.kept("background", Background)


class Bench:
    """One query on one namespace: what several signals need is computed once."""

    def __init__(self, query: Query, view: NamespaceView) -> None:
        self.query, self.view = query, view
        self.background = background_of(view)
        self._best: dict[tuple[int, int], tuple[Scores, Rows]] = {}
        self._dense: tuple[Rows, Scores] | None = None

    @property
    def windows(self) -> Windows:
        """Who stands beside whom."""
        return self.background.windows

    @once
    def terms(self) -> Mapping[str, float]:
        """The query's terms, and how much each counts."""
        return asked_terms(self.query.text, self.view, self.background.languages)

    @once
    def _asked(self) -> tuple[Scores, float]:
        return self.background.facts.asked(self.terms)

    @property
    def bm25(self) -> Scores:
        """(size,) BM25 of every fact."""
        return self._asked[0]

    @once
    def context(self) -> Scores:
        """(size,) BM25 of every fact's window: its neighbours' terms count as its own, less with distance, and so do their lengths."""
        around = self.background.surroundings
        return self.bm25 if around is None else around.scores(self.terms)

    @once
    def sources(self) -> Scores:
        """(size,) BM25 of every fact's source as one document; 0 for facts without a source."""
        every = self.background.sources
        return (
            np.zeros(self.view.size, np.float32) if every is None else np.append(every.scores(self.terms), np.float32(0))[self.view.source]
        )

    @once
    def brief(self) -> float:
        """1 where the facts are short, on average; the longer they are, the nearer to 0."""
        return min(1.0, BRIEF / max(self.view.average_length, 1.0))

    @once
    def keywords(self) -> Scores:
        """(size,) see the signal."""
        return _keyword_scores(self)

    @once
    def topics(self) -> Scores:
        """(size,) see the signal."""
        return _topic_scores(self)

    @once
    def held(self) -> float:
        """The share of the query, by the weight of its terms, that the fact with the highest BM25 holds, in [0, 1]."""
        most = self._asked[1]
        return float(self.bm25.max(initial=0)) / most if most else 0.0

    @property
    def questions(self) -> NDArray[np.bool_]:
        """(size,) which facts are questions."""
        return self.background.questions

    @once
    def named(self) -> list[bool]:
        """Of each speaker whether the query names them."""
        return [bool(name) and name <= self.terms.keys() for name in self.background.speakers]

    @once
    def served(self) -> Scores:
        """(size,) what past use says of every fact."""
        served = self.query.served
        rows = self.view.rows_of_nodes(served)
        out = np.zeros(self.view.size + 1, np.float32)
        out[rows] = np.fromiter(served.values(), np.float32, len(served))  # of those that are not here at -1, the last, which is nobody's
        return out[:-1]

    @once
    def around(self) -> Rows:
        """Rows of the facts to look around, where this namespace has them."""
        rows = self.view.rows_of(self.query.around)
        return rows[rows >= 0]

    @once
    def passed(self) -> Rows:
        """Rows of the facts that were passed over, where this namespace has them."""
        rows = self.view.rows_of(self.query.passed)
        return rows[rows >= 0]

    @once
    def moved(self) -> Vector:
        """(d,) the query moved towards the facts to look around."""
        near = self.view.vectors_of(self.around)
        moved = self.query.vector + near.mean(axis=0) if near.shape[1] else self.query.vector.copy()
        moved /= max(float(np.linalg.norm(moved)), 1e-9)
        return moved

    @once
    def shared(self) -> Scores:
        """(size,) BM25 for all the words of the facts to look around; 0 for those facts."""
        held = dict.fromkeys((term for row in self.around for term in self.view.terms_of(int(row))), 1)
        scores = self.background.facts.scores(held)
        scores[self.around] = 0
        return scores

    @once
    def _cosines(self) -> Scores:
        """(size,) cosine of every fact."""
        return self.view.dense_all(self.query.vector)

    @once
    def _at_least_zero(self) -> Scores:
        """(size + 1,) the same, at least 0; the last is nobody's."""
        out = np.zeros(self.view.size + 1, np.float32)
        np.maximum(self._cosines, 0, out=out[:-1])
        return out

    def dense(self, rows: Rows) -> Scores:
        """Cosine of rows, at least 0; 0 for the row `size`, which is nobody, and for facts without a vector. Two signals ask for the same."""
        if self.view.size <= FEW or "_cosines" in self.__dict__:
            known = self._dense
            if known is None or known[0] is not rows:
                known = self._dense = (rows, self._at_least_zero[rows])
            return known[1]
        unique, place = np.unique(rows, return_inverse=True)
        cosine = np.zeros(len(unique), np.float32)
        known = unique < self.view.size
        cosine[known] = np.maximum(self.view.dense_at(self.query.vector, unique[known]), 0)
        return cosine[place].reshape(rows.shape)

    def nearest(self, m: int) -> Rows:
        """The at most `m` rows with the highest cosine, in no certain order; of equal ones those that come first in the log."""
        view = self.view
        if view.exact and view.plain:
            return among(self._cosines, m, view.ops)
        return view.dense_top(self.query.vector, m, scores=self._cosines if view.exact else None)

    def best(self, scores: Scores, m: int) -> Rows:
        """The at most `m` rows that score best, above zero, in no certain order; of equal ones those that come first in the log. Asked again
        it is not worked out again."""
        known = self._best.get((id(scores), m))
        if known is None or known[0] is not scores:
            known = self._best[id(scores), m] = (scores, among(scores, m, self.view.ops, above_zero=True))
        return known[1]


def _keyword_scores(bench: Bench) -> Scores:
    """(size,) MemFly's keyword path: the query's keywords, and those they occur with most, as far as each fact has them."""
    anchors = anchors_of(bench.view)
    known = {term: weight * anchors.graph.idf[term] for term, weight in bench.terms.items() if term in anchors.graph.idf}
    wanted = dict(known)
    for term, weight in known.items():
        for other, close in anchors.graph.ties.get(term, ())[:KEYWORDS]:
            if other not in known:
                wanted[other] = max(wanted.get(other, 0.0), weight * close)
    out = np.zeros(bench.view.size, np.float32)
    for term in sorted(wanted, key=lambda term: (-wanted[term], term))[:KEYWORDS]:
        out[anchors.rows_of(term)] += np.float32(wanted[term])
    return out


def _topic_scores(bench: Bench) -> Scores:
    """(size,) MemFly's topic path: the topics that hold most of the query's keywords, as far as each fact's keywords belong to them."""
    anchors = anchors_of(bench.view)
    held: dict[int, float] = {}
    for term, weight in bench.terms.items():
        topic = anchors.graph.topic_of.get(term)
        if topic is not None:
            held[topic] = held.get(topic, 0.0) + weight * anchors.graph.idf[term]
    out = np.zeros(bench.view.size, np.float32)
    for topic in sorted(held, key=lambda topic: (-held[topic], topic))[:TOPICS]:
        out += np.float32(held[topic]) * anchors.topic_shares(topic)
    return out
