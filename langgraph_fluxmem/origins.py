"""Where each field of an episode comes from, and whose word counts.

A task comes from the user, an action from the agent; observations, results and notes from tools, the web and the environment's texts, which
anybody may have written; an outcome from who called: the environment, an evaluator, the user. `Step.origins` and `Episode.origins` say where
it is otherwise. Origins are stored with the episode and never change.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

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


def origin_of(record: Mapping[str, Any], field: str) -> Origin:
    """Origin of a field of a stored episode, or of one of its stored steps."""
    return record.get("origins", {}).get(field, USUAL[field])


def counts(record: Mapping[str, Any], outcome: Outcome, said: Collection[tuple[Origin, Outcome]] = ()) -> bool:
    """Whether a stored episode's `outcome` rests on the word of somebody whose word counts: of who committed it, else of all who judged it
    later; `said` is what they said."""
    if record["outcome"] == outcome != "unknown" and origin_of(record, "outcome") in JUDGES:
        return True
    return bool(said) and all(origin in JUDGES and judged == outcome for origin, judged in said)
