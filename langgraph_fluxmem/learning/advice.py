"""What memory says of admissible actions: value and risk from counts, and the links that say so.

Counts are shrunk along the template's levels, from the most general to its key, and each link's counts to its template's: a link that
was seen little says what its template says. How links share the say is `combine`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from langgraph_fluxmem.learning.memory import NOTHING, StepMemory, Table
from langgraph_fluxmem.learning.repair import Repair
from langgraph_fluxmem.learning.situation import Scene, read
from langgraph_fluxmem.learning.template import links, template
from langgraph_fluxmem.schema import Action, Advice, Situation, Vector, Why


@dataclass(frozen=True, slots=True)
class Scorer:
    """Constants of the scorer; one set for every environment."""

    k: float = 0.5
    v0: float = 0.27
    l0: float = 0.05
    b: float = 2.0
    loss: float = 2.0
    veto: float = 10.0
    tolerated: float = 0.6
    clip: float = 6.0
    half: float = 2.0
    power: float = 2.0
    shown: int = 3


DEFAULT = Scorer()


def _logit(p: float) -> float:
    return math.log(p / (1.0 - p))


def _divergence(p: float, q: float) -> float:
    return p * math.log(p / q) + (1.0 - p) * math.log((1.0 - p) / (1.0 - q))


def advise(
    memory: StepMemory,
    situation: Situation,
    task_vector: Vector | None,
    actions: Sequence[Action],
    repair: Repair | None = None,
    scorer: Scorer = DEFAULT,
) -> list[Advice]:
    """Advice for each of `actions`, in their order."""
    scene = read(situation)
    lens = memory.lens(task_vector)
    state = repair or Repair()
    return [_one(memory, scene, lens, action, state, scorer) for action in actions]


def _one(memory: StepMemory, scene: Scene, lens, action: Action, repair: Repair, c: Scorer) -> Advice:
    made = template(action, scene)
    seen = links(action, made, scene)
    value, risk = c.v0, c.l0
    support = 0.0
    tables = memory.tables
    table: Table | None = None
    for level in made.patterns:
        known = tables.get(level)
        if known is None:
            continue
        p, f, lo = known.merged(lens)[0]
        n = p + f
        value = (p + c.k * value) / (n + c.k)
        risk = (lo + c.k * risk) / (n + c.k)
        if level == made.key:
            table = known
            support = n
            break
    if table is None and support == 0.0 and value == c.v0:
        return Advice(action=action, score=0.0, value=value, risk=risk, support=0.0)
    if table is None:
        table = next((tables[level] for level in made.patterns if level in tables), None)
    assert table is not None
    merged = table.merged(lens)
    numbers = table.patterns
    base_v, base_q = _logit(value), _logit(risk)
    sum_v = weight_v = sum_q = weight_q = 0.0
    strongest: list[tuple[float, str, list[float]]] = []
    for link in seen:
        number = numbers.get(link)
        if number is None:
            continue
        row = merged[number]
        n = row[0] + row[1]
        if n <= 0.0:
            continue
        v = (row[0] + c.k * value) / (n + c.k)
        share = (_divergence(v, value) * n / (n + c.half)) ** c.power
        d = _logit(v) - base_v
        sum_v += share * d
        weight_v += share
        q = (row[2] + c.k * risk) / (n + c.k)
        share_q = (_divergence(q, risk) * n / (n + c.half)) ** c.power
        sum_q += share_q * (_logit(q) - base_q)
        weight_q += share_q
        strongest.append((abs(share * d), link, row))
    t = base_v + (sum_v / weight_v if weight_v > 0 else 0.0)
    u = base_q + (sum_q / weight_q if weight_q > 0 else 0.0)
    q = 1.0 / (1.0 + math.exp(-u))
    v = 1.0 / (1.0 + math.exp(-t))
    score = max(-c.clip, min(c.clip, c.b * (t - _logit(c.v0))))
    score += repair.caution * (c.loss * math.log(1.0 - q) - c.veto * max(0.0, q - c.tolerated))
    strongest.sort(key=lambda entry: -entry[0])
    path = tuple(
        f"{link} -> {made.key}: led on {row[0]:g}, failed {row[1]:g}, lost {row[2]:g}" for _, link, row in strongest[: c.shown]
    )
    return Advice(action=action, score=score, value=v, risk=q, support=support, why=Why(path=path))
