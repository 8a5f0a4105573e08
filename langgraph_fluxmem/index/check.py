"""Comparing projections with the ledger: one line for each difference. Written apart from the code that builds them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from langgraph_fluxmem.index.chroma import ChromaStore, Record, namespace_name, record_id
from langgraph_fluxmem.index.namespace import NamespaceArrays
from langgraph_fluxmem.schema import Namespace, Vector

if TYPE_CHECKING:
    from langgraph_fluxmem.ledger import Ledger
    from langgraph_fluxmem.ledger.rows import NodeRow

CLOSE = 1e-4
"""Chroma keeps cosine vectors normalised, which moves them by about 1e-7."""


def array_differences(namespace: Namespace, arrays: NamespaceArrays, rows: Sequence[NodeRow], vectors: Mapping[str, Vector]) -> list[str]:
    """Differences between the arrays of a namespace and its live rows that have a text, with the ledger's vectors by content hash."""
    where = "/".join(namespace)
    live = np.flatnonzero(arrays.alive.read()).tolist()
    held = {arrays.ids[slot]: slot for slot in live}
    lines = [f"exact {where}: {version} is missing" for version in (row.id for row in rows) if version not in held]
    expected = {row.id: row for row in rows}
    lines += [f"exact {where}: {version} is not live in the ledger" for version in held if version not in expected]
    if len(held) != len(live):
        lines.append(f"exact {where}: {len(live)} live slots hold {len(held)} different versions; expected one slot each")
    both = {version: slot for version, slot in held.items() if version in expected}
    for version, slot in both.items():
        lines += [f"exact {where}: {version} {text}" for text in _row_differences(arrays, slot, expected[version], vectors)]
    lines += [f"exact {where}: {text}" for text in _order_differences(arrays, both, rows)]
    lines += [f"postings {where}: {text}" for text in _posting_differences(arrays, both, expected)]
    return lines


def _row_differences(arrays: NamespaceArrays, slot: int, row: NodeRow, vectors: Mapping[str, Vector]) -> Iterator[str]:
    def name(names: Sequence[str], code: int) -> str | None:
        return None if code < 0 else names[code] if code < len(names) else f"code {code}"

    found: dict[str, Any] = {
        "log position": int(arrays.op.read()[slot]),
        "source": name(arrays.sources.names, int(arrays.source.read()[slot])),
        "speaker": name(arrays.speakers.names, int(arrays.speaker.read()[slot])),
        "commit": name(arrays.commits.names, int(arrays.commit.read()[slot])),
        "position": float(arrays.place.read()[slot]),
    }
    position = np.inf if row.position is None else float(row.position)
    wanted = {"log position": row.op, "source": row.source, "speaker": row.speaker, "commit": row.commit, "position": position}
    for key, value in wanted.items():
        if found[key] != value:
            yield f"has {key} {found[key]!r}; the ledger says {value!r}"
    if arrays.slot_of.get(row.id) != slot:
        yield f"is looked up at slot {arrays.slot_of.get(row.id)}; it is at {slot}"
    if arrays.nodes.get(row.node) != slot:
        yield f"is not what its node {row.node} leads to"
    held = arrays.vectors.vectors_at(slot)
    expected = [vectors[text.hash] for text in row.texts if text.hash in vectors]
    if len(held) != len(expected):
        yield f"has {len(held)} vectors; the ledger has {len(expected)}"
    elif any(not np.array_equal(mine, theirs) for mine, theirs in zip(held, expected, strict=True)):
        yield "has another vector than the ledger"


def _order_differences(arrays: NamespaceArrays, held: Mapping[str, int], rows: Sequence[NodeRow]) -> Iterator[str]:
    sources: defaultdict[str, list[tuple[float, int, int, str]]] = defaultdict(list)
    order, before, after = arrays.chain.order.read(), arrays.chain.before.read(), arrays.chain.after.read()
    for row in rows:
        if row.id not in held:
            continue
        if row.source is None:
            if order[held[row.id]] != -1:
                yield f"{row.id} has place {order[held[row.id]]} and no source"
            continue
        position = np.inf if row.position is None else float(row.position)
        sources[row.source].append((position, row.op, held[row.id], row.id))
    for source, members in sources.items():
        members.sort()
        slots = [member[2] for member in members]
        for rank, (_, _, slot, version) in enumerate(members):
            neighbours = (slots[rank - 1] if rank else -1, slots[rank + 1] if rank + 1 < len(slots) else -1)
            if (order[slot], before[slot], after[slot]) != (rank, *neighbours):
                yield f"{version} has place {order[slot]} in source {source!r} between {before[slot]} and {after[slot]}; expected {rank} between {neighbours}"


def _posting_differences(arrays: NamespaceArrays, held: Mapping[str, int], expected: Mapping[str, NodeRow]) -> Iterator[str]:
    terms: dict[str, dict[int, int]] = {}
    version_of = {slot: version for version, slot in held.items()}
    for version, slot in held.items():
        words = [term for text in expected[version].texts for term in text.terms.split()]
        if arrays.postings.terms_of(slot) != words:
            yield f"the terms of {version} are {arrays.postings.terms_of(slot)[:8]}...; the ledger has {words[:8]}..."
        for term, frequency in Counter(words).items():
            terms.setdefault(term, {})[slot] = frequency
    for term in {*terms, *arrays.postings.vocabulary}:
        slots, frequencies = arrays.postings.posting(term, len(arrays))
        if len(slots) > 1 and not bool((np.diff(slots) > 0).all()):
            yield f"the slots of term {term!r} are not in order"
        found = {slot: frequency for slot, frequency in zip(slots.tolist(), frequencies.tolist(), strict=True) if slot in version_of}
        wanted = terms.get(term, {})
        for slot in sorted(found.keys() | wanted.keys()):
            if found.get(slot, 0) != wanted.get(slot, 0):
                yield f"term {term!r} counts {found.get(slot, 0)} in {version_of[slot]}; the ledger says {wanted.get(slot, 0)}"


def chroma_differences(ledger: Ledger, store: ChromaStore, kinds: Sequence[str]) -> list[str]:
    """Differences between a Chroma collection and the live rows of every namespace; both are read as they are now."""
    lines: list[str] = []
    expected: dict[str, tuple[Namespace, str, str]] = {}
    for namespace in ledger.namespaces():
        for row in ledger.nodes(namespace, kinds=kinds, bodies=False):
            for index, text in enumerate(row.texts):
                expected[record_id(row.id, index)] = (namespace, row.node, text.hash)
    seen: set[str] = set()
    page: list[Record] = []
    for record in store.records():
        seen.add(record.id)
        page.append(record)
        if len(page) == 1_000:
            lines += _record_differences(ledger, page, expected)
            page = []
    lines += _record_differences(ledger, page, expected)
    for namespace in {entry[0] for record, entry in expected.items() if record not in seen}:
        absent = {record: entry[2] for record, entry in expected.items() if record not in seen and entry[0] == namespace}
        known = ledger.vectors(namespace, list(set(absent.values())))
        lines += [f"chroma: {record} of {namespace_name(namespace)} is missing" for record, digest in absent.items() if digest in known]
    return lines


def _record_differences(ledger: Ledger, page: Sequence[Record], expected: Mapping[str, tuple[Namespace, str, str]]) -> list[str]:
    lines = [f"chroma: {record.id} is not live in the ledger" for record in page if record.id not in expected]
    by_namespace: defaultdict[Namespace, list[Record]] = defaultdict(list)
    for record in page:
        if record.id in expected:
            by_namespace[expected[record.id][0]].append(record)
    for namespace, records in by_namespace.items():
        vectors = ledger.vectors(namespace, list({expected[record.id][2] for record in records}))
        for record in records:
            _, node, digest = expected[record.id]
            wanted = {"namespace": namespace_name(namespace), "node": node}
            if dict(record.metadata) != wanted:
                lines.append(f"chroma: {record.id} has metadata {dict(record.metadata)}; expected {wanted}")
            if record.document is not None:
                lines.append(f"chroma: {record.id} holds a text; expected none")
            vector = vectors.get(digest)
            if vector is None:
                lines.append(f"chroma: {record.id} has a vector that the ledger lacks")
            elif vector.shape != record.vector.shape or float(np.abs(vector - record.vector).max()) > CLOSE:
                lines.append(f"chroma: {record.id} has another vector than the ledger")
    return lines
