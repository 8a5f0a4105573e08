"""Import: an export's operations are written as they were, in their order, with their ids and times.

So the same import again changes nothing, an interrupted one goes on, and what was forgotten here does not come back by it. Positions differ
from those of the memory it came from; what names one (a consolidation, and the skills it wrote) is told the new one, once: a later export
of the same memory is written over an earlier one.
"""

from __future__ import annotations

import base64
import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from langgraph_fluxmem.consolidation.snapshot import KIND as CONSOLIDATE
from langgraph_fluxmem.consolidation.snapshot import cursor_name, operation_id, read_operation_id
from langgraph_fluxmem.edits import Applied, CommitWrite, EdgeWrite, EvidenceWrite, NodeWrite, Plan, Text, VectorWrite, Write
from langgraph_fluxmem.errors import ConfigError, EmbeddingMismatchError, InvalidContentError, LedgerError, SchemaVersionError
from langgraph_fluxmem.indexing import indexed_again
from langgraph_fluxmem.ledger import apply as applying
from langgraph_fluxmem.ledger import leases
from langgraph_fluxmem.ledger.exporting import ids_of
from langgraph_fluxmem.ledger.plans import Prepared, prepare
from langgraph_fluxmem.ledger.writer import Transaction
from langgraph_fluxmem.moving.embedded import embedded_text
from langgraph_fluxmem.moving.exporting import FORMAT, FORMAT_VERSION, Place, opened
from langgraph_fluxmem.namespaces import check_namespace
from langgraph_fluxmem.progress import Progress
from langgraph_fluxmem.requests import Call, Stage
from langgraph_fluxmem.schema import Namespace, Provenance
from langgraph_fluxmem.testing.faults import point
from langgraph_fluxmem.text import VERSION as TERMS

if TYPE_CHECKING:
    from langgraph_fluxmem.engine import Engine

BATCH = 200
"""Operations in one transaction."""


class Imported(BaseModel):
    """What an import wrote: `operations` that were new, `duplicates` that were there already (or were forgotten here), and how many texts were
    embedded."""

    model_config = ConfigDict(frozen=True)

    operations: int = 0
    duplicates: int = 0
    nodes: int = 0
    embedded: int = 0
    namespaces: tuple[Namespace, ...] = ()


@dataclass(slots=True)
class _State:
    """What is known while a file is read. `old` and `new` are positions of the operations of a namespace so far, there and here;
    `consolidations` their operation ids here by name."""

    again: bool
    reindex: bool
    operations: int = 0
    duplicates: int = 0
    nodes: int = 0
    embedded: int = 0
    namespaces: dict[Namespace, None] = field(default_factory=dict[Namespace, None])
    consolidations: dict[Namespace, dict[str, str]] = field(default_factory=dict[Namespace, dict[str, str]])
    old: dict[Namespace, list[int]] = field(default_factory=lambda: defaultdict[Namespace, list[int]](list))
    new: dict[Namespace, list[int]] = field(default_factory=lambda: defaultdict[Namespace, list[int]](list))

    def position(self, namespace: Namespace, old: int) -> int:
        """The position here for one there: that of the last operation of the namespace (as it is called here) up to it."""
        at = bisect_right(self.old[namespace], old)
        return self.new[namespace][at - 1] if at else 0


def import_(place: Place, *, into: Mapping[tuple[str, ...], Sequence[str]] | None, reembed: bool, progress: Progress | None) -> Stage:
    """Read an export into the memory; returns `Imported`.

    Raises:
        InvalidContentError: no export, or one that was cut off. SchemaVersionError: of a newer version. EmbeddingMismatchError: its vectors are
        of another embedding. LedgerError: the file cannot be read, or its nodes are here in another namespace.
    """
    names = {check_namespace(tuple(old)): check_namespace(tuple(new)) for old, new in (into or {}).items()}
    return (yield Call(lambda engine: _imported(engine, place, names, reembed=reembed, progress=progress)))


def _imported(engine: Engine, place: Place, into: Mapping[Namespace, Namespace], *, reembed: bool, progress: Progress | None) -> Imported:
    with opened(place, "r") as file:
        lines = _lines(file)
        header = next(lines, None)
        state = _State(_check(header, engine, reembed=reembed), (header or {}).get("terms") != TERMS)
        ended: int | None = None
        batch: list[Mapping[str, Any]] = []
        for line in lines:
            if "end" in line:
                ended = int(line["end"])
                break
            # What a consolidation writes names positions of the operations before it, so it begins a batch.
            if len(batch) >= BATCH or line.get("kind") == CONSOLIDATE:
                _write(engine, batch, into, state)
                batch = []
                if progress is not None:
                    progress({"operations": state.operations, "duplicates": state.duplicates, "embedded": state.embedded})
            batch.append(line)
        _write(engine, batch, into, state)
    engine.projections.follow()
    missing = set(into) - {old for old in into if into[old] in state.namespaces}
    read = state.operations + state.duplicates
    if ended != read:
        raise InvalidContentError(
            f"the export ends early, after {read} operations, which are imported; get the whole file and import it again"
        )
    if missing:
        raise ConfigError(f"into= names {'.'.join(next(iter(missing)))!r}, which the export does not hold; the rest is imported")
    return Imported(
        operations=state.operations,
        duplicates=state.duplicates,
        nodes=state.nodes,
        embedded=state.embedded,
        namespaces=tuple(state.namespaces),
    )


def _lines(file: IO[str]) -> Iterator[Any]:
    for number, text in enumerate(file, 1):
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if not isinstance(line, dict):
            raise InvalidContentError(
                f"line {number} of the export is no JSON object; it was cut off or is no export: what stands before it is imported, if anything"
            )
        yield line


def _check(header: Any, engine: Engine, *, reembed: bool) -> bool:
    """Check the header; whether texts have to be embedded anew."""
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise InvalidContentError(f"this is no export of a memory: its first line does not say {FORMAT!r}; write one with export()")
    if header.get("version") != FORMAT_VERSION:
        raise SchemaVersionError(
            f"the export has format version {header.get('version')!r}, this package knows {FORMAT_VERSION}: upgrade with pip install -U langgraph_fluxmem"
        )
    embedding = header.get("embedding")
    if embedding is None or embedding[0] == engine.embedder.fingerprint:
        return reembed or not header.get("vectors")
    if header.get("vectors") and not reembed:
        raise EmbeddingMismatchError(
            f"the export holds vectors of {embedding[0]!r}, this memory is opened with {engine.embedder.fingerprint!r}; open it with that "
            "embedding, or pass reembed=True to embed the texts anew"
        )
    return True


def _write(engine: Engine, batch: Sequence[Mapping[str, Any]], into: Mapping[Namespace, Namespace], state: _State) -> None:
    """Write some operations in one transaction."""
    if not batch:
        return
    prepared = [_prepared(engine, line, into, state) for line in batch]
    fingerprint = engine.embedder.fingerprint

    def run(tx: Transaction) -> list[Applied]:
        done: list[Applied] = []
        for plan, line in zip(prepared, batch, strict=True):
            tx.at(float(line["at"]))
            done.append(applying.apply(tx, plan, fingerprint))
            if plan.plan.kind == CONSOLIDATE:
                leases.set_cursor(tx, cursor_name(plan.plan.namespace), 1)
        return done

    for line, plan, applied in zip(batch, prepared, engine.ledger.transact(run), strict=True):
        namespace = plan.plan.namespace
        if applied.duplicate and (held := engine.ledger.operation(applied.operation)) is not None and held.namespace != namespace:
            raise LedgerError(
                f"operation {applied.operation!r} is in this memory already, in the namespace {'.'.join(held.namespace)!r}; "
                f"import {'.'.join(namespace)!r} into another memory"
            )
        state.old[namespace].append(int(line["position"]))
        state.new[namespace].append(applied.position)
        state.namespaces[namespace] = None
        state.operations += not applied.duplicate
        state.duplicates += applied.duplicate
        state.nodes += 0 if applied.duplicate else len(plan.nodes)
    point("import.after_batch")


def _prepared(engine: Engine, line: Mapping[str, Any], into: Mapping[Namespace, Namespace], state: _State) -> Prepared:
    try:
        _ = float(line["at"]), int(line["position"])
        namespace = tuple(line["namespace"])
        namespace = into.get(namespace, namespace)
        nodes = [_node(node, namespace, state) for node in line.get("nodes", ())]
        writes: list[Write] = [
            *nodes,
            *(EdgeWrite(kind, src, dst, weight) for kind, src, dst, weight in line.get("edges", ())),
            *(EvidenceWrite(target, activation, channel, weight) for target, activation, channel, weight in line.get("evidence", ())),
            *_vectors(engine, namespace, nodes, line.get("vectors", {}), state),
        ]
        commit = line.get("commit")
        if commit is not None:
            came_after = (tuple(commit[name]) for name in ("seen", "alone", "above"))
            writes.append(CommitWrite(commit["id"], commit["episode"], commit["digest"], *came_after))
        operation = str(line["operation"])
        if line["kind"] == CONSOLIDATE:
            old, name = read_operation_id(operation)
            held = _consolidations(engine, namespace, state)
            operation = held.setdefault(name, operation_id(name, state.position(namespace, old)))
        return prepare(Plan(operation, str(line["kind"]), namespace, tuple(writes), Provenance(**line.get("from", {}))))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InvalidContentError):
            raise
        raise InvalidContentError(
            f"operation {line.get('operation')!r} of the export cannot be read ({type(error).__name__}: {error}); export again"
        ) from error


def _consolidations(engine: Engine, namespace: Namespace, state: _State) -> dict[str, str]:
    """Operation ids of the consolidations here, by their names. The same one has another position in its id in each memory, and would have
    another one after each export: what it looked at last may not be in a later one, because something newer took its place."""
    if namespace not in state.consolidations:
        found = engine.ledger.read(lambda session: ids_of(session, namespace, CONSOLIDATE))
        state.consolidations[namespace] = {read_operation_id(id_)[1]: id_ for id_ in found}
    return state.consolidations[namespace]


def _node(node: Mapping[str, Any], namespace: Namespace, state: _State) -> NodeWrite:
    body = dict(node["body"])
    if node["kind"] == "skill" and isinstance(body.get("position"), int):
        body["position"] = state.position(namespace, body["position"])
    texts = tuple(Text(path, hash_, terms) for path, hash_, terms in node.get("texts", ()))
    if state.reindex:
        texts = indexed_again(node["kind"], node.get("speaker"), body, texts)
    more: dict[str, Any] = {name: node.get(name) for name in ("key", "source", "position", "speaker", "created_at", "expires_at", "ttl")}
    return NodeWrite(id=node["id"], node=node["node"], kind=node["kind"], body=body, texts=texts, **more)


def _vectors(
    engine: Engine, namespace: Namespace, nodes: Sequence[NodeWrite], given: Mapping[str, str | None], state: _State
) -> list[VectorWrite]:
    if not given:
        return []
    if not state.again:
        return [VectorWrite(hash_, np.frombuffer(base64.b64decode(blob), "<f4")) for hash_, blob in given.items() if blob]
    wanted: dict[str, str] = {}
    for node in nodes:
        for text in node.texts:
            if text.hash in given and text.hash not in wanted and node.body is not None:
                said = embedded_text(node.kind, node.body, text.path, text.hash)
                if said is not None:
                    wanted[text.hash] = said
    known = engine.ledger.vectors(namespace, list(wanted))
    missing = {hash_: text for hash_, text in wanted.items() if hash_ not in known}
    matrix = engine.embedder.embed(list(missing.values()))
    state.embedded += len(missing)
    return [VectorWrite(hash_, vector) for hash_, vector in zip(missing, matrix, strict=True)]
