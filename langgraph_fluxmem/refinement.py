"""Stage II: feedback repairs the activation while a step goes on, and becomes evidence when it ends [F 3.2].

Attribution by rules. Something shown misled -> over-connection: **prune** it. The outcome failed -> under-connection: **expand**, to what
lies near the facts that proved right, or further down the ranking. Nothing shown helped, round after round -> the memory itself is
harmful: **bypass** it for the rest of the step. Edits are tentative: they live in the activation, and so in graph state.
"""

from __future__ import annotations

from collections.abc import Sequence

from langgraph_fluxmem.episodes import digest, fact_evidence
from langgraph_fluxmem.errors import ForeignMemoryError, UnknownIdError
from langgraph_fluxmem.requests import Apply, EmbedFor, Load, Stage
from langgraph_fluxmem.schema import Activation, EvidenceWrite, Feedback, NodeWrite, Plan, Provenance, TentativeEdit, Text, Write
from langgraph_fluxmem.text import content_hash, terms

BYPASS_AFTER = 3
"""Rounds of a step in which nothing shown was used and the outcome failed, after which memory is left out of the step."""


def attribute(activation: Activation, feedback: Feedback) -> tuple[TentativeEdit, ...]:
    """Which edits this feedback calls for."""
    edits: list[TentativeEdit] = []
    if feedback.harmful:
        edits.append(TentativeEdit(action="prune", targets=feedback.harmful, reason="over-connection: these misled"))
    if feedback.outcome == "failure":
        helpful = tuple(dict.fromkeys((*activation.used, *feedback.used)))
        if not helpful and activation.round + 1 >= BYPASS_AFTER:
            edits.append(TentativeEdit(action="bypass", reason=f"harmful: nothing shown helped in {activation.round + 1} rounds"))
        elif helpful:
            edits.append(TentativeEdit(action="expand", targets=helpful, reason="under-connection: more of what lies near these is needed"))
        else:
            edits.append(TentativeEdit(action="expand", reason="under-connection: what was shown did not do"))
    return tuple(edits)


def refined(activation: Activation, feedback: Feedback) -> Activation:
    """The activation with this round's edits, and with what was shown and used so far; its facts are still those of the round before."""
    shown = tuple(dict.fromkeys((*activation.shown, *(fact.id for fact in activation.facts))))
    used = tuple(dict.fromkeys((*activation.used, *(used for used in feedback.used if used in set(shown)))))
    return activation.model_copy(
        update={
            "round": activation.round + 1,
            "edits": (*activation.edits, *attribute(activation, feedback)),
            "shown": shown,
            "used": used,
        }
    )


def check_ids(activation: Activation, ids: Sequence[str], memory: str) -> Stage:
    """Refuse an activation of another memory, and ids that this one does not hold.

    Raises:
        ForeignMemoryError, UnknownIdError.
    """
    if activation.memory != memory:
        raise ForeignMemoryError(
            f"the activation belongs to the memory {activation.memory!r}, this is {memory!r}; give it to the memory it was recalled from"
        )
    known = {fact.id for fact in activation.facts} | {step.id for step in activation.steps} | {*activation.shown, *activation.used}
    missing = {name: name.partition("#")[0] for name in ids if name not in known}
    if missing:
        for namespace in (activation.namespace, *activation.also):
            loaded = yield Load(namespace, tuple(missing.values()))
            missing = {name: version for name, version in missing.items() if version not in loaded}
    if missing:
        raise UnknownIdError(
            f"feedback names {sorted(missing)!r}, which this memory does not hold; use ids of the activation's facts or steps (`fact.id`)"
        )


def learn(activation: Activation, feedback: Feedback, *, provenance: Provenance) -> Stage:
    """Make feedback on an activation durable, once: the query becomes a task that its facts have served, or not. Returns `Applied`."""
    operation = f"learn-{digest(activation.id, feedback.model_dump(mode='json'))}"
    node = f"u-{digest(activation.id)}"
    version = f"{node}:{operation[-8:]}"
    task = activation.situation.task
    text = Text("task", content_hash(task), " ".join(terms(task)))
    new, _ = yield EmbedFor(activation.namespace, ((text.hash, task),))
    body = {"task": task, "outcome": feedback.outcome, "detail": feedback.detail, "origin": feedback.origin, "steps": []}

    def facts(ids: Sequence[str]) -> list[str]:
        return [name for name in ids if "#" not in name]

    writes: list[Write] = [
        NodeWrite(version, node, "episode", body, (text,)),
        *new.values(),
        *fact_evidence(
            version,
            activation.id,
            feedback.outcome,
            used=facts(feedback.used),
            harmful=facts(feedback.harmful),
            shown=[] if feedback.used or feedback.harmful else [fact.id for fact in activation.facts],
        ),
        *(EvidenceWrite(step, activation.id, "progress", 1.0) for step in feedback.used if "#" in step),
        *(EvidenceWrite(step, activation.id, "failure", 1.0) for step in feedback.harmful if "#" in step),
    ]
    return (yield Apply(Plan(operation, "learn", activation.namespace, tuple(writes), provenance)))
