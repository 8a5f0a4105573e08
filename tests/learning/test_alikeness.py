"""How alike tasks are: what is not worked out would not have changed the answer."""

import random

import numpy as np
import pytest

from langgraph_fluxmem.alikeness import Tasks


def unit(vector):
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@pytest.mark.parametrize("seed", range(40))
def test_where_no_task_can_be_alike_nothing_more_is_worked_out(seed, monkeypatch):
    chance, rng = random.Random(seed), np.random.default_rng(seed)
    tasks, common = Tasks(), rng.standard_normal(16) * chance.random() * 2
    for number in range(chance.randrange(1, 30)):
        tasks.add(str(number), unit(common + rng.standard_normal(16)), [f"w{chance.randrange(40)}" for _ in range(chance.randrange(9))])
    asked = [(unit(common + rng.standard_normal(16)), [f"w{chance.randrange(60)}" for _ in range(chance.randrange(9))]) for _ in range(25)]
    short = [tasks.near(*each) for each in asked]
    monkeypatch.setattr(Tasks, "_most_meaning", lambda *_: 1.0)
    for found, each in zip(short, asked, strict=True):
        whole = tasks.near(*each)
        assert (found.tasks.tolist(), found.alike.tolist()) == (whole.tasks.tolist(), whole.alike.tolist())


def test_what_no_task_is_near_to_in_meaning_has_nothing_in_common_but_words():
    tasks = Tasks()
    tasks.add("e1", unit(np.array([1.0, 0.0])), ["plan", "tea"])
    assert len(tasks.near(unit(np.array([0.1, 1.0])), ["plan", "tea"]).tasks) == 0
    assert len(tasks.near(unit(np.array([0.4, 1.0])), ["plan", "tea"]).tasks) == 1
