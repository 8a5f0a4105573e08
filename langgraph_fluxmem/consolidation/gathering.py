"""Which episodes belong together: what is new is clustered by the kind of its task, onto the skills there are; of what was looked at before,
only that is fetched which is of the same kind.

So a consolidation costs what is new, not what memory holds: one product of all old tasks with the few clusters that changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.consolidation.attempts import masked_tasks
from langgraph_fluxmem.consolidation.clusters import cluster, mean_of
from langgraph_fluxmem.consolidation.settings import Settings
from langgraph_fluxmem.requests import Embed, Stage
from langgraph_fluxmem.schema import Vector
from langgraph_fluxmem.skills import Held, SkillBook

if TYPE_CHECKING:
    from langgraph_fluxmem.learned import Learned

SOURCES = 32
"""Of what a skill was distilled from, at most so many (the latest) say which tasks it is for."""
NEARBY = 0.3
"""Old tasks are masked and compared only when the task itself is at least so alike (cosine): masking is what costs."""
OLD = 8
"""Of old episodes at most so many times `Settings.members` join a cluster: the latest."""

Gathered = tuple[list[str], list[Held]]
"""Members of a cluster in log order, and the skills of that kind."""


def gather(learned: Learned, book: SkillBook, new: Sequence[str], old: Sequence[str], settings: Settings) -> Stage:
    """Clusters of the `new` episodes (version ids, in log order), joined by `old` ones of the same kind. Returns a list of `Gathered`."""
    held = book.active()
    kinds: Mapping[str, Vector] = yield from kinds_of(learned, [*new, *(source for skill in held for source in _latest(book, skill))])
    grounded = [(skill, found) for skill in held if (found := [kinds[source] for source in _latest(book, skill) if source in kinds])]
    means = [mean_of(np.stack(found)) for _, found in grounded]
    groups = [part.members for part in cluster(np.stack(means), settings.cosine)] if means else []
    seeds = [mean_of(np.stack([means[i] for i in group])) for group in groups]
    placed = [episode for episode in new if episode in kinds]
    if not placed:
        return []
    parts = [part for part in cluster(np.stack([kinds[episode] for episode in placed]), settings.cosine, seeds) if part.members]
    centres: list[Vector] = []
    for part in parts:
        members = mean_of(np.stack([kinds[placed[i]] for i in part.members]))
        centres.append(mean_of(np.stack([members, seeds[part.seed]])) if part.seed is not None else members)
    joined = (yield from _joining(learned, old, np.stack(centres), settings)) if old else [[] for _ in parts]
    return [
        ([*more, *(placed[i] for i in part.members)], [grounded[i][0] for i in groups[part.seed]] if part.seed is not None else [])
        for part, more in zip(parts, joined, strict=True)
    ]


def kinds_of(learned: Learned, ids: Sequence[str]) -> Stage:
    """Episode version -> vector (d,) of the kind of its task: the mean of the task and of the task with its slots masked."""
    row_of = _rows(learned)
    texts = {episode: text for episode, text in masked_tasks(learned, ids).items() if learned.episodes[episode].node in row_of}
    unique = tuple(dict.fromkeys(texts.values()))
    if not unique:
        return {}
    embedded = yield Embed(unique)
    number = {text: at for at, text in enumerate(unique)}
    own = learned.links.tasks()[1][[row_of[learned.episodes[episode].node] for episode in texts]]
    both = own + np.asarray(embedded, np.float32)[[number[text] for text in texts.values()]]
    norms = np.linalg.norm(both, axis=1, keepdims=True)
    both /= np.where(norms > 0, norms, 1.0)
    return dict(zip(texts, both, strict=True))


def _joining(learned: Learned, old: Sequence[str], centres: NDArray[np.float32], settings: Settings) -> Stage:
    """For each of `centres` (c, d) the latest old episodes of that kind, in log order."""
    row_of = _rows(learned)
    placed = [episode for episode in old if episode in learned.episodes and learned.episodes[episode].node in row_of]
    if not placed:
        return [[] for _ in centres]
    tasks = learned.links.tasks()[1][[row_of[learned.episodes[episode].node] for episode in placed]]
    near = tasks @ centres.T
    limit = OLD * settings.members
    wanted = [placed[i] for column in range(len(centres)) for i in np.flatnonzero(near[:, column] >= NEARBY)[-limit:]]
    kinds: Mapping[str, Vector] = yield from kinds_of(learned, list(dict.fromkeys(wanted)))
    joined: list[list[str]] = [[] for _ in centres]
    if kinds:
        alike = np.stack(list(kinds.values())) @ centres.T
        for episode, row in zip(kinds, alike, strict=True):
            best = int(np.argmax(row))
            if row[best] >= settings.cosine:
                joined[best].append(episode)
    for members in joined:
        members.sort(key=lambda episode: (learned.episodes[episode].op, episode))
    return joined


def _rows(learned: Learned) -> dict[str, int]:
    return {node: number for number, node in enumerate(learned.links.tasks()[0])}


def _latest(book: SkillBook, held: Held) -> list[str]:
    return list(book.sources.get(held.skill.node, {}))[-SOURCES:]
