"""From an episode to its stored record and to evidence on its steps.

Evidence is rows (step, channel, weight). An environment that says more than once how a task goes is trusted about which step it was:
progress then belongs to the step that made it and flows back, times `FLOW`, to what that step depended on - the step that first made
its action admissible, and the steps whose notes name what it acted on, but not to what was refused - and a step that nothing flowed to failed. An environment that
speaks only at the end shares its word: every step of a success led on, but for those it refused; of a failure the last step is to blame most, or all of them
a little when the steps ran out. (Credit by decay over time was tried in its place and did not learn to read instructions first.)

The record keeps each step with its patterns, so that a memory opens without deriving them again; strings occur once, in a table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from langgraph_fluxmem.learning.situation import FUNCTION_WORDS, Scene, as_text, parse, read, words
from langgraph_fluxmem.learning.template import ActionTemplate, links, moment, template
from langgraph_fluxmem.schema import Action, Channel, Episode, Situation, Step

FLOW = 0.8
"""Share of a step's progress that flows to each step it depended on."""
EARLIER = 0.15
"""Failure weight of a step before the one that ended a task badly, where nothing else is known of it."""
RAN_OUT = 0.5
"""Failure weight of every step of a task that was not solved in time, where nothing else is known of them."""
GRAIN = 1 / 1024
"""Weights are multiples of this, so that sums of evidence are exact in any order and undo is subtraction."""
VERSION = 1

StepEvidence = tuple[int, Channel, float]


def record(episode: Episode) -> dict[str, Any]:
    """The JSON body under which an episode is stored; see `steps_of` and `derived`."""
    table: dict[str, int] = {}

    def refer(text: str) -> int:
        return table.setdefault(text, len(table))

    steps: list[dict[str, Any]] = []
    for step, scene in _scenes(episode):
        entry: dict[str, Any] = {"action": step.action}
        observation = step.observation
        entry["observation"] = (
            refer(observation)
            if isinstance(observation, str)
            else {key: refer(value) if isinstance(value, str) else [value] for key, value in observation.items()}
        )
        told = {"result": step.result, "progress": step.progress, "loss": step.loss, "refused": step.refused, "notes": list(step.notes)}
        entry |= {key: value for key, value in told.items() if value}
        if step.used:
            entry["used"] = list(step.used)
        if step.origins:
            entry["origins"] = dict(step.origins)
        if step.action is not None:
            made = template(step.action, scene)
            entry["template"] = [refer(level) for level in (made.key, *made.patterns)]
            if made.branches:
                entry["branches"] = [refer(branch) for branch in made.branches]
            entry["links"] = [refer(link) for link in links(step.action, made, scene)]
            entry["moment"] = [refer(pattern) for pattern in moment(scene)]
        steps.append(entry)
    body = {
        "version": VERSION,
        "task": episode.task,
        "outcome": episode.outcome,
        "score": episode.score,
        "metadata": dict(episode.metadata),
        "steps": steps,
        "strings": list(table),
    }
    return {**body, "origins": dict(episode.origins)} if episode.origins else body


def steps_of(body: Mapping[str, Any]) -> list[Step]:
    """The steps of a stored record, as they were committed (admissible actions are not stored)."""
    strings: list[str] = body["strings"]

    def observation(value: Any) -> Any:
        if isinstance(value, int):
            return strings[value]
        return {key: strings[inner] if isinstance(inner, int) else inner[0] for key, inner in value.items()}

    return [
        Step(
            observation=observation(entry["observation"]),
            action=entry["action"],
            result=entry.get("result", ""),
            progress=entry.get("progress", 0.0),
            loss=entry.get("loss", 0.0),
            refused=entry.get("refused", False),
            notes=tuple(entry.get("notes", ())),
            used=tuple(entry.get("used", ())),
            origins=entry.get("origins", {}),
        )
        for entry in body["steps"]
    ]


def derived(body: Mapping[str, Any], ordinal: int) -> tuple[str, tuple[str, ...], tuple[str, ...]] | None:
    """(template key, template patterns, situation patterns) of a step of a stored record; None where nothing was done."""
    entry = body["steps"][ordinal]
    if "template" not in entry:
        return None
    strings: list[str] = body["strings"]
    key, *levels = (strings[i] for i in entry["template"])
    return key, tuple(levels), tuple(strings[i] for i in entry["links"])


def branches_of(body: Mapping[str, Any], ordinal: int) -> tuple[str, ...]:
    """The branches of a stored step's template; none where its action was a text."""
    strings: list[str] = body["strings"]
    return tuple(strings[i] for i in body["steps"][ordinal].get("branches", ()))


def moment_of(body: Mapping[str, Any], ordinal: int) -> tuple[str, ...]:
    """The patterns of a stored step's situation that do not depend on its action; see `template.moment`."""
    strings: list[str] = body["strings"]
    return tuple(strings[i] for i in body["steps"][ordinal].get("moment", ()))


def evidence(episode: Episode) -> list[StepEvidence]:
    """What an episode shows about its steps; nothing when its outcome is unknown. Weights are in (0, 1]."""
    if episode.outcome == "unknown" or not episode.steps:
        return []
    steps = episode.steps
    acted = [i for i, step in enumerate(steps) if step.action is not None]
    if not acted:
        return []
    moved = [i for i in acted if steps[i].progress > 0]
    lost = [i for i in acted if steps[i].loss > 0]
    worse = [i for i in acted if steps[i].progress < 0]
    nothing = idle(steps, acted)
    rows: list[StepEvidence] = []
    if episode.outcome == "success" and all(i == acted[-1] for i in moved) and not lost:
        return [
            (i, "failure", 1.0) if steps[i].refused else (i, "failure", RAN_OUT) if i in nothing else (i, "progress", 1.0) for i in acted
        ]
    dense = bool(moved) and moved != acted[-1:]
    share = _flow(episode, moved) if moved else {}
    for i in acted:
        gained = _grain(min(1.0, share.get(i, 0.0)))
        if gained > 0:
            rows.append((i, "progress", gained))
        if steps[i].loss > 0:
            rows.append((i, "loss", _grain(min(1.0, steps[i].loss))))
            failed = 1.0
        elif dense or steps[i].refused:
            failed = 1.0 - gained
        elif steps[i].progress < 0:
            failed = 1.0
        elif i in nothing and not lost:
            failed = RAN_OUT
        elif lost or worse:
            failed = EARLIER if gained == 0 else 0.0
        else:
            failed = RAN_OUT if gained == 0 else 0.0
        if steps[i].notes and steps[i].loss == 0 and not steps[i].refused:
            failed = 0.0  # what it brought up may lead on later
        if _grain(failed) > 0:
            rows.append((i, "failure", _grain(failed)))
    return rows


def idle(steps: Sequence[Step], acted: Sequence[int]) -> set[int]:
    """Steps after which everything was as before, where what is seen is a state (key-value pairs) and they brought nothing up."""
    return {
        i
        for i, after in pairwise(acted)
        if isinstance(steps[i].observation, dict)
        and steps[i].observation
        and steps[i].observation == steps[after].observation
        and not steps[i].notes
    }


def noted(task: str, action: Action, result: str, *, changed: bool) -> bool:
    """Whether `result` is a note of the task: it came of an action that changed nothing and names something the task names."""
    if changed or not result.strip():
        return False
    scene = read(Situation(task=task))
    return bool(template(action, scene).slots)


def _flow(episode: Episode, moved: Sequence[int]) -> dict[int, float]:
    steps = episode.steps
    top = max(steps[i].progress for i in moved)
    share: dict[int, float] = {}
    spans = {i: set(parse(as_text(step.action)).spans) for i, step in enumerate(steps) if step.action is not None}
    first = [_opened(steps, i) for i in range(len(steps))]
    named = [_named(steps, i, spans.get(i, set())) for i in range(len(steps))]

    def give(i: int, amount: float) -> None:
        if amount <= share.get(i, 0.0) or amount < 0.2:
            return
        share[i] = amount
        for j in (first[i], *named[i]):
            if j is not None and j < i and not steps[j].refused:
                give(j, amount * FLOW)

    for i in moved:
        give(i, min(1.0, steps[i].progress / top))
    return share


def _opened(steps: Sequence[Step], i: int) -> int | None:
    """The step that made the action of step i admissible, or None: it always was, or nobody listed what was."""
    action = steps[i].action
    if action is None or action not in steps[i].actions:
        return None
    j = i
    while j > 0 and action in steps[j - 1].actions:
        j -= 1
    return j - 1 if j > 0 and steps[j - 1].actions else None


def _named(steps: Sequence[Step], i: int, spans: set[str]) -> list[int]:
    """Steps before i whose notes name a thing that step i acted on."""
    found: list[int] = []
    for j in range(i):
        for note in steps[j].notes:
            known = parse(note).spans
            if any(span in known for span in spans if span not in _heads(steps[i])):
                found.append(j)
                break
    return found


def _heads(step: Step) -> set[str]:
    line = words(as_text(step.action)) if step.action is not None else ()
    return {line[0], *FUNCTION_WORDS} if line else set()


def _grain(weight: float) -> float:
    return round(weight / GRAIN) * GRAIN


def _scenes(episode: Episode) -> list[tuple[Step, Scene]]:
    """Each step with the situation it was done in, as it was known then."""
    notes: list[str] = []
    done: list[Action] = []
    scenes: list[tuple[Step, Scene]] = []
    for step in episode.steps:
        situation = Situation(task=episode.task, observation=step.observation, notes=tuple(notes), done=tuple(done))
        scenes.append((step, read(situation)))
        notes += [note for note in step.notes if note not in notes]
        if step.action is not None:
            done.append(step.action)
    return scenes


def situation_at(episode: Episode, ordinal: int) -> Situation:
    """The situation of step `ordinal`, as it was known then."""
    notes: list[str] = []
    for step in episode.steps[:ordinal]:
        notes += [note for note in step.notes if note not in notes]
    done = tuple(step.action for step in episode.steps[:ordinal] if step.action is not None)
    return Situation(task=episode.task, observation=episode.steps[ordinal].observation, notes=tuple(notes), done=done)


__all__ = ["ActionTemplate", "StepEvidence", "derived", "evidence", "noted", "record", "situation_at", "steps_of"]
