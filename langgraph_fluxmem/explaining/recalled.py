"""Why an activation holds what it holds: a stage that reads, and writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from langgraph_fluxmem.config import Config
from langgraph_fluxmem.context import action_text
from langgraph_fluxmem.explaining.model import LINKS, PROOFS, Link, Missed, Moved, Reason, RecallExplanation, Repaired
from langgraph_fluxmem.explaining.proofs import Episodes, proofs
from langgraph_fluxmem.explaining.unlearned import recall_unlearned
from langgraph_fluxmem.graph import vertex_of
from langgraph_fluxmem.learned import Learned
from langgraph_fluxmem.ledger.rows import EvidenceRow, NodeRow
from langgraph_fluxmem.links import node_of
from langgraph_fluxmem.requests import Embed, Fetch, LearnedOf, Stage
from langgraph_fluxmem.schema import Activation, RecalledEpisode, RecalledFact, RecalledSkill, RecalledStep, Vector


def explain_activation(activation: Activation, *, config: Config, lexical: bool) -> Stage:
    """Returns the `RecallExplanation` of an activation with its texts, all of it as of the ledger that it is run on."""
    namespace = activation.namespace
    learned: Learned = yield LearnedOf(namespace, activation.hidden)
    vector: Vector = (yield Embed((activation.situation.task,), query=True))[0]
    plain: Activation = activation if activation.bypassed else (yield from recall_unlearned(activation, config, lexical=lexical))
    told = _Telling(activation, plain, learned, vector, (yield from _evidence(activation)))
    reasons: list[Reason] = []
    for rank, fact in enumerate((*activation.reshaped, *activation.facts), 1):
        reasons.append((yield from told.fact(rank, fact)))
    steps = learned.steps_behind(activation.situation, vector)
    for rank, step in enumerate(activation.steps, 1):
        reasons.append((yield from told.step(rank, step, [name for name, _ in steps.get(step.template, [])])))
    for rank, episode in enumerate(activation.episodes, 1):
        reasons.append((yield from told.episode(rank, episode)))
    for rank, skill in enumerate(activation.skills, 1):
        reasons.append((yield from told.skill(rank, skill)))
    here = {node_of(fact.id) for fact in activation.facts}
    fast = None if activation.weights else learned.fast(activation.skills, activation.situation.task, activation.round)
    return RecallExplanation(
        activation=activation.id,
        query=activation.situation.task,
        namespace=namespace,
        position=activation.position,
        head=(yield Fetch("head", (namespace,))),
        preset=activation.preset,
        reasons=tuple(reasons),
        missed=tuple(
            Missed(id=fact.id, text=fact.content, rank=rank, score=fact.score)
            for rank, fact in enumerate(plain.facts, 1)
            if node_of(fact.id) not in here
        ),
        moved=tuple(
            Moved(signal=name, configured=activation.weights[name], in_force=activation.weights[name] + by)
            for name, by in sorted(activation.shift.items(), key=lambda one: (-abs(one[1]), one[0]))
            if by and name in activation.weights
        ),
        judged=learned.weighing.judged,
        repaired=tuple(Repaired(action=edit.action, targets=edit.targets, reason=edit.reason) for edit in activation.edits),
        fast=None if fast is None else fast.id,
        hidden=len(activation.hidden),
        model_calls=activation.model_calls,
    )


def _evidence(activation: Activation) -> Stage:
    """Evidence rows of the namespace that this branch sees, by target as vertices."""
    rows: list[EvidenceRow] = yield Fetch("evidence", (activation.namespace,))
    hidden = set(activation.hidden)
    found: dict[str, list[EvidenceRow]] = {}
    for row in rows:
        if row.commit not in hidden:
            source, mark, end = row.target.partition(">")
            found.setdefault(vertex_of(source) + mark + (vertex_of(end) if mark else ""), []).append(row)
    return found


@dataclass
class _Telling:
    """What the parts of one explanation share."""

    activation: Activation
    plain: Activation
    learned: Learned
    vector: Vector
    rows: Mapping[str, list[EvidenceRow]]
    episodes: dict[str, NodeRow] = field(init=False)
    """By node."""
    written: Episodes = field(init=False)
    behind: dict[str, list[tuple[str, float, float, float]]] = field(init=False)

    def __post_init__(self) -> None:
        activation = self.activation
        self.episodes = {row.node: row for row in list(self.learned.episodes.values())}
        self.written = Episodes(list(self.learned.episodes.values()))
        nodes = [node_of(one.id) for one in (*activation.facts, *activation.reshaped, *activation.episodes)]
        self.behind = self.learned.links_behind(self.vector, activation.situation.task, nodes)

    def fact(self, rank: int, fact: RecalledFact) -> Stage:
        links = yield from self._links(node_of(fact.id))
        return Reason(
            id=fact.id,
            what="fact",
            text=fact.content,
            rank=rank,
            score=fact.score,
            signals=fact.why.signals,
            path=fact.why.path,
            links=links,
            links_total=len(self.behind[node_of(fact.id)]),
            counts=_sums(row for link in self.behind[node_of(fact.id)] for row in self._rows(f"{node_of(fact.id)}>{link[0]}")),
            without=_rank(fact.id, self.plain.facts),
        )

    def step(self, rank: int, step: RecalledStep, behind: Sequence[str]) -> Stage:
        rows = [row for name in behind for row in self._rows(vertex_of(name))]
        return Reason(
            id=step.id,
            what="step",
            text=action_text(step.action),
            rank=rank,
            score=step.score,
            signals=step.why.signals,
            path=(step.situation,),
            proofs=(yield from proofs([(row, True) for row in rows], self.written, PROOFS)),
            proofs_total=len(rows),
            counts={"progress": step.successes, "failure": step.failures, "loss": step.losses},
        )

    def episode(self, rank: int, episode: RecalledEpisode) -> Stage:
        links = yield from self._links(node_of(episode.id))
        return Reason(
            id=episode.id,
            what="episode",
            text=episode.task,
            rank=rank,
            score=episode.score,
            signals=episode.why.signals,
            path=(f"{episode.outcome}, {episode.steps} steps",),
            links=links,
            links_total=len(self.behind[node_of(episode.id)]),
            without=_rank(episode.id, sorted(self.plain.episodes, key=lambda one: -one.why.signals["dense"])),
        )

    def skill(self, rank: int, skill: RecalledSkill) -> Stage:
        book = self.learned.skills
        held = book.skills.get(node_of(skill.id))
        revision = held.skill.revision if held is not None else skill.id
        good, bad = book.trials(revision)
        rows = [row for target, found in self.rows.items() if target.endswith(f">{node_of(skill.id)}") for row in found]
        rows = [row for row in rows if row.target.endswith(f">{revision}")]
        sources = tuple(book.sources.get(node_of(skill.id), {}))
        by = [self.episodes[node] for version in skill.why.path if (node := node_of(version)) in self.episodes]
        through = [f"by way of {row.body['task']!r}" for row in by if row.body is not None]
        return Reason(
            id=skill.id,
            what="skill",
            text=f"{skill.name} ({skill.status}): when {skill.when}",
            rank=rank,
            score=skill.score,
            signals=skill.why.signals,
            path=(f"distilled from {len(sources)} episodes", *through),
            proofs=(yield from proofs([(row, True) for row in rows], self.written, PROOFS)),
            proofs_total=len(rows),
            counts={"successes": good, "failures": bad},
        )

    def _links(self, node: str) -> Stage:
        found: list[Link] = []
        for episode, likeness, gained, against in self.behind[node][:LINKS]:
            row = self.episodes.get(episode)
            body = (row.body if row is not None else None) or {}
            rows = [(one, True) for one in self._rows(f"{node}>{episode}")]
            found.append(
                Link(
                    episode=row.id if row is not None else episode,
                    task=str(body.get("task", "")),
                    outcome=body.get("outcome", "unknown"),
                    likeness=likeness,
                    gained=gained,
                    against=against,
                    proofs=(yield from proofs(rows, self.written, PROOFS)),
                )
            )
        return tuple(found)

    def _rows(self, target: str) -> list[EvidenceRow]:
        return self.rows.get(target, [])


def _rank(id: str, among: Sequence[RecalledFact | RecalledEpisode]) -> int | None:
    """The place from 1 of the same node."""
    return next((rank for rank, one in enumerate(among, 1) if node_of(one.id) == node_of(id)), None)


def _sums(rows: Iterable[EvidenceRow]) -> dict[str, float]:
    out: dict[str, float] = {}
    for row in rows:
        out[row.channel] = out.get(row.channel, 0.0) + row.weight
    return out
