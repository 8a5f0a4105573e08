import pytest
from langgraph_fluxmem.demo.baselines import Neighbours, StepStore
from langgraph_fluxmem.schema import Episode, Situation, Step

TASK = "Press the lamp and pull the lever."


def episode(name, outcome="success"):
    steps = (
        Step(
            observation="a lamp, a lever, a door",
            action="press lamp",
            result="It glows.",
            progress=0.5,
            actions=("press lamp", "pull door"),
        ),
        Step(observation="a lamp that glows", action="pull door", result="Nothing.", actions=("press lamp", "pull door", "pull lever")),
        Step(observation="a lamp that glows", action="pull lever", result="Done.", progress=0.5, actions=("pull door", "pull lever")),
    )
    return Episode(task=TASK, steps=steps, outcome=outcome, id=name)


def test_nearest_is_one_for_what_was_kept_and_less_for_what_differs():
    known = Neighbours()
    known.keep(["do x"], ["p", "q"])
    assert known.nearest(["do x"], ["p", "q"]) == 1.0
    assert known.nearest(["do x"], ["p", "r"]) == pytest.approx(1 / 3)
    assert known.nearest(["do y"], ["p", "q"]) == 0.0, "another template is no neighbour, however alike the situation"
    known.keep(["do x"], ["p", "q"])
    assert len(known) == 1


def test_suggests_steps_that_earned_progress_only():
    store = StepStore(weight=4.0)
    store.commit(episode("e1"))
    situation = Situation(task=TASK, observation="a lamp, a lever, a door")
    lamp, door = store.advise(situation, ["press lamp", "pull door"])
    assert lamp.score > door.score
    assert lamp.score <= 4.0


def test_failures_count_against_only_when_they_are_kept():
    situation = Situation(task=TASK, observation="a lamp that glows", done=("press lamp",))
    plain, both = StepStore(weight=4.0), StepStore(weight=4.0, failures=True)
    for store in (plain, both):
        store.commit(episode("e1"))
    assert both.advise(situation, ["pull door"])[0].score < plain.advise(situation, ["pull door"])[0].score


def test_survives_on_disk_and_keeps_an_episode_once(tmp_path):
    path = tmp_path / "steps.jsonl"
    first = StepStore(path, weight=4.0)
    first.commit(episode("e1"))
    first.commit(episode("e1"))
    assert len(path.read_text().splitlines()) == 1
    again = StepStore(path, weight=4.0)
    situation = Situation(task=TASK, observation="a lamp, a lever, a door")
    actions = ["press lamp", "pull door", "pull lever"]
    assert again.advise(situation, actions) == first.advise(situation, actions)


def test_an_episode_without_id_is_refused():
    with pytest.raises(ValueError, match="id"):
        StepStore(weight=1.0).commit(Episode(task=TASK))
