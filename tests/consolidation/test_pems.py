"""PEMS and convergence, against an example worked by hand."""

import math

import numpy as np
import pytest

from langgraph_fluxmem.consolidation import pems


def test_pems_of_an_example_worked_by_hand():
    # eta 4/5, four skills, 50 tokens, cosine .9 to the version before:
    # .8 / (4 * ln 50) * .9 = .8 / (4 * 3.912023) * .9 = .8 / 15.648092 * .9 = .0460120
    assert pems.pems(0.8, 4, 50, 0.1) == pytest.approx(0.0460120, abs=5e-8)
    # a first version has not drifted: .8 / 15.648092 = .0511244
    assert pems.pems(0.8, 4, 50, 0.0) == pytest.approx(0.0511244, abs=5e-8)
    # the same, whatever else memory holds: .8 / 3.912023 = .2044978
    assert pems.value(0.8, 50, 0.0) == pytest.approx(0.2044978, abs=5e-8)


def test_pems_charges_for_length_on_a_logarithmic_scale():
    assert pems.value(1.0, 100, 0.0) == pytest.approx(1 / math.log(100))
    assert pems.value(1.0, 20, 0.0) > pems.value(1.0, 40, 0.0) > pems.value(1.0, 80, 0.0)


@pytest.mark.parametrize("length", [0, 1, 2])
def test_pems_counts_less_than_two_tokens_as_two(length):
    assert pems.value(1.0, length, 0.0) == pytest.approx(1 / math.log(2))


def test_pems_falls_with_the_number_of_skills_and_its_scaled_value_does_not():
    assert pems.pems(0.5, 20, 30, 0.0) == pytest.approx(pems.pems(0.5, 1, 30, 0.0) / 20)
    assert 20 * pems.pems(0.5, 20, 30, 0.0) == pytest.approx(pems.value(0.5, 30, 0.0))


@pytest.mark.parametrize(("eta", "active", "delta"), [(-0.1, 1, 0.0), (1.1, 1, 0.0), (0.5, 0, 0.0), (0.5, 1, -0.1), (0.5, 1, 2.1)])
def test_pems_refuses_what_cannot_be(eta, active, delta):
    with pytest.raises(ValueError, match="is"):
        pems.pems(eta, active, 10, delta)


def test_pems_drift_is_one_minus_cosine_and_zero_for_a_first_version():
    a, b = np.array([1.0, 0.0], np.float32), np.array([0.6, 0.8], np.float32)
    assert pems.drift(a, None) == 0.0
    assert pems.drift(a, a) == 0.0
    assert pems.drift(a, b) == pytest.approx(0.4)
    assert pems.drift(a, -a) == pytest.approx(2.0)


def test_pems_tokens_are_four_characters_rounded_up():
    assert [pems.tokens("x" * n) for n in (0, 1, 4, 5, 200)] == [0, 1, 1, 2, 50]


def test_pems_convergence_says_why_it_stops():
    go = pems.converged([0.02, 0.04], 1, epsilon=0.01, rounds=5)
    assert (go.done, go.gain) == (False, pytest.approx(0.03))
    assert pems.converged([0.02, -0.01], 1, epsilon=0.01, rounds=5).why == "the gain 0.0050 is below 0.01"
    assert pems.converged([0.5], 5, epsilon=0.01, rounds=5).why == "5 rounds are over"
    assert pems.converged([], 1, epsilon=0.01, rounds=5).why == "no skill was refined"
