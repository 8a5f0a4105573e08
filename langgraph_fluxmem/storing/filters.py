"""Filters of a search: what LangGraph documents (``$eq $ne $gt $gte $lt $lte``, all conditions together), read in one way.

Where the stock stores differ: a key is a top-level key of the value, or else a dotted path into it (SqliteStore), and a plain dict
compares nested keys (InMemoryStore); an absent key counts as None; booleans are not numbers; an order exists between two numbers and
between two texts, and whatever has no order does not match.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from langgraph_fluxmem.errors import ConfigError

Matcher = Callable[[Mapping[str, Any]], bool]
_KEY = re.compile(r"[A-Za-z0-9_.-]+")
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}
_OPERATORS = ("$eq", "$ne", *_ORDERS)


def compiled(conditions: Mapping[str, Any] | None) -> Matcher | None:
    """A test of values for a filter; None when there is nothing to test.

    Raises:
        ConfigError: a key with other characters than letters, digits, ``_ . -``; an unknown operator.
        TypeError: the filter is not a mapping.
    """
    if not conditions:
        if conditions is not None and not isinstance(conditions, Mapping):
            raise TypeError(f"filter is {conditions!r}, expected a mapping such as {{'kind': 'report'}}")
        return None
    if not isinstance(conditions, Mapping):
        raise TypeError(f"filter is a {type(conditions).__name__}, expected a mapping such as {{'kind': 'report'}}")
    tests = [_at(key, _condition(expected, key)) for key, expected in conditions.items()]
    if len(tests) == 1:
        return tests[0]
    return lambda value: all(test(value) for test in tests)


def equal(found: Any, expected: Any) -> bool:
    """JSON equality: booleans are not numbers, 1 equals 1.0, tuples are lists."""
    if isinstance(found, bool) or isinstance(expected, bool):
        return found is expected
    if isinstance(expected, Mapping):
        return (
            isinstance(found, Mapping)
            and len(found) == len(expected)
            and all(key in found and equal(found[key], expected[key]) for key in expected)
        )
    if isinstance(expected, (list, tuple)):
        return (
            isinstance(found, (list, tuple))
            and len(found) == len(expected)
            and all(equal(mine, other) for mine, other in zip(found, expected, strict=True))
        )
    return bool(found == expected)


def _at(key: object, test: Callable[[Any], bool]) -> Matcher:
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise ConfigError(f"Invalid filter key: {key!r}. Filter keys hold letters, digits, underscores, dots and hyphens only")
    if "." not in key:
        return lambda value: test(value.get(key))
    path = key.split(".")

    def dotted(value: Mapping[str, Any]) -> bool:
        if key in value:
            return test(value[key])
        found: Any = value
        for part in path:
            found = found.get(part) if isinstance(found, Mapping) else None
        return test(found)

    return dotted


def _condition(expected: Any, where: str) -> Callable[[Any], bool]:
    if not isinstance(expected, Mapping):
        return lambda found: equal(found, expected)
    names = list(expected)
    if any(isinstance(name, str) and name.startswith("$") for name in names):
        tests = [_operation(name, operand, where) for name, operand in expected.items()]
        return lambda found: all(test(found) for test in tests)
    nested = {name: _condition(inner, f"{where}.{name}") for name, inner in expected.items()}
    return lambda found: isinstance(found, Mapping) and all(test(found.get(name)) for name, test in nested.items())


def _operation(name: object, operand: Any, where: str) -> Callable[[Any], bool]:
    if name == "$eq":
        return lambda found: equal(found, operand)
    if name == "$ne":
        return lambda found: not equal(found, operand)
    if not isinstance(name, str) or name not in _ORDERS:
        raise ConfigError(f"Unsupported operator: {name!r} for filter key {where!r}; expected one of {', '.join(_OPERATORS)}")
    before = _ORDERS[name]
    if _is_number(operand):
        return lambda found: _is_number(found) and before(found, operand)
    if isinstance(operand, str):
        return lambda found: isinstance(found, str) and before(found, operand)
    return _never


def _never(found: Any) -> bool:  # noqa: ARG001 - a test like the others
    return False


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
