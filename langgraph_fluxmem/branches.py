"""Which commits a branch of a graph must not see, and the state channel that tells.

LangGraph can go back: a replayed checkpoint, a fork by `update_state`, a resumed interrupt. What was committed on the branch that was
left then did not happen for the branch that goes on. The reducer channel `memory_commits` travels with the checkpoints, so its commit
ids are exactly those of the branch that holds it; nothing has to be read from the checkpointer.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import TypedDict

from langgraph_fluxmem.errors import StateError
from langgraph_fluxmem.ledger.rows import CommitRow, begins_anew
from langgraph_fluxmem.schema import Namespace

if TYPE_CHECKING:
    from langgraph_fluxmem.ledger import Ledger

_LINEAGE = uuid.UUID("7f0f2c0e-6f0a-5d0e-9a53-1f3c0f1f7a11")


class CommitsChannel(TypedDict, total=False):
    """Value of the `memory_commits` channel: plain strings, so strict checkpoint serialisers carry it."""

    lineage: str
    thread: str
    ids: list[str]


def merge_commits(left: Any, right: Any) -> CommitsChannel:
    """Reducer of `memory_commits`: commit ids are united in order; a lineage minted later replaces the earlier one.

    Raises:
        StateError: a value that the memory nodes did not write.
    """
    for value in (left, right):
        if value is not None and not isinstance(value, dict):
            raise StateError(
                f"state key 'memory_commits' holds a {type(value).__name__}; it belongs to the memory nodes, leave it out of updates"
            )
    old: CommitsChannel = left or {}
    new: CommitsChannel = right or {}
    ids: list[str] = list(dict.fromkeys([*old.get("ids", []), *new.get("ids", [])]))
    merged: CommitsChannel = {**old, **new}
    merged["ids"] = ids
    return merged


def lineage_of(channel: CommitsChannel | None, *, thread_id: str | None, checkpoint_id: str | None) -> CommitsChannel:
    """The lineage to commit under: the channel's, or a new one when it is empty or was minted under another thread (a copied thread).

    A new lineage is derived from the thread and the checkpoint it starts from, so that a retried node mints the same one; without a
    checkpointer it is random.
    """
    value: CommitsChannel = channel or {}
    thread = thread_id or ""
    lineage = value.get("lineage")
    if lineage and value.get("thread", "") == thread:
        return {"lineage": lineage, "thread": thread, "ids": list(value.get("ids", []))}
    name = f"{thread}\x00{checkpoint_id}" if thread_id and checkpoint_id else uuid.uuid4().hex
    return {"lineage": uuid.uuid5(_LINEAGE, name).hex, "thread": thread, "ids": list(value.get("ids", []))}


class BranchView:
    """The commits of one namespace by lineage, following the log, so that what a branch must not see is not computed anew each time."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        self.position = 0
        self._lineages: dict[str, list[CommitRow]] = {}
        self._abandoned: dict[str, frozenset[str]] = {}
        self._lock = threading.Lock()

    def hidden(
        self,
        ledger: Ledger,
        lineage: str | None,
        ids: Iterable[str] = (),
        on_fork: Literal["hide", "keep"] = "hide",
        head: int | None = None,
    ) -> frozenset[str]:
        """Ids of the commits that a reader must not see.

        Of the reader's own `lineage`: those not among its channel's `ids`. Of every other lineage: those its latest commit did not see,
        except that commit itself and its siblings of the same superstep (same starting checkpoint). Commits without a lineage hide
        nothing and are never hidden. `head` is the log's head where the caller has read it.
        """
        if on_fork == "keep":
            return frozenset()
        with self._lock:
            self._catch_up(ledger, head)
            return self._hidden(lineage, frozenset(ids))

    def _catch_up(self, ledger: Ledger, head: int | None) -> None:
        head = ledger.head(self.namespace) if head is None else max(head, self.position)
        if head == self.position:
            return
        if self.position and any(begins_anew(change, self.position) for change in ledger.changes(self.position, self.namespace)):
            self.position = 0
        if not self.position:
            self._lineages, self._abandoned = {}, {}
        moved: set[str] = set()
        for commit in ledger.commits(self.namespace, after=self.position):
            if commit.live and commit.provenance.lineage is not None and commit.op <= head:
                self._lineages.setdefault(commit.provenance.lineage, []).append(commit)
                moved.add(commit.provenance.lineage)
        for lineage in moved:
            self._abandoned[lineage] = _abandoned(self._lineages[lineage])
        self.position = head

    def _hidden(self, lineage: str | None, own: frozenset[str]) -> frozenset[str]:
        hidden: set[str] = set()
        for other, abandoned in self._abandoned.items():
            if other == lineage:
                hidden.update(commit.id for commit in self._lineages[other])
            else:
                hidden |= abandoned
        return frozenset(hidden - own)


def _abandoned(group: list[CommitRow]) -> frozenset[str]:
    """What the latest commit of a lineage left behind."""
    latest = max(group, key=lambda commit: commit.op)
    visible = {latest.id, *latest.seen}
    start = latest.provenance.checkpoint_id
    return frozenset(
        commit.id for commit in group if commit.id not in visible and not (start is not None and commit.provenance.checkpoint_id == start)
    )
