"""A memory to look at: a local page over one namespace, or the same page in one file."""

from langgraph_fluxmem.viewing.export import export_view
from langgraph_fluxmem.viewing.server import ViewServer

__all__ = ["ViewServer", "export_view"]
