"""When a skill is trusted: counts of what was done under one version of it, and quantiles of what they say about its success rate."""

from __future__ import annotations

from functools import lru_cache
from math import exp, lgamma, log, log1p, sqrt

from langgraph_fluxmem.consolidation.settings import Settings
from langgraph_fluxmem.skills.model import Status, Trials

_STEPS = 300
_TINY = 1e-300


def status_of(trials: Trials, before: Status, settings: Settings) -> Status:
    """What trials make of a skill that was `before`. Retired ones stay so; a demoted one may mature again."""
    if before == "retired":
        return "retired"
    low = beta_quantile(settings.quantile, 1.0 + trials.successes, 1.0 + trials.failures)
    high = beta_quantile(1.0 - settings.quantile, 1.0 + trials.successes, 1.0 + trials.failures)
    if trials.successes >= settings.mature_successes and trials.contexts >= settings.mature_contexts and low >= settings.mature:
        return "mature"
    if before != "mature" and high < settings.retire:
        return "retired"
    if before == "mature":
        return "demoted" if low < settings.demote else "mature"
    return before


def lower_bound(good: float, total: float, z: float = 1.28) -> float:
    """Lower bound of a success rate from `good` of `total` (Wilson score); 0 without evidence."""
    if total <= 0.0:
        return 0.0
    share = good / total
    square = z * z / total
    centre = share + square / 2.0
    spread = z * sqrt(max(0.0, share * (1.0 - share) / total + square / (4.0 * total)))
    return max(0.0, (centre - spread) / (1.0 + square))


@lru_cache(maxsize=4096)
def beta_quantile(p: float, a: float, b: float) -> float:
    """The `p` quantile of Beta(a, b), to 1e-9.

    Raises:
        ValueError: p outside (0, 1), or a parameter not above 0.
    """
    if not 0.0 < p < 1.0 or a <= 0.0 or b <= 0.0:
        raise ValueError(f"quantile {p} of Beta({a}, {b}); expected 0 < p < 1 and parameters above 0")
    low, high = 0.0, 1.0
    while high - low > 1e-9:
        middle = (low + high) / 2.0
        if beta_cdf(middle, a, b) < p:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def beta_cdf(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta function I_x(a, b), by its continued fraction (modified Lentz; DLMF 8.17.22)."""
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - beta_cdf(1.0 - x, b, a)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a
    fraction, c, d = 1.0, 1.0, 0.0
    for step in range(_STEPS):
        half = step // 2
        if step == 0:
            numerator = 1.0
        elif step % 2 == 0:
            numerator = half * (b - half) * x / ((a + 2.0 * half - 1.0) * (a + 2.0 * half))
        else:
            numerator = -(a + half) * (a + b + half) * x / ((a + 2.0 * half) * (a + 2.0 * half + 1.0))
        d = 1.0 / _away_from_zero(1.0 + numerator * d)
        c = _away_from_zero(1.0 + numerator / c)
        fraction *= c * d
        if abs(1.0 - c * d) < 1e-13:
            break
    return front * (fraction - 1.0)


def _away_from_zero(x: float) -> float:
    return x if abs(x) > _TINY else _TINY
