"""Replay: what would have come of an episode if the skill had been followed? Answered by a Runnable the user gives.

Its input is a dict: ``task``, ``actions`` (what to do, in order), ``episode`` (the id it was committed under) and ``metadata`` (of the episode,
for instance the seed of its environment). Its output is a bool, a number (success from 1 on), or a dict with ``success``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from langgraph_fluxmem.consolidation.attempts import Attempt
from langgraph_fluxmem.errors import FeedbackError
from langgraph_fluxmem.requests import Call, Stage
from langgraph_fluxmem.schema import Action
from langgraph_fluxmem.skills.model import Skill, SkillStep, follow, followed

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable

    Replay: TypeAlias = Runnable[dict[str, Any], Any]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What replays of a skill's source episodes gave: id -> success. `eta` is None when nothing could be replayed."""

    outcomes: Mapping[str, bool]
    runs: int

    @property
    def eta(self) -> float | None:
        """Success rate."""
        return sum(self.outcomes.values()) / len(self.outcomes) if self.outcomes else None


def actions_under(skill: Skill, attempt: Attempt, other: Skill | None = None) -> tuple[Action, ...] | None:
    """What would have been done under a skill: the attempt's actions without those that only the `other` one asks for.

    What neither asks for - a door that had to be opened on the way - stays. None when the attempt lacks a step of the skill.
    """
    if follow(skill, attempt.acts) is None:
        return None
    dropped = left_out(skill, attempt, other)
    return tuple(act.action for act in attempt.acts if act.ordinal not in dropped)


def left_out(skill: Skill, attempt: Attempt, other: Skill | None) -> frozenset[int]:
    """Ordinals of what an attempt did that the `other` skill asks for and this one does not. Steps of it that the attempt never did are
    passed over."""
    if other is None:
        return frozenset()
    done = tuple(step for step in other.steps if any(step.done_by(act) for act in attempt.acts))
    return frozenset(followed(replace(other, steps=done), attempt.acts)[0]) - frozenset(followed(skill, attempt.acts)[0])


def replay_skill(replay: Replay, skill: Skill, attempts: Sequence[Attempt], limit: int, other: Skill | None = None) -> Stage:
    """Replay the latest `limit` attempts under a skill, against the `other` one; an attempt that lacks a step of it counts as failed.
    Returns `Replayed`."""
    outcomes: dict[str, bool] = {}
    runs = 0
    for attempt in attempts[-limit:]:
        actions = actions_under(skill, attempt, other)
        outcomes[attempt.id] = False
        if actions:
            runs += 1
            outcomes[attempt.id] = yield from _run(replay, attempt, actions)
    return Replayed(outcomes, runs)


def unneeded_steps(replay: Replay, skill: Skill, attempts: Sequence[Attempt], limit: int) -> Stage:
    """Counterfactual replay: for each step, the share of attempts that succeed without it - because it is left out, or because they went
    well and never did it. None where that would say nothing: it does nothing of its own, or it reads something, which a replay of what was
    done knows already. Returns (shares, runs)."""
    shares: list[float | None] = []
    runs = 0
    for number, step in enumerate(skill.steps):
        rest = replace(skill, steps=skill.steps[:number] + skill.steps[number + 1 :])
        good: list[bool] = []
        if step.templates and not _reads(step, attempts[-limit:]):
            for attempt in attempts[-limit:]:
                actions = actions_under(rest, attempt, skill)
                if actions and actions != actions_under(skill, attempt):
                    runs += 1
                    good.append((yield from _run(replay, attempt, actions)))
        shares.append(sum(good) / len(good) if good else None)
    return shares, runs


def _reads(step: SkillStep, attempts: Sequence[Attempt]) -> bool:
    return 2 * sum(any(act.told and step.done_by(act) for act in attempt.acts) for attempt in attempts) >= len(attempts)


def _run(replay: Replay, attempt: Attempt, actions: Sequence[Action]) -> Stage:
    given = {"task": attempt.task, "actions": list(actions), "episode": attempt.name, "metadata": dict(attempt.metadata)}
    return success((yield Call(lambda _: replay.invoke(given))))


def success(answer: Any) -> bool:
    if isinstance(answer, Mapping):
        answer = answer.get("success")
    if not isinstance(answer, bool | int | float):
        raise FeedbackError(f"the replay returned {answer!r}; return a bool, a number, or a dict with 'success'")
    return answer >= 1
