"""Forgetting: what is asked for, what rests on it, and a change of memory that cannot be undone."""

from __future__ import annotations

from langgraph_fluxmem.forgetting.asked import Asked
from langgraph_fluxmem.forgetting.forget import forget
from langgraph_fluxmem.forgetting.report import Forgotten, Removed

__all__ = ["Asked", "Forgotten", "Removed", "forget"]
