"""Moving a memory: out of it into a file and in again, and from one embedding to another."""

from __future__ import annotations

from langgraph_fluxmem.moving.exporting import Exported, export
from langgraph_fluxmem.moving.importing import Imported, import_
from langgraph_fluxmem.moving.reembedding import Reembedded, reembed

__all__ = ["Exported", "Imported", "Reembedded", "export", "import_", "reembed"]
