"""Stage III: episodes become skills, offline [F 3.3]."""

from langgraph_fluxmem.consolidation.means import Means
from langgraph_fluxmem.consolidation.report import Report
from langgraph_fluxmem.consolidation.run import consolidate
from langgraph_fluxmem.consolidation.settings import Settings

__all__ = ["Means", "Report", "Settings", "consolidate"]
