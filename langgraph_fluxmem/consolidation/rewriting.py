"""Rewriting: one round for one proposal. What the operators write is replayed; it stays only if it does better, or as well in fewer tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from langgraph_fluxmem.consolidation import pems
from langgraph_fluxmem.consolidation.attempts import Attempt, read
from langgraph_fluxmem.consolidation.inducing import Json, accepts
from langgraph_fluxmem.consolidation.means import Means
from langgraph_fluxmem.consolidation.replaying import Replayed, left_out, replay_skill, unneeded_steps
from langgraph_fluxmem.operators.protocol import Cost, Judgement, Rewrite, Template
from langgraph_fluxmem.operators.schemas import Drafted
from langgraph_fluxmem.requests import Embed, Hidden, Judge, LearnedOf, Stage
from langgraph_fluxmem.skills.model import Skill
from langgraph_fluxmem.trust.skills import Screen, screen_for

if TYPE_CHECKING:
    from langgraph_fluxmem.learned import Learned

COUNTERFACTUALS = 5
"""Attempts that are replayed without a step, to see whether it is needed."""
PROPOSALS = 3
"""Rewrites by rules that are tried in one round: without all unneeded steps at once, without the least needed one alone, and with those
that only some attempts need said to be optional."""


def rewrite_unit(means: Means, unit: Mapping[str, Any], round_: int) -> Stage:
    """One round (from 1) for one proposal. Its gain is that of |V_proc| * PEMS over the round before, drift included.

    Returns the unit with what became of it: ``skill``, ``eta``, ``trace`` (one entry a round with ``round``, ``refined``, ``gain``,
    ``value``, ``why``), ``unneeded`` (ids of steps that attempts went well without), ``withheld``, ``done``; and ``cost``, ``replays`` of this round.
    """
    namespace, settings, operators, replay = means.namespace, means.settings, means.operators, means.replay
    cost = Cost()
    out: Json = {**unit, "trace": list(unit["trace"]), "cost": cost.as_dict(), "replays": 0}
    skill = Skill.of(unit["skill"])
    if replay is None:
        return {
            **out,
            "done": True,
            "trace": [*out["trace"], _entry(round_, False, 0.0, None, "without a replay no rewrite is accepted offline")],
        }
    learned: Learned = yield LearnedOf(namespace, tuple(sorted((yield Hidden(namespace)))))
    sources = read(learned, unit["sources"])
    if not sources:
        return {**out, "done": True, "trace": [*out["trace"], _entry(round_, False, 0.0, None, "its sources are gone")]}
    unneeded, runs = yield from unneeded_steps(replay, skill, sources, min(COUNTERFACTUALS, settings.replays))
    earlier = [entry["value"] for entry in unit["trace"] if entry["value"] is not None]
    before = earlier[-1] if earlier else pems.value(unit["eta"] or 0.0, pems.tokens(skill.text()), 0.0)
    why = "nothing left to rewrite"
    tried: set[str] = {skill.text()}
    screen: Screen = yield from screen_for(namespace, learned, unit["sources"])
    for proposal in range(PROPOSALS):
        judged: Judgement[Drafted] = yield Judge(_task(skill, unit, unneeded, sources, PROPOSALS * (round_ - 1) + proposal), operators)
        cost.add(judged)
        written = skill.redrafted(judged.value, skill.steps, source="model" if judged.by == "model" else skill.source)
        if written.text() in tried:
            if judged.by == "model":  # it has said what it has to say
                out["done"] = True
                break
            continue
        tried.add(written.text())
        refused = screen.told(written, skill, judged.by)
        if refused is not None:
            out["withheld"] = [*out.get("withheld", ()), {**refused, "of": skill.node}]
            why = "what was written did not pass the screen"
            if judged.by == "model":
                break
            continue
        replayed: Replayed = yield from replay_skill(replay, written, sources, settings.replays, skill)
        runs += replayed.runs
        better, why = accepts(unit["eta"], pems.tokens(skill.text()), replayed.eta, pems.tokens(written.text()))
        if better:
            assert replayed.eta is not None
            now, old = yield Embed((written.text(), skill.text()))
            after = pems.value(replayed.eta, pems.tokens(written.text()), pems.drift(now, old))
            out |= {"skill": replace(written, history=skill.history).body(), "eta": replayed.eta, "replayed": dict(replayed.outcomes)}
            out["unneeded"] = [*unit.get("unneeded", ()), *_unneeded(written, skill, sources, replayed)]
            out["trace"].append(_entry(round_, True, after - before, after, why))
            break
        if judged.by == "model":
            break
    else:
        out["done"] = True
    if len(out["trace"]) == len(unit["trace"]):
        out["trace"].append(_entry(round_, False, 0.0, before, why))
    return {**out, "cost": cost.as_dict(), "replays": runs}


def _task(skill: Skill, unit: Mapping[str, Any], unneeded: Sequence[float | None], sources: Sequence[Attempt], round_: int) -> Rewrite:
    failed = [attempt for attempt in sources if not unit["replayed"].get(attempt.id, True)]
    templates = tuple(
        Template(step.text, sum(any(step.done_by(act) for act in attempt.acts) for attempt in sources), step.when) for step in skill.steps
    )
    return Rewrite(
        draft=skill.draft(),
        templates=templates,
        success_rate=unit["eta"] or 0.0,
        failures=tuple(attempt.transcript() for attempt in failed[-2:]),
        unneeded=tuple(unneeded),
        round=round_,
    )


def _unneeded(written: Skill, before: Skill, sources: Sequence[Attempt], replayed: Replayed) -> list[str]:
    """Ids of the steps that attempts went well without, of those that only the version before asks for."""
    good = (attempt for attempt in sources if replayed.outcomes.get(attempt.id))
    return [f"{attempt.id}#{ordinal}" for attempt in good for ordinal in sorted(left_out(written, attempt, before))]


def _entry(round_: int, refined: bool, gain: float, value: float | None, why: str) -> Json:
    return {"round": round_, "refined": refined, "gain": gain, "value": value, "why": why}
