"""A small game as a LangGraph app: three doors, one is right and says so; the memory nodes around a scripted agent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from langgraph_fluxmem import Feedback, FluxMem, FluxMemState
from langgraph_fluxmem.branches import branch_of

DOORS = ("open red door", "open green door", "open blue door")


class State(FluxMemState, total=False):
    task: str
    observation: str
    action: str
    actions: list[str]
    turn: int
    plan: list[str]


def follow_plan(state: State) -> str:
    """What the scripted agent does: its plan, then the first door."""
    plan = state.get("plan", [])
    turn = state.get("turn", 0)
    return plan[turn] if turn < len(plan) else DOORS[0]


def build(
    mem: FluxMem | None,
    *,
    policy: Callable[[State], str] = follow_plan,
    right: str = "open green door",
    before_commit: Callable[[State], Any] | None = None,
    namespace: Sequence[str] = ("memories",),
) -> StateGraph:
    from langgraph_fluxmem import fluxmem_nodes

    nodes = fluxmem_nodes(mem, namespace=namespace, task="task", observation="observation", action="action", actions="actions")

    def agent(state: State) -> dict[str, Any]:
        action = policy(state)
        won = action == right
        turn = state.get("turn", 0) + 1
        over = won or turn >= 3
        feedback = Feedback(outcome="success" if won else ("failure" if over else "unknown"), progress=1.0 if won else 0.0, done=over)
        return {
            "action": action,
            "actions": list(DOORS),
            "observation": "gold" if won else f"a wall behind {action}",
            "turn": turn,
            "memory_feedback": feedback.model_dump(mode="json"),
        }

    builder = StateGraph(State)
    builder.add_node("retrieve", nodes.retrieve)
    builder.add_node("agent", agent)
    builder.add_node("refine", nodes.refine)
    builder.add_node("gate", before_commit or (lambda state: {}))
    builder.add_node("commit_episode", nodes.commit_episode)
    builder.add_edge(START, "retrieve")
    builder.add_edge("retrieve", "agent")
    builder.add_edge("agent", "refine")
    builder.add_conditional_edges("refine", nodes.route, {"again": "agent", "next": "retrieve", "done": "gate"})
    builder.add_edge("gate", "commit_episode")
    builder.add_edge("commit_episode", END)
    return builder


def thread(name: str = "t", **more: Any) -> dict[str, Any]:
    return {"configurable": {"thread_id": name, **more}}


def stored(mem: FluxMem, namespace: tuple[str, ...] = ("memories",)) -> list[Any]:
    """All live commits of the namespace."""
    return [commit for commit in mem.engine.ledger.commits(namespace) if commit.live]


def visible(mem: FluxMem, state: Any, namespace: tuple[str, ...] = ("memories",)) -> int:
    """How many commits the branch in `state` sees; with an empty state: any other thread."""
    hidden = mem.engine.hidden(namespace, branch_of(state.get("memory_commits")))
    return sum(commit.id not in hidden for commit in stored(mem, namespace))
