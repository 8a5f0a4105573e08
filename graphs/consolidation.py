"""The consolidation job of a LangGraph server: the server's own store, which is a `FluxMemStore`, becomes skills.

    {"graphs": {"consolidation": "./graphs/consolidation.py:graph"}, "store": {"path": "./graphs/store.py:store"}}

Input: ``{"namespace": ["acme", "ada"], "thresholds": {...}}``, both optional. `FLUXMEM_MODEL` names a chat model that judges
(``openai:gpt-4.1-mini``); without it the rules do. ``python -m langgraph_fluxmem schedule`` makes it a cron.
"""

from __future__ import annotations

import os

from langgraph_fluxmem.consolidation.graph import consolidation_graph

graph = consolidation_graph(model=os.environ.get("FLUXMEM_MODEL") or None)
