"""Evidence that contradicts itself is said to, and takes no side."""

import random

import pytest
from langgraph_fluxmem.learning import StepMemory, advise, evidence, record
from langgraph_fluxmem.learning.doubt import decisive
from langgraph_fluxmem.learning.tree import Node
from langgraph_fluxmem.schema import Episode, Situation, Step

VERBS = ("push", "pull", "turn", "lift", "press")


def played(seed, *, chance, episodes=60, dense=True):
    """Episodes of ten steps; with `chance` anything leads on now and then, else only pushing does."""
    dice = random.Random(seed)
    memory = StepMemory()
    for number in range(episodes):
        solved = dice.random() < 0.5
        steps = []
        for _ in range(10 if dense else 4):
            verb = dice.choice(VERBS)
            led = dice.random() < 0.5 if chance else verb == "push"
            steps.append(Step(observation=f"a lever {dice.random()}", action=f"{verb} lever", progress=float(led and dense)))
        if not dense and not chance:
            solved = any(step.action == "push lever" for step in steps)
        episode = Episode(
            task="Open the gate with the lever.", steps=tuple(steps), outcome="success" if solved and not dense else "failure"
        )
        memory.add_episode(f"e{number}", record(episode), None, number)
        for i, channel, weight in evidence(episode):
            memory.add_evidence(f"e{number}#{i}", channel, weight, number)
    return memory


def said(memory):
    situation = Situation(task="Open the gate with the lever.", observation="a lever")
    return advise(memory, situation, None, [f"{verb} lever" for verb in VERBS])


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_formation_of_advice_from_random_outcomes_takes_no_side_and_says_so(seed, dense):
    memory = played(seed, chance=True, dense=dense)
    assert memory.contradiction().startswith("contradictory: 5 kinds of action in 60 episodes")
    for advice in said(memory):
        assert advice.why.path[0] == memory.contradiction()
        assert advice.value == pytest.approx(0.27)


@pytest.mark.parametrize("seed", range(4))
def test_outcomes_that_tell_actions_apart_are_not(seed):
    memory = played(seed, chance=False)
    assert not memory.contradiction()
    scores = [advice.score for advice in said(memory)]
    assert scores[0] == max(scores) > 0 > max(scores[1:])


def test_little_evidence_is_not_called_contradictory():
    assert not StepMemory().contradiction()
    assert not played(0, chance=True, episodes=10).contradiction()


def test_what_is_withdrawn_counts_no_more():
    memory = played(0, chance=True)
    assert memory.contradiction()
    for operation in range(60):
        memory.remove(operation)
    assert not memory.contradiction()


def test_a_condition_that_explains_much_is_no_chance_find():
    def split(good, bad):
        return Node(good + bad, 40.0, 0.5, 1, Node(good, 20.0, good / 20), Node(bad, 20.0, bad / 20))

    assert decisive(split(20.0, 0.0), 100)
    assert not decisive(split(14.0, 6.0), 100)
    assert not decisive(Node(20.0, 40.0, 0.5), 100)
