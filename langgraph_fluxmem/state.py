"""The memory channels of a graph's state, named once."""

from __future__ import annotations

from typing import Annotated, Any

from typing_extensions import TypedDict

from langgraph_fluxmem.branches import CommitsChannel, merge_commits


class FluxMemState(TypedDict, total=False):
    """Mix this into your graph's state: ``class State(MessagesState, FluxMemState): ...``.

    All values are plain JSON, so strict checkpoint serialisers carry them.
    """

    memory: dict[str, Any]
    """The activation of the current step (ids and scores, no texts of facts) and the trace of the episode so far."""
    memory_context: str
    """S_t: what memory has to say for this step, for the prompt."""
    memory_feedback: dict[str, Any] | None
    """`Feedback` as a dict, written by your nodes after acting; the refine node takes it."""
    memory_round: int
    """Rounds of refinement in the current step."""
    memory_commits: Annotated[CommitsChannel, merge_commits]
    """Commits and lineage of this branch (`branches.merge_commits`)."""
    memory_episode_id: str | None
    """Id of the episode under way; yours if you set it, else minted by the first node of the episode. Cleared by the commit."""
    memory_cursor: str | None
    """Id of the last message that a commit has taken."""


CHANNELS = tuple(FluxMemState.__annotations__)
