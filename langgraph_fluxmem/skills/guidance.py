"""What recalled skills say of an action: a rule that holds in the situation speaks where evidence alone is not yet sure.

A skill's rules were induced from what its episodes did (`consolidation.rules`), each with a lower bound of how often it held. The best
rule for an action raises its value to that bound, unless a surer one says that it ends badly: that one raises the risk. The counts behind
rules and steps are the same, so they are not added up, and a rule has a say only as far as the evidence from just such situations leaves
room for it (`learning.advice`). Without that limit rules, which name what holds and never what does not, advised what had just been done:
of ten games after the first wins nine were lost (one seed).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from langgraph_fluxmem.skills.model import Skill, SkillRule

LIKELY = 0.5
"""Lower bound of a loss from which no rule speaks for an action."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the skills say: `value` and `risk` are lower bounds in [0, 1], 0 where no rule holds; `path` names the rules."""

    value: float = 0.0
    risk: float = 0.0
    path: tuple[str, ...] = ()


SILENT = Said()


class Guide:
    """The rules of the skills that were recalled, by template."""

    def __init__(self, skills: Iterable[tuple[str, Skill]]) -> None:
        """`skills` are (version id, skill)."""
        self._rules: dict[str, list[tuple[SkillRule, str]]] = {}
        for name, skill in skills:
            for rule in skill.rules:
                self._rules.setdefault(rule.template, []).append((rule, name))

    def __bool__(self) -> bool:
        return bool(self._rules)

    def says(self, levels: Sequence[str], links: Collection[str]) -> Said:
        """What is said of an action with these template levels, in a situation with these patterns."""
        good = self._best(levels, links, ends=False)
        bad = self._best(levels, links, ends=True)
        if bad is not None and bad[0].bound >= LIKELY and (good is None or good[0].bound <= bad[0].bound):
            return Said(risk=bad[0].bound, path=(_told(*bad),))
        if good is not None:
            return Said(value=good[0].bound, path=(_told(*good),))
        return SILENT

    def _best(self, levels: Sequence[str], links: Collection[str], *, ends: bool) -> tuple[SkillRule, str] | None:
        held = (
            (rule, name)
            for level in levels
            for rule, name in self._rules.get(level, ())
            if rule.ends == ends and all(pattern in links for pattern in rule.given)
        )
        return max(held, key=lambda found: (found[0].bound, found[0].total, found[0].given), default=None)


def _told(rule: SkillRule, name: str) -> str:
    when = " and ".join(rule.given) or "always"
    return f"skill {name}: {when} -> {rule.template}: {'ended badly' if rule.ends else 'led on'} {rule.good:.3g} of {rule.total:.3g}"
