"""Rehearsal: which past tasks are worth trying again, and what a success did not need."""

import pytest
from langchain_core.runnables import RunnableLambda
from langgraph_fluxmem import Episode, FluxMem, Situation, Step
from langgraph_fluxmem.errors import ConfigError, FeedbackError, UnknownIdError

HERE = ("memories",)
OPEN, LOOK, PAY = ({"op": "click button", "text": text} for text in ("Open", "Look", "Pay"))


@pytest.fixture
def mem(tmp_path):
    with FluxMem.open(tmp_path, chroma="off") as memory:
        yield memory


def episode(name, actions=(OPEN, LOOK, PAY), *, task="Pay the bill.", solved=True, states=None, note="bill water"):
    states = states or range(len(actions))
    steps = [Step(observation={"state": str(state)}, action=action) for state, action in zip(states, actions, strict=True)]
    return Episode(task=task, steps=(Step(notes=(note,)), *steps), outcome="success" if solved else "failure", id=name)


class World:
    """Opening, then paying, is what it takes; `told` are the actions of each replay."""

    def __init__(self, need=(OPEN, PAY)):
        self.need = need
        self.told = []
        self.replay = RunnableLambda(self.run)

    def run(self, asked):
        self.told.append(asked["actions"])
        done = [action for action in asked["actions"] if action in self.need]
        return {"success": done == list(self.need), "observations": [{"state": f"seen {n}"} for n in range(len(asked["actions"]))]}


def evidence(mem, name):
    learned = mem.engine.learned(HERE)
    version = next(row.id for row in learned.episodes.values() if row.body["id"] == name)
    return [tuple(step.evidence) for target, step in sorted(learned.steps.steps.items()) if target.startswith(f"{version}#")]


def test_what_a_success_did_not_need_loses_its_part_and_the_shorter_way_is_stored(mem):
    mem.commit(episode("a"), namespace=HERE)
    world = World()
    before = mem.verify()
    found = mem.shorten("a", world.replay)
    assert (found.needed, found.unneeded, found.replays) == ((1, 3), (2,), len(world.told))
    assert world.told == [[LOOK, PAY], [OPEN, PAY], [OPEN]]
    assert evidence(mem, "a") == [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)]
    assert evidence(mem, "a-shorter") == [(1.0, 0.0, 0.0)] * 2
    assert (before, mem.verify()) == ([], [])


def test_a_shortening_is_one_operation_that_can_be_undone_and_is_written_once(mem):
    mem.commit(episode("a"), namespace=HERE)
    lived = evidence(mem, "a")
    found = mem.shorten("a", World().replay)
    assert mem.shorten("a", World().replay).operation == found.operation
    assert len(mem.engine.learned(HERE).by_node) == 2
    mem.undo(found.operation)
    assert evidence(mem, "a") == lived
    assert len(mem.engine.learned(HERE).by_node) == 1


def test_what_did_nothing_is_left_out_at_once(mem):
    mem.commit(episode("a", (LOOK, LOOK, OPEN, PAY), states=(0, 0, 0, 1)), namespace=HERE)
    world = World()
    assert mem.shorten("a", world.replay).needed == (3, 4)
    assert world.told[0] == [OPEN, PAY]


def test_what_is_as_short_as_the_latest_successes_is_not_replayed(mem):
    for number in range(2):
        mem.commit(episode(f"short {number}", (OPEN, PAY)), namespace=HERE)
    mem.commit(episode("a", (OPEN, PAY)), namespace=HERE)
    mem.commit(episode("b"), namespace=HERE)
    world = World()
    assert mem.shorten("a", world.replay).replays == 0
    assert mem.shorten("b", world.replay).unneeded == (2,)


def test_a_failure_and_a_shorter_way_are_not_replayed(mem):
    mem.commit(episode("lost", solved=False), namespace=HERE)
    mem.commit(episode("a"), namespace=HERE)
    mem.shorten("a", World().replay)
    world = World()
    assert mem.shorten("lost", world.replay).replays == 0
    assert mem.shorten("a-shorter", world.replay).replays == 0


def test_a_shorter_way_is_forgotten_with_its_episode_and_no_attempt_for_consolidation(mem):
    mem.commit(episode("a"), namespace=HERE)
    mem.shorten("a", World().replay)
    assert mem.consolidate(thresholds={"warm_up": 1}).episodes == 1
    forgotten = mem.forget("a")
    assert sorted(found.why for found in forgotten.removed)[:2] == ["asked", "shortened"]
    assert not mem.engine.learned(HERE).episodes
    assert mem.verify() == []


def test_a_replay_that_tells_only_success_stores_no_shorter_way(mem):
    mem.commit(episode("a"), namespace=HERE)
    found = mem.shorten("a", RunnableLambda(lambda asked: asked["actions"] == [OPEN, PAY]))
    assert found.unneeded == (2,)
    assert [row.body["id"] for row in mem.engine.learned(HERE).episodes.values()] == ["a"]


def test_a_shorter_way_is_preferred_afterwards(mem):
    for number in range(3):
        mem.commit(episode(f"e{number}"), namespace=HERE)
    here = Situation(task="Pay the bill.", notes=("bill water",), observation={"state": "1"}, done=(OPEN,))

    def said():
        look, pay = mem.recall(here, namespace=HERE).advise([LOOK, PAY])
        return pay.score - look.score

    before = said()
    for number in range(3):
        mem.shorten(f"e{number}", World().replay)
    assert (before, said() > 1.0) == (0.0, True)


def test_errors_say_what_is_wrong(mem):
    mem.commit(episode("a"), namespace=HERE)
    with pytest.raises(UnknownIdError, match="no episode 'b' is committed"):
        mem.shorten("b", World().replay)
    with pytest.raises(FeedbackError, match="the replay returned 'yes'"):
        mem.shorten("a", RunnableLambda(lambda _: "yes"))
    with pytest.raises(ConfigError, match="k is 0"):
        mem.rehearsals(0)


def test_without_learning_nothing_is_replayed(tmp_path):
    with FluxMem.open(tmp_path, chroma="off", learning=False) as memory:
        memory.commit(episode("a"), namespace=HERE)
        assert memory.shorten("a", World().replay).replays == 0


KINDS = {"Pay the bill.": (True, True, True, True), "Feed seven grey cats.": (True, False, True, False), "Fly home now!": (False,) * 4}


def test_rehearsals_are_of_kinds_that_are_open(mem):
    for turn in range(4):
        for task, ends in KINDS.items():
            mem.commit(episode(f"{task[:3]}{turn}", task=task, solved=ends[turn], note=f"turn {turn}"), namespace=HERE)
    best = mem.rehearsals(12)
    assert [found.task for found in best[:4]] == ["Feed seven grey cats."] * 4
    assert best[0].rate == pytest.approx(0.5, abs=0.05)
    assert best[0].value == pytest.approx(best[0].rate * (1 - best[0].rate) / 2)
    assert best[-1].rate < 0.2 or best[-1].rate > 0.8
    assert len(mem.rehearsals(12, recent=5)) == 5


def test_the_very_same_task_is_worth_less_each_time_and_is_named_by_its_latest_attempt(mem):
    for turn in range(3):
        mem.commit(episode(f"again {turn}", solved=turn == 1), namespace=HERE)
    mem.commit(episode("other", solved=True, note="bill gas"), namespace=HERE)
    best = mem.rehearsals(5)
    assert [(found.episode, found.attempts) for found in best] == [("other", 1), ("again 2", 3)]
    assert best[0].value == pytest.approx(2 * best[1].value)


def test_a_shorter_way_is_no_attempt(mem):
    mem.commit(episode("a"), namespace=HERE)
    mem.shorten("a", World().replay)
    assert [(found.episode, found.attempts) for found in mem.rehearsals(5)] == [("a", 1)]
