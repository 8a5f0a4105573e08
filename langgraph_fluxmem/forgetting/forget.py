"""Forgetting as a stage: choose, list what rests on it, erase, and look again until nothing of it is left."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from langgraph_fluxmem.consolidation.run import lease_name
from langgraph_fluxmem.consolidation.snapshot import cursor_name
from langgraph_fluxmem.forgetting.asked import Asked
from langgraph_fluxmem.forgetting.derived import derived
from langgraph_fluxmem.forgetting.report import Forgotten, Removed
from langgraph_fluxmem.ledger import forgetting as erasing
from langgraph_fluxmem.ledger.sql import Session
from langgraph_fluxmem.requests import Call, Stage
from langgraph_fluxmem.schema import Namespace, Provenance

if TYPE_CHECKING:
    from langgraph_fluxmem.engine import Engine

TRIES = 5
"""How often it is looked for something that was made of the forgotten meanwhile."""

Chosen = dict[Namespace, list[Removed]]


def forget(asked: Asked, *, dry_run: bool, provenance: Provenance) -> Stage:
    """Forget what is asked for, for good. Returns `Forgotten`; with `dry_run` nothing is written.

    Raises:
        UnknownIdError: an id that the namespace does not hold.
    """
    return (yield Call(lambda engine: _forgotten(engine, asked, dry_run=dry_run, provenance=provenance)))


def _forgotten(engine: Engine, asked: Asked, *, dry_run: bool, provenance: Provenance) -> Forgotten:
    chosen = engine.ledger.read(lambda session: choose(session, asked))
    everything = dict(chosen)
    done = erase(engine, chosen, whole=asked.whole, provenance=provenance, rehearse=dry_run)
    for _ in range(0 if dry_run or asked.ids else TRIES):
        # What was written between choosing and erasing; mostly nothing.
        late = engine.ledger.read(lambda session: choose(session, asked))
        if not late:
            break
        for namespace, more in late.items():
            everything[namespace] = [*everything.get(namespace, ()), *more]
        done += erase(engine, late, whole=asked.whole, provenance=provenance)
    if not dry_run and done:
        engine.forgot()
    return _report(everything, done, dry_run=dry_run)


def choose(session: Session, asked: Asked) -> Chosen:
    """What is asked for and what rests on it, by namespace; namespaces that have nothing of it are left out."""
    chosen: Chosen = {}
    for namespace in asked.namespaces(session):
        found = asked.nodes(session, namespace)
        rest = {} if asked.whole else derived(session, namespace, found)
        if found:
            chosen[namespace] = [
                *(Removed(id=version.id, node=node, kind=version.kind, namespace=namespace) for node, version in found.items()),
                *(
                    Removed(id=version.id, node=node, kind=version.kind, namespace=namespace, why=why)
                    for node, (version, why) in rest.items()
                ),
            ]
    return chosen


def erase(engine: Engine, chosen: Chosen, *, whole: bool, provenance: Provenance, rehearse: bool = False) -> list[erasing.Erased]:
    """Erase what was chosen, in one transaction."""
    wanted: dict[Namespace, Collection[str] | None] = {
        namespace: None if whole else [found.node for found in nodes] for namespace, nodes in chosen.items()
    }
    skills = [namespace for namespace, nodes in chosen.items() if any(found.kind == "skill" for found in nodes)]
    try:
        done = engine.ledger.transact(
            lambda tx: erasing.forget(
                tx,
                wanted,
                provenance=provenance,
                leases_of={namespace: lease_name(namespace) for namespace in wanted},
                again=[cursor_name(namespace) for namespace in skills],
                rehearse=rehearse,
            )
        )
    except erasing.Rehearsal as rehearsal:
        return rehearsal.erased
    engine.projections.follow()
    return done


def _report(chosen: Chosen, done: Iterable[erasing.Erased], *, dry_run: bool) -> Forgotten:
    parts = list(done)
    removed = [found for nodes in chosen.values() for found in nodes]
    return Forgotten(
        dry_run=dry_run,
        operations=() if dry_run else tuple(part.operation for part in parts),
        removed=tuple(sorted(removed, key=lambda found: found.why != "asked")),
        versions=sum(part.versions for part in parts),
        vectors=sum(part.vectors for part in parts),
        edges=sum(part.edges for part in parts),
        evidence=sum(part.evidence for part in parts),
        threads=tuple(sorted(set().union(*(part.threads for part in parts)))),
        mentioned=tuple(sorted(set().union(*(part.mentioned for part in parts)))),
    )
