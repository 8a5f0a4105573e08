import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph_fluxmem.learning import derived, evidence, noted, record, situation_at, steps_of
from langgraph_fluxmem.learning.situation import read
from langgraph_fluxmem.learning.template import links, template
from langgraph_fluxmem.schema import Episode, Situation, Step
from tests.learning.kitchen import LETTER, TASK, lit, lost


def rows(episode):
    return {(i, channel): weight for i, channel, weight in evidence(episode)}


def test_progress_flows_to_the_step_whose_note_named_the_thing():
    found = rows(lit())
    assert found[2, "progress"] == 1.0
    assert found[1, "progress"] == pytest.approx(0.8, abs=1e-3)
    assert found[0, "failure"] == found[3, "failure"] == 1.0
    assert (0, "progress") not in found


def test_progress_flows_to_what_made_an_action_admissible():
    steps = (
        Step(observation="a", action="look", actions=("look", "open box")),
        Step(observation="a", action="open box", actions=("look", "open box")),
        Step(observation="a", action="look", actions=("look", "take coin")),
        Step(observation="a", action="take coin", progress=1.0, actions=("look", "take coin")),
        Step(observation="a", action="look", actions=("look",)),
    )
    found = rows(Episode(task="get rich", steps=steps, outcome="failure"))
    assert found[1, "progress"] == pytest.approx(0.8, abs=1e-3)
    assert (2, "progress") not in found


def test_a_loss_is_its_own_channel():
    found = rows(lost())
    assert found[1, "loss"] == 1.0 and found[1, "failure"] == 1.0
    assert (0, "loss") not in found
    assert (0, "failure") not in found, "a step that brought a note up has not failed"


def test_an_outcome_told_only_at_the_end_is_shared():
    steps = tuple(Step(observation="x", action=a) for a in ("one", "two"))
    success = rows(Episode(task="t", steps=steps, outcome="success"))
    assert success == {(0, "progress"): 1.0, (1, "progress"): 1.0}
    ran_out = rows(Episode(task="t", steps=steps, outcome="failure"))
    assert ran_out == {(0, "failure"): 0.5, (1, "failure"): 0.5}
    ended = rows(Episode(task="t", steps=(steps[0], Step(observation="x", action="two", loss=1.0)), outcome="failure"))
    assert ended[1, "failure"] == 1.0 and ended[0, "failure"] < 0.2


def test_unknown_teaches_nothing():
    assert evidence(lit().model_copy(update={"outcome": "unknown"})) == []
    assert evidence(Episode(task="t", outcome="success")) == []


def test_steps_without_action_carry_no_evidence():
    steps = (Step(observation="x"), Step(observation="x", action="go", progress=1.0))
    assert {i for i, _, _ in evidence(Episode(task="t", steps=steps, outcome="success"))} == {1}


def test_note_rule_needs_a_thing_the_task_names_and_nothing_changed():
    assert noted(TASK, "read letter", LETTER, changed=False)
    assert not noted(TASK, "read letter", LETTER, changed=True)
    assert not noted(TASK, "kick door", "Ouch.", changed=False)
    assert not noted(TASK, "read letter", "  ", changed=False)


def test_situation_at_knows_only_what_was_known_then():
    assert situation_at(lit(), 1).notes == ()
    late = situation_at(lit(), 2)
    assert late.notes == (LETTER,) and late.done == ("wait", "read letter")


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
values = st.one_of(texts, st.integers(-3, 3), st.booleans(), st.none(), st.lists(texts, max_size=2))
observations = st.one_of(texts, st.dictionaries(texts, values, max_size=3))
actions = st.one_of(st.none(), texts, st.dictionaries(texts, values, max_size=3))
steps = st.builds(
    Step,
    observation=observations,
    action=actions,
    result=texts,
    progress=st.sampled_from([0.0, 0.25, 1.0]),
    loss=st.sampled_from([0.0, 0.0, 1.0]),
    notes=st.lists(texts, max_size=2).map(tuple),
)
episodes = st.builds(
    Episode, task=texts, steps=st.lists(steps, max_size=4).map(tuple), outcome=st.sampled_from(["success", "failure", "unknown"])
)


@given(episodes)
def test_a_record_survives_json_and_gives_the_steps_back(episode):
    body = json.loads(json.dumps(record(episode)))
    assert steps_of(body) == list(episode.steps)
    for i, step in enumerate(episode.steps):
        assert (derived(body, i) is None) == (step.action is None)


@given(episodes)
def test_evidence_is_bounded_exact_and_once_per_step_and_channel(episode):
    found = evidence(episode)
    assert len({(i, channel) for i, channel, _ in found}) == len(found)
    for i, _, weight in found:
        assert 0 < weight <= 1
        assert (weight * 1024).is_integer()
        assert episode.steps[i].action is not None


def test_what_was_refused_earns_nothing_in_a_success():
    tried = Step(observation="a door", action="push", refused=True)
    done = Step(observation="a door", action="pull", progress=1.0)
    assert evidence(Episode(task="open the door", steps=(tried, done), outcome="success")) == [(0, "failure", 1.0), (1, "progress", 1.0)]
    assert evidence(Episode(task="open the door", steps=(tried, done.model_copy(update={"progress": 0.0})), outcome="failure"))[0] == (
        0,
        "failure",
        1.0,
    )


def test_a_step_that_changed_nothing_has_no_part_in_a_success():
    """Only where what is seen is a state: tool results that happen to be equal say nothing."""

    def rows(one, two, **more):
        steps = (Step(observation=one, action="a", **more), Step(observation=two, action="b", progress=1.0))
        return evidence(Episode(task="t", steps=steps, outcome="success"))

    same = {"page": "bar", "state": "1"}
    assert rows(same, same) == [(0, "failure", 0.5), (1, "progress", 1.0)]
    assert rows(same, {**same, "state": "2"}) == [(0, "progress", 1.0), (1, "progress", 1.0)]
    assert rows("ok", "ok") == [(0, "progress", 1.0), (1, "progress", 1.0)]
    assert rows(same, same, notes=("read",)) == [(0, "progress", 1.0), (1, "progress", 1.0)]


def test_what_was_refused_earns_nothing_of_what_came_later():
    """Its result named what the task names, as an instruction would; it is no instruction."""
    refused = Step(observation="order 17 waits", action="refund order 17", refused=True, notes=("order 17 waits",))
    steps = (
        refused,
        Step(observation="order 17 waits", action="open order 17", progress=0.5),
        Step(observation="order 17 is open", action="refund order 17", progress=1.0),
    )
    rows = evidence(Episode(task="refund order 17", steps=steps, outcome="success"))
    assert (0, "failure", 1.0) in rows
    assert not any(ordinal == 0 and channel == "progress" for ordinal, channel, _ in rows)
    told = evidence(Episode(task="refund order 17", steps=(refused.model_copy(update={"refused": False}), *steps[1:]), outcome="success"))
    assert any(ordinal == 0 and channel == "progress" for ordinal, channel, _ in told)


def test_what_is_seen_in_pairs_is_a_condition_for_a_command():
    scene = read(Situation(task="refund order 17", observation={"order": "17", "status": "open", "text": "a long text that says a lot"}))
    found = links("refund order 17", template("refund order 17", scene), scene)
    assert "o.status=open" in found
    assert "o.order=<t>" in found
    assert not any(pattern.startswith("o.text=") for pattern in found)
