"""Past uses: what served a task answers tasks like it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langgraph_fluxmem.links import TaskLinks

WORDS = ("plan", "tea", "kayak", "loom", "kiln")


def unit(*numbers):
    vector = np.array(numbers, np.float32)
    return vector / np.linalg.norm(vector)


def links(*rows, tasks=(("e1", unit(1, 0), ("plan",)), ("e2", unit(0, 1), ("tea",)))):
    made = TaskLinks()
    for task in tasks:
        made.add_task(*task)
    for row in rows:
        made.add(*row)
    return made


def test_the_same_task_brings_what_served_it_in_full():
    made = links(("f1:a", "e1", "progress", 1.0), ("f2:a", "e2", "progress", 1.0))
    assert dict(made.served(unit(1, 0), ["plan"])) == pytest.approx({"f1": 1.0})


def test_words_and_vector_are_both_needed():
    made = links(("f1:a", "e1", "progress", 1.0))
    both, words, vector = (
        made.served(*asked).get("f1", 0.0) for asked in ((unit(1, 0), ["plan"]), (unit(0, 1), ["plan"]), (unit(1, 0), ["kiln"]))
    )
    assert (both, words, vector) == pytest.approx((1.0, 0.125, 0.125))


def test_hardly_any_but_the_nearest_task_has_a_say():
    tasks = (("e1", unit(1, 0.1), ("plan", "ada")), ("e2", unit(1, 0), ("plan", "bob")))
    made = links(("f1:a", "e1", "progress", 1.0), ("f2:a", "e2", "progress", 1.0), tasks=tasks)
    served = made.served(unit(1, 0), ["plan", "bob"])
    assert served["f2"] == pytest.approx(1.0)
    assert served.get("f1", 0.0) < 0.01


def test_evidence_against_counts_against():
    made = links(("f1:a", "e1", "progress", 0.25), ("f1:b", "e1", "failure", 1.0))
    assert dict(made.served(unit(1, 0), ["plan"])) == pytest.approx({"f1": -0.75})


def test_evidence_of_an_unknown_task_is_refused():
    made = TaskLinks()
    assert not made.add("f1:a", "e9", "progress", 1.0)
    assert dict(made.served(unit(1, 0), ["plan"])) == {}


rows = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.sampled_from(("progress", "failure", "loss")), st.integers(1, 1024)), max_size=25
)


@settings(max_examples=50, deadline=None)
@given(rows, st.randoms(use_true_random=False), st.lists(st.sampled_from(WORDS), max_size=4))
def test_past_use_depends_on_the_set_of_rows_alone(rows, random, asked):
    tasks = [(f"e{at}", unit(1, at), (WORDS[at], WORDS[at // 2])) for at in range(5)]
    made = [(f"f{fact}:x", f"e{task}", channel, weight / 1024) for fact, task, channel, weight in rows]
    shuffled = made[:]
    random.shuffle(shuffled)
    one, other = links(*made, tasks=tasks), links(*shuffled, tasks=tasks)
    assert one.counts() == other.counts()
    served, again = (dict(each.served(unit(1, 1), asked)) for each in (one, other))
    assert served.keys() == again.keys()
    assert all(abs(served[node] - again[node]) < 1e-12 and -1 <= served[node] <= 1 for node in served)
