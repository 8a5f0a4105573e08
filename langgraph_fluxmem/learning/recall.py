"""Past steps that match a situation, with their evidence: what a prompt is shown."""

from __future__ import annotations

from langgraph_fluxmem.learning.memory import StepMemory
from langgraph_fluxmem.learning.situation import read
from langgraph_fluxmem.learning.template import moment
from langgraph_fluxmem.schema import RecalledStep, Situation, Vector, Why

CONSIDERED = 300
"""Past steps that are compared with a situation."""


def recall_steps(memory: StepMemory, situation: Situation, task_vector: Vector | None, k: int) -> list[RecalledStep]:
    """At most `k` ways of acting in such situations, the best attested first: each by the past step nearest to this situation, with the
    evidence of all steps considered that did the same (counted in full, however like their situations are; the order weighs it by that).

    Steps are considered when the same kind of action came before them (or none). The score, in [0, 1], is how much of the situation's
    moment and task they share. `task_vector` as for `advise`.
    """
    patterns = moment(read(situation))
    wanted = {memory.numbers.get(pattern) for pattern in patterns}
    weights = memory.lens(task_vector).weights
    nearest: dict[str, tuple[float, int, str]] = {}
    counts: dict[str, list[float]] = {}
    sums: dict[str, list[float]] = {}
    for step in memory.after(patterns[0], CONSIDERED):
        alike = float(weights[step.group]) * sum(int(number) in wanted for number in step.moment) / len(patterns)
        if alike <= 0:
            continue
        entry = (alike, -step.rank, step.id)
        nearest[step.key] = max(nearest.get(step.key, entry), entry)
        count, total = counts.setdefault(step.key, [0.0, 0.0, 0.0]), sums.setdefault(step.key, [0.0, 0.0, 0.0])
        for channel, weight in enumerate(step.evidence):
            count[channel] += weight
            total[channel] += alike * weight
    best = sorted(nearest, key=lambda key: (-max(sums[key][0], sums[key][2]), -sum(sums[key]), key))[: max(k, 0)]
    return [_recalled(memory, key, nearest[key], counts[key]) for key in best]


def _recalled(memory: StepMemory, key: str, nearest: tuple[float, int, str], counts: list[float]) -> RecalledStep:
    alike, _, target = nearest
    step = memory.steps[target]
    seen = ", ".join(memory.patterns[int(number)] for number in step.moment)
    return RecalledStep(
        id=target,
        episode=step.episode,
        situation=seen,
        action=memory.bodies[step.episode]["steps"][step.ordinal]["action"],
        template=key,
        successes=round(counts[0], 3),
        failures=round(counts[1], 3),
        losses=round(counts[2], 3),
        score=alike,
        why=Why(signals={"moment": alike}, path=(seen, key)),
    )
