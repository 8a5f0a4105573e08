"""Rules are functions; a `Group` collects them under a name and the function's name completes the rule's id.

    rules = Group("crud")

    @rules.both
    async def put_then_get(s: Face) -> None:
        '''What was put is got back.

        Reading: only where stores differ: which way the kit reads the contract, and why.
        '''
        await s.put(("a",), "k", {"v": 1})
        ...

The body of a `both`, `sync` or `async_` rule is also its reproduction: `rendering.py` prints it with the store's own calls. So
bodies are a few plain statements, and use no name that `rendering.IMPORTS` does not know.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from typing import Any

from .model import Capability, Rule, Shape, Variant

MODULES = (
    "crud",
    "batches",
    "values",
    "namespaces",
    "listing",
    "searching",
    "filters",
    "index",
    "expiry",
    "faces",
    "concurrency",
    "persistence",
    "tenants",
    "stateful",
)

Body = Callable[..., Any]


class Group:
    """Rules under one name. `needs`, `index` and `ttl` given here hold for each of its rules."""

    def __init__(self, name: str, *, needs: tuple[Capability, ...] = ()) -> None:
        self.name = name
        self.needs = needs
        self.rules: list[Rule] = []

    def both(self, body: Body | None = None, **options: Any) -> Any:
        """A rule written against a `Face`, run through the synchronous and the asynchronous methods."""
        return self._add("both", body, options)

    def sync(self, body: Body | None = None, **options: Any) -> Any:
        """A rule on the synchronous methods: a plain function of the store, run in a thread."""
        return self._add("sync", body, options)

    def async_(self, body: Body | None = None, **options: Any) -> Any:
        """A rule on the asynchronous methods: a coroutine function of the store."""
        return self._add("async", body, options)

    def scenario(self, body: Body | None = None, **options: Any) -> Any:
        """A rule that opens, closes and reopens stores itself: a coroutine function of a `Lab`. It raises `RuleBroken`."""
        return self._add("scenario", body, options)

    def _add(self, shape: Shape, body: Body | None, options: dict[str, Any]) -> Any:
        if body is None:
            return partial(self._add, shape, options=options)
        self.rules.append(self._rule(shape, body, **options))
        return body

    def _rule(
        self,
        shape: Shape,
        body: Body,
        *,
        needs: tuple[Capability, ...] = (),
        cases: Mapping[str, Mapping[str, Any]] | None = None,
        index: Mapping[str, Any] | None = None,
        ttl: Mapping[str, Any] | None = None,
        variants: tuple[Variant, ...] = ("plain", "indexed"),
        waits: bool = False,
        spawns: bool = False,
    ) -> Rule:
        title, _, rest = (inspect.getdoc(body) or "").partition("\n\n")
        reading = rest.partition("Reading:")[2]
        wanted: list[Capability] = [*self.needs, *needs]
        if index is not None:
            wanted.append("index")
            variants = ("indexed",)
        if ttl is not None:
            wanted.append("ttl")
        return Rule(
            id=f"{self.name}.{body.__name__.replace('_', '-')}",
            title=" ".join(title.split()),
            reading=" ".join(reading.split()),
            body=body,
            shape=shape,
            needs=tuple(dict.fromkeys(wanted)),
            cases=cases or {},
            index=index,
            ttl=ttl,
            variants=variants,
            waits=waits,
            spawns=spawns,
        )

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)


def all_rules() -> list[Rule]:
    """Every rule of the kit, in the order in which reports show them."""
    found: list[Rule] = []
    for name in MODULES:
        found.extend(import_module(f"{__package__}.rules.{name}").rules)
    return found
