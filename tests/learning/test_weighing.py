"""Weights of retrieval signals learned from feedback: a function of the set of judgements, bounded, and indifferent to noise."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langgraph_fluxmem.schema import RecalledFact, Why
from langgraph_fluxmem.weighing import PRIOR, STEEPNESS, STEP, WORTH, SignalWeights, observed

NAMES = ("dense", "context", "substance")
CONFIGURED = {"dense": 0.7, "context": 1.0, "substance": 0.4, "answers": 0.0}
value = st.floats(-1, 1).map(lambda number: round(number, 4))
judgement = st.integers(2, 6).flatmap(
    lambda shown: st.tuples(
        st.lists(st.lists(value, min_size=3, max_size=3), min_size=shown, max_size=shown), st.sets(st.integers(0, shown - 1), max_size=3)
    )
)


def stored(values, names=NAMES):
    return {
        "names": list(names),
        "weights": [CONFIGURED[name] for name in names],
        "facts": [f"f{at}:1" for at in range(len(values))],
        "values": values,
    }


def learned(judgements):
    weights = SignalWeights()
    for values, right in judgements:
        weights.add(stored(values), {f"f{at}:1" for at in right})
    return weights


@settings(max_examples=60, deadline=None)
@given(st.lists(judgement, max_size=12), st.randoms(use_true_random=False))
def test_what_is_learned_depends_on_the_set_of_judgements_alone(judgements, random):
    shuffled = judgements[:]
    random.shuffle(shuffled)
    assert learned(judgements).shift(CONFIGURED) == learned(shuffled).shift(CONFIGURED)


@settings(max_examples=60, deadline=None)
@given(st.lists(judgement, max_size=12))
def test_little_evidence_changes_little(judgements):
    used = sum(len(right) for _, right in judgements)
    bound = used * STEEPNESS * 2 * math.sqrt(len(NAMES)) / PRIOR
    for name, shift in learned(judgements).shift(CONFIGURED).items():
        assert abs(shift) <= bound * max(CONFIGURED[name], STEP) + 1e-5
        assert CONFIGURED[name] + shift >= 0


def test_a_signal_that_tells_gains_and_one_that_misleads_loses():
    weights = learned([([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]], {0})] * 100)
    shift = weights.shift(CONFIGURED)
    assert shift["dense"] > 0.1
    assert shift["context"] < -0.1
    assert abs(shift["substance"]) < 1e-9
    assert "answers" not in shift, "what is off stays off"


def test_random_feedback_tells_no_signal_from_another():
    generator = np.random.default_rng(3)
    judgements = [(generator.random((20, 3)).round(4).tolist(), {int(generator.integers(20))}) for _ in range(50)]
    told = [(values, {int(np.argmax(np.array(values)[:, 1]))}) for values, _ in judgements]
    noise = learned(judgements).shift(CONFIGURED)
    moved = {name: CONFIGURED[name] + noise[name] for name in NAMES}
    assert sorted(moved, key=moved.get) == sorted(NAMES, key=CONFIGURED.get)
    assert max(map(abs, noise.values())) < 0.25
    assert learned(told).shift(CONFIGURED)["context"] > 0.02


def test_what_promises_little_moves_nothing():
    faint = [([[0.5, 0.5, 0.5], [0.5, 0.5, 0.4]], {0})] * 100
    assert learned(faint).shift(CONFIGURED) == {}


def test_contradictory_feedback_cancels():
    values = [[1.0, 0.5, 0.5], [0.0, 0.5, 0.5]]
    configured = [0.0] * 3
    weights = SignalWeights()
    for _ in range(50):
        for right in ({"f0:1"}, {"f1:1"}):
            weights.add({**stored(values), "weights": configured}, right)
    assert all(abs(shift) < 1e-9 for shift in weights.shift(CONFIGURED).values())


def test_a_judgement_without_contrast_teaches_nothing():
    assert learned([([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], set()), ([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], {0, 1})]).judged == 0


def test_fixed_weights_stay():
    weights = learned([([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]], {0})] * 10)
    assert set(weights.shift(CONFIGURED, fixed=("dense",))) == {"context", "substance"}


def test_signals_may_come_and_go():
    weights = learned([([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]], {0})] * 10)
    weights.add(stored([[1.0], [0.0]], ("context",)), {"f0:1"})
    assert weights.judged == 11
    assert set(weights.shift({"context": 1.0})) == {"context"}


def test_what_is_stored_holds_numbers_and_ids_alone():
    facts = [
        RecalledFact(id=f"f{at}:1", content="secret", namespace=("a",), score=1.0, why=Why(signals={"dense": share, "answers": 0.3}))
        for at, share in enumerate((0.35, 0.7))
    ]
    kept = observed(facts, {"dense": 0.5, "context": 1.0, "answers": 0.0}, {"dense": 0.2})
    assert kept == {"names": ["dense"], "weights": [0.5], "facts": ["f0:1", "f1:1"], "values": [[0.5], [1.0]]}
    assert observed(facts[:1], {"dense": 0.5}, {}) is None
    assert observed(facts, {}, {}) is None
    assert "secret" not in repr(kept)


@pytest.mark.parametrize("times", [1, 20, 200])
def test_the_step_is_the_newton_step_as_far_as_it_promises_enough(times):
    values, right = [[1.0, 0.2, 0.5], [0.25, 0.5, 0.0], [0.5, 0.5, 1.0]], 0
    weights = learned([(values, {right})] * times)
    x, w = np.array(values), np.array([CONFIGURED[name] for name in NAMES])
    unit = np.maximum(w, STEP)
    gradient, curvature = np.zeros(3), PRIOR * np.eye(3)
    for other in (1, 2):
        apart = x[right] - x[other]
        wrong = 1 / (1 + math.exp(STEEPNESS * apart @ w))
        gradient += times / 2 * wrong * STEEPNESS * unit * apart
        curvature += times / 2 * wrong * (1 - wrong) * np.outer(STEEPNESS * unit * apart, STEEPNESS * unit * apart)
    step = np.linalg.solve(curvature, gradient)
    sure = max(0.0, 1 - WORTH * (times + PRIOR) / (gradient @ step / 2))
    assert (sure > 0) == (times > 1)
    shift = weights.shift(CONFIGURED)
    assert [shift.get(name, 0.0) for name in NAMES] == pytest.approx((sure * unit * step).tolist(), abs=1e-4)
