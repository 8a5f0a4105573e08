"""Memories that do not evolve: the controls of the demonstration and the benchmark.

They share slots, templates and credit with the learning core (`langgraph_fluxmem.learning`) and the explorer with every variant. What
they lack is evidence that adds up: each step that earned progress is kept, and the nearest one is suggested. Nearness of a command to a
kept step is the Jaccard index of their patterns: levels of the action template, and links of the situation as that action sees it.
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
    """Kept steps as sets of patterns, and how near the nearest of them is."""

    def __init__(self) -> None:
        self._postings: dict[str, list[int]] = {}
        self._sizes: list[int] = []
        self._known: set[frozenset[str]] = set()

    def __len__(self) -> int:
        return len(self._sizes)

    def keep(self, patterns: Sequence[str]) -> None:
        """Keep a step; one with exactly the patterns of an earlier one adds nothing to the nearest and is dropped."""
        step = frozenset(patterns)
        if step in self._known:
            return
        self._known.add(step)
        for pattern in step:
            self._postings.setdefault(pattern, []).append(len(self._sizes))
        self._sizes.append(len(step))

    def nearest(self, patterns: Sequence[str]) -> float:
        """Jaccard index, in [0, 1], of the nearest kept step; 0 when none shares a pattern."""
        lists = [found for pattern in patterns if (found := self._postings.get(pattern))]
        if not lists:
            return 0.0
        shared: NDArray[np.intp] = np.bincount(np.concatenate(lists), minlength=len(self._sizes))
        union = np.asarray(self._sizes) + len(patterns) - shared
        return float((shared / union).max())


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
        if self._path is not None and self._path.exists():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                self._take(json.loads(line))

    def advise(self, situation: Situation, actions: Sequence[Action]) -> list[Advice]:
        """Weight times nearness, per action."""
        scene = read(situation)
        advice: list[Advice] = []
        for action in actions:
            made = template(action, scene)
            patterns = _joined(made.patterns, links(action, made, scene))
            near = self._good.nearest(patterns)
            far = self._bad.nearest(patterns) if self.failures else 0.0
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
                    kept[name].append(_joined(patterns[1], patterns[2]))
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(kept) + "\n")
        self._take(kept)

    def _take(self, kept: dict[str, Any]) -> None:
        self.episodes.add(kept["episode"])
        for patterns in kept["good"]:
            self._good.keep(patterns)
        for patterns in kept["bad"] if self.failures else ():
            self._bad.keep(patterns)


def _joined(levels: Sequence[str], situation: Sequence[str]) -> list[str]:
    return list(dict.fromkeys((*(f"do {level}" for level in levels), *(f"in {pattern}" for pattern in situation))))
