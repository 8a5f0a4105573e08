"""A case of the exactly-once table: a story told in a world, and what it must leave."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .world import Seen, World

Story = Callable[[World], Awaitable[Seen]]


@dataclass(frozen=True)
class Case:
    """`group` is a heading of the table; `name` says what happens; `note` why the figures are as they are, where they surprise."""

    group: str
    name: str
    story: Story
    expected: Seen
    note: str = ""
    slow: bool = False
    """Needs a server of its own."""

    @property
    def id(self) -> str:
        return f"{self.group}: {self.name}"


def case(cases: list[Case], group: str, name: str, *expected: int, note: str = "", slow: bool = False) -> Callable[[Story], Story]:
    """Add a story to the cases; `expected` are the episodes stored, visible to the branch that goes on, and visible elsewhere (left out:
    as visible to the branch)."""

    def add(story: Story) -> Story:
        stored, visible, *others = expected
        cases.append(Case(group, name, story, Seen(stored, visible, others[0] if others else visible), note, slow))
        return story

    return add
