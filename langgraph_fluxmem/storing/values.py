"""Values as JSON carries them: checked and copied on the way in, copied on the way out, so that nobody shares an object with memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from langgraph_fluxmem.errors import InvalidContentError

MAX_DEPTH = 200
"""Values nested deeper are refused: they are cycles, or break the JSON readers of the stores they may be moved to."""


def checked(value: object, what: str = "value") -> dict[str, Any]:
    """A deep copy of `value` made of dict, list, str, int, float, bool and None; tuples become lists, mappings dicts.

    Raises:
        InvalidContentError: not a mapping, or something in it that JSON cannot carry; the message holds the path to it.
    """
    if not isinstance(value, Mapping):
        raise InvalidContentError(
            f"{what} is a {type(value).__name__}, expected a mapping with string keys; wrap it, as in {{'value': ...}}"
        )
    copied = _plain(value, what, 0)
    assert isinstance(copied, dict)
    return copied


def checked_key(key: object) -> str:
    """The key of an item.

    Raises:
        InvalidContentError: it is no text, or holds NUL or a lone surrogate, which no database stores.
    """
    if not isinstance(key, str):
        raise InvalidContentError(f"key is {key!r}, a {type(key).__name__}; expected text, use str(key)")
    _check_text(key, "key")
    if "\x00" in key:
        raise InvalidContentError(f"key {key!r} holds NUL; remove it")
    return key


def copied(value: Any) -> Any:
    """A deep copy of what `checked` made."""
    if isinstance(value, dict):
        return {key: copied(item) if isinstance(item, (dict, list)) else item for key, item in value.items()}
    if isinstance(value, list):
        return [copied(item) if isinstance(item, (dict, list)) else item for item in value]
    return value


def _plain(value: Any, where: str, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        if not value.isascii():
            _check_text(value, where)
        return value
    if value is None or kind is bool or kind is int:
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidContentError(f"{where} is {value!r}, which JSON cannot carry; use None instead")
        return float(value)
    if depth >= MAX_DEPTH:
        raise InvalidContentError(f"{where[:200]} is nested deeper than {MAX_DEPTH} levels; flatten it (or does it contain itself?)")
    if isinstance(value, Mapping):
        out: dict[str, Any] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidContentError(f"{where} has the key {key!r}, a {type(key).__name__}; JSON keys are text, use str(key)")
            if not key.isascii():
                _check_text(key, f"a key of {where}")
            out[_exact(key)] = _plain(item, f"{where}[{key!r}]", depth + 1)
        return out
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
    if isinstance(value, str):
        _check_text(value, where)
        return _exact(value)
    if isinstance(value, int):
        return int(value)
    raise InvalidContentError(
        f"{where} is a {kind.__module__}.{kind.__qualname__}, which JSON cannot carry; convert it to text, numbers, lists or dicts first"
    )


def _exact(text: str) -> str:
    """The text itself, freed of a subclass such as an enumeration of strings."""
    return text if type(text) is str else str.__str__(text)


def _check_text(text: str, where: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidContentError(
            f"{where} holds a lone surrogate at position {error.start}, which is no character; use text.encode('utf-8', 'replace').decode()"
        ) from None
