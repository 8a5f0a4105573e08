"""The contract as a small store: what every rule of the kit passes on, and the model that the stateful rules compare with.

Plain Python over one dict, in memory, made to be read rather than to be fast. Each decision is a method of its own, so that tests can
break one at a time and see which rule notices.
"""

from __future__ import annotations

import json
import math
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from langgraph.store.base import (
    BaseStore,
    GetOp,
    IndexConfig,
    InvalidNamespaceError,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
    ensure_embeddings,
    get_text_at_path,
    tokenize_path,
    validate_op_namespace,
)

Address = tuple[tuple[str, ...], str]
Vectors = Mapping[str, list[float]]
_KEY = re.compile(r"[A-Za-z0-9_.-]+")
_OPERATORS = frozenset(("$eq", "$ne", "$gt", "$gte", "$lt", "$lte"))


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored item. `value` is JSON text, so that nothing of it is shared with callers; times are UTC; `ttl` is in minutes."""

    value: str
    created_at: datetime
    updated_at: datetime
    ttl: float | None
    expires_at: datetime | None
    vectors: tuple[list[float], ...]


Entries = dict[Address, Entry]


class ReferenceStore(BaseStore):
    """A correct store. `index` and `ttl` as for LangGraph's own stores; `sweep_ttl` deletes what has expired."""

    supports_ttl = True

    def __init__(self, *, index: IndexConfig | None = None, ttl: TTLConfig | None = None) -> None:
        self.index_config = index
        self.ttl_config = ttl
        self.embeddings = ensure_embeddings(index["embed"]) if index and "embed" in index else None
        self._lock = threading.RLock()
        self._entries: Entries = {}
        self._sweeper: threading.Thread | None = None
        self._stop = threading.Event()

    def setup(self) -> None:
        """Nothing to set up."""

    # --- the two methods of the contract -------------------------------------------------------------------------------------------

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        ops = self.checked(list(ops))
        texts, queries = self.texts(ops), self.queries(ops)
        vectors: dict[str, list[float]] = {}
        if self.embeddings and texts:
            vectors = dict(zip(texts, self.embeddings.embed_documents(texts), strict=True))
        asked = {query: self.embeddings.embed_query(query) for query in queries} if self.embeddings else {}
        return self.apply(ops, vectors, asked)

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        ops = self.checked(list(ops))
        texts, queries = self.texts(ops), self.queries(ops)
        vectors: dict[str, list[float]] = {}
        if self.embeddings and texts:
            vectors = dict(zip(texts, await self.embeddings.aembed_documents(texts), strict=True))
        asked = {query: await self.embeddings.aembed_query(query) for query in queries} if self.embeddings else {}
        return self.apply(ops, vectors, asked)

    def apply(self, ops: list[Op], vectors: Vectors, asked: Vectors) -> list[Result]:
        """Reads, then writes, under one lock; the entries change in one assignment or not at all."""
        with self._lock:
            entries = dict(self.load())
            results = [None if isinstance(op, PutOp) else self.read(entries, op, asked) for op in ops]
            for op in ops:
                if isinstance(op, PutOp):
                    self.write(entries, op, vectors)
            self.save(entries)
            return results

    def load(self) -> Entries:
        return self._entries

    def save(self, entries: Entries) -> None:
        self._entries = entries

    # --- what is refused -----------------------------------------------------------------------------------------------------------

    def checked(self, ops: list[Op]) -> list[Op]:
        """The same operations. Raises InvalidNamespaceError, ValueError or TypeError for what the contract refuses."""
        for op in ops:
            validate_op_namespace(op)
            if isinstance(op, PutOp):
                if not op.namespace:
                    raise InvalidNamespaceError("a put needs a namespace of one label or more, found ()")
                if op.value is not None:
                    self.encode(op.value)
            elif isinstance(op, SearchOp):
                for key, condition in (op.filter or {}).items():
                    self.check_filter(key, condition)
        return ops

    def encode(self, value: Mapping[str, Any]) -> str:
        """JSON text of a value. Raises TypeError or ValueError for what JSON cannot carry."""
        if not isinstance(value, Mapping):
            raise TypeError(f"a value is a mapping, found {type(value).__name__}")
        _check_keys(value)
        return json.dumps(dict(value), allow_nan=False)

    def check_filter(self, key: str, condition: Any) -> None:
        """Raises ValueError for a key with other signs, and for unknown operators at any depth."""
        if not _KEY.fullmatch(key):
            raise ValueError(f"Invalid filter key: {key!r}; expected letters, digits and the signs _ . -")
        self.check_operators(condition)

    def check_operators(self, condition: Any) -> None:
        if isinstance(condition, dict):
            named = {k for k in condition if k.startswith("$")}
            if named - _OPERATORS or (named and len(named) < len(condition)):
                raise ValueError(f"unknown operator in {condition!r}; known are {', '.join(sorted(_OPERATORS))}")
            for inner in () if named else condition.values():
                self.check_operators(inner)

    # --- writing -------------------------------------------------------------------------------------------------------------------

    def write(self, entries: Entries, op: PutOp, vectors: Vectors) -> None:
        address = (op.namespace, op.key)
        old = entries.get(address)
        if op.value is None:
            entries.pop(address, None)
            return
        now = self.now()
        entries[address] = Entry(
            value=self.encode(op.value),
            created_at=old.created_at if old and not self.expired(old) else now,
            updated_at=now,
            ttl=op.ttl,
            expires_at=self.expiry(now, op.ttl),
            vectors=self.vectors_of(op, vectors, old),
        )

    def vectors_of(self, op: PutOp, vectors: Vectors, old: Entry | None) -> tuple[list[float], ...]:  # noqa: ARG002 - `old` is for faults
        return tuple(vectors[text] for text in self.texts([op]))

    def texts(self, ops: list[Op]) -> list[str]:
        """The texts to embed for the puts of `ops`, each once."""
        found: list[str] = []
        for op in ops:
            if isinstance(op, PutOp) and op.value is not None and self.embeddings:
                for path in self.paths(op):
                    found.extend(get_text_at_path(op.value, "$" if path == "$" else tokenize_path(path)))
        return list(dict.fromkeys(found))

    def paths(self, op: PutOp) -> list[str]:
        """The paths whose texts are embedded for a put."""
        if op.index is False:
            return []
        return op.index if op.index is not None else self.fields()

    def fields(self) -> list[str]:
        return (self.index_config or {}).get("fields") or ["$"]

    # --- reading -------------------------------------------------------------------------------------------------------------------

    def queries(self, ops: list[Op]) -> list[str]:
        return list({op.query for op in ops if isinstance(op, SearchOp) and op.query and self.embeddings})

    def read(self, entries: Entries, op: Op, asked: Vectors) -> Result:
        if isinstance(op, GetOp):
            return self.get_one(entries, op)
        if isinstance(op, SearchOp):
            return self.search_all(entries, op, asked)
        if isinstance(op, ListNamespacesOp):
            return self.list_all(entries, op)
        raise TypeError(f"unknown operation {op!r}")

    def get_one(self, entries: Entries, op: GetOp) -> Item | None:
        entry = entries.get((op.namespace, op.key))
        if entry is None or self.hidden(entry):
            return None
        self.refresh(entries, (op.namespace, op.key), wanted=op.refresh_ttl)
        return Item(
            value=self.decode(entry),
            key=op.key,
            namespace=op.namespace,
            created_at=entry.created_at,
            updated_at=entry.updated_at,
        )

    def decode(self, entry: Entry) -> dict[str, Any]:
        return json.loads(entry.value)

    def search_all(self, entries: Entries, op: SearchOp, asked: Vectors) -> list[SearchItem]:
        query = asked.get(op.query) if op.query else None
        found: list[tuple[Address, float | None]] = []
        for address in self.candidates(entries, op):
            entry = entries[address]
            found.append((address, None if query is None else self.score(entry, query)))
        if query is not None:
            found = self.ranked(found)
        found = self.page(found, op)
        for address, _ in found:
            self.refresh(entries, address, wanted=op.refresh_ttl)
        return [
            SearchItem(
                address[0], address[1], self.decode(entries[address]), entries[address].created_at, entries[address].updated_at, score
            )
            for address, score in found
        ]

    def candidates(self, entries: Entries, op: SearchOp) -> list[Address]:
        return [a for a, e in entries.items() if self.under(a[0], op.namespace_prefix) and not self.hidden(e) and self.matches(e, op)]

    def under(self, namespace: tuple[str, ...], prefix: tuple[str, ...]) -> bool:
        return namespace[: len(prefix)] == tuple(prefix)

    def page(self, found: list[Any], op: SearchOp | ListNamespacesOp) -> list[Any]:
        return found[op.offset : op.offset + op.limit]

    def ranked(self, found: list[tuple[Address, float | None]]) -> list[tuple[Address, float | None]]:
        return sorted(found, key=lambda pair: -math.inf if pair[1] is None else pair[1], reverse=True)

    def score(self, entry: Entry, query: list[float]) -> float | None:
        return max((self.similarity(vector, query) for vector in entry.vectors), default=None)

    def similarity(self, a: list[float], b: list[float]) -> float:
        length = math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))
        return sum(x * y for x, y in zip(a, b, strict=True)) / length if length else 0.0

    # --- filters -------------------------------------------------------------------------------------------------------------------

    def matches(self, entry: Entry, op: SearchOp) -> bool:
        value = json.loads(entry.value)
        return all(self.holds(_at(value, key), condition) for key, condition in (op.filter or {}).items())

    def holds(self, value: Any, condition: Any) -> bool:
        if not isinstance(condition, dict):
            return value == (list(condition) if isinstance(condition, tuple) else condition)
        if any(key.startswith("$") for key in condition):
            return all(self.compare(value, operator, other) for operator, other in condition.items())
        return isinstance(value, dict) and all(self.holds(value.get(key), inner) for key, inner in condition.items())

    def compare(self, value: Any, operator: str, other: Any) -> bool:
        if operator == "$eq":
            return value == other
        if operator == "$ne":
            return value != other
        numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (value, other))
        if not numbers and not (isinstance(value, str) and isinstance(other, str)):
            return False
        return {"$gt": value > other, "$gte": value >= other, "$lt": value < other, "$lte": value <= other}[operator]

    # --- namespaces ----------------------------------------------------------------------------------------------------------------

    def list_all(self, entries: Entries, op: ListNamespacesOp) -> list[tuple[str, ...]]:
        names = {a[0] for a, e in entries.items() if not self.hidden(e)}
        names = {n for n in names if all(self.meets(n, condition) for condition in op.match_conditions or ())}
        return self.page(sorted(self.cut(names, op.max_depth)), op)

    def cut(self, names: Iterable[tuple[str, ...]], depth: int | None) -> Iterable[tuple[str, ...]]:
        return {name[:depth] for name in names}

    def meets(self, name: tuple[str, ...], condition: MatchCondition) -> bool:
        path = tuple(condition.path)
        part = name[: len(path)] if condition.match_type == "prefix" else name[max(0, len(name) - len(path)) :]
        return len(part) == len(path) and all(wanted in ("*", label) for wanted, label in zip(path, part, strict=True))

    # --- expiry --------------------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        return datetime.now(UTC)

    def expiry(self, now: datetime, ttl: float | None) -> datetime | None:
        return None if ttl is None else now + timedelta(minutes=ttl)

    def expired(self, entry: Entry) -> bool:
        return entry.expires_at is not None and entry.expires_at < self.now()

    def hidden(self, entry: Entry) -> bool:
        return bool((self.ttl_config or {}).get("omit_expired")) and self.expired(entry)

    def refresh(self, entries: Entries, address: Address, *, wanted: bool) -> None:
        entry = entries[address]
        if wanted and entry.ttl is not None:
            entries[address] = replace(entry, expires_at=self.expiry(self.now(), entry.ttl))

    def sweep_ttl(self) -> int:
        """Delete what has expired; how many that was."""
        with self._lock:
            entries = self.load()
            kept = {address: entry for address, entry in entries.items() if not self.expired(entry)}
            gone = len(entries) - len(kept)
            self.save(kept)
            return gone

    def start_ttl_sweeper(self, sweep_interval_minutes: float | None = None) -> None:
        """Sweep every so many minutes, in a daemon thread, until `stop_ttl_sweeper`."""
        minutes = sweep_interval_minutes or (self.ttl_config or {}).get("sweep_interval_minutes") or 5
        self._stop.clear()

        def sweep() -> None:
            while not self._stop.wait(minutes * 60):
                self.sweep_ttl()

        self._sweeper = threading.Thread(target=sweep, daemon=True, name="reference-sweeper")
        self._sweeper.start()

    def stop_ttl_sweeper(self, timeout: float | None = None) -> bool:
        """Whether the sweeper has stopped within `timeout` seconds."""
        self._stop.set()
        if self._sweeper is not None:
            self._sweeper.join(timeout)
        return self._sweeper is None or not self._sweeper.is_alive()


def _at(value: dict[str, Any], key: str) -> Any:
    """The value at a key, or at a path of keys joined by periods; None if there is none."""
    if key in value:
        return value[key]
    found: Any = value
    for part in key.split("."):
        if not isinstance(found, dict) or part not in found:
            return None
        found = found[part]
    return found


def _check_keys(value: Any) -> None:
    """Raises TypeError for a key that is not text, at any depth: `json.dumps` would turn 1 into "1" in silence."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"keys of JSON objects are text, found {key!r}")
            _check_keys(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_keys(inner)
