"""What an explanation says: of a recall, why each thing came to mind; of a node, what it is, where it is from, what rests on it.

As an object, as text (`text()`, `str`), and as HTML in a notebook (`_repr_html_`, in which every stored text is escaped).
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from langgraph_fluxmem.schema import Channel, EdgeKind, Namespace, NodeKind, Outcome, Provenance

What = Literal["fact", "step", "episode", "skill"]
State = Literal["current", "gone", "undone", "erased"]
"""Of a node: ``gone``: a tombstone is its last word. ``undone``: no version of it counts. ``erased``: its content is."""


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Proof(_Told):
    """One row of evidence: `operation` (of verb `verb`, at `at`, epoch seconds) said `weight` on `channel` of `target`.

    `counts` is False while it was undone or lies before a reset of learning. `task` and `outcome` are those of the episode or the judged recall it came with.
    """

    target: str
    channel: Channel
    weight: float
    operation: str
    verb: str
    at: float
    position: int
    commit: str | None = None
    thread_id: str | None = None
    run_id: str | None = None
    task: str = ""
    outcome: Outcome | None = None
    counts: bool = True


class Link(_Told):
    """A past task that speaks for or against something now: how alike it is to this one (`likeness` in [0, 1]), evidence `gained` and
    `against` it there, and the rows that evidence is the sum of. Its say is ``likeness * (gained - against)``."""

    episode: str
    task: str
    outcome: Outcome
    likeness: float
    gained: float
    against: float
    proofs: tuple[Proof, ...] = ()

    @property
    def say(self) -> float:
        """Its part in the learned score."""
        return self.likeness * (self.gained - self.against)


class Reason(_Told):
    """Why one thing was recalled.

    Attributes:
        signals: each signal's share of `score`. path: as recalled (`Why.path`).
        links: past tasks that speak of it, at most `LINKS`, of `links_total`. proofs: evidence on the thing itself (steps, trials of a skill).
        counts: sums of evidence behind it, by channel.
        without: its rank had nothing been learned; None: it would not have come.

    """

    id: str
    what: What
    text: str
    rank: int
    score: float
    signals: dict[str, float] = Field(default_factory=dict)
    path: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    links_total: int = 0
    proofs: tuple[Proof, ...] = ()
    proofs_total: int = 0
    counts: dict[str, float] = Field(default_factory=dict)
    without: int | None = None


class Missed(_Told):
    """A fact that would have come at `rank` had nothing been learned, and did not."""

    id: str
    text: str
    rank: int
    score: float


class Moved(_Told):
    """A signal whose weight learning has moved from `configured` to `in_force`."""

    signal: str
    configured: float
    in_force: float

    @property
    def told(self) -> bool:
        """Whether it is worth a word: it shows in two decimals."""
        return f"{self.configured:.2f}" != f"{self.in_force:.2f}"


class Repaired(_Told):
    """An edit of the activation inside the refinement loop; tentative until its outcome is known."""

    action: str
    targets: tuple[str, ...]
    reason: str


class Explanation(_Told):
    """What `FluxMem.explain` answers."""

    def text(self) -> str:
        """As plain text, for a terminal."""
        from langgraph_fluxmem.explaining.telling import told  # noqa: PLC0415 - it tells of these classes

        return told(self)

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        from langgraph_fluxmem.explaining.html import page_of  # noqa: PLC0415

        return page_of(self)


class RecallExplanation(Explanation):
    """Why an activation holds what it holds.

    Attributes:
        position: log position it was recalled at. head: that of the namespace in the memory that is told of; it is later only where the log
            has been compacted beyond `position`, and then evidence and `without` are of today's memory.
        reasons: facts, steps, episodes and skills in the activation's order.
        missed: facts that only come without learning. judged: recalls whose feedback moved weights.
        fast: the mature skill that answered without a search, if one did. hidden: commits this branch does not see.

    """

    about: Literal["recall"] = "recall"
    activation: str
    query: str
    namespace: Namespace
    position: int
    head: int
    preset: str
    reasons: tuple[Reason, ...] = ()
    missed: tuple[Missed, ...] = ()
    moved: tuple[Moved, ...] = ()
    judged: int = 0
    repaired: tuple[Repaired, ...] = ()
    fast: str | None = None
    hidden: int = 0
    model_calls: int = 0

    @property
    def learned(self) -> tuple[Reason, ...]:
        """The facts that came by what was learned: without it they would not be here."""
        return tuple(reason for reason in self.reasons if reason.what == "fact" and reason.without is None)


class Version(_Told):
    """One version of a node: `operation` wrote it at `at`. `state` of this version alone."""

    id: str
    at: float
    position: int
    operation: str
    verb: str
    state: Literal["current", "superseded", "tombstone", "erased", "undone"]
    text: str
    commit: str | None = None


class Tie(_Told):
    """An edge of the node: `weight` as learned (stored weight times what evidence and time make of it); `incoming`: it ends at this node."""

    kind: EdgeKind
    other: str
    other_kind: NodeKind | None
    text: str
    weight: float
    stored: float
    incoming: bool
    operations: tuple[str, ...]


class Change(_Told):
    """An operation that touched the node: what it `did`, and whether it counts."""

    position: int
    at: float
    operation: str
    verb: str
    did: tuple[str, ...]
    counts: bool
    provenance: Provenance = Provenance()


class StepTold(_Told):
    """A step of an episode with its evidence, summed by channel."""

    id: str
    ordinal: int
    action: str
    result: str
    progress: float
    failure: float
    loss: float
    grounds: tuple[str, ...] = ()


class NodeExplanation(Explanation):
    """What a fact, episode or skill is, where it is from, and what came of it.

    Attributes:
        id: version id of the one that counts (the last one where none does). origin: provenance of the operation that first wrote it.
        evidence: sums by channel of what counts; `proofs` are the rows, the newest first, at most `PROOFS` of `proofs_total`.
        dependents: operations that would be undone with the one that wrote this version. details: what its kind has besides.

    """

    about: Literal["node"] = "node"
    id: str
    node: str
    kind: NodeKind
    namespace: Namespace
    state: State
    title: str
    content: str
    source: str | None = None
    speaker: str | None = None
    created_at: float
    origin: Provenance = Provenance()
    versions: tuple[Version, ...] = ()
    changes: tuple[Change, ...] = ()
    evidence: dict[str, float] = Field(default_factory=dict)
    proofs: tuple[Proof, ...] = ()
    proofs_total: int = 0
    ties: tuple[Tie, ...] = ()
    ties_total: int = 0
    dependents: tuple[str, ...] = ()
    steps: tuple[StepTold, ...] = ()
    pems: tuple[float, ...] = ()
    details: dict[str, JsonValue] = Field(default_factory=dict)


LINKS = 5
"""Past tasks that are told for one thing."""
PROOFS = 12
"""Rows of evidence that are told for one thing."""
TIES = 40
"""Edges that are told for one node."""
