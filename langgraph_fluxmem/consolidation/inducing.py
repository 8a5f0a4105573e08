"""Induction for one cluster: drafts by rules, written out by the operators, held against the skills the cluster has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from langgraph_fluxmem.consolidation import pems
from langgraph_fluxmem.consolidation.attempts import Attempt, latest, read
from langgraph_fluxmem.consolidation.induction import Induced, induce, warn
from langgraph_fluxmem.consolidation.means import Means
from langgraph_fluxmem.consolidation.replaying import Replayed, replay_skill
from langgraph_fluxmem.digests import digest
from langgraph_fluxmem.operators.protocol import Cost, Induce, Judgement, Operators
from langgraph_fluxmem.operators.schemas import Drafted
from langgraph_fluxmem.requests import Hidden, Judge, LearnedOf, Stage
from langgraph_fluxmem.skills import Held, SkillBook
from langgraph_fluxmem.skills.model import PREFIX, Skill, Trials, follow
from langgraph_fluxmem.trust.skills import Screen, screen_for

if TYPE_CHECKING:
    from langgraph_fluxmem.learned import Learned

SHOWN_SUCCESSES, SHOWN_FAILURES = 4, 2
"""Transcripts that a model is shown."""
Json = dict[str, Any]
Kind = Literal["new", "rewrite", "amend", "variant"]
"""``amend``: the same procedure, told otherwise; its trials go on counting. ``variant``: tried live beside the skill it may replace."""


def induce_cluster(means: Means, job: Mapping[str, Any], snapshot: Mapping[str, Any]) -> Stage:
    """Induce the skills of one cluster. Returns JSON: ``cluster``, ``induced``, ``why``, ``units`` (proposals), ``rejected`` (reports),
    ``withheld`` (what the screen held back), ``cost``, ``replays``."""
    namespace, settings = means.namespace, means.settings
    hidden = tuple(sorted((yield Hidden(namespace))))
    learned: Learned = yield LearnedOf(namespace, hidden)
    book = learned.skills
    tried = {held.skill.node: _trials(held.skill, book, snapshot) for held in list(book.skills.values()) if held.id in set(job["skills"])}
    mine = [held for held in list(book.skills.values()) if held.id in set(job["skills"])]
    ids = dict.fromkeys((*(episode for held in mine for episode in book.sources.get(held.skill.node, {})), *job["episodes"]))
    attempts = read(learned, ids)
    successes = latest([attempt for attempt in attempts if attempt.outcome == "success"], settings.members)
    failures = latest([attempt for attempt in attempts if attempt.outcome == "failure"], settings.members)
    out: Json = {
        "cluster": job["cluster"],
        "induced": 0,
        "why": "",
        "units": [],
        "rejected": [],
        "withheld": [],
        "cost": Cost().as_dict(),
        "replays": 0,
    }
    told = sorted((*successes, *failures), key=lambda attempt: attempt.op)
    drafts = induce(told, settings)
    if not drafts:
        few = f"{len(successes)} successes; {settings.successes} are needed"
        out["why"] = few if len(successes) < settings.successes else "its successes share no steps"
        drafts = [] if any(held.skill.steps for held in mine) else warn(told, settings)
    if not drafts:
        return out
    cost = Cost()
    by_id = {attempt.id: attempt for attempt in attempts}
    screen: Screen = yield from screen_for(namespace, learned, by_id)
    for number, draft in enumerate(drafts):
        sources = [by_id[episode] for episode in draft.sources]
        skill, held = yield from _told(draft, sources, failures, means.operators, cost, screen)
        node = f"{PREFIX}{digest(namespace, snapshot['id'], job['cluster'], number)}"
        beside = [held for held in mine if held.skill.steps or not number]
        unit, rejected, runs = yield from _unit(means, replace(skill, node=node, position=snapshot["position"]), sources, beside, tried)
        out["replays"] += runs
        if unit is not None:
            out["units"].append({**unit, "cluster": job["cluster"]})
        if rejected is not None:
            out["rejected"].append(rejected)
        nearest = max((held.skill for held in beside), key=lambda old: alike(old, skill), default=None)
        of = unit["skill"]["node"] if unit is not None else nearest.node if nearest is not None else node
        out["withheld"] += ({**item, "of": of} for item in held)
    out["induced"] = len(drafts)
    found = f"{len(drafts)} procedures in {len(successes)} successes and {len(failures)} failures"
    out["why"] = found if drafts[0].skill.steps else f"{out['why']}; a warning from {len(failures)} failures"
    out["cost"] = cost.as_dict()
    return out


def _told(  # noqa: PLR0917 - a step of `induce_cluster`
    draft: Induced, sources: Sequence[Attempt], failures: Sequence[Attempt], operators: Operators, cost: Cost, screen: Screen
) -> Stage:
    """(the draft in the operators' words, what the screen held back). In the rules' own words for a warning, where fewer of its sources follow
    what a model made of it, and where that does not pass the screen."""
    own, cut = screen.own(draft.skill)
    held = [cut] if cut is not None else []
    if not own.steps:
        return own, held
    task = Induce(
        draft=own.draft(),
        templates=tuple(
            replace(template, text=step.text, when=step.when) for template, step in zip(draft.templates, own.steps, strict=True)
        ),
        successes=tuple(attempt.transcript() for attempt in sources[-SHOWN_SUCCESSES:]),
        failures=tuple(attempt.transcript() for attempt in failures[-SHOWN_FAILURES:]),
    )
    judged: Judgement[Drafted] = yield Judge(task, operators)
    cost.add(judged)
    if judged.by == "rules":
        return own, held
    told = own.redrafted(judged.value, own.steps, source="model")
    refused = screen.told(told, own)
    if refused is not None:
        return own, [*held, refused]
    if _followed(told, sources) < _followed(own, sources):
        return replace(own, name=told.name, when=told.when), held
    return told, held


def _trials(skill: Skill, book: SkillBook, snapshot: Mapping[str, Any]) -> Trials:
    """Trials of a skill, with those that this consolidation is about to count."""
    good, bad = book.trials(skill.revision)
    counted = book.counted.get(skill.revision, {})
    new = [success for episode, node, success, _ in snapshot["trials"] if node == skill.node and episode not in counted]
    return Trials(good + sum(new), bad + len(new) - sum(new))


def _unit(means: Means, draft: Skill, sources: Sequence[Attempt], mine: Sequence[Held], tried: Mapping[str, Trials]) -> Stage:
    """What is proposed of a draft: (unit or None, report of a rejection or None, replays). `tried` are the trials of each skill there is."""
    same = max(mine, key=lambda held: alike(held.skill, draft), default=None)
    if same is None or (same.skill.steps and alike(same.skill, draft) < means.settings.redundant):
        found = yield from _eta(means, draft, sources, Trials())
        return _packed("new", draft, None, sources, found), None, found.runs
    old = same.skill
    proposed = replace(
        old,
        name=draft.name,
        when=draft.when,
        steps=draft.steps,
        pitfalls=draft.pitfalls,
        rules=draft.rules,
        number=old.number + 1,
        base=same.id,
        source=draft.source,
    )
    if draft.steps and not old.steps:
        found = yield from _eta(means, proposed, sources, Trials())
        return (
            _packed("rewrite", replace(proposed, revision=""), same.id, sources, found, "the first procedure for what failed so far"),
            None,
            found.runs,
        )
    if procedure(old) == procedure(draft):
        if old.text() == proposed.text() and old.rules == proposed.rules:
            return None, None, 0
        found = yield from _eta(means, proposed, sources, tried[old.node])
        return _packed("amend", proposed, same.id, sources, found), None, found.runs
    proposed = replace(proposed, position=draft.position, revision="", trials=Trials(), contexts=(), status="candidate")
    found = yield from _eta(means, proposed, sources, Trials(), old)
    if means.replay is not None:
        was = yield from _eta(means, old, sources, Trials(), proposed)
        unit = _packed("rewrite", proposed, same.id, sources, found, "another procedure in the same tasks")
        return unit | {"against": {"eta": was.eta, "tokens": pems.tokens(old.text())}}, None, found.runs + was.runs
    if old.status != "mature" and not tried[old.node].successes:
        why = "without a replay it is tried live; nothing had succeeded under the version before"
        return _packed("rewrite", proposed, same.id, sources, found, why), None, 0
    now, before = _followed(draft, sources), _followed(old, sources)
    if now <= before:
        why = f"no better: {now} of {len(sources)} successes follow it, and {before} the version before"
        return None, _refused(old, same.id, proposed, found, why), 0
    rivals = [held.skill for held in mine if held.skill.variant_of == old.node and held.skill.status != "retired"]
    if any(procedure(rival) == procedure(draft) for rival in rivals):
        return None, _refused(old, same.id, proposed, found, "the same variant is being tried live"), 0
    variant = replace(proposed, node=draft.node, number=1, base=None, variant_of=old.node, history=())
    why = f"without a replay it is tried live beside {old.name!r}"
    return _packed("variant", variant, None, sources, found, why), None, 0


def accepts(old_eta: float | None, old_tokens: int, eta: float | None, tokens: int) -> tuple[bool, str]:
    """Whether a rewrite is accepted: a higher success rate, or an equal one with fewer tokens [F 3.3]; and why."""
    if eta is None or old_eta is None:
        return False, "its success rate is unknown"
    if eta > old_eta:
        return True, f"eta {eta:.2f}, before {old_eta:.2f}"
    if eta < old_eta:
        return False, f"worse: eta {eta:.2f}, before {old_eta:.2f}"
    if tokens < old_tokens:
        return True, f"eta {eta:.2f} as before, with {tokens} tokens for {old_tokens}"
    return False, f"no better: eta {eta:.2f} as before, with {tokens} tokens for {old_tokens}"


def procedure(skill: Skill) -> list[tuple[tuple[str, ...], str, bool, bool]]:
    """What a skill does, whatever it says: what its steps are done by."""
    return [(step.templates, step.only, step.optional, step.again) for step in skill.steps if step.templates]


def alike(first: Skill, second: Skill) -> float:
    """Share of templates two skills have in common, in [0, 1]; a warning has none."""
    mine = {template for step in first.steps for template in step.templates}
    theirs = {template for step in second.steps for template in step.templates}
    both = len(mine | theirs)
    return len(mine & theirs) / both if both else 0.0


def _followed(skill: Skill, attempts: Sequence[Attempt]) -> int:
    return sum(follow(skill, attempt.acts) is not None for attempt in attempts)


@dataclass(frozen=True, slots=True)
class Rate:
    """A success rate, where it comes from, the outcomes of replays by episode, and how many were run."""

    eta: float | None
    origin: Literal["replay", "trials", "sources"]
    replayed: Mapping[str, bool] = field(default_factory=dict)
    runs: int = 0


def _eta(means: Means, skill: Skill, sources: Sequence[Attempt], trials: Trials, other: Skill | None = None) -> Stage:
    if not skill.steps:
        return Rate(None, "sources")
    if means.replay is not None:
        replayed: Replayed = yield from replay_skill(means.replay, skill, sources, means.settings.replays, other)
        return Rate(replayed.eta, "replay", replayed.outcomes, replayed.runs)
    if trials.rate is not None:
        return Rate(trials.rate, "trials")
    return Rate(_followed(skill, sources) / len(sources) if sources else None, "sources")


def _packed(kind: Kind, skill: Skill, base: str | None, sources: Sequence[Attempt], rate: Rate, why: str = "") -> Json:  # noqa: PLR0917 - a record
    return {
        "kind": kind,
        "skill": skill.body(),
        "base": base,
        "sources": [attempt.id for attempt in sources],
        "eta": rate.eta,
        "eta_from": rate.origin,
        "replayed": dict(rate.replayed),
        "why": why or f"induced from {len(sources)} {'successes' if skill.steps else 'failures'}",
        "trace": [],
        "done": False,
    }


def _refused(old: Skill, version: str, proposed: Skill, rate: Rate, why: str) -> Json:
    return {
        "node": old.node,
        "name": proposed.name,
        "version": version,
        "decision": "rejected",
        "why": why,
        "status": old.status,
        "number": proposed.number,
        "eta": rate.eta,
        "eta_from": rate.origin,
        "tokens": pems.tokens(proposed.text()),
        "steps": list(proposed.lines()),
    }
