"""Past uses: what served a task answers tasks like it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langgraph_fluxmem.alikeness import MEANT
from langgraph_fluxmem.links import UNSHOWN, TaskLinks

WORDS = ("plan", "tea", "kayak", "loom", "kiln")


def unit(*numbers):
    vector = np.array(numbers, np.float32)
    return vector / np.linalg.norm(vector)


AT = unit(1, 0)


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


def test_the_same_words_count_in_full_and_the_same_meaning_in_part():
    made = links(("f1:a", "e1", "progress", 1.0))
    both, words, vector, neither = (
        made.served(at, [word]).get("f1", 0.0) for at, word in ((AT, "plan"), (unit(0, 1), "plan"), (AT, "kiln"), (unit(0, 1), "kiln"))
    )
    assert (both, words, vector, neither) == pytest.approx((1.0, 1.0, MEANT, 0.0))


def test_what_all_tasks_have_in_common_makes_none_alike():
    """Vectors that point the same way but for a little, as those of all questions about one person do."""

    def vector(at: int) -> np.ndarray:
        return unit(3, *(1.0 if at == place else 0.0 for place in range(40)))

    tasks = [(f"e{at}", vector(at), (f"w{at}",)) for at in range(39)]
    made = links(("f1:a", "e1", "progress", 1.0), tasks=tasks)
    assert vector(1) @ vector(39) > 0.85
    assert dict(made.served(vector(39), ["other"])) == {}
    assert made.served(vector(1), ["other"])["f1"] == pytest.approx(MEANT, abs=0.01)


def test_fewer_words_for_the_same_are_more_alike_than_more_words():
    tasks = [("e1", unit(1, 0), ("plan", "tea", "kayak")), *((f"e{at}", unit(1, 0), (f"w{at}",)) for at in range(2, 9))]
    made = links(("f1:a", "e1", "progress", 1.0), tasks=tasks)
    fewer, more = (made.served(unit(1, 2), words).get("f1", 0.0) for words in (["plan", "tea"], ["plan", "tea", "kayak", "loom"]))
    assert 1 > fewer > 0.6 > more > 0.3


@pytest.mark.parametrize("asked, worth", [(AT, 1.0), (unit(4, 3), UNSHOWN)])
def test_what_was_named_without_being_shown_counts_in_full_for_the_same_task_alone(asked, worth):
    made = links(("f1:a", "e1", "progress", 1.0))
    named = links()
    named.add("f1:a", "e1", "progress", 1.0, shown=False)
    full = made.served(asked, ["plan"])["f1"]
    assert named.served(asked, ["plan"])["f1"] == pytest.approx(worth * full)
    ((_, alike, gained, against),) = named.behind(asked, ["plan"], ["f1"])["f1"]
    assert alike * (gained - against) == pytest.approx(worth * full)


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
