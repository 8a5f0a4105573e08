"""Memory as middleware of LangChain's `create_agent`: recalled before the model is called, committed after the agent has ended.

Needs the package `langchain` (``pip install 'langgraph_fluxmem[agent]'``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NotRequired

from langchain_core.messages import SystemMessage, ToolMessage

from langgraph_fluxmem.branches import CommitsChannel, merge_commits
from langgraph_fluxmem.errors import FeedbackError, MissingExtraError
from langgraph_fluxmem.namespaces import DEFAULT
from langgraph_fluxmem.nodes import fluxmem_nodes
from langgraph_fluxmem.schema import Feedback, Origin

try:
    from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
    from langchain.agents.middleware.types import OmitFromSchema, PrivateStateAttr
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise MissingExtraError("FluxMemMiddleware needs the package langchain: pip install 'langgraph_fluxmem[agent]'") from error

if TYPE_CHECKING:
    from langgraph.runtime import Runtime

    from langgraph_fluxmem.memory import FluxMem

Evaluator = Callable[[Mapping[str, Any]], Feedback | Mapping[str, Any] | None]
"""Gets the agent's final state, says how it went; None: nobody knows, so nothing is learned from the outcome."""
_GIVEN = OmitFromSchema(input=False, output=True)


class MemoryAgentState(AgentState[Any]):
    """The agent's state with the memory channels: hidden from its output, and (but for the last two) from its input."""

    memory: NotRequired[Annotated[dict[str, Any], PrivateStateAttr]]
    memory_context: NotRequired[Annotated[str, PrivateStateAttr]]
    memory_round: NotRequired[Annotated[int, PrivateStateAttr]]
    memory_commits: NotRequired[Annotated[CommitsChannel, PrivateStateAttr, merge_commits]]
    memory_cursor: NotRequired[Annotated[str | None, PrivateStateAttr]]
    memory_feedback: NotRequired[Annotated[dict[str, Any] | None, _GIVEN]]
    memory_episode_id: NotRequired[Annotated[str | None, _GIVEN]]


class FluxMemMiddleware(AgentMiddleware[MemoryAgentState, Any]):
    """Give an agent of `create_agent` a memory:

        agent = create_agent(model, tools, middleware=[FluxMemMiddleware(mem, namespace=("{user_id}", "memories"))])

    Before the agent runs, and again after each round of tool results, memory is recalled for the task and what was seen last; what it has to
    say joins the system message of the next model call (it is not stored among the messages). When the agent has ended, the run is
    committed as an episode: tool calls are its steps, and a tool message with status ``"error"`` is a step that failed. Its state is hidden
    from the agent's input and output.

    What is learned needs an outcome: `evaluate` may say it from the final state, a node of your own may write ``memory_feedback``, or it
    comes later, from a thumb: ``mem.learn(run_id, Feedback(outcome="success"))``. Without any the episode is stored and teaches nothing.

    Args:
        mem: the memory; None: the `FluxMemStore` that the agent was given as ``store=``.
        namespace, also: as in `FluxMem.nodes`; ``{fields}`` come from the runtime context, then ``configurable``, then the server's user.
        k: at most so many facts.
        evaluate: says how the run went, see `Evaluator`.
        each_step: False recalls once before the agent runs, and not after tool results.
        origins: where fields come from, other than usual (`origins.USUAL`: the task from the user, results from tools, which nobody obeys):
            ``{"task": "tool"}`` for an agent whose messages are read out of mails or tickets.

    Raises:
        ConfigError, InvalidNamespaceError: at once, for arguments that cannot work.
    """

    state_schema = MemoryAgentState

    def __init__(
        self,
        mem: FluxMem | None = None,
        *,
        namespace: Sequence[str] = DEFAULT,
        also: Sequence[Sequence[str]] = (),
        k: int = 10,
        evaluate: Evaluator | None = None,
        each_step: bool = True,
        origins: Mapping[str, Origin] | None = None,
    ) -> None:
        super().__init__()
        self._nodes = fluxmem_nodes(mem, namespace=namespace, also=also, k=k, origins=origins)
        self._evaluate = evaluate
        self._each_step = each_step

    # -------------------------------------------------------------------------------------------------------------------- retrieve
    def before_agent(self, state: MemoryAgentState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Recall for the task."""
        del runtime
        return self._nodes.retrieve.invoke(state)

    async def abefore_agent(self, state: MemoryAgentState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Async twin of `before_agent`."""
        del runtime
        return await self._nodes.retrieve.ainvoke(state)

    def before_model(self, state: MemoryAgentState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Recall again for what the tools returned."""
        del runtime
        return self._nodes.retrieve.invoke(state) if self._stepped(state) else None

    async def abefore_model(self, state: MemoryAgentState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Async twin of `before_model`."""
        del runtime
        return await self._nodes.retrieve.ainvoke(state) if self._stepped(state) else None

    # ---------------------------------------------------------------------------------------------------------------------- inject
    def wrap_model_call(self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]) -> ModelResponse[Any]:
        """Add what memory has to say to the system message of this call."""
        return handler(_with_context(request))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """Async twin of `wrap_model_call`."""
        return await handler(_with_context(request))

    # ---------------------------------------------------------------------------------------------------------------------- commit
    def after_agent(self, state: MemoryAgentState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Commit the run as an episode."""
        del runtime
        return self._nodes.commit_episode.invoke(self._judged(state))

    async def aafter_agent(self, state: MemoryAgentState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Async twin of `after_agent`."""
        del runtime
        return await self._nodes.commit_episode.ainvoke(self._judged(state))

    def _stepped(self, state: MemoryAgentState) -> bool:
        messages = state["messages"]
        return self._each_step and bool(messages) and isinstance(messages[-1], ToolMessage)

    def _judged(self, state: MemoryAgentState) -> dict[str, Any]:
        """The state with the evaluator's feedback, where there is one and no node has written any."""
        judged: dict[str, Any] = dict(state)
        if self._evaluate is None or judged.get("memory_feedback") is not None:
            return judged
        said = self._evaluate(judged)
        if said is None:
            return judged
        if not isinstance(said, (Feedback, Mapping)):
            raise FeedbackError(f"evaluate() returned a {type(said).__name__}; return Feedback(outcome=...), a dict of its fields, or None")
        feedback = said if isinstance(said, Feedback) else Feedback(**said)
        return {**judged, "memory_feedback": feedback.model_dump(mode="json")}


def _with_context(request: ModelRequest[Any]) -> ModelRequest[Any]:
    context = request.state.get("memory_context")
    if not isinstance(context, str) or not context:
        return request
    own = request.system_message
    if own is None:
        return request.override(system_message=SystemMessage(context))
    if isinstance(own.content, str):
        content: str | list[str | dict[Any, Any]] = f"{own.content}\n\n{context}" if own.content else context
    else:
        content = [*own.content, {"type": "text", "text": context}]
    return request.override(system_message=own.model_copy(update={"content": content}))
