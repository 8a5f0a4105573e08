"""Verification: what a chat model says of the best candidates, in one batched call, as one more signal [F 3.1].

Without a model there is no verification, and what a model did not answer in a usable way is left out: the ranking is then that of the
signals alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langgraph_fluxmem.operators.protocol import Judgement, Operators, Verify
from langgraph_fluxmem.operators.rules import RuleOperators
from langgraph_fluxmem.requests import Judge, Stage
from langgraph_fluxmem.signals import VERIFY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langgraph_fluxmem.operators.schemas import Verified
    from langgraph_fluxmem.schema import RecalledFact

SEEN = 600
"""Characters of a candidate that the model reads."""


def verifies(operators: Operators, weight: float, candidates: int) -> bool:
    """Whether anybody is asked: rules have nothing to say that the signals do not."""
    return weight > 0 and candidates > 0 and not isinstance(operators, RuleOperators)


def verified(query: str, facts: Sequence[RecalledFact], operators: Operators, weight: float) -> Stage:
    """Ask once about all of `facts` (at least one). Returns (the facts, best first, the judgement).

    `weight` times the model's score, in [0, 1], is added to each fact's own; it stands in the breakdown as ``verify``.
    """
    judgement: Judgement[Verified] = yield Judge(Verify(query, tuple(fact.content[:SEEN] for fact in facts)), operators)
    if judgement.by == "rules":
        return tuple(facts), judgement
    scored = [_with(fact, weight * score) for fact, score in zip(facts, judgement.value.scores, strict=True)]
    return tuple(sorted(scored, key=lambda fact: (-fact.score, fact.id))), judgement


def _with(fact: RecalledFact, share: float) -> RecalledFact:
    why = fact.why.model_copy(update={"signals": {**fact.why.signals, VERIFY: share}})
    return fact.model_copy(update={"score": fact.score + share, "why": why})
