"""What every piece of a consolidation is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from langgraph_fluxmem.consolidation.settings import Settings
from langgraph_fluxmem.operators.protocol import Operators
from langgraph_fluxmem.operators.rules import RuleOperators
from langgraph_fluxmem.schema import Namespace

if TYPE_CHECKING:
    from langgraph_fluxmem.consolidation.replaying import Replay


@dataclass(frozen=True, slots=True)
class Means:
    """The namespace to consolidate, thresholds, who judges, and the replay, if there is one."""

    namespace: Namespace
    settings: Settings = field(default_factory=Settings)
    operators: Operators = field(default_factory=RuleOperators)
    replay: Replay | None = None
