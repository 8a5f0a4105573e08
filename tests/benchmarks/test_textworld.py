"""The TextWorld benchmark without TextWorld: its options, and the parts of learning that it can take out."""

import pytest
from langgraph_fluxmem import Feedback, FluxMem, episodes
from langgraph_fluxmem.learning import Repair, advice
from langgraph_fluxmem.schema import Advice, Situation

from tests.benchmarks import textworld
from tests.benchmarks.without import PARTS, take_out, without
from tests.consolidation.tasks import HERE, login
from tests.consolidation.test_consolidation_skills import mature
from tests.learning.kitchen import ACTIONS, lit, lost, now
from tests.learning.test_advice import taught


def channels(episode):
    return {channel for _, channel, _ in episodes.step_evidence(episode)}


def test_a_channel_is_taken_out():
    assert channels(lost()) == {"failure", "loss"}
    with without(["loss"]):
        assert channels(lost()) == {"failure"}
        with without(["negative"]):
            assert channels(lost()) == set()
    assert channels(lost()) == {"failure", "loss"}


def test_credit_by_dependency_is_taken_out():
    assert (1, "progress") in [row[:2] for row in episodes.step_evidence(lit())]
    with without(["dependency"]):
        assert [row[:2] for row in episodes.step_evidence(lit()) if row[1] == "progress"] == [(2, "progress")]


def test_edits_inside_the_episode_are_taken_out():
    stuck = Repair(stuck=30, futile=("wait",))
    assert (stuck.optimism, stuck.novelty, stuck.caution) == (1.0, True, 0.5)
    said = Advice(action="wait", score=1.0, value=0.5, risk=0.0, support=1.0)
    with without(["edits"]):
        assert (stuck.optimism, stuck.novelty, stuck.caution) == (0.0, False, 1.0)
        assert advice._pruned(said, stuck, Situation(task="t"), advice.DEFAULT) == said
    assert (stuck.optimism, stuck.novelty, stuck.caution) == (1.0, True, 0.5)
    assert advice._pruned(said, stuck, Situation(task="t"), advice.DEFAULT) != said


def test_evidence_on_steps_is_taken_out():
    with without(["evidence"]):
        said = advice.advise(taught(lit(), lit(), lost()), now(), None, ACTIONS)
    assert {round(one.score, 9) for one in said} == {round(said[0].score, 9)}


def test_repairs_of_what_was_shown_are_taken_out(tmp_path):
    with FluxMem.open(tmp_path, chroma="off") as mem:
        mem.remember(["tea is hot"])
        shown = mem.recall("what is hot?")
        failed = Feedback(outcome="failure")
        assert mem.refine(shown, failed).edits
        with without(["repairs"]):
            assert not mem.refine(shown, failed).edits


def test_the_fast_path_is_taken_out(tmp_path):
    with FluxMem.open(tmp_path, chroma="off") as mem:
        mem.remember(["the login screen is slow"], namespace=HERE)
        mature(mem)
        assert mem.recall(login(10).task, namespace=HERE).facts == ()
        with without(["fast"]):
            assert mem.recall(login(10).task, namespace=HERE).facts


def test_an_unknown_part_is_refused_before_anything_is_played(capsys):
    with pytest.raises(ValueError, match="expected some of loss"):
        take_out(["everything"])
    with pytest.raises(SystemExit):
        textworld.main(["--variants", "refine!everything"])
    assert f"parts are {', '.join(PARTS)}" in capsys.readouterr().err


def test_a_variant_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="there is no variant 'best"):
        textworld.main(["--variants", "best!loss"])
