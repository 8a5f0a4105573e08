"""The tests of other modules, run again here."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

_FIXTURE = type(pytest.fixture(lambda: None))


def adopt(scope: dict[str, Any], *modules: str, leave: tuple[str, ...] = (), only: tuple[str, ...] = ()) -> None:
    """Put the tests of `modules`, with the fixtures they need, into `scope` (a test module's globals). `leave` out those, or take `only` those.

    Raises:
        NameError: two modules have a test of one name, or a name is nowhere.
    """
    left = {*leave, *only}
    for module in modules:
        for name, value in vars(importlib.import_module(module)).items():
            test = name.startswith("test_") and callable(value)
            if test and (name in leave or (only and name not in only)):
                left.discard(name)
            elif test or isinstance(value, _FIXTURE):
                if scope.get(name, value) is not value:
                    raise NameError(f"{module} has a {name} of its own; adopt it in another module")
                left.discard(name)
                scope[name] = value
    if left:
        raise NameError(f"{', '.join(sorted(left))}: in none of {', '.join(modules)}")
