"""What evidence has taught in one namespace: a projection that follows the log by its position."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.learning import FLOOR, Repair, StepMemory, advise, recall_steps, steps_behind
from langgraph_fluxmem.learning.rehearsal import Rehearsal, needed_lately, rehearsals
from langgraph_fluxmem.ledger.rows import begins_anew
from langgraph_fluxmem.links import NOTHING_SERVED, TaskLinks
from langgraph_fluxmem.packed import PackedBody
from langgraph_fluxmem.schema import (
    RESET,
    Action,
    Advice,
    Namespace,
    Origin,
    Outcome,
    RecalledEpisode,
    RecalledSkill,
    RecalledStep,
    Situation,
    Vector,
)
from langgraph_fluxmem.skills import SkillBook, recall_skills
from langgraph_fluxmem.text import content_hash, distinct_terms
from langgraph_fluxmem.weighing import SignalWeights, Weights

if TYPE_CHECKING:
    from langgraph_fluxmem.ledger import Ledger
    from langgraph_fluxmem.ledger.rows import EvidenceRow, NodeRow


class Past(NamedTuple):
    """What a task is compared with: `nodes` (m) of all known tasks, the `cosine` (m,) of each, the `rows` (n) of those episodes that have
    steps, and the place (n,) of each of these among the nodes."""

    nodes: list[str]
    cosine: NDArray[np.float32]
    places: NDArray[np.int64]
    rows: list[NodeRow]


class Learned:
    """Step memory, task links and skills of a namespace, without the commits in `hidden`.

    Everything here is a sum over evidence rows: a state that followed the log is equal to one replayed from its beginning, which is
    what `verify` checks.
    """

    def __init__(self, namespace: Namespace, hidden: frozenset[str] = frozenset(), floor: float = FLOOR) -> None:
        self.floor = floor
        self.namespace = namespace
        self.hidden = hidden
        self.position = 0
        self.steps = StepMemory(floor)
        self.links = TaskLinks()
        self.weighing = SignalWeights()
        self.skills = SkillBook()
        self.episodes: dict[str, NodeRow] = {}
        self.by_node: dict[str, NodeRow] = {}
        """Of each node the last written episode that has steps."""
        self.said: dict[str, set[tuple[Origin, Outcome]]] = {}
        """Episode version -> the outcomes it was given after it was committed, and by whom."""
        self._acted: tuple[NDArray[np.int64], list[NodeRow]] | None = None
        self._anew: Learned | None = None
        """What took its place when something was taken back."""
        self._lock = threading.Lock()

    def followed(self, ledger: Ledger, head: int | None = None) -> Learned:
        """Itself, caught up with the log; after an undo, or when a version was taken back, a new state replayed from the beginning.

        What is here is added to and never taken away, so who reads it in several steps, as a consolidation does, finds all of the moment it
        began, whatever is undone meanwhile. `head` is the log's where the caller has read it.
        """
        head = ledger.head(self.namespace) if head is None else max(head, self.position)
        if head == self.position:
            return self
        with self._lock:
            head = ledger.head(self.namespace)  # before what was taken back is looked for: what is so later, the next call finds
            if head == self.position:  # another thread was first
                return self
            if self._anew is None and not self._taken_back(ledger):
                self._follow(ledger, head)
                return self
            if self._anew is None:
                self._anew = Learned(self.namespace, self.hidden, self.floor)
        return self._anew.followed(ledger, head)

    def _taken_back(self, ledger: Ledger) -> bool:
        """Whether something that is in this state is no longer in the log."""
        changes = ledger.changes(self.position, self.namespace) if self.position else ()
        return any(
            change.edit in ("erase", "tombstone") or change.kind == RESET or begins_anew(change, self.position) for change in changes
        )

    def _follow(self, ledger: Ledger, head: int) -> None:
        rows = [row for row in ledger.nodes(self.namespace, after=self.position, kinds=("episode", "skill")) if row.op <= head]
        evidence = [row for row in ledger.evidence(self.namespace, after=self.position) if row.op <= head]
        self._add(ledger, [row for row in rows if row.kind == "episode"], evidence)
        self.skills.add(ledger, self.namespace, [row for row in rows if row.kind == "skill"], head)
        self.skills.add_trials(evidence)
        self.position = head

    def _add(self, ledger: Ledger, rows: list[NodeRow], evidence: list[EvidenceRow]) -> None:
        rows = [row for row in rows if row.commit not in self.hidden and row.body is not None]
        self._acted = None
        vectors = ledger.vectors(self.namespace, list({text.hash for row in rows for text in row.texts}))
        judged = {row.id: row.body["signals"] for row in rows if row.body is not None and row.body.get("signals")}
        used: dict[str, set[str]] = {version: set() for version in judged}
        unshown = {row.id: frozenset(row.body["unshown"]) for row in rows if row.body is not None and row.body.get("unshown")}
        for row in rows:
            assert row.body is not None
            vector = vectors.get(row.texts[0].hash) if row.texts else None
            if "of" in row.body and row.body["outcome"] != "unknown":
                self.said.setdefault(row.body["of"], set()).add((row.body["origin"], row.body["outcome"]))
            packed = PackedBody(row.body)
            held = self.episodes[row.id] = replace(row, body=packed)
            if packed.acted:
                self.by_node[row.node] = held
                self.steps.add_episode(row.id, row.body, vector, row.op, held=packed)
            if row.texts:
                self.skills.saw(row.texts[0].hash, row.body["outcome"], row.op)
            if vector is not None:
                self.links.add_task(row.node, vector, row.texts[0].terms.split())
            for episode, weight in row.body.get("uses", {}).items():
                self.links.add(episode, row.node, "progress" if weight > 0 else "failure", abs(weight))
        for row in evidence:
            if row.commit in self.hidden:
                continue
            if ">" in row.target:
                fact, _, episode = row.target.partition(">")
                shown = fact not in unshown.get(episode, ())
                self.links.add(fact, episode.rsplit(":", 1)[0], row.channel, row.weight, shown=shown)
                if row.channel == "progress" and episode in used:
                    used[episode].add(fact)
            elif "#" in row.target:
                self.steps.add_evidence(row.target, row.channel, row.weight, row.op)
        for version, stored in judged.items():
            self.weighing.add(stored, used[version])

    def advise(
        self, situation: Situation, task_vector: Vector | None, actions: Sequence[Action], repair: Repair, skills: Sequence[str] = ()
    ) -> list[Advice]:
        """What the evidence says of each action, and the skills (version ids) that were recalled; see `learning.advise`."""
        with self._lock:
            return advise(self.steps, situation, task_vector, actions, repair, guide=self.skills.guide(skills))

    def recall_steps(self, situation: Situation, task_vector: Vector | None, k: int) -> list[RecalledStep]:
        """At most k past steps whose situation matches, with their evidence; see `learning.recall_steps`."""
        with self._lock:
            return recall_steps(self.steps, situation, task_vector, k)

    def rehearsals(self, k: int, recent: int) -> list[Rehearsal]:
        """At most k past tasks that are worth trying again; see `learning.rehearsal`."""
        with self._lock:
            return rehearsals(self.steps, k, recent)

    def needed_lately(self, episode: str) -> list[int]:
        """How many steps the latest successes at tasks like that of an episode (version id) needed; see `learning.rehearsal`."""
        with self._lock:
            return needed_lately(self.steps, episode)

    @property
    def lived(self) -> bool:
        """Whether there is an episode with steps, or a skill."""
        return bool(self.by_node or self.skills.skills)

    def past(self, vector: Vector) -> Past:
        """All known tasks and episodes with their cosine to a task (d,), as of one moment: another thread may follow the log meanwhile."""
        with self._lock:
            names, matrix = self.links.tasks()
            nodes = list(names)
            if self._acted is None:
                found = [(place, self.by_node[node]) for place, node in enumerate(nodes) if node in self.by_node]
                self._acted = (np.array([place for place, _ in found], np.int64), [row for _, row in found])
            places, rows = self._acted
        return Past(nodes, matrix @ vector if nodes else np.zeros(0, np.float32), places, rows)

    def recall_skills(
        self, nodes: Sequence[str], cosine: NDArray[np.float32], retrieved: Sequence[RecalledEpisode], vector: Vector
    ) -> tuple[RecalledSkill, ...]:
        """Skills for a task (d,), given what is `past` and the episodes retrieved; see `skills.SkillBook.recall`."""
        with self._lock:
            return recall_skills(self.skills, nodes, cosine, retrieved, vector)

    def fast(self, skills: Sequence[RecalledSkill], task: str, round_: int) -> RecalledSkill | None:
        """The mature skill whose circuit is activated directly; see `skills.SkillBook.fast`."""
        with self._lock:
            return self.skills.fast(skills, content_hash(task), round_)

    def served(self, vector: Vector, task: str) -> Mapping[str, float]:
        """Fact node -> how well it has served tasks like this one, in [-1, 1]; see `links.TaskLinks.served`."""
        if not len(self.links):
            return NOTHING_SERVED
        with self._lock:
            return self.links.served(vector, _words(task))

    def links_behind(self, vector: Vector, task: str, nodes: Sequence[str]) -> dict[str, list[tuple[str, float, float, float]]]:
        """Node -> the past tasks that speak for or against it for this one; see `links.TaskLinks.behind`."""
        with self._lock:
            return self.links.behind(vector, _words(task), nodes)

    def steps_behind(self, situation: Situation, task_vector: Vector | None) -> dict[str, list[tuple[str, float]]]:
        """Template key -> the past steps whose evidence is summed for it; see `learning.steps_behind`."""
        with self._lock:
            return steps_behind(self.steps, situation, task_vector) if self.steps.steps else {}

    def weights(self, configured: Mapping[str, float], fixed: Collection[str] = ()) -> Weights:
        """The weights of signals as configured, and by how much they are shifted; see `weighing.SignalWeights`."""
        with self._lock:
            return Weights(configured, self.weighing.shift(configured, fixed))

    def verify(self, ledger: Ledger) -> list[str]:
        """Differences from a replay of the whole log, one line each."""
        fresh = Learned(self.namespace, self.hidden, self.floor).followed(ledger)
        own = self.followed(ledger)
        where = ".".join(self.namespace)
        lines: list[str] = []
        if own.links.counts() != fresh.links.counts():
            lines.append(f"learned: links from tasks to facts in {where} differ from the evidence; rebuild('learned') mends it")
        if own.weighing.state() != fresh.weighing.state():
            lines.append(f"learned: weights of signals in {where} differ from the evidence; rebuild('learned') mends it")
        if own.steps.counts() != fresh.steps.counts():
            lines.append(f"learned: step memory of {where} differs from the evidence; rebuild('learned') mends it")
        if own.skills.state() != fresh.skills.state():
            lines.append(f"learned: skills of {where} differ from the ledger; rebuild('learned') mends it")
        if own.episodes.keys() != fresh.episodes.keys():
            lines.append(f"learned: episodes of {where} differ from the ledger; rebuild('learned') mends it")
        return lines


def _words(task: str) -> Iterator[str]:
    """The words of a task, worked out when the first of them is wanted."""
    yield from distinct_terms(task)
