"""Rows of evidence with the operations that wrote them, as `Proof`s."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from langgraph_fluxmem.explaining.model import Proof
from langgraph_fluxmem.ledger.rows import EvidenceRow, NodeRow, OperationRow
from langgraph_fluxmem.requests import Fetch, Stage


class Episodes:
    """Episodes and judged recalls that evidence came with: by the operation that wrote them, and by id."""

    def __init__(self, rows: Iterable[NodeRow]) -> None:
        found = tuple(rows)
        self._by_position = {row.op: row for row in found}
        self._by_id = {row.id: row for row in found}

    def of(self, row: EvidenceRow) -> NodeRow | None:
        """The one a row came with, or else the one that it names."""
        source, _, end = row.target.partition(">")
        return self._by_position.get(row.op) or self._by_id.get(end) or self._by_id.get(source.partition("#")[0])


def proofs(rows: Sequence[tuple[EvidenceRow, bool]], episodes: Episodes, most: int) -> Stage:
    """The newest `most` rows as `Proof`s, newest first."""
    newest = sorted(rows, key=lambda one: (-one[0].op, one[0].target, one[0].channel))[:most]
    operations: dict[int, OperationRow] = yield Fetch("operations_at", (tuple(sorted({row.op for row, _ in newest})),))
    return tuple(_proof(row, counts, operations[row.op], episodes.of(row)) for row, counts in newest if row.op in operations)


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
