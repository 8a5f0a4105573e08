"""The care of facts in consolidation: repeats and complements are linked, overloaded facts are found by their parts, nothing is hidden."""

from langchain_core.documents import Document

from langgraph_fluxmem import Feedback, FluxMem

from .tasks import HERE, commit, login


def edges(mem: FluxMem, kind: str) -> list[tuple[str, str]]:
    return [(edge.src, edge.dst) for edge in mem.engine.ledger.edges(HERE) if edge.kind == kind]


def test_consolidation_links_what_repeats_and_what_completes_a_fact_and_hides_nothing(mem: FluxMem):
    first = mem.remember("The red kettle in the kitchen boils water in two minutes", namespace=HERE)
    again = mem.remember(
        Document("The red kettle in the kitchen boils water in two minutes.", metadata={"source": "later"}), namespace=HERE
    )
    more = mem.remember(
        "The red kettle in the kitchen boils water in two minutes and was bought in Rome by Ada, who paid forty euros to a dealer near the harbour",
        namespace=HERE,
    )
    mem.remember("Bob plays chess on Sundays", namespace=HERE)
    before = mem.recall("red kettle", namespace=HERE)
    report = mem.consolidate(namespace=HERE)
    assert (report.facts.looked_at, report.facts.redundant) == (4, 1)
    assert edges(mem, "SUPERSEDES") == [(again[0], first[0])]
    assert set(edges(mem, "RELATES")) == {(more[0], first[0]), (more[0], again[0])}
    after = mem.recall("red kettle", namespace=HERE)
    assert [(fact.id, fact.content, fact.metadata, fact.score) for fact in after.facts] == [
        (fact.id, fact.content, fact.metadata, fact.score) for fact in before.facts
    ]


def test_consolidation_looks_at_each_fact_once(mem: FluxMem):
    mem.remember([f"fact number {n} about kettles" for n in range(5)], namespace=HERE)
    assert mem.consolidate(namespace=HERE).facts.looked_at == 5
    again = mem.consolidate(namespace=HERE)
    assert (again.facts.looked_at, again.operation) == (0, None)
    mem.remember("one more fact about kettles", namespace=HERE)
    assert mem.consolidate(namespace=HERE).facts.looked_at == 1


def test_consolidation_leaves_the_items_of_a_store_alone(mem: FluxMem):
    mem.store.put(HERE, "a", {"text": "The red kettle boils water in two minutes"}, index=["text"])
    mem.store.put(HERE, "b", {"text": "The red kettle boils water in two minutes"}, index=["text"])
    mem.remember("The red kettle boils water in two minutes", namespace=HERE)
    report = mem.consolidate(namespace=HERE)
    assert report.facts.looked_at == 1
    assert edges(mem, "SUPERSEDES") == edges(mem, "RELATES") == []


LONG = (
    "The house has a red door that sticks in winter. Ada painted the fence green last May. The boiler is serviced by Mr Pike every autumn. "
    "Under the stairs there is a box of candles. The neighbour on the left keeps two geese. The wifi password is on the fridge. "
    "Post arrives before noon. The attic key hangs behind the clock, next to the calendar. Milk is delivered on Fridays by a boy on a bicycle."
)


def test_consolidation_splits_a_fact_that_served_tasks_that_are_not_alike(mem: FluxMem):
    (fact,) = mem.remember(Document(LONG, metadata={"source": "letter", "page": 3}), namespace=HERE)
    other = mem.remember("Candles burn for six hours", namespace=HERE)
    for query in ("who services the boiler?", "where does the attic key hang?"):
        mem.learn(mem.recall(query, namespace=HERE), Feedback(outcome="success", used=(fact,)), namespace=HERE)
    report = mem.consolidate(namespace=HERE)
    assert report.facts.split == 1
    found = mem.recall("Under the stairs there is a box of candles", namespace=HERE, signals={"bm25": 0})
    assert found.facts[0].content == LONG
    assert found.facts[0].metadata == {"source": "letter", "page": 3}
    assert found.facts[0].id != fact  # a version beside the raw one, with established links
    assert other[0] in {one.id for one in found.facts}
    assert (found.facts[0].id, fact) in edges(mem, "SUPERSEDES")
    assert mem.consolidate(namespace=HERE).facts.split == 0
    assert mem.verify() == []
    mem.undo(report.operation or "")
    assert fact in {one.id for one in mem.recall("who services the boiler?", namespace=HERE).facts}
    assert mem.verify() == []


def test_consolidation_splits_nothing_that_served_one_kind_of_task(mem: FluxMem):
    (fact,) = mem.remember(LONG, namespace=HERE)
    for query in ("who services the boiler?", "who services the boiler"):
        mem.learn(mem.recall(query, namespace=HERE), Feedback(outcome="success", used=(fact,)), namespace=HERE)
    assert mem.consolidate(namespace=HERE).facts.split == 0


def test_consolidation_leaves_facts_for_later_while_episodes_warm_up(mem: FluxMem):
    mem.remember(["the kettle is red", "the kettle is red."], namespace=HERE)
    commit(mem, login(1), login(2))
    assert mem.consolidate(namespace=HERE).operation is None
    commit(mem, login(3), login(4))
    report = mem.consolidate(namespace=HERE)
    assert (report.new, report.facts.looked_at, report.active) == (4, 2, 1)
