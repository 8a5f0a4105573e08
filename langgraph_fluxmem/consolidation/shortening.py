"""Counterfactual replay of one success: what was not needed loses its part in it, and the shorter way is stored beside it (LEARNING, section 3).

A step that did nothing goes first, all of them at once; then one step after the other, as long as a replay without it is a success. Only
what took more steps than the latest successes at such tasks is replayed: what is as short as they are is rarely shorter still.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from langgraph_fluxmem.consolidation.replaying import success
from langgraph_fluxmem.digests import digest
from langgraph_fluxmem.edits import EvidenceWrite, NodeWrite, Plan, Text
from langgraph_fluxmem.episodes import EPISODE
from langgraph_fluxmem.errors import UnknownIdError
from langgraph_fluxmem.learning.credit import evidence, idle, record, steps_of
from langgraph_fluxmem.learning.rehearsal import shorter_than
from langgraph_fluxmem.requests import Apply, Call, EmbedFor, LearnedOf, Stage
from langgraph_fluxmem.schema import Episode, Namespace, Provenance, Step
from langgraph_fluxmem.text import content_hash, terms

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable

    from langgraph_fluxmem.ledger.rows import NodeRow

    Replay: TypeAlias = Runnable[dict[str, Any], Any]

KIND = "shorten"


@dataclass(frozen=True, slots=True)
class Shortened:
    """What replays of a success showed.

    Attributes:
        needed, unneeded: ordinals of its steps.
        replays: how many were run; 0 where none was worth it.
        operation: id of what was written, for `undo`; None where everything was needed, or nothing was replayed.
    """

    needed: tuple[int, ...]
    unneeded: tuple[int, ...] = ()
    replays: int = 0
    operation: str | None = None


def shorten(episode: str, replay: Replay, *, namespace: Namespace, provenance: Provenance, learning: bool = True) -> Stage:
    """Replay the committed success `episode` without what it may not need; returns `Shortened`. Without `learning` nothing is replayed.

    Raises:
        UnknownIdError: no episode of that id that something was learned from. FeedbackError: what the replay returned says nothing.
    """
    learned = yield LearnedOf(namespace)
    episodes: list[NodeRow] = list(learned.episodes.values())  # at once: another thread may add to them
    row = next((row for row in reversed(episodes) if row.body and row.body.get("id") == episode), None)
    if row is None:
        raise UnknownIdError(f"no episode {episode!r} is committed in {namespace!r}; give the id that it was committed under")
    body: Mapping[str, Any] = row.body or {}
    steps = steps_of(body)
    acted = [ordinal for ordinal, step in enumerate(steps) if step.action is not None]
    lately = learned.needed_lately(row.id)
    lived = body["outcome"] == "success" and shorter_than(body) is None
    if not learning or not lived or (len(lately) > 1 and len(acted) <= min(lately)):
        return Shortened(tuple(acted))
    tries = _Tries(replay, {"task": body["task"], "episode": episode, "metadata": dict(body.get("metadata", {}))}, steps)
    needed = yield from tries.without(acted, idle(steps, acted))
    if len(lately) < 2 or len(needed) > min(lately):
        number = 0
        while number < len(needed) > 1:
            fewer = yield from tries.without(needed, {needed[number]})
            number += fewer == needed
            needed = fewer
    unneeded = tuple(ordinal for ordinal in acted if ordinal not in needed)
    if not unneeded:
        return Shortened(tuple(needed), replays=tries.runs)
    operation = f"{KIND}-{digest(row.id, needed)}"
    writes: list[Any] = []
    for ordinal in unneeded:
        known = learned.steps.steps.get(f"{row.id}#{ordinal}")
        led, failed = known.evidence[:2] if known is not None else (0.0, 0.0)
        writes += [EvidenceWrite(f"{row.id}#{ordinal}", operation, "progress", -led)] if led > 0 else []
        writes += [EvidenceWrite(f"{row.id}#{ordinal}", operation, "failure", 1.0 - failed)] if failed < 1.0 else []
    if tries.seen is not None:
        notes = tuple(note for step in steps if step.action is None for note in step.notes)
        way = [
            Step(observation=there, action=steps[ordinal].action, progress=float(ordinal == needed[-1]))
            for there, ordinal in zip(tries.seen, needed, strict=True)
        ]
        notes_first = [Step(notes=notes)] if notes else []
        writes += yield from _shorter(row.id, body, (*notes_first, *way), operation=operation, namespace=namespace)
    yield Apply(Plan(operation, KIND, namespace, tuple(writes), provenance, rests_on=(row.op,)))
    return Shortened(tuple(needed), unneeded, tries.runs, operation)


class _Tries:
    """Replays of one episode; `seen` is what was seen before each action of the last one that was a success, where the replay told."""

    def __init__(self, replay: Replay, about: Mapping[str, Any], steps: Sequence[Step]) -> None:
        self._replay = replay
        self._about = about
        self._steps = steps
        self.runs = 0
        self.seen: Sequence[Any] | None = None

    def without(self, needed: list[int], dropped: set[int]) -> Stage:
        """`needed` without `dropped`, if that is still a success, else `needed`."""
        fewer = [ordinal for ordinal in needed if ordinal not in dropped]
        if not dropped or not fewer:
            return needed
        given = {**self._about, "actions": [self._steps[ordinal].action for ordinal in fewer]}
        self.runs += 1
        answer = yield Call(lambda _: self._replay.invoke(given))
        if not success(answer):
            return needed
        seen = answer.get("observations") if isinstance(answer, Mapping) else None
        self.seen = seen if seen is not None and len(seen) == len(fewer) else None
        return fewer


def _shorter(lived: str, body: Mapping[str, Any], way: tuple[Step, ...], *, operation: str, namespace: Namespace) -> Stage:
    """The writes of the shorter way as an episode of its own; it goes when the one it shortens is forgotten."""
    name = f"{body['id']}-shorter"
    episode = Episode(task=body["task"], steps=way, outcome="success", score=1.0, id=name, metadata=body.get("metadata", {}))
    node = f"{EPISODE}{digest(*namespace, operation)}"
    version = f"{node}:{operation[-8:]}"
    text = Text("task", content_hash(episode.task), " ".join(terms(episode.task)))
    new, _ = yield EmbedFor(namespace, ((text.hash, episode.task),))
    return [
        NodeWrite(version, node, "episode", {**record(episode), "id": name, "shortens": lived}, (text,)),
        *new.values(),
        *(EvidenceWrite(f"{version}#{ordinal}", operation, channel, weight) for ordinal, channel, weight in evidence(episode)),
    ]
