"""Memories that do not evolve: the controls of the demonstration and the benchmark.

They share slots, templates and credit with the learning core (`langgraph_fluxmem.learning`) and the explorer with every variant. What
they lack is evidence that adds up: each step that earned progress is kept, and the nearest one is suggested. Of the kept steps that share
a level of the action template with a command, the nearest is the one whose situation has most in common with that command's: the Jaccard
index of their links. (The index over templates and links together, and the product of both, scored lower on development games.)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.learning.credit import derived, evidence, record
from langgraph_fluxmem.learning.situation import read
from langgraph_fluxmem.learning.template import links, template
from langgraph_fluxmem.schema import Action, Advice, Episode, Situation, Why


class Neighbours:
    """Kept steps, each the levels of its template and the links of its situation, and how near the nearest of them is."""

    def __init__(self) -> None:
        self._by_level: dict[str, list[int]] = {}
        self._by_link: dict[str, list[int]] = {}
        self._sizes: list[int] = []
        self._known: set[tuple[frozenset[str], frozenset[str]]] = set()

    def __len__(self) -> int:
        return len(self._sizes)

    def keep(self, levels: Sequence[str], situation: Sequence[str]) -> None:
        """Keep a step; one with exactly the patterns of an earlier one adds nothing to the nearest and is dropped."""
        step = (frozenset(levels), frozenset(situation))
        if step in self._known:
            return
        self._known.add(step)
        for index, patterns in ((self._by_level, step[0]), (self._by_link, step[1])):
            for pattern in patterns:
                index.setdefault(pattern, []).append(len(self._sizes))
        self._sizes.append(len(step[1]))

    def nearest(self, levels: Sequence[str], situation: Sequence[str]) -> float:
        """Jaccard index of the links, in [0, 1], with the nearest kept step that shares a level; 0 when none does."""
        alike = self._having(self._by_level, levels) > 0
        if not alike.any():
            return 0.0
        shared = self._having(self._by_link, situation)
        union = np.asarray(self._sizes) + len(set(situation)) - shared
        return float((shared[alike] / np.maximum(union[alike], 1)).max())

    def _having(self, index: dict[str, list[int]], patterns: Sequence[str]) -> NDArray[np.intp]:
        """How many of `patterns` each kept step has, (steps,)."""
        found = [rows for pattern in dict.fromkeys(patterns) if (rows := index.get(pattern))]
        return np.bincount(np.concatenate(found), minlength=len(self._sizes)) if found else np.zeros(len(self._sizes), np.intp)


class StepStore:
    """Steps of past episodes on disk (one JSON line per episode), suggested by nearness alone.

    Args:
        path: file the steps are kept in; read when it exists. None keeps them in memory only.
        weight: logits of advice at nearness 1.
        failures: keep failed steps too, and subtract the nearness of the nearest one.

    """

    def __init__(self, path: str | Path | None = None, *, weight: float, failures: bool = False) -> None:
        self.weight = weight
        self.failures = failures
        self.episodes: set[str] = set()
        self._good = Neighbours()
        self._bad = Neighbours()
        self._path = Path(path) if path is not None else None
        for line in whole_lines(self._path) if self._path is not None else ():
            self._take(json.loads(line))

    def advise(self, situation: Situation, actions: Sequence[Action]) -> list[Advice]:
        """Weight times nearness, per action."""
        scene = read(situation)
        advice: list[Advice] = []
        for action in actions:
            made = template(action, scene)
            seen = links(action, made, scene)
            near = self._good.nearest(made.patterns, seen)
            far = self._bad.nearest(made.patterns, seen) if self.failures else 0.0
            why = Why(signals={"nearest success": self.weight * near, "nearest failure": -self.weight * far}, path=(made.key,))
            advice.append(Advice(action=action, score=self.weight * (near - far), value=near, risk=far, support=0.0, why=why))
        return advice

    def commit(self, episode: Episode) -> None:
        """Keep the steps of an episode; one id is kept once.

        Raises:
            ValueError: the episode has no id.

        """
        if episode.id is None:
            raise ValueError("a step store keeps each episode once; give the episode an id")
        if episode.id in self.episodes:
            return
        body = record(episode)
        gained = {ordinal for ordinal, channel, _ in evidence(episode) if channel == "progress"}
        failed = {ordinal for ordinal, channel, _ in evidence(episode) if channel != "progress"} - gained
        kept: dict[str, Any] = {"episode": episode.id, "good": [], "bad": []}
        for name, ordinals in (("good", gained), ("bad", failed)):
            for ordinal in sorted(ordinals):
                patterns = derived(body, ordinal)
                if patterns is not None:
                    kept[name].append([patterns[1], patterns[2]])
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(kept) + "\n")
        self._take(kept)

    def _take(self, kept: dict[str, Any]) -> None:
        self.episodes.add(kept["episode"])
        for levels, situation in kept["good"]:
            self._good.keep(levels, situation)
        for levels, situation in kept["bad"] if self.failures else ():
            self._bad.keep(levels, situation)


def whole_lines(path: Path) -> list[str]:
    """Lines of a log that may end in a torn one (a process killed as it wrote); a torn line is cut off the file."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    return whole.splitlines()
