"""Past steps that match a situation, with their evidence: what a prompt is shown."""

from __future__ import annotations

from langgraph_fluxmem.learning.memory import StepMemory
from langgraph_fluxmem.schema import RecalledStep, Situation, Vector


def recall_steps(memory: StepMemory, situation: Situation, task_vector: Vector | None, k: int) -> list[RecalledStep]:
    """At most `k` past steps whose situation shares patterns with this one, best first."""
    del memory, situation, task_vector, k
    return []
