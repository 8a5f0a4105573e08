"""Which commits a branch of a graph must not see, and the state channel that tells.

LangGraph can go back: a replayed checkpoint, a fork by `update_state`, a resumed interrupt. What was committed on the branch that was
left then did not happen for the branch that goes on. The reducer channel `memory_commits` travels with the checkpoints: it names the last
commits of the branch that holds it, and each commit names those it came after, so a thread of any length carries a few ids, and nothing has
to be read from the checkpointer.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import TypedDict

from langgraph_fluxmem.errors import StateError
from langgraph_fluxmem.ledger.rows import CommitRow, begins_anew
from langgraph_fluxmem.schema import Namespace

if TYPE_CHECKING:
    from langgraph_fluxmem.ledger import Ledger

_LINEAGE = uuid.UUID("7f0f2c0e-6f0a-5d0e-9a53-1f3c0f1f7a11")
REPLACED = 64
"""Ids that a channel remembers as replaced, the latest ones; without one of them a merge keeps an id more than it needs, and is right."""


class CommitsChannel(TypedDict, total=False):
    """Value of the `memory_commits` channel: plain strings, so strict checkpoint serialisers carry it."""

    lineage: str
    thread: str
    ids: list[str]
    """The branch's last commits: one, or several after commits in parallel or in several namespaces. Each stands for all it came after, too."""
    alone: list[str]
    """Commits that stand for themselves only: stored before on another branch, as the same episode."""
    replaced: list[str]
    """Ids that later ones stand for, so that a merge does not bring them back."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch as a reader: its lineage, and its commits as in its channel. Without a lineage: anybody else."""

    lineage: str | None = None
    ids: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()


def branch_of(channel: CommitsChannel | None) -> Branch:
    """The branch that a channel tells of."""
    value: CommitsChannel = channel or {}
    return Branch(value.get("lineage"), tuple(value.get("ids", ())), tuple(value.get("alone", ())))


def merge_commits(left: Any, right: Any) -> CommitsChannel:
    """Reducer of `memory_commits`: ids are united in order, without those that either side knows to be replaced; a lineage minted later
    replaces the earlier one.

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
    merged: CommitsChannel = {**old, **new}
    latest: list[str] = new.get("replaced", [])
    replaced = _united(old.get("replaced", []), latest)
    merged["ids"] = _united(old.get("ids", []), new.get("ids", []), without=replaced)
    if old.get("alone") or new.get("alone"):
        merged["alone"] = _united(old.get("alone", []), new.get("alone", []), without=replaced)
    if replaced:
        merged["replaced"] = replaced[-max(REPLACED, len(latest)) :]
    return merged


def _united(old: Sequence[str], new: Sequence[str], without: Collection[str] = ()) -> list[str]:
    gone = frozenset(without)
    return [id_ for id_ in dict.fromkeys((*old, *new)) if id_ not in gone]


def lineage_of(channel: CommitsChannel | None, *, thread_id: str | None, start: str | None) -> CommitsChannel:
    """The channel's value to go on with: with the lineage it has, or a new one when it is empty or was minted under another thread (a copied
    thread).

    A new lineage is derived from the thread and its `start` (a checkpoint, or the run of a subgraph), so that a retried node mints the same
    one; without a checkpointer it is random.
    """
    value: CommitsChannel = channel or {}
    thread = thread_id or ""
    going_on: CommitsChannel = {**value, "thread": thread, "ids": list(value.get("ids", []))}
    if not value.get("lineage") or value.get("thread", "") != thread:
        going_on["lineage"] = uuid.uuid5(_LINEAGE, f"{thread}\x00{start}" if thread and start else uuid.uuid4().hex).hex
    return going_on


def with_commit(channel: CommitsChannel, commit: str, after: Sequence[str], *, alone: bool) -> CommitsChannel:
    """The channel when `commit`, which came `after` these ids of it, was stored; `alone` when it was there before, after others."""
    if alone:
        return {**channel, "alone": [*channel.get("alone", []), commit]}
    replaced = [id_ for id_ in after if id_ != commit]
    ids = [id_ for id_ in channel.get("ids", []) if id_ not in replaced and id_ != commit]
    rest = [id_ for id_ in channel.get("alone", []) if id_ not in replaced]
    return {**channel, "ids": [*ids, commit], "alone": rest, "replaced": replaced}


class BranchView:
    """The commits of one namespace by lineage, following the log, so that what a branch must not see is not computed anew each time."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        self.position = 0
        self._commits: dict[str, CommitRow] = {}
        self._lineages: dict[str, list[CommitRow]] = {}
        self._abandoned: dict[str, frozenset[str]] = {}
        self._tips: dict[str, frozenset[str]] = {}
        """The commits of a lineage that stand for all that is visible of it elsewhere: the latest, and those parallel to it."""
        self._last: tuple[Branch, frozenset[str]] | None = None
        self._lock = threading.Lock()

    def hidden(self, ledger: Ledger, branch: Branch, on_fork: Literal["hide", "keep"] = "hide", head: int | None = None) -> frozenset[str]:
        """Ids of the commits that a reader must not see.

        Of the reader's own lineage: those that its channel's ids do not stand for. Of every other lineage: those its latest commit did not
        come after, except that commit itself and its siblings of the same superstep (the same checkpoint, another task). Commits without a
        lineage hide nothing and are never hidden. `head` is the log's head where the caller has read it.
        """
        if on_fork == "keep":
            return frozenset()
        with self._lock:
            self._catch_up(ledger, head)
            if self._last is None or self._last[0] != branch:
                self._last = branch, self._hidden(branch)
            return self._last[1]

    def _catch_up(self, ledger: Ledger, head: int | None) -> None:
        head = ledger.head(self.namespace) if head is None else max(head, self.position)
        if head == self.position:
            return
        if self.position and any(begins_anew(change, self.position) for change in ledger.changes(self.position, self.namespace)):
            self.position = 0
        if not self.position:
            self._commits, self._lineages, self._abandoned, self._tips = {}, {}, {}, {}
        moved: set[str] = set()
        for commit in ledger.commits(self.namespace, after=self.position):
            if commit.op > head:
                continue
            self._commits[commit.id] = commit
            lineage = commit.provenance.lineage
            if commit.live and lineage is not None:
                self._lineages.setdefault(lineage, []).append(commit)
                if lineage not in moved and self._goes_on(lineage, commit):
                    self._tips[lineage] = frozenset((commit.id,))  # it goes on where the lineage stood: nothing is left behind by it
                else:
                    moved.add(lineage)
        for lineage in moved:
            self._abandoned[lineage], self._tips[lineage] = self._left_behind(self._lineages[lineage])
        self.position, self._last = head, None

    def _goes_on(self, lineage: str, commit: CommitRow) -> bool:
        """Whether a new commit came after all that is visible of its lineage, beside nothing that is not."""
        if commit.alone or self._tips.get(lineage) != frozenset(commit.seen):
            return False
        place = _place(commit)
        return not any(_parallel(place, _place(self._commits[left])) for left in self._abandoned[lineage])

    def _hidden(self, branch: Branch) -> frozenset[str]:
        hidden: set[str] = set()
        at_the_end = not branch.alone and self._tips.get(branch.lineage or "") == frozenset(branch.ids)
        for other, abandoned in self._abandoned.items():
            if other == branch.lineage and not at_the_end:
                hidden.update(commit.id for commit in self._lineages[other])
            else:
                hidden |= abandoned
        if hidden:
            hidden -= self._all_of(branch.ids)
            hidden.difference_update(branch.alone)
        return frozenset(hidden)

    def _left_behind(self, group: list[CommitRow]) -> tuple[frozenset[str], frozenset[str]]:
        """What the latest commit of a lineage left behind, and the tips of what it did not."""
        latest = max(group, key=lambda commit: commit.op)
        visible = self._all_of((latest.id,))
        last, tips = [_place(latest)], {latest.id}
        for commit in sorted((commit for commit in group if commit.id not in visible), key=lambda commit: -commit.op):
            place = _place(commit)
            if commit.id not in visible and all(_parallel(place, other) for other in last):
                last.append(place)
                tips.add(commit.id)
                visible |= self._all_of((commit.id,))
        return frozenset(commit.id for commit in group) - visible, frozenset(tips)

    def _all_of(self, ids: Iterable[str]) -> set[str]:
        """These commits, and all that they came after."""
        found = set(ids)
        todo = list(found)
        while todo:
            commit = self._commits.get(todo.pop())
            if commit is not None:
                todo.extend(id_ for id_ in commit.seen if id_ not in found)
                found.update(commit.seen)
                found.update(commit.alone)
        return found


Place = tuple[tuple[str | None, str | None], ...]
"""Where an execution stood: (checkpoint, task) in the outermost graph, then in each subgraph, to the node itself."""


def _place(commit: CommitRow) -> Place:
    where = commit.provenance
    tasks: list[str | None] = [*where.checkpoint_ns.split("|")] if where.checkpoint_ns else [None]
    checkpoints = [*(checkpoint or None for checkpoint in commit.above), where.checkpoint_id]
    missing: list[str | None] = [None] * (len(tasks) - len(checkpoints))
    return tuple(zip([*missing, *checkpoints][-len(tasks) :], tasks, strict=True))


def _parallel(one: Place, other: Place) -> bool:
    """Whether two executions are tasks of the same superstep, or within such."""
    for (checkpoint, task), (other_checkpoint, other_task) in zip(one, other, strict=False):
        if checkpoint is None or checkpoint != other_checkpoint:
            return False
        if task is None or task != other_task:
            return True
    return False


def enclosing(checkpoints: Mapping[str, str], checkpoint_ns: str | None) -> tuple[str, ...]:
    """Checkpoints of the graphs around an execution, the outermost first; none in a graph that is no subgraph. An unknown one is empty."""
    tasks = (checkpoint_ns or "").split("|")
    return tuple(checkpoints.get("|".join(tasks[:depth]), "") for depth in range(len(tasks) - 1))
