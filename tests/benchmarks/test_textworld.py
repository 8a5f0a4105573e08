"""The TextWorld benchmark without TextWorld: its options, and the parts of learning that it can take out."""

import pytest
from langgraph_fluxmem import episodes
from langgraph_fluxmem.learning import Repair, advice, credit
from langgraph_fluxmem.learning.memory import StepMemory
from langgraph_fluxmem.schema import Advice, Situation

from tests.benchmarks import textworld
from tests.benchmarks.textworld_ablation import PARTS, take_out
from tests.learning.kitchen import ACTIONS, lit, lost, now
from tests.learning.test_advice import taught


@pytest.fixture
def whole(monkeypatch):
    """Whatever is taken out comes back after the test."""
    for owner, name in ((episodes, "step_evidence"), (credit, "FLOW"), (advice, "_pruned"), (StepMemory, "grown")):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    for name in ("optimism", "novelty", "caution"):
        monkeypatch.setattr(Repair, name, Repair.__dict__[name])


def channels(episode):
    return {channel for _, channel, _ in episodes.step_evidence(episode)}


@pytest.mark.usefixtures("whole")
def test_a_channel_is_taken_out():
    assert channels(lost()) == {"failure", "loss"}
    take_out(["loss"])
    assert channels(lost()) == {"failure"}
    take_out(["negative"])
    assert channels(lost()) == {"loss"}


@pytest.mark.usefixtures("whole")
def test_credit_by_dependency_is_taken_out():
    assert (1, "progress") in [row[:2] for row in episodes.step_evidence(lit())]
    take_out(["dependency"])
    assert [row[:2] for row in episodes.step_evidence(lit()) if row[1] == "progress"] == [(2, "progress")]


@pytest.mark.usefixtures("whole")
def test_edits_inside_the_episode_are_taken_out():
    stuck = Repair(stuck=30, futile=("wait",))
    assert (stuck.optimism, stuck.novelty, stuck.caution) == (1.0, True, 0.5)
    take_out(["expand", "novelty", "relax", "prune"])
    assert (stuck.optimism, stuck.novelty, stuck.caution) == (0.0, False, 1.0)
    said = Advice(action="wait", score=1.0, value=0.5, risk=0.0, support=1.0)
    assert advice._pruned(said, stuck, Situation(task="t"), advice.DEFAULT) == said


@pytest.mark.usefixtures("whole")
def test_evidence_on_steps_is_taken_out():
    take_out(["evidence"])
    said = advice.advise(taught(lit(), lit(), lost()), now(), None, ACTIONS)
    assert {round(one.score, 9) for one in said} == {round(said[0].score, 9)}


def test_an_unknown_part_is_refused_before_anything_is_played(capsys):
    with pytest.raises(ValueError, match="expected some of loss"):
        take_out(["everything"])
    with pytest.raises(SystemExit):
        textworld.main(["--variants", "refine!everything"])
    assert f"parts are {', '.join(PARTS)}" in capsys.readouterr().err


def test_a_variant_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="there is no variant 'best"):
        textworld.main(["--variants", "best!loss"])
