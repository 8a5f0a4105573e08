"""Learned links: what arrays say is what a loop over the evidence says."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langgraph_fluxmem.alikeness import MEANT
from langgraph_fluxmem.links import FEW, TaskLinks

evidence = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 7), st.sampled_from(["progress", "failure"]), st.sampled_from([0.5, 1.0, 2.0])), max_size=40
)


def tasks(count: int) -> np.ndarray:
    rows = np.random.default_rng(5).standard_normal((count, 4)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@settings(max_examples=100, deadline=None)
@given(evidence, st.integers(0, 5), st.sampled_from([0, FEW]))
def test_served_is_the_sum_over_evidence_weighed_by_how_like_the_tasks_are(rows, asked, few):
    """Added up one by one, and by numpy where there are more than `few`."""
    vectors = tasks(6)
    links = TaskLinks()
    for number, vector in enumerate(vectors):
        links.add_task(f"e{number}", vector)
    for task, fact, channel, weight in rows:
        assert links.add(f"f{fact}:v1", f"e{task}", channel, weight)
    alike = np.zeros(len(vectors))
    near = links._tasks.near(vectors[asked], ())
    alike[near.tasks] = near.alike
    expected: dict[str, float] = {}
    for task, fact, channel, weight in rows:
        sign = -1 if channel == "failure" else 1
        expected[f"f{fact}"] = expected.get(f"f{fact}", 0.0) + sign * weight * float(alike[task])
    with patch("langgraph_fluxmem.links.FEW", few):
        served = links.served(vectors[asked])
    clipped = {fact: max(-1.0, min(1.0, score)) for fact, score in expected.items() if score}
    assert dict(served.items()) == pytest.approx(clipped, abs=1e-6)


def test_evidence_on_an_unknown_task_is_not_counted():
    links = TaskLinks()
    assert not links.add("f:v", "nobody", "progress", 1.0)
    assert len(links.served(tasks(1)[0])) == 0


def test_a_task_added_after_links_were_read_is_seen():
    vectors = tasks(2)
    links = TaskLinks()
    links.add_task("e0", vectors[0])
    links.add("f:v", "e0", "progress", 1.0)
    assert links.served(vectors[0])["f"] == pytest.approx(MEANT)
    links.add_task("e1", vectors[1])
    links.add("g:v", "e1", "progress", 1.0)
    assert links.served(vectors[1])["g"] == pytest.approx(MEANT)
    assert links.tasks()[0] == ["e0", "e1"]
