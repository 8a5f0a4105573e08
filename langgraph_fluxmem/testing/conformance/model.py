"""What the kit speaks of: capabilities, rules, the single checks a rule becomes, and what came out of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Capability = Literal["sync", "async", "filters", "index", "ttl", "sweep", "setup", "persistence", "multi-process", "no-ttl"]
"""`no-ttl` is the absence of `ttl`: what a store without expiry owes its callers."""

FaceName = Literal["sync", "async"]
Variant = Literal["plain", "indexed"]
"""`plain`: the store was opened without an index; `indexed`: with the kit's embedding."""

Outcome = Literal["pass", "fail", "not offered"]
Shape = Literal["both", "sync", "async", "scenario"]
"""How a rule's body is written: against a `Face` (both), a bare store (sync or async), or a `Lab` (scenario)."""


@dataclass(frozen=True, slots=True)
class Source:
    """A piece of Python source that stands for its value, so that a reproduction can print what JSON cannot (`float("nan")`)."""

    code: str

    def __repr__(self) -> str:
        return self.code


@dataclass(frozen=True, slots=True)
class Offer:
    """Whether a store offers a capability, and how the kit knows."""

    offered: bool
    why: str


Capabilities = Mapping[str, Offer]


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One clause of the contract. `body` raises (AssertionError or anything else) when the store breaks it."""

    id: str
    title: str
    reading: str
    """Why the kit reads the contract this way, where stores differ; empty where it is plain."""
    body: Callable[..., Any]
    shape: Shape
    needs: tuple[Capability, ...] = ()
    cases: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    index: Mapping[str, Any] | None = None
    ttl: Mapping[str, Any] | None = None
    variants: tuple[Variant, ...] = ("plain", "indexed")
    waits: bool = False
    """The rule waits for time to pass; such rules run at the same time, each in a thread of its own."""
    spawns: bool = False
    """The rule starts other processes; few such rules run at the same time."""


@dataclass(frozen=True, slots=True, eq=False)
class Check:
    """A rule on one face, one variant and one case: what is run."""

    rule: Rule
    face: FaceName
    variant: Variant
    case: str = ""

    @property
    def name(self) -> str:
        return "-".join(part for part in (self.rule.id, self.case, self.face, self.variant) if part)


@dataclass(frozen=True, slots=True)
class Result:
    """What came out of one check. `detail` says why; `reproduction` is runnable code of ten lines or fewer, for a failure."""

    check: Check
    outcome: Outcome
    detail: str = ""
    reproduction: str = ""


class RuleBroken(AssertionError):  # noqa: N818 - it says what was found
    """A scenario found the store at fault, and brings its own reproduction. Is an AssertionError, so that it reads as one."""

    def __init__(self, message: str, reproduction: str = "") -> None:
        super().__init__(message)
        self.reproduction = reproduction


class NotOffered(Exception):  # noqa: N818 - not an error of the store
    """A scenario found that the store does not offer what the rule is about; the message says how it shows."""
