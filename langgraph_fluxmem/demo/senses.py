"""What an agent in a text game tells its memory: what it sees, and texts that are worth noting.

Nothing here knows about cooking. An observation is a dict of three texts; whether a text becomes a note of the task is the learning
core's rule (`learning.credit.noted`): it came of a command that changed nothing and names something the task names.
"""

from __future__ import annotations

from collections.abc import Sequence

from langgraph_fluxmem.demo.kitchen import Frame
from langgraph_fluxmem.learning.credit import noted


def observation(frame: Frame) -> dict[str, str]:
    """What is seen, as key-value pairs: `room`, `carrying` and `said` (the answer to the last command)."""
    return {"room": frame.description, "carrying": frame.inventory, "said": frame.observation}


def note(task: str, command: str, before: Frame, after: Frame, notes: Sequence[str]) -> str | None:
    """The text to note after a step, or None. A command changed nothing when room, inventory and score stayed as they were."""
    changed = (before.description, before.inventory, before.score) != (after.description, after.inventory, after.score)
    said = after.observation
    return said if said not in notes and noted(task, command, said, changed=changed or after.done) else None
