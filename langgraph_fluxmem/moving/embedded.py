"""The text behind each vector of a stored node: what has to be embedded again under another embedding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langgraph_fluxmem.consolidation.caring import parts_of
from langgraph_fluxmem.ingestion import drafted
from langgraph_fluxmem.noting import NOTE, noted
from langgraph_fluxmem.skills.model import Skill
from langgraph_fluxmem.storing.fields import text_at
from langgraph_fluxmem.text import content_hash


def embedded_text(kind: str, body: Mapping[str, Any], path: str, hash_: str) -> str | None:
    """What was embedded for the text at `path` of a node; None where that cannot be told any more, by its content hash."""
    text = _text(kind, body, path)
    return text if text is not None and content_hash(text) == hash_ else None


def _text(kind: str, body: Mapping[str, Any], path: str) -> str | None:
    if kind == "item":
        return text_at(body["value"], path)
    if kind == "skill":
        return Skill.of(body).match()
    if kind == "episode":
        return str(body[path])
    if path == NOTE:
        said = noted(str(body.get("context", "")), body.get("keywords", ()))
        return None if said is None else said[2]
    if path.startswith("part."):
        parts, at = parts_of(str(body["content"])), int(path.removeprefix("part."))
        return parts[at] if at < len(parts) else None
    return drafted("", str(body["content"]), dict(body.get("metadata") or {}), None, None).embedded
