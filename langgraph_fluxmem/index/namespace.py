"""The growing arrays of one namespace: vectors, postings, and what order, source and speaker each fact has.

A *slot* is a place in the arrays, given once and never moved until `compact`; a *row* is the rank of a live slot in one view.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.index.columns import Column
from langgraph_fluxmem.index.exact import VectorTable
from langgraph_fluxmem.index.postings import Postings
from langgraph_fluxmem.schema import Vector

if TYPE_CHECKING:
    from langgraph_fluxmem.ledger.rows import NodeRow

COMPACT_AT = 256
"""Retired slots are dropped when there are this many and they are more than half as many as the live ones."""


class Codes:
    """Small integers for strings; None is -1."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names: list[str] = list(names)
        self._code = {name: code for code, name in enumerate(self.names)}

    def code(self, name: str | None) -> int:
        """The code of a name, given now when it is new."""
        if name is None:
            return -1
        code = self._code.get(name)
        if code is None:
            code = self._code[name] = len(self.names)
            self.names.append(name)
        return code

    def find(self, name: str) -> int | None:
        """The code of a name that is known."""
        return self._code.get(name)


class Chain:
    """Who stands where in its source: `order` (rank, -1 without a source), `before` and `after` (slots, -1 at the ends)."""

    def __init__(self) -> None:
        self.order: Column[np.int32] = Column(np.int32)
        self.before: Column[np.int32] = Column(np.int32)
        self.after: Column[np.int32] = Column(np.int32)


def chained(
    slots: NDArray[np.integer], source: NDArray[np.int32], place: NDArray[np.float64], op: NDArray[np.int64]
) -> tuple[NDArray[np.integer], NDArray[np.int32], NDArray[np.integer], NDArray[np.integer]]:
    """Order slots (m,) within their sources by (position, log position, slot): (slots, ranks, slots before, slots after)."""
    slots = slots[np.lexsort((slots, op[slots], place[slots], source[slots]))]
    if not len(slots):
        return slots, np.zeros(0, np.int32), slots, slots
    code = source[slots]
    first = np.flatnonzero(np.r_[True, code[1:] != code[:-1]])
    lengths = np.diff(np.r_[first, len(slots)])
    rank = (np.arange(len(slots)) - np.repeat(first, lengths)).astype(np.int32)
    before = np.where(rank > 0, np.roll(slots, 1), -1)
    last = rank == np.repeat(lengths, lengths) - 1
    after = np.where(last, -1, np.roll(slots, -1))
    return slots, rank, before, after


class NamespaceArrays:
    """All arrays of one namespace. One thread at a time may change them; slices given out to views never change.

    `lock` is held while they change; views take it where they read what is no such slice (postings).
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.ids: list[str] = []
        self.slot_of: dict[str, int] = {}
        self.nodes: dict[str, int] = {}
        self.sources = Codes()
        self.speakers = Codes()
        self.commits = Codes()
        self.op: Column[np.int64] = Column(np.int64)
        self.place: Column[np.float64] = Column(np.float64)
        self.source: Column[np.int32] = Column(np.int32)
        self.speaker: Column[np.int32] = Column(np.int32)
        self.commit: Column[np.int32] = Column(np.int32)
        self.alive: Column[np.bool_] = Column(np.bool_)
        self.chain = Chain()
        self.vectors = VectorTable()
        self.postings = Postings()
        self.dead = 0
        self._tails: dict[int, tuple[int, int, tuple[float, int]]] = {}

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays, and about what ids and their dictionaries take."""
        columns = (
            self.op,
            self.place,
            self.source,
            self.speaker,
            self.commit,
            self.alive,
            self.chain.order,
            self.chain.before,
            self.chain.after,
        )
        words = sum(49 + len(name) for name in self.ids) + 200 * len(self.ids)
        return sum(column.nbytes for column in columns) + self.vectors.nbytes + self.postings.nbytes + words

    # ------------------------------------------------------------------------------------------------------------------- changes
    def append(self, rows: Sequence[NodeRow], vectors: Mapping[str, Vector]) -> None:
        """Add versions (those already live are left as they are); an earlier live version of the same node is retired."""
        new = [row for row in rows if not self.holds(row.id)]
        if not new:
            return
        self.retire(row.node for row in new)
        with self.lock:
            base = len(self.ids)
            for slot, row in enumerate(new, base):
                self.ids.append(row.id)
                self.slot_of[row.id] = slot
                self.nodes[row.node] = slot
            self.op.extend([row.op for row in new])
            self.place.extend([np.inf if row.position is None else row.position for row in new])
            self.source.extend([self.sources.code(row.source) for row in new])
            self.speaker.extend([self.speakers.code(row.speaker) for row in new])
            self.commit.extend([self.commits.code(row.commit) for row in new])
            self.alive.extend(np.ones(len(new), dtype=bool))
            self._link(base)
            self.vectors.extend([[vectors[text.hash] for text in row.texts if text.hash in vectors] for row in new])
            self.postings.extend([[term for text in row.texts for term in text.terms.split()] for row in new])

    def holds(self, version: str) -> bool:
        """Whether this version is live here."""
        slot = self.slot_of.get(version)
        return slot is not None and bool(self.alive.read()[slot])

    def retire(self, nodes: Iterable[str]) -> None:
        """Take the live versions of these nodes out of every view made from now on; unknown nodes are passed over."""
        gone = np.array(sorted(slot for slot in (self.nodes.pop(node, None) for node in set(nodes)) if slot is not None), dtype=np.int64)
        if not len(gone):
            return
        with self.lock:
            self.alive.put(gone, values=False)
            self.dead += len(gone)
            self._relink(self.source.read()[gone])

    def compacted(self) -> NamespaceArrays:
        """New arrays without the retired slots; views of the old ones stay as they are."""
        live = np.flatnonzero(self.alive.read())
        out = NamespaceArrays()
        out.ids = [self.ids[slot] for slot in live.tolist()]
        out.slot_of = {version: slot for slot, version in enumerate(out.ids)}
        new_slot = np.full(len(self.ids), -1, dtype=np.int64)
        new_slot[live] = np.arange(len(live))
        out.nodes = {node: int(new_slot[slot]) for node, slot in self.nodes.items()}
        out.sources, out.speakers, out.commits = Codes(self.sources.names), Codes(self.speakers.names), Codes(self.commits.names)
        out.op.extend(self.op.read()[live])
        out.place.extend(self.place.read()[live])
        out.source.extend(self.source.read()[live])
        out.speaker.extend(self.speaker.read()[live])
        out.commit.extend(self.commit.read()[live])
        out.alive.extend(np.ones(len(live), dtype=bool))
        for column in (out.chain.order, out.chain.before, out.chain.after):
            column.extend(np.full(len(live), -1))
        out._relink(out.source.read())
        out.vectors = self.vectors.take(live)
        out.postings = self.postings.take(live)
        return out

    def wants_compaction(self) -> bool:
        """Whether the retired slots have become a burden."""
        return self.dead >= COMPACT_AT and 2 * self.dead > len(self.ids) - self.dead

    def hidden_slots(self, commits: Collection[str]) -> NDArray[np.int64]:
        """Live slots written by these commits."""
        codes = [code for code in map(self.commits.find, commits) if code is not None]
        if not codes:
            return np.zeros(0, np.int64)
        return np.flatnonzero(np.isin(self.commit.read(), codes) & self.alive.read())

    # ------------------------------------------------------------------------------------------------------------------- sources
    def _link(self, base: int) -> None:
        """Give the slots from `base` on their places; sources where one of them does not come last are ordered again."""
        source, place, op = self.source.read(), self.place.read(), self.op.read()
        order: list[int] = []
        before: list[int] = []
        links: list[tuple[int, int]] = []
        unsorted: set[int] = set()
        for slot in range(base, len(self.ids)):
            code = int(source[slot])
            if code < 0:
                order.append(-1)
                before.append(-1)
                continue
            tail = self._tails.get(code)
            key = (float(place[slot]), int(op[slot]))
            if tail is not None and key < tail[2]:
                unsorted.add(code)
                order.append(-1)
                before.append(-1)
                continue
            order.append(0 if tail is None else tail[1] + 1)
            before.append(-1 if tail is None else tail[0])
            if tail is not None:
                links.append((tail[0], slot))
            self._tails[code] = (slot, order[-1], key)
        self.chain.order.extend(order)
        self.chain.before.extend(before)
        self.chain.after.extend(np.full(len(order), -1))
        if links:
            self.chain.after.put_in_place([tail for tail, _ in links], [slot for _, slot in links])
        self._relink(np.array(sorted(unsorted), dtype=np.int32))

    def _relink(self, codes: NDArray[np.integer]) -> None:
        """Order the live slots of these sources again."""
        codes = np.unique(codes[codes >= 0])
        if not len(codes):
            return
        source = self.source.read()
        wanted = np.zeros(len(self.sources.names) + 1, dtype=bool)
        wanted[codes] = True
        member = wanted[source]
        alive = self.alive.read()
        slots, rank, before, after = chained(np.flatnonzero(member & alive), source, self.place.read(), self.op.read())
        gone = np.flatnonzero(member & ~alive)
        touched = np.r_[slots, gone].astype(np.int64)
        none = np.full(len(gone), -1)
        self.chain.order.put(touched, np.r_[rank, none])
        self.chain.before.put(touched, np.r_[before, none])
        self.chain.after.put(touched, np.r_[after, none])
        for code in codes.tolist():
            self._tails.pop(code, None)
        place, op = self.place.read(), self.op.read()
        for index in np.flatnonzero(after == -1).tolist():
            slot = int(slots[index])
            self._tails[int(source[slot])] = (slot, int(rank[index]), (float(place[slot]), int(op[slot])))
