"""The reads of a batch: get, search, list namespaces. Everything here may block; the engine runs it where that is allowed."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from langgraph.store.base import GetOp, Item, ListNamespacesOp, MatchCondition, SearchItem, SearchOp

from langgraph_fluxmem.schema import Namespace, Vector
from langgraph_fluxmem.storing.fields import value_of
from langgraph_fluxmem.storing.filters import Matcher
from langgraph_fluxmem.storing.shelves import KINDS, Shelf, Shelves, Test, shelves_of
from langgraph_fluxmem.storing.values import copied

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from langgraph_fluxmem.engine import Engine
    from langgraph_fluxmem.index.view import NamespaceView
    from langgraph_fluxmem.ledger.rows import NodeRow

FEW = 64
"""Up to this many namespaces a query asks the exact tier of each; beyond it the shelves' own vectors are scored, so that a search over a
thousand namespaces does not turn the exact tier's cache over."""


@dataclass(frozen=True, slots=True)
class Search:
    """A `SearchOp` with its filter compiled and its query embedded (`vector` None: no query, or no index)."""

    op: SearchOp
    matcher: Matcher | None
    vector: Vector | None = None


class Hit(NamedTuple):
    """Something found; `score` None: by no query, or without a vector."""

    score: float | None
    namespace: Namespace
    row: NodeRow


class _Near(NamedTuple):
    """A version near a query. `far` is the negative score without its last bits, which depend on what was multiplied together: equal
    texts are equally near, and pages agree with one another."""

    far: float
    op: int
    namespace: Namespace
    version: str
    score: float


_rank = itemgetter(0, 1, 2)


@dataclass(slots=True)
class Reader:
    """Answers the reads of one batch. `omit_expired` and `now` (epoch seconds) say what has gone."""

    engine: Engine
    now: float
    omit_expired: bool = False
    _renewed: dict[Namespace, list[str]] = field(default_factory=dict[Namespace, list[str]])

    # ------------------------------------------------------------------------------------------------------------------------- get
    def get(self, ops: Sequence[tuple[int, GetOp]]) -> dict[int, Item | None]:
        """Answers by index."""
        answers: dict[int, Item | None] = {}
        for namespace in dict.fromkeys(op.namespace for _, op in ops):
            mine = [(index, op) for index, op in ops if op.namespace == namespace]
            rows = self.rows(namespace, [op.key for _, op in mine])
            for index, op in mine:
                row = rows.get(op.key)
                answers[index] = None if row is None else _item(row, namespace)
                if row is not None and op.refresh_ttl:
                    self._renew(namespace, row)
        return answers

    def rows(self, namespace: Namespace, keys: Sequence[str]) -> dict[str, NodeRow]:
        """Current facts and items by key, as a caller sees them."""
        return self._current(namespace, keys, expired=not self.omit_expired)

    def standing(self, namespace: Namespace, keys: Sequence[str]) -> dict[str, NodeRow]:
        """Current facts and items by key, also those whose time is over: what a write takes the place of."""
        return self._current(namespace, keys, expired=True)

    def _current(self, namespace: Namespace, keys: Sequence[str], *, expired: bool) -> dict[str, NodeRow]:
        found = self.engine.ledger.current(namespace, list(dict.fromkeys(keys)), expired=expired)
        return {key: row for key, row in found.items() if row.kind in KINDS}

    # ---------------------------------------------------------------------------------------------------------------------- search
    def search(self, search: Search) -> list[SearchItem]:
        """One page of a search.

        Without a query: last written first. With one: by cosine of the best indexed text (equal ones first written first), then those
        without a vector, last written first.
        """
        op = search.op
        shelves = shelves_of(self.engine)
        shelves.refresh()
        prefix = op.namespace_prefix
        namespaces = [name for name in shelves.names() if name[: len(prefix)] == prefix]
        stop = op.offset + op.limit
        if op.limit == 0 or not namespaces:
            return []
        scored: list[Hit] = []
        if search.vector is not None:
            find = self._nearest_of_views if len(namespaces) <= FEW else self._nearest_of_shelves
            scored = find(search, search.vector, shelves, namespaces, stop)
        page: list[Hit] = scored[op.offset :]
        if len(scored) < stop:
            rest = self._newest(search, shelves, namespaces, stop, {hit.row.id for hit in scored})
            start = max(0, op.offset - len(scored))
            page += rest[start : start + op.limit - len(page)]
        if op.refresh_ttl:
            for hit in page:
                self._renew(hit.namespace, hit.row)
        return [_search_item(hit) for hit in page]

    def _newest(self, search: Search, shelves: Shelves, namespaces: Sequence[Namespace], stop: int, seen: set[str]) -> list[Hit]:
        """The last written that match, without those `seen`."""
        found: list[tuple[int, Namespace, NodeRow]] = []
        for shelf in shelves.each(namespaces):
            rows = shelf.newest(stop + len(seen), self._test(search, shelf))
            found += [(-row.op, shelf.namespace, row) for row in rows if row.id not in seen]
        if len(namespaces) > 1:
            found.sort(key=itemgetter(0))
        return [Hit(None, namespace, row) for _, namespace, row in found[:stop]]

    def _nearest_of_views(self, search: Search, vector: Vector, shelves: Shelves, namespaces: Sequence[Namespace], stop: int) -> list[Hit]:
        """The nearest that match, by the exact tier of each namespace (or Chroma, beyond its size)."""
        lists: list[list[_Near]] = []
        for namespace in namespaces:
            view = self.engine.projections.view(namespace)
            if search.matcher is None and not self.omit_expired:
                top = view.dense_top(vector, stop)
            else:
                shelf = shelves.shelf(namespace)
                top = _top_of(view, shelf, self._test(search, shelf), vector, stop)
            scores, ops = view.dense_at(vector, top).tolist(), view.ops[top].tolist()
            lists.append(
                [_Near(round(-score, 6), op, namespace, view.ids[int(row)], score) for score, op, row in zip(scores, ops, top, strict=True)]
            )
        found = list(islice(heapq.merge(*lists, key=_rank), stop))
        loaded: dict[str, NodeRow] = {}
        for namespace in {near.namespace for near in found}:
            loaded.update(self.engine.ledger.load(namespace, [near.version for near in found if near.namespace == namespace]))
        return [
            Hit(near.score, near.namespace, row)
            for near in found
            if (row := loaded.get(near.version)) is not None and row.body is not None  # else deleted in this moment
        ]

    def _nearest_of_shelves(
        self, search: Search, vector: Vector, shelves: Shelves, namespaces: Sequence[Namespace], stop: int
    ) -> list[Hit]:
        """The nearest that match, by the shelves' own vectors."""
        parts: list[NDArray[np.float32]] = []
        owners: list[NodeRow] = []
        names: list[Namespace] = []
        gone: set[str] = set()
        for shelf in shelves.each(namespaces):
            matrix, starts, rows = shelf.vectors(self.engine.ledger)
            if rows:
                scores = matrix @ vector
                parts.append(scores if len(scores) == len(rows) else np.maximum.reduceat(scores, starts))
                owners += rows
                names += [shelf.namespace] * len(rows)
            if self.omit_expired:
                gone |= self._expired(shelf)
        if not parts:
            return []
        every = np.concatenate(parts)
        hits: list[Hit] = []
        ops = np.fromiter((row.op for row in owners), np.int64, len(owners))
        for index in np.lexsort((ops, -np.round(every, 6))).tolist():
            row = owners[index]
            if row.node not in gone and (search.matcher is None or search.matcher(value_of(row))):
                hits.append(Hit(float(every[index]), names[index], row))
                if len(hits) == stop:
                    break
        return hits

    def _test(self, search: Search, shelf: Shelf) -> Test | None:
        matcher = search.matcher
        matches: Test | None = None if matcher is None else lambda row: matcher(value_of(row))
        if not self.omit_expired:
            return matches
        gone = self._expired(shelf)
        if not gone:
            return matches
        return lambda row: row.node not in gone and (matches is None or matches(row))

    def _expired(self, shelf: Shelf) -> set[str]:
        """Nodes whose time is over. The ledger is asked again: another process may have read one and given it more time."""
        doubtful = shelf.expired(self.now)
        if not doubtful:
            return set()
        loaded = self.engine.ledger.load(shelf.namespace, [row.id for row in doubtful])
        shelf.renew(loaded.values())
        return {row.node for row in loaded.values() if row.expires_at is not None and row.expires_at <= self.now}

    # ------------------------------------------------------------------------------------------------------------- namespaces, time
    def list_namespaces(self, op: ListNamespacesOp) -> list[Namespace]:
        """Sorted; conditions first, then `max_depth`, then `offset` and `limit`."""
        if self.omit_expired:
            names = self.engine.ledger.namespaces(KINDS)
        else:
            shelves = shelves_of(self.engine)
            shelves.refresh()
            names = shelves.names()
        found = [name for name in names if all(matches(condition, name) for condition in op.match_conditions or ())]
        if op.max_depth is not None:
            found = sorted({name[: op.max_depth] for name in found})
        return found[op.offset : op.offset + op.limit]

    def _renew(self, namespace: Namespace, row: NodeRow) -> None:
        if row.ttl is not None:
            self._renewed.setdefault(namespace, []).append(row.id)

    def finish(self) -> None:
        """Give what was read its time to live again."""
        for namespace, ids in self._renewed.items():
            self.engine.ledger.refresh_expiry(namespace, ids, self.now)


def _top_of(view: NamespaceView, shelf: Shelf, test: Test | None, vector: Vector, count: int) -> NDArray[np.int32]:
    """The nearest rows that pass a test. Most filters are met by one in some dozens, so the nearest are tried first; only if too few of
    them pass is every entry tested."""
    if test is None:
        return view.dense_top(vector, count)
    asked = 8 * count
    for _ in range(2):
        top = view.dense_top(vector, asked)
        passed = shelf.passing([view.ids[int(row)] for row in top], test)
        if len(passed) >= count or len(top) < asked:
            return top[passed[:count]]
        asked *= 8
    rows = view.rows_of([row.id for row in shelf.newest(None, test)])
    return view.dense_top(vector, count, allowed=rows[rows >= 0])


def matches(condition: MatchCondition, namespace: Namespace) -> bool:
    """Whether a namespace meets a condition; ``"*"`` stands for exactly one label."""
    path = condition.path
    if len(path) > len(namespace):
        return False
    part = namespace[: len(path)] if condition.match_type == "prefix" else namespace[len(namespace) - len(path) :]
    return all(wanted in ("*", label) for wanted, label in zip(path, part, strict=True))


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _item(row: NodeRow, namespace: Namespace) -> Item:
    return Item(
        value=copied(value_of(row)),
        key=row.key,
        namespace=namespace,
        created_at=_moment(row.created_at),
        updated_at=_moment(row.updated_at),
    )


def _search_item(hit: Hit) -> SearchItem:
    row = hit.row
    return SearchItem(hit.namespace, row.key, copied(value_of(row)), _moment(row.created_at), _moment(row.updated_at), hit.score)
