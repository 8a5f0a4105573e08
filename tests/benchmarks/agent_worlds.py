"""Three agents of the kind people build, each by a scripted policy, each with and without memory. See `tests.benchmarks.agents`.

A policy tries what it has not tried, in an order of its own; memory is all that can tell it better. `run(mem, seed, tasks)` gives the calls
each task took; the context of the last task is what memory had written by then.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import StructuredTool
from langgraph.graph import END, START, StateGraph
from pydantic import ConfigDict, PrivateAttr

from langgraph_fluxmem import Feedback, FluxMem, FluxMemMiddleware, FluxMemState


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run of tasks took: calls and success of each task, and the last context memory wrote."""

    calls: list[int]
    solved: list[bool]
    context: str


World = Callable[[FluxMem | None, int, int], Ran]


# --------------------------------------------------------------------------------------------------- 1: tools that fail in learnable ways
BUDGET = 25
"""Tool calls of one task."""
_CALL = re.compile(r'(\{"args": \{[^{}]*\}, "name": "[^"]*"\})( \(refused\))?')
Call = dict[str, Any]


class Service:
    """An order service that wants another call first, an argument in its own format, and a pause after each answer."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(f"service {seed}")
        self.region = rng.choice(REGIONS)
        self.form = rng.choice(FORMS)
        self.signed_in = self.tired = False

    def tools(self) -> list[StructuredTool]:
        """The tools of one run, signed out and rested."""
        self.signed_in = self.tired = False
        return [StructuredTool.from_function(call) for call in (self.sign_in, self.order_status, self.wait)]

    def sign_in(self, region: str) -> str:
        """Sign in to the service of a region."""
        if region != self.region:
            raise ValueError("403")
        self.signed_in = True
        return "signed in"

    def order_status(self, order: str) -> str:
        """Tell where an order is."""
        if not self.signed_in or not re.fullmatch(self.form.replace("#", r"\d+"), order):
            raise ValueError("400")
        if self.tired:
            raise ValueError("429")
        self.tired = True
        return f"{order} has shipped"

    def wait(self) -> str:
        """Wait a minute."""
        self.tired = False
        return "waited"


REGIONS = ("eu", "us", "asia")
FORMS = ("#", "no #", "ORD-#", "order/#")


class ToolPolicy(BaseChatModel):
    """Calls what it has not tried: what was refused is tried again only after a call that may have mended it. An attempt in the prompt that
    succeeded is followed as an example."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    seed: int
    _prompt: str = PrivateAttr(default="")

    @property
    def prompt(self) -> str:
        """The system message of the last call."""
        return self._prompt

    @property
    def _llm_type(self) -> str:
        return "policy"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        del tools, kwargs
        return self

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        del stop, run_manager, kwargs
        self._prompt = next((message.text for message in messages if message.type == "system"), "")
        return ChatResult(generations=[ChatGeneration(message=self._next(messages))])

    def _next(self, messages: Sequence[BaseMessage]) -> AIMessage:
        begin = max(index for index, message in enumerate(messages) if isinstance(message, HumanMessage))
        orders = re.findall(r"\d+", messages[begin].text)
        results = {message.tool_call_id: message for message in messages[begin:] if isinstance(message, ToolMessage)}
        worked: list[Call] = []
        failed: dict[str, str] = {}
        for message in messages[begin:]:
            for call in message.tool_calls if isinstance(message, AIMessage) else ():
                made, result = {"name": call["name"], "args": call["args"]}, results[call["id"] or ""]
                if result.status == "error":
                    failed[kind_of(made)] = result.text
                    continue
                again = {"wait": "429", "sign_in": "400"}.get(call["name"], "")
                failed = {kind: error for kind, error in failed.items() if error != again}
                worked.append(made)
        answered = sum(call["name"] == "order_status" for call in worked)
        if answered == len(orders):
            return AIMessage("done")
        if len(results) >= BUDGET:
            return AIMessage("gave up")
        options = self._options(orders[answered])
        useless = {"wait"} if not worked or worked[-1]["name"] == "wait" else set[str]()
        if any(call["name"] == "sign_in" for call in worked):
            useless.add("sign_in")
        untried = [option for option in options if kind_of(option) not in failed and option["name"] not in useless]
        example = examples(self._prompt)
        shown = [option for option in untried if len(worked) < len(example) and kind_of(option) == example[len(worked)]]
        chosen = (shown or untried or options)[0]
        return AIMessage("", tool_calls=[{"name": chosen["name"], "args": chosen["args"], "id": f"c{len(results)}-{begin}"}])

    def _options(self, order: str) -> list[Call]:
        options: list[Call] = [{"name": "sign_in", "args": {"region": region}} for region in REGIONS]
        options += [{"name": "order_status", "args": {"order": form.replace("#", order)}} for form in FORMS]
        options.append({"name": "wait", "args": {}})
        random.Random(f"policy {self.seed}").shuffle(options)
        return options


def kind_of(call: Mapping[str, Any]) -> str:
    """A call with its numbers masked."""
    return re.sub(r"\d+", "#", json.dumps(call, sort_keys=True))


def examples(prompt: str) -> list[str]:
    """The calls, without the refused ones, of the first attempt in the prompt that succeeded."""
    for line in prompt.splitlines():
        head, separator, told = line.partition(" (success): ")
        if head.startswith("- ") and separator:
            return [kind_of(json.loads(call)) for call, refused in _CALL.findall(told) if not refused]
    return []


def tools(mem: FluxMem | None, seed: int, tasks: int) -> Ran:
    """`create_agent` with tools that fail in ways that can be learned."""
    service, rng = Service(seed), random.Random(f"orders {seed}")
    ran = Ran([], [], "")
    policy = ToolPolicy(seed=seed)
    counted = [0]

    def evaluate(state: Mapping[str, Any]) -> Feedback:
        return Feedback(outcome="success" if state["messages"][-1].text == "done" else "failure", origin="evaluator")

    for _ in range(tasks):
        made = service.tools()
        for tool in made:
            tool.handle_tool_error = True
        memory: list[Any] = [] if mem is None else [FluxMemMiddleware(mem, evaluate=evaluate)]
        agent = create_agent(policy, [*map(_guarded, made)], middleware=memory)
        first, second = rng.sample(range(100, 1000), 2)
        messages = agent.invoke({"messages": [HumanMessage(f"Where are the orders {first} and {second}?")]}, {"recursion_limit": 200})[
            "messages"
        ]
        ran.calls.append(sum(isinstance(message, ToolMessage) for message in messages))
        ran.solved.append(messages[-1].text == "done")
        counted[0] += 1
    return Ran(ran.calls, ran.solved, policy.prompt)


def _guarded(tool: StructuredTool) -> StructuredTool:
    """A tool whose errors come back as messages with status "error"."""
    from langchain_core.tools import ToolException

    call = tool.func
    assert call is not None

    def guarded(**args: Any) -> Any:
        try:
            return call(**args)
        except ValueError as error:
            raise ToolException(str(error)) from error

    return tool.model_copy(update={"func": guarded, "handle_tool_error": True})


# ------------------------------------------------------------------------------------------------------ 2: a graph that chooses its source
KINDS: Mapping[str, tuple[str, ...]] = {
    "manual": ("How do I set up {}?", "How can I configure {}?", "What are the options of {}?", "How is {} installed?"),
    "tickets": ("Why did {} fail last night?", "Has anybody seen {} crash before?", "Why does {} time out?", "Who fixed {} when it broke?"),
    "people": ("Who owns {}?", "Whom do I ask for access to {}?", "Which team is on call for {}?", "Who decides on {}?"),
    "code": ("Where is {} implemented?", "Which function calls {}?", "What does {} return?", "Which module defines {}?"),
}
THINGS = ("billing", "the mailer", "login", "search", "the importer", "payments", "reports", "the cache", "the scheduler", "exports")


class SourceState(FluxMemState, total=False):
    question: str
    seen: str
    action: dict[str, Any]
    asked: list[str]
    calls: int


def sources(mem: FluxMem | None, seed: int, tasks: int) -> Ran:
    """A retrieval graph that must choose which of four sources to ask; one of them knows."""
    rng = random.Random(f"sources {seed}")
    order = rng.sample(list(KINDS), len(KINDS))
    ran = Ran([], [], "")
    told = [""]
    truth: dict[str, str] = {}

    def ask(state: SourceState) -> dict[str, Any]:
        asked = state.get("asked", [])
        left = [source for source in order if source not in asked]
        if mem is not None:
            told[0] = state.get("memory_context", "") or told[0]
            advice = mem.activation(state).advise([{"source": source} for source in left])
            left = [left[index] for index in sorted(range(len(left)), key=lambda index: -round(advice[index].score, 6))]
        found = left[0] == truth[state["question"]]
        feedback = Feedback(outcome="success" if found else "failure", progress=1.0 if found else 0.0, done=found)
        return {
            "action": {"source": left[0]},
            "seen": "found" if found else f"nothing in {', '.join([*asked, left[0]])}",
            "asked": [*asked, left[0]],
            "calls": state.get("calls", 0) + 1,
            "memory_feedback": feedback.model_dump(mode="json"),
        }

    app = _looped(SourceState, ask, mem, task="question", observation="seen")
    for _ in range(tasks):
        kind = rng.choice(list(KINDS))
        question = rng.choice(KINDS[kind]).format(rng.choice(THINGS))
        truth[question] = kind
        final = app.invoke({"question": question, "seen": "", "asked": [], "calls": 0}, {"recursion_limit": 100})
        ran.calls.append(final["calls"])
        ran.solved.append(final["seen"] == "found")
    return Ran(ran.calls, ran.solved, told[0])


# ------------------------------------------------------------------------------------------------------------- 3: a command-line task
COMMANDS = ("lint", "build", "test", "tag", "push", "deploy staging", "deploy production", "clean")
STEPS = 40


class ReleaseState(FluxMemState, total=False):
    goal: str
    screen: str
    action: str
    commands: list[str]
    done_: list[str]
    calls: int


def commands(mem: FluxMem | None, seed: int, tasks: int) -> Ran:
    """A release on a command line: six commands in an order that nobody tells; what comes too early is refused."""
    rng = random.Random(f"release {seed}")
    right = rng.sample([command for command in COMMANDS if command not in ("lint", "clean")], 6)
    ran = Ran([], [], "")
    told = [""]

    def act(state: ReleaseState) -> dict[str, Any]:
        done, calls = state.get("done_", []), state.get("calls", 0)
        options = [f"{command} {state['goal'].split()[-1]}" for command in COMMANDS]
        chosen = rng.choice(options)
        if mem is not None:
            told[0] = state.get("memory_context", "") or told[0]
            advice = mem.activation(state).advise(options)
            best = max(round(advised.score, 6) for advised in advice)
            chosen = rng.choice([option for option, advised in zip(options, advice, strict=True) if round(advised.score, 6) == best])
        command = chosen.rsplit(" ", 1)[0]
        accepted = len(done) < len(right) and command == right[len(done)]
        done = [*done, command] if accepted else done
        over = len(done) == len(right) or calls + 1 >= STEPS
        won = len(done) == len(right)
        feedback = Feedback(
            outcome=("success" if won else "failure") if over else "unknown", progress=1 / len(right) if accepted else 0.0, done=over
        )
        return {
            "action": chosen,
            "commands": options,
            "screen": f"last done: {done[-1]}" if done else "nothing done yet",
            "done_": done,
            "calls": calls + 1,
            "memory_feedback": feedback.model_dump(mode="json"),
        }

    app = _looped(ReleaseState, act, mem, task="goal", observation="screen", actions="commands")
    for _ in range(tasks):
        version = f"v{rng.randrange(1, 9)}.{rng.randrange(20)}"
        given = {"goal": f"release version {version}", "screen": "nothing done yet", "done_": [], "calls": 0}
        final = app.invoke(given, {"recursion_limit": 10 * STEPS})
        ran.calls.append(final["calls"])
        ran.solved.append(len(final["done_"]) == len(right))
    return Ran(ran.calls, ran.solved, told[0])


def _looped(state: type[Any], act: Callable[[Any], dict[str, Any]], mem: FluxMem | None, **keys: str) -> Any:
    """START -> act until done; with a memory, between its nodes."""
    builder = StateGraph(state)
    builder.add_node("act", act)
    if mem is None:
        builder.add_edge(START, "act")
        builder.add_conditional_edges("act", lambda now: END if now["memory_feedback"]["done"] else "act")
        return builder.compile()
    nodes = mem.nodes(action="action", **keys)
    builder.add_node("retrieve", nodes.retrieve)
    builder.add_node("refine", nodes.refine)
    builder.add_node("commit_episode", nodes.commit_episode)
    builder.add_edge(START, "retrieve")
    builder.add_edge("retrieve", "act")
    builder.add_edge("act", "refine")
    builder.add_conditional_edges("refine", nodes.route, {"again": "act", "next": "retrieve", "done": "commit_episode"})
    builder.add_edge("commit_episode", END)
    return builder.compile()


WORLDS: Mapping[str, World] = {"tools": tools, "sources": sources, "commands": commands}
