"""A whole consolidation as one stage, and the pieces that a graph runs one by one [F 3.3].

acquire -> snapshot -> induce (each cluster) -> rewrite (each proposal, round by round) -> tend (each batch of facts) -> accept -> release
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from langgraph_fluxmem.consolidation.accepting import accept
from langgraph_fluxmem.consolidation.facts import tend
from langgraph_fluxmem.consolidation.holding import Held
from langgraph_fluxmem.consolidation.inducing import Json, induce_cluster
from langgraph_fluxmem.consolidation.means import Means
from langgraph_fluxmem.consolidation.pems import Convergence, converged
from langgraph_fluxmem.consolidation.report import Report
from langgraph_fluxmem.consolidation.rewriting import rewrite_unit
from langgraph_fluxmem.consolidation.settings import Settings
from langgraph_fluxmem.consolidation.snapshot import jobs_of, snapshot
from langgraph_fluxmem.errors import LeaseLostError
from langgraph_fluxmem.ledger import leases
from langgraph_fluxmem.operators.protocol import Cost
from langgraph_fluxmem.progress import Progress, silent
from langgraph_fluxmem.requests import Call, Stage
from langgraph_fluxmem.schema import Namespace, Provenance
from langgraph_fluxmem.testing.faults import point


def lease_name(namespace: Namespace) -> str:
    """Name of the lease on consolidating a namespace."""
    return "consolidate " + json.dumps(list(namespace), ensure_ascii=False)


def acquire(namespace: Namespace, consolidation: str, settings: Settings) -> Stage:
    """Take the lease for a consolidation, or take it again after a crash. Returns its fencing token, None while another one holds it."""
    return (yield Call(lambda engine: engine.ledger.acquire_lease(lease_name(namespace), consolidation, settings.lease)))


def release(namespace: Namespace, consolidation: str, token: int) -> Stage:
    """Give the lease back."""
    yield Call(lambda engine: engine.ledger.release_lease(lease_name(namespace), consolidation, token))


def renew(namespace: Namespace, consolidation: str, settings: Settings) -> Stage:
    """Hold the lease on; also one that has run out (the machine slept), if nobody took it.

    Raises:
        LeaseLostError: another consolidation has taken over.
    """
    name = lease_name(namespace)
    if not (yield Call(lambda engine: engine.ledger.transact(lambda tx: leases.extend(tx, name, consolidation, settings.lease)))):
        raise LeaseLostError(f"lease {name!r} is not held by {consolidation} any more: stop, and start a new consolidation")


def give_up(namespace: Namespace, consolidation: str, settings: Settings) -> Stage:
    """Give the lease back, if this consolidation can have it, where its token is not known."""
    token = yield from acquire(namespace, consolidation, settings)
    if token is not None:
        yield from release(namespace, consolidation, token)


def round_over(units: Sequence[Mapping[str, Any]], round_: int, settings: Settings) -> tuple[Convergence, Json]:
    """Whether rewriting goes on after round `round_`, and the round's report. `units` are those that were rewritten in it."""
    entries = [unit["trace"][-1] for unit in units if unit["trace"] and unit["trace"][-1]["round"] == round_]
    refined = [entry["gain"] for entry in entries if entry["refined"]]
    verdict = converged(refined, round_, epsilon=settings.epsilon, rounds=settings.rounds)
    why = verdict.why
    if verdict.done and not refined and entries:
        why = f"{why}: {'; '.join(dict.fromkeys(entry['why'] for entry in entries))}"
        verdict = Convergence(True, verdict.gain, why)
    values = [entry["value"] for entry in entries if entry["value"] is not None]
    value = sum(values) / len(values) if values else None
    return verdict, {"round": round_, "value": value, "tried": len(entries), "refined": len(refined), "gain": verdict.gain, "why": why}


def report_of(
    snapshot_: Mapping[str, Any],
    clusters: Sequence[Mapping[str, Any]],
    rounds: Sequence[Mapping[str, Any]],
    accepted: Mapping[str, Any],
    stopped: str,
) -> Report:
    """The report, from what the pieces returned; `accepted` also carries the sums ``cost`` and ``replays``."""
    cost = accepted["cost"]
    by_name = {result["cluster"]: result for result in clusters}
    parts = [
        {
            "cluster": part["cluster"],
            "episodes": part["episodes"],
            "new": part["new"],
            "explained": part["explained"],
            "induced": by_name.get(part["cluster"], {}).get("induced", 0),
            "why": by_name.get(part["cluster"], {}).get("why", "its skills explain all that is new"),
        }
        for part in snapshot_["clusters"]
    ]
    rejected = [report for result in clusters for report in result["rejected"]]
    return Report.model_validate(
        {
            **{key: snapshot_[key] for key in ("id", "namespace", "position", "since", "episodes", "new", "explained", "warm_up")},
            "operation": accepted["operation"],
            "active": accepted["active"],
            "facts": accepted["facts"],
            "withdrawn": accepted["withdrawn"],
            "quarantined": accepted["quarantined"],
            "clusters": parts,
            "skills": [*accepted["skills"], *rejected],
            "rounds": list(rounds),
            "stopped": stopped,
            "replays": accepted["replays"],
            **{key: cost[key] for key in ("calls", "input_tokens", "output_tokens", "fallbacks")},
            "fallback_reasons": cost["reasons"],
        }
    )


def skipped(namespace: Namespace, consolidation: str, why: str) -> Report:
    """Report of a consolidation that did not begin."""
    return Report(id=consolidation, namespace=list(namespace), skipped=why)


BUSY = "another consolidation of this namespace is under way"


def begun(snapshot_: Mapping[str, Any]) -> str:
    """Why there is nothing to do; empty when there is."""
    if snapshot_["warm_up"]:
        return f"warming up: {snapshot_['warm_up']} more episodes with a known outcome are needed"
    if not snapshot_["new"]:
        return "no episode is new"
    return ""


def consolidate(
    means: Means,
    *,
    consolidation: str | None = None,
    provenance: Provenance | None = None,
    progress: Progress | None = None,
) -> Stage:
    """Consolidate a namespace; returns a `Report`. One consolidation of a namespace runs at a time: a second one is skipped, and says so."""
    namespace, settings = means.namespace, means.settings
    name = consolidation or uuid.uuid4().hex
    token: int | None = yield from acquire(namespace, name, settings)
    if token is None:
        return skipped(namespace, name, BUSY)
    held: Held = yield Call(lambda engine: Held(engine.ledger, lease_name(namespace), name, settings.lease, token))
    try:
        report = yield from _held(means, name, held, provenance or Provenance(), progress or silent)
    except GeneratorExit:  # interrupted or cancelled: requests are answered no more
        held.abandon()
        raise
    except Exception:
        yield Call(lambda _: held.close())
        raise
    yield Call(lambda _: held.close())
    return report


def _held(means: Means, name: str, held: Held, provenance: Provenance, progress: Progress) -> Stage:
    namespace, settings = means.namespace, means.settings

    def worked() -> Stage:
        held.works()
        yield from renew(namespace, name, settings)

    point("consolidation.held")
    taken: Json = yield from snapshot(means, name)
    point("consolidation.looked")
    progress({"stage": "snapshot", "position": taken["position"], "new": taken["new"], "clusters": len(taken["jobs"])})
    nothing = begun(taken)
    cost, replays = Cost(), 0
    results: list[Json] = []
    for job in jobs_of(taken):
        result: Json = yield from induce_cluster(means, job, taken)
        point("consolidation.induced")
        results.append(result)
        cost.plus(result["cost"])
        replays += result["replays"]
        progress({"stage": "induce", "cluster": job["cluster"], "induced": result["induced"], "why": result["why"]})
        yield from worked()
    units = {unit["skill"]["node"]: unit for result in results for unit in result["units"]}
    rounds: list[Json] = []
    stopped = nothing or "nothing was proposed"
    for round_ in range(1, settings.rounds + 1):
        going = [node for node, unit in units.items() if not unit["done"]]
        if not going:
            break
        for node in going:
            units[node] = yield from rewrite_unit(means, units[node], round_)
            point("consolidation.rewritten")
            cost.plus(units[node]["cost"])
            replays += units[node]["replays"]
            yield from worked()
        verdict, entry = round_over([units[node] for node in going], round_, settings)
        rounds.append(entry)
        stopped = verdict.why
        progress({"stage": "rewrite", **entry})
        if verdict.done:
            break
    tended: list[Json] = []
    for batch in taken["facts"]:
        tended.append((yield from tend(means, batch, taken["since"])))
        point("consolidation.tended")
        cost.plus(tended[-1]["cost"])
        progress({"stage": "facts", "batch": len(tended), "of": len(taken["facts"])})
        yield from worked()
    point("consolidation.accepting")
    lease, withheld = (lease_name(namespace), held.token), [item for result in results for item in result["withheld"]]
    accepted: Json = yield from accept(means, taken, list(units.values()), provenance, lease=lease, tended=tended, withheld=withheld)
    point("consolidation.accepted")
    progress({"stage": "accept", "operation": accepted["operation"], "active": accepted["active"]})
    return report_of(taken, results, rounds, accepted | {"cost": cost.as_dict(), "replays": replays}, stopped)
