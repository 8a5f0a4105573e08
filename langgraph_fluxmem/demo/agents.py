"""The agent, a LangGraph graph that plays one game per run, and the memories that can be wired into it.

    begin -> retrieve -> act -> refine --next--> retrieve, --done--> commit_episode          (FluxMem)
    begin -> act --again--> act, --done--> keep                                              (static, nearest)
    begin -> act --again--> act, --done--> END                                               (none)

The act node is the same for all: the shared explorer, bent by what the memory advises. The kitchen itself is not in the state, the
commands given are: a run that is resumed after a crash gives them again to a fresh kitchen and goes on.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Durability

from langgraph_fluxmem.demo import explorer, senses
from langgraph_fluxmem.demo.kitchen import Frame, Kitchen
from langgraph_fluxmem.schema import Advice, Feedback, Situation, Step
from langgraph_fluxmem.state import FluxMemState


class State(FluxMemState, total=False):
    """What the agent knows: the game as it is seen, and memory's channels."""

    task: str
    observation: dict[str, str]
    commands: list[str]
    offered: list[str]
    given: list[str]
    action: str | None
    notes: list[str]
    score: float
    won: bool
    lost: bool
    done: bool
    trace: Annotated[list[dict[str, Any]], operator.add]


@dataclass
class Seat:
    """Run context: the kitchen an agent sits in, its chance, and where the act node leaves what the audience wants to see.

    Attributes:
        seed, game: name the chance of each decision, so that variants of one seed differ by their memory alone.
        frozen: play without learning (no episode is committed).
        flip: share of steps whose feedback is turned around: points gained are not reported, and where none were, some are.
        watch: called with the state before, the command, the advice on all commands (None without memory) and the frame after.

    """

    kitchen: Kitchen
    seed: int
    game: int
    frozen: bool = False
    flip: float = 0.0
    watch: Callable[[State, str, list[Advice] | None, Frame], None] | None = None
    _given: list[str] | None = None
    _frame: Frame | None = None

    def at(self, given: Sequence[str]) -> Frame:
        """The frame after these commands; plays them again from the start where the kitchen stands elsewhere."""
        if self._frame is None or self._given != list(given):
            self._frame, self._given = self.kitchen.reset(), []
            for command in given:
                self.give(command)
        return self._frame

    def give(self, command: str) -> Frame:
        """One command more."""
        if self._given is None:
            raise ValueError("the kitchen was not started; call at() first")
        self._frame = self.kitchen.step(command)
        self._given.append(command)
        return self._frame


class Memory(Protocol):
    """A memory that can be wired into the agent."""

    name: str
    traced: bool
    """Whether the act node keeps the steps of the game in the state; FluxMem's nodes keep their own."""

    def advise(self, state: State, commands: Sequence[str]) -> list[Advice] | None:
        """What it says of each command; None when it has nothing to say."""
        ...

    def wire(self, builder: StateGraph[State, Seat, State, State]) -> None:
        """Add its nodes and the edges from ``begin`` and ``act`` on."""
        ...

    def episodes(self) -> int:
        """Episodes it holds."""
        ...

    def close(self) -> None:
        """Free what it holds; what it learned stays on disk."""
        ...


def over(state: State) -> Literal["again", "done"]:
    """Whether the game goes on."""
    return "done" if state.get("done") else "again"


Agent = CompiledStateGraph[State, Seat, State, State]


def build_agent(memory: Memory, saver: BaseCheckpointSaver[Any]) -> Agent:
    """Compile the agent around a memory."""

    def begin(state: State, runtime: Runtime[Seat]) -> State:
        del state
        frame = runtime.context.at([])
        return {
            "task": runtime.context.kitchen.task,
            "observation": senses.observation(frame),
            "commands": list(frame.commands),
            "given": [],
            "notes": [],
            "score": 0.0,
            "won": False,
            "lost": False,
            "done": frame.done,
            "action": None,
        }

    def act(state: State, runtime: Runtime[Seat]) -> State:
        seat = runtime.context
        given, notes = state.get("given", []), state.get("notes", [])
        before = seat.at(given)
        advice = memory.advise(state, before.commands)
        dice = explorer.dice(seat.seed, seat.game, len(given))
        command = explorer.choose(before.commands, given, dice, advice=[said.score for said in advice] if advice else None)
        after = seat.give(command)
        if seat.watch is not None:
            seat.watch(state, command, advice, after)
        noted = senses.note(state.get("task", ""), command, before, after, notes)
        said = feedback(before, after, flipped=seat.flip > 0 and dice.random() < seat.flip)
        update: State = {
            "action": command,
            "offered": list(before.commands),
            "commands": list(after.commands),
            "observation": senses.observation(after),
            "given": [*given, command],
            "notes": [*notes, noted] if noted else notes,
            "score": after.score / after.max_score,
            "won": after.won,
            "lost": after.lost,
            "done": after.done,
            "memory_feedback": said.model_dump(mode="json"),
        }
        if memory.traced:
            made = Step(
                observation={**state.get("observation", {})},
                action=command,
                result=after.observation,
                progress=said.progress or 0.0,
                loss=said.loss,
                notes=(noted,) if noted else (),
                actions=before.commands,
            )
            update["trace"] = [made.model_dump(mode="json")]
        return update

    builder: StateGraph[State, Seat, State, State] = StateGraph(State, context_schema=Seat)
    builder.add_node("begin", begin)
    builder.add_node("act", act)
    builder.add_edge(START, "begin")
    memory.wire(builder)
    return builder.compile(checkpointer=saver)


def situation(state: State) -> Situation:
    """The situation a state is in, as the memory nodes read it."""
    return Situation(
        task=state.get("task", ""),
        observation=dict(state.get("observation", {})),
        notes=tuple(state.get("notes", ())),
        done=tuple(state.get("given", ())),
    )


def feedback(before: Frame, after: Frame, *, flipped: bool = False) -> Feedback:
    """What the game itself says of one step: points gained as progress, a lost game as loss, the end.

    `flipped` turns it around: no points where there were some, a point where there were none; at the end a win is a loss and a loss a win.
    """
    gained = (after.score - before.score) / after.max_score
    if flipped:
        gained = 0.0 if gained > 0 else 1 / after.max_score
    won, lost = (after.done and not after.won, after.won) if flipped else (after.won, after.lost)
    outcome = "success" if won else "failure" if after.done else "unknown"
    return Feedback(outcome=outcome, progress=gained, loss=1.0 if lost else 0.0, done=after.done)


def play(agent: Agent, seat: Seat, thread: str, episode: str, *, durability: Durability = "async") -> State:
    """Play one game to its end and return the last state. A game that was cut short goes on; one that ended is not played again.

    `thread` is the checkpointer's thread, one per game; `episode` the id of the episode, so that a game played again after a crash is
    committed once.

    """
    config: RunnableConfig = {"configurable": {"thread_id": thread}, "recursion_limit": 1000}
    stands = agent.get_state(config)
    if stands.values and not stands.tasks:
        return cast("State", stands.values)
    # Not `stands.next`: it leaves out a task whose writes were saved before the process died, and the game would count as ended.
    fresh: State | None = None if stands.tasks else {"memory_episode_id": episode}
    return cast("State", agent.invoke(fresh, config, context=seat, durability=durability))
