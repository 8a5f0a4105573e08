"""How far a long call has come, for whoever asks to be told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Progress = Callable[[dict[str, Any]], None]
"""Gets a dict for each step; what is in it is said where it is given."""


def silent(event: dict[str, Any]) -> None:
    """Tell nobody."""
    del event
