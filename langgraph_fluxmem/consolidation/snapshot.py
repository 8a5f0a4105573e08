"""Beginning of a consolidation: what the log holds at one position, which episodes are new, and which clusters have something to learn.

Everything a later step needs is JSON, so that a graph can keep it in its checkpoints and a crash resumes at the cluster.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langgraph_fluxmem.consolidation.attempts import context_of, read, trial
from langgraph_fluxmem.consolidation.facts import batches_of
from langgraph_fluxmem.consolidation.gathering import Gathered, gather
from langgraph_fluxmem.consolidation.means import Means
from langgraph_fluxmem.packed import lived
from langgraph_fluxmem.requests import Call, Hidden, LearnedOf, Stage
from langgraph_fluxmem.schema import FORGET, Namespace
from langgraph_fluxmem.skills import Held
from langgraph_fluxmem.skills.model import follow

if TYPE_CHECKING:
    from langgraph_fluxmem.engine import Engine
    from langgraph_fluxmem.learned import Learned
    from langgraph_fluxmem.ledger import Ledger

KIND = "consolidate"
"""The verb of consolidation's operations in the log."""
PAGE = 256
Json = dict[str, Any]


def operation_id(consolidation: str, position: int) -> str:
    """Id of the operation a consolidation writes; it names the position up to which episodes were looked at, so that an undo forgets it."""
    return f"{KIND}-{position}-{consolidation}"


def read_operation_id(operation: str) -> tuple[int, str]:
    """(position, consolidation) of such an id."""
    _, position, consolidation = operation.split("-", 2)
    return int(position), consolidation


def looked_up_to(ledger: Ledger, namespace: Namespace) -> int:
    """The position up to which live consolidations have looked at episodes; 0 when there is none. Reads the log from its end backwards."""
    if not ledger.cursor(cursor_name(namespace)):
        return 0
    limit = PAGE
    while True:
        operations = ledger.operations(namespace, limit=limit)
        done = next((operation for operation in operations if operation.kind == KIND and not operation.undone), None)
        if done is not None:
            return read_operation_id(done.id)[0]
        if len(operations) < limit:
            return 0
        limit *= 8


def forgotten_since(ledger: Ledger, namespace: Namespace, position: int) -> bool:
    """Whether anything of a namespace was forgotten after a position, or may have been: the log is compacted beyond it."""
    if ledger.horizon() > position:
        return True
    limit = PAGE
    while True:
        newest = ledger.operations(namespace, limit=limit)
        if any(operation.kind == FORGET for operation in newest if operation.position > position):
            return True
        if len(newest) < limit or newest[-1].position <= position:
            return False
        limit *= 8


def cursor_name(namespace: Namespace) -> str:
    """Name of the cursor that says whether a namespace was ever consolidated."""
    return "consolidated " + json.dumps(list(namespace), ensure_ascii=False)


def snapshot(means: Means, consolidation: str) -> Stage:
    """Read the log, put the episodes into clusters, and count the trials of the skills there are. Returns JSON:

    ``id``, ``namespace``, ``position``, ``since``, ``episodes``, ``new``, ``explained``, ``warm_up`` (episodes still needed),
    ``jobs`` (clusters with something to learn: ``cluster``, ``skills``, ``episodes``, ``new``, ``explained``),
    ``trials`` ([episode, skill node, success, context]), ``clusters`` (counts of every cluster with something new), ``facts`` (batches of
    facts to look at).
    """
    namespace, settings = means.namespace, means.settings
    hidden = tuple(sorted((yield Hidden(namespace))))
    learned: Learned = yield LearnedOf(namespace, hidden)
    position, book = learned.position, learned.skills
    since, judged = yield Call(lambda engine: _before(engine, namespace))
    episodes = [row for row in list(learned.episodes.values()) if lived(row.body) and row.op <= position]
    taken = {episode for sources in list(book.sources.values()) for episode in list(sources)}
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
        "facts": [],
    }
    if not (out["warm_up"] and episodes):
        out["facts"] = yield from batches_of(means, since, position, hidden)
    if out["warm_up"] or not fresh:
        return out
    episodes.sort(key=lambda row: row.op)
    old = [row.id for row in episodes if row.id not in fresh and row.id not in taken]
    gathered: list[Gathered] = yield from gather(learned, book, [row.id for row in episodes if row.id in fresh], old, settings)
    for number, (members, skills) in enumerate(gathered):
        job = _job(members, skills, fresh, learned, out["trials"])
        job["cluster"] = f"c{number}"
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


def _job(members: Sequence[str], skills: Sequence[Held], fresh: set[str], learned: Learned, trials: list[Any]) -> Json:
    """What is new in a cluster and what its skills explain already; adds to `trials`."""
    new = [episode for episode in members if episode in fresh]
    explained: list[str] = []
    for attempt in read(learned, new) if skills else ():
        for held in skills:
            skill = held.skill
            outcome = trial(skill, attempt)
            if outcome is not None and attempt.counts and attempt.op > skill.position:
                trials.append([attempt.id, skill.node, outcome, context_of(skill, attempt)])
            if outcome and attempt.id not in explained and _leaves_nothing(attempt.leading, follow(skill, attempt.acts) or ()):
                explained.append(attempt.id)
    return {"skills": [held.id for held in skills], "episodes": list(members), "new": new, "explained": explained}


def _leaves_nothing(leading: Sequence[Any], taken: Sequence[int]) -> bool:
    """Whether what was taken by a skill is at least half of what led on: else there is more to learn from the episode."""
    ordinals = {act.ordinal for act in leading}
    return 2 * len(ordinals & set(taken)) >= len(ordinals)


def jobs_of(snapshot_: Mapping[str, Any]) -> list[Json]:
    """The clusters that have something to learn."""
    return list(snapshot_["jobs"])
