"""What a stage reads of one namespace: an immutable snapshot of vectors, postings, order, source and speaker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Protocol, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.index.namespace import NamespaceArrays, chained
from langgraph_fluxmem.index.postings import Posting, bm25_weights
from langgraph_fluxmem.index.top import top
from langgraph_fluxmem.schema import Namespace, Vector

Rows = NDArray[np.int32]
Kept = TypeVar("Kept")


class Nearest(Protocol):
    """A search outside the exact tier (Chroma)."""

    def nearest(self, vector: Vector, m: int, share: int) -> tuple[list[str], int, bool] | None:
        """Version ids of any namespace, best first, enough that about `m` are of one that holds `share` vectors.

        With them the log position they are complete up to, and whether there are no more. None: scan instead.
        """
        ...

    def suspect(self) -> None:
        """It gave fewer hits than it must hold."""
        ...


class _Ids(Sequence[str]):
    """Version id of each row."""

    __slots__ = ("_all", "_live", "_size")

    def __init__(self, names: list[str], live: NDArray[np.integer] | None, size: int) -> None:
        self._all, self._live, self._size = names, live, size

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(self._size))]
        row = int(index)
        if row < 0:
            row += self._size
        if not 0 <= row < self._size:
            raise IndexError(f"row {index} of a view of {self._size} rows")
        return self._all[row if self._live is None else int(self._live[row])]


class NamespaceView:
    """Rows 0..size-1 are the live facts and items that have at least one indexed text, oldest first as they were noticed.

    Immutable, and safe to read from any thread while the projection advances.
    """

    def __init__(
        self,
        namespace: Namespace,
        position: int,
        arrays: NamespaceArrays,
        *,
        hidden: NDArray[np.int64] | None = None,
        far: Nearest | None = None,
        exact_max: int = 0,
        settled: int = 0,
    ) -> None:
        self.namespace = namespace
        self.position = position
        """Log position this view has followed to."""
        self._slots_total = len(arrays)
        self._lock = arrays.lock
        self._names = arrays.ids
        self._slot_of = arrays.slot_of
        self._node_slot = arrays.nodes
        self._postings = arrays.postings
        self._vectors = arrays.vectors.snapshot()
        self._far, self._exact_max, self._settled = far, exact_max, settled
        self._all_op, self._all_source, self._all_speaker = arrays.op.read(), arrays.source.read(), arrays.speaker.read()
        self._all_order, self._before, self._after = arrays.chain.order.read(), arrays.chain.before.read(), arrays.chain.after.read()
        self.source_names: Sequence[str] = arrays.sources.names
        """Source of each code; longer than needed when the projection has advanced."""
        self.speaker_names: Sequence[str] = arrays.speakers.names
        self._live: NDArray[np.int64] | None = None
        if arrays.dead or hidden is not None:
            alive = arrays.alive.read().copy()
            if hidden is not None:
                alive[hidden] = False
                self._rechain(alive, arrays.place.read(), np.unique(self._all_source[hidden]))
            self._live = np.flatnonzero(alive)
        self.size = self._slots_total if self._live is None else len(self._live)
        """How many rows there are."""
        self.ids: Sequence[str] = _Ids(self._names, self._live, self.size)
        """Version id of each row."""
        self._row_of_slot: NDArray[np.int32] | None = None
        self._lengths: NDArray[np.float32] | None = None
        self._average = 0.0
        self._cached: dict[str, NDArray[Any]] = {}
        self._kept: dict[str, Any] = {}

    def kept(self, name: str, make: Callable[[NamespaceView], Kept]) -> Kept:
        """What is derived from this view alone, made when it is first asked for and kept as long as the view. Safe from any thread."""
        found = self._kept.get(name)
        return self._kept.setdefault(name, make(self)) if found is None else found

    def __repr__(self) -> str:
        return f"NamespaceView({'/'.join(self.namespace)!r}, {self.size} rows, position {self.position})"

    # ------------------------------------------------------------------------------------------------------------------- columns
    @property
    def ops(self) -> NDArray[np.int64]:
        """(size,) log position at which each row was written."""
        return self._by_row("ops", self._all_op)

    @property
    def source(self) -> NDArray[np.int32]:
        """(size,) code of each row's source, -1 none; `source_names` tells them."""
        return self._by_row("source", self._all_source)

    @property
    def speaker(self) -> NDArray[np.int32]:
        """(size,) code of each row's speaker, -1 none; `speaker_names` tells them."""
        return self._by_row("speaker", self._all_speaker)

    @property
    def order(self) -> NDArray[np.int32]:
        """(size,) rank of each row within its source by (position, log position); -1 without a source."""
        return self._by_row("order", self._all_order)

    @property
    def has_vector(self) -> NDArray[np.bool_]:
        """(size,) whether a row has a vector at all (an item put without an index has texts only)."""
        return self._by_row("has_vector", self._vectors.count > 0)

    @property
    def lengths(self) -> NDArray[np.float32]:
        """(size,) number of terms of each row."""
        lengths = self._document_lengths()
        return lengths if self._live is None else lengths[self._live]

    def ids_of(self, rows: NDArray[np.integer]) -> list[str]:
        """Version ids of rows."""
        names = self._names
        return [names[slot] for slot in (rows if self._live is None else self._live[rows]).tolist()]

    def rows_of(self, ids: Sequence[str]) -> Rows:
        """Row of each version id, -1 where this view does not show it."""
        return self._rows(np.array([self._slot_of.get(version, -1) for version in ids], dtype=np.int64))

    def rows_of_nodes(self, nodes: Collection[str]) -> Rows:
        """Row of each node's newest version, -1 where this view does not show it."""
        return self._rows(np.array([self._node_slot.get(node, -1) for node in nodes], dtype=np.int64))

    def neighbours(self, rows: NDArray[np.integer], offset: int) -> Rows:
        """For each row the one `offset` places later (earlier when negative) in the same source, -1 where there is none."""
        slots = self._slots(np.asarray(rows, dtype=np.int64))
        step = self._after if offset > 0 else self._before
        for _ in range(abs(offset)):
            slots = np.where(slots >= 0, step[slots], -1)
            slots = np.where(slots < self._slots_total, slots, -1)
        return self._rows(slots)

    # --------------------------------------------------------------------------------------------------------------------- dense
    def dense_top(self, vector: Vector, m: int, *, allowed: NDArray[Any] | None = None, scores: NDArray[np.float32] | None = None) -> Rows:
        """The at most `m` rows with the highest cosine (a row's best text counts), best first, equal ones in log order.

        `vector` (d,) is L2-normalised. `allowed` is a mask (size,) or an array of rows. Rows without a vector are left out. `scores` are
        the cosines of all rows where the caller has them (`dense_all`). Above ``exact_max`` vectors Chroma proposes and what it has not followed yet is scanned.

        Raises:
            DimensionMismatchError: the vector has another length than those held.
        """
        if m <= 0 or not self.size or not len(self._vectors.matrix):
            return np.zeros(0, np.int32)
        rows: NDArray[np.integer] | None = None
        if allowed is not None:
            rows = np.flatnonzero(allowed) if allowed.dtype == np.bool_ else np.unique(allowed)
        if scores is not None:
            return self._best(scores if rows is None else scores[rows], rows, m)
        if self._far is not None and not self.exact and (rows is None or len(rows) > self._exact_max):
            found = self._far_top(self._far, vector, m, rows)
            if found is not None:
                return found
        return self._best(self.dense_all(vector) if rows is None else self.dense_at(vector, rows), rows, m)

    @property
    def plain(self) -> bool:
        """Whether every row has exactly one vector."""
        return self._vectors.plain

    @property
    def exact(self) -> bool:
        """Whether the nearest are found by comparing all vectors, without Chroma."""
        return self._far is None or len(self._vectors.matrix) <= self._exact_max

    def dense_all(self, vector: Vector) -> NDArray[np.float32]:
        """Exact cosine (size,) of every row, as `dense_at`."""
        scores = self._vectors.scores(vector)
        return scores if self._live is None else scores[self._live]

    def dense_at(self, vector: Vector, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """Exact cosine (m,) of rows (m,) with a normalised vector (d,): that of a row's best text; -1 for rows without a vector."""
        return self._vectors.scores_at(vector, self._slots(np.asarray(rows, dtype=np.int64)))

    def vectors_of(self, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """(m, d) the vector of each row's first text; zeros for rows without one."""
        slots = self._slots(np.asarray(rows, dtype=np.int64))
        if not len(self._vectors.matrix):
            return np.zeros((len(slots), 0), np.float32)
        has = self._vectors.count[slots] > 0
        out = np.zeros((len(slots), self._vectors.matrix.shape[1]), np.float32)
        out[has] = self._vectors.matrix[self._vectors.start[slots[has]]]
        return out

    def _best(self, scores: NDArray[np.float32], rows: NDArray[np.integer] | None, m: int) -> Rows:
        """The `m` best of `scores`, which stand for `rows` (default: all rows)."""
        if not self._vectors.plain:
            held = np.flatnonzero(self.has_vector if rows is None else self.has_vector[rows])
            scores, rows = scores[held], held if rows is None else rows[held]
        best = top(scores, m, self.ops if rows is None else self.ops[rows])
        return (best if rows is None else rows[best]).astype(np.int32)

    def _far_top(self, far: Nearest, vector: Vector, m: int, allowed: NDArray[np.integer] | None) -> Rows | None:
        """Ask Chroma for more and more until `m` hits pass this view; add what it has not followed; None: scan instead."""
        asked = m + max(8, m // 2)
        while True:
            answer = far.nearest(vector, asked, len(self._vectors.matrix))
            if answer is None or answer[1] < self._settled:
                return None
            versions, followed, all_given = answer
            rows = self.rows_of(versions)
            rows = np.unique(rows[rows >= 0])
            if all_given and len(rows) < int(((self.ops <= followed) & self.has_vector).sum()):
                far.suspect()
                return None
            if allowed is not None:
                rows = rows[np.isin(rows, allowed)]
            if len(rows) >= m or all_given:
                break
            if asked >= 16 * m + 512:
                return None
            asked *= 2
        late = np.flatnonzero(self.ops > followed)
        if allowed is not None:
            late = late[np.isin(late, allowed)]
        candidates = np.union1d(rows, late)
        return self._best(self.dense_at(vector, candidates), candidates, m)

    # ------------------------------------------------------------------------------------------------------------------- lexical
    def bm25(self, terms: Sequence[str], *, k1: float = 1.2, b: float = 0.75) -> NDArray[np.float32]:
        """(size,) BM25 of every row for a query of terms (as `text.terms` makes them; a repeated term counts again)."""
        out = np.zeros(self._slots_total, dtype=np.float32)
        lengths = self._document_lengths()
        for term, times in Counter(terms).items():
            slots, frequencies = self._posting(term)
            df = self._live_count(slots)
            if not df:
                continue
            weights = bm25_weights(frequencies, lengths[slots], self._average, df=df, size=self.size, k1=k1, b=b)
            out[slots] += weights if times == 1 else np.float32(times) * weights
        return out if self._live is None else out[self._live]

    def df(self, term: str) -> int:
        """In how many rows a term occurs."""
        return self._live_count(self._posting(term)[0])

    def rows_with(self, term: str) -> Rows:
        """The rows that hold a term, in row order."""
        rows = self._rows(self._posting(term)[0].astype(np.int64))
        return rows[rows >= 0]

    def posting(self, term: str) -> tuple[Rows, NDArray[np.int32]]:
        """The rows that hold a term (df,), in row order, and how often each does (df,)."""
        slots, frequencies = self._posting(term)
        if self._live is None:
            return slots, frequencies
        rows = self._rows(slots.astype(np.int64))
        shown = rows >= 0
        return rows[shown], frequencies[shown]

    def postings(self, terms: Iterable[str]) -> list[NDArray[np.int32]]:
        """The `posting` of each term, as one array (2, df)."""
        if self._live is not None:
            return [np.stack(self.posting(term)) for term in terms]
        with self._lock:
            return self._postings.several(terms, self._slots_total)

    def terms_of(self, row: int) -> Sequence[str]:
        """The terms of a row, in order, repeated as they occur."""
        return self._postings.terms_of(int(self._slots(np.array([row], dtype=np.int64))[0]))

    def documents(self) -> tuple[NDArray[np.int32], NDArray[np.int32], list[str]]:
        """Every term of every row, in order: (rows (n,), codes (n,)) and the vocabulary, which says the term of each code."""
        with self._lock:
            ends = self._postings.ends()[: self._slots_total]
            codes = self._postings.tokens()[: int(ends[-1]) if len(ends) else 0]
            vocabulary = list(self._postings.vocabulary)
        rows = self._rows(np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0)))
        return (rows, codes, vocabulary) if self._live is None else (rows[rows >= 0], codes[rows >= 0], vocabulary)

    def rarities(self, rows: NDArray[np.integer] | None = None) -> NDArray[np.float32]:
        """(m,) how much each of `rows` (default: all) says: the sum over its terms of ln(1 + rows / how often the term occurs in all of them)."""
        with self._lock:
            ends = self._postings.ends()[: self._slots_total]
            codes = self._postings.tokens()[: int(ends[-1]) if len(ends) else 0]
        lengths = np.diff(ends, prepend=0)
        rarity = self.kept("rarity", lambda view: view._rarity(codes, lengths))  # noqa: SLF001 - it is this one
        slots = self._live if rows is None else self._slots(rows)
        if slots is not None:
            lengths, begins = lengths[slots], (ends - lengths)[slots]
            ends = np.cumsum(lengths)
            codes = codes[np.repeat(begins - (ends - lengths), lengths) + np.arange(ends[-1] if len(ends) else 0)]
        values = np.zeros(len(codes) + 1, np.float32)
        np.take(rarity, codes, out=values[:-1], mode="clip")
        return np.where(lengths > 0, np.add.reduceat(values, ends - lengths), np.float32(0)) if len(lengths) else values[:0]

    def _rarity(self, codes: NDArray[np.int32], lengths: NDArray[np.integer]) -> NDArray[np.float32]:
        """Of each term (by its code) of the slots, ln(1 + rows / how often the rows hold it)."""
        counted = codes
        if self._live is not None:
            shown = np.zeros(self._slots_total, dtype=bool)
            shown[self._live] = True
            counted = codes[np.repeat(shown, lengths)]
        often = np.bincount(counted, minlength=int(codes.max(initial=0)) + 1)
        return np.log1p(self.size / np.maximum(often, 1)).astype(np.float32)

    @property
    def average_length(self) -> float:
        """Mean number of terms in a row."""
        self._document_lengths()
        return self._average

    def _posting(self, term: str) -> Posting:
        with self._lock:
            return self._postings.posting(term, self._slots_total)

    def _document_lengths(self) -> NDArray[np.float32]:
        """Terms per slot (not per row)."""
        if self._lengths is None:
            with self._lock:
                ends = self._postings.ends()[: self._slots_total]
            lengths = np.diff(ends, prepend=0).astype(np.float32)
            live = lengths if self._live is None else lengths[self._live]
            self._average = float(live.mean(dtype=np.float64)) if len(live) else 0.0
            self._lengths = lengths
        return self._lengths

    def _live_count(self, slots: NDArray[np.int32]) -> int:
        if self._live is None:
            return len(slots)
        return int((self._rows(slots.astype(np.int64)) >= 0).sum())

    # ------------------------------------------------------------------------------------------------------------- slots and rows
    def _slots(self, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        if len(rows) and (rows.min() < 0 or rows.max() >= self.size):
            raise IndexError(f"rows must be within 0..{self.size - 1}; found {int(rows.min())}..{int(rows.max())}")
        return rows.astype(np.int64) if self._live is None else self._live[rows]

    def _rows(self, slots: NDArray[np.integer]) -> Rows:
        """Row of each slot; -1 for -1, for slots that came later, and for those this view does not show."""
        slots = np.where(slots < self._slots_total, slots, -1)
        if self._live is None:
            return slots.astype(np.int32)
        if self._row_of_slot is None:
            table = np.full(self._slots_total + 1, -1, dtype=np.int32)
            table[self._live] = np.arange(len(self._live), dtype=np.int32)
            self._row_of_slot = table
        return self._row_of_slot[slots]

    def _by_row(self, name: str, by_slot: NDArray[Any]) -> NDArray[Any]:
        if self._live is None:
            return by_slot
        found = self._cached.get(name)
        if found is None:
            found = by_slot[self._live]
            found.flags.writeable = False
            self._cached[name] = found
        return found

    def _rechain(self, alive: NDArray[np.bool_], place: NDArray[np.float64], codes: NDArray[np.int32]) -> None:
        """Order within the sources that lost rows to hiding."""
        codes = codes[codes >= 0]
        if not len(codes):
            return
        member = np.isin(self._all_source, codes)
        slots, rank, before, after = chained(np.flatnonzero(member & alive), self._all_source, place, self._all_op)
        order, new_before, new_after = self._all_order.copy(), self._before.copy(), self._after.copy()
        for column, values in ((order, rank), (new_before, before), (new_after, after)):
            column[member] = -1
            column[slots] = values
        self._all_order, self._before, self._after = order, new_before, new_after
