"""The same recall with the learned parts off: no links from past tasks, no shifted weights, no evidence on steps, no skills.

What is left is what plain retrieval would have brought: the same signals at the same configured weights over the same memory.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from langgraph_fluxmem import activation as forming
from langgraph_fluxmem.config import Config
from langgraph_fluxmem.learned import Learned
from langgraph_fluxmem.links import NOTHING_SERVED
from langgraph_fluxmem.requests import ANYBODY, Hidden, LearnedOf, Stage
from langgraph_fluxmem.schema import Activation, RecalledStep, Situation, Vector
from langgraph_fluxmem.skills import SkillBook
from langgraph_fluxmem.weighing import Weights


class Unlearned(Learned):
    """A namespace's learned state as it would answer had no evidence been written: episodes are there, what they taught is not."""

    def __init__(self, learned: Learned) -> None:
        self.__dict__.update(learned.__dict__)  # the same state under the same lock, read and never followed
        self.skills = SkillBook()

    def served(self, vector: Vector, task: str) -> Mapping[str, float]:
        """No task has served."""
        del vector, task
        return NOTHING_SERVED

    def weights(self, configured: Mapping[str, float], fixed: Collection[str] = ()) -> Weights:
        """The weights as configured."""
        del fixed
        return Weights(configured, {})

    def recall_steps(self, situation: Situation, task_vector: Vector | None, k: int) -> list[RecalledStep]:
        """A step is recalled for its evidence, so none is."""
        del situation, task_vector, k
        return []


def recall_unlearned(activation: Activation, config: Config, *, lexical: bool) -> Stage:
    """The activation that the same recall would give, of what the same branch may see and without what its rounds have shown before."""
    weights = {name: weight for name, weight in activation.weights.items() if name != "verify"}
    emptied = {"facts": (), "steps": (), "episodes": (), "skills": (), "reshaped": (), "context": "", "evidence": None, "used": ()}
    again = activation.model_copy(update={**emptied, "signals": weights})
    form = forming.form(again, config=config, branch=ANYBODY, lexical=lexical, evidence=0)
    return (yield from _answered(form, activation.hidden))


def _answered(form: Stage, hidden: Sequence[str]) -> Stage:
    """Drive `form`, putting `Unlearned` in the place of what was learned."""
    answer: Any = None
    while True:
        try:
            request = form.send(answer)
        except StopIteration as stop:
            return stop.value
        if isinstance(request, Hidden):
            answer = frozenset(hidden)
            continue
        answer = yield request
        if isinstance(request, LearnedOf):
            answer = Unlearned(answer)
