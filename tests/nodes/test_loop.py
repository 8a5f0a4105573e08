"""The loop retrieve -> act -> judge -> refine -> commit in a real graph, sync and async."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from typing_extensions import TypedDict

from langgraph_fluxmem.schema import Situation
from langgraph_fluxmem import (
    ConfigError,
    Feedback,
    FluxMem,
    FluxMemState,
    Situation,
    StateError,
    UnresolvedNamespaceError,
    fluxmem_nodes,
)

from .agent import DOORS, build, stored, thread


def start(plan: list[str]) -> dict:
    return {"task": "find the gold behind a door", "observation": "three doors", "turn": 0, "plan": plan}


def test_an_episode_is_committed_with_its_steps_and_outcome(mem: FluxMem) -> None:
    app = build(mem).compile()
    state = app.invoke(start(["open red door", "open green door"]))
    (commit,) = stored(mem)
    assert state["memory_commits"]["ids"] == [commit.id]
    assert state["memory_episode_id"] is None
    activation = mem.recall("find the gold behind a door")
    (episode,) = activation.episodes
    assert (episode.outcome, episode.steps) == ("success", 2)


def test_what_won_is_advised_and_what_failed_is_not(mem: FluxMem) -> None:
    app = build(mem).compile()
    for _ in range(3):
        app.invoke(start(["open red door", "open green door"]))
    app.invoke(start(["open red door", "open blue door", "open red door"]))
    activation = mem.recall(Situation(task="find the gold behind a door", observation="three doors"))
    red, green, blue = activation.advise(DOORS)
    assert green.score > max(red.score, blue.score)
    assert green.why.path


def test_the_agent_can_ask_inside_its_own_node(mem: FluxMem) -> None:
    def policy(state):
        advice = mem.activation(state).advise(DOORS)
        return max(zip(DOORS, advice, strict=True), key=lambda pair: pair[1].score)[0]

    for plan in (["open green door"], ["open red door", "open blue door", "open red door"], ["open green door"]):
        build(mem).compile().invoke(start(plan))
    state = build(mem, policy=policy).compile().invoke(start([]))
    assert state["observation"] == "gold"
    assert state["turn"] == 1


async def test_async_graph_gives_the_same(mem: FluxMem) -> None:
    app = build(mem).compile()
    await app.ainvoke(start(["open red door", "open green door"]))
    app.invoke(start(["open red door", "open green door"]))
    first, second = mem.engine.ledger.nodes(("memories",), kinds=("episode",))
    assert first.body["steps"] == second.body["steps"]
    assert first.body["outcome"] == second.body["outcome"] == "success"


def test_failure_of_a_step_asks_again_with_other_facts(mem: FluxMem) -> None:
    mem.remember([f"door fact number {i}" for i in range(8)])
    nodes = mem.nodes(task="task", k=3)
    shown: list[list[str]] = []

    class State(FluxMemState, total=False):
        task: str

    def agent(state: State) -> dict:
        shown.append([fact.content for fact in mem.activation(state).facts])
        feedback = Feedback(outcome="failure") if len(shown) < 3 else Feedback(outcome="success", done=True)
        return {"memory_feedback": feedback.model_dump(mode="json")}

    builder = StateGraph(State)
    builder.add_node("retrieve", nodes.retrieve)
    builder.add_node("agent", agent)
    builder.add_node("refine", nodes.refine)
    builder.add_node("commit_episode", nodes.commit_episode)
    builder.add_edge(START, "retrieve")
    builder.add_edge("retrieve", "agent")
    builder.add_edge("agent", "refine")
    builder.add_conditional_edges("refine", nodes.route, {"again": "agent", "next": "retrieve", "done": "commit_episode"})
    builder.add_edge("commit_episode", END)
    before = mem.engine.ledger.head()
    builder.compile().invoke({"task": "door fact"})
    assert [len(page) for page in shown] == [3, 3, 2]
    assert len({fact for page in shown for fact in page}) == 8, "no fact is shown twice within a step"
    assert mem.engine.ledger.head() == before + 1, "only the commit wrote"


def test_what_proved_right_stays_in_the_context_of_the_next_round(mem: FluxMem) -> None:
    mem.remember([f"door fact number {i}" for i in range(6)])
    first = mem.recall("door fact", k=2)
    right = first.facts[1]
    second = mem.refine(first, Feedback(outcome="failure", used=[right.id]))
    assert right.id not in [fact.id for fact in second.facts]
    assert right.content in second.context
    assert first.facts[0].content not in second.context
    assert (second.round, second.used) == (1, (right.id,))


def test_messages_become_steps_and_the_cursor_moves(mem: FluxMem) -> None:
    class State(MessagesState, FluxMemState): ...

    nodes = mem.nodes()
    turns = iter(
        [
            AIMessage(
                "", tool_calls=[{"name": "search", "args": {"q": "plan"}, "id": "1"}, {"name": "lookup", "args": {"id": 7}, "id": "2"}]
            ),
            AIMessage("She is on the team plan."),
        ]
    )

    def agent(state: State) -> dict:
        assert state["memory_context"] is not None
        first = next(turns)
        return {
            "messages": [
                first,
                ToolMessage("nothing", tool_call_id="1", status="error"),
                ToolMessage("team", tool_call_id="2"),
                next(turns),
            ]
        }

    builder = StateGraph(State)
    builder.add_node("retrieve", nodes.retrieve)
    builder.add_node("agent", agent)
    builder.add_node("commit_episode", nodes.commit_episode)
    builder.add_edge(START, "retrieve")
    builder.add_edge("retrieve", "agent")
    builder.add_edge("agent", "commit_episode")
    builder.add_edge("commit_episode", END)
    app = builder.compile(checkpointer=InMemorySaver())
    state = app.invoke({"messages": [HumanMessage("which plan is ada on?")]}, thread())
    (row,) = mem.engine.ledger.nodes(("memories",), kinds=("episode",))
    assert [step["action"] for step in row.body["steps"]] == [
        {"name": "search", "args": {"q": "plan"}},
        {"name": "lookup", "args": {"id": 7}},
        None,
    ]
    assert row.body["task"] == "which plan is ada on?"
    assert state["memory_cursor"] == state["messages"][-1].id


def test_a_state_without_the_channels_is_refused_with_the_line_that_mends_it(mem: FluxMem) -> None:
    class Bare(TypedDict, total=False):
        task: str

    builder = StateGraph(Bare)
    builder.add_node("retrieve", mem.nodes(task="task").retrieve)
    builder.add_edge(START, "retrieve")
    with pytest.raises(StateError, match=r"class State\(MessagesState, FluxMemState\)"):
        builder.compile().invoke({"task": "x"})


def test_where_langgraph_does_not_tell_its_channels_a_later_node_says_what_is_missing(mem: FluxMem) -> None:
    from langgraph_fluxmem.execution import Execution

    def absent(channel: str) -> None:
        raise KeyError(channel)

    assert Execution(configurable={"__pregel_read": absent}).lacks(["memory"]) == "memory"
    for untold in ({}, {"__pregel_read": lambda: None}, {"__pregel_read": "changed"}):
        assert Execution(configurable=untold).lacks(["memory"]) is None
    with pytest.raises(StateError, match=r"class State\(MessagesState, FluxMemState\)"):
        mem.nodes(task="task").commit_episode.invoke({"task": "x"})


def test_a_missing_task_is_refused(mem: FluxMem) -> None:
    builder = StateGraph(FluxMemState)
    builder.add_node("retrieve", mem.nodes(task=lambda state: "").retrieve)
    builder.add_edge(START, "retrieve")
    with pytest.raises(StateError, match="no task"):
        builder.compile().invoke({"memory_context": ""})


def test_namespace_templates_resolve_or_raise(mem: FluxMem) -> None:
    app = build(mem, namespace=("{user_id}", "memories")).compile()
    with pytest.raises(UnresolvedNamespaceError, match="user_id"):
        app.invoke(start([]))
    app.invoke(start(["open green door"]), {"configurable": {"user_id": "ada"}})
    assert len(stored(mem, ("ada", "memories"))) == 1
    assert not stored(mem)


def test_nodes_without_a_memory_use_the_graphs_store(mem: FluxMem) -> None:
    app = build(None).compile(store=mem.store)
    app.invoke(start(["open green door"]))
    assert len(stored(mem)) == 1
    with pytest.raises(StateError, match=r"mem\.store"):
        build(None).compile().invoke(start([]))


def test_readers_that_contradict_each_other_are_refused_when_the_nodes_are_built() -> None:
    with pytest.raises(ConfigError, match="messages"):
        fluxmem_nodes(task="messages", observation="seen")


def test_removed_messages_do_not_bring_an_episode_back(mem: FluxMem) -> None:
    class State(MessagesState, FluxMemState): ...

    nodes = mem.nodes()
    builder = StateGraph(State)
    builder.add_node("retrieve", nodes.retrieve)
    builder.add_node("agent", lambda state: {"messages": [AIMessage("answer to " + state["messages"][-1].text)]})
    builder.add_node("commit_episode", nodes.commit_episode)
    builder.add_node("forget", lambda state: {"messages": [RemoveMessage(id=m.id) for m in state["messages"][:-1]]})
    builder.add_edge(START, "retrieve")
    builder.add_edge("retrieve", "agent")
    builder.add_edge("agent", "commit_episode")
    builder.add_edge("commit_episode", "forget")
    builder.add_edge("forget", END)
    app = builder.compile(checkpointer=InMemorySaver())
    for question in ("first?", "second?"):
        app.invoke({"messages": [HumanMessage(question)]}, thread())
    tasks = [row.body["task"] for row in mem.engine.ledger.nodes(("memories",), kinds=("episode",))]
    assert tasks == ["first?", "second?"]


def test_refinement_does_not_take_to_its_end_again_what_ended_a_task_badly(mem: FluxMem) -> None:
    said: list[dict[str, str]] = []

    def policy(state):
        advice = mem.activation(state).advise(DOORS)
        said.append({one.action: " ".join(one.why.path) for one in advice})
        return max(zip(DOORS, advice, strict=True), key=lambda pair: pair[1].score)[0]

    app = build(mem, policy=policy, right="open no door").compile(checkpointer=InMemorySaver())
    tried = []
    for _ in range(4):
        state = app.invoke({**start([]), "task": "a door that is never right"} | {"turn": 2}, thread())
        tried.append(state["action"])
    assert sorted(tried[:3]) == sorted(DOORS), "with one step left, each door is tried once"
    assert all("ended this task badly" in why for why in said[3].values())
    app.invoke({**start([]), "task": "a door that is never right"} | {"turn": 2}, thread("another"))
    assert not any("ended this task badly" in why for why in said[4].values()), "another run only knows what is durable"


def test_what_ended_one_task_badly_is_open_after_other_steps_and_in_other_tasks(mem: FluxMem) -> None:
    app = build(mem).compile(checkpointer=InMemorySaver())
    app.invoke({**start(["open red door"]), "turn": 0} | {"plan": ["open red door", "open blue door", "open red door"]}, thread())
    state = app.get_state(thread()).values
    (ended,) = state["memory"]["ended"]
    task = "find the gold behind a door"
    situations = [
        Situation(task=task, observation="three doors", done=("open red door", "open blue door")),
        Situation(task=task, observation="three doors", done=("open blue door", "open red door")),
        Situation(task="another task", observation="three doors", done=("open red door", "open blue door")),
    ]
    barred = []
    for situation in situations:
        activation = mem.recall(situation).model_copy(update={"repair": {"ended": [ended]}}).bind(mem.engine.advise)
        barred.append([one.action for one in activation.advise(DOORS) if "ended this task badly after the same steps" in one.why.path])
    assert barred == [["open red door"], [], []]


def test_notes_given_before_the_first_step_are_part_of_what_is_learned(tmp_path):
    from langgraph.graph import END, START, StateGraph

    from langgraph_fluxmem import Feedback, FluxMem, FluxMemState

    class State(FluxMemState, total=False):
        task: str
        notes: list[str]
        action: dict

    with FluxMem.open(tmp_path / "m") as mem:
        nodes = mem.nodes(task="task", notes="notes", action="action")
        builder = StateGraph(State)
        builder.add_node("retrieve", nodes.retrieve)
        ended = Feedback(outcome="success", progress=1.0, done=True).model_dump(mode="json")
        builder.add_node("agent", lambda state: {"action": {"op": "click", "text": "ada"}, "memory_feedback": ended})
        builder.add_node("refine", nodes.refine)
        builder.add_node("commit_episode", nodes.commit_episode)
        for one, other in (
            (START, "retrieve"),
            ("retrieve", "agent"),
            ("agent", "refine"),
            ("refine", "commit_episode"),
            ("commit_episode", END),
        ):
            builder.add_edge(one, other)
        builder.compile().invoke({"task": "choose x", "notes": ["target ada"]})
        said = mem.recall("choose x").model_copy(update={"situation": Situation(task="choose x", notes=("target bob",))})
        right, wrong = mem.activation(said.model_dump(mode="json")).advise([{"op": "click", "text": "bob"}, {"op": "click", "text": "cyd"}])
        assert right.score > wrong.score
