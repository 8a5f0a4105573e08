"""The trace of an episode under way, as it travels in graph state: every text once, since most of what is seen and admissible stays as it
was from one step to the next and every checkpoint holds the whole trace (50 steps of a text game: less than a sixth of the plain JSON)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langgraph_fluxmem.schema import Step

Trace = Mapping[str, Any]
"""``{"strings": [...], "steps": [...]}``; a step refers to strings by number, other values stand in a list of one."""


def appended(trace: Trace, step: Step) -> dict[str, Any]:
    """The trace with one step more; the old one is left as it is."""
    strings: list[str] = list(trace.get("strings", ()))
    numbers = {text: number for number, text in enumerate(strings)}

    def refer(value: Any) -> Any:
        if not isinstance(value, str):
            return [value]
        number = numbers.setdefault(value, len(strings))
        if number == len(strings):
            strings.append(value)
        return number

    entry = step.model_dump(mode="json", exclude_defaults=True, exclude={"observation", "actions"})
    seen = step.observation
    entry["observation"] = refer(seen) if isinstance(seen, str) else {key: refer(value) for key, value in seen.items()}
    entry["actions"] = [refer(action) for action in step.actions]
    return {"strings": strings, "steps": [*trace.get("steps", ()), entry]}


def outline(trace: Trace) -> list[Step]:
    """The steps of a trace with their action and notes alone: all that says in what situation one is."""
    return [Step(action=entry.get("action"), notes=tuple(entry.get("notes", ()))) for entry in trace.get("steps", ())]


def steps_of(trace: Trace) -> list[Step]:
    """The steps of a trace, as they were appended."""
    strings: Sequence[str] = trace.get("strings", ())

    def value(reference: Any) -> Any:
        return strings[reference] if isinstance(reference, int) else reference[0]

    def observation(reference: Any) -> Any:
        return {key: value(inner) for key, inner in reference.items()} if isinstance(reference, Mapping) else value(reference)

    return [
        Step.model_validate(
            {
                **entry,
                "observation": observation(entry["observation"]),
                "actions": tuple(value(reference) for reference in entry["actions"]),
            }
        )
        for entry in trace.get("steps", ())
    ]
