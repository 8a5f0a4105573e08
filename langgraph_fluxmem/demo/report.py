"""From games played to what is shown: rows with intervals, the learning curve, JSON.

Scores are shares of a game's points, in [0, 1]; `won` is the share of games won. With several seeds an interval is a paired 95% t-interval
over seeds; with one seed it is a bootstrap over games (paired by game for differences), which says nothing about other seeds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Part = Literal["stream", "new", "other"]
KEYS = (
    "won",
    "score",
    "won_last_third",
    "score_last_third",
    "new_won",
    "new_score",
    "other_won",
    "other_score",
    "steps",
    "steps_last_third",
    "extra_steps",
)
"""Measures of a row, in the order they are shown."""
_T95 = tuple(
    map(
        float,
        [
            "12.706",
            "4.303",
            "3.182",
            "2.776",
            "2.571",
            "2.447",
            "2.365",
            "2.306",
            "2.262",
            "2.228",
            "2.201",
            "2.179",
            "2.160",
            "2.145",
            "2.131",
            "2.120",
            "2.110",
            "2.101",
            "2.093",
            "2.086",
            "2.080",
            "2.074",
            "2.069",
            "2.064",
            "2.060",
            "2.056",
            "2.052",
            "2.048",
            "2.045",
            "2.042",
        ],
    )
)
"""Student's t, two-sided 95%, for 1 to 30 degrees of freedom."""
_DRAWS = 4000


@dataclass(frozen=True)
class GameResult:
    """One game played.

    Attributes:
        part: the learning stream, or a test after it with memory frozen: new games of the same split, games of another split.
        index: place in its part, from 0; variants are paired by (seed, part, index).
        score: share of the game's points, in [0, 1].
        extra: commands given besides, after it: in replays, or in practice.

    """

    variant: str
    seed: int
    part: Part
    index: int
    game: int
    won: bool
    lost: bool
    score: float
    steps: int
    extra: int = 0


Row = dict[str, Any]
Pick = Callable[[GameResult], float]


def measures(games: int) -> dict[str, tuple[Callable[[GameResult], bool], Pick]]:
    """For each key of a row: which games it is about, and what is averaged over them. `games` is the length of the stream."""
    last = games - games // 3

    def part(name: Part, after: int = 0) -> Callable[[GameResult], bool]:
        return lambda result: result.part == name and result.index >= after

    return {
        "won": (part("stream"), _won),
        "score": (part("stream"), _score),
        "won_last_third": (part("stream", last), _won),
        "score_last_third": (part("stream", last), _score),
        "new_won": (part("new"), _won),
        "new_score": (part("new"), _score),
        "other_won": (part("other"), _won),
        "other_score": (part("other"), _score),
        "steps": (part("stream"), _steps),
        "steps_last_third": (part("stream", last), _steps),
        "extra_steps": (part("stream"), _extra),
    }


def rows(results: Sequence[GameResult], *, games: int, compare: Sequence[tuple[str, str]]) -> list[Row]:
    """One row per variant, then one per pair of `compare` that was played: the difference of means, `<key>_ci` its half-width.

    Measures without games are None.
    """
    variants = list(dict.fromkeys(result.variant for result in results))
    made: list[Row] = []
    for variant in variants:
        row: Row = {"variant": variant, "seeds": len({r.seed for r in results if r.variant == variant})}
        for key, (keep, pick) in measures(games).items():
            found = _by_seed(results, variant, keep, pick)
            row[key] = _mean([_mean(list(values.values())) for values in found.values()])
            row[f"{key}_ci"] = _half_width(found)
        row["curve"] = curve(results, variant, games)
        made.append(row)
    for one, other in compare:
        if one not in variants or other not in variants:
            continue
        row = {"variant": f"{one} - {other}"}
        for key, (keep, pick) in measures(games).items():
            found = _paired(_by_seed(results, one, keep, pick), _by_seed(results, other, keep, pick))
            row["seeds"] = len(found)
            row[key] = _mean([_mean(list(values.values())) for values in found.values()])
            row[f"{key}_ci"] = _half_width(found)
        made.append(row)
    return made


def curve(results: Iterable[GameResult], variant: str, games: int) -> list[float | None]:
    """Games won in each ten of the stream (mean over seeds; the last block may be shorter); None where none were played."""
    blocks: list[float | None] = []
    stream = [result for result in results if result.variant == variant and result.part == "stream"]
    for first in range(0, games, 10):
        block = [result for result in stream if first <= result.index < first + 10]
        seeds = len({result.seed for result in block})
        blocks.append(sum(result.won for result in block) / seeds if seeds else None)
    return blocks


def sparkline(blocks: Sequence[float | None], top: float = 10.0) -> str:
    """The curve as one line of block characters, `top` being a full one; a dot where nothing was played."""
    bars = "▁▂▃▄▅▆▇█"
    return "".join("·" if value is None else bars[min(7, int(value / top * 7.999))] for value in blocks)


def plot(results: Sequence[GameResult], *, games: int, path: Path) -> None:
    """Write the learning curves (share of games won, and score, per ten games) as a PNG. Needs matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  (heavy, and only needed here)
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for variant in dict.fromkeys(result.variant for result in results):
        stream = [result for result in results if result.variant == variant and result.part == "stream"]
        for axes, pick in ((left, _won), (right, _score)):
            points = _blocks(stream, games, pick)
            axes.plot([x for x, _ in points], [y for _, y in points], marker="o", markersize=3, label=variant)
    for axes, title in ((left, "games won"), (right, "score")):
        axes.set(title=f"{title}, share per ten games", xlabel="games played", ylim=(-0.03, 1.03))
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)


def write_json(path: Path, made: Sequence[Mapping[str, Any]], results: Sequence[GameResult] = ()) -> None:
    """Write `{"rows": [...], "games": [...]}`; every single game is there to be checked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"rows": list(made), "games": [asdict(result) for result in results]}, indent=1) + "\n", encoding="utf-8")


def shown(row: Mapping[str, Any], key: str, *, difference: bool = False) -> str:
    """A measure as text, with its half-width where there is one."""
    value, half = row.get(key), row.get(f"{key}_ci")
    if value is None:
        return "-"
    digits = 1 if "steps" in key else 2
    text = f"{value:+.{digits}f}" if difference else f"{value:.{digits}f}"
    return text if half is None else f"{text} ±{half:.{digits}f}"


def _won(result: GameResult) -> float:
    return float(result.won)


def _score(result: GameResult) -> float:
    return result.score


def _steps(result: GameResult) -> float:
    return float(result.steps)


def _extra(result: GameResult) -> float:
    return float(result.extra)


Samples = dict[int, dict[tuple[str, int], float]]


def _by_seed(results: Iterable[GameResult], variant: str, keep: Callable[[GameResult], bool], pick: Pick) -> Samples:
    found: Samples = {}
    for result in results:
        if result.variant == variant and keep(result):
            found.setdefault(result.seed, {})[result.part, result.index] = pick(result)
    return found


def _paired(one: Samples, other: Samples) -> Samples:
    paired: Samples = {}
    for seed in one.keys() & other.keys():
        both = one[seed].keys() & other[seed].keys()
        if both:
            paired[seed] = {at: one[seed][at] - other[seed][at] for at in both}
    return paired


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _half_width(found: Samples) -> float | None:
    if len(found) > 1:
        return t_half_width([float(np.mean(list(values.values()))) for values in found.values()])
    for values in found.values():
        return bootstrap(list(values.values()))
    return None


def t_half_width(means: Sequence[float]) -> float:
    """Half the width of the 95% t-interval of the mean of at least two independent values."""
    degrees = len(means) - 1
    t = _T95[degrees - 1] if degrees <= len(_T95) else 1.96
    return float(t * np.std(means, ddof=1) / math.sqrt(len(means)))


def bootstrap(values: Sequence[float]) -> float | None:
    """Half the width of the 95% bootstrap interval of the mean; None below two values. Same values, same result."""
    if len(values) < 2:
        return None
    sample: NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    draws = np.random.default_rng(0).integers(0, len(sample), (_DRAWS, len(sample)))
    low, high = np.quantile(sample[draws].mean(axis=1), (0.025, 0.975))
    return float(high - low) / 2


def _blocks(stream: Sequence[GameResult], games: int, pick: Pick) -> list[tuple[int, float]]:
    points: list[tuple[int, float]] = []
    for first in range(0, games, 10):
        block = [pick(result) for result in stream if first <= result.index < first + 10]
        if block:
            points.append((min(first + 10, games), sum(block) / len(block)))
    return points
