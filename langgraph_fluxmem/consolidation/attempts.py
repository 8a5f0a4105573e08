"""Stored episodes as consolidation reads them: what was done, in which situation, and what evidence says of it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from langgraph_fluxmem.digests import digest
from langgraph_fluxmem.learning import derived
from langgraph_fluxmem.learning.situation import FUNCTION_WORDS, MAX_SPAN, as_text, parse, words
from langgraph_fluxmem.origins import counts
from langgraph_fluxmem.packed import acted
from langgraph_fluxmem.schema import Action, Outcome
from langgraph_fluxmem.skills.model import Done, Skill, follow, followed

if TYPE_CHECKING:
    from langgraph_fluxmem.learned import Learned

_masked: WeakKeyDictionary[Learned, dict[str, str]] = WeakKeyDictionary()
_lock = threading.Lock()
BLAMED = 0.5
"""Part of a skill that an attempt must have followed for a failure at its next step to be the skill's."""
SHOWN_RESULT = 160
"""Characters of a step's result that a model is shown."""


@dataclass(frozen=True, slots=True)
class Act(Done):
    """What was done, with the patterns of its situation and the sums of evidence on it. `told`: it brought up a note."""

    action: Action
    links: tuple[str, ...]
    result: str
    progress: float
    failure: float
    loss: float
    told: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """An episode: `id` names its version, `name` is the id it was committed under, `outcome` as committed, or as judged later where that was
    unknown."""

    id: str
    task: str
    outcome: Outcome
    acts: tuple[Act, ...]
    op: int
    metadata: Mapping[str, Any]
    name: str = ""
    counts: bool = True
    """Whether the outcome comes from somebody whose word counts (`origins.JUDGES`)."""

    @property
    def leading(self) -> tuple[Act, ...]:
        """The acts that led on by evidence (all of them where nothing was learned), immediate repeats left out."""
        led = [act for act in self.acts if act.progress > 0] or list(self.acts)
        return tuple(act for before, act in zip([None, *led], led, strict=False) if before is None or before.text != act.text)

    def transcript(self) -> str:
        """The attempt as text for a model."""
        lines = [f"task: {self.task}", f"outcome: {self.outcome}"]
        lines += [
            f"- {act.text}" + (f" -> {' '.join(act.result.split())[:SHOWN_RESULT]}" if act.result.strip() else "") for act in self.acts
        ]
        return "\n".join(lines)


def read(learned: Learned, ids: Iterable[str]) -> list[Attempt]:
    """Attempts by episode version id, in log order; unknown ids, and episodes in which nothing was done, are left out."""
    attempts: list[Attempt] = []
    for id in ids:  # noqa: A001 - the field's word
        row = learned.episodes.get(id)
        if row is None or row.body is None or not acted(row.body):
            continue
        acts = _acts(learned, id, row.body)
        if acts:
            body, outcome = row.body, _outcome(row.body["outcome"], acts)
            known = counts(body, outcome, learned.said.get(id, ()))
            attempts.append(Attempt(id, body["task"], outcome, acts, row.op, body.get("metadata", {}), body["id"], known))
    return sorted(attempts, key=lambda attempt: (attempt.op, attempt.id))


def masked(attempt: Attempt) -> str:
    """The task with everything the attempt's actions name in it left out: what tasks of one kind have in common.

    Measured on 120 instructions of 15 made-up kinds: with the mean of both vectors, clusters at cosine 0.75 hold all pairs of one kind
    together (1.00 of them, by task alone 0.61 offline and 0.19 with MiniLM), at a pair precision of 0.62 offline and 0.87 with MiniLM.
    """
    known = parse(attempt.task).spans
    spans: set[tuple[str, ...]] = set()
    for act in attempt.acts:
        if not any("<" in level for level in act.levels):
            continue
        line = words(act.text)
        start = 1
        while start < len(line):
            end = next((end for end in range(min(len(line), start + MAX_SPAN), start, -1) if _names(line[start:end], known)), start)
            if end > start:
                spans.add(line[start:end])
            start = max(end, start + 1)
    text = attempt.task
    for span in sorted(spans, key=len, reverse=True):
        text = re.sub(r"(?<!\w)" + r"\W+".join(map(re.escape, span)) + r"(?!\w)", "…", text, flags=re.IGNORECASE)
    return text


def masked_tasks(learned: Learned, ids: Iterable[str]) -> dict[str, str]:
    """Episode version -> its masked task, for those in which something was done. Kept as long as what was learned is: bodies never change."""
    with _lock:
        known = _masked.setdefault(learned, {})
    wanted = dict.fromkeys(ids)
    known.update((attempt.id, masked(attempt)) for attempt in read(learned, (episode for episode in wanted if episode not in known)))
    return {episode: known[episode] for episode in wanted if episode in known and episode in learned.episodes}


def _names(span: tuple[str, ...], known: Mapping[str, object]) -> bool:
    return span[0] not in FUNCTION_WORDS and span[-1] not in FUNCTION_WORDS and " ".join(span) in known


def context_of(skill: Skill, attempt: Attempt) -> str:
    """Digest of the context an attempt followed a skill in: its task, and what filled the slots. Equal ones are not distinct contexts."""
    taken = set(follow(skill, attempt.acts) or ())
    return digest(
        attempt.task, sorted(act.text for act in attempt.acts if act.ordinal in taken and any("<" in level for level in act.levels))
    )


def trial(skill: Skill, attempt: Attempt) -> bool | None:
    """Whether the attempt succeeded by the skill (True), failed by it (False), or says nothing about it (None).

    It failed by the skill when it followed all of it, or ended with a step of it after following at least half.
    """
    if attempt.outcome == "unknown":
        return None
    taken, part = followed(skill, attempt.acts)
    if taken and part >= 1.0:
        return attempt.outcome == "success"
    ended = bool(taken) and taken[-1] == attempt.acts[-1].ordinal
    return False if attempt.outcome == "failure" and ended and part >= BLAMED else None


def latest(attempts: Sequence[Attempt], count: int) -> list[Attempt]:
    """The `count` latest ones, in log order."""
    return list(attempts[-count:])


def _acts(learned: Learned, id: str, body: Mapping[str, Any]) -> tuple[Act, ...]:
    acts: list[Act] = []
    for ordinal, step in enumerate(body["steps"]):
        made = derived(body, ordinal)
        if made is None:
            continue
        key, levels, links = made
        known = learned.steps.steps.get(f"{id}#{ordinal}")
        progress, failure, loss = known.evidence if known is not None else (0.0, 0.0, 0.0)
        acts.append(
            Act(
                ordinal,
                key,
                levels,
                as_text(step["action"]),
                step["action"],
                links,
                step.get("result", ""),
                progress,
                failure,
                loss,
                "notes" in step,
            )
        )
    return tuple(acts)


def _outcome(committed: Outcome, acts: Sequence[Act]) -> Outcome:
    if committed != "unknown":
        return committed
    last = acts[-1]
    if not (last.progress or last.failure or last.loss):
        return "unknown"
    return "success" if last.progress > last.failure + last.loss else "failure"
