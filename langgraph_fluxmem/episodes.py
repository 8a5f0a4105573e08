"""Committing an episode, and judging one later: stages that turn trajectories and outcomes into a `Plan` [F 3.2].

Evidence goes on exactly what took part: on each step by `learning.evidence`, on each fact that was used (or, where nobody says which,
a smaller share on each fact that was shown), on each pair of facts that were used together in a success.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from langgraph_fluxmem import reshaping
from langgraph_fluxmem.branches import Branch
from langgraph_fluxmem.digests import digest
from langgraph_fluxmem.edits import Applied, CommitWrite, EdgeWrite, EvidenceWrite, NodeWrite, Plan, Text, Write
from langgraph_fluxmem.errors import FeedbackError, UnknownIdError
from langgraph_fluxmem.learning import evidence as step_evidence
from langgraph_fluxmem.learning import record, steps_of
from langgraph_fluxmem.ledger.forgetting import episodes_of
from langgraph_fluxmem.links import node_of
from langgraph_fluxmem.requests import ANYBODY, Apply, Call, EmbedFor, Fetch, Load, Stage
from langgraph_fluxmem.schema import Channel, Episode, Feedback, Namespace, Outcome, Provenance, RecalledFact, Step
from langgraph_fluxmem.text import check_text, content_hash, terms

if TYPE_CHECKING:
    from langgraph_fluxmem.engine import Engine
    from langgraph_fluxmem.ledger.rows import CommitRow

SHARED = 0.25
"""Evidence that is shared by all facts shown, when nobody says which were used: worth less than one that is known to have helped."""
EPISODE = "e-"
"""Nodes of episodes are named so."""
TOGETHER = 16
"""Of the facts used in one success, at most so many are related to each other (120 pairs)."""
_COMMIT = uuid.UUID("7f0f2c0e-6f0a-5d0e-9a53-1f3c0f1f7a13")


@dataclass(frozen=True, slots=True)
class Tentative:
    """What the steps of an episode left open for its outcome to decide: `reshaped` versions, facts that were `pruned` by attribution, past
    `episodes` that were shown, and the commits `hidden` from its branch."""

    reshaped: tuple[RecalledFact, ...] = ()
    pruned: tuple[str, ...] = ()
    episodes: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


class Committed(NamedTuple):
    """A commit that is stored: its id, the ids of its branch it came `after`, and whether it was stored before `elsewhere`, after others."""

    id: str
    after: tuple[str, ...]
    elsewhere: bool


def commit(
    episode: Episode,
    *,
    namespace: Namespace,
    provenance: Provenance,
    branch: Branch = ANYBODY,
    above: tuple[str, ...] = (),
    activation: str | None = None,
    learning: bool = True,
    tentative: Tentative | None = None,
) -> Stage:
    """Store an episode and its evidence in one operation; returns `Committed`.

    Idempotent: the key is (episode id, digest of steps and outcome). The same key stores nothing; the same id with another digest is
    a branch variant, stored beside the first. `branch` and `above` (`branches.enclosing`) say where it was made. Without `learning` the episode is stored and no evidence is. What was `tentative` becomes
    durable as far as the outcome speaks for it.
    """
    check_text(episode.task, "the episode's task")
    name = episode.id or uuid.uuid4().hex
    body = record(episode)
    fingerprint = digest(body["task"], body["outcome"], [_told(step) for step in episode.steps])
    commit_id = uuid.uuid5(_COMMIT, f"{'.'.join(namespace)}\x00{name}\x00{fingerprint}").hex
    version = _version_of(namespace, name, fingerprint)
    body["id"] = name
    taken = {what: _all(what, episode) for what in ("used", "harmful", "shown")}
    if taken["shown"]:
        body["shown"] = taken["shown"]
    held = tentative or Tentative()
    if held.episodes and learning:
        body["near"] = list(held.episodes)
        body["uses"] = episode_uses(Feedback(outcome=episode.outcome), held.episodes)
    text = Text("task", content_hash(episode.task), " ".join(terms(episode.task)))
    new, _ = yield EmbedFor(namespace, ((text.hash, episode.task),))
    source = activation or name
    here: set[str] = set()
    if branch.ids or branch.alone:
        here = {row.id for row in (yield Fetch("commits_named", (namespace, (*branch.ids, *branch.alone))))}
    seen, alone = (tuple(id_ for id_ in ids if id_ in here and id_ != commit_id) for ids in (branch.ids, branch.alone))
    writes: list[Write] = [
        NodeWrite(version, node_of(version), "episode", body, (text,)),
        CommitWrite(commit_id, name, fingerprint, seen, alone, above),
        *new.values(),
        *_grounds(version, episode.steps),
    ]
    if learning:
        writes += (EvidenceWrite(f"{version}#{ordinal}", source, channel, weight) for ordinal, channel, weight in step_evidence(episode))
        spoken = reshaping.spoken_for(held.reshaped, episode.outcome, taken["used"])
        writes += yield from reshaping.stored(spoken, namespace, held.hidden)
        shown = list(dict.fromkeys((*_led(episode), *(fact.id for fact in spoken))))
        writes += fact_evidence(
            version, source, episode.outcome, used=taken["used"], harmful=taken["harmful"], shown=shown, pruned=held.pruned
        )
    applied: Applied = yield Apply(Plan(commit_id, "commit", namespace, tuple(writes), provenance))
    elsewhere = False
    if applied.duplicate and commit_id not in branch.ids:
        before = [row for row in (yield Fetch("commits_named", (namespace, (commit_id,)))) if row.id == commit_id]
        elsewhere = any(set(row.seen) != set(seen) or set(row.alone) != set(alone) for row in before)
    return Committed(commit_id, (*seen, *alone), elsewhere)


def _told(step: Step) -> dict[str, Any]:
    """What of a step is in its episode's digest."""
    unsaid = {name for name in ("refused", "origins") if not getattr(step, name)}
    return step.model_dump(mode="json", exclude={"actions", *unsaid})


def judge(episode_or_run: str, feedback: Feedback, *, namespace: Namespace | None, provenance: Provenance) -> Stage:
    """Judge committed episodes later, by episode id or run id: the trajectory stays, evidence is appended. Returns the last `Applied`.

    Raises:
        UnknownIdError: no episode or run of that id is committed. FeedbackError: the feedback has no outcome.
    """
    found = (yield Fetch("resolve_episode", (namespace, episode_or_run))) or (yield Fetch("resolve_run", (episode_or_run,)))
    found = [commit for commit in found if commit.live and (namespace is None or commit.namespace == namespace)]
    if not found:
        raise UnknownIdError(
            f"no committed episode or run has the id {episode_or_run!r}; an episode can be judged once it is committed; "
            "of an activation give the activation itself"
        )
    if feedback.outcome == "unknown" and not feedback.used and not feedback.harmful:
        raise FeedbackError("judging an episode needs an outcome ('success' or 'failure'), or ids in `used` or `harmful`")
    applied: Applied | None = None
    for row in found:
        version = _version_of(row.namespace, row.episode, row.digest)
        loaded = yield Load(row.namespace, (version,))
        if version not in loaded:  # it was imported from another namespace, which its name is made of
            version = next(iter((yield Call(_episode_of(row)))), version)
            loaded = yield Load(row.namespace, (version,))
        if version not in loaded or loaded[version].body is None:
            raise UnknownIdError(f"episode {row.episode!r} was forgotten; it cannot be judged any more")
        body = loaded[version].body
        steps = tuple(steps_of(body))
        judged = Episode(task=body["task"], steps=steps, outcome=feedback.outcome, id=row.episode)
        operation = f"judge-{digest(version, feedback.model_dump(mode='json'))}"
        shown = [] if feedback.used or feedback.harmful else _all("used", judged) or list(body.get("shown", ()))
        note = f"u-{digest(operation)}"
        told = {
            "task": body["task"],
            "outcome": feedback.outcome,
            "detail": feedback.detail,
            "origin": feedback.origin,
            "of": version,
            "steps": [],
        }
        text = Text("task", content_hash(body["task"]), " ".join(terms(body["task"])))
        writes: list[Write] = [
            NodeWrite(f"{note}:{operation[-8:]}", note, "episode", told, (text,)),
            *(EvidenceWrite(f"{version}#{ordinal}", operation, channel, weight) for ordinal, channel, weight in step_evidence(judged)),
            *fact_evidence(version, operation, feedback.outcome, used=feedback.used, harmful=feedback.harmful, shown=shown),
        ]
        applied = yield Apply(Plan(operation, "learn", row.namespace, tuple(writes), provenance))
    return applied


def _episode_of(row: CommitRow) -> Callable[[Engine], list[str]]:
    return lambda engine: engine.ledger.read(lambda session: episodes_of(session, row.namespace, row.id))


def fact_evidence(
    version: str,
    source: str,
    outcome: Outcome,
    *,
    used: Sequence[str],
    harmful: Sequence[str],
    shown: Sequence[str],
    pruned: Sequence[str] = (),
) -> Iterable[Write]:
    """Evidence on the links between facts and the task of episode `version`, and between facts that were used together.

    `used` counts for a fact at any outcome, `harmful` against it; with neither, the outcome is shared by what was `shown`. What was
    `pruned` before a success is weakened by the weight of something shared.
    """

    def row(fact: str, channel: Channel, weight: float) -> EvidenceWrite:
        return EvidenceWrite(f"{fact}>{version}", source, channel, weight)

    for fact in dict.fromkeys(used):
        yield EdgeWrite("RELATES", fact, version)
        yield row(fact, "progress", 1.0)
    for fact in dict.fromkeys(harmful):
        yield row(fact, "failure", 1.0)
    if not used and not harmful and outcome != "unknown" and shown:
        everyone = list(dict.fromkeys(shown))
        channel: Channel = "progress" if outcome == "success" else "failure"
        yield from (row(fact, channel, SHARED / len(everyone)) for fact in everyone)
    if outcome == "success":
        for first, second in itertools.combinations(sorted(list(dict.fromkeys(used))[:TOGETHER]), 2):
            yield EdgeWrite("RELATES", first, second)
            yield EvidenceWrite(f"{first}>{second}", source, "progress", 1.0)
        yield from (row(fact, "failure", SHARED) for fact in dict.fromkeys(pruned) if fact not in used and fact not in harmful)


def episode_uses(feedback: Feedback, shown: Sequence[str]) -> dict[str, float]:
    """What a task says of the past episodes that were shown for it, by id: above 0 for an episode, below 0 against it; the outcome is shared.

    It stands in the task's own record, and is no evidence row: so no commit rests on those it only looked at, and each can be undone.
    """
    named = {*feedback.used, *feedback.harmful} & set(shown)
    if named:
        return {episode: 1.0 if episode in feedback.used else -1.0 for episode in dict.fromkeys(shown) if episode in named}
    if feedback.outcome == "unknown":
        return {}
    sign = 1.0 if feedback.outcome == "success" else -1.0
    return {episode: sign * SHARED / len(shown) for episode in dict.fromkeys(shown)}


def _led(episode: Episode) -> list[str]:
    """The facts shown at the steps that the outcome rests on: those that led on to a success, those that failed in a failure; where
    nothing is known of the steps, all that were shown."""
    right = ("progress",) if episode.outcome == "success" else ("failure", "loss")
    steps = {ordinal for ordinal, channel, _ in step_evidence(episode) if channel in right}
    found = list(dict.fromkeys(fact for ordinal, step in enumerate(episode.steps) if ordinal in steps for fact in step.shown))
    return found or _all("shown", episode)


def _grounds(version: str, steps: Sequence[Step]) -> Iterable[Write]:
    for ordinal, step in enumerate(steps):
        for fact in dict.fromkeys(step.used):
            yield EdgeWrite("GROUNDS", fact, f"{version}#{ordinal}")


def _all(what: str, episode: Episode) -> list[str]:
    return list(dict.fromkeys(fact for step in episode.steps for fact in getattr(step, what)))


def _version_of(namespace: Namespace, name: str, fingerprint: str) -> str:
    return f"{EPISODE}{digest(namespace, name, fingerprint)}:{fingerprint[:8]}"
