"""Key-value actions: what their details say side by side, and at which stage of a task."""

from hypothesis import given, settings
from hypothesis import strategies as st

from langgraph_fluxmem.learning import StepMemory, advise, evidence, record
from langgraph_fluxmem.learning.situation import read
from langgraph_fluxmem.learning.template import stage, template
from langgraph_fluxmem.schema import Episode, Situation, Step


def radio(text, place):
    return {"op": "click radio", "text": text, "id": f"r{place}"}


SUBMIT = {"op": "click button", "text": "Send", "id": "go"}


def form(name, wrong, actions, outcome):
    """Choose the option that a note names, then send."""
    last = -1.0 if outcome == "failure" else 1.0
    steps = [Step(action=action, progress=last if i == len(actions) - 1 else 0.0) for i, action in enumerate(actions)]
    return Episode(task="Choose x and send.", steps=(Step(notes=(f"target {name}",)), *steps), outcome=outcome)


def taught(*episodes):
    memory = StepMemory()
    for number, episode in enumerate(episodes):
        memory.add_episode(f"e{number}", record(episode), None, number)
        for i, channel, weight in evidence(episode):
            memory.add_evidence(f"e{number}#{i}", channel, weight, number)
    return memory


NAMES = ("ada", "bob", "cyd", "dan", "eve", "fay")


def rounds():
    for number, name in enumerate(NAMES):
        other = NAMES[number - 1]
        yield form(name, other, [radio(name, number % 2), SUBMIT], "success")
        yield form(name, other, [radio(other, 1 - number % 2), SUBMIT], "failure")
        yield form(name, other, [SUBMIT], "failure")


def scores(memory, done=()):
    situation = Situation(task="Choose x and send.", notes=("target gus",), done=tuple(done))
    actions = [radio("gus", 0), radio("hal", 1), SUBMIT]
    return {said.action["text"]: said.score for said in advise(memory, situation, None, actions)}


def test_what_a_note_names_is_chosen_then_sent_on_values_never_seen():
    memory = taught(*rounds())
    first, then = scores(memory), scores(memory, [radio("gus", 0)])
    assert first["gus"] > first["Send"]
    assert first["gus"] > first["hal"]
    assert then["Send"] > first["Send"]
    assert then["Send"] > scores(memory, [radio("hal", 1)])["Send"]


def test_order_of_evidence_does_not_matter_and_undo_leaves_no_trace():
    episodes = list(rounds())[:4]
    memory = taught(*episodes)
    before = scores(memory)
    memory.add_episode("late", record(episodes[2]), None, 99)
    for i, channel, weight in evidence(episodes[2]):
        memory.add_evidence(f"late#{i}", channel, weight, 99)
    assert scores(memory) != before
    memory.remove(99)
    assert scores(memory) == before


@settings(deadline=None, max_examples=20)
@given(st.permutations(list(range(18))))
def test_any_order_gives_the_same_counts(order):
    episodes = list(rounds())
    memory = StepMemory()
    for number in order:
        memory.add_episode(f"e{number}", record(episodes[number]), None, number)
        for i, channel, weight in evidence(episodes[number]):
            memory.add_evidence(f"e{number}#{i}", channel, weight, number)
    assert memory.counts() == taught(*episodes).counts()


def test_branches_are_the_head_with_each_detail_and_what_names_it():
    made = template(radio("gus", 0), read(Situation(task="Choose x.", notes=("target gus",))))
    assert made.weighed == (
        "click radio",
        "click radio text=<n>",
        "click radio id=r0",
        "click radio text=n:_",
        "click radio text=n:target _",
    ) or set(made.weighed) >= {"click radio", "click radio text=<n>", "click radio id=r0", "click radio text=n:target _"}
    again = template(radio("gus", 0), read(Situation(task="Choose x.", notes=("target gus",), done=(radio("gus", 0),))))
    assert "click radio again" in again.branches


def test_a_command_has_no_branches():
    made = template("open door", read(Situation(task="Leave the house.")))
    assert made.branches == ()
    assert made.weighed == made.levels


def test_the_stage_tells_what_was_done_and_whether_something_named_is_untouched():
    at = [
        stage(read(Situation(task="Choose x.", notes=("target gus",), done=done))) for done in ((), (radio("hal", 1),), (radio("gus", 0),))
    ]
    assert at == ["at start, more named", "at click radio, more named", "at click radio text=<n>"]


def test_a_failure_blames_the_step_that_made_things_worse():
    rows = evidence(form("ada", "bob", [radio("bob", 1), SUBMIT], "failure"))
    weights = {i: weight for i, channel, weight in rows if channel == "failure"}
    assert weights[2] == 1.0
    assert 0 < weights[1] < 0.2
