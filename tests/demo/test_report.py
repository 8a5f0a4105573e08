import json

import pytest
from langgraph_fluxmem.demo.report import GameResult, bootstrap, curve, plot, rows, shown, sparkline, write_json


def played(variant, seed, wins, part="stream", score=0.5):
    return [
        GameResult(variant, seed, part, i, 5000 + i, bool(won), False, 1.0 if won else score, 20 if won else 50)
        for i, won in enumerate(wins)
    ]


def test_rows_average_over_the_right_games():
    results = played("fluxmem", 1, [0] * 20 + [1] * 10) + played("static", 1, [0] * 30) + played("fluxmem", 1, [1, 0], part="new")
    made = {row["variant"]: row for row in rows(results, games=30, compare=[("fluxmem", "static"), ("fluxmem", "none")])}
    assert set(made) == {"fluxmem", "static", "fluxmem - static"}
    flux = made["fluxmem"]
    assert (flux["won"], flux["won_last_third"], flux["new_won"], flux["other_won"]) == (pytest.approx(1 / 3), 1.0, 0.5, None)
    assert flux["score"] == pytest.approx((20 * 0.5 + 10) / 30)
    assert flux["curve"] == [0, 0, 10]
    assert made["fluxmem - static"]["won_last_third"] == 1.0
    assert made["fluxmem - static"]["won_last_third_ci"] == 0.0
    assert 0 < made["fluxmem - static"]["won_ci"] < 0.3
    assert made["fluxmem - static"]["new_won"] is None


def test_several_seeds_give_a_paired_t_interval():
    results = []
    for seed, wins in ((1, 4), (2, 6), (3, 8)):
        results += played("fluxmem", seed, [1] * wins + [0] * (10 - wins)) + played("static", seed, [1] * (wins - 2) + [0] * (12 - wins))
    made = rows(results, games=10, compare=[("fluxmem", "static")])
    assert made[0]["won"] == pytest.approx(0.6)
    assert made[0]["won_ci"] == pytest.approx(4.303 * 0.2 / 3**0.5)
    assert made[2]["won"] == pytest.approx(0.2)
    assert made[2]["won_ci"] == pytest.approx(0.0, abs=1e-12), "the pairs differ by the same amount in each seed"


def test_differences_are_paired_by_game():
    results = played("fluxmem", 1, [1, 0, 1]) + played("none", 1, [0, 0, 0])[1:]
    made = rows(results, games=3, compare=[("fluxmem", "none")])
    assert made[2]["won"] == pytest.approx(0.5), "the first game was not played by both"


def test_bootstrap_is_reproducible_and_needs_two_values():
    assert bootstrap([1.0]) is None
    assert bootstrap([1.0, 1.0]) == 0.0
    assert bootstrap([0.0, 1.0] * 20) == bootstrap([0.0, 1.0] * 20)
    assert 0.1 < bootstrap([0.0, 1.0] * 20) < 0.2


def test_curve_of_unplayed_blocks_and_short_last_block():
    results = played("none", 1, [1] * 15)[10:]
    assert curve(results, "none", 15) == [None, 5]
    assert sparkline([None, 0, 10]) == "·▁█"


def test_json_and_picture(tmp_path):
    results = played("fluxmem", 1, [0, 1, 1])
    made = rows(results, games=3, compare=())
    write_json(tmp_path / "deep" / "out.json", made, results)
    assert json.loads((tmp_path / "deep" / "out.json").read_text())["rows"][0]["variant"] == "fluxmem"
    pytest.importorskip("matplotlib")
    plot(results, games=3, path=tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_shown():
    assert shown({"won": None}, "won") == "-"
    assert shown({"won": 0.5, "won_ci": 0.125}, "won", difference=True) == "+0.50 ±0.12"
    assert shown({"steps": 12.34, "steps_ci": None}, "steps") == "12.3"
