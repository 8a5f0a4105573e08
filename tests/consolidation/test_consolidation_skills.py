"""Skills made by consolidation, recalled: inherited, matched directly, and on the fast path until a failure closes it."""

from typing import Any

from langgraph_fluxmem import Feedback, FluxMem
from langgraph_fluxmem.requests import Embed, Views
from langgraph_fluxmem.skills import SkillBook

from .tasks import HERE, box, commit, login, skills, view


def asked(mem: FluxMem, query: str) -> tuple[list[Any], Any]:
    """The requests of a recall, and its activation."""
    seen: list[Any] = []

    def watched(stage: Any) -> Any:
        answer = None
        while True:
            try:
                request = stage.send(answer)
            except StopIteration as stop:
                return stop.value
            seen.append(request)
            answer = yield request

    activation = mem.engine.run(watched(mem.stages.recall(query, namespace=HERE)))
    return seen, activation


def mature(mem: FluxMem) -> None:
    commit(mem, *(login(n) for n in range(4)))
    mem.consolidate(namespace=HERE)
    commit(mem, *(login(n) for n in range(10, 15)))
    mem.consolidate(namespace=HERE)
    assert skills(mem)[0].status == "mature"


def test_a_candidate_of_consolidation_is_recalled_with_its_steps_and_why(mem: FluxMem):
    commit(mem, *(login(n) for n in range(5)), *(box(n) for n in range(4)))
    mem.consolidate(namespace=HERE)
    activation = mem.recall(login(77).task, namespace=HERE)
    first = activation.skills[0]
    assert first.name.startswith("Enter the username")
    assert (first.status, len(first.steps)) == ("candidate", 5)
    assert 0.5 <= first.score <= 1.0
    assert set(first.why.signals) == {"inherited", "direct"}
    assert first.why.path[-1] == first.id
    assert "click on=Login" in activation.context
    assert all(not skill.name.startswith("Select") for skill in activation.skills)
    assert mem.recall("what is the capital of France?", namespace=HERE).skills == ()


def test_mature_skills_of_consolidation_come_first(mem: FluxMem):
    mature(mem)
    commit(mem, *(box(n) for n in range(4)))
    mem.consolidate(namespace=HERE)
    book = SkillBook.read(mem.engine.ledger, HERE)
    nodes = {node: 0.9 for source in book.sources.values() for node in (name.rsplit(":", 1)[0] for name in source)}
    recalled = book.recall(nodes, (), None)
    assert [skill.status for skill in recalled] == ["mature", "candidate"]
    assert book.recall(nodes, (), None, k=1)[0].status == "mature"


def test_the_fast_path_of_a_mature_skill_searches_no_facts(mem: FluxMem):
    mem.remember([f"the login screen has fact {n}" for n in range(8)], namespace=HERE)
    mature(mem)
    task = login(10).task
    requests, activation = asked(mem, task)
    assert not any(isinstance(request, Views) for request in requests)
    assert sum(isinstance(request, Embed) for request in requests) == 1
    assert activation.skills[0].status == "mature"
    assert activation.facts == ()
    # a task that no mature skill matches well is searched as ever
    requests, activation = asked(mem, "what does the login screen have?")
    assert any(isinstance(request, Views) for request in requests)
    assert activation.facts


def test_the_fast_path_brings_the_facts_that_served_such_tasks(mem: FluxMem):
    facts = mem.remember(["the login screen is slow", "tea is hot"], namespace=HERE)
    task = login(10).task
    mem.learn(mem.recall(task, namespace=HERE), Feedback(outcome="success", used=(facts[0],)))
    mature(mem)
    _, activation = asked(mem, task)
    assert [fact.id for fact in activation.facts] == [facts[0]]
    assert activation.facts[0].content == "the login screen is slow"
    assert activation.facts[0].why.path == (activation.skills[0].id,)


def test_one_failure_closes_the_fast_path_for_its_task_and_a_success_opens_it(mem: FluxMem):
    mem.remember("the login screen is slow", namespace=HERE)
    mature(mem)
    task = login(10).task
    failed = login(10, ok=False)
    assert not any(isinstance(request, Views) for request in asked(mem, task)[0])
    commit(mem, failed)
    assert any(isinstance(request, Views) for request in asked(mem, task)[0])
    assert not any(isinstance(request, Views) for request in asked(mem, login(11).task)[0])  # for that task only
    commit(mem, login(10).model_copy(update={"id": "again"}))
    assert not any(isinstance(request, Views) for request in asked(mem, task)[0])


def test_a_failure_within_the_step_closes_the_fast_path(mem: FluxMem):
    mem.remember([f"the login screen has fact {n}" for n in range(8)], namespace=HERE)
    mature(mem)
    activation = mem.recall(login(10).task, namespace=HERE)
    assert activation.facts == ()
    refined = mem.refine(activation, Feedback(outcome="failure"))
    assert refined.facts
    assert refined.skills[0].status == "mature"


def test_a_recall_on_the_fast_path_writes_nothing(mem: FluxMem):
    mature(mem)
    head = mem.engine.ledger.head()
    mem.recall(login(10).task, namespace=HERE)
    assert mem.engine.ledger.head() == head


def test_skills_followed_from_the_log_are_those_read_afresh(tmp_path: Any):
    with FluxMem.open(tmp_path / "m", chroma="off") as mem:
        mem.recall("anything", namespace=HERE)
        for round_ in range(4):
            commit(mem, *(login(10 * round_ + n) for n in range(4)), *(box(10 * round_ + n) for n in range(3)))
            mem.consolidate(namespace=HERE)
            mem.recall(login(1).task, namespace=HERE)
            assert mem.verify() == []
        before = view(mem.recall(login(1).task, namespace=HERE))
    with FluxMem.open(tmp_path / "m", chroma="off") as mem:
        assert view(mem.recall(login(1).task, namespace=HERE)) == before


def test_what_consolidation_forgets_is_not_recalled(mem: FluxMem):
    commit(mem, *(login(n) for n in range(5)))
    report = mem.consolidate(namespace=HERE)
    assert mem.recall(login(1).task, namespace=HERE).skills
    mem.undo(report.operation or "")
    assert mem.recall(login(1).task, namespace=HERE).skills == ()
