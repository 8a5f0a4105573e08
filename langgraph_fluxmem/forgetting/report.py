"""What forgetting removed, or would remove: ids and counts, no text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from langgraph_fluxmem.schema import Namespace

Reason = Literal["asked", "reshaped", "merged", "judgement", "shortened", "quarantine", "skill"]
"""Why something goes: it was asked for; or it is made of what was: a version in another grain, a note on facts that say the same, a
judgement of an episode, its shorter way, what was held back of it, a skill that says what only forgotten episodes said."""


class Removed(BaseModel):
    """One node that goes, with all its versions. `id` is that of its newest version."""

    model_config = ConfigDict(frozen=True)

    id: str
    node: str
    kind: str
    namespace: Namespace
    why: Reason = "asked"


class Forgotten(BaseModel):
    """What was forgotten; with `dry_run`, what would be.

    Attributes:
        operations: ids of the operations in the log, one for each namespace. They cannot be undone.
        removed: every node that goes, those that were asked for first.
        versions, vectors, edges, evidence: rows of each that go.
        threads: ids of the LangGraph threads that wrote what goes, or used it: their checkpoints and traces may hold its text, and memory
            cannot reach them (``checkpointer.delete_thread(id)``).
        mentioned: episodes that stay and in which something that goes was shown, used or linked: they may quote it.

    """

    model_config = ConfigDict(frozen=True)

    dry_run: bool = False
    operations: tuple[str, ...] = ()
    removed: tuple[Removed, ...] = ()
    versions: int = 0
    vectors: int = 0
    edges: int = 0
    evidence: int = 0
    threads: tuple[str, ...] = ()
    mentioned: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """Of each node that goes its newest version."""
        return tuple(found.id for found in self.removed)

    @property
    def dependents(self) -> tuple[Removed, ...]:
        """What was not asked for and goes because it is made of what was."""
        return tuple(found for found in self.removed if found.why != "asked")

    def counts(self) -> dict[str, int]:
        """Nodes that go by kind."""
        return dict(Counter(found.kind for found in self.removed))

    def as_dict(self) -> dict[str, Any]:
        """As JSON, with the counts."""
        return self.model_dump(mode="json") | {"counts": self.counts()}

    def __str__(self) -> str:
        if not self.removed:
            return "nothing to forget"
        verb = "would forget" if self.dry_run else "forgot"
        parts = ", ".join(f"{count} {kind}{'s' if count != 1 else ''}" for kind, count in self.counts().items())
        lines = [f"{verb} {parts}: {self.versions} versions, {self.vectors} vectors, {self.edges} edges, {self.evidence} rows of evidence"]
        why: Counter[Reason] = Counter(found.why for found in self.dependents)
        lines += [f"  {count} not asked for, made of it: {_WORDS[reason]}" for reason, count in why.items()]
        if self.threads:
            lines.append(f"  threads whose checkpoints may hold its text: {', '.join(self.threads)}")
        if self.mentioned:
            lines.append(f"  {len(self.mentioned)} episodes that stay may quote it: {', '.join(self.mentioned)}")
        return "\n".join([*lines, "this cannot be undone" if self.dry_run else "compact() cleans the files of it"])


_WORDS: Mapping[Reason, str] = {
    "reshaped": "versions in another grain",
    "merged": "notes on facts that say the same",
    "judgement": "judgements of episodes",
    "shortened": "shorter ways of episodes",
    "quarantine": "texts that were held back",
    "skill": "skills, which the next consolidation makes anew of what remains",
}
