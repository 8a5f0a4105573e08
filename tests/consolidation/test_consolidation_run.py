"""Consolidation of a real memory: what it writes, what it refuses, what it costs, and that it can be taken back."""

from dataclasses import replace
from typing import Any

import pytest

from langgraph_fluxmem import Episode, Feedback, FluxMem, Step
from langgraph_fluxmem.consolidation import Means, Settings, consolidate, pems
from langgraph_fluxmem.consolidation.accepting import OVERTAKEN, accept
from langgraph_fluxmem.consolidation.inducing import accepts, induce_cluster
from langgraph_fluxmem.consolidation.run import BUSY, lease_name
from langgraph_fluxmem.consolidation.snapshot import snapshot
from langgraph_fluxmem.operators import Judgement, RuleOperators
from langgraph_fluxmem.operators.protocol import Induce, Task
from langgraph_fluxmem.edits import NodeWrite, Plan
from langgraph_fluxmem.schema import Provenance

from .tasks import HERE, box, commit, login, skills, view, world


class Counted(RuleOperators):
    """Rules that count what they are asked, as if each answer were one call of a model."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def judge(self, task: Task[Any]) -> Judgement[Any]:
        self.asked.append(task.operator)
        return replace(super().judge(task), by="model", calls=1, input_tokens=100, output_tokens=10)


def test_consolidation_makes_skills_in_one_operation(mem: FluxMem):
    commit(mem, *(login(n, scroll=n % 2 == 0) for n in range(6)), *(login(n, ok=False) for n in range(6, 9)), *(box(n) for n in range(4)))
    head = mem.engine.ledger.head()
    report = mem.consolidate(namespace=HERE)
    assert mem.engine.ledger.head() == head + 1
    assert report.operation == f"consolidate-{head}-{report.id}"
    assert (report.episodes, report.new, report.explained, report.active) == (13, 13, 0, 2)
    assert [(part.episodes, part.induced) for part in report.clusters] == [(9, 1), (4, 1)]
    assert [skill.decision for skill in report.skills] == ["accepted", "accepted"]
    assert (report.calls, report.input_tokens, report.replays) == (0, 0, 0)
    first, second = skills(mem)
    assert [step.text for step in first.steps] == [
        "click on=username", "type text=<1, from the task>", "scroll by=10", "click on=password", "type text=<1, from the task>", "click on=Login",
    ]  # fmt: skip
    assert [step.optional for step in first.steps] == [False, False, True, False, False, False]
    assert first.pitfalls and "Cancel" in first.pitfalls[0]
    assert [step.text for step in second.steps] == ["click on=<1, from the task>", "click on=submit"]
    assert (first.status, first.number, first.trials.successes) == ("candidate", 1, 0)
    # distilled from its successes, and from nothing else
    edges = [edge for edge in mem.engine.ledger.edges(HERE) if edge.kind == "DISTILLS"]
    assert sorted({edge.dst.split(":")[0] for edge in edges}) == sorted([first.node, second.node])
    assert sum(edge.dst.startswith(first.node) for edge in edges) == 6
    # PEMS: eta / (|V| ln l), all sources follow
    assert first.history == (pytest.approx(report.skills[0].pems),)
    assert mem.verify() == []


def test_consolidation_again_finds_nothing_new_and_writes_nothing(mem: FluxMem):
    commit(mem, *(login(n) for n in range(5)))
    mem.consolidate(namespace=HERE)
    head, operators = mem.engine.ledger.head(), Counted()
    again = mem.consolidate(namespace=HERE, model=operators)
    assert (again.operation, again.new, again.stopped) == (None, 0, "no episode is new")
    assert (mem.engine.ledger.head(), operators.asked) == (head, [])


def test_consolidation_costs_nothing_for_episodes_its_skills_explain(mem: FluxMem):
    """8 of 10 new episodes are explained: one cluster, that of the other two, is induced and rewritten."""
    commit(mem, *(login(n) for n in range(6)))
    mem.consolidate(namespace=HERE)
    commit(mem, *(login(n) for n in range(20, 28)), box(1), box(2))
    operators = Counted()
    report = mem.consolidate(namespace=HERE, model=operators)
    assert (report.new, report.explained) == (10, 8)
    assert operators.asked == ["induce"]
    assert (report.calls, report.input_tokens, report.output_tokens) == (1, 100, 10)
    assert [part.why for part in report.clusters] == ["its skills explain all that is new", "1 procedures in 2 successes and 0 failures"]


def test_consolidation_does_not_try_again_what_it_could_not_use_until_something_new_comes(mem: FluxMem):
    odd = [
        Episode(task="do the odd thing", outcome="success", id=f"odd{n}", steps=(Step(action=f"trick{n}"), Step(action=f"turn{n}")))
        for n in range(4)
    ]
    commit(mem, *odd[:3], *(box(n) for n in range(3)))
    first = mem.consolidate(namespace=HERE)
    assert "its successes share no steps" in [part.why for part in first.clusters]
    assert mem.consolidate(namespace=HERE).clusters == []
    commit(mem, odd[3])
    assert [part.episodes for part in mem.consolidate(namespace=HERE).clusters] == [4]


def test_consolidation_warms_up_and_says_how_many_episodes_it_needs(mem: FluxMem):
    commit(mem, login(1), login(2), login(3, outcome="unknown"))
    report = mem.consolidate(namespace=HERE)
    assert (report.operation, report.warm_up) == (None, 2)
    assert report.stopped == "warming up: 2 more episodes with a known outcome are needed"
    assert mem.consolidate(namespace=HERE, thresholds={"warm_up": 2}).operation is not None


def test_consolidation_counts_judgements_that_come_later(mem: FluxMem):
    commit(mem, *(login(n, outcome="unknown") for n in range(5)))
    assert skills(mem) == []
    for n in range(5):
        mem.learn(login(n, outcome="unknown").id or "", Feedback(outcome="success"), namespace=HERE)
    mem.consolidate(namespace=HERE, thresholds={"warm_up": 1})
    assert skills(mem) == []  # nothing committed has a known outcome
    commit(mem, login(9))
    mem.consolidate(namespace=HERE, thresholds={"warm_up": 1})
    assert len(skills(mem)) == 1


def test_consolidation_promotes_what_holds_in_varied_contexts_and_demotes_what_fails(mem: FluxMem):
    commit(mem, *(login(n) for n in range(4)))
    mem.consolidate(namespace=HERE)
    commit(mem, *(login(n) for n in range(10, 15)))
    report = mem.consolidate(namespace=HERE)
    assert [skill.decision for skill in report.skills] == ["promoted"]
    (skill,) = skills(mem)
    assert (skill.status, skill.trials.successes, skill.trials.failures) == ("mature", 5, 0)
    assert skill.trials.contexts >= 2
    failing = [login(n) for n in range(20, 32)]
    commit(mem, *(episode.model_copy(update={"outcome": "failure", "id": f"f{n}"}) for n, episode in enumerate(failing)))
    report = mem.consolidate(namespace=HERE)
    assert "demoted" in [skill.decision for skill in report.skills]
    assert skills(mem)[0].status == "demoted"
    assert mem.recall(login(99).task, namespace=HERE).skills == ()


def test_consolidation_does_not_mature_in_one_context_only(mem: FluxMem):
    same = [login(1).model_copy(update={"id": f"same{n}"}) for n in range(12)]
    commit(mem, *same[:4])
    mem.consolidate(namespace=HERE)
    commit(mem, *same[4:])
    mem.consolidate(namespace=HERE)
    (skill,) = skills(mem)
    assert (skill.status, skill.trials.successes, skill.trials.contexts) == ("candidate", 8, 1)


def test_consolidation_can_be_undone_and_recall_is_exactly_as_before(mem: FluxMem):
    mem.remember([f"fact {n} about the login screen" for n in range(20)], namespace=HERE)
    commit(mem, *(login(n) for n in range(6)), *(box(n) for n in range(5)))
    queries = [login(50).task, box(50).task, "what is on the login screen?"]
    before = [view(mem.recall(query, namespace=HERE)) for query in queries]
    first = mem.consolidate(namespace=HERE)
    commit(mem, *(login(n) for n in range(20, 25)))
    between = [view(mem.recall(query, namespace=HERE)) for query in queries]
    second = mem.consolidate(namespace=HERE)
    assert "mature" in [skill.status for skill in skills(mem)]
    assert [view(mem.recall(query, namespace=HERE)) for query in queries] != between
    assert second.operation and first.operation
    mem.undo(second.operation)
    assert [view(mem.recall(query, namespace=HERE)) for query in queries] == between
    mem.undo(first.operation)
    for n in range(20, 25):
        mem.undo(next(row.id for row in mem.engine.ledger.commits(HERE) if row.episode == login(n).id))
    assert [view(mem.recall(query, namespace=HERE)) for query in queries] == before
    assert mem.verify() == []


def test_consolidation_after_an_undo_looks_again_at_the_same_episodes(mem: FluxMem):
    commit(mem, *(login(n) for n in range(5)))
    report = mem.consolidate(namespace=HERE)
    mem.undo(report.operation or "")
    assert skills(mem) == []
    again = mem.consolidate(namespace=HERE)
    assert (again.new, len(skills(mem))) == (5, 1)


def test_consolidation_shortens_by_counterfactual_replay(mem: FluxMem):
    """All successes scrolled; without scrolling they succeed as well, so the step goes: equal rate, fewer tokens."""
    log: list[dict[str, Any]] = []
    commit(mem, *(login(n, scroll=True) for n in range(6)))
    report = mem.consolidate(namespace=HERE, replay=world(log))
    (skill,) = skills(mem)
    assert [step.text for step in skill.steps] == [
        "click on=username", "type text=<1, from the task>", "click on=password", "type text=<1, from the task>", "click on=Login",
    ]  # fmt: skip
    assert report.skills[0].eta_from == "replay"
    assert report.skills[0].eta == 1.0
    assert report.replays == len(log) > 0
    assert report.rounds[0].refined == 1
    assert "eta 1.00 as before, with" in report.skills[0].why
    # shorter, but charged for having changed: the gain of |V_proc| * PEMS is what the formula says
    assert report.rounds[0].why.startswith("the gain") and report.stopped == report.rounds[0].why
    length = pems.tokens(skill.text())
    assert report.rounds[0].gain < pems.value(1.0, length, 0.0) - pems.value(1.0, length + 5, 0.0)
    # replays that went well under this version count as trials
    assert skill.trials.successes == 6
    assert skill.status == "mature"


def test_consolidation_does_not_drop_what_a_step_was_read_for(mem: FluxMem):
    """A replay of what was done succeeds without reading what to do; an agent would not."""
    for n in range(5):
        episode = login(n)
        read = Step(action={"op": "open", "on": "manual"}, result="press Login last", notes=("press Login last",))
        commit(mem, episode.model_copy(update={"steps": (read, *episode.steps)}))
    report = mem.consolidate(namespace=HERE, replay=world())
    assert skills(mem)[0].steps[0].text == "open on=manual"
    assert report.stopped == "no skill was refined: nothing left to rewrite"


def test_consolidation_says_why_each_run_of_rewriting_stopped(mem: FluxMem):
    commit(mem, *(login(n, scroll=True) for n in range(6)))
    report = mem.consolidate(namespace=HERE, replay=world(), thresholds={"rounds": 1})
    assert report.stopped == "1 rounds are over" or "below" in report.stopped
    assert [part.round for part in report.rounds] == [1]
    commit(mem, *(box(n) for n in range(4)))
    assert mem.consolidate(namespace=HERE).stopped.endswith("without a replay no rewrite is accepted offline")


def test_a_rewrite_that_is_worse_is_refused_and_one_that_is_equal_and_shorter_accepted():
    assert accepts(0.8, 50, 0.7, 10) == (False, "worse: eta 0.70, before 0.80")
    assert accepts(0.8, 50, 0.8, 49) == (True, "eta 0.80 as before, with 49 tokens for 50")
    assert accepts(0.8, 50, 0.8, 50)[0] is False
    assert accepts(0.8, 50, 0.9, 500) == (True, "eta 0.90, before 0.80")
    assert accepts(None, 50, 0.9, 10)[0] is False
    assert accepts(0.8, 50, None, 10)[0] is False


class Breaking(RuleOperators):
    """Rewrites every skill by leaving out its last step, which is needed."""

    def judge(self, task: Task[Any]) -> Judgement[Any]:
        judged = super().judge(task)
        if task.operator == "rewrite":
            return Judgement(task.draft.model_copy(update={"steps": task.draft.steps[:-1]}), "model", calls=1)  # type: ignore[attr-defined]
        return judged


def test_consolidation_refuses_a_rewrite_that_replays_worse(mem: FluxMem):
    commit(mem, *(login(n) for n in range(5)))
    report = mem.consolidate(namespace=HERE, replay=world(), model=Breaking())
    (skill,) = skills(mem)
    assert skill.steps[-1].text == "click on=Login"
    assert report.rounds[0].refined == 0
    assert "worse: eta 0.00, before 1.00" in report.stopped


def test_consolidation_keeps_a_mature_skill_and_tries_another_way_beside_it(mem: FluxMem):
    def other(number: int, n: int) -> Episode:
        episode = login(number)
        steps = (
            Step(action={"op": "press", "on": "F2"}),
            Step(action={"op": "paste", "text": "credentials"}),
            Step(action={"op": "press", "on": "Enter"}, progress=1.0),
        )
        return episode.model_copy(update={"id": f"other{n}", "steps": steps})

    commit(mem, *(login(n) for n in range(4)))
    mem.consolidate(namespace=HERE)
    commit(mem, *(login(n) for n in range(10, 15)))
    mem.consolidate(namespace=HERE)
    old = skills(mem)[0]
    assert old.status == "mature"
    commit(mem, *(other(n, n) for n in range(30, 34)))
    report = mem.consolidate(namespace=HERE)
    assert "accepted" in [skill.decision for skill in report.skills]
    kept = next(skill for skill in skills(mem) if skill.node == old.node)
    assert (kept.status, kept.revision) == ("mature", old.revision)
    assert len(skills(mem)) == 2


def test_the_compare_and_swap_of_consolidation_refuses_a_stale_version(mem: FluxMem):
    commit(mem, *(login(n) for n in range(5)))
    mem.consolidate(namespace=HERE)
    commit(mem, *(login(n, scroll=True) for n in range(10, 16)))
    means = Means(HERE, replay=world())
    taken = mem.engine.run(snapshot(means, "mine"))
    held = mem.engine.ledger.nodes(HERE, kinds=("skill",))[0]
    stale = {
        "kind": "rewrite", "skill": {**dict(held.body or {}), "number": 2}, "base": "another:version", "sources": [], "eta": 1.0,
        "eta_from": "replay", "replayed": {}, "why": "", "trace": [], "done": True,
    }  # fmt: skip
    result = mem.engine.run(accept(means, {**taken, "trials": []}, [stale], Provenance()))
    assert [(report["decision"], report["why"].startswith("stale: made from version another:version")) for report in result["skills"]] == [
        ("rejected", True)
    ]
    assert mem.engine.ledger.nodes(HERE, kinds=("skill",))[0].id == held.id


def test_consolidation_that_was_overtaken_writes_nothing(mem: FluxMem):
    commit(mem, *(login(n) for n in range(5)))
    means = Means(HERE)
    slow = mem.engine.run(snapshot(means, "slow"))
    units = mem.engine.run(induce_cluster(means, slow["jobs"][0], slow))["units"]
    mem.consolidate(namespace=HERE)
    head = mem.engine.ledger.head()
    result = mem.engine.run(accept(means, slow, units, Provenance()))
    assert result["operation"] is None
    assert [report["why"] for report in result["skills"]] == [OVERTAKEN]
    assert mem.engine.ledger.head() == head


def test_consolidation_applied_twice_is_one(mem: FluxMem):
    commit(mem, *(login(n) for n in range(5)))
    means = Means(HERE)
    taken = mem.engine.run(snapshot(means, "same"))
    units = mem.engine.run(induce_cluster(means, taken["jobs"][0], taken))["units"]
    first = mem.engine.run(accept(means, taken, units, Provenance()))
    head = mem.engine.ledger.head()
    again = mem.engine.run(accept(means, taken, units, Provenance()))
    assert (again["operation"], mem.engine.ledger.head()) == (first["operation"], head)


def test_consolidation_is_skipped_while_another_one_holds_the_lease(mem: FluxMem):
    commit(mem, *(login(n) for n in range(5)))
    token = mem.engine.ledger.acquire_lease(lease_name(HERE), "somebody", 60.0)
    assert token is not None
    report = mem.consolidate(namespace=HERE)
    assert (report.skipped, report.operation) == (BUSY, None)
    assert skills(mem) == []
    mem.engine.ledger.release_lease(lease_name(HERE), "somebody", token)
    assert mem.consolidate(namespace=HERE).operation is not None


def test_consolidation_gives_its_lease_back_when_it_fails(mem: FluxMem):
    class Broken(RuleOperators):
        def judge(self, task: Task[Any]) -> Judgement[Any]:
            raise RuntimeError("broken")

    commit(mem, *(login(n) for n in range(5)))
    with pytest.raises(RuntimeError):
        mem.consolidate(namespace=HERE, model=Broken())
    assert skills(mem) == []
    assert mem.consolidate(namespace=HERE).operation is not None


async def test_consolidation_has_an_async_twin_that_does_the_same(mem: FluxMem):
    commit(mem, *(login(n) for n in range(5)))
    seen: list[str] = []
    report = await mem.aconsolidate(namespace=HERE, progress=lambda event: seen.append(event["stage"]))
    assert report.operation and len(skills(mem)) == 1
    assert seen == ["snapshot", "induce", "rewrite", "accept"]


def test_consolidation_stays_within_its_namespace(mem: FluxMem):
    commit(mem, *(login(n) for n in range(5)))
    for n in range(5):
        mem.commit(login(n), namespace=("elsewhere",))
    mem.consolidate(namespace=HERE)
    assert mem.engine.ledger.nodes(("elsewhere",), kinds=("skill",)) == []
    assert mem.recall(login(7).task, namespace=("elsewhere",)).skills == ()


def test_a_model_that_says_nonsense_leaves_consolidation_at_the_level_of_rules(tmp_path):
    from langgraph_fluxmem.testing.models import ScriptedChatModel

    texts = []
    for name, model in (("rules", None), ("nonsense", ScriptedChatModel(answers=["banana"]))):
        with FluxMem.open(tmp_path / name, chroma="off") as mem:
            commit(mem, *(login(n) for n in range(5)), *(box(n) for n in range(4)))
            report = mem.consolidate(namespace=HERE, model=model)
            texts.append([skill.text() for skill in skills(mem)])
            if model is not None:
                assert report.fallbacks == 2
                assert report.calls == 4
                assert report.fallback_reasons == ["the answer is not structured"]
    assert texts[0] == texts[1]


def test_consolidation_by_a_model_takes_its_words_and_keeps_the_procedure(mem: FluxMem):
    from langgraph_fluxmem.testing.models import ScriptedChatModel

    said = {
        "name": "log somebody in",
        "when": "a form asks for a username and a password",
        "steps": [
            {"template": n, "text": text}
            for n, text in enumerate(["focus the name", "type it", "focus the password", "type it too", "press Login"])
        ],
        "pitfalls": ["never press Cancel"],
    }
    model = ScriptedChatModel(answers=[said])
    commit(mem, *(login(n) for n in range(5)))
    report = mem.consolidate(namespace=HERE, model=model)
    (skill,) = skills(mem)
    assert (skill.name, skill.source, skill.pitfalls) == ("log somebody in", "model", ("never press Cancel",))
    assert [step.templates for step in skill.steps][0] == ("click on=<t>",)
    assert (report.calls, report.fallbacks) == (1, 0)
    assert report.input_tokens > 0
    assert [name for name, _ in model.asked] == ["Drafted"]


def test_a_skill_of_unknown_shape_is_not_what_consolidation_writes_over(mem: FluxMem):
    """A version written by hand between two consolidations is what the next one starts from."""
    commit(mem, *(login(n) for n in range(5)))
    mem.consolidate(namespace=HERE)
    row = mem.engine.ledger.nodes(HERE, kinds=("skill",))[0]
    body = {**dict(row.body or {}), "name": "renamed by hand"}
    mem.engine.ledger.apply(Plan("by-hand", "edit", HERE, (NodeWrite(f"{row.node}:hand", row.node, "skill", body, row.texts),)))
    commit(mem, *(login(n) for n in range(10, 12)))
    mem.consolidate(namespace=HERE)
    assert skills(mem)[0].name == "renamed by hand"
    assert skills(mem)[0].trials.successes == 2


def test_consolidation_settings_are_checked_before_anything_is_read(mem: FluxMem):
    from langgraph_fluxmem import ConfigError

    with pytest.raises(ConfigError):
        mem.consolidate(namespace=HERE, thresholds={"cosine": 2})
    with pytest.raises(ConfigError):
        mem.consolidate(namespace=HERE, model=3)  # type: ignore[arg-type]


def test_the_stage_of_consolidation_yields_only_requests(mem: FluxMem):
    commit(mem, *(login(n) for n in range(5)))
    report = mem.engine.run(consolidate(Means(HERE, Settings(), RuleOperators())))
    assert report.operation is not None
    assert isinstance(Induce, type)
