"""What a skill knows of single actions: under which conditions each kind of action led on, and under which it ended badly.

Rules are induced over all that was done in a cluster, failures included (LEARNING, section 2: "skills without replay"). For each template the best rule by the lower bound of its rate is found greedily
(`conditions.rule`), then the next one over what it does not cover.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from langgraph_fluxmem.consolidation.attempts import Act
from langgraph_fluxmem.consolidation.conditions import Row, led_on, lost, rule
from langgraph_fluxmem.consolidation.settings import Settings
from langgraph_fluxmem.skills.model import SkillRule

PER_TEMPLATE = 4
"""Rules for one template, of each kind."""
LEAST = 2.0
"""Weight that must have come out under a rule."""


def rules_of(acts: Sequence[Act], settings: Settings) -> tuple[SkillRule, ...]:
    """Rules over what was done, those that led on first, the best attested first. A function of the set of acts."""
    doing: dict[str, list[Act]] = {}
    for act in acts:
        if act.progress or act.failure or act.loss:
            for level in act.levels[: act.levels.index(act.key) + 1] if act.key in act.levels else (act.key,):
                doing.setdefault(level, []).append(act)
    found = [
        *(made for template in sorted(doing) for made in _covering(template, led_on(doing[template]), settings, ends=False)),
        *(made for template in sorted(doing) for made in _covering(template, lost(doing[template]), settings, ends=True)),
    ]
    return tuple(sorted(found, key=lambda made: (made.ends, -made.bound, made.template, made.given)))


def _covering(template: str, rows: Sequence[Row], settings: Settings, *, ends: bool) -> Iterable[SkillRule]:
    """Rules of one template, each over what those before do not cover, as long as their bound reaches the threshold."""
    least = settings.pitfall if ends else settings.floor
    rest = list(rows)
    for _ in range(PER_TEMPLATE):
        found = rule(rest, conditions=settings.conditions, z=settings.z)
        if found.good < LEAST or found.bound < least:
            return
        yield SkillRule(template, tuple(sorted(found.when)), found.good, found.total, found.bound, ends)
        held = set(found.when)
        rest = [row for row in rest if not held <= row.links]
