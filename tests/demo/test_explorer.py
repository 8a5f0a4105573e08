import random

import pytest
from langgraph_fluxmem.demo.explorer import AGAIN, choose, dice, prior


def test_prior_falls_with_each_time_a_command_was_given():
    assert prior(["a", "b"], ["b", "b", "c"]) == [1.0, AGAIN**2]


def test_advice_decides_where_it_is_clear():
    rng = random.Random(0)
    assert {choose(["a", "b", "c"], [], rng, advice=[-50.0, 50.0, 0.0]) for _ in range(20)} == {"b"}


def test_equal_advice_is_no_advice():
    plain = [choose(["a", "b", "c"], ["a"], random.Random(i)) for i in range(50)]
    advised = [choose(["a", "b", "c"], ["a"], random.Random(i), advice=[3.0, 3.0, 3.0]) for i in range(50)]
    assert plain == advised


def test_huge_logits_do_not_overflow():
    assert choose(["a", "b"], [], random.Random(0), advice=[1e6, 0.0]) == "a"


def test_chance_is_named_by_seed_game_and_turn():
    draws = {(seed, game, turn): dice(seed, game, turn).random() for seed in (1, 2) for game in (3, 4) for turn in (5, 6)}
    assert len(set(draws.values())) == 8
    assert dice(1, 3, 5).random() == draws[1, 3, 5]


@pytest.mark.parametrize(("commands", "advice"), [([], None), (["a"], [1.0, 2.0])])
def test_refuses_what_cannot_be_chosen_from(commands, advice):
    with pytest.raises(ValueError, match=r"no admissible|one per command"):
        choose(commands, [], random.Random(0), advice=advice)
