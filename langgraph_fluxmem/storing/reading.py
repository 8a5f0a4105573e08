"""The reads of a batch: get, search, list namespaces. Everything here may block; the engine runs it where that is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from langgraph.store.base import GetOp, Item, ListNamespacesOp, MatchCondition, SearchItem, SearchOp

from langgraph_fluxmem.schema import Namespace, Vector
from langgraph_fluxmem.storing.fields import value_of
from langgraph_fluxmem.storing.filters import Matcher
from langgraph_fluxmem.storing.shelves import KINDS, Shelf, Test, shelves_of
from langgraph_fluxmem.storing.values import copied

if TYPE_CHECKING:
    from langgraph_fluxmem.engine import Engine
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

        Without a query: last written first. With one: by cosine of the best indexed text, then those without a vector, last written first.
        """
        op = search.op
        shelves = shelves_of(self.engine)
        shelves.refresh()
        prefix = op.namespace_prefix
        namespaces = [name for name in shelves.names() if name[: len(prefix)] == prefix]
        stop = op.offset + op.limit
        if op.limit == 0 or not namespaces:
            return []
        scored: list[tuple[float, Namespace, NodeRow]] = []
        if search.vector is not None:
            scored = self._scored(search, search.vector, namespaces, stop)
        page: list[tuple[float | None, Namespace, NodeRow]] = list(scored[op.offset : stop])
        if len(scored) < stop:
            seen = {row.id for _, _, row in scored}
            rest = self._newest(search, namespaces, stop, seen)
            start = max(0, op.offset - len(scored))
            page += [(None, namespace, row) for namespace, row in rest[start : start + op.limit - len(page)]]
        if op.refresh_ttl:
            for _, namespace, row in page:
                self._renew(namespace, row)
        return [_search_item(row, namespace, score) for score, namespace, row in page]

    def _newest(self, search: Search, namespaces: Sequence[Namespace], stop: int, seen: set[str]) -> list[tuple[Namespace, NodeRow]]:
        found: list[tuple[Namespace, NodeRow]] = []
        for namespace in namespaces:
            shelf = shelves_of(self.engine).shelf(namespace)
            test = self._test(search, shelf)
            rows = shelf.newest(stop + len(seen), test)
            found += [(namespace, row) for row in rows if row.id not in seen]
        if len(namespaces) > 1:
            found.sort(key=lambda pair: -pair[1].op)
        return found

    def _scored(self, search: Search, vector: Vector, namespaces: Sequence[Namespace], stop: int) -> list[tuple[float, Namespace, NodeRow]]:
        found: list[tuple[float, Namespace, NodeRow]] = []
        best = self._best_of_view if len(namespaces) <= FEW else self._best_of_shelf
        for namespace in namespaces:
            found += [(score, namespace, row) for score, row in best(search, vector, namespace, stop)]
        found.sort(key=lambda hit: (-hit[0], -hit[2].op))
        return found[:stop]

    def _best_of_view(self, search: Search, vector: Vector, namespace: Namespace, count: int) -> list[tuple[float, NodeRow]]:
        """The best of one namespace by its exact tier (or Chroma, beyond its size)."""
        allowed = None
        shelf: Shelf | None = None
        if search.matcher is not None or self.omit_expired:
            shelf = shelves_of(self.engine).shelf(namespace)
            test = self._test(search, shelf)
            if test is not None:
                allowed = [row.id for row in shelf.newest(None, test)]
                if not allowed:
                    return []
        view = self.engine.projections.view(namespace)
        rows = None
        if allowed is not None:
            rows = view.rows_of(allowed)
            rows = rows[rows >= 0]
        top = view.dense_top(vector, count, allowed=rows)
        scores = view.dense_at(vector, top)
        ids = [view.ids[int(row)] for row in top]
        loaded = self.engine.ledger.load(namespace, ids)
        return [
            (float(score), row)
            for score, version in zip(scores, ids, strict=True)
            if (row := loaded.get(version)) is not None and row.body is not None
        ]

    def _best_of_shelf(self, search: Search, vector: Vector, namespace: Namespace, count: int) -> list[tuple[float, NodeRow]]:
        """The best of one namespace by its shelf's vectors."""
        shelf = shelves_of(self.engine).shelf(namespace)
        scores, owners = shelf.cosines(self.engine.ledger, vector)
        test = self._test(search, shelf)
        order = np.argsort(-scores, kind="stable")
        found: list[tuple[float, NodeRow]] = []
        for index in order.tolist():
            if len(found) >= count:
                break
            row = owners[index]
            if test is None or test(row):
                found.append((float(scores[index]), row))
        return found

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


def _search_item(row: NodeRow, namespace: Namespace, score: float | None) -> SearchItem:
    return SearchItem(namespace, row.key, copied(value_of(row)), _moment(row.created_at), _moment(row.updated_at), score)
