"""Where each field of an episode comes from, and whose word counts.

A task comes from the user, an action from the agent; observations, results and notes from tools, the web and the environment's texts, which
anybody may have written; an outcome from who called: the environment, an evaluator, the user. `Step.origins` and `Episode.origins` say where
it is otherwise. Origins are stored with the episode and never change.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, get_args

from langgraph_fluxmem.errors import ConfigError
from langgraph_fluxmem.schema import Origin, Outcome

USUAL: Mapping[str, Origin] = {
    "task": "user",
    "outcome": "environment",
    "action": "agent",
    "observation": "environment",
    "result": "tool",
    "notes": "tool",
}
"""Field -> where it comes from unless `origins` says."""
JUDGES: frozenset[Origin] = frozenset({"environment", "evaluator", "user"})
"""Whose word on an outcome counts for a skill's maturity. An agent's own word, a model's self-check and rules that look at texts do not."""
AUTHORS: frozenset[Origin] = frozenset({"user", "system"})
"""Whose texts may say what is to be done."""


def checked_origins(origins: Mapping[str, Origin] | None) -> dict[str, Origin]:
    """Origins of a graph's fields, other than usual.

    Raises:
        ConfigError: a field or an origin that there is not; of an outcome, which `Feedback` says.
    """
    given: dict[str, Origin] = dict(origins or {})
    for field, origin in given.items():
        if field not in USUAL or field == "outcome":
            raise ConfigError(
                f"origins names the field {field!r}; fields are task, action, observation, result, notes (an outcome's is Feedback.origin)"
            )
        if origin not in get_args(Origin):
            raise ConfigError(f"origins says {field!r} comes from {origin!r}; expected one of {', '.join(get_args(Origin))}")
    for field in [field for field, origin in given.items() if origin == USUAL[field]]:
        del given[field]
    return given


def origin_of(record: Mapping[str, Any], field: str) -> Origin:
    """Origin of a field of a stored episode, or of one of its stored steps."""
    return record.get("origins", {}).get(field, USUAL[field])


def counts(record: Mapping[str, Any], outcome: Outcome, said: Collection[tuple[Origin, Outcome]] = ()) -> bool:
    """Whether a stored episode's `outcome` rests on the word of somebody whose word counts: of who committed it, else of all who judged it
    later; `said` is what they said."""
    if record["outcome"] == outcome != "unknown" and origin_of(record, "outcome") in JUDGES:
        return True
    return bool(said) and all(origin in JUDGES and judged == outcome for origin, judged in said)
