"""Retrieval signals behind one interface: each has a name, a weight, and says how well facts of one namespace answer a query.

`propose` names candidates, `score` judges the union of all candidates. Both see a whole namespace as arrays: nothing here loops over
facts. They know of a fact its terms, its vector, its place in its source and who said it, and nothing else.

How they were chosen and weighted: on LoCoMo, by leaving one conversation out (`tests.benchmarks.locomo`), rounded, and only what did not
cost on 1,200 docstrings of Python's library (first sentence -> the rest). What they say of turns in a conversation they do not say of the
sections of a manual, so some keep only a part of their weight where facts are long (`aside`) or hardly hold what is asked (`trust`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem import expansion
from langgraph_fluxmem.bench import Bench, Rows, Scores
from langgraph_fluxmem.errors import ConfigError
from langgraph_fluxmem.kinds import NAME, OWN, wanted

HELD = 0.8
"""Share of a query, by the weight of its terms, that a long fact is expected to hold where it answers in the query's own words. This and
`BRIEF` were fixed on one half of `tests.benchmarks.faq` and checked on the other."""

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
    past: bool = False
    """Whether it has nothing to say of a query without a past: that nothing has served, and that has nothing to look around."""


def trust(bench: Bench) -> float:
    """Words count in full where facts are short. Where they are long, as far as the best of them holds what is asked: if it does not, the
    query is put in other words than the answer, and shared words mislead."""
    wanted = HELD * (1 - bench.brief)
    return min(1.0, bench.held / wanted) if wanted else 1.0


def aside(bench: Bench) -> float:
    """What is said beside a fact, or elsewhere in its source, counts as far as facts are too short to be understood alone; and whether a fact says
    anything at all is a question of short ones."""
    return bench.brief


def _dense_propose(bench: Bench, m: int) -> Rows:
    return bench.nearest(m)


def _dense(bench: Bench, rows: Rows) -> Scores:
    return bench.dense(rows)


def _of_all(scores: Callable[[Bench], Scores]) -> tuple[Score, Propose]:
    """How a signal that has a score (size,) for every fact scores rows, and proposes the best."""

    def score(bench: Bench, rows: Rows) -> Scores:
        return scores(bench)[rows]

    def propose(bench: Bench, m: int) -> Rows:
        return bench.best(scores(bench), m)

    return score, propose


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


def _nobody_around(bench: Bench) -> bool:
    return _nothing_around(bench) or not bench.background.spoken


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
    """1 for what says something, less for what has only a few terms, or common ones ("Thanks! That's great."); longer texts gain nothing more."""
    return bench.background.substance(rows)


def _statement(bench: Bench, rows: Rows) -> Scores:
    """1 for what is no question."""
    return bench.background.statements[rows]


def _proper(bench: Bench, rows: Rows) -> Scores:
    """1 for what names something: a place, a person who is not spoken to, a title."""
    return bench.background.marked(NAME)[rows]


def _own(bench: Bench, rows: Rows) -> Scores:
    """1 for what somebody says of themselves ("I", "my", "we"), rather than of what the other one said."""
    return bench.background.marked(OWN)[rows]


def _nobody_speaks(bench: Bench) -> bool:
    return not bench.background.spoken


def _no_kind_asked(bench: Bench) -> bool:
    return not wanted(bench.query.text)


def _nobody_named(bench: Bench) -> bool:
    return not bench.background.speakers or not any(bench.named)


def _named(bench: Bench, rows: Rows) -> Scores:
    """1 for what was said by somebody whom the query names."""
    asked = bench.named
    return np.array([*asked, False], np.float32)[np.minimum(bench.view.speaker[rows], len(asked))]


def _kind(bench: Bench, rows: Rows) -> Scores:
    """1 for what could be an answer by its kind: it holds a number where the query asks how many, a time where it asks when."""
    out = np.zeros(len(rows), np.float32)
    for mark in wanted(bench.query.text):
        np.maximum(out, bench.background.marked(mark)[rows], out=out)
    return out


def _served(bench: Bench, rows: Rows) -> Scores:
    """What past use says: the learned links of tasks like this one."""
    return bench.served[rows]


def _served_propose(bench: Bench, m: int) -> Rows:
    rows = (bench.served > 0).nonzero()[0]
    return rows if len(rows) <= m else bench.best(bench.served, m)


SIGNALS: tuple[Signal, ...] = (
    Signal("dense", 0.7, _dense, _dense_propose),
    Signal("bm25", 0.1, *_of_all(lambda bench: bench.bm25), keeps=trust),
    Signal("context", 1.0, _context, _of_all(lambda bench: bench.context)[1], keeps=trust),
    Signal("surroundings", 0.3, _surroundings),
    Signal("source", 0.3, _source, keeps=aside, silent=_no_sources),
    Signal("answers", 0.3, _answers, keeps=aside, silent=_no_questions),
    Signal("substance", 0.3, _substance, keeps=aside, absolute=True),
    Signal("proper", 0.15, _proper, keeps=aside, absolute=True),
    Signal("own", 0.1, _own, absolute=True, silent=_nobody_speaks),
    Signal("statement", 0.15, _statement, absolute=True),
    Signal("kind", 0.3, _kind, absolute=True, silent=_no_kind_asked),
    Signal("named", 0.1, _named, absolute=True, silent=_nobody_named),
    Signal("served", 2.5, _served, _served_propose, absolute=True, silent=_served_nothing, past=True),
    Signal("beside", 0.3, expansion.beside, expansion.propose_beside, absolute=True, silent=_nothing_around, past=True),
    Signal("alike", 1.0, expansion.alike, expansion.propose_alike, absolute=True, silent=_nothing_around, past=True),
    Signal("words", 0.5, expansion.words, expansion.propose_words, silent=_nothing_around, past=True),
    Signal("speaker", 0.3, expansion.speaker, absolute=True, silent=_nobody_around, past=True),
    Signal("unlike", 0.6, expansion.unlike, absolute=True, silent=_nothing_passed, past=True),
    Signal("keywords", 0.0, *_of_all(lambda bench: bench.keywords)),
    Signal("topics", 0.0, *_of_all(lambda bench: bench.topics)),
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
    """The signals whose weight is not 0, with it, those that are scaled first; of several mappings of overrides the last that names a signal counts.

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
    """Those that are scaled first, then the absolute ones."""
    chosen = [(signal, weights[signal.name]) for signal in sorted(SIGNALS, key=lambda one: one.absolute) if weights[signal.name] > 0]
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
        if not mapping:
            continue
        for name, weight in mapping.items():
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
    low, high = np.minimum.reduce(scores, axis=-1, keepdims=True), np.maximum.reduce(scores, axis=-1, keepdims=True)
    out: NDArray[np.float64] = np.subtract(scores, low, dtype=np.float64)
    span = np.subtract(high, low, dtype=np.float64)
    if span.all():
        out /= span
        return out
    return np.where(span, out / np.where(span, span, 1.0), high > 0)
