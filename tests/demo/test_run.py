import argparse

import pytest
from langgraph_fluxmem.demo import games
from langgraph_fluxmem.demo.memories import check_variants
from langgraph_fluxmem.demo.run import Options, _ready, add_arguments, main, options_of, positive, seeds


def test_seeds():
    assert seeds("1,2,5-7,2") == (1, 2, 5, 6, 7)
    for wrong in ("", "a", "1,,2", "1-b"):
        with pytest.raises(argparse.ArgumentTypeError, match="expected seeds"):
            seeds(wrong)


def test_games_are_counted_from_one():
    assert positive("12") == 12
    for wrong in ("0", "-3", "x"):
        with pytest.raises(argparse.ArgumentTypeError):
            positive(wrong)


def test_command_line(tmp_path):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert options_of(parser.parse_args([])) == Options()
    given = ["--seeds", "3,4", "--games", "20", "--first-game", "7", "--json", "a.json", "--data", str(tmp_path)]
    options = options_of(parser.parse_args(given))
    assert [course.seed for course in options.courses()] == [3, 4]
    assert {course.data for course in options.courses()} == {tmp_path}
    assert len(options.jobs()) == 6
    specs = options.courses()[0].specs()
    assert (specs[0][2].seed, specs[19][2].seed, specs[20][2].seed, specs[-1][2].name, len(specs)) == (7, 26, 27, "test-00066", 60)


def test_without_the_extra_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(games.NEEDED, "no_such_module_at_all.inner", "no-such-package")
    assert main(["--games", "1"]) == 1
    said = capsys.readouterr().err
    assert "no-such-package" in said
    assert 'pip install "langgraph_fluxmem[demo]"' in said
    assert "apt-get install gcc make" in said


def test_a_variant_waits_for_the_one_it_is_built_on():
    jobs = Options(seeds=(1, 2), variants=("practice", "replay", "none")).jobs()
    order, waiting = [], list(jobs)
    while (job := _ready(waiting, [])) is not None:
        waiting.remove(job)
        order.append((job[1].seed, job[0]))
    assert not waiting
    assert all(order.index((seed, "replay")) < order.index((seed, "practice")) for seed in (1, 2))
    assert _ready([jobs[0]], [jobs[1]]) is None
    assert _ready([jobs[0]], [jobs[4]]) == jobs[0], "of another seed"
    with pytest.raises(ValueError, match="give both"):
        check_variants(("practice", "none"))
