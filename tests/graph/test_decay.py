"""Decay of learned links: by use, not by the clock; nothing is written when they are read."""

from hypothesis import given
from hypothesis import strategies as st

from langgraph_fluxmem import FluxMem
from langgraph_fluxmem.decay import Uses
from langgraph_fluxmem.graph import MemoryGraph
from langgraph_fluxmem.ledger.rows import EdgeRow, EvidenceRow

HERE = ("memories",)


def edge(src: str, dst: str, op: int, kind: str = "RELATES") -> EdgeRow:
    return EdgeRow(f"{kind}{src}{dst}", kind, f"{src}:1", f"{dst}:1", 1.0, op, None)  # type: ignore[arg-type]


def test_consolidation_lets_an_unused_link_lose_half_of_its_weight_in_a_half_life():
    graph = MemoryGraph(HERE, half_life=4)
    graph.add_edges([edge("a", "b", 1), edge("a", "c", 2), edge("a", "d", 3, "GROUNDS")])
    assert graph.weight("a", "b", "RELATES") == 0.5 ** (1 / 4)
    graph.add_evidence([EvidenceRow("a:1>c:1", f"x{op}", "progress", 1.0, op, None) for op in (5, 6, 7)])
    assert graph.weight("a", "b", "RELATES") == 0.5
    assert graph.weight("a", "c", "RELATES") == graph.evidence("a>c").factor
    assert graph.weight("a", "d", "GROUNDS") == 1.0
    assert graph.neighbours("a", ["RELATES"]) == {"b": 0.5, "c": graph.evidence("a>c").factor}
    assert {data["learned"] for _, dst, data in graph.subgraph(["a"]).edges(data=True) if dst == "b"} == {0.5}


def test_without_a_half_life_nothing_decays():
    graph = MemoryGraph(HERE)
    graph.add_edges([edge("a", "b", 1), *(edge("a", f"n{op}", op) for op in range(2, 50))])
    assert graph.weight("a", "b", "RELATES") == 1.0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 20)), min_size=1, max_size=30), st.randoms())
def test_decay_does_not_depend_on_the_order_in_which_uses_are_read(uses, chance):
    one, other = Uses(3), Uses(3)
    for link, op in uses:
        one.use(link, op)
    mixed = list(uses)
    chance.shuffle(mixed)
    for link, op in mixed:
        other.use(link, op)
    assert [one.left(link) for link in "abc"] == [other.left(link) for link in "abc"]
    assert max(one.left(link) for link, _ in uses) == 1.0


def test_other_namespaces_and_reads_do_not_age_a_link_and_an_undo_gives_back_what_it_took(tmp_path):
    from langgraph_fluxmem import Feedback

    def learn(mem: FluxMem, question: str, namespace: tuple[str, ...] = HERE) -> str:
        activation = mem.recall(question, namespace=namespace)
        return mem.learn(activation, Feedback(outcome="success", used=tuple(fact.id for fact in activation.facts[:2]))).operation

    with FluxMem.open(tmp_path / "m", chroma="off", half_life=2) as mem:
        for namespace in (HERE, ("other",)):
            mem.remember(["the kettle is red", "the kettle is loud", "the car is green", "the car is old"], namespace=namespace)
        learn(mem, "kettle red loud")
        (src, dst, _, _) = next(found for found in mem.engine.projections.graph(HERE).edges() if found[2] == "RELATES")
        fresh = mem.engine.projections.graph(HERE).weight(src, dst, "RELATES")
        learn(mem, "car green old", ("other",))
        mem.recall("car green old", namespace=HERE)
        assert mem.engine.projections.graph(HERE).weight(src, dst, "RELATES") == fresh
        operation = learn(mem, "car green old")
        assert mem.engine.projections.graph(HERE).weight(src, dst, "RELATES") < fresh
        mem.undo(operation)
        assert mem.engine.projections.graph(HERE).weight(src, dst, "RELATES") == fresh
        assert mem.verify() == []
