"""`RuleOperators`: judgement without a model and without a network, deterministic; what every model falls back to.

The rules work on index terms (`text.terms`), so they hold for any script, and they know nothing of any domain.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

from langgraph_fluxmem.operators import schemas
from langgraph_fluxmem.operators.protocol import (
    Attribute,
    Evaluate,
    Extract,
    ExtractEach,
    Induce,
    Judgement,
    Relate,
    Reshape,
    Rewrite,
    Sufficient,
    T,
    Task,
    Verify,
)
from langgraph_fluxmem.redundancy import related
from langgraph_fluxmem.text import terms

BYPASS_AFTER = 3
"""Rounds in which something misled, and nothing helped, after which memory itself is called harmful."""
COARSE = 400
"""Characters from which a memory that holds what was asked for is called too coarse."""
ENOUGH = 0.8
"""Share of a query's terms that memories must cover to be sufficient."""
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+|\n+")  # noqa: RUF001 - sentence ends of other scripts
_NAME = re.compile(r"(?<![.!?]\s)(?<!^)\b[^\W\d_a-z][\w'’-]+(?:\s+[^\W\d_a-z][\w'’-]+)*")  # noqa: RUF001 - as typed
_FAILED = re.compile(r"^\s*(error|exception|traceback|failed|failure)\b", re.IGNORECASE)


class RuleOperators:
    """Answers every task by rules."""

    def judge(self, task: Task[T]) -> Judgement[T]:
        """Answer a task.

        Raises:
            TypeError: `task` is no task.
        """
        rule = _RULES.get(type(task))
        if rule is None:
            raise TypeError(f"{type(task).__name__} is no task for operators; expected one of operators.protocol.TASKS")
        return Judgement(cast("T", rule(task)), "rules")

    async def ajudge(self, task: Task[T]) -> Judgement[T]:
        """Async twin of `judge`; there is nothing to wait for."""
        return self.judge(task)


def _verify(task: Verify) -> schemas.Verified:
    """Share of the query's terms that a candidate has, rarer ones (among the candidates) counting more."""
    wanted = dict.fromkeys(terms(task.query))
    found = [set(terms(candidate)) for candidate in task.candidates]
    weight = {term: 1.0 / (1 + sum(term in has for has in found)) for term in wanted}
    total = sum(weight.values())
    return schemas.Verified(scores=[sum(weight[term] for term in wanted if term in has) / total if total else 0.0 for has in found])


def _evaluate(task: Evaluate) -> schemas.Evaluated:
    """Rules cannot tell success; a last result that begins as an error is a failure."""
    if task.steps and _FAILED.match(task.steps[-1][1]):
        return schemas.Evaluated(outcome="failure", detail=f"the last result says: {task.steps[-1][1].strip()[:120]}")
    return schemas.Evaluated(outcome="unknown", detail="nothing in the steps says how it went")


def _attribute(task: Attribute) -> schemas.Attributed:
    if not task.used and task.misled >= BYPASS_AFTER:
        return schemas.Attributed(cause="harmful", reason=f"what was shown misled in {task.misled} rounds, and nothing of it helped")
    if task.harmful:
        return schemas.Attributed(cause="over-connection", targets=list(task.harmful), reason="these misled")
    wanted = set(terms(f"{task.task} {task.detail}"))
    coarse = [
        index
        for index, text in enumerate(task.shown)
        if index not in task.used and len(text) > COARSE and wanted and len(wanted & set(terms(text))) >= ENOUGH * len(wanted)
    ]
    if coarse:
        return schemas.Attributed(cause="granularity", targets=coarse, reason="these hold what was asked for among much else")
    if task.used:
        return schemas.Attributed(cause="under-connection", targets=list(task.used), reason="more of what lies near these is needed")
    return schemas.Attributed(cause="under-connection", reason="what was shown did not do")


def _reshape(task: Reshape) -> schemas.Reshaped:
    """Finer: the sentences that share terms with the query (all of them when none does). More abstract: the one with most of its terms."""
    sentences = [part.strip() for part in _SENTENCE.split(task.text) if part.strip()] or [task.text]
    wanted = set(terms(task.query))
    if task.finer:
        near = [sentence for sentence in sentences if wanted & set(terms(sentence))]
        return schemas.Reshaped(texts=near or sentences)
    common = Counter(term for sentence in sentences for term in set(terms(sentence)))
    best = max(sentences, key=lambda sentence: sum(common[term] for term in set(terms(sentence))) / (4 + len(terms(sentence))))
    return schemas.Reshaped(texts=[best])


def _induce(task: Induce) -> schemas.Drafted:
    """The draft: induction by rules has found it already."""
    return task.draft


def _rewrite(task: Rewrite) -> schemas.Drafted:
    """The draft without what attempts went well without: all such steps at once, or the least needed alone, or all that some attempts did
    without said to be optional; one way after the other, as `round` counts. Something that acts stays, and is needed."""
    steps = task.draft.steps
    acting = {index for index, step in enumerate(steps) if step.template is not None}
    known = {index: share for index, share in enumerate(task.unneeded) if share is not None and index in acting}
    way = task.round % 3
    if way == 2:
        some = {index for index, share in known.items() if share > 0.0 and steps[index].optional is not True}
        if not some or not acting - some - {index for index in acting if steps[index].optional}:
            return task.draft
        eased = [step.model_copy(update={"optional": True}) if index in some else step for index, step in enumerate(steps)]
        return task.draft.model_copy(update={"steps": eased})
    spare = [index for index, share in known.items() if share > 0.5]
    if way == 1 and spare:
        spare = [max(spare, key=lambda index: (known[index], -index))]
    if not spare or len(acting - set(spare)) == 0:
        return task.draft
    return task.draft.model_copy(update={"steps": [step for index, step in enumerate(steps) if index not in spare]})


def _extract(task: Extract) -> schemas.Extracted:
    counted = Counter(terms(task.text))
    words = sorted(counted, key=lambda term: (-counted[term], -len(term), term))
    return schemas.Extracted(context=" ".join(task.text.split()), keywords=words[:8])


def _extract_each(task: ExtractEach) -> schemas.ExtractedEach:
    return schemas.ExtractedEach(notes=[_extract(Extract(text)) for text in task.texts])


def _relate(task: Relate) -> schemas.Related:
    """As `redundancy.related` says of each neighbour."""
    found = [related(task.text, neighbour) for neighbour in task.neighbours]
    return schemas.Related(relations=[schemas.Relation(redundancy=each.redundancy, complementarity=each.complementarity) for each in found])


def _sufficient(task: Sufficient) -> schemas.Sufficiency:
    wanted = dict.fromkeys(terms(task.query))
    has = {term for memory in task.memories for term in terms(memory)}
    missing = [term for term in wanted if term not in has]
    if not wanted or len(missing) <= (1.0 - ENOUGH) * len(wanted):
        return schemas.Sufficiency(sufficient=True)
    words = [word.strip(".,;:!?") for word in task.query.split() if not set(missing).isdisjoint(terms(word))]
    named = " ".join(dict.fromkeys(_NAME.findall(task.query)))
    return schemas.Sufficiency(
        sufficient=False,
        gap=" ".join(words or missing),
        query=" ".join([*named.split(), *(word for word in words or missing if word not in named)]),
    )


_RULES: dict[type[Task[Any]], Callable[[Any], schemas.Answer]] = {
    Verify: _verify,
    Evaluate: _evaluate,
    Attribute: _attribute,
    Reshape: _reshape,
    Induce: _induce,
    Rewrite: _rewrite,
    Extract: _extract,
    ExtractEach: _extract_each,
    Relate: _relate,
    Sufficient: _sufficient,
}
