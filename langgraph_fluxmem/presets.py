"""Presets: named sets of signals, chosen for a memory (`Config.preset`) or for one recall.

``balanced`` is the default. ``fast`` leaves out what looks at neighbours and sources one by one. ``thorough`` lets each signal propose three
times as many candidates and, where a model judges, fills gaps in the evidence (`evidence`). ``paths`` is MemFly's way for comparison:
topics, keywords and neighbours, fused by reciprocal ranks [M]; a neighbour is what stands beside a fact in its source. What each costs and finds:
``python -m tests.benchmarks.locomo --presets``.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from langgraph_fluxmem.errors import ConfigError

PresetName = Literal["fast", "balanced", "thorough", "paths"]


@dataclass(frozen=True, slots=True)
class Preset:
    """`weights` of signals where they differ from their own; each signal proposes `pool` times `Config.pool` candidates; `rounds` of
    evidence refinement where a model judges (rules did not find more that way); `ranks`: signals are fused by reciprocal ranks, not by scores."""

    weights: Mapping[str, float] = field(default_factory=dict[str, float])
    pool: int = 1
    rounds: int = 0
    ranks: bool = False


_OFF = ("dense", "bm25", "surroundings", "source", "answers", "substance", "statement", "proper", "own", "kind", "named")
_PATHS = {**dict.fromkeys(_OFF, 0.0), "topics": 1.0, "keywords": 1.0, "context": 1.0}

PRESETS: Mapping[str, Preset] = {
    "fast": Preset({"bm25": 0.0, "surroundings": 0.0, "source": 0.0, "answers": 0.0}),
    "balanced": Preset(),
    "thorough": Preset(pool=3, rounds=2),
    "paths": Preset(_PATHS, ranks=True),
}
"""All presets by name."""
BALANCED: PresetName = "balanced"


def preset_of(name: object) -> Preset:
    """A preset by its name.

    Raises:
        ConfigError: there is none of that name; the nearest is named.
    """
    found = PRESETS.get(name) if isinstance(name, str) else None
    if found is None:
        near = difflib.get_close_matches(str(name), PRESETS, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"presets are {', '.join(PRESETS)}"
        raise ConfigError(f"unknown preset {name!r}; {hint}")
    return found
