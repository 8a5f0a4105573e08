import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langgraph_fluxmem.index.top import among, top


@settings(max_examples=60)
@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=200), st.integers(0, 210), st.randoms(use_true_random=False))
def test_the_best_in_no_order_are_the_best_in_order_whatever_stands_equal_at_the_cut(values, m, random):
    scores = np.array(values, np.float32)
    rank = list(range(len(scores)))
    random.shuffle(rank)
    best = top(scores, m, np.array(rank))
    assert sorted(among(scores, m, np.array(rank)).tolist()) == sorted(best.tolist())
    above = among(scores, m, np.array(rank), above_zero=True)
    assert sorted(above.tolist()) == sorted(row for row in best.tolist() if scores[row] > 0)


@pytest.mark.parametrize("m", [0, -1])
def test_none_are_asked_for(m):
    assert len(among(np.ones(3, np.float32), m, np.arange(3))) == 0
