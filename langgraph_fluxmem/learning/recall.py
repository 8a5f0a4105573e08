"""Past steps that match a situation, with their evidence: what a prompt is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from langgraph_fluxmem.learning.memory import StepMemory
from langgraph_fluxmem.learning.situation import as_text, read
from langgraph_fluxmem.learning.table import StepInfo
from langgraph_fluxmem.learning.template import moment
from langgraph_fluxmem.schema import RecalledStep, Situation, Vector, Why

CONSIDERED = 300
"""Past steps that are compared with a situation."""
TOLD = 120
"""Characters of a task, an action or an observation that tell of a situation."""


def recall_steps(memory: StepMemory, situation: Situation, task_vector: Vector | None, k: int) -> list[RecalledStep]:
    """At most `k` ways of acting in such situations, the best attested first: each by the past step nearest to this situation, with the
    evidence of all steps considered that did the same (counted in full, however like their situations are; the order weighs it by that).

    Steps are considered when the same kind of action came before them (or none). The score, in [0, 1], is how much of the situation's
    moment and task they share. `task_vector` as for `advise`.
    """
    if not memory.steps:
        return []
    nearest: dict[str, tuple[float, int, str]] = {}
    counts: dict[str, list[float]] = {}
    sums: dict[str, list[float]] = {}
    for alike, step in _considered(memory, situation, task_vector):
        entry = (alike, -step.rank, step.id)
        nearest[step.key] = max(nearest.get(step.key, entry), entry)
        count, total = counts.setdefault(step.key, [0.0, 0.0, 0.0]), sums.setdefault(step.key, [0.0, 0.0, 0.0])
        for channel, weight in enumerate(step.evidence):
            count[channel] += weight
            total[channel] += alike * weight
    best = sorted(nearest, key=lambda key: (-max(sums[key][0], sums[key][2]), -sum(sums[key]), key))[: max(k, 0)]
    return [_recalled(memory, key, nearest[key], counts[key]) for key in best]


def steps_behind(memory: StepMemory, situation: Situation, task_vector: Vector | None) -> dict[str, list[tuple[str, float]]]:
    """Template key -> the past steps whose evidence `recall_steps` sums for it, with how alike their situation is, the nearest first."""
    found: dict[str, list[tuple[str, float]]] = {}
    for alike, step in _considered(memory, situation, task_vector):
        found.setdefault(step.key, []).append((step.id, alike))
    for steps in found.values():
        steps.sort(key=lambda one: (-one[1], one[0]))
    return found


def _considered(memory: StepMemory, situation: Situation, task_vector: Vector | None) -> Iterator[tuple[float, StepInfo]]:
    """Past steps with a situation like this one, and how much of its moment and task they share, above 0."""
    patterns = moment(read(situation))
    wanted = {memory.numbers.get(pattern) for pattern in patterns}
    weights = memory.lens(task_vector).weights
    for step in memory.after(patterns[0], CONSIDERED):
        alike = float(weights[step.group]) * sum(int(number) in wanted for number in step.moment) / len(patterns)
        if alike > 0:
            yield alike, step


def _recalled(memory: StepMemory, key: str, nearest: tuple[float, int, str], counts: list[float]) -> RecalledStep:
    alike, _, target = nearest
    step = memory.steps[target]
    seen = ", ".join(memory.patterns[int(number)] for number in step.moment)
    return RecalledStep(
        id=target,
        episode=step.episode,
        situation=_told(memory.bodies[step.episode], step.ordinal),
        action=memory.bodies[step.episode]["steps"][step.ordinal]["action"],
        template=key,
        successes=round(counts[0], 3),
        failures=round(counts[1], 3),
        losses=round(counts[2], 3),
        score=alike,
        why=Why(signals={"moment": alike}, path=(seen, key)),
    )


def _told(body: Mapping[str, Any], ordinal: int) -> str:
    """The situation of a stored step in words: the task, what was done just before, the beginning of what was seen."""
    before = next((entry["action"] for entry in reversed(body["steps"][:ordinal]) if entry["action"] is not None), None)
    strings: list[str] = body["strings"]
    seen = body["steps"][ordinal]["observation"]
    if isinstance(seen, dict):
        seen = as_text({key: strings[value] if isinstance(value, int) else value[0] for key, value in seen.items()})
    elif isinstance(seen, int):
        seen = strings[seen]
    parts = [_short(str(body["task"]))]
    parts += [f"after {_short(as_text(before))}"] if before is not None else []
    parts += [f"seeing {_short(seen)}"] if seen.strip() else []
    return "; ".join(parts)


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= TOLD else flat[: TOLD - 1] + "…"
