import io
import json

import pytest

pytest.importorskip("rich")
pytest.importorskip("matplotlib")

from langgraph_fluxmem.demo.report import GameResult  # noqa: E402
from langgraph_fluxmem.demo.run import Options, RunFailedError, summary  # noqa: E402
from langgraph_fluxmem.demo.session import Finished, Opened  # noqa: E402
from langgraph_fluxmem.demo.show import Screen  # noqa: E402
from rich.console import Console  # noqa: E402

HELD = {
    "episodes": 12,
    "steps": 34,
    "templates": 5,
    "links": 6,
    "best": [{"template": "cook <n> with oven", "led on": 9.0, "failed": 2.0, "lost": 1.0}],
}
SAID = {"action": "cook carrot with oven", "score": 2.5, "value": 0.9, "risk": 0.1, "support": 7.0, "why": ["n:roast the _1 -> cook"]}
WHY = {
    "game": "train-05009",
    "step": 4,
    "task": "Cook.",
    "notes": ["Directions:\n roast the carrot"],
    "carrying": "You are carrying: a carrot.",
    "before": ["take carrot"],
    "said": "You roasted the carrot.",
    "gained": 1,
    "chosen": SAID,
    "next": None,
    "worst": {**SAID, "action": "eat carrot"},
}


def screen(tmp_path, **options):
    text = io.StringIO()
    return Screen(Options(games=10, data=tmp_path, tests=False, **options), Console(file=text, width=120)), text


def acted(options, audience):
    results = []
    for variant in options.variants:
        resumed = (GameResult(variant, 1, "stream", 0, 5000, False, True, 0.2, 9),) if variant == "static" else ()
        audience.see(Opened(variant, 1, 7 if variant == "fluxmem" else 0, resumed))
        results.extend(resumed)
        for index in range(len(resumed), 10):
            result = GameResult(variant, 1, "stream", index, 5000 + index, variant == "fluxmem", False, 0.5, 20)
            results.append(result)
            audience.see(result)
        audience.tick()
        audience.see(Finished(variant, 1, HELD if variant == "fluxmem" else None, WHY if variant == "fluxmem" else None))
    return results


def test_shows_progress_table_curve_memory_and_reason(tmp_path):
    show, text = screen(tmp_path, json=tmp_path / "out.json")
    assert show.play(acted, summary) == 0
    said = text.getvalue()
    for part in (
        "continues from the memory on disk, 7 episodes",
        "cut short last time after 1 games",
        "fluxmem - static",
        "bootstrap over the games",
        "games won per ten: 10",
        "12 episodes of 34 steps",
        "cook <n> with oven",
        "n:roast the _1 -> cook",
        "roast the carrot",
    ):
        assert part in said, part
    rows = {row["variant"]: row for row in json.loads((tmp_path / "out.json").read_text())["rows"]}
    assert (rows["fluxmem"]["won"], rows["static"]["won"], rows["fluxmem - static"]["won"]) == (1.0, 0.0, 1.0)
    assert rows["fluxmem"]["curve"] == [10]
    assert (tmp_path / "out.png").exists()


@pytest.mark.parametrize("error", [RunFailedError("fluxmem, seed 1: boom"), ValueError("there is no variant 'x'"), KeyboardInterrupt()])
def test_what_goes_wrong_is_said_without_a_traceback(tmp_path, error):
    def run(options, audience):
        raise error

    show, text = screen(tmp_path)
    assert show.play(run, summary) in (1, 130)
    assert (str(error) or "stopped; the same command goes on") in text.getvalue()
