"""Rows of evidence with the operations that wrote them, as `Proof`s."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from langgraph_fluxmem.explaining.model import Proof
from langgraph_fluxmem.ledger.rows import EvidenceRow, NodeRow, OperationRow
from langgraph_fluxmem.requests import Fetch, Stage


def proofs(rows: Sequence[tuple[EvidenceRow, bool]], by_position: Mapping[int, NodeRow], most: int) -> Stage:
    """The newest `most` rows as `Proof`s, newest first. `by_position` are episodes by the operation that wrote them: what evidence came with."""
    newest = sorted(rows, key=lambda one: (-one[0].op, one[0].target, one[0].channel))[:most]
    operations: dict[int, OperationRow] = yield Fetch("operations_at", (tuple(sorted({row.op for row, _ in newest})),))
    return tuple(_proof(row, counts, operations[row.op], by_position.get(row.op)) for row, counts in newest if row.op in operations)


def by_position(rows: Iterable[NodeRow]) -> dict[int, NodeRow]:
    """Episodes by the log position of the operation that wrote them."""
    return {row.op: row for row in rows}


def _proof(row: EvidenceRow, counts: bool, operation: OperationRow, episode: NodeRow | None) -> Proof:
    body = (episode.body if episode is not None else None) or {}
    return Proof(
        target=row.target,
        channel=row.channel,
        weight=row.weight,
        operation=operation.id,
        verb=operation.kind,
        at=operation.at,
        position=operation.position,
        commit=row.commit,
        thread_id=operation.provenance.thread_id,
        run_id=operation.provenance.run_id,
        task=str(body.get("task", "")),
        outcome=body.get("outcome"),
        counts=counts,
    )
