"""Skills as they are recalled: inherited over DISTILLS from the episodes that were retrieved, or matched directly [F 3.1, 3.3].

`SkillBook` is a projection of the ledger: the live skills of a namespace, what they were distilled from, and the trials of each version.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.links import node_of
from langgraph_fluxmem.schema import Namespace, RecalledEpisode, RecalledSkill, Vector, Why
from langgraph_fluxmem.skills.guidance import Guide
from langgraph_fluxmem.skills.model import PREFIX, Skill

if TYPE_CHECKING:
    from langgraph_fluxmem.ledger import Ledger
    from langgraph_fluxmem.ledger.rows import EvidenceRow, NodeRow

SKILLS = 3
"""How many skills an activation holds."""
LEAST = 0.5
"""Below this match a skill says nothing about a task."""
FAST = 0.9
"""A mature skill that matches a task at least so well activates its circuit directly."""
MEMBERS = 64
"""Of what a skill was distilled from, at most so many (the latest) are compared with a task."""


@dataclass(frozen=True, slots=True)
class Held:
    """A live skill: its current version id, and the embedding (d,) of when to use it."""

    id: str
    skill: Skill
    op: int
    vector: Vector | None


class SkillBook:
    """The live skills of one namespace. The owner serialises changes and reads."""

    def __init__(self) -> None:
        self.skills: dict[str, Held] = {}
        """By node."""
        self.sources: dict[str, dict[str, None]] = {}
        """Node -> episode versions it was distilled from, in log order."""
        self.counted: dict[str, dict[str, tuple[float, float]]] = {}
        """Revision -> episode version -> (successes, failures) counted for it."""
        self.position = 0
        self._outcomes: dict[str, tuple[int, int]] = {}
        self._guide: tuple[tuple[str, ...], Guide] = ((), Guide(()))

    @classmethod
    def read(cls, ledger: Ledger, namespace: Namespace) -> SkillBook:
        """The book as of the log's head."""
        book = cls()
        head = ledger.head(namespace)
        book.add(ledger, namespace, ledger.nodes(namespace, kinds=("skill",)), head)
        if book.skills:
            book.add_trials(row for row in ledger.evidence(namespace) if row.op <= head)
        return book

    def add(self, ledger: Ledger, namespace: Namespace, rows: Sequence[NodeRow], upto: int) -> None:
        """Add skill versions, and what they were distilled from, written up to position `upto`. After an undo the owner begins a new book."""
        rows = [row for row in rows if row.op <= upto]
        if rows or self.skills:
            vectors = ledger.vectors(namespace, [text.hash for row in rows for text in row.texts])
            for row in rows:
                self._put(row, vectors)
            for edge in ledger.edges(namespace, after=self.position):
                if edge.kind == "DISTILLS" and edge.op <= upto:
                    self.sources.setdefault(node_of(edge.dst), {})[edge.src] = None
        self.position = upto

    def add_trials(self, rows: Iterable[EvidenceRow]) -> None:
        """Count evidence on edges from an episode to a skill's revision; other rows are left alone."""
        for row in rows:
            episode, mark, revision = row.target.partition(">")
            if mark and revision.startswith(PREFIX):
                good, bad = self.counted.setdefault(revision, {}).get(episode, (0.0, 0.0))
                weight = row.weight
                self.counted[revision][episode] = (good + weight, bad) if row.channel == "progress" else (good, bad + weight)

    def saw(self, task: str, outcome: str, op: int) -> None:
        """Note an episode's outcome for a task (by content hash): one failure closes the fast path for it, a later success opens it."""
        good, bad = self._outcomes.get(task, (0, 0))
        self._outcomes[task] = (max(good, op), bad) if outcome == "success" else (good, max(bad, op) if outcome == "failure" else bad)

    def closed(self, task: str) -> bool:
        """Whether the last known outcome for this task (by content hash) is a failure."""
        good, bad = self._outcomes.get(task, (0, 0))
        return bad > good

    @property
    def mature(self) -> bool:
        """Whether any skill is mature."""
        return any(held.skill.status == "mature" for held in list(self.skills.values()))

    def active(self) -> list[Held]:
        """Skills that are not retired, in log order: V_proc."""
        return [held for held in list(self.skills.values()) if held.skill.status != "retired"]

    def trials(self, revision: str) -> tuple[float, float]:
        """(successes, failures) under a revision."""
        known = self.counted.get(revision, {})
        return sum(good for good, _ in known.values()), sum(bad for _, bad in known.values())

    def state(self) -> tuple[dict[str, str], dict[str, list[str]], dict[str, dict[str, tuple[float, float]]], dict[str, tuple[int, int]]]:
        """Current versions, sources, trials and outcomes; what `verify` compares."""
        sources = {node: sorted(found) for node, found in self.sources.items()}
        return {node: held.id for node, held in self.skills.items()}, sources, self.counted, self._outcomes

    def recall(
        self,
        cosine: Mapping[str, float],
        retrieved: Sequence[RecalledEpisode],
        vector: Vector | None,
        k: int = SKILLS,
    ) -> tuple[RecalledSkill, ...]:
        """At most `k` skills for a task, mature ones first; demoted and retired ones are not recalled.

        Args:
            cosine: episode node -> cosine of its task to this one.
            retrieved: the episodes of the activation.
            vector: embedding (d,) of the task.
            k: at most so many.

        """
        found: list[RecalledSkill] = []
        for node, held in self.skills.items():
            skill = held.skill
            if skill.status not in ("candidate", "mature"):
                continue
            sources = self.sources.get(node, {})
            likes = [cosine[name] for name in map(node_of, islice(reversed(sources), MEMBERS)) if name in cosine]
            direct = max(
                float(np.mean(likes)) if likes else 0.0,
                float(held.vector @ vector) if vector is not None and held.vector is not None else 0.0,
            )
            best = max((episode for episode in retrieved if episode.id in sources), key=lambda episode: episode.score, default=None)
            inherited = best.score if best is not None else 0.0
            score = max(direct, inherited)
            if score < LEAST:
                continue
            path = (best.id, held.id) if best is not None and inherited >= direct else (held.id,)
            found.append(
                RecalledSkill(
                    id=held.id,
                    name=skill.name,
                    when=skill.when,
                    steps=skill.lines(),
                    pitfalls=skill.pitfalls,
                    status=skill.status,
                    score=score,
                    why=Why(signals={"inherited": inherited, "direct": direct}, path=path),
                )
            )
        found.sort(key=lambda skill: (skill.status != "mature", -skill.score, skill.id))
        return tuple(found[:k])

    def guide(self, ids: Sequence[str]) -> Guide | None:
        """The rules of these skills (version ids), for advice; None when they have none. Versions never change: the last answer is kept."""
        wanted = tuple(ids)
        if self._guide[0] != wanted:
            known = set(wanted)
            self._guide = (wanted, Guide((held.id, held.skill) for held in self.skills.values() if held.id in known))
        return self._guide[1] or None

    def fast(self, recalled: Sequence[RecalledSkill], task: str, round_: int) -> RecalledSkill | None:
        """The mature skill whose circuit is activated directly, or None: nothing mature matches well enough, or a failure closed it.

        `task` is the content hash of the task; `round_` counts the refinements of this step: a failure within the step closes it, too.
        """
        if round_ or self.closed(task):
            return None
        return next((skill for skill in recalled if skill.status == "mature" and skill.score >= FAST), None)

    def _put(self, row: NodeRow, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        if row.body is None:
            self.skills.pop(row.node, None)
            self.sources.pop(row.node, None)
            return
        vector = vectors.get(row.texts[0].hash) if row.texts else None
        self.skills[row.node] = Held(row.id, Skill.of(row.body), row.op, vector)


def recall_skills(
    book: SkillBook, nodes: Sequence[str], cosine: NDArray[np.float32], retrieved: Sequence[RecalledEpisode], vector: Vector | None
) -> tuple[RecalledSkill, ...]:
    """`SkillBook.recall` with cosines as arrays: `nodes` (m) are episode nodes, `cosine` (m,) of their tasks to this one."""
    if not book.skills:
        return ()
    return book.recall(dict(zip(nodes, cosine.tolist(), strict=True)), retrieved, vector)
