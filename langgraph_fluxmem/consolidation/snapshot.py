"""Beginning of a consolidation: what the log holds at one position, which episodes are new, and which clusters have something to learn.

Everything a later step needs is JSON, so that a graph can keep it in its checkpoints and a crash resumes at the cluster.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from langgraph_fluxmem.consolidation.attempts import context_of, masked_tasks, read, trial
from langgraph_fluxmem.consolidation.clusters import cluster, mean_of
from langgraph_fluxmem.consolidation.means import Means
from langgraph_fluxmem.consolidation.settings import Settings
from langgraph_fluxmem.requests import Call, Embed, Hidden, LearnedOf, Stage
from langgraph_fluxmem.schema import Namespace, Vector
from langgraph_fluxmem.skills import Held, SkillBook
from langgraph_fluxmem.skills.model import Skill, follow

if TYPE_CHECKING:
    from langgraph_fluxmem.engine import Engine
    from langgraph_fluxmem.learned import Learned
    from langgraph_fluxmem.ledger import Ledger

KIND = "consolidate"
"""The verb of consolidation's operations in the log."""
SOURCES = 32
"""Of what a skill was distilled from, at most so many (the latest) say which tasks it is for."""
PAGE = 256
Json = dict[str, Any]


def operation_id(consolidation: str, position: int) -> str:
    """Id of the operation a consolidation writes; it names the position up to which episodes were looked at, so that an undo forgets it."""
    return f"{KIND}-{position}-{consolidation}"


def looked_up_to(ledger: Ledger, namespace: Namespace) -> int:
    """The position up to which live consolidations have looked at episodes; 0 when there is none. Reads the log from its end backwards."""
    if not ledger.cursor(cursor_name(namespace)):
        return 0
    limit = PAGE
    while True:
        operations = ledger.operations(namespace, limit=limit)
        done = next((operation for operation in operations if operation.kind == KIND and not operation.undone), None)
        if done is not None:
            return int(done.id.split("-", 2)[1])
        if len(operations) < limit:
            return 0
        limit *= 8


def cursor_name(namespace: Namespace) -> str:
    """Name of the cursor that says whether a namespace was ever consolidated."""
    return "consolidated " + json.dumps(list(namespace), ensure_ascii=False)


def snapshot(means: Means, consolidation: str) -> Stage:
    """Read the log, put the episodes into clusters, and count the trials of the skills there are. Returns JSON:

    ``id``, ``namespace``, ``position``, ``since``, ``episodes``, ``new``, ``explained``, ``warm_up`` (episodes still needed),
    ``jobs`` (clusters with something to learn: ``cluster``, ``skills``, ``episodes``, ``new``, ``explained``),
    ``trials`` ([episode, skill node, success, context]), ``clusters`` (counts of every cluster with something new).
    """
    namespace, settings = means.namespace, means.settings
    hidden = tuple(sorted((yield Hidden(namespace))))
    learned: Learned = yield LearnedOf(namespace, hidden)
    position, book = learned.position, learned.skills
    since, judged = yield Call(lambda engine: _before(engine, namespace))
    episodes = [row for row in learned.episodes.values() if row.body is not None and row.body.get("steps") and row.op <= position]
    taken = {episode for sources in book.sources.values() for episode in sources}
    fresh = {row.id for row in episodes if row.op > since or row.id in judged}
    known = sum(row.body["outcome"] != "unknown" for row in episodes if row.body is not None)
    out: Json = {
        "id": consolidation,
        "namespace": list(namespace),
        "position": position,
        "since": since,
        "episodes": len(episodes),
        "new": len(fresh),
        "explained": 0,
        "warm_up": max(0, settings.warm_up - known) if not book.skills else 0,
        "jobs": [],
        "trials": [],
        "clusters": [],
    }
    if out["warm_up"] or not fresh:
        return out
    pending = [row.id for row in sorted(episodes, key=lambda row: row.op) if row.id in fresh or row.id not in taken]
    held = book.active()
    kinds = yield from _kinds(learned, [*pending, *(source for skill in held for source in _latest(book, skill))])
    for number, (members, skills) in enumerate(_clusters(kinds, book, held, pending, settings)):
        job = _job(members, skills, fresh, learned, out["trials"])
        job["cluster"] = f"c{number}"
        if not job["new"]:
            continue
        out["explained"] += len(job["explained"])
        out["clusters"].append({key: len(value) if isinstance(value, list) else value for key, value in job.items()})
        if len(job["new"]) > len(job["explained"]):
            out["jobs"].append(job)
    return out


def _before(engine: Engine, namespace: Namespace) -> tuple[int, frozenset[str]]:
    """(position looked up to, episodes judged since then)."""
    since = looked_up_to(engine.ledger, namespace)
    rows = engine.ledger.evidence(namespace, after=since) if since else []
    return since, frozenset(row.target.partition("#")[0] for row in rows if "#" in row.target)


def _latest(book: SkillBook, held: Held) -> list[str]:
    return list(book.sources.get(held.skill.node, {}))[-SOURCES:]


def _kinds(learned: Learned, ids: Sequence[str]) -> Stage:
    """Episode version -> vector (d,) of the kind of its task: the mean of the task and of the task with its slots masked."""
    nodes, matrix = learned.links.tasks()
    row_of = {node: number for number, node in enumerate(nodes)}
    texts = {episode: text for episode, text in masked_tasks(learned, ids).items() if learned.episodes[episode].node in row_of}
    unique = tuple(dict.fromkeys(texts.values()))
    if not unique:
        return {}
    embedded = yield Embed(unique)
    number = {text: at for at, text in enumerate(unique)}
    own = matrix[[row_of[learned.episodes[episode].node] for episode in texts]]
    both = own + np.asarray(embedded, np.float32)[[number[text] for text in texts.values()]]
    norms = np.linalg.norm(both, axis=1, keepdims=True)
    both /= np.where(norms > 0, norms, 1.0)
    return dict(zip(texts, both, strict=True))


def _clusters(
    kinds: Mapping[str, Vector], book: SkillBook, held: Sequence[Held], pending: Sequence[str], settings: Settings
) -> list[tuple[list[str], list[Held]]]:
    """Pending episodes by cluster, with the skills whose sources have tasks of the same kind."""
    grounded = [(skill, found) for skill in held if (found := [kinds[source] for source in _latest(book, skill) if source in kinds])]
    means = [mean_of(np.stack(found)) for _, found in grounded]
    groups = [part.members for part in cluster(np.stack(means), settings.cosine)] if means else []
    seeds = [mean_of(np.stack([means[i] for i in group])) for group in groups]
    placed = [episode for episode in pending if episode in kinds]
    vectors = np.stack([kinds[episode] for episode in placed]) if placed else np.zeros((0, 1), np.float32)
    return [
        ([placed[i] for i in part.members], [grounded[i][0] for i in groups[part.seed]] if part.seed is not None else [])
        for part in cluster(vectors, settings.cosine, seeds)
    ]


def _job(members: Sequence[str], skills: Sequence[Held], fresh: set[str], learned: Learned, trials: list[Any]) -> Json:
    """What is new in a cluster and what its skills explain already; adds to `trials`."""
    new = [episode for episode in members if episode in fresh]
    explained: list[str] = []
    for attempt in read(learned, new) if skills else ():
        for held in skills:
            skill = held.skill
            outcome = trial(skill, attempt)
            if outcome is not None and attempt.op > skill.position:
                trials.append([attempt.id, skill.node, outcome, context_of(skill, attempt)])
            if outcome and attempt.id not in explained and _leaves_nothing(skill, attempt.leading, follow(skill, attempt.acts) or ()):
                explained.append(attempt.id)
    return {"skills": [held.id for held in skills], "episodes": list(members), "new": new, "explained": explained}


def _leaves_nothing(skill: Skill, leading: Sequence[Any], taken: Sequence[int]) -> bool:
    """Whether the skill accounts for at least half of what led on: else there is more to learn from the episode."""
    del skill
    ordinals = {act.ordinal for act in leading}
    return 2 * len(ordinals & set(taken)) >= len(ordinals)


def jobs_of(snapshot_: Mapping[str, Any]) -> list[Json]:
    """The clusters that have something to learn."""
    return list(snapshot_["jobs"])
