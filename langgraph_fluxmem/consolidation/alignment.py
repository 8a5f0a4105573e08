"""Aligning what several successes did: which steps they share, in which order, and what varies between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from langgraph_fluxmem.consolidation.attempts import Act
from langgraph_fluxmem.learning.situation import flatten
from langgraph_fluxmem.schema import Action

SAME, ALIKE = 1.0, 0.6
"""Score of two acts with one template key, and of two that share only a more general pattern (more than an operation's bare name)."""
COMPARED = 12
"""Runs among which the one most like the others is looked for."""

Run = Sequence[Act]


@dataclass(slots=True)
class Column:
    """A step of the reference run with the acts of other runs that align with it (its own first)."""

    acts: list[Act] = field(default_factory=list)
    places: list[float] = field(default_factory=list)
    """Where in its run each act stands, in [0, 1)."""

    @property
    def constant(self) -> str | None:
        """The action itself when all runs did the very same; None when something varies."""
        texts = {act.text for act in self.acts}
        return literal(self.acts[0].action) if len(texts) == 1 else None

    def key(self) -> str:
        """The template that says most about all: the commonest key if most have it, else the most specific pattern they share."""
        counted = Counter(act.key for act in self.acts)
        key, times = min(counted.items(), key=lambda item: (-item[1], item[0]))
        if 2 * times > len(self.acts):
            return key
        shared = [level for level in _patterns(self.acts[0]) if all(level in act.levels for act in self.acts)]
        return shared[-1] if shared else key

    def templates(self) -> tuple[str, ...]:
        """What an action must have one of to do this step."""
        keys = {act.key for act in self.acts}
        return tuple(sorted(keys if len(keys) == 1 else keys | {self.key()}))


def likeness(first: Act, second: Act) -> float:
    """How alike two acts are, in [0, 1]."""
    if first.key == second.key:
        return SAME
    return ALIKE if any(level in second.levels for level in _patterns(first)) else 0.0


def literal(action: Action) -> str:
    """An action as it is, on one line: a command, or the operation and its key-value pairs."""
    if isinstance(action, str):
        return action
    (_, head), *rest = flatten(action)
    return " ".join((head, *(f"{key}={value}" for key, value in rest)))


def _patterns(act: Act) -> list[str]:
    """Patterns of an act that say more than which operation it is, from general to specific."""
    return [level for level in act.levels if " " in level]


def align(first: Run, second: Run) -> tuple[float, list[tuple[int, int]]]:
    """The heaviest common subsequence of two runs (n and m acts, O(nm)): its weight, and the pairs of indices that align."""
    n, m = len(first), len(second)
    best = np.zeros((n + 1, m + 1))
    same = np.array([[likeness(one, other) for other in second] for one in first]).reshape(n, m)
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            score = same[i - 1, j - 1]
            best[i, j] = max(best[i - 1, j], best[i, j - 1], best[i - 1, j - 1] + score if score else 0.0)
    pairs: list[tuple[int, int]] = []
    i, j = n, m
    while i and j:
        score = same[i - 1, j - 1]
        if score and best[i, j] == best[i - 1, j - 1] + score:
            pairs.append((i - 1, j - 1))
            i, j = i - 1, j - 1
        elif best[i, j] == best[i - 1, j]:
            i -= 1
        else:
            j -= 1
    return float(best[n, m]), pairs[::-1]


def similarity(first: Run, second: Run) -> float:
    """Weight of what two runs share, as a part of the longer one, in [0, 1]."""
    longer = max(len(first), len(second))
    return align(first, second)[0] / longer if longer else 0.0


def reference(runs: Sequence[Run]) -> int:
    """Index of the run most like the others; of equals the shortest, then the earliest. At most `COMPARED` of them are compared."""
    chosen = _spread(len(runs), COMPARED)
    likes = {i: sum(similarity(runs[i], runs[j]) for j in chosen if j != i) for i in chosen}
    return min(chosen, key=lambda i: (-round(likes[i], 9), len(runs[i]), i))


def columns(runs: Sequence[Run], support: float) -> list[Column]:
    """Steps of the reference run that at least `support` of all runs share, in order."""
    at = reference(runs)
    found = [Column([act], [number / len(runs[at])]) for number, act in enumerate(runs[at])]
    for number, run in enumerate(runs):
        if number != at:
            for i, j in align(runs[at], run)[1]:
                found[i].acts.append(run[j])
                found[i].places.append(j / len(run))
    return [column for column in found if len(column.acts) >= support * len(runs) - 1e-9]


def groups(runs: Sequence[Run], similar: float) -> list[list[int]]:
    """Split runs by what they did: each joins the first group whose first run is at least `similar`, else begins one."""
    found: list[list[int]] = []
    for number, run in enumerate(runs):
        home = next((group for group in found if similarity(runs[group[0]], run) >= similar), None)
        if home is None:
            found.append([number])
        else:
            home.append(number)
    return found


def common_text(texts: Sequence[str], gap: str = "…") -> str:
    """The words that all texts share, in order, with `gap` where they differ; the first text where they share nothing."""
    unique = list(dict.fromkeys(texts))
    words = unique[0].split()
    for text in unique[1:32]:
        words = _common(words, text.split(), gap)
    kept = [word for word in words if word != gap]
    return " ".join(words) if kept else unique[0]


def _common(first: Sequence[str], second: Sequence[str], gap: str) -> list[str]:
    n, m = len(first), len(second)
    best = np.zeros((n + 1, m + 1), np.int32)
    for i in range(n - 1, -1, -1):
        for j in range(m - 1, -1, -1):
            best[i, j] = best[i + 1, j + 1] + 1 if first[i] == second[j] and first[i] != gap else max(best[i + 1, j], best[i, j + 1])
    out: list[str] = []
    i = j = 0
    while i < n or j < m:
        if i < n and j < m and first[i] == second[j] and first[i] != gap:
            out.append(first[i])
            i, j = i + 1, j + 1
            continue
        if not out or out[-1] != gap:
            out.append(gap)
        if j >= m or (i < n and best[i + 1, j] >= best[i, j + 1]):
            i += 1
        else:
            j += 1
    return out


def _spread(size: int, count: int) -> list[int]:
    return list(range(size)) if size <= count else sorted({round(k * (size - 1) / (count - 1)) for k in range(count)})
