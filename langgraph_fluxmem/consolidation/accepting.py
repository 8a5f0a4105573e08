"""End of a consolidation: what was proposed is accepted or refused, trials are counted, skills rise, fall and go; one operation [F 3.3].

Compare-and-swap: a proposal names the version it was made from; when another one is current by now it is refused. Versions and the lease's
token are checked in the transaction that writes, so nothing is written over what changed, and a holder that lost its lease writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from langgraph_fluxmem.consolidation import pems
from langgraph_fluxmem.consolidation.caring import Care, care
from langgraph_fluxmem.consolidation.crediting import Withdrawn, withdrawn
from langgraph_fluxmem.consolidation.inducing import Json, accepts, alike
from langgraph_fluxmem.consolidation.maturity import lower_bound, status_of
from langgraph_fluxmem.consolidation.means import Means
from langgraph_fluxmem.consolidation.settings import Settings
from langgraph_fluxmem.consolidation.snapshot import KIND, cursor_name, forgotten_since, looked_up_to, operation_id
from langgraph_fluxmem.digests import digest
from langgraph_fluxmem.edits import Applied, EdgeWrite, EvidenceWrite, NodeWrite, Plan, Text, Write
from langgraph_fluxmem.errors import StaleError
from langgraph_fluxmem.requests import Call, EmbedFor, Hidden, LearnedOf, Stage
from langgraph_fluxmem.schema import Namespace, Provenance
from langgraph_fluxmem.skills import SkillBook
from langgraph_fluxmem.skills.model import Skill, Status, Trials
from langgraph_fluxmem.testing.faults import point
from langgraph_fluxmem.text import content_hash
from langgraph_fluxmem.trust.quarantine import item_writes, rows_of

if TYPE_CHECKING:
    from langgraph_fluxmem.engine import Engine
    from langgraph_fluxmem.learned import Learned

TRIES = 3
"""How often a plan is made, when what it was made from changes before it is written."""
CONTEXTS = 8
"""At most so many contexts of a skill are remembered."""
OVERTAKEN = "another consolidation was written, or undone, or something was forgotten, since this one began"
REPLAYED = "replay"
"""Activation of evidence that came of a replay."""


@dataclass(slots=True)
class Change:
    """What becomes of one skill: `before` is its current version, None for a new one; `sources` join what it was distilled from."""

    skill: Skill
    version: str
    before: Skill | None = None
    replaces: str | None = None
    """Version id that the new text supersedes."""
    why: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    trials: dict[tuple[str, str], bool] = field(default_factory=dict)
    """(episode, activation) -> success, new under this revision."""
    contexts: set[str] = field(default_factory=set)
    proposal: Mapping[str, Any] | None = None


def accept(
    means: Means,
    snapshot: Mapping[str, Any],
    units: Sequence[Mapping[str, Any]],
    provenance: Provenance,
    *,
    lease: tuple[str, int] | None = None,
    tended: Sequence[Mapping[str, Any]] = (),
    withheld: Sequence[Json] = (),
) -> Stage:
    """Write the operation. Returns JSON: ``operation`` (None when nothing was looked at), ``active``, ``skills`` (`SkillReport` fields),
    ``facts`` (counts of `caring.Care`), ``withdrawn``, ``quarantined``. What was `withheld` of skills goes into quarantine with it.

    The plan names the version of every node that it was made from and the operations that wrote the episodes it counts, and the ledger
    compares them in the transaction that writes it. When one has changed, or was undone, nothing is written and the plan is made anew from
    what is current, up to `TRIES` times.

    Raises:
        LeaseLostError: the `lease` (name, token) is not held any more; nothing was written.
        StaleError: skills, facts or episodes changed under each of the tries; nothing was written.
    """
    for attempt in range(1, TRIES + 1):
        plan, done = yield from _planned(means, snapshot, units, provenance, (tended, withheld))
        if plan is None:
            return done
        point("consolidation.writing")
        try:
            yield Call(_writing(plan, lease))
        except StaleError:
            if attempt == TRIES:
                raise
            continue
        return done
    raise AssertionError("unreachable")


def _planned(
    means: Means,
    snapshot: Mapping[str, Any],
    units: Sequence[Mapping[str, Any]],
    provenance: Provenance,
    found: tuple[Sequence[Mapping[str, Any]], Sequence[Json]],
) -> Stage:
    """The plan (None when there is nothing to write) and what `accept` returns. `found`: what batches of facts gave, what was withheld."""
    tended, withheld = found
    namespace, settings = means.namespace, means.settings
    operation = operation_id(snapshot["id"], snapshot["position"])
    hidden = tuple(sorted((yield Hidden(namespace))))
    learned: Learned = yield LearnedOf(namespace, hidden)
    written, since, forgotten = yield Call(lambda engine: _standing(engine, namespace, operation, snapshot["position"]))
    book = learned.skills
    out: Json = {"operation": operation, "active": len(book.active()), "skills": [], "facts": {}, "withdrawn": 0, "quarantined": 0}
    if written:
        return None, out
    if since != snapshot["since"] or forgotten:
        reports = [_report(Skill.of(unit["skill"]), unit, None, "rejected", OVERTAKEN) for unit in units]
        return None, {**out, "operation": None, "skills": reports}
    changes, reports = _proposed(units, learned, operation)
    _count((trial for trial in snapshot["trials"] if trial[0] in learned.episodes), changes, book, operation)
    for change in changes.values():
        _judge(change, book, settings)
    _promote_variants(changes, book, operation, settings)
    _retire_redundant(changes, book, operation, settings)
    active = sum(held.skill.status != "retired" for node, held in list(book.skills.items()) if node not in changes)
    active += sum(change.skill.status != "retired" for change in changes.values())
    writes: list[Write] = []
    for change in changes.values():
        reports.append(_scored(change, active))
        writes += _writes(change)
    credit: Withdrawn = yield Call(lambda engine: withdrawn(engine, namespace, _unneeded(changes), operation))
    writes += credit.writes
    warming = snapshot["warm_up"] and snapshot["episodes"]  # then nothing is written, so that these episodes stay new
    cared: Care = Care() if warming else (yield from care(means, tended, since, hidden, operation))
    writes += cared.writes
    more = [item for part in (*units, *tended) for item in part.get("withheld", ())] if not warming else []
    standing: Mapping[str, Any] = yield Call(lambda engine: rows_of(engine.ledger, namespace))
    items = item_writes([*withheld, *more], namespace, standing, operation)
    writes += items
    out |= {"active": active, "skills": reports, "facts": cared.counts(), "withdrawn": len(credit.writes), "quarantined": len(items)}
    if not writes and not snapshot["jobs"] and not cared.looked_at:
        return None, {**out, "operation": None}
    texts = tuple((content_hash(change.skill.match()), change.skill.match()) for change in changes.values())
    if texts:
        new, _ = yield EmbedFor(namespace, texts)
        writes += new.values()
    expects = {node: book.skills[node].id if node in book.skills else None for node in changes} | cared.expects
    counted = {episode for change in changes.values() for episode in (*change.sources, *(episode for episode, _ in change.trials))}
    rests_on = {*credit.rests_on, *(learned.episodes[episode].op for episode in counted)}
    return Plan(operation, KIND, namespace, tuple(writes), provenance, expects, tuple(sorted(rests_on))), out


def _standing(engine: Engine, namespace: Namespace, operation: str, position: int) -> tuple[bool, int, bool]:
    """(whether the operation was written already, position that live consolidations have looked up to, whether anything was forgotten after
    `position`: what was proposed may be made of it)."""
    ledger = engine.ledger
    return ledger.operation(operation) is not None, looked_up_to(ledger, namespace), forgotten_since(ledger, namespace, position)


def _writing(plan: Plan, lease: tuple[str, int] | None) -> Callable[[Engine], Applied]:
    def write(engine: Engine) -> Applied:
        engine.ledger.set_cursor(cursor_name(plan.namespace), 1)
        applied = engine.ledger.submit(plan, fence=lease).result()
        engine.projections.follow()
        return applied

    return write


def _unneeded(changes: Mapping[str, Change]) -> list[str]:
    """Steps that a replay of an accepted rewrite went well without."""
    found = (step for change in changes.values() if change.proposal is not None for step in change.proposal.get("unneeded", ()))
    return list(dict.fromkeys(found))


def _version(node: str, operation: str) -> str:
    return f"{node}:{digest(operation, node)[:8]}"


def _proposed(units: Sequence[Mapping[str, Any]], learned: Learned, operation: str) -> tuple[dict[str, Change], list[Json]]:
    """Changes by node, and reports of what was refused because it is stale, rests on what was undone, or is said twice."""
    book = learned.skills
    changes: dict[str, Change] = {}
    reports: list[Json] = []
    for unit in units:
        skill = Skill.of(unit["skill"])
        held = book.skills.get(skill.node)
        current = held.id if held is not None else None
        if current != unit["base"] or skill.node in changes:
            why = (
                f"stale: made from version {unit['base']}, and {current} is current by now" if current != unit["base"] else "proposed twice"
            )
            reports.append(_report(skill, unit, current, "rejected", why))
            continue
        gone = [episode for episode in unit["sources"] if episode not in learned.episodes]
        if gone:
            reports.append(
                _report(skill, unit, current, "rejected", f"{len(gone)} of its {len(unit['sources'])} sources were undone meanwhile")
            )
            continue
        why, against = unit["why"], unit.get("against")
        if against is not None:
            better, why = accepts(against["eta"], against["tokens"], unit["eta"], pems.tokens(skill.text()))
            if not better:
                reports.append(_report(skill, unit, current, "rejected", why))
                continue
        version = _version(skill.node, operation)
        amended = unit["kind"] == "amend" and skill.revision
        change = Change(
            replace(skill, revision=skill.revision if amended else version),
            version,
            before=held.skill if held is not None else None,
            replaces=unit["base"],
            why=[why, *(entry["why"] for entry in unit["trace"] if entry["refined"])],
            sources=list(unit["sources"]),
            proposal=unit,
        )
        for episode, success in unit["replayed"].items():
            change.trials[episode, REPLAYED] = bool(success)
        changes[skill.node] = change
    return changes, reports


def _count(trials: Iterable[Sequence[Any]], changes: dict[str, Change], book: SkillBook, operation: str) -> None:
    """Add the snapshot's trials to the skills they are about, unless they were counted before or their text is replaced now."""
    for episode, node, success, context in trials:
        held = book.skills.get(node)
        if held is None or episode in book.counted.get(held.skill.revision, {}):
            continue
        change = changes.get(node)
        if change is None:
            change = changes[node] = Change(held.skill, _version(node, operation), before=held.skill)
        if change.skill.revision != held.skill.revision:
            continue
        change.trials[episode, episode] = bool(success)
        if success:
            change.sources.append(episode)
            change.contexts.add(context)


def _judge(change: Change, book: SkillBook, settings: Settings) -> None:
    """Sum up trials and decide the status."""
    skill = change.skill
    good, bad = book.trials(skill.revision)
    good += sum(change.trials.values())
    bad += sum(not success for success in change.trials.values())
    replayed = {f"{REPLAYED}:{episode}" for (episode, activation), success in change.trials.items() if success and activation == REPLAYED}
    contexts = tuple(sorted({*skill.contexts, *change.contexts, *replayed})[:CONTEXTS])
    trials = Trials(good, bad, len(contexts))
    status = status_of(trials, skill.status, settings)
    if change.before is not None and status != change.before.status and change.proposal is None:
        change.why.append(f"{change.before.status} -> {status}: {good:g} successes and {bad:g} failures in {len(contexts)} contexts")
    elif change.trials and change.proposal is None:
        change.why.append(f"{len(change.trials)} more trials: {good:g} successes and {bad:g} failures in {len(contexts)} contexts")
    change.skill = replace(skill, trials=trials, contexts=contexts, status=status)


def _promote_variants(changes: dict[str, Change], book: SkillBook, operation: str, settings: Settings) -> None:
    """A variant that has matured takes the place of the skill it was tried against once the lower bound of its success rate is as high:
    seven of seven are not more than 46 of 47."""
    for change in list(changes.values()):
        variant = change.skill
        if variant.variant_of is None or variant.status != "mature":
            continue
        parent = _change(variant.variant_of, changes, book, operation)
        if parent is None:
            change.skill = replace(variant, variant_of=None)
        elif _sure(variant.trials, settings) >= _sure(parent.skill.trials, settings):
            parent.skill = replace(parent.skill, status="retired")
            parent.why.append(f"its variant {variant.name!r} has matured with a success rate of {variant.trials.rate:.2f}")
            change.skill = replace(variant, variant_of=None)
            change.replaces = parent.version
            change.why.append(f"takes the place of {parent.skill.name!r}")


def _sure(trials: Trials, settings: Settings) -> float:
    return lower_bound(trials.successes, trials.successes + trials.failures, settings.z)


def _retire_redundant(changes: dict[str, Change], book: SkillBook, operation: str, settings: Settings) -> None:
    """Of two skills that do the same in the same tasks the better one stays: by status, then success rate, then trials."""
    for node in list(changes):
        mine = changes[node].skill
        if mine.status == "retired" or mine.variant_of is not None:
            continue
        for other in list({**book.skills, **changes}):
            theirs = changes[other].skill if other in changes else book.skills[other].skill
            if other == node or theirs.status == "retired" or theirs.variant_of is not None or theirs.match() != mine.match():
                continue
            if alike(mine, theirs) < settings.redundant:
                continue
            worse = min((mine, theirs), key=_rank)
            change = _change(worse.node, changes, book, operation)
            if change is not None:
                change.skill = replace(change.skill, status="retired")
                change.why.append(f"redundant: {(theirs if worse is mine else mine).name!r} does the same and stays")
            if worse is mine:
                break


def _rank(skill: Skill) -> tuple[bool, float, float, str]:
    return (skill.status == "mature", skill.trials.rate or 0.0, skill.trials.successes, skill.node)


def _change(node: str, changes: dict[str, Change], book: SkillBook, operation: str) -> Change | None:
    if node in changes:
        return changes[node]
    held = book.skills.get(node)
    if held is None or held.skill.status == "retired":
        return None
    changes[node] = Change(held.skill, _version(node, operation), before=held.skill)
    return changes[node]


def _scored(change: Change, active: int) -> Json:
    """Write PEMS into the skill's history, and report the change."""
    skill, unit = change.skill, change.proposal
    eta = unit["eta"] if unit is not None else skill.trials.rate
    score = None
    if eta is not None and skill.status != "retired":
        score = pems.pems(eta, active, pems.tokens(skill.text()), 0.0)
        change.skill = replace(skill, history=(*skill.history, score))
    before: Status | None = change.before.status if change.before is not None else None
    if skill.status == "retired":
        decision = "retired"
    elif skill.status == "demoted" and before != "demoted":
        decision = "demoted"
    elif skill.status == "mature" and before != "mature":
        decision = "promoted"
    else:
        decision = "accepted" if unit is not None else "kept"
    given = unit if unit is not None else {"eta": eta, "eta_from": "trials" if eta is not None else None}
    return _report(change.skill, given, change.version, decision, "; ".join(change.why)) | {"pems": score}


def _report(skill: Skill, unit: Mapping[str, Any], version: str | None, decision: str, why: str) -> Json:
    return {
        "node": skill.node,
        "name": skill.name,
        "version": version,
        "decision": decision,
        "why": why,
        "status": skill.status,
        "number": skill.number,
        "eta": unit["eta"],
        "eta_from": unit["eta_from"],
        "tokens": pems.tokens(skill.text()),
        "steps": list(skill.lines()),
    }


def _writes(change: Change) -> list[Write]:
    skill = change.skill
    text = Text("when", content_hash(skill.match()))
    writes: list[Write] = [NodeWrite(change.version, skill.node, "skill", skill.body(), (text,))]
    writes += (EdgeWrite("DISTILLS", episode, change.version) for episode in dict.fromkeys(change.sources))
    if change.replaces is not None:
        writes.append(EdgeWrite("SUPERSEDES", change.version, change.replaces))
    writes += (
        EvidenceWrite(f"{episode}>{skill.revision}", activation, "progress" if success else "failure", 1.0)
        for (episode, activation), success in change.trials.items()
    )
    return writes
