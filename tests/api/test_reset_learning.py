"""What feedback teaches retrieval can be frozen, undone and reset."""

import asyncio

import pytest

from langgraph_fluxmem import Episode, Feedback, FluxMem, InvalidNamespaceError, Step

HERE = ("acme", "ada")
FACTS = [
    f"The {thing} of {who} is {colour}."
    for thing in ("kayak", "loom", "kiln")
    for who, colour in (("Ada", "red"), ("Bob", "blue"), ("Cleo", "green"))
]
QUERIES = ("Which colour has the kayak?", "the loom, please", "Whose kiln is green?", "what is red?")


@pytest.fixture
def mem(tmp_path):
    with FluxMem.open(tmp_path / "memory", chroma="off") as opened:
        opened.remember(FACTS, namespace=HERE)
        yield opened


def seen(mem):
    """Everything a recall shows: ids, scores and shares, in order; advice too."""
    activations = [mem.recall(query, namespace=HERE, k=9) for query in QUERIES]
    advice = activations[0].advise(["open kayak", "close kayak"])
    return [[(fact.id, fact.score, fact.why.signals) for fact in one.facts] for one in activations], [one.score for one in advice]


def teach(mem, *, last=True):
    operations = []
    for query in QUERIES:
        activation = mem.recall(query, namespace=HERE, k=9)
        fact = activation.facts[-1 if last else 0]
        operations.append(mem.learn(activation, Feedback(outcome="success", used=[fact.id])).operation)
    return operations


def test_feedback_brings_what_served_and_moves_weights(mem):
    before = seen(mem)
    teach(mem)
    activation = mem.recall(QUERIES[0], namespace=HERE, k=9)
    assert activation.facts[0].why.signals["served"] == pytest.approx(2.5)
    assert not activation.shift, "four judgements promise too little to move a weight"
    for _ in range(4):
        teach(mem)
    assert mem.recall(QUERIES[0], namespace=HERE, k=9).shift
    assert seen(mem) != before
    assert mem.verify() == []


def test_undo_of_what_was_learned_restores_recall_exactly(mem):
    before = seen(mem)
    operations = teach(mem)
    after_two = None
    for at, operation in enumerate(reversed(operations)):
        if at == 2:
            after_two = seen(mem)
        mem.undo(operation)
    assert seen(mem) == before
    for operation in operations[:2]:
        mem.undo(next(row.id for row in mem.log(namespace=HERE) if row.kind == "undo" and operation in row.undoes and not row.undone))
    assert seen(mem) == after_two
    assert mem.verify() == []


def test_reset_counts_no_earlier_evidence_and_can_be_undone(mem):
    before = seen(mem)
    teach(mem)
    steps = (Step(observation="a door", action="open kayak", progress=1.0), Step(observation="a boat", action="row"))
    mem.commit(Episode(task=QUERIES[0], steps=steps, outcome="success", id="one"), namespace=HERE)
    taught = seen(mem)
    reset = mem.reset_learning(namespace=HERE)
    assert seen(mem)[0] == before[0]
    assert seen(mem)[1] == before[1]
    assert [episode.task for episode in mem.recall(QUERIES[0], namespace=HERE).episodes] == [QUERIES[0]], "nothing is deleted"
    assert mem.verify() == []
    mem.undo(reset.operation)
    assert seen(mem) == taught
    assert mem.verify() == []


def test_what_is_judged_after_a_reset_counts(mem):
    teach(mem)
    mem.reset_learning(namespace=HERE)
    teach(mem, last=False)
    assert mem.recall(QUERIES[0], namespace=HERE).facts[0].why.signals["served"] > 0
    mem.rebuild("learned")
    assert mem.recall(QUERIES[0], namespace=HERE).facts[0].why.signals["served"] > 0


def test_a_reset_is_of_one_namespace_and_survives_reopening(tmp_path):
    there = ("acme", "bob")
    with FluxMem.open(tmp_path / "memory", chroma="off") as mem:
        for namespace in (HERE, there):
            mem.remember(FACTS, namespace=namespace)
            activation = mem.recall(QUERIES[0], namespace=namespace, k=9)
            mem.learn(activation, Feedback(outcome="success", used=[activation.facts[-1].id]))
        asyncio.run(mem.areset_learning(namespace=HERE))
    with FluxMem.open(tmp_path / "memory", chroma="off") as mem:
        assert "served" not in mem.recall(QUERIES[0], namespace=HERE).facts[0].why.signals
        assert "served" in mem.recall(QUERIES[0], namespace=there).facts[0].why.signals
        with pytest.raises(InvalidNamespaceError):
            mem.reset_learning(namespace=("a.b",))


def test_frozen_learning_changes_no_channel_and_keeps_what_was_learned(tmp_path):
    with FluxMem.open(tmp_path / "memory", chroma="off") as mem:
        mem.remember(FACTS, namespace=HERE)
        teach(mem)
        taught = seen(mem)
    with FluxMem.open(tmp_path / "memory", chroma="off", learning=False) as mem:
        assert seen(mem) == taught
        activation = mem.recall(QUERIES[0], namespace=HERE, k=9)
        for outcome in ("success", "failure"):
            mem.learn(activation, Feedback(outcome=outcome, used=[activation.facts[3].id], harmful=[activation.facts[4].id]))
        mem.learn(activation, Feedback(outcome="failure", loss=1.0))
        mem.commit(
            Episode(
                task="something else", steps=(Step(action="open kayak", progress=1.0, used=(activation.facts[0].id,)),), outcome="success"
            ),
            namespace=HERE,
        )
        assert seen(mem) == taught
        assert len(mem.engine.ledger.evidence(HERE)) == len(QUERIES)


def test_weights_named_in_a_call_are_not_moved(mem):
    for _ in range(5):
        teach(mem)
    activation = mem.recall(QUERIES[0], namespace=HERE, signals={"dense": 0.7})
    assert "dense" not in activation.shift
    assert activation.shift


def test_exactly_once_and_by_the_nodes_own_state(mem):
    activation = mem.recall(QUERIES[0], namespace=HERE, k=9)
    feedback = Feedback(outcome="success", used=[activation.facts[-1].id])
    mem.learn(activation, feedback)
    once = seen(mem)
    assert mem.learn(activation, feedback).duplicate
    assert seen(mem) == once
