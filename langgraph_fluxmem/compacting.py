"""Compaction as a stage: the past up to a horizon is dropped, then every file is made anew without what was deleted from it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from langgraph_fluxmem.errors import ConfigError
from langgraph_fluxmem.ledger import compacting
from langgraph_fluxmem.progress import Progress, silent
from langgraph_fluxmem.requests import Call, Stage
from langgraph_fluxmem.testing.faults import point

if TYPE_CHECKING:
    from langgraph_fluxmem.engine import Engine

Keep = int | dt.timedelta


class Compacted(BaseModel):
    """What compaction did.

    Attributes:
        horizon: log position up to which nothing can be undone, or read as of then, any more; 0: all of the past was kept.
        versions, vectors, edges, evidence, operations: rows dropped, each at most once over all compactions.
        before, after: bytes of the ledger.
        left: what could not be cleaned, and why; empty when all was.

    """

    model_config = ConfigDict(frozen=True)

    horizon: int = 0
    versions: int = 0
    vectors: int = 0
    edges: int = 0
    evidence: int = 0
    operations: int = 0
    before: int = 0
    after: int = 0
    left: tuple[str, ...] = ()

    def __str__(self) -> str:
        past = f"up to position {self.horizon}" if self.horizon else "nothing of the past"
        rows = f"{self.versions} versions, {self.vectors} vectors, {self.edges} edges, {self.evidence} rows of evidence"
        lines = [f"dropped {past}: {rows}, {self.operations} operations; {self.before:,} bytes before, {self.after:,} after"]
        return "\n".join([*lines, *(f"not cleaned: {line}" for line in self.left)])


def compact(keep: Keep | None, progress: Progress | None) -> Stage:
    """Compact; returns `Compacted`.

    Raises:
        ConfigError: `keep` is neither a number of operations nor an age. LedgerError: the files are busy, or the disk is full.
    """
    if keep is not None and (isinstance(keep, bool) or not isinstance(keep, (int, dt.timedelta))):
        raise ConfigError(f"keep is {keep!r}; give how many of the newest operations stay undoable, or a timedelta, or None for all")
    return (yield Call(lambda engine: _compacted(engine, keep, progress or silent)))


def _compacted(engine: Engine, keep: Keep | None, progress: Progress) -> Compacted:
    ledger = engine.ledger
    size = ledger.size()
    count, before = (None, ledger.now() - keep.total_seconds()) if isinstance(keep, dt.timedelta) else (keep, None)
    horizon = ledger.transact(lambda tx: compacting.set_horizon(tx, count, before))
    point("compact.after_horizon")
    out = compacting.Dropped()
    namespaces = ledger.read(compacting.namespace_ids) if horizon else []
    for done, ns in enumerate(namespaces, 1):
        out.add(ledger.transact(lambda tx, ns=ns: compacting.compact_namespace(tx, ns, horizon)))
        point("compact.after_namespace")
        progress({"stage": "rows", "done": done, "of": len(namespaces), "versions": out.versions})
    if horizon:
        ledger.transact(lambda tx: compacting.freeze(tx, horizon))
        before_pass = -1
        while before_pass < out.operations:
            before_pass = out.operations
            for at in compacting.pages(horizon):
                out.add(ledger.transact(lambda tx, at=at: compacting.compact_log(tx, at, horizon)))
            progress({"stage": "log", "operations": out.operations})
    point("compact.before_clean")
    progress({"stage": "files"})
    ledger.clean()
    point("compact.before_chroma")
    progress({"stage": "chroma"})
    trouble = engine.projections.renew()
    point("compact.after_chroma")
    engine.projections.follow()
    return Compacted(
        horizon=horizon,
        versions=out.versions,
        vectors=out.vectors,
        edges=out.edges,
        evidence=out.evidence,
        operations=out.operations,
        before=size,
        after=ledger.size(),
        left=() if trouble is None else (f"Chroma: {trouble}; its files hold deleted vectors and ids, no text",),
    )
