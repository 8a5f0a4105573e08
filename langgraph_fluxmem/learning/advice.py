from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from langgraph_fluxmem.learning.memory import Lens, Shape, StepMemory
from langgraph_fluxmem.learning.repair import Repair
from langgraph_fluxmem.learning.situation import Scene, read
from langgraph_fluxmem.learning.template import links, template
from langgraph_fluxmem.schema import Action, Advice, Situation, Vector, Why


@dataclass(frozen=True, slots=True)
class Scorer:
    """Constants of the scorer; one set for every environment."""

    k: float = 0.5
    k2: float = 3.0
    v0: float = 0.27
    l0: float = 0.05
    b: float = 2.0
    loss: float = 2.0
    veto: float = 10.0
    tolerated: float = 0.6
    clip: float = 6.0
    gain: float = 4.0
    smallest: float = 2.0
    depth: int = 6
    shown: int = 3

    def shape(self):
        return Shape(self.k, self.v0, self.l0, self.gain, self.smallest, int(self.depth))


DEFAULT = Scorer()


def _logit(p: float) -> float:
    return math.log(p / (1.0 - p))


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def advise(memory, situation, task_vector, actions, repair=None, scorer=DEFAULT) -> list[Advice]:
    """Advice for each of `actions`, in their order."""
    scene = read(situation)
    lens = memory.lens(task_vector)
    state = repair or Repair()
    shape = scorer.shape()
    return [_one(memory, scene, lens, action, state, scorer, shape) for action in actions]


def _one(memory: StepMemory, scene: Scene, lens: Lens, action: Action, repair: Repair, c: Scorer, shape: Shape) -> Advice:
    made = template(action, scene)
    seen = frozenset(links(action, made, scene))
    value, risk, support = c.v0, c.l0, 0.0
    why: list[str] = []
    first = True
    last = None
    for level in dict.fromkeys((made.patterns[0], made.key)):
        table = memory.tables.get(level)
        if table is None:
            continue
        trees = table.trees(lens, shape)
        node, path = trees[0].leaf(seen)
        bad, badpath = trees[1].leaf(seen)
        if first:
            value, risk, first = node.value, bad.value, False
        else:
            value = (node.good + c.k2 * value) / (node.total + c.k2)
            risk = (bad.good + c.k2 * risk) / (bad.total + c.k2)
        support = node.total
        last = (table.columns, trees[2])
        conds = [p if held else f"not {p}" for p, held in dict.fromkeys((*path, *badpath))]
        why.insert(0, f"{' & '.join(conds) or 'any'} -> {level}: led on {node.good:g} of {node.total:g}, lost {bad.good:g} of {bad.total:g}")
    if not why:
        return Advice(action=action, score=0.0, value=value, risk=risk, support=0.0)
    e = repair.optimism
    if e > 0:
        if last is not None and repair.novelty:
            columns, tried = last
            for link in seen:
                if link.startswith(("did:", "owe")):
                    column = columns.get(link)
                    support = min(support, tried[column] if column is not None else 0.0)
        risk = risk * (support + c.k) / (support + c.k + e)
        value = (value * (support + c.k) + e * (1.0 - risk)) / (support + c.k + e)
    value = min(max(value, 1e-6), 1 - 1e-6); risk = min(max(risk, 1e-6), 1 - 1e-6)
    score = max(-c.clip, min(c.clip, c.b * (_logit(value) - _logit(c.v0))))
    score += repair.caution * (c.loss * math.log(1.0 - risk) - c.veto * max(0.0, risk - c.tolerated))
    return Advice(action=action, score=score, value=value, risk=risk, support=support, why=Why(path=tuple(why)))
