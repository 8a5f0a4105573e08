"""What one fact, episode or skill is, where it is from, what evidence names it and what rests on it: a stage that reads, and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langgraph_fluxmem.context import action_text
from langgraph_fluxmem.errors import AmbiguousIdError, UnknownIdError
from langgraph_fluxmem.explaining.model import PROOFS, TIES, Change, NodeExplanation, State, StepTold, Tie, Version
from langgraph_fluxmem.explaining.proofs import Episodes, proofs
from langgraph_fluxmem.graph import MemoryGraph, vertex_of
from langgraph_fluxmem.learning import steps_of
from langgraph_fluxmem.ledger.history import History
from langgraph_fluxmem.ledger.rows import CommitRow, EdgeRow, EvidenceRow, NodeRow, OperationRow
from langgraph_fluxmem.links import node_of
from langgraph_fluxmem.requests import Fetch, Load, Stage
from langgraph_fluxmem.schema import Channel, Namespace
from langgraph_fluxmem.skills import Skill
from langgraph_fluxmem.storing.fields import fact_of


def explain_id(id: str, *, namespace: Namespace | None, half_life: int) -> Stage:
    """The `NodeExplanation` of a version, node, step, episode, run or commit id; with a `namespace` only of what stands there, and
    nothing of any other is told.

    Raises:
        UnknownIdError: nothing is called so (there). AmbiguousIdError: several namespaces have it, and none was named.
    """
    where, node, wanted = yield from _place(id, namespace)
    history: History = yield Fetch("history", (where, node))
    rows: dict[str, NodeRow] = yield Load(where, tuple(name for name, _ in history.versions))
    live = {name for name, counts in history.versions if counts}
    last = next((name for name, _ in reversed(history.versions) if name in live), history.versions[-1][0])
    shown = rows[wanted if wanted in rows else last]
    operations: dict[int, OperationRow] = yield Fetch("operations_at", (_positions(history, rows.values()),))
    versions = tuple(_version(rows[name], operations[rows[name].op], counts=name in live, last=last) for name, _ in history.versions)
    graph = MemoryGraph(where, half_life=half_life)
    graph.add_edges(row for row, counts in history.edges if counts)
    graph.add_evidence(row for row, counts in history.evidence if counts)
    episodes = yield from _episodes_of(where, history)
    ties = yield from _ties(where, node, history, graph, operations)
    told = yield from proofs(history.evidence, episodes, PROOFS)
    first = rows[history.versions[0][0]]
    return NodeExplanation(
        id=shown.id,
        node=node,
        kind=shown.kind,
        namespace=where,
        state=_state(shown, live),
        title=title_of(shown),
        content=text_of(shown),
        source=shown.source,
        speaker=shown.speaker,
        created_at=shown.created_at,
        origin=operations[first.op].provenance,
        versions=versions,
        changes=_changes(history, rows.values(), operations),
        evidence=_sums(history.evidence),
        proofs=told,
        proofs_total=len(history.evidence),
        ties=ties[:TIES],
        ties_total=len(ties),
        dependents=tuple((yield Fetch("dependents", (shown.operation, namespace)))),
        steps=_steps(shown, history),
        pems=tuple(shown.body.get("pems", ())) if shown.kind == "skill" and shown.body else (),
        details=_details(shown),
    )


def _place(id: str, namespace: Namespace | None) -> Stage:
    """Returns (namespace, node, version id or None)."""
    version = id.partition("#")[0]
    places: list[tuple[Namespace, str]] = yield Fetch("places", (version,))
    found = [place for place in places if namespace is None or place[0] == namespace]
    operation: OperationRow | None = None
    if not found:
        commits: list[CommitRow] = (yield Fetch("resolve_episode", (namespace, id))) or (yield Fetch("resolve_run", (id,)))
        operation = None if commits else (yield Fetch("operation", (id,)))
        if operation is not None and operation.commit is not None:
            commits = yield Fetch("commits_named", (operation.namespace, (operation.commit,)))
        for commit in commits:
            if namespace is None or commit.namespace == namespace:
                written: list[NodeRow] = yield Fetch("nodes", (commit.namespace,))
                found += [(commit.namespace, row.node) for row in written if row.op == commit.op and row.kind == "episode"]
    spaces = sorted({place[0] for place in found})
    if not found:
        where = "this memory" if namespace is None else f"namespace {'.'.join(namespace)!r}"
        if operation is not None:
            raise UnknownIdError(
                f"{id!r} is an operation ({operation.kind}); `log` tells of it, and what it wrote can be explained by its own id"
            )
        raise UnknownIdError(
            f"{id!r} names nothing in {where}; give the id of a fact, step, episode, skill, commit or run, as `recall` has them"
        )
    if len(spaces) > 1:
        named = ", ".join(".".join(space) for space in spaces[:10])
        raise AmbiguousIdError(f"{id!r} stands in several namespaces: {named}; say which with namespace= (--namespace)")
    where, node = found[-1]
    return where, node, version if version != node else None


def title_of(row: NodeRow) -> str:
    """What a node is called: the beginning of a fact, the task of an episode, the name of a skill."""
    body = row.body
    if body is None:
        return "(erased)" if row.erased else "(gone)"
    if row.kind == "episode":
        return str(body["task"])
    if row.kind == "skill":
        return str(body["name"])
    if row.kind in ("fact", "item"):
        return " ".join(fact_of(row)[0].split()) or row.key
    if row.kind == "note":
        return "what several facts say alike"
    return row.node


def text_of(row: NodeRow) -> str:
    """All of what a version says, for people."""
    body = row.body
    if body is None:
        return ""
    if row.kind == "skill":
        return Skill.of(body).text()
    if row.kind in ("fact", "item"):
        return fact_of(row)[0]
    if row.kind == "episode":
        return str(body["task"])
    return ", ".join(f"{key}: {value}" for key, value in body.items())


def _positions(history: History, rows: Any) -> tuple[int, ...]:
    found = {row.op for row in rows} | {row.op for row, _ in history.edges} | {row.op for row, _ in history.evidence}
    return tuple(sorted(found))


def _version(row: NodeRow, operation: OperationRow, *, counts: bool, last: str) -> Version:
    state = (
        "erased"
        if row.erased
        else "undone"
        if not counts
        else "tombstone"
        if row.tombstone
        else "current"
        if row.id == last
        else "superseded"
    )
    return Version(
        id=row.id,
        at=operation.at,
        position=row.op,
        operation=row.operation,
        verb=operation.kind,
        state=state,
        text=text_of(row),
        commit=row.commit,
    )


def _state(row: NodeRow, live: set[str]) -> State:
    if row.erased:
        return "erased"
    if row.id not in live:
        return "undone"
    return "gone" if row.tombstone else "current"


def _episodes_of(namespace: Namespace, history: History) -> Stage:
    """The episodes and judged recalls that the evidence names."""
    wanted = {end.partition("#")[0] for row, _ in history.evidence for end in row.target.split(">")}
    loaded: dict[str, NodeRow] = yield Load(namespace, tuple(sorted(wanted)))
    return Episodes(row for row in loaded.values() if row.kind == "episode")


def _ties(namespace: Namespace, node: str, history: History, graph: MemoryGraph, operations: Mapping[int, OperationRow]) -> Stage:
    """The node's live edges with their learned weights, the heaviest first."""
    grouped: dict[tuple[str, str, str], list[EdgeRow]] = {}
    for row, counts in history.edges:
        if counts:
            grouped.setdefault((row.kind, vertex_of(row.src), vertex_of(row.dst)), []).append(row)
    ends = {end.partition("#")[0] for row, counts in history.edges if counts for end in (row.src, row.dst)}
    loaded: dict[str, NodeRow] = yield Load(namespace, tuple(sorted(ends)))
    found: list[Tie] = []
    for rows in grouped.values():
        last = rows[-1]
        incoming = node_of(last.dst.partition("#")[0]) == node
        other = last.src if incoming else last.dst
        end = loaded.get(other.partition("#")[0])
        found.append(
            Tie(
                kind=last.kind,
                other=other,
                other_kind=end.kind if end is not None else None,
                text=title_of(end) if end is not None else "",
                weight=graph.weight(last.src, last.dst, last.kind),
                stored=last.weight,
                incoming=incoming,
                operations=tuple(dict.fromkeys(operations[row.op].id for row in rows)),
            )
        )
    return sorted(found, key=lambda tie: (-tie.weight, tie.kind, tie.other))


def _changes(history: History, rows: Any, operations: Mapping[int, OperationRow]) -> tuple[Change, ...]:
    """Every operation that wrote something about the node, oldest first."""
    did: dict[int, dict[str, int]] = {}

    def note(op: int, what: str) -> None:
        counts = did.setdefault(op, {})
        counts[what] = counts.get(what, 0) + 1

    for row in rows:
        note(row.op, "took it away" if row.tombstone else "wrote a version")
    for edge, _ in history.edges:
        note(edge.op, f"edge {edge.kind}")
    for evidence, _ in history.evidence:
        note(evidence.op, f"evidence of {evidence.channel}" if evidence.weight > 0 else f"withdrew evidence of {evidence.channel}")
    return tuple(
        Change(
            position=position,
            at=operations[position].at,
            operation=operations[position].id,
            verb=operations[position].kind,
            did=tuple(what if count == 1 else f"{what} ({count}x)" for what, count in did[position].items()),
            counts=not operations[position].undone,
            provenance=operations[position].provenance,
        )
        for position in sorted(did)
    )


def _sums(rows: Sequence[tuple[EvidenceRow, bool]]) -> dict[str, float]:
    out: dict[str, float] = {}
    for row, counts in rows:
        if counts:
            out[row.channel] = out.get(row.channel, 0.0) + row.weight
    return out


def _steps(row: NodeRow, history: History) -> tuple[StepTold, ...]:
    if row.kind != "episode" or row.body is None or not row.body.get("steps"):
        return ()
    sums: dict[str, dict[Channel, float]] = {}
    for evidence, counts in history.evidence:
        if counts and "#" in evidence.target:
            channels = sums.setdefault(evidence.target.rpartition("#")[2], {})
            channels[evidence.channel] = channels.get(evidence.channel, 0.0) + evidence.weight
    grounds: dict[str, list[str]] = {}
    for edge, counts in history.edges:
        if counts and edge.kind == "GROUNDS":
            grounds.setdefault(edge.dst.rpartition("#")[2], []).append(edge.src)
    found: list[StepTold] = []
    for ordinal, step in enumerate(steps_of(row.body)):
        counted = sums.get(str(ordinal), {})
        found.append(
            StepTold(
                id=f"{row.id}#{ordinal}",
                ordinal=ordinal,
                action="" if step.action is None else action_text(step.action),
                result=step.result,
                progress=counted.get("progress", 0.0),
                failure=counted.get("failure", 0.0),
                loss=counted.get("loss", 0.0),
                grounds=tuple(dict.fromkeys(grounds.get(str(ordinal), ()))),
            )
        )
    return tuple(found)


def _details(row: NodeRow) -> dict[str, Any]:
    body = row.body
    if body is None:
        return {}
    if row.kind == "episode":
        return {key: body[key] for key in ("id", "outcome", "score", "metadata") if body.get(key) not in (None, {}, "")}
    if row.kind == "skill":
        skill = Skill.of(body)
        trials = skill.trials
        told: dict[str, Any] = {"status": skill.status, "when": skill.when, "text version": skill.number, "written by": skill.source}
        told |= {"successes": trials.successes, "failures": trials.failures, "contexts": trials.contexts}
        return told | ({"tried against": skill.variant_of} if skill.variant_of else {})
    return dict(fact_of(row)[1]) if row.kind in ("fact", "item") else {}
