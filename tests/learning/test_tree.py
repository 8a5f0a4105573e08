import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from langgraph_fluxmem.learning.tree import Growth, grow


def tree(rows, outcomes, **more):
    x = np.array(rows, float).reshape(len(rows), -1)
    good = np.array(outcomes, float)
    return grow(x, np.arange(x.shape[1]), good, np.ones(len(rows)), 0.27, growth=Growth(**more))


def test_the_pattern_that_decides_is_found_among_noise():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (40, 30))
    node = tree(x, x[:, 17])
    assert node.test == 17
    assert node.leaf({17})[0].value > 0.9 and node.leaf(set())[0].value < 0.1


def test_chance_alone_gets_no_say_while_data_are_few():
    rng = np.random.default_rng(1)
    grown = [tree(rng.integers(0, 2, (5, 30)), rng.integers(0, 2, 5)).test for _ in range(50)]
    assert all(test == -1 for test in grown)


def test_two_conditions_are_found_one_below_the_other():
    x = np.array([[a, b] for a in (0, 1) for b in (0, 1) for _ in range(10)])
    node = tree(x, x[:, 0] & (1 - x[:, 1]))
    assert node.leaf({0})[0].value > 0.9
    assert node.leaf({0, 1})[0].value < 0.1


@given(st.lists(st.tuples(st.lists(st.booleans(), min_size=3, max_size=3), st.booleans()), min_size=1, max_size=30), st.randoms())
def test_leaves_part_the_rows_and_values_are_shares(rows, chance):
    x, y = [row for row, _ in rows], [out for _, out in rows]
    node = tree(x, y, gain=0.5, smallest=1.0)
    leaves = {}
    for row in x:
        leaf, _ = node.leaf({i for i, held in enumerate(row) if held})
        leaves[id(leaf)] = leaf
        assert 0 < leaf.value < 1
    assert sum(leaf.total for leaf in leaves.values()) == len(rows)
    assert sum(leaf.good for leaf in leaves.values()) == sum(y)
    order = list(range(len(rows)))
    chance.shuffle(order)
    again = tree([x[i] for i in order], [y[i] for i in order], gain=0.5, smallest=1.0)
    for row in x:
        held = {i for i, value in enumerate(row) if value}
        assert abs(again.leaf(held)[0].value - node.leaf(held)[0].value) < 1e-12
