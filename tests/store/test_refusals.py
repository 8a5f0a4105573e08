"""What is refused, and what the message says."""

from __future__ import annotations

import enum
from datetime import datetime
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from langgraph.store.base import GetOp, ListNamespacesOp, MatchCondition, PutOp, SearchOp
from langgraph.store.base import InvalidNamespaceError as TheirInvalidNamespaceError

from langgraph_fluxmem import ConfigError, EmbeddingFailedError, FluxMemStore, InvalidContentError
from langgraph_fluxmem.storing.values import checked

CYCLE: dict[str, Any] = {}
CYCLE["again"] = CYCLE


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": [{"b": {1}}]}, r"value\['a'\]\[0\]\['b'\] is a builtins.set"),
        ({"a": float("nan")}, r"value\['a'\] is nan"),
        ({"a": {1: 2}}, r"value\['a'\] has the key 1, a int"),
        ({"a": np.int64(3)}, r"numpy.int64"),
        ({"a": datetime(2026, 1, 1)}, r"datetime.datetime"),
        ({"a": "\ud800"}, r"lone surrogate at position 0"),
        ({"\ud800": 1}, r"lone surrogate"),
        (CYCLE, r"contain itself"),
        ([1], r"value is a list"),
        ("text", r"value is a str"),
    ],
)
def test_values(store: FluxMemStore, value: Any, said: str) -> None:
    with pytest.raises(InvalidContentError, match=said):
        store.put(("a",), "k", value)
    assert store.get(("a",), "k") is None


class Colour(enum.StrEnum):
    RED = "red"


def test_values_are_made_plain() -> None:
    value = checked({"a": (1, Colour.RED), "b": MappingProxyType({"c": np.float64(0.5), "d": True}), Colour.RED: enum.IntEnum("E", "X").X})
    assert value == {"a": [1, "red"], "b": {"c": 0.5, "d": True}, "red": 1}
    assert [type(value["a"][1]), type(value["b"]), type(value["b"]["c"]), type(value["red"])] == [str, dict, float, int]
    assert all(type(key) is str for key in value)


@pytest.mark.parametrize(
    ("op", "error", "said"),
    [
        (PutOp(("a.b",), "k", {}), TheirInvalidNamespaceError, "period"),
        (PutOp("ab", "k", {}), ValueError, r"\('ab',\)"),
        (PutOp((), "k", {}), ValueError, "empty"),
        (PutOp(("a",), 3, {}), InvalidContentError, "str"),
        (PutOp(("a",), "k\x00", {}), InvalidContentError, "NUL"),
        (PutOp(("a",), "k", {}, index="text"), ConfigError, "list of paths"),
        (PutOp(("a",), "k", {}, ttl=-1), ConfigError, "minutes"),
        (GetOp(("a",), None), InvalidContentError, "NoneType"),
        (SearchOp(("a",), limit=-1), ConfigError, "limit"),
        (SearchOp(("a",), offset=1.5), ConfigError, "offset"),
        (SearchOp(("a",), query=b"x"), ConfigError, "query"),
        (SearchOp(("a",), filter=["x"]), TypeError, "mapping"),
        (SearchOp(("a",), filter={"n": {"$in": [1]}}), ValueError, r"\$in"),
        (SearchOp("a"), ValueError, r"\('a',\)"),
        (ListNamespacesOp(max_depth=0), ConfigError, "max_depth"),
        (ListNamespacesOp(match_conditions=(MatchCondition("infix", ("a",)),)), ConfigError, "infix"),
        ("put", TypeError, "operation 1 of the batch is a str"),
    ],
)
def test_operations(store: FluxMemStore, op: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        store.batch([PutOp(("good",), "k", {"n": 1}), op])
    assert store.search(()) == []


def test_an_embedding_that_raises_is_said(store: FluxMemStore) -> None:
    with pytest.raises(EmbeddingFailedError, match="nothing of the batch was stored"):
        store.batch([PutOp(("a",), "good", {"n": 1}), PutOp(("a",), "bad", {"text": "unembeddable"})])
    assert store.search(()) == []


def test_every_method_has_its_async_twin() -> None:
    import inspect

    own = {name for name in vars(FluxMemStore) if not name.startswith("_")}
    for name in own:
        if inspect.iscoroutinefunction(getattr(FluxMemStore, name)):
            twin = getattr(FluxMemStore, name[1:])
            assert inspect.signature(twin).parameters.keys() == inspect.signature(getattr(FluxMemStore, name)).parameters.keys()
    for name in ("batch", "setup", "sweep_ttl", "close"):
        assert f"a{name}" in own
