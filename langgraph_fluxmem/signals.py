"""Retrieval signals behind one interface: each has a name, a weight, and says how well facts of one namespace answer a query.

`propose` names candidates, `score` judges the union of all candidates. Both see a whole namespace as arrays: nothing here loops over
facts. They know of a fact its terms, its vector, its place in its source and who said it, and nothing else.

How they were chosen and weighted: on LoCoMo, by leaving one conversation out (`tests.benchmarks.locomo`), rounded, and only what did not
cost on 1,200 docstrings of Python's library (first sentence -> the rest). What they say of turns in a conversation they do not say of the
sections of a manual, so some keep only a part of their weight where facts are long (`aside`) or hardly hold what is asked (`trust`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem import expansion
from langgraph_fluxmem.anchors import anchors_of
from langgraph_fluxmem.errors import ConfigError
from langgraph_fluxmem.index.top import top
from langgraph_fluxmem.index.view import NamespaceView
from langgraph_fluxmem.kinds import NUMBER, TIME, wanted
from langgraph_fluxmem.lexical import Facts, Sources, Surroundings
from langgraph_fluxmem.links import Served
from langgraph_fluxmem.querying import asked_terms, languages_of
from langgraph_fluxmem.schema import Vector
from langgraph_fluxmem.text import QUESTION, terms
from langgraph_fluxmem.windows import Windows, windows_of

Scores = NDArray[np.float32]
Rows = NDArray[np.integer]

FEW = 4096
"""Up to this many facts the cosine of each is worked out at once; of more only that of those asked for."""
SUBSTANTIAL = 16
"""Terms from which a text counts as saying something. A prior for longer texts without such a bound was worth more on LoCoMo and cost 3
points recall@10 where passages are all of some length."""
BRIEF = 32
"""Terms up to which facts, on average, are understood from what stands beside them (turns of LoCoMo have 18, passages of the Debian FAQ 87)."""
HELD = 0.8
"""Share of a query, by the weight of its terms, that a long fact is expected to hold where it answers in the query's own words. This and
`BRIEF` were fixed on one half of `tests.benchmarks.faq` and checked on the other."""
SPEAKERS = 512
"""Where more people than this have spoken, names in a query are not looked for among them."""
KEYWORDS, TOPICS = 10, 3
"""How many keywords and topics a query is led by [MemFly]."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for: its `text`, its vector (d,), what past use says of fact nodes, in [-1, 1], ids of facts to look
    `around` (they proved right), and of those shown and `passed` over."""

    text: str
    vector: Vector
    served: Mapping[str, float] = field(default_factory=dict[str, float])
    around: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()


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
        self.substance: Scores = np.minimum(view.lengths / np.float32(SUBSTANTIAL), np.float32(1))
        """(size,) see the signal."""
        self.statements: Scores = (~self.questions).astype(np.float32)
        """(size,) 1 for what is no question."""
        self.marked: dict[str, Scores] = {mark: _holders(view, mark) for mark in (NUMBER, TIME)}
        """(size,) for each kind of answer: 1 for what could be one."""
        names = view.speaker_names if len(view.speaker_names) <= SPEAKERS else ()
        self.speakers: list[frozenset[str]] = [_name_terms(name) for name in names]
        """The terms of each speaker's name, by the speaker's code; none where there are too many."""


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

    @property
    def windows(self) -> Windows:
        """Who stands beside whom."""
        return self.background.windows

    @cached_property
    def terms(self) -> Mapping[str, float]:
        """The query's terms, and how much each counts."""
        return asked_terms(self.query.text, self.view, self.background.languages)

    @cached_property
    def postings(self) -> list[tuple[float, Rows, Scores]]:
        """For each of the query's terms that occurs: times in the query, the rows that hold it, and how often each does."""
        found = [(times, *self.view.posting(term)) for term, times in self.terms.items()]
        return [(times, rows, frequencies.astype(np.float32)) for times, rows, frequencies in found if len(rows)]

    @cached_property
    def bm25(self) -> Scores:
        """(size,) BM25 of every fact."""
        return self.background.facts.scores(self.terms)

    @cached_property
    def context(self) -> Scores:
        """(size,) BM25 of every fact's window: its neighbours' terms count as its own, less with distance, and so do their lengths."""
        around = self.background.surroundings
        return self.bm25 if around is None else around.scores(self.terms)

    @cached_property
    def sources(self) -> Scores:
        """(size,) BM25 of every fact's source as one document; 0 for facts without a source."""
        every = self.background.sources
        return (
            np.zeros(self.view.size, np.float32) if every is None else np.append(every.scores(self.terms), np.float32(0))[self.view.source]
        )

    @cached_property
    def brief(self) -> float:
        """1 where the facts are short, on average; the longer they are, the nearer to 0."""
        return min(1.0, BRIEF / max(self.view.average_length, 1.0))

    @cached_property
    def keywords(self) -> Scores:
        """(size,) see the signal."""
        return _keyword_scores(self)

    @cached_property
    def topics(self) -> Scores:
        """(size,) see the signal."""
        return _topic_scores(self)

    @cached_property
    def held(self) -> float:
        """The share of the query, by the weight of its terms, that the fact with the highest BM25 holds, in [0, 1]."""
        most = self.background.facts.most(self.terms)
        return float(self.bm25.max(initial=0)) / most if most else 0.0

    @property
    def questions(self) -> NDArray[np.bool_]:
        """(size,) which facts are questions."""
        return self.background.questions

    @cached_property
    def named(self) -> list[bool]:
        """Of each speaker whether the query names them."""
        return [bool(name) and name <= self.terms.keys() for name in self.background.speakers]

    @cached_property
    def served(self) -> Served:
        """What past use says of nodes, readable for many at once."""
        return Served.of(self.query.served)

    @cached_property
    def around(self) -> Rows:
        """Rows of the facts to look around, where this namespace has them."""
        rows = self.view.rows_of(self.query.around)
        return rows[rows >= 0]

    @cached_property
    def passed(self) -> Rows:
        """Rows of the facts that were passed over, where this namespace has them."""
        rows = self.view.rows_of(self.query.passed)
        return rows[rows >= 0]

    @cached_property
    def moved(self) -> Vector:
        """(d,) the query moved towards the facts to look around."""
        near = self.view.vectors_of(self.around)
        moved = self.query.vector + near.mean(axis=0) if near.shape[1] else self.query.vector.copy()
        moved /= max(float(np.linalg.norm(moved)), 1e-9)
        return moved

    @cached_property
    def shared(self) -> Scores:
        """(size,) BM25 for all the words of the facts to look around; 0 for those facts."""
        held = dict.fromkeys((term for row in self.around for term in self.view.terms_of(int(row))), 1)
        scores = self.background.facts.scores(held)
        scores[self.around] = 0
        return scores

    @cached_property
    def _cosines(self) -> Scores:
        """(size,) cosine of every fact."""
        return self.view.dense_all(self.query.vector)

    @cached_property
    def _at_least_zero(self) -> Scores:
        """(size + 1,) the same, at least 0; the last is nobody's."""
        out = np.zeros(self.view.size + 1, np.float32)
        np.maximum(self._cosines, 0, out=out[:-1])
        return out

    def dense(self, rows: Rows) -> Scores:
        """Cosine of rows, at least 0; 0 for the row `size`, which is nobody, and for facts without a vector."""
        if self.view.size <= FEW or "_cosines" in self.__dict__:
            return self._at_least_zero[rows]
        unique, place = np.unique(rows, return_inverse=True)
        cosine = np.zeros(len(unique), np.float32)
        known = unique < self.view.size
        cosine[known] = np.maximum(self.view.dense_at(self.query.vector, unique[known]), 0)
        return cosine[place].reshape(rows.shape)

    def nearest(self, m: int) -> Rows:
        """The at most `m` rows with the highest cosine, best first."""
        return self.view.dense_top(self.query.vector, m, scores=self._cosines if self.view.exact else None)

    def best(self, scores: Scores, m: int) -> Rows:
        """The at most `m` rows that score best, above zero; equal ones in log order. Asked again it is not worked out again."""
        known = self._best.get((id(scores), m))
        if known is None or known[0] is not scores:
            known = self._best[id(scores), m] = (scores, self._positive(scores, m))
        return known[1]

    def _positive(self, scores: Scores, m: int) -> Rows:
        rows = top(scores, m, self.view.ops)
        return rows if not len(rows) or scores[rows[-1]] > 0 else rows[scores[rows] > 0]


Propose = Callable[[Bench, int], Rows]
Score = Callable[[Bench, Rows], Scores]
Silent = Callable[[Bench], bool]


@dataclass(frozen=True, slots=True)
class Signal:
    """A named signal: `score` gives one number for each row (higher is better); `propose` gives its best rows, None: it only judges.

    Scores are scaled to [0, 1] over all candidates, unless they are `absolute`: within [-1, 1], and their size means something.
    """

    name: str
    weight: float
    score: Score
    propose: Propose | None = None
    absolute: bool = False
    keeps: Callable[[Bench], float] | None = None
    """The share of its weight that it keeps for this query in this namespace; None: all of it."""
    silent: Silent | None = None
    """Whether it has nothing to say of any fact of a bench: its share is 0 then, and it is not asked."""


def trust(bench: Bench) -> float:
    """Words count in full where facts are short. Where they are long, as far as the best of them holds what is asked: if it does not, the
    query is put in other words than the answer, and shared words mislead."""
    wanted = HELD * (1 - bench.brief)
    return min(1.0, bench.held / wanted) if wanted else 1.0


def aside(bench: Bench) -> float:
    """What is said beside a fact, or elsewhere in its source, counts as far as facts are too short to be understood alone."""
    return bench.brief


def _dense_propose(bench: Bench, m: int) -> Rows:
    return bench.nearest(m)


def _dense(bench: Bench, rows: Rows) -> Scores:
    return bench.dense(rows)


def _bm25_propose(bench: Bench, m: int) -> Rows:
    return bench.best(bench.bm25, m)


def _bm25(bench: Bench, rows: Rows) -> Scores:
    return bench.bm25[rows]


def _context_propose(bench: Bench, m: int) -> Rows:
    return bench.best(bench.context, m)


def _context(bench: Bench, rows: Rows) -> Scores:
    """BM25 of the window; the longer facts are, the more of the fact alone."""
    around = bench.context[rows]
    return around if bench.brief == 1 else _mixed(bench, around, bench.bm25[rows])


def _surroundings(bench: Bench, rows: Rows) -> Scores:
    """Cosine over the window, a neighbour that is missing counting as the mean of those there are; the longer facts are, the more of the
    fact alone."""
    if bench.windows.alone:
        return bench.dense(rows)
    beside = bench.windows.beside(rows)
    shares = bench.windows.shares
    around: Scores = (shares * bench.dense(beside)).sum(axis=0) / (shares * (beside < bench.view.size)).sum(axis=0)
    return around if bench.brief == 1 else _mixed(bench, around, bench.dense(rows))


def _mixed(bench: Bench, around: Scores, alone: Scores) -> Scores:
    share = np.float32(bench.brief)
    return np.asarray(share * around + (1 - share) * alone, np.float32)


def _source(bench: Bench, rows: Rows) -> Scores:
    return bench.sources[rows]


def _no_sources(bench: Bench) -> bool:
    return bench.background.sources is None


def _no_questions(bench: Bench) -> bool:
    return bench.windows.alone or not bench.background.any_questions


def _served_nothing(bench: Bench) -> bool:
    return not bench.query.served


def _nothing_around(bench: Bench) -> bool:
    return not bench.query.around or not len(bench.around)


def _nothing_passed(bench: Bench) -> bool:
    return _nothing_around(bench) or not len(bench.passed)


def _answers(bench: Bench, rows: Rows) -> Scores:
    """How well the fact just before matches, where that is a question: then this one probably answers it."""
    nobody = bench.view.size
    before = bench.windows.before(rows)
    asked = np.where(np.append(bench.questions, False)[before], before, nobody)
    highest = np.float32(max(float(bench.bm25.max(initial=0)), 1e-9))
    lexical: Scores = np.append(bench.bm25, np.float32(0))[asked] / highest
    return bench.dense(asked) + lexical


def _substance(bench: Bench, rows: Rows) -> Scores:
    """1 for what says something, less for what has only a few terms ("Thanks!"); longer texts gain nothing more."""
    return bench.background.substance[rows]


def _statement(bench: Bench, rows: Rows) -> Scores:
    """1 for what is no question."""
    return bench.background.statements[rows]


def _no_kind_asked(bench: Bench) -> bool:
    return not wanted(bench.query.text)


def _nobody_named(bench: Bench) -> bool:
    return not any(bench.named)


def _named(bench: Bench, rows: Rows) -> Scores:
    """1 for what was said by somebody whom the query names."""
    asked = bench.named
    return np.array([*asked, False], np.float32)[np.minimum(bench.view.speaker[rows], len(asked))]


def _kind(bench: Bench, rows: Rows) -> Scores:
    """1 for what could be an answer by its kind: it holds a number where the query asks how many, a time where it asks when."""
    out = np.zeros(len(rows), np.float32)
    for mark in wanted(bench.query.text):
        np.maximum(out, bench.background.marked[mark][rows], out=out)
    return out


def _served(bench: Bench, rows: Rows) -> Scores:
    """What past use says: the learned links of tasks like this one."""
    return bench.served.at(bench.view.keys[rows])


def _served_propose(bench: Bench, m: int) -> Rows:
    served = [(score, node) for node, score in bench.query.served.items() if score > 0]
    rows = bench.view.rows_of_nodes([node for _, node in sorted(served, key=lambda one: (-one[0], one[1]))[:m]])
    return rows[rows >= 0]


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


def _keywords_propose(bench: Bench, m: int) -> Rows:
    return bench.best(bench.keywords, m)


def _keywords(bench: Bench, rows: Rows) -> Scores:
    return bench.keywords[rows]


def _topics_propose(bench: Bench, m: int) -> Rows:
    return bench.best(bench.topics, m)


def _topics(bench: Bench, rows: Rows) -> Scores:
    return bench.topics[rows]


SIGNALS: tuple[Signal, ...] = (
    Signal("dense", 0.7, _dense, _dense_propose),
    Signal("bm25", 0.1, _bm25, _bm25_propose, keeps=trust),
    Signal("context", 1.0, _context, _context_propose, keeps=trust),
    Signal("surroundings", 0.3, _surroundings),
    Signal("source", 0.3, _source, keeps=aside, silent=_no_sources),
    Signal("answers", 0.3, _answers, keeps=aside, silent=_no_questions),
    Signal("substance", 0.4, _substance, absolute=True),
    Signal("statement", 0.15, _statement, absolute=True),
    Signal("kind", 0.2, _kind, absolute=True, silent=_no_kind_asked),
    Signal("named", 0.1, _named, absolute=True, silent=_nobody_named),
    Signal("served", 2.5, _served, _served_propose, absolute=True, silent=_served_nothing),
    Signal("beside", 0.3, expansion.beside, expansion.propose_beside, absolute=True, silent=_nothing_around),
    Signal("alike", 1.0, expansion.alike, expansion.propose_alike, absolute=True, silent=_nothing_around),
    Signal("words", 0.5, expansion.words, expansion.propose_words, silent=_nothing_around),
    Signal("unlike", 0.3, expansion.unlike, absolute=True, silent=_nothing_passed),
    Signal("keywords", 0.0, _keywords, _keywords_propose),
    Signal("topics", 0.0, _topics, _topics_propose),
)
"""All signals with their default weights."""
LEXICAL: Mapping[str, float] = {"dense": 0.3, "surroundings": 0.1}
"""Weights where the embedding is lexical itself, and so says mostly again what BM25 says."""
VERIFY = "verify"
"""What a chat model says of the best candidates; it is no function of arrays, see `verification`."""
VERIFY_WEIGHT = 0.3
"""As in [F 3.1]."""

_WEIGHTS: Mapping[str, float] = {VERIFY: VERIFY_WEIGHT, **{signal.name: signal.weight for signal in SIGNALS}}


def weighted(*overrides: Mapping[str, float] | None) -> list[tuple[Signal, float]]:
    """The signals whose weight is not 0, with it; of several mappings of overrides the last that names a signal counts.

    Raises:
        ConfigError: an override names no signal, or is no finite number of at least 0, or all weights are 0.
    """
    given = [mapping for mapping in overrides if mapping]
    if not given or given == [LEXICAL]:
        return list(_usual(lexical=bool(given)))
    return _chosen(weights_of(*given))


@cache
def _usual(*, lexical: bool) -> tuple[tuple[Signal, float], ...]:
    return tuple(_chosen(weights_of(LEXICAL if lexical else None)))


def _chosen(weights: Mapping[str, float]) -> list[tuple[Signal, float]]:
    chosen = [(signal, weights[signal.name]) for signal in SIGNALS if weights[signal.name] > 0]
    if not any(signal.propose for signal, _ in chosen):
        proposers = ", ".join(signal.name for signal in SIGNALS if signal.propose)
        raise ConfigError(f"no signal is left that proposes facts; give one of {proposers} a weight above 0")
    return chosen


def weights_of(*overrides: Mapping[str, float] | None) -> dict[str, float]:
    """The weight of every signal by name, `VERIFY` among them; of several mappings of overrides the last that names a signal counts.

    Raises:
        ConfigError: an override names no signal, or is no finite number of at least 0.
    """
    weights = dict(_WEIGHTS)
    for mapping in overrides:
        for name, weight in (mapping or {}).items():
            if name not in weights:
                raise ConfigError(f"unknown signal {name!r}; signals are {', '.join(weights)}")
            if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight < float("inf"):
                raise ConfigError(f"the weight of signal {name!r} is {weight!r}; expected a number of at least 0")
            weights[name] = float(weight)
    return weights


def scaled(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Each row of scores (..., n) min-max to [0, 1]. Where nothing differs: all 1 if that is above 0, else all 0."""
    if not scores.shape[-1]:
        return np.zeros(scores.shape)
    out = scores.astype(np.float64)
    low, high = out.min(axis=-1, keepdims=True), out.max(axis=-1, keepdims=True)
    same = high == low
    out -= low
    out /= np.where(same, 1.0, high - low)
    return np.where(same, high > 0, out) if same.any() else out
