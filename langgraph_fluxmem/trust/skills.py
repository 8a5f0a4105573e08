"""Skills before they are proposed: what the rules quote of other people's text is cut, what a model wrote of it is held back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from langgraph_fluxmem.requests import Call, Stage
from langgraph_fluxmem.schema import Namespace
from langgraph_fluxmem.skills.model import LIKE, Skill, SkillStep
from langgraph_fluxmem.text.folding import folded
from langgraph_fluxmem.trust.quarantine import Json, allowed_texts, withheld
from langgraph_fluxmem.trust.screening import Finding, Known, suspicious

if TYPE_CHECKING:
    from langgraph_fluxmem.learned import Learned


@dataclass
class Screen:
    """The screen for skills that are made of some episodes (version id -> body); what was released before (`allowed`, folded) passes."""

    episodes: Mapping[str, Mapping[str, Any]]
    allowed: frozenset[str] = frozenset()
    on: bool = True

    @cached_property
    def known(self) -> Known:
        """What the episodes hold; looked up when a text gives reason to."""
        return Known.of(self.episodes)

    def own(self, skill: Skill) -> tuple[Skill, Json | None]:
        """A skill of the rules without other people's text: (the skill, what was held back).

        Its steps are actions that the agent executed, and stay. Conditions quote what was seen, and one that quotes more than a few words, or
        an order, is dropped; so is such text in an action's details, a name, or a pitfall.
        """
        if not self.on:
            return skill, None
        findings: list[tuple[str, Finding]] = []

        def clean(text: str) -> str:
            found = self._quoted(text)
            if found is None:
                return text
            findings.append((text, found))
            return self.known.masked(text)

        def step(step: SkillStep) -> SkillStep:
            when = [(condition, self._quoted(condition)) for condition in step.when]
            findings.extend((condition, found) for condition, found in when if found is not None)
            return replace(step, text=clean(step.text), when=tuple(condition for condition, found in when if found is None))

        when = clean(skill.match())
        cut = replace(
            skill,
            name=clean(skill.name),
            when=(LIKE if skill.when.startswith(LIKE) else "") + when,
            steps=tuple(map(step, skill.steps)),
            pitfalls=tuple(map(clean, skill.pitfalls)),
        )
        return (cut, self._held(skill, findings, "rules")) if findings else (skill, None)

    def told(self, skill: Skill, base: Skill, by: str = "model") -> Json | None:
        """What is held back of a skill that was written by somebody else from `base`, whose lines are clean; None: it may be proposed."""
        if not self.on:
            return None
        there = {base.name, base.when, *base.lines(), *base.pitfalls}
        findings: list[tuple[str, Finding]] = []
        for text in (skill.name, skill.when, *skill.pitfalls):
            if text not in there and folded(text) not in self.allowed:
                findings += ((text, found) for found in self.known.findings(text))
        for step, line in zip(skill.steps, skill.lines(), strict=True):
            if line not in there and folded(step.text) not in self.allowed:
                findings += ((step.text, found) for found in self.known.findings(step.text, step=True, acts=bool(step.templates)))
        return self._held(skill, findings, by) if findings else None

    def _quoted(self, text: str) -> Finding | None:
        if not suspicious(text) or folded(text) in self.allowed:
            return None
        return self.known.copied(text) or self.known.instructs(text, quoted=True) or self.known.unnamed(text, hosts_only=True)

    def _held(self, skill: Skill, findings: Sequence[tuple[str, Finding]], by: str) -> Json:
        return withheld(by, skill.body(), [(text, str(found)) for text, found in findings], self.episodes)


def screen_for(namespace: Namespace, learned: Learned, episodes: Iterable[str]) -> Stage:
    """The `Screen` for skills made of these episodes (version ids); those that are gone are passed over."""
    on, allowed = yield Call(lambda engine: (engine.config.quarantine, allowed_texts(engine.ledger, namespace)))
    rows = ((version, learned.episodes.get(version)) for version in episodes)
    return Screen({version: row.body for version, row in rows if row is not None and row.body is not None}, allowed, on)
