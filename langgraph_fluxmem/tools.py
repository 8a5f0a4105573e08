"""Memory as tools that an agent calls itself: search what is known, save something new, look up how a task is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import Field

from langgraph_fluxmem import context, execution
from langgraph_fluxmem.namespaces import DEFAULT, NamespaceTemplate
from langgraph_fluxmem.nodes import check_memory
from langgraph_fluxmem.schema import Activation, Namespace

if TYPE_CHECKING:
    from langgraph_fluxmem.memory import FluxMem

NOTHING = "Memory holds nothing on this."
"""What a tool returns when nothing was found."""
Query = Annotated[str, Field(description="What to look for, in your own words. One question at a time finds more than several at once.")]
Limit = Annotated[int, Field(description="At most so many results.", ge=1, le=50)]
Text = Annotated[str, Field(description="One fact, as a full sentence that will be understood without this conversation (names, dates).")]
Task = Annotated[str, Field(description="The task you are about to do, as it was given to you.")]


def memory_tools(mem: FluxMem, *, namespace: Sequence[str] = DEFAULT, also: Sequence[Sequence[str]] = ()) -> list[BaseTool]:
    """The tools ``search_memory``, ``save_memory`` and ``recall_skill`` over `mem`, for `create_agent`, `ToolNode` or `bind_tools`.

    `namespace` may hold ``{fields}``, filled in from the run that calls the tool; `also` is searched too and never written. Results are
    quoted data: escaped and fenced, as in `Activation.context`.

    Raises:
        ConfigError, InvalidNamespaceError: at once. UnresolvedNamespaceError: when a tool is called and a field has no value.
    """
    check_memory(mem)
    own, others = NamespaceTemplate(namespace), [NamespaceTemplate(other) for other in also]

    def where(template: NamespaceTemplate) -> Namespace:
        return execution.current().fill(template)

    def search_memory(query: Query, limit: Limit = 5) -> str:
        """Search long-term memory for facts: what the user said, prefers or did, and what was found out earlier."""
        return _facts(mem.recall(query, namespace=where(own), also=[where(other) for other in others], k=limit))

    async def asearch_memory(query: Query, limit: Limit = 5) -> str:
        return _facts(await mem.arecall(query, namespace=where(own), also=[where(other) for other in others], k=limit))

    def save_memory(text: Text) -> str:
        """Save one fact to long-term memory, so that it can be found in later conversations. The same text is kept once."""
        return f"Saved as {', '.join(mem.remember(text, namespace=where(own)))}."

    async def asave_memory(text: Text) -> str:
        return f"Saved as {', '.join(await mem.aremember(text, namespace=where(own)))}."

    def recall_skill(task: Task) -> str:
        """Look up how such a task was done before: the steps that worked, and what ended badly."""
        return _skills(mem.recall(task, namespace=where(own)))

    async def arecall_skill(task: Task) -> str:
        return _skills(await mem.arecall(task, namespace=where(own)))

    pairs = ((search_memory, asearch_memory), (save_memory, asave_memory), (recall_skill, arecall_skill))
    return [StructuredTool.from_function(func=sync, coroutine=asynchronous) for sync, asynchronous in pairs]


def _facts(activation: Activation) -> str:
    return context.serialise(activation.model_copy(update={"skills": (), "steps": (), "episodes": ()}), _BUDGET) or NOTHING


def _skills(activation: Activation) -> str:
    return context.serialise(activation.model_copy(update={"facts": ()}), _BUDGET) or NOTHING


_BUDGET = 1500
"""Tokens of one result."""
