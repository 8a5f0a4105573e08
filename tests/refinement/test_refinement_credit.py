"""What a step's outcome makes durable, and on what: used, harmful, shown, pruned, reshaped; by activation, in a graph, or judged later."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.graph import END, START, MessagesState, StateGraph

from langgraph_fluxmem import Episode, Feedback, FluxMem, FluxMemState, Step
from langgraph_fluxmem.episodes import SHARED
from langgraph_fluxmem.learning import Repair, repair_after
from langgraph_fluxmem.links import UNSHOWN, node_of
from langgraph_fluxmem.schema import TentativeEdit
from tests.consolidation.tasks import login
from tests.consolidation.test_consolidation_skills import mature

HERE = ("memories",)
FACTS = ["Ada is on the team plan", "Ada was on the free plan", "Ada pays by card", "Bob likes tea"]
QUERY = "which plan is Ada on?"


def evidence(mem: FluxMem) -> dict[tuple[str, str], float]:
    """(fact, channel) -> weight on links from facts to tasks."""
    found: dict[tuple[str, str], float] = {}
    for row in mem.engine.ledger.evidence(HERE):
        fact, mark, task = row.target.partition(">")
        if mark and task.startswith(("e-", "u-")) and fact.startswith("f-"):
            found[fact, row.channel] = found.get((fact, row.channel), 0.0) + row.weight
    return found


def score(mem: FluxMem, query: str, fact: str) -> float:
    return next(one.score for one in mem.recall(query, k=10).facts if one.id == fact)


def test_refinement_lowers_what_misled_in_similar_contexts_and_nowhere_else(mem: FluxMem) -> None:
    _, old, *_ = mem.remember([*FACTS, *(f"The garden has {thing}" for thing in ("roses", "plums", "a free plan of its beds"))])
    similar, unrelated = "which plan is Ada on now?", "what does the garden have?"
    before = score(mem, similar, old), score(mem, unrelated, old)
    for _ in range(2):
        mem.learn(mem.recall(QUERY), Feedback(outcome="failure", harmful=[old], detail="that was last year"))
    assert score(mem, similar, old) < before[0] - 0.1
    assert score(mem, unrelated, old) == pytest.approx(before[1])
    why = next(fact.why for fact in mem.recall(similar, k=10).facts if fact.id == old)
    assert why.signals["served"] < 0
    assert "served" in str(why)


def test_what_is_named_without_having_been_shown_counts_in_full_for_the_same_question_alone(mem: FluxMem) -> None:
    *_, tea = mem.remember(FACTS)
    shown = mem.recall(QUERY, k=2)
    assert tea not in {fact.id for fact in shown.facts}
    mem.learn(shown, Feedback(outcome="failure", used=[tea, shown.facts[0].id]))
    (row,) = mem.engine.ledger.nodes(HERE, kinds=("episode",))
    assert row.body["unshown"] == [tea]

    def served(query: str) -> tuple[float, float]:
        by_id = {fact.id: fact.why.signals["served"] for fact in mem.recall(query, k=10).facts if "served" in fact.why.signals}
        return by_id[tea], by_id[shown.facts[0].id]

    again, other = served(QUERY), served("which plan was Ada on last May?")
    assert again[0] == again[1] > other[1]
    assert other[0] == pytest.approx(UNSHOWN * other[1])
    mem.rebuild("learned")
    assert (served(QUERY), served("which plan was Ada on last May?")) == (again, other)


def test_refinement_stores_a_failure_with_its_signal(mem: FluxMem) -> None:
    mem.remember(FACTS)
    mem.learn(mem.recall(QUERY), Feedback(outcome="failure", detail="that was last year", origin="user"))
    (row,) = mem.engine.ledger.nodes(HERE, kinds=("episode",))
    assert (row.body["outcome"], row.body["detail"], row.body["origin"]) == ("failure", "that was last year", "user")


def test_refinement_that_ends_with_an_unknown_outcome_teaches_nothing(mem: FluxMem) -> None:
    mem.remember(FACTS)
    before = [(fact.id, fact.score) for fact in mem.recall(QUERY).facts]
    mem.learn(mem.recall(QUERY), Feedback())
    mem.commit(Episode(task=QUERY, steps=(Step(action="ask", shown=tuple(id for id, _ in before)),)), namespace=HERE)
    assert evidence(mem) == {}
    assert [(fact.id, fact.score) for fact in mem.recall(QUERY).facts] == before


def test_refinement_over_rounds_credits_what_each_round_proved(mem: FluxMem) -> None:
    ids = mem.remember(FACTS)
    first = mem.recall(QUERY, k=2)
    right, wrong = first.facts[0].id, first.facts[1].id
    second = mem.refine(first, Feedback(outcome="failure", used=[right], harmful=[wrong]))
    found = second.facts[0].id
    mem.learn(second, Feedback(outcome="success", used=[found]))
    assert evidence(mem) == {(right, "progress"): 1.0, (found, "progress"): 1.0, (wrong, "failure"): 1.0}
    assert set(evidence(mem)) <= {(id, channel) for id in ids for channel in ("progress", "failure")}
    graph = mem.engine.projections.graph(HERE)
    pair = sorted((right, found))
    assert graph.weight(pair[0], pair[1], "RELATES") > 1.0, "what turned failure into success is an edge"


def test_refinement_weakens_what_was_pruned_before_a_success(mem: FluxMem) -> None:
    mem.remember(FACTS)
    activation = mem.recall(QUERY, k=3)
    cut = activation.facts[2].id
    pruned = activation.model_copy(update={"edits": (TentativeEdit(action="prune", targets=(cut,)),), "facts": activation.facts[:2]})
    mem.learn(pruned, Feedback(outcome="failure"))
    assert (cut, "failure") not in evidence(mem)
    mem.learn(pruned, Feedback(outcome="success", used=[activation.facts[0].id]))
    assert evidence(mem)[cut, "failure"] == SHARED


def test_refinement_credits_facts_by_the_steps_the_outcome_rests_on(mem: FluxMem) -> None:
    one, two, three, _ = mem.remember(FACTS)
    steps = (
        Step(observation="hall", action="open door", progress=0.5, shown=(one,)),
        Step(observation="room", action="dance", shown=(two,), actions=("dance", "take gold")),
        Step(observation="room", action="take gold", progress=0.5, shown=(three,), actions=("dance", "take gold")),
    )
    mem.commit(Episode(task="get the gold", steps=steps, outcome="success"), namespace=HERE)
    assert set(evidence(mem)) == {(one, "progress"), (three, "progress")}, "dancing led nowhere, and so what was shown then"
    assert sum(evidence(mem).values()) == pytest.approx(SHARED)


@pytest.mark.parametrize("by", ["episode", "run"])
def test_refinement_by_a_late_judgement_credits_what_was_shown_and_keeps_the_signal(mem: FluxMem, by: str) -> None:
    one, two, *_ = mem.remember(FACTS)
    from langgraph_fluxmem.schema import Provenance

    episode = Episode(task=QUERY, steps=(Step(action="ask", shown=(one, two)),), id="e1")
    mem.engine.run(mem.stages.commit(episode, namespace=HERE, provenance=Provenance(run_id="run-1")))
    assert evidence(mem) == {}
    mem.learn("e1" if by == "episode" else "run-1", Feedback(outcome="failure", detail="the user was angry", origin="user"))
    assert evidence(mem) == {(one, "failure"): SHARED / 2, (two, "failure"): SHARED / 2}
    notes = [row.body for row in mem.engine.ledger.nodes(HERE, kinds=("episode",)) if row.body and row.body.get("of")]
    assert [(note["detail"], note["origin"], note["outcome"]) for note in notes] == [("the user was angry", "user", "failure")]
    assert mem.verify() == []


def test_refinement_by_a_late_failure_closes_the_fast_path_for_its_task(mem: FluxMem) -> None:
    mem.remember([f"the login screen has fact {n}" for n in range(8)], namespace=HERE)
    mature(mem)
    task = login(10).task
    mem.commit(login(10).model_copy(update={"id": "mine", "outcome": "unknown"}), namespace=HERE)
    assert mem.recall(task, namespace=HERE).facts == (), "the fast path searches nothing"
    mem.learn("mine", Feedback(outcome="failure"))
    assert mem.recall(task, namespace=HERE).facts
    assert mem.recall(login(11).task, namespace=HERE).facts == (), "for that task only"


def test_refinement_credits_actions_by_what_they_depended_on(mem: FluxMem) -> None:
    steps = (
        Step(observation="hall", action="open chest", actions=("open chest", "sing")),
        Step(observation="hall, chest", action="sing", actions=("open chest", "sing", "take gold")),
        Step(observation="hall, chest", action="take gold", progress=1.0, actions=("open chest", "sing", "take gold")),
        Step(observation="hall", action="eat", progress=0.5, actions=("eat",)),
    )
    mem.commit(Episode(task="get the gold", steps=steps, outcome="success"), namespace=HERE)
    gained = {row.target.partition("#")[2]: row.weight for row in mem.engine.ledger.evidence(HERE) if row.channel == "progress"}
    assert gained["2"] == 1.0
    assert 0.5 < gained["0"] < 1.0, "it made the action admissible"
    assert "1" not in gained, "singing did not"


def test_refinement_within_an_episode_grows_optimistic_while_nothing_leads_on() -> None:
    repair = Repair()
    hopes = [repair.optimism]
    for number in range(15):
        repair = repair_after(repair, f"try {number}", progress=0.0, loss=0.0, changed=True)
        hopes.append(repair.optimism)
    assert hopes == sorted(hopes)
    assert hopes[-1] > hopes[0] == 0.0
    assert repair.caution < 1.0
    assert repair_after(repair, "it", progress=1.0, loss=0.0, changed=True).optimism == 0.0


# ------------------------------------------------------------------------------------------------------------- messages in a graph
class State(MessagesState, FluxMemState): ...


def tool_agent(mem: FluxMem, feedbacks: list[Feedback], *, refine: bool = True) -> Any:
    """Each turn calls a tool once; `feedbacks` are given after each turn."""
    nodes = mem.nodes(k=2)
    seen: list[list[str]] = []

    def agent(state: State) -> dict[str, Any]:
        turn = len(seen)
        seen.append([fact.id for fact in mem.activation(dict(state)).facts])
        call = {"name": "search", "args": {"q": f"plan {turn}"}, "id": f"c{turn}", "type": "tool_call"}
        given = feedbacks[turn] if callable(feedbacks[turn]) is False else feedbacks[turn](seen[-1])
        messages = [AIMessage("", tool_calls=[call]), ToolMessage(f"result {turn}", tool_call_id=f"c{turn}")]
        return {"messages": messages, "memory_feedback": given.model_dump(mode="json")}

    builder = StateGraph(State)
    builder.add_node("retrieve", nodes.retrieve)
    builder.add_node("agent", agent)
    builder.add_node("commit_episode", nodes.commit_episode)
    builder.add_edge(START, "retrieve")
    builder.add_edge("retrieve", "agent")
    if refine:
        builder.add_node("refine", nodes.refine)
        builder.add_edge("agent", "refine")
        builder.add_conditional_edges("refine", nodes.route, {"again": "agent", "next": "retrieve", "done": "commit_episode"})
    else:
        builder.add_edge("agent", "commit_episode")
    builder.add_edge("commit_episode", END)
    return builder.compile(), seen


def test_refinement_of_tool_calls_in_messages_credits_the_facts_of_each_step(mem: FluxMem) -> None:
    mem.remember(FACTS)
    feedbacks: list[Any] = [
        lambda ids: Feedback(outcome="failure", harmful=[ids[1]], used=[ids[0]], detail="not yet"),
        lambda ids: Feedback(outcome="success", used=[ids[0]], done=True, detail="yes", origin="evaluator"),
    ]
    app, seen = tool_agent(mem, feedbacks)
    app.invoke({"messages": [HumanMessage(QUERY)]})
    (right, wrong), (found, *_) = seen
    assert evidence(mem) == {(right, "progress"): 1.0, (found, "progress"): 1.0, (wrong, "failure"): 1.0}
    (episode,) = [row for row in mem.engine.ledger.nodes(HERE, kinds=("episode",)) if row.body["steps"]]
    assert episode.body["metadata"]["feedback"] == {"detail": "yes", "origin": "evaluator"}
    graph = mem.engine.projections.graph(HERE)
    assert graph.weight(right, f"{episode.id}#0", "GROUNDS") == 1.0
    assert graph.weight(found, f"{episode.id}#1", "GROUNDS") == 1.0
    assert not graph.weight(found, f"{episode.id}#0", "GROUNDS")


def test_refinement_left_to_the_commit_credits_what_its_feedback_names(mem: FluxMem) -> None:
    mem.remember(FACTS)
    app, seen = tool_agent(mem, [lambda ids: Feedback(outcome="success", used=[ids[1]])], refine=False)
    app.invoke({"messages": [HumanMessage(QUERY)]})
    assert evidence(mem) == {(seen[0][1], "progress"): 1.0}


def test_refinement_in_a_graph_stores_what_was_reshaped_once_the_episode_succeeds(mem: FluxMem) -> None:
    from .test_refinement_reshape import QUERY as ORCHID, filled

    raw = filled(mem)
    app, _ = tool_agent(mem, [Feedback(outcome="failure"), Feedback(outcome="success", done=True)])
    state = app.invoke({"messages": [HumanMessage(ORCHID)]})
    made = [row for row in mem.engine.ledger.nodes(HERE, kinds=("fact",)) if row.node.startswith("r-")]
    assert any("Mondays" in row.body["content"] for row in made)
    assert mem.engine.projections.graph(HERE).weight(made[0].id, raw, "SUPERSEDES") == 1.0
    assert state["memory"]["pending"] == {}
    assert mem.verify() == []


def test_refinement_in_a_graph_that_failed_stores_nothing_that_was_reshaped(mem: FluxMem) -> None:
    from .test_refinement_reshape import QUERY as ORCHID, filled

    filled(mem)
    app, _ = tool_agent(mem, [Feedback(outcome="failure"), Feedback(outcome="failure", done=True)])
    app.invoke({"messages": [HumanMessage(ORCHID)]})
    assert not [row for row in mem.engine.ledger.nodes(HERE, kinds=("fact",)) if row.node.startswith("r-")]


def test_refinement_state_survives_a_strict_serialiser(mem: FluxMem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGGRAPH_STRICT_MSGPACK", "true")
    import json

    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

    from .test_refinement_reshape import QUERY as ORCHID, filled

    filled(mem)
    nodes = mem.nodes(k=3)
    state: dict[str, Any] = {"messages": [HumanMessage(ORCHID)]}
    state |= nodes.retrieve.invoke(state)
    state["memory_feedback"] = Feedback(outcome="failure").model_dump(mode="json")
    state |= nodes.refine.invoke(state)
    serde = JsonPlusSerializer()
    memory = state["memory"]
    assert serde.loads_typed(serde.dumps_typed(memory)) == memory == json.loads(json.dumps(memory))
    assert memory["pending"]["reshaped"]
    assert node_of(memory["pending"]["reshaped"][0]["id"]).startswith("r-")
    assert len(json.dumps(memory)) < 12_000


def test_refinement_in_a_graph_by_self_check_where_no_node_gives_feedback(tmp_path: Any) -> None:
    from langgraph_fluxmem.testing.models import ScriptedChatModel

    said = iter(["failure", "success"])

    def judge(tool: str, messages: list[Any]) -> Any:
        return {"outcome": next(said), "detail": "as I see it"} if tool == "Evaluated" else "nothing to say"

    model = ScriptedChatModel(answer=judge)
    with FluxMem.open(tmp_path, model=model, chroma="off", verify=0) as mem:
        mem.remember(FACTS)
        nodes = mem.nodes(k=2, self_check=True)
        shown: list[list[str]] = []

        def agent(state: State) -> dict[str, Any]:
            shown.append([fact.id for fact in mem.activation(dict(state)).facts])
            return {"messages": [AIMessage(f"answer {len(shown)}")]}

        builder = StateGraph(State)
        for name, node in (
            ("retrieve", nodes.retrieve),
            ("agent", agent),
            ("refine", nodes.refine),
            ("commit_episode", nodes.commit_episode),
        ):
            builder.add_node(name, node)
        builder.add_edge(START, "retrieve")
        builder.add_edge("retrieve", "agent")
        builder.add_edge("agent", "refine")
        builder.add_conditional_edges("refine", nodes.route, {"again": "agent", "next": "commit_episode", "done": "commit_episode"})
        builder.add_edge("commit_episode", END)
        builder.compile().invoke({"messages": [HumanMessage(QUERY)]})
        asked = [messages[-1].text for tool, messages in model.asked if tool == "Evaluated"]
        assert len(asked) == 2
        assert "answer 1" in asked[0]
        assert "answer 2" in asked[1]
        assert not set(shown[0]) & set(shown[1]), "after the failure other facts were shown"
        (episode,) = mem.engine.ledger.nodes(HERE, kinds=("episode",))
        assert episode.body["outcome"] == "success"
        assert episode.body["metadata"]["feedback"] == {"detail": "as I see it", "origin": "model"}
        assert evidence(mem) == {(fact, "progress"): SHARED / 2 for fact in shown[1]}
