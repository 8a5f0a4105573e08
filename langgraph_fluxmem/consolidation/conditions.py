"""Rules over logged steps: under which conditions an action leads on, and under which it ends badly (LEARNING, section 2).

Greedy: of all patterns of the situation the one that raises the lower bound of the success rate most is added, up to a few. They are
ranked by the lower bound, so that a pattern that held once by chance does not beat one that held often.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from langgraph_fluxmem.consolidation.attempts import Act
from langgraph_fluxmem.consolidation.maturity import lower_bound

LEAST_GAIN = 0.02
"""What a condition must add to the lower bound."""
_SLOT = re.compile(r"<([nto]+)>")
_NUMBERED = re.compile(r"_(\d)")
_KINDS = {"n": "from the notes", "t": "from the task", "nt": "from the task and the notes", "o": "seen"}
_SAYS = {"n": "a note says", "t": "the task says", "o": "seen"}


@dataclass(frozen=True, slots=True)
class Rule:
    """Conditions that all hold, and what came of the action then: `good` of `total`, at least at the rate `bound`."""

    when: tuple[str, ...]
    good: float
    total: float
    bound: float


@dataclass(frozen=True, slots=True)
class Row:
    """An act as evidence for a rule: its patterns, and how much of its weight counts as good."""

    links: frozenset[str]
    good: float
    total: float


def led_on(acts: Sequence[Act]) -> list[Row]:
    """Rows in which good means that it led on."""
    return [Row(frozenset(act.links), act.progress, act.progress + act.failure) for act in acts if act.progress + act.failure > 0]


def lost(acts: Sequence[Act]) -> list[Row]:
    """Rows in which good means that it ended the task badly: for pitfalls."""
    tried = [(act, max(act.progress + act.failure, act.loss)) for act in acts]
    return [Row(frozenset(act.links), min(act.loss, total), total) for act, total in tried if total > 0]


def rule(rows: Sequence[Row], *, conditions: int, z: float, least: float = LEAST_GAIN) -> Rule:
    """The best rule by greedy search, deterministic in the set of rows; each condition adds at least `least` to the lower bound."""
    held = list(rows)
    when: list[str] = []
    good, total = sum(row.good for row in held), sum(row.total for row in held)
    bound = lower_bound(good, total, z)
    while len(when) < conditions:
        sums: dict[str, list[float]] = {}
        for row in held:
            for link in row.links:
                entry = sums.setdefault(link, [0.0, 0.0])
                entry[0] += row.good
                entry[1] += row.total
        ranked = [(lower_bound(g, n, z), n, link) for link, (g, n) in sums.items() if link not in when]
        if not ranked:
            break
        best, _, link = max(ranked, key=lambda item: (round(item[0], 9), item[1], _general(item[2])))
        if best < bound + least:
            break
        when.append(link)
        held = [row for row in held if link in row.links]
        good, total = sums[link]
        bound = best
    return Rule(tuple(when), good, total, bound)


def _general(link: str) -> tuple[int, str]:
    """Of patterns that decide alike the shortest one is kept."""
    return (-len(link), link)


def readable_action(key: str) -> str:
    """A template for people: ``= <n> with knife`` is ``<as told> <1, from the notes> with knife``."""
    number = 0

    def slot(match: re.Match[str]) -> str:
        nonlocal number
        number += 1
        return f"<{number}, {_KINDS.get(match[1], 'named before')}>"

    text = _SLOT.sub(slot, key)
    return "<as told>" + text[1:] if text.startswith("= ") else text


def _plain(link: str) -> str:
    """The patterns that are no quotation."""
    word, _, rest = link.partition(" ")
    if word == "owes":
        slot, _, count = _NUMBERED.sub(r"<\1>", rest).partition(" ")
        return f"{slot} is still asked for" if count != "0" else f"{slot} has been dealt with"
    if word == "owed":
        return f"{rest} things are still asked for" if rest != "0" else "nothing else is asked for"
    fixed = {"start": "at the start", "notes": "notes were read", "no notes": "no notes were read", "just done": "it was just done"}
    return fixed.get(link, _NUMBERED.sub(r"<\1>", link))


def readable_condition(link: str) -> str:
    """A pattern of a situation for people: ``n:roast the _1`` is ``a note says "roast the <1>"``."""
    kind, colon, pattern = link.partition(":")
    shown = _NUMBERED.sub(r"<\1>", pattern).replace("~", " ")
    source, _, key = kind.partition(".")
    if not colon:
        return _plain(link)
    if kind == "did":
        return f'"{shown}" was done'
    if kind == "prev":
        return f'right after "{shown}"'
    if source in _SAYS:
        name = f"{_SAYS[source]} in {key}" if key else _SAYS[source]
        return f'{name} "{shown}"'
    return f"{kind}: {shown}"
