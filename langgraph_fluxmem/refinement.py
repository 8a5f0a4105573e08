"""Stage II: feedback repairs the activation while a step goes on, and becomes evidence when it ends [F 3.2].

What went wrong is attributed, by rules or by a chat model, to one of four causes, each with its edit:

- under-connection: something needed was not shown -> **expand**, to what lies near the facts that proved right, or further down the ranking;
- over-connection: something shown misled -> **prune** it; what else was shown stays, and the next best take its place;
- granularity: what was shown is too coarse or too fine -> **reshape** it (`reshaping`);
- the memory itself is harmful -> **bypass** it for the rest of the step.

Edits are tentative: they live in the activation, and so in graph state. What the feedback itself names is never overruled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from langgraph_fluxmem import reshaping
from langgraph_fluxmem.activation import kept_facts
from langgraph_fluxmem.digests import digest
from langgraph_fluxmem.edits import EvidenceWrite, NodeWrite, Plan, Text
from langgraph_fluxmem.episodes import episode_uses, fact_evidence
from langgraph_fluxmem.errors import ForeignMemoryError, UnknownIdError
from langgraph_fluxmem.learning.situation import as_text
from langgraph_fluxmem.links import node_of
from langgraph_fluxmem.operators.protocol import Attribute, Evaluate, Judgement, Operators
from langgraph_fluxmem.requests import Apply, EmbedFor, Judge, Load, Stage
from langgraph_fluxmem.schema import Activation, Feedback, Provenance, RecalledFact, Step, TentativeEdit
from langgraph_fluxmem.searching import charged
from langgraph_fluxmem.text import content_hash, terms
from langgraph_fluxmem.weighing import observed

if TYPE_CHECKING:
    from langgraph_fluxmem.edits import Write
    from langgraph_fluxmem.operators.schemas import Attributed, Evaluated

READ = 2_000
"""Characters of each shown fact, and of each result, that are read."""


def refined(activation: Activation, feedback: Feedback, operators: Operators) -> Stage:
    """The activation with this round's edits, and with what was shown and used so far. Its `facts` are those that stay: all, but for what
    was pruned, unless the search goes on (expand, reshape) or memory is left out (bypass)."""
    facts = activation.facts
    shown = tuple(dict.fromkeys((*activation.shown, *(fact.id for fact in facts))))
    known = {*shown, *(fact.id for fact in activation.reshaped)}
    helpful = tuple(dict.fromkeys((*activation.used, *(name for name in feedback.used if name in known))))
    edits: tuple[TentativeEdit, ...] = ()
    if feedback.harmful:
        edits = (TentativeEdit(action="prune", targets=tuple(feedback.harmful), reason="over-connection: these misled", named=True),)
    if feedback.outcome == "failure":
        activation, found = yield from _attributed(activation, feedback, helpful, operators)
        edits += found
    cut = {target for edit in edits if edit.action == "prune" for target in edit.targets}
    goes_on = any(edit.action in ("expand", "reshape", "bypass") for edit in edits)
    return activation.model_copy(
        update={
            "round": activation.round + 1,
            "edits": (*activation.edits, *edits),
            "shown": shown,
            "used": helpful,
            "facts": () if goes_on else tuple(fact for fact in facts if fact.id not in cut),
            "reshaped": tuple(fact for fact in activation.reshaped if fact.id not in cut),
        }
    )


def _attributed(activation: Activation, feedback: Feedback, helpful: tuple[str, ...], operators: Operators) -> Stage:
    """(the activation with the price of judging, and with what was reshaped; the edits that the cause calls for)."""
    kept: tuple[RecalledFact, ...] = yield from kept_facts(activation)
    shown = list({fact.id: fact for fact in (*kept, *activation.reshaped, *activation.facts)}.values())
    misled = sum(edit.action == "prune" for edit in activation.edits) + bool(feedback.harmful)
    task = Attribute(
        task=activation.situation.task,
        shown=tuple(fact.content[:READ] for fact in shown),
        detail=feedback.detail,
        used=tuple(index for index, fact in enumerate(shown) if fact.id in helpful),
        harmful=tuple(index for index, fact in enumerate(shown) if fact.id in feedback.harmful),
        round=activation.round,
        misled=misled,
    )
    judgement: Judgement[Attributed] = yield Judge(task, operators)
    activation = charged(activation, judgement)
    value = judgement.value
    targets = [shown[index] for index in dict.fromkeys(value.targets)]
    reason = f"{value.cause}: {value.reason}"
    if value.cause == "harmful":
        return activation, (TentativeEdit(action="bypass", reason=reason),)
    if value.cause == "none":
        return activation, ()
    if value.cause == "granularity":
        activation, edits = yield from _reshaped(activation, targets, feedback, reason, operators, finer=value.finer)
        if edits:
            return activation, edits
    if value.cause == "over-connection":
        cut = tuple(fact.id for fact in targets if fact.id not in helpful and fact.id not in feedback.harmful)
        edits = (TentativeEdit(action="prune", targets=cut, reason=reason),) if cut else ()
        if edits or feedback.harmful:
            more = "under-connection: more of what lies near these is needed"
            return activation, (*edits, TentativeEdit(action="expand", targets=helpful, reason=more)) if helpful else edits
    near = (*helpful, *(fact.id for fact in targets if value.cause == "under-connection"))
    return activation, (TentativeEdit(action="expand", targets=tuple(dict.fromkeys(near)), reason=reason),)


def _reshaped(
    activation: Activation, targets: Sequence[RecalledFact], feedback: Feedback, reason: str, operators: Operators, *, finer: bool
) -> Stage:
    done = {target for edit in activation.edits if edit.action == "reshape" for target in edit.targets}
    tentative = {fact.id for fact in activation.reshaped}
    facts = [fact for fact in targets if fact.id not in done and fact.id not in tentative and fact.content][
        : reshaping.FEW if finer else None
    ]
    if not facts:
        return activation, ()
    query = f"{activation.situation.task}\n{feedback.detail}".strip()
    versions, judgements = yield from reshaping.reshape(activation.id, facts, query, operators, finer=finer)
    for judgement in judgements:
        activation = charged(activation, judgement)
    if not versions:
        return activation, ()
    reshaped = {fact.id: fact for fact in (*activation.reshaped, *versions)}
    edit = TentativeEdit(action="reshape", targets=tuple(fact.id for fact in facts), reason=reason)
    return activation.model_copy(update={"reshaped": tuple(reshaped.values())}), (edit,)


def self_check(activation: Activation, feedback: Feedback, attempt: str | Sequence[Step], operators: Operators) -> Stage:
    """Let the operators say how `attempt` went. Returns (the activation with the price and with `checked`, the feedback to go by).

    What the feedback says already stays: `used`, `harmful`, `done`. Rules know an error when they see one, and no success.
    """
    steps = (
        (("", attempt),)
        if isinstance(attempt, str)
        else tuple((as_text(step.action) if step.action else "", step.result) for step in attempt)
    )
    task = Evaluate(activation.situation.task, tuple((action, result[-READ:]) for action, result in steps))
    judgement: Judgement[Evaluated] = yield Judge(task, operators)
    said = judgement.value
    checked = Feedback(
        outcome=said.outcome,
        progress=feedback.progress if feedback.progress is not None else said.progress,
        loss=said.loss if said.outcome == "failure" else 0.0,
        used=feedback.used,
        harmful=feedback.harmful,
        done=feedback.done,
        detail=feedback.detail or said.detail,
        origin="model" if judgement.by == "model" else "system",
    )
    return charged(activation, judgement).model_copy(update={"checked": checked}), checked


def check_ids(activation: Activation, ids: Sequence[str], memory: str) -> Stage:
    """Refuse an activation of another memory, and ids that this one does not hold.

    Raises:
        ForeignMemoryError, UnknownIdError.
    """
    if activation.memory != memory:
        raise ForeignMemoryError(
            f"the activation belongs to the memory {activation.memory!r}, this is {memory!r}; give it to the memory it was recalled from"
        )
    shown = (*activation.facts, *activation.steps, *activation.episodes, *activation.reshaped)
    known = {one.id for one in shown} | {*activation.shown, *activation.used}
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
    """Make feedback on an activation durable, once: the query becomes a task that its facts have served, or not. Returns `Applied`.

    What proved right or misled in the rounds before counts with it; what was pruned before a success is weakened; what was reshaped and
    proved right becomes a fact.
    """
    operation = f"learn-{digest(activation.id, feedback.model_dump(mode='json'))}"
    node = f"u-{digest(activation.id)}"
    version = f"{node}:{operation[-8:]}"
    task = activation.situation.task
    text = Text("task", content_hash(task), " ".join(terms(task)))
    new, _ = yield EmbedFor(activation.namespace, ((text.hash, task),))
    body: dict[str, Any] = {"task": task, "outcome": feedback.outcome, "detail": feedback.detail, "origin": feedback.origin, "steps": []}
    episodes = {episode.id for episode in activation.episodes}
    if episodes:
        body["uses"] = episode_uses(feedback, sorted(episodes))
    signals = observed(activation.facts, activation.weights, activation.shift) if feedback.used else None
    if signals is not None:
        body["signals"] = signals
    named = {target for edit in activation.edits if edit.action == "prune" and edit.named for target in edit.targets}

    def facts(ids: Sequence[str]) -> list[str]:
        return [name for name in ids if "#" not in name and name not in episodes]

    used = facts((*activation.used, *feedback.used))
    harmful = [name for name in facts((*sorted(named), *feedback.harmful)) if name not in used]
    told = bool(feedback.used or feedback.harmful or activation.used or named)
    spoken = reshaping.spoken_for(activation.reshaped, feedback.outcome, used)
    versions = yield from reshaping.stored(spoken, activation.namespace, activation.hidden)
    shown = [fact.id for fact in (*activation.facts, *spoken)]
    seen = {node_of(name) for name in (*activation.shown, *shown)}
    if unshown := sorted({name for name in (*used, *harmful) if node_of(name) not in seen}):
        body["unshown"] = unshown
    writes: list[Write] = [
        NodeWrite(version, node, "episode", body, (text,)),
        *new.values(),
        *versions,
        *fact_evidence(
            version,
            activation.id,
            feedback.outcome,
            used=used,
            harmful=harmful,
            shown=[] if told else shown,
            pruned=sorted(activation.pruned - named),
        ),
        *(EvidenceWrite(step, activation.id, "progress", 1.0) for step in feedback.used if "#" in step),
        *(EvidenceWrite(step, activation.id, "failure", 1.0) for step in feedback.harmful if "#" in step),
    ]
    return (yield Apply(Plan(operation, "learn", activation.namespace, tuple(writes), provenance)))
