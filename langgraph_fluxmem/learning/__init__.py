"""Learning without a model: situations, action templates, and counts of what led on, failed or ended badly."""

from langgraph_fluxmem.learning.advice import Scorer, advise
from langgraph_fluxmem.learning.credit import derived, evidence, noted, record, situation_at, steps_of
from langgraph_fluxmem.learning.memory import FLOOR, LEXICAL_FLOOR, StepMemory
from langgraph_fluxmem.learning.recall import recall_steps, steps_behind
from langgraph_fluxmem.learning.repair import Repair, ended_badly, repair_after
from langgraph_fluxmem.learning.template import ActionTemplate

__all__ = [
    "FLOOR",
    "LEXICAL_FLOOR",
    "ActionTemplate",
    "Repair",
    "Scorer",
    "StepMemory",
    "advise",
    "derived",
    "ended_badly",
    "evidence",
    "noted",
    "recall_steps",
    "record",
    "repair_after",
    "situation_at",
    "steps_behind",
    "steps_of",
]
