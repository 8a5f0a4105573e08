"""What the steps of an episode under way leave for its commit, as it travels in graph state: plain JSON, every id once.

    {"ids": [...], "taken": [[until, shown, used, harmful, failed], ...], "reshaped": [...], "pruned": [...]}

An entry of `taken` says what was active while the steps up to number `until` (exclusive) were taken, and whether that round failed; ids are numbers into ``ids``. It is kept
where the steps themselves are read from messages, which know nothing of memory. Reshaped versions and facts that were pruned by attribution
wait for the outcome in any case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langgraph_fluxmem.episodes import Tentative
from langgraph_fluxmem.schema import Activation, Feedback, Outcome, RecalledFact, Step

RESHAPED = 8
"""Reshaped versions that are carried along, the latest ones."""
Pending = Mapping[str, Any]


def held_open(pending: Pending, activation: Activation) -> dict[str, Any]:
    """`pending` with what the activation leaves open for the outcome; nothing is added where it leaves nothing."""
    named = {target for edit in activation.edits if edit.action == "prune" and edit.named for target in edit.targets}
    found: dict[str, Any] = dict(pending)
    pruned = list(dict.fromkeys((*pending.get("pruned", ()), *sorted(activation.pruned - named))))
    reshaped = {
        fact["id"]: fact for fact in (*pending.get("reshaped", ()), *(fact.model_dump(mode="json") for fact in activation.reshaped))
    }
    if pruned:
        found["pruned"] = pruned
    if reshaped:
        found["reshaped"] = list(reshaped.values())[-RESHAPED:]
    return found


def taken(pending: Pending, activation: Activation, until: int, feedback: Feedback | None = None) -> dict[str, Any]:
    """`pending` with the note that this activation was in force for the steps up to number `until`; nothing when there was no step since."""
    entries: list[list[Any]] = list(pending.get("taken", ()))
    if until <= (entries[-1][0] if entries else 0):
        return dict(pending)
    ids: list[str] = list(pending.get("ids", ()))
    numbers = {name: number for number, name in enumerate(ids)}

    def refer(names: Sequence[str]) -> list[int]:
        for name in names:
            if name not in numbers:
                numbers[name] = len(ids)
                ids.append(name)
        return [numbers[name] for name in dict.fromkeys(names)]

    shown = shown_by(activation)
    told = feedback or Feedback()
    used, harmful = ([name for name in names if name in set(shown)] for names in (told.used, told.harmful))
    return {**pending, "taken": [*entries, [until, refer(shown), refer(used), refer(harmful), told.outcome == "failure"]], "ids": ids}


def shown_by(activation: Activation) -> list[str]:
    """Ids of what an activation shows: its facts, what was reshaped, and what earlier rounds proved right."""
    return list(dict.fromkeys((*(fact.id for fact in (*activation.facts, *activation.reshaped)), *activation.used)))


def credited(pending: Pending, steps: Sequence[Step], feedback: Feedback, outcome: Outcome) -> tuple[Step, ...]:
    """The steps with what was shown, used and harmful in each. `feedback` on the whole episode credits the steps at which a fact was shown.
    What was merely shown in a round that failed has no part in the success of the episode."""
    ids: Sequence[str] = pending.get("ids", ())

    def named(numbers: Sequence[int]) -> list[str]:
        return [ids[number] for number in numbers]

    out = list(steps)
    start = 0
    for until, shown, used, harmful, failed in pending.get("taken", ()):
        for number in range(start, min(until, len(out))):
            last = number == min(until, len(out)) - 1
            out[number] = _with(out[number], shown=[] if failed and outcome == "success" else named(shown))
            if last:
                out[number] = _with(out[number], used=named(used), harmful=named(harmful))
        start = until
    for what, names in (("used", feedback.used), ("harmful", feedback.harmful)):
        for name in names:
            at = [number for number, step in enumerate(out) if name in step.shown] or ([len(out) - 1] if out else [])
            for number in at[-1:] if what == "harmful" else at:
                out[number] = _with(out[number], **{what: [name]})
    return tuple(out)


def tentative(pending: Pending, activation: Activation) -> Tentative:
    """What the commit makes durable as far as the outcome speaks for it."""
    return Tentative(
        reshaped=tuple(RecalledFact.model_validate(fact) for fact in pending.get("reshaped", ())),
        pruned=tuple(pending.get("pruned", ())),
        episodes=tuple(episode.id for episode in activation.episodes),
        hidden=activation.hidden,
    )


def _with(step: Step, **more: list[str]) -> Step:
    return step.model_copy(update={what: tuple(dict.fromkeys((*getattr(step, what), *names))) for what, names in more.items()})
