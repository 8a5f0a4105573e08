"""A skill as it is stored, written out, and followed: steps with slots, each with the conditions under which it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from langgraph_fluxmem.operators.schemas import Drafted, DraftStep

LIKE = "the task is like: "
"""How rules begin to say when a skill is of use."""
PREFIX = "s-"
"""Skill nodes are named so."""


Status = Literal["candidate", "mature", "demoted", "retired"]


@dataclass(frozen=True, slots=True)
class Trials:
    """Outcomes of episodes that ran under one version of a skill, in `contexts` distinct contexts."""

    successes: float = 0.0
    failures: float = 0.0
    contexts: int = 0

    @property
    def rate(self) -> float | None:
        """Success rate; None before the first trial."""
        total = self.successes + self.failures
        return self.successes / total if total else None


@dataclass(frozen=True, slots=True)
class Done:
    """An action that was done: its place in the episode, template key, patterns, and the action as one line."""

    ordinal: int
    key: str
    levels: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class SkillRule:
    """What a skill knows of one kind of action, for advice: in situations that have all patterns of `given`, an action of `template` led
    on - or, where it `ends`, ended the task badly - `good` of `total` times, and so at least at the rate `bound` (lower bound).

    Patterns are those of `learning.template.links`.
    """

    template: str
    given: tuple[str, ...]
    good: float
    total: float
    bound: float
    ends: bool = False


@dataclass(frozen=True, slots=True)
class SkillStep:
    """One step.

    Attributes:
        text: the action with its slots, for people and prompts.
        templates: template keys or patterns; an action that has one of them does this step. None: advice without an action of its own.
        when: conditions on the situation (patterns of `learning.situation`, for the text), all of which must hold.
        only: the action itself, as text, where it was the same in all runs; then nothing else does this step. Empty: whatever has a template.
        optional: done only where `when` holds; other steps belong to every run.
        again: most runs did it more than once.
        good, total: evidence the rule rests on: how often such a step led on, of how often it was tried.

    """

    text: str
    templates: tuple[str, ...] = ()
    when: tuple[str, ...] = ()
    optional: bool = False
    good: float = 0.0
    total: float = 0.0
    only: str = ""
    again: bool = False

    def line(self) -> str:
        """The step with its conditions."""
        if self.when:
            return f"{self.text} ({'only if' if self.optional else 'if'} {'; '.join(self.when)})"
        return f"{self.text} (where it is needed)" if self.optional else self.text

    def done_by(self, done: Done) -> bool:
        """Whether an action does the step."""
        if self.only:
            return done.text == self.only
        return done.key in self.templates or any(level in self.templates for level in done.levels)


@dataclass(frozen=True, slots=True)
class Skill:
    """A skill's version.

    Attributes:
        node: of all its versions. number: counts texts from 1. base: version id this one was made from, None for the first.
        revision: version id that first had this text; trials are counted under it.
        position: log position up to which episodes were looked at for it.
        trials: as counted at the last consolidation. contexts: digests of the distinct contexts it succeeded in.
        history: PEMS after each round that scored it, over all versions.
        variant_of: node of the skill it is tried against; it takes that one's place once it is mature and does better.
        rules: what it knows of single actions; `guidance` reads them. They are no part of its text.

    """

    node: str
    name: str
    when: str
    steps: tuple[SkillStep, ...]
    pitfalls: tuple[str, ...] = ()
    status: Status = "candidate"
    number: int = 1
    revision: str = ""
    base: str | None = None
    position: int = 0
    trials: Trials = field(default_factory=Trials)
    contexts: tuple[str, ...] = ()
    history: tuple[float, ...] = ()
    variant_of: str | None = None
    source: str = "rules"
    rules: tuple[SkillRule, ...] = ()

    def text(self) -> str:
        """The skill as a prompt shows it; its length is what PEMS charges for."""
        lines = [f"{self.name} - when {self.when}"]
        lines += [f"{number}. {line}" for number, line in enumerate(self.lines(), 1)]
        lines += [f"beware: {pitfall}" for pitfall in self.pitfalls]
        return "\n".join(lines)

    def lines(self) -> tuple[str, ...]:
        """Its steps, one line each, with their conditions."""
        return tuple(step.line() for step in self.steps)

    def match(self) -> str:
        """What a task is compared with: when to use it, without the words around."""
        return self.when.removeprefix(LIKE)

    def draft(self) -> Drafted:
        """As operators see it: each acting step names itself as its template."""
        return Drafted(
            name=self.name,
            when=self.when,
            steps=[
                DraftStep(template=number if step.templates else None, text=line, optional=step.optional or None)
                for number, (step, line) in enumerate(zip(self.steps, self.lines(), strict=True))
            ],
            pitfalls=list(self.pitfalls),
        )

    def redrafted(self, draft: Drafted, templates: Sequence[SkillStep], *, source: str) -> Skill:
        """The skill with the text of a draft, whose steps refer to `templates`; a line that was left as it is keeps its conditions."""
        steps: list[SkillStep] = []
        lines = {line: step for step, line in zip(self.steps, self.lines(), strict=True)}
        for drafted in draft.steps:
            text = " ".join(drafted.text.split())
            if text in lines:
                kept = lines[text]
                steps.append(kept if drafted.optional is None else replace(kept, optional=drafted.optional and bool(kept.templates)))
            elif drafted.template is None:
                steps.append(SkillStep(text))
            else:
                steps.append(replace(templates[drafted.template], text=text, when=(), optional=bool(drafted.optional)))
        pitfalls = tuple(" ".join(pitfall.split()) for pitfall in draft.pitfalls)
        return replace(
            self, name=" ".join(draft.name.split()), when=" ".join(draft.when.split()), steps=tuple(steps), pitfalls=pitfalls, source=source
        )

    def body(self) -> dict[str, Any]:
        """As JSON, for the ledger and for a graph's state."""
        return {
            "name": self.name,
            "when": self.when,
            "steps": [
                {
                    "text": step.text,
                    "templates": list(step.templates),
                    "when": list(step.when),
                    "optional": step.optional,
                    "good": step.good,
                    "total": step.total,
                    "only": step.only,
                    "again": step.again,
                }
                for step in self.steps
            ],
            "pitfalls": list(self.pitfalls),
            "status": self.status,
            "number": self.number,
            "revision": self.revision,
            "base": self.base,
            "position": self.position,
            "trials": {"successes": self.trials.successes, "failures": self.trials.failures, "contexts": self.trials.contexts},
            "contexts": list(self.contexts),
            "pems": list(self.history),
            "variant_of": self.variant_of,
            "source": self.source,
            "node": self.node,
            "rules": [[rule.template, list(rule.given), rule.good, rule.total, rule.bound, rule.ends] for rule in self.rules],
        }

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Skill:
        """From `body`."""
        return cls(
            node=body["node"],
            name=body["name"],
            when=body["when"],
            steps=tuple(
                SkillStep(
                    step["text"],
                    tuple(step["templates"]),
                    tuple(step["when"]),
                    step["optional"],
                    step["good"],
                    step["total"],
                    step["only"],
                    step["again"],
                )
                for step in body["steps"]
            ),
            pitfalls=tuple(body["pitfalls"]),
            status=cast("Status", body["status"]),
            number=body["number"],
            revision=body["revision"],
            base=body["base"],
            position=body["position"],
            trials=Trials(**body["trials"]),
            contexts=tuple(body["contexts"]),
            history=tuple(body["pems"]),
            variant_of=body["variant_of"],
            source=body["source"],
            rules=tuple(
                SkillRule(template, tuple(given), good, total, bound, ends)
                for template, given, good, total, bound, ends in body.get("rules", ())
            ),
        )


def follow(skill: Skill, run: Sequence[Done]) -> tuple[int, ...] | None:
    """Ordinals of the actions by which a run followed the skill: every step that is not optional, in order, the optional ones it did, and
    what it did again of steps that are.

    None when a step is missing, or the skill has none to follow.
    """
    taken, part = followed(skill, run)
    return taken if part >= 1.0 and taken else None


def followed(skill: Skill, run: Sequence[Done]) -> tuple[tuple[int, ...], float]:
    """Ordinals of the actions that follow the skill from its first step on, and which part of its steps was reached, in [0, 1]."""
    required = [step for step in skill.steps if step.templates and not step.optional]
    optional = [step for step in skill.steps if step.templates and step.optional]
    taken: list[int] = []
    at = 0
    for done in run:
        if at < len(required) and required[at].done_by(done):
            taken.append(done.ordinal)
            at += 1
        elif any(step.done_by(done) for step in optional) or any(step.again and step.done_by(done) for step in required[:at]):
            taken.append(done.ordinal)
    return tuple(taken), at / len(required) if required else 1.0
