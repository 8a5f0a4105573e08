"""Hypothesis strategies for operations on stores: few namespaces and keys, so that programs meet themselves."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from langgraph.store.base import GetOp, ListNamespacesOp, MatchCondition, Op, PutOp, SearchOp

from .embedding import VOCABULARY
from .rules.stateful import EVERYTHING

Strategy = st.SearchStrategy[Any]


class Operations:
    """Strategies by name; each gives one operation."""

    def __init__(self) -> None:
        names = st.sampled_from([("a",), ("a", "b"), ("ab",), ("b", "a", "c")])
        keys = st.sampled_from("xy")
        leaf = st.one_of(st.integers(-3, 3), st.sampled_from(["", "u", "v"]), st.booleans(), st.none())
        value = st.fixed_dictionaries(
            {"n": st.integers(0, 3)}, optional={"t": st.sampled_from(["u", "v"]), "l": st.lists(leaf, max_size=2), "m": _object(leaf)}
        )
        prefix = st.one_of(st.just(()), st.just(()), names)
        self.put = st.builds(_put, names, keys, value)
        self.delete = st.builds(_put, names, keys, st.none())
        self.get = st.tuples(names, keys).map(lambda at: GetOp(*at))
        self.search = st.builds(_search, prefix, st.one_of(_filters(), _filters(), st.none()), *_page())
        self.listing = st.builds(_listing, _pattern(), _pattern(), st.one_of(st.none(), st.integers(1, 3)), *_page())

        words = st.sampled_from([*VOCABULARY[:4], "unapple", "apple banana", "cherry date date"])
        texts = st.fixed_dictionaries(
            {"n": st.integers(0, 2)}, optional={"t": words, "m": st.fixed_dictionaries({}, optional={"t": words})}
        )
        paths = st.sampled_from([["t", "m.t"], ["t", "m.t"], False, ["t"], ["m.t"]])
        self.put_text = st.builds(_put, names, keys, texts, paths)
        self.query = st.builds(_query, prefix, words)

        tenant = st.text(alphabet=st.sampled_from("aAbB%_*?[]-/:'\\ é"), min_size=1, max_size=3)
        own = st.tuples(st.just("t"), tenant)
        self.tenant_put = st.builds(_put, own, keys, value)
        self.tenant_search = st.builds(_search, own, st.one_of(st.none(), _filters()), st.just(EVERYTHING), st.just(0))
        plain = own.filter(lambda name: name[1] != "*")
        self.tenant_listing = st.builds(_listing, plain, st.none(), st.none(), st.just(EVERYTHING), st.just(0))


def _object(leaf: Strategy) -> Strategy:
    return st.dictionaries(st.sampled_from(["p", "q"]), leaf, max_size=2)


def _filters() -> Strategy:
    number = st.integers(0, 3)
    compared = st.tuples(st.sampled_from(["$gt", "$gte", "$lt", "$lte", "$eq", "$ne"]), number).map(lambda pair: {pair[0]: pair[1]})
    between = st.tuples(number, number).map(lambda pair: {"$gte": pair[0], "$lt": pair[1]})
    on_number = st.one_of(number, compared, compared, between).map(lambda condition: {"n": condition})
    return st.one_of(on_number, on_number, st.sampled_from(["u", "v"]).map(lambda text: {"t": text}))


def _page() -> tuple[Strategy, Strategy]:
    return st.sampled_from([EVERYTHING, EVERYTHING, 1, 2, 3]), st.sampled_from([0, 0, 0, 1, 2])


def _pattern() -> Strategy:
    label = st.sampled_from(["a", "b", "ab", "c", "*"])
    return st.one_of(st.none(), st.lists(label, min_size=1, max_size=2).map(tuple))


def _put(namespace: tuple[str, ...], key: str, value: dict[str, Any] | None, index: Any = None) -> Op:
    return PutOp(namespace, key, value, index)


def _query(prefix: tuple[str, ...], query: str) -> Op:
    return SearchOp(prefix, None, EVERYTHING, 0, query)


def _search(prefix: tuple[str, ...], where: dict[str, Any] | None, limit: int, offset: int) -> Op:
    return SearchOp(prefix, where, limit, offset)


def _listing(prefix: tuple[str, ...] | None, suffix: tuple[str, ...] | None, depth: int | None, limit: int, offset: int) -> Op:
    conditions = (*((MatchCondition("prefix", prefix),) if prefix else ()), *((MatchCondition("suffix", suffix),) if suffix else ()))
    return ListNamespacesOp(conditions or None, depth, limit, offset)
