"""What an agent in a text game tells its memory: the situation, and texts that are worth noting.

Nothing here knows about cooking. An observation is a dict of three texts. A note is what a command returned that changed nothing in the
world and that says something new: an instruction that was read, a hint.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from langgraph_fluxmem.demo.kitchen import Frame

NEW = 0.5
"""Share of a text's words that must be unknown (not in the room, the inventory or earlier notes) for it to become a note."""
_WORD = re.compile(r"\w+")


def observation(frame: Frame) -> dict[str, str]:
    """What is seen, as key-value pairs: `room`, `carrying` and `said` (the answer to the last command)."""
    return {"room": frame.description, "carrying": frame.inventory, "said": frame.observation}


def note(before: Frame, after: Frame, notes: Sequence[str]) -> str | None:
    """The text to note after a step, or None: what a command returned that left room, inventory and score as they were, if it is new."""
    if (before.description, before.inventory, before.score) != (after.description, after.inventory, after.score) or after.done:
        return None
    said = set(_WORD.findall(after.observation.casefold()))
    known = set(_WORD.findall(" ".join((after.description, after.inventory, *notes)).casefold()))
    return after.observation if said and len(said - known) >= NEW * len(said) else None
