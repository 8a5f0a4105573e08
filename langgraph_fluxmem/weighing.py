"""Weights of retrieval signals, learned per namespace from which of the facts shown were used.

Each judged recall says, for every fact used, that it should have scored above those shown beside it that were not: a logistic loss on the
difference of their scores. Its gradient and curvature at the weights as configured are sums over judged recalls, and one Newton step from
there, held back by a prior worth `PRIOR` judgements, gives the shift of every weight. So what is learned depends on the set of live
evidence alone, not on its order; undo and reset are sums over fewer rows; little or contradictory evidence moves nothing.

In a simulation over the signals of LoCoMo's questions: where the configured weights fit, nothing moves (moved by what little was promised they
lost .15 points recall@10); where the vectors or the words were trusted nearly alone (.66, .81), 100 questions win 4.6 and .8 points back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.schema import RecalledFact

PRIOR = 100.0
"""Judgements that the configured weights count for."""
STEEPNESS = 4.0
"""How sure a difference of 1 in score makes that the better fact is used: logits."""
WORTH = 0.004
"""What a shift must promise, in log-likelihood per judgement (those of `PRIOR` among them), before anything is moved; of what it promises
beyond that, the share is moved. With weights that fit, what 100 judgements promise lies below it, and what they would move costs."""
STEP = 0.5
"""Unit in which a weight moves, where it is not itself larger."""
_GRAIN = 2.0**20
"""Sums are kept in multiples of 1 / this, so that they are exact, whatever their order."""


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights in force for one recall: as configured, and by how much learning has shifted each."""

    configured: Mapping[str, float]
    shift: Mapping[str, float]

    def __getitem__(self, name: str) -> float:
        return self.configured[name] + self.shift.get(name, 0.0)

    @property
    def in_force(self) -> dict[str, float]:
        """Weight of each signal by name."""
        return {name: self[name] for name in self.configured}


def observed(facts: Sequence[RecalledFact], configured: Mapping[str, float], shift: Mapping[str, float]) -> dict[str, Any] | None:
    """What a judged recall stores of its signals, JSON-able and free of content: how high each signal was for each fact shown.

    None when there is nothing to compare (fewer than two facts, or facts without a breakdown).
    """
    weights = Weights(configured, shift)
    names = [name for name in configured if weights[name] > 0 and any(name in fact.why.signals for fact in facts)]
    if len(facts) < 2 or not names:
        return None
    return {
        "names": names,
        "weights": [round(configured[name], 6) for name in names],
        "facts": [fact.id for fact in facts],
        "values": [[round(fact.why.signals.get(name, 0.0) / weights[name], 4) for name in names] for fact in facts],
    }


class SignalWeights:
    """Sums over the judged recalls of one namespace, and the shifts they amount to."""

    def __init__(self) -> None:
        self.judged = 0
        """Judged recalls that counted: some fact shown was used, and some was not."""
        self._names: list[str] = []
        self._gradient: NDArray[np.float64] = np.zeros(0)
        self._curvature: NDArray[np.float64] = np.zeros((0, 0))
        self._step: dict[str, float] | None = None

    def add(self, stored: Mapping[str, Any], used: Collection[str]) -> None:
        """Count one judged recall: what `observed` stored of it, and the facts that proved right."""
        values = np.array(stored["values"], dtype=np.float64)
        right = np.array([fact in used for fact in stored["facts"]])
        if right.all() or not right.any():
            return
        configured = np.array(stored["weights"], dtype=np.float64)
        unit = np.maximum(configured, STEP)
        apart = (values[right][:, None] - values[~right][None]).reshape(-1, values.shape[1])
        wrong = 1.0 / (1.0 + np.exp(STEEPNESS * (apart @ configured)))
        apart *= STEEPNESS * unit
        share = 1.0 / np.count_nonzero(~right)
        at = np.array([self._index(name) for name in stored["names"]])
        self._gradient[at] += _grained(share * (wrong @ apart))
        self._curvature[np.ix_(at, at)] += _grained(share * (apart.T @ (apart * (wrong * (1.0 - wrong))[:, None])))
        self.judged += 1
        self._step = None

    def shift(self, configured: Mapping[str, float], fixed: Collection[str] = ()) -> dict[str, float]:
        """By how much each configured weight is moved; none falls below 0. Signals that are off, or `fixed`, stay as they are."""
        if not self.judged:
            return {}
        if self._step is None:
            order = np.argsort(self._names)
            curvature = self._curvature[np.ix_(order, order)] + PRIOR * np.eye(len(order))
            steps = np.linalg.solve(curvature, self._gradient[order])
            promised = float(self._gradient[order] @ steps) / 2
            sure = max(0.0, 1 - WORTH * (self.judged + PRIOR) / promised) if promised > 0 else 0.0
            self._step = dict(zip(sorted(self._names), (sure * steps).tolist(), strict=True)) if sure else {}
        return {
            name: max(-weight, step * max(weight, STEP))
            for name, step in self._step.items()
            if (weight := configured.get(name, 0.0)) > 0 and name not in fixed
        }

    def state(self) -> tuple[int, dict[str, float]]:
        """What `verify` compares."""
        return self.judged, dict(zip(self._names, self._gradient.tolist(), strict=True))

    def _index(self, name: str) -> int:
        if name not in self._names:
            self._names.append(name)
            size = len(self._names)
            gradient, curvature = np.zeros(size), np.zeros((size, size))
            gradient[:-1], curvature[:-1, :-1] = self._gradient, self._curvature
            self._gradient, self._curvature = gradient, curvature
        return self._names.index(name)


def _grained(values: NDArray[np.float64]) -> NDArray[np.float64]:
    grained: NDArray[np.float64] = np.round(values * _GRAIN) / _GRAIN
    return grained
