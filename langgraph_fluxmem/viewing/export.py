"""A view in one file, for a report or a notebook: no server, no network, read-only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langgraph_fluxmem.memory import FluxMem
from langgraph_fluxmem.schema import Namespace
from langgraph_fluxmem.viewing.page import whole
from langgraph_fluxmem.viewing.picture import LIMIT, picture
from langgraph_fluxmem.viewing.server import Viewer

TEXT = 2_000
"""Characters of each node's text in the file."""


def export_view(
    mem: FluxMem, namespace: Namespace, path: str | Path, *, recalls: Sequence[str] = (), k: int = 10, limit: int = LIMIT
) -> Path:
    """Write the view of one namespace as a page of its own, with the explanation of each of `recalls` in it; returns where.

    The file holds what the namespace holds: texts, past versions' times, evidence sums. Give it to whom you would give that.

    Raises:
        OSError: it cannot be written.
    """
    viewer = Viewer(mem, namespace, limit=limit)
    data: dict[str, Any] = {"graph": picture(mem, namespace, limit=limit, text=TEXT)}
    data["recalls"] = {query: viewer.recall(query, k) for query in recalls}
    named = {reason["id"].partition("#")[0] for found in data["recalls"].values() for reason in found["reasons"]}
    skills = {data["graph"]["nodes"]["id"][skill["node"]] for skill in data["graph"]["skills"]}
    data["explained"] = {id_: viewer.node(id_) for id_ in sorted(named | skills)}
    to = Path(path)
    to.write_text(whole(data), encoding="utf-8")
    return to
