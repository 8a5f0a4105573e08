from dataclasses import replace

from langgraph_fluxmem.learning import Repair, StepMemory, advise, evidence, recall_steps, record, repair_after
from tests.learning.kitchen import ACTIONS, lit, lost, now


def taught(*episodes):
    memory = StepMemory()
    for number, episode in enumerate(episodes):
        memory.add_episode(f"e{number}", record(episode), None, number)
        for i, channel, weight in evidence(episode):
            memory.add_evidence(f"e{number}#{i}", channel, weight, number)
    return memory


def by_action(memory, situation=None, repair=None):
    return {a.action: a for a in advise(memory, situation or now(), None, ACTIONS, repair)}


def test_an_empty_memory_says_nothing():
    assert [a.score for a in advise(StepMemory(), now(), None, ACTIONS)] == [0.0] * len(ACTIONS)
    assert recall_steps(StepMemory(), now(), None, 3) == []


def test_what_led_on_is_preferred_and_what_lost_is_vetoed():
    said = by_action(taught(*[lit()] * 4, *[lost()] * 4))
    assert said["rub brass lamp"].score > 2 > said["wait"].score > said["open door"].score
    assert said["open door"].risk > 0.8 and said["rub brass lamp"].risk < 0.1


def test_why_names_counts():
    said = by_action(taught(*[lit()] * 4))["rub brass lamp"]
    assert "= <n>" in said.why.path[0] and "led on 4 of 4" in said.why.path[0]


def test_a_condition_in_the_notes_decides():
    """The same command leads on under one note and loses under another."""
    other = "Directions:\n  kick the brass lamp\n  say friend"

    def under(note, action, *, good):
        episode = lit() if good else lost()
        steps = list(episode.steps)
        at = next(i for i, step in enumerate(steps) if step.notes)
        steps[at] = steps[at].model_copy(update={"notes": (note,), "result": note})
        steps[at + 1] = steps[at + 1].model_copy(update={"action": action})
        return episode.model_copy(update={"steps": tuple(steps)})

    letter = now().notes[0]
    rounds = [under(letter, "touch brass lamp", good=True), under(other, "touch brass lamp", good=False)] * 6
    memory = taught(*rounds)
    (right,) = advise(memory, now(notes=(letter,)), None, ["touch brass lamp"])
    (wrong,) = advise(memory, now(notes=(other,)), None, ["touch brass lamp"])
    assert right.value > 0.8 and right.risk < 0.1
    assert wrong.value < 0.1 and wrong.risk > 0.8


def test_refinement_expands_to_what_was_hardly_tried_while_stuck():
    memory = taught(*[lit()] * 10, lost())
    calm, stuck = by_action(memory), by_action(memory, repair=Repair(stuck=15))
    assert stuck["open door"].score - calm["open door"].score > stuck["wait"].score - calm["wait"].score


def test_repair_follows_the_steps_and_travels_as_json():
    repair = Repair()
    for _ in range(3):
        repair = repair_after(repair, "wait", progress=0.0, loss=0.0, changed=False)
    assert repair.stuck == 3
    assert Repair.of({**repair.as_dict(), "unknown": 1}) == repair
    assert repair_after(repair, "rub", progress=1.0, loss=0.0, changed=True).stuck == 0


def test_caution_falls_while_stuck_and_never_below_zero():
    cautions = [replace(Repair(), stuck=n).caution for n in range(40)]
    assert cautions == sorted(cautions, reverse=True) and cautions[0] == 1.0 and cautions[-1] >= 0


def test_recalled_steps_name_what_worked_and_what_ended_badly():
    found = {step.template: step for step in recall_steps(taught(*[lit()] * 3, *[lost()] * 2), now("read letter"), None, 5)}
    assert found["= <n>"].successes > 0 and found["= <n>"].losses == 0
    assert found["open door"].losses > 0
    assert found["= <n>"].action == "rub brass lamp" and "#" in found["= <n>"].id
    assert len(recall_steps(taught(*[lit()] * 3, lost()), now("read letter"), None, 1)) == 1


def test_refinement_prunes_what_did_nothing_until_something_changes() -> None:
    repair = repair_after(Repair(), ACTIONS[0], progress=0.0, loss=0.0, changed=False)
    assert Repair.of(repair.as_dict()) == repair
    scores = [advice.score for advice in advise(StepMemory(), now(), None, ACTIONS, repair)]
    assert scores[0] < 0
    assert scores[1:] == [0.0] * (len(ACTIONS) - 1)
    for after in (
        repair_after(repair, ACTIONS[1], progress=0.0, loss=0.0, changed=True),
        repair_after(repair, ACTIONS[1], progress=1.0, loss=0.0, changed=False),
    ):
        assert [advice.score for advice in advise(StepMemory(), now(), None, ACTIONS, after)] == [0.0] * len(ACTIONS)
