"""What memory says of admissible actions: value and risk, and the conditions that say so.

For each level of an action's template, the general one first, a tree says which conditions of a situation decide (see `tree`). The leaf
the situation falls into gives the shares of progress and of loss, shrunk to what the level above says; the details of key-value actions
are weighed side by side (see `beside`). While an episode is stuck, `Repair` adds optimism about what was hardly tried in just such moments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from langgraph_fluxmem.learning.beside import Beside, beside
from langgraph_fluxmem.learning.doubt import decisive
from langgraph_fluxmem.learning.memory import StepMemory
from langgraph_fluxmem.learning.repair import Repair, course
from langgraph_fluxmem.learning.situation import Scene, as_text, read
from langgraph_fluxmem.learning.table import Grown, Lens
from langgraph_fluxmem.learning.template import links, template
from langgraph_fluxmem.learning.tree import Growth, Node, interval
from langgraph_fluxmem.schema import Action, Advice, Situation, Vector, Why

if TYPE_CHECKING:
    from langgraph_fluxmem.skills.guidance import Guide


@dataclass(frozen=True, slots=True)
class Scorer:
    """Constants of the scorer; one set for every environment.

    Attributes:
        growth: how the trees are grown.
        k: weight of the general template's estimate in the more specific one's.
        b: logits of advice per logit of value above the prior; `clip` bounds them.
        loss, veto, tolerated: logits taken off: loss * -log(1 - risk) + veto * (risk above what is tolerated).
        pairs: constants for key-value actions.
        futile: logits taken off an action that did nothing a moment ago in this episode, until something changes.
        ended: logits taken off an action that ended this task badly after the same steps, in this run.
    """

    growth: Growth = field(default_factory=Growth)
    k: float = 3.0
    b: float = 2.0
    clip: float = 6.0
    loss: float = 2.0
    veto: float = 10.0
    tolerated: float = 0.6
    pairs: Beside = field(default_factory=Beside)
    futile: float = 8.0
    ended: float = 20.0


DEFAULT = Scorer()
_EDGE = 1e-6
_TRIED = ("did:", "owed ", "owes ")
"""Patterns that say where in the course of a task one is: evidence is from just such a moment when it shares all of them."""


def advise(  # noqa: PLR0917  (the order of the question: in what situation, which actions, how)
    memory: StepMemory,
    situation: Situation,
    task_vector: Vector | None,
    actions: Sequence[Action],
    repair: Repair | None = None,
    scorer: Scorer = DEFAULT,
    guide: Guide | None = None,
) -> list[Advice]:
    """Advice for each of `actions`, in their order; see `schema.Advice`.

    Args:
        memory: what past steps have shown.
        situation: in which to act.
        task_vector: (d,) float32, L2-normalised, of the situation's task; None: all tasks seen count in full.
        actions: the admissible ones.
        repair: the edits in force in this episode.
        scorer: constants.
        guide: the rules of the skills that were recalled.
    """
    question = _Question(memory, read(situation), memory.lens(task_vector), repair or Repair(), scorer, guide)
    return [_pruned(question.advice(action), question.repair, situation, scorer) for action in actions]


@dataclass(frozen=True, slots=True)
class _Question:
    memory: StepMemory
    scene: Scene
    lens: Lens
    repair: Repair
    scorer: Scorer
    guide: Guide | None

    def advice(self, action: Action) -> Advice:
        memory, scorer = self.memory, self.scorer
        growth = scorer.growth
        value, risk, support = growth.v0, growth.l0, 0.0
        good = bad = Node(0.0, 0.0, value)
        made = template(action, self.scene)
        levels = [(level, grown) for level in made.weighed if (grown := memory.grown(level, self.lens, growth))]
        if not levels:
            return Advice(action=action, score=0.0, value=value, risk=risk, support=0.0)
        seen = links(action, made, self.scene)
        held = memory.numbered(seen)
        path: list[str] = []
        for depth, (level, grown) in enumerate(levels):
            good, tests = grown.value.leaf(held)
            bad, more = grown.risk.leaf(held)
            if depth == 0:
                value, risk = good.value, bad.value
            else:
                value = (good.good + scorer.k * value) / (good.total + scorer.k)
                risk = (bad.good + scorer.k * risk) / (bad.total + scorer.k)
            support = good.total
            asked = [memory.patterns[test] if answer else f"not {memory.patterns[test]}" for test, answer in dict.fromkeys((*tests, *more))]
            path.append(
                f"{' and '.join(asked) or 'always'} -> {level}: "
                f"led on {good.good:.3g} of {good.total:.3g}, lost {bad.good:.3g} of {bad.total:.3g}"
            )
        if made.branches:
            head = levels[0][1]
            good, bad = head.value.leaf(held)[0], head.risk.leaf(held)[0]
            value, risk, support = beside([grown for _, grown in levels], len(made.weighed), held, growth, scorer.pairs)
        if self.guide is not None:
            said = self.guide.says(made.levels, set(seen))
            value = max(value, _allowed(said.value, good))
            risk = max(min(risk, _allowed(1.0 - said.value, bad)), _allowed(said.risk, bad))
            path += said.path
        doubt = memory.contradiction()
        if doubt and not any(decisive(grown.value, len(memory.patterns)) for _, grown in levels):
            value = growth.v0
            path.append(doubt)
        value, risk = self._repaired(value, risk, support, levels[-1][1], held)
        score = max(-scorer.clip, min(scorer.clip, (scorer.pairs.b if made.branches else scorer.b) * (_logit(value) - _logit(growth.v0))))
        score += self.repair.caution * (scorer.loss * math.log1p(-risk) - scorer.veto * max(0.0, risk - scorer.tolerated))
        return Advice(action=action, score=score, value=value, risk=risk, support=support, why=Why(path=tuple(reversed(path))))

    def _repaired(self, value: float, risk: float, support: float, grown: Grown, held: dict[int, str]) -> tuple[float, float]:
        """Value and risk with the edits of this episode."""
        hope = self.repair.optimism
        if hope > 0:
            if self.repair.novelty:
                support = min((grown.tried.get(number, 0.0) for number, link in held.items() if link.startswith(_TRIED)), default=support)
            known = support + self.scorer.growth.k
            risk = risk * known / (known + hope)
            value = (value * known + hope * (1.0 - risk)) / (known + hope)
        return min(max(value, _EDGE), 1.0 - _EDGE), min(max(risk, 0.0), 1.0 - _EDGE)


def _pruned(advice: Advice, repair: Repair, situation: Situation, scorer: Scorer) -> Advice:
    """Advice on an action that did nothing just now, or that ended this task badly before."""
    action, off, path = advice.action, 0.0, advice.why.path
    if repair.futile and as_text(action) in repair.futile:
        off, path = scorer.futile, (*path, "did nothing just now")
    if repair.ended and course(situation.task, (*situation.done, action)) in repair.ended:
        off, path = off + scorer.ended, (*path, "ended this task badly after the same steps")
    if not off:
        return advice
    return advice.model_copy(update={"score": advice.score - off, "why": advice.why.model_copy(update={"path": path})})


def _allowed(rate: float, leaf: Node) -> float:
    """The rate that is said to hold, as far as the evidence from just such situations allows it: within its Wilson interval."""
    low, high = interval(leaf.good, leaf.total)
    return min(max(rate, low), high)


def _logit(p: float) -> float:
    return math.log(p / (1.0 - p))
