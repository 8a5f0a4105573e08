"""What each operator answers with: pydantic models that a chat model fills in as structured output, and that the rules fill in by hand.

Lists refer to what was asked about by its index, so that no model has to repeat an id.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from langgraph_fluxmem.schema import Outcome

Cause = Literal["under-connection", "over-connection", "granularity", "harmful", "none"]
"""What feedback says is wrong with an activation [F 3.2]."""


class Answer(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Verified(Answer):
    """How well each candidate answers the query."""

    scores: list[float] = Field(description="One number from 0 (of no use) to 1 (answers it) for each candidate, in their order")


class Evaluated(Answer):
    """How an attempt went."""

    outcome: Outcome = Field(description="success, failure, or unknown when it cannot be told")
    progress: float = Field(default=0.0, ge=-1.0, le=1.0, description="How far the last step led on, from -1 to 1")
    loss: float = Field(default=0.0, ge=0.0, le=1.0, description="How badly the task ended, from 0 to 1; 0 unless it is lost")
    detail: str = Field(default="", description="One sentence that says why")


class Attributed(Answer):
    """Why what was activated did not do."""

    cause: Cause = Field(
        description="under-connection: something needed was not shown; over-connection: something shown misled; "
        "granularity: what was shown is too coarse or too fine; harmful: memory as a whole misled; none: memory is not to blame"
    )
    targets: list[int] = Field(default_factory=list, description="Indices of the shown memories this is about")
    finer: bool = Field(
        default=True, description="For granularity: true where finer parts are needed, false where one more abstract text would do"
    )
    reason: str = Field(default="", description="One sentence")


class Reshaped(Answer):
    """A memory in another grain."""

    texts: list[str] = Field(description="The finer parts, or one more abstract text; nothing that the original does not say")


class DraftStep(Answer):
    """One step of a skill."""

    template: int | None = Field(default=None, description="Index of the action template it does, or null when it does none of them")
    text: str = Field(description="What to do, as one imperative line")
    optional: bool | None = Field(default=None, description="Whether only some of such tasks need it; null: as it was")


class Drafted(Answer):
    """A skill: when to use it, what to do, what to beware of."""

    name: str = Field(description="A short name, at most eight words")
    when: str = Field(description="When to use it: what the task and the situation look like, one sentence")
    steps: list[DraftStep] = Field(description="What to do, in order; as few steps as work")
    pitfalls: list[str] = Field(default_factory=list, description="What went wrong in the attempts that failed, one line each")


class Extracted(Answer):
    """A note on a memory."""

    context: str = Field(description="What it says, in one plain sentence, names kept")
    keywords: list[str] = Field(default_factory=list, description="At most eight keywords: names, things, topics")


class ExtractedEach(Answer):
    """A note on each memory."""

    notes: list[Extracted] = Field(description="One note for each memory, in their order")


class Relation(Answer):
    """How a memory stands to one neighbour."""

    redundancy: float = Field(ge=0.0, le=1.0, description="1: they say the same")
    complementarity: float = Field(ge=0.0, le=1.0, description="1: together they say more than each alone")


class Related(Answer):
    """How a memory stands to each neighbour."""

    relations: list[Relation] = Field(description="One for each neighbour, in their order")


class Sufficiency(Answer):
    """Whether what was found answers the query."""

    sufficient: bool = Field(description="Whether the memories answer the query")
    gap: str = Field(default="", description="What is missing, in a few words")
    query: str = Field(default="", description="What to search for next to fill the gap; empty when nothing is missing")
