"""Iterative evidence refinement: does what was found answer the query, and if not, what is missing is searched for [M 3.4.2].

Each round asks `operators` once whether the facts suffice. A model names the gap; rules name the words of the query that no fact holds. What
a sub-query finds takes the last places, so that a wrong sub-query costs little.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from langgraph_fluxmem.errors import ConfigError
from langgraph_fluxmem.operators.protocol import Judgement, Operators, Sufficient
from langgraph_fluxmem.operators.schemas import Sufficiency
from langgraph_fluxmem.requests import Judge, Stage
from langgraph_fluxmem.schema import Evidence, RecalledFact

MOST = 3
"""Rounds, at most [M 3.4.2]."""
SEEN = 600
"""Characters of a fact that are judged."""
SHARE = 5
"""A sub-query gives at most one in so many of the facts; at least one."""

Search = Callable[[str, frozenset[str], int], Stage]
"""(sub-query, ids of facts not to find, how many) -> the facts."""


def check_rounds(rounds: object) -> int:
    """The number of rounds itself when it is one.

    Raises:
        ConfigError: it is no whole number from 0 to `MOST`.
    """
    if isinstance(rounds, bool) or not isinstance(rounds, int) or not 0 <= rounds <= MOST:
        raise ConfigError(f"evidence is {rounds!r}; it is how many rounds may fill gaps in the evidence, a whole number from 0 to {MOST}")
    return rounds


def refined(query: str, facts: Sequence[RecalledFact], k: int, *, rounds: int, operators: Operators, search: Search) -> Stage:
    """At most `rounds` rounds. Returns (at most `k` facts, `schema.Evidence`, the judgements).

    It ends when the facts suffice, when nobody can say what to search for, when the same is asked again, or when nothing new is found.
    """
    start = time.perf_counter()
    kept = tuple(facts[:k])
    asked: list[str] = []
    added: list[str] = []
    judgements: list[Judgement[Sufficiency]] = []
    sufficient = False
    for _ in range(rounds):
        judgement: Judgement[Sufficiency] = yield Judge(Sufficient(query, tuple(fact.content[:SEEN] for fact in kept)), operators)
        judgements.append(judgement)
        sufficient = judgement.value.sufficient
        sub = judgement.value.query.strip()
        if sufficient or not sub or sub in (query, *asked):
            break
        asked.append(sub)
        found: tuple[RecalledFact, ...] = yield from search(sub, frozenset(fact.id for fact in kept), max(1, k // SHARE))
        if not found:
            break
        kept = _joined(kept, found, sub, k, frozenset(added))
        added += [fact.id for fact in found]
    left = frozenset(fact.id for fact in kept)
    report = Evidence(
        rounds=len(judgements),
        queries=tuple(asked),
        found=tuple(fact for fact in added if fact in left),
        sufficient=sufficient,
        seconds=time.perf_counter() - start,
    )
    return kept, report, tuple(judgements)


def _joined(
    kept: Sequence[RecalledFact], found: Sequence[RecalledFact], sub: str, k: int, earlier: frozenset[str]
) -> tuple[RecalledFact, ...]:
    """What was found behind what is kept. Where there is no room, the last of the first ranking make way, and not what earlier rounds found."""
    first = [fact for fact in kept if fact.id not in earlier]
    later = [fact for fact in kept if fact.id in earlier]
    room = max(k - len(later) - len(found), 0)
    lowest = min((fact.score for fact in kept), default=0.0)
    told = [
        fact.model_copy(update={"score": min(fact.score, lowest), "why": fact.why.model_copy(update={"path": (f"sub-query: {sub}",)})})
        for fact in found
    ]
    return tuple([*first[:room], *later, *told][:k])
