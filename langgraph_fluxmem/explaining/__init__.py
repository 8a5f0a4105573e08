"""Why something was recalled, and what anything in memory is: `FluxMem.explain`."""

from langgraph_fluxmem.explaining.model import Explanation, NodeExplanation, RecallExplanation
from langgraph_fluxmem.explaining.node import explain_id
from langgraph_fluxmem.explaining.recalled import explain_activation

__all__ = ["Explanation", "NodeExplanation", "RecallExplanation", "explain_activation", "explain_id"]
