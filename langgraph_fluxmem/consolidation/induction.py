"""Induction by rules: what the successes of a cluster did alike becomes a skill; what some did becomes a step with conditions; what ended
badly becomes a pitfall [F 3.3; LEARNING, section 2]."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from langgraph_fluxmem.consolidation import alignment
from langgraph_fluxmem.consolidation.attempts import Act, Attempt
from langgraph_fluxmem.consolidation.conditions import Row, Rule, led_on, lost, readable_action, readable_condition, rule
from langgraph_fluxmem.consolidation.maturity import lower_bound
from langgraph_fluxmem.consolidation.rules import rules_of
from langgraph_fluxmem.consolidation.settings import Settings
from langgraph_fluxmem.operators.protocol import Template
from langgraph_fluxmem.skills.model import LIKE, Skill, SkillStep

OVERLOADED = 0.34
"""Successes that share less than this part of what they did are several skills in one: they are split."""
ALIKE = 0.5
"""How alike the runs of one skill are after such a split."""
SURE = 0.85
"""An action that leads on at least this often (lower bound) needs no condition (LEARNING, section 2)."""
WAY_CONDITIONS = 2
"""Conditions that tell one way to do a step from another."""
TELLING = 0.1
"""What a condition must add to the lower bound of a step that all successes did."""
CONSTANT = 3
"""Runs that must have done the very same before nothing else counts as that step."""
AGAIN = ", as often as needed"
OPTIONAL = 8
"""At most so many steps with conditions."""
PITFALLS = 4
RECURRING = 3
"""Failures of one kind of task from which a warning is made when nothing has gone well yet."""
NAME_WORDS = 8
WHEN_CHARS = 240


@dataclass(frozen=True, slots=True)
class Induced:
    """A skill without identity (`node` is empty) and the successes it was induced from."""

    skill: Skill
    sources: tuple[str, ...]
    templates: tuple[Template, ...]


def induce(attempts: Sequence[Attempt], settings: Settings) -> list[Induced]:
    """Skills of one cluster: one, or several when its successes do different things; none when they share nothing."""
    successes = [attempt for attempt in attempts if attempt.outcome == "success"]
    if len(successes) < settings.successes:
        return []
    runs = [attempt.leading for attempt in successes]
    shared = alignment.columns(runs, settings.support)
    if len(shared) < OVERLOADED * median(len(run) for run in runs):
        parts = [group for group in alignment.groups(runs, ALIKE) if len(group) >= settings.successes]
        if parts and parts != [list(range(len(runs)))]:
            rest = [attempt for attempt in attempts if attempt.outcome != "success"]
            split = [_one([successes[i] for i in group], rest, settings) for group in parts]
            return [induced for induced in split if induced is not None]
    found = _one(successes, [attempt for attempt in attempts if attempt.outcome != "success"], settings)
    return [found] if found is not None else []


def warn(attempts: Sequence[Attempt], settings: Settings) -> list[Induced]:
    """A warning from a cluster in which too few attempts went well: what ended badly again and again, without steps. None when nothing did."""
    failures = [attempt for attempt in attempts if attempt.outcome == "failure"]
    found = pitfalls([act for attempt in attempts for act in attempt.acts], failures, settings)
    if len(failures) < RECURRING or not found:
        return []
    tasks = [attempt.task for attempt in failures]
    skill = Skill(node="", name=_name(tasks, ()), when=_when(tasks), steps=(), pitfalls=found)
    return [Induced(skill, tuple(attempt.id for attempt in failures), ())]


def _one(successes: Sequence[Attempt], others: Sequence[Attempt], settings: Settings) -> Induced | None:
    runs = [attempt.leading for attempt in successes]
    acts = [act for attempt in (*successes, *others) for act in attempt.acts]
    shared = alignment.columns(runs, settings.support)
    varied = len({tuple(act.text for act in run) for run in runs}) > 1
    required = [_required(column, acts, settings, varied=varied) for column in shared]
    required, places = _merged(required, [sum(column.places) / len(column.places) for column in shared], runs)
    optional = _optional(runs, required, acts, settings)
    steps = _placed(required, places, optional, runs)
    if not required and len(optional) < 2:
        return None
    tasks = [attempt.task for attempt in successes]
    skill = Skill(
        node="",
        name=_name(tasks, steps),
        when=_when(tasks),
        steps=tuple(steps),
        pitfalls=pitfalls(acts, others, settings),
        rules=rules_of(acts, settings),
    )
    return Induced(skill, tuple(attempt.id for attempt in successes), tuple(_template(step, runs) for step in steps))


def _required(column: alignment.Column, acts: Sequence[Act], settings: Settings, *, varied: bool) -> SkillStep:
    """A step that all successes did. What was the same in all of them, though the runs differ, is said as it is; the rest has slots."""
    templates = column.templates()
    rows = led_on(_doing(acts, templates))
    good, total = sum(row.good for row in rows), sum(row.total for row in rows)
    keys = sorted(key for key, times in Counter(act.key for act in column.acts).items() if times >= 2)
    ways = [_way(key, column.acts, settings) for key in keys] if len(keys) > 1 else []
    if ways and all(ways):
        return SkillStep(" or ".join(ways), templates, (), False, good, total)
    same = column.constant if varied and len(column.acts) >= CONSTANT else None
    text, only = (same, column.acts[0].text) if same else (readable_action(column.key()), "")
    if lower_bound(good, total, settings.z) >= SURE:
        return SkillStep(text, templates, (), False, good, total, only)
    found = rule(rows, conditions=settings.conditions, z=settings.z, least=TELLING)
    return SkillStep(text, templates, tuple(map(readable_condition, found.when)), False, found.good, found.total, only)


def _way(key: str, acts: Sequence[Act], settings: Settings) -> str:
    """One of several ways in which successes did a step, with what decides for it; empty when nothing does."""
    rows = [Row(frozenset(act.links), float(act.key == key), 1.0) for act in acts]
    found = rule(rows, conditions=WAY_CONDITIONS, z=settings.z)
    if not found.when or found.bound < settings.floor:
        return ""
    return f"{readable_action(key)} (if {'; '.join(map(readable_condition, found.when))})"


def _merged(steps: Sequence[SkillStep], places: Sequence[float], runs: Sequence[alignment.Run]) -> tuple[list[SkillStep], list[float]]:
    """Steps with what is done again right after it said once, and where each stands; a step that most runs do more often says so."""
    kept: list[SkillStep] = []
    where: list[float] = []
    for step, place in zip(steps, places, strict=True):
        if kept and (kept[-1].templates, kept[-1].only, kept[-1].text) == (step.templates, step.only, step.text):
            continue
        kept.append(step)
        where.append(place)
    for number, step in enumerate(kept):
        alike = sum(other.templates == step.templates and other.only == step.only for other in kept)
        named = [other for other in kept if other.only and other is not step]
        often = sum(sum(step.done_by(act) and not any(other.done_by(act) for other in named) for act in run) > alike for run in runs)
        if 2 * often > len(runs):
            kept[number] = replace(step, text=step.text + AGAIN, again=True)
    return kept, where


def _optional(runs: Sequence[alignment.Run], required: Sequence[SkillStep], acts: Sequence[Act], settings: Settings) -> list[SkillStep]:
    """Steps that some successes did, under conditions that make them lead on."""
    count: Counter[str] = Counter()
    for run in runs:
        count.update({act.key for act in run if not any(step.done_by(act) for step in required)})
    ranked: list[tuple[Rule, str]] = []
    for key, times in count.items():
        if times >= 2:
            found = rule(led_on(_doing(acts, (key,))), conditions=settings.conditions, z=settings.z)
            if found.bound >= settings.floor:
                ranked.append((found, key))
    ranked.sort(key=lambda item: (-item[0].good, item[1]))
    return [
        SkillStep(readable_action(key), (key,), tuple(map(readable_condition, found.when)), True, found.good, found.total)
        for found, key in ranked[:OPTIONAL]
    ]


def _placed(
    required: Sequence[SkillStep], places: Sequence[float], optional: Sequence[SkillStep], runs: Sequence[alignment.Run]
) -> list[SkillStep]:
    """All steps in the order in which they are done: by their mean place in the runs; required ones keep theirs."""

    def place(step: SkillStep) -> float:
        found = [number / len(run) for run in runs for number, act in enumerate(run) if step.done_by(act)]
        return sum(found) / len(found) if found else 1.0

    at = 0.0
    ordered: list[tuple[float, int, SkillStep]] = []
    for number, step in enumerate(required):
        at = max(at, places[number])
        ordered.append((at, number, step))
    ordered += [(place(step), len(required) + number, step) for number, step in enumerate(optional)]
    return [step for _, _, step in sorted(ordered, key=lambda item: item[:2])]


def pitfalls(acts: Sequence[Act], failures: Sequence[Attempt], settings: Settings) -> tuple[str, ...]:
    """What ended badly again and again: actions that lost, and actions that failed attempts ended with."""
    found: list[tuple[float, str]] = []
    for key in sorted({act.key for act in acts if act.loss > 0}):
        bad = rule(lost(_doing(acts, (key,))), conditions=settings.conditions, z=settings.z)
        if bad.good >= 2 and bad.bound >= settings.pitfall:
            conditions = f" if {'; '.join(map(readable_condition, bad.when))}" if bad.when else ""
            found.append((bad.bound, f"do not {readable_action(key)}{conditions}: it ended badly {bad.good:g} of {bad.total:g} times"))
    named = {key for key in {act.key for act in acts} if any(readable_action(key) in text for _, text in found)}
    ends = Counter(attempt.acts[-1].key for attempt in failures if attempt.outcome == "failure" and attempt.acts)
    for key, times in sorted(ends.items()):
        done = sum(act.key == key for act in acts)
        bound = lower_bound(times, done, settings.z)
        if times >= 2 and bound >= settings.pitfall and key not in named:
            found.append((bound, f"{readable_action(key)} was the last step of {times} attempts that failed, of {done} times it was done"))
    found.sort(key=lambda item: (-item[0], item[1]))
    return tuple(text for _, text in found[:PITFALLS])


def _doing(acts: Sequence[Act], templates: Sequence[str]) -> list[Act]:
    wanted = set(templates)
    return [act for act in acts if act.key in wanted or not wanted.isdisjoint(act.levels)]


def _template(step: SkillStep, runs: Sequence[alignment.Run]) -> Template:
    support = sum(any(step.done_by(act) for act in run) for run in runs)
    return Template(step.text, support, step.when)


def _when(tasks: Sequence[str]) -> str:
    text = alignment.common_text([" ".join(task.split()) for task in tasks])
    return LIKE + (text if len(text) <= WHEN_CHARS else text[: WHEN_CHARS - 1] + "…")


def _name(tasks: Sequence[str], steps: Sequence[SkillStep]) -> str:
    words = [word for word in alignment.common_text([" ".join(task.split()) for task in tasks]).split() if word != "…"]
    if len(words) < 2:
        words = " ".join(step.text for step in steps[:2]).split()
    return " ".join(words[:NAME_WORDS]).strip(" ,.;:")
