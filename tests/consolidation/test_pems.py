"""PEMS and convergence, against an example worked by hand."""

import math
from typing import Any

import numpy as np
import pytest
from langchain_core.runnables import RunnableLambda

from langgraph_fluxmem import Episode, FluxMem, Step
from langgraph_fluxmem.consolidation import pems
from langgraph_fluxmem.operators import Judgement, RuleOperators
from langgraph_fluxmem.operators.protocol import Rewrite, Task

from .tasks import HERE, SCREEN, commit, login, skills, world


def test_pems_of_an_example_worked_by_hand():
    # eta 4/5, four skills, 50 tokens, cosine .9 to the version before:
    # .8 / (4 * ln 50) * .9 = .8 / (4 * 3.912023) * .9 = .8 / 15.648092 * .9 = .0460120
    assert pems.pems(0.8, 4, 50, 0.1) == pytest.approx(0.0460120, abs=5e-8)
    # a first version has not drifted: .8 / 15.648092 = .0511244
    assert pems.pems(0.8, 4, 50, 0.0) == pytest.approx(0.0511244, abs=5e-8)
    # the same, whatever else memory holds: .8 / 3.912023 = .2044978
    assert pems.value(0.8, 50, 0.0) == pytest.approx(0.2044978, abs=5e-8)


def test_pems_charges_for_length_on_a_logarithmic_scale():
    assert pems.value(1.0, 100, 0.0) == pytest.approx(1 / math.log(100))
    assert pems.value(1.0, 20, 0.0) > pems.value(1.0, 40, 0.0) > pems.value(1.0, 80, 0.0)


@pytest.mark.parametrize("length", [0, 1, 2])
def test_pems_counts_less_than_two_tokens_as_two(length):
    assert pems.value(1.0, length, 0.0) == pytest.approx(1 / math.log(2))


def test_pems_falls_with_the_number_of_skills_and_its_scaled_value_does_not():
    assert pems.pems(0.5, 20, 30, 0.0) == pytest.approx(pems.pems(0.5, 1, 30, 0.0) / 20)
    assert 20 * pems.pems(0.5, 20, 30, 0.0) == pytest.approx(pems.value(0.5, 30, 0.0))


@pytest.mark.parametrize(("eta", "active", "delta"), [(-0.1, 1, 0.0), (1.1, 1, 0.0), (0.5, 0, 0.0), (0.5, 1, -0.1), (0.5, 1, 2.1)])
def test_pems_refuses_what_cannot_be(eta, active, delta):
    with pytest.raises(ValueError, match="is"):
        pems.pems(eta, active, 10, delta)


def test_pems_drift_is_one_minus_cosine_and_zero_for_a_first_version():
    a, b = np.array([1.0, 0.0], np.float32), np.array([0.6, 0.8], np.float32)
    assert pems.drift(a, None) == 0.0
    assert pems.drift(a, a) == 0.0
    assert pems.drift(a, b) == pytest.approx(0.4)
    assert pems.drift(a, -a) == pytest.approx(2.0)


def test_pems_tokens_are_four_characters_rounded_up():
    assert [pems.tokens("x" * n) for n in (0, 1, 4, 5, 200)] == [0, 1, 1, 2, 50]


def test_pems_convergence_says_why_it_stops():
    go = pems.converged([0.02, 0.04], 1, epsilon=0.01, rounds=5)
    assert (go.done, go.gain) == (False, pytest.approx(0.03))
    assert pems.converged([0.02, -0.01], 1, epsilon=0.01, rounds=5).why == "the gain 0.0050 is below 0.01"
    assert pems.converged([0.5], 5, epsilon=0.01, rounds=5).why == "5 rounds are over"
    assert pems.converged([], 1, epsilon=0.01, rounds=5).why == "no skill was refined"


# ------------------------------------------------------------------------------------------------------------------- over several rounds
class OneAtATime(RuleOperators):
    """Rewrites a skill by leaving out the first step that attempts go well without."""

    def judge(self, task: Task[Any]) -> Judgement[Any]:
        if not isinstance(task, Rewrite):
            return super().judge(task)
        spare = next((at for at, share in enumerate(task.unneeded) if share is not None and share > 0.5), None)
        steps = [step for at, step in enumerate(task.draft.steps) if at != spare]
        return Judgement(task.draft.model_copy(update={"steps": steps}), "model", calls=1, input_tokens=10, output_tokens=5)


def detours(number: int, skipped: str | None) -> Episode:
    """A login with three detours, of which one may be left out."""
    episode = login(number)
    first, *rest = episode.steps
    extra = [Step(observation={**SCREEN, "scrolled": by}, action={"op": "scroll", "by": by}) for by in ("10", "20", "30") if by != skipped]
    return episode.model_copy(update={"id": f"detour-{number}", "steps": (first, *extra, *rest)})


def detoured(mem: FluxMem) -> None:
    """Ten successes: each detour is in eight of them at least, and four do all three."""
    commit(mem, *(detours(n, skipped) for n, skipped in enumerate(["10", "10", "20", "20", "30", "30", None, None, None, None])))


def test_pems_rises_round_by_round_and_each_gain_is_the_difference_of_its_values(mem: FluxMem):
    detoured(mem)
    report = mem.consolidate(namespace=HERE, replay=world(), model=OneAtATime(), thresholds={"replays": 10})
    assert [(part.round, part.tried, part.refined) for part in report.rounds] == [(1, 1, 1), (2, 1, 1), (3, 1, 1), (4, 1, 0)]
    values = [part.value or 0.0 for part in report.rounds]
    assert [part.gain for part in report.rounds[1:3]] == pytest.approx([values[1] - values[0], values[2] - values[1]])
    assert all(part.gain >= 0.01 for part in report.rounds[:3])
    assert report.stopped.startswith("no skill was refined: nothing left to rewrite")
    (skill,) = skills(mem)
    assert [step.text for step in skill.steps] == [
        "click on=username",
        "type text=<1, from the task>",
        "click on=password",
        "type text=<1, from the task>",
        "click on=Login",
    ]
    accepted = report.skills[0]
    assert (accepted.eta, accepted.eta_from) == (1.0, "replay")
    assert [why.split(",")[0] for why in accepted.why.split("; ")[1:]] == ["eta 0.60", "eta 0.80", "eta 1.00"]
    assert accepted.pems == pytest.approx(1.0 / math.log(accepted.tokens))
    assert (report.calls, report.input_tokens) == (4, 40)


@pytest.mark.parametrize(
    ("thresholds", "rounds", "why"),
    [
        ({"rounds": 2}, 2, "2 rounds are over"),
        ({"epsilon": 0.5}, 1, "is below 0.5"),
        ({"rounds": 0}, 0, "nothing was proposed"),
        ({}, 4, "no skill was refined"),
    ],
)
def test_pems_rounds_stop_for_the_reason_they_say(mem: FluxMem, thresholds: dict[str, float], rounds: int, why: str):
    detoured(mem)
    report = mem.consolidate(namespace=HERE, replay=world(), model=OneAtATime(), thresholds={"replays": 10, **thresholds})
    assert len(report.rounds) == rounds
    assert why in report.stopped


def test_pems_rounds_by_rules_leave_out_all_detours_at_once(mem: FluxMem):
    detoured(mem)
    report = mem.consolidate(namespace=HERE, replay=world(), thresholds={"replays": 10})
    assert [(part.refined, round(part.gain, 1)) for part in report.rounds] == [(1, 0.1), (0, 0.0)]
    assert (report.skills[0].eta, len(skills(mem)[0].steps)) == (1.0, 5)
    assert report.withdrawn == 24  # every detour that was made


def test_a_draft_that_is_worse_at_first_is_rewritten_before_it_is_compared(mem: FluxMem):
    commit(mem, *(login(n) for n in range(5)))
    mem.consolidate(namespace=HERE, replay=world())
    (old,) = skills(mem)
    detoured(mem)
    report = mem.consolidate(namespace=HERE, replay=world(), thresholds={"replays": 10})
    assert len(skills(mem)[0].steps) == len(old.steps)
    assert all("worse" not in skill.why for skill in report.skills)


def test_pems_rises_when_a_step_that_only_some_tasks_need_is_said_to_be_optional(mem: FluxMem):
    """A third of the forms ask for a code first; where they do, nothing goes without it."""

    def coded(number: int) -> Episode:
        episode = login(number)
        need = number % 3 != 0
        steps = ((Step(observation={**SCREEN, "asks": "code"}, action={"op": "press", "on": "code"}),) if need else ()) + episode.steps
        return episode.model_copy(update={"id": f"coded-{number}", "steps": steps, "metadata": {**episode.metadata, "coded": need}})

    def play(given: dict[str, Any]) -> bool:
        pressed = any(action.get("on") == "code" for action in given["actions"])
        return world().invoke(given) and (pressed or not given["metadata"]["coded"])

    commit(mem, *(coded(n) for n in range(9)))
    report = mem.consolidate(namespace=HERE, replay=RunnableLambda(play), thresholds={"replays": 9})
    assert [(part.refined, part.gain > 0) for part in report.rounds] == [(1, True), (0, False)]
    (skill,) = skills(mem)
    assert (skill.steps[0].text, skill.steps[0].optional, skill.lines()[0]) == ("press on=code", True, "press on=code (where it is needed)")
    assert report.skills[0].why.endswith("eta 1.00, before 0.67")
