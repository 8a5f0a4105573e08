"""Remembering: documents become facts, verbatim, in one operation; no model is called.

A node is named after what it is: namespace, source, position, content and metadata, or the id its document carries. So the same thing
twice is one fact, and a document that comes back changed under its own id is a new version of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass
from itertools import islice
from typing import Any

from langchain_core.documents import Document
from langchain_core.messages import BaseMessage

from langgraph_fluxmem.errors import ConfigError, InvalidContentError
from langgraph_fluxmem.indexing import fact_terms
from langgraph_fluxmem.requests import Apply, EmbedFor, Fetch, Stage
from langgraph_fluxmem.schema import Applied, Namespace, NodeWrite, Plan, Provenance, Text, Write
from langgraph_fluxmem.storing.values import checked
from langgraph_fluxmem.text import check_text, content_hash, split

Document_ = str | Document | BaseMessage
Rememberable = Document_ | Iterable[Document_]
"""A text, a LangChain `Document` or message, or several of them in any mixture."""

Progress = Callable[[dict[str, int | None]], None]
"""Gets ``{"done": documents, "total": documents or None when nobody knows, "stored": facts that were new}``."""
BATCH = 256
"""Documents in one operation where a progress is asked for and no batch is given."""
_ATTEMPTS = 100


@dataclass(frozen=True, slots=True)
class Draft:
    """A fact before it is written. `digest` tells versions of one `node` apart."""

    node: str
    digest: str
    content: str
    metadata: dict[str, Any]
    source: str | None
    position: float | None
    speaker: str | None
    text: Text
    embedded: str
    """What is embedded: speaker, time and content."""

    @property
    def body(self) -> dict[str, Any]:
        """What the ledger keeps of it."""
        return {"content": self.content, "metadata": self.metadata}


def remember(
    documents: Rememberable,
    *,
    namespace: Namespace,
    source: str | None = None,
    provenance: Provenance | None = None,
    split_chars: int = 8_000,
    batch: int | None = None,
    progress: Progress | None = None,
) -> Stage:
    """Store documents as facts; returns the version ids of all pieces, in order.

    In one operation, or with `batch` in one for each so many documents, which are taken as they are needed; `progress` is called after
    each. What is stored already, unchanged, is left as it is and not embedded: so the same call again goes on where it was interrupted.
    `source` is for documents that name none. Metadata keys with a meaning are ``source``, ``position`` (a number), ``speaker`` and
    ``time``; all metadata come back unchanged. A text of more than `split_chars` characters becomes several facts, whose metadata say at
    which character each begins (``start_index``).

    Raises:
        InvalidContentError: one of them cannot be remembered; none of its batch is. ConfigError: `batch` is no number of at least 1.
    """
    if batch is None and progress is None:
        found = drafts(documents, namespace=namespace, source=source, split_chars=split_chars)
        return (yield from _stored(found, namespace, provenance))[0]
    size = _batch(batch)
    total = len(documents) if isinstance(documents, Sized) and not isinstance(documents, (str, bytes)) else None
    total = 1 if isinstance(documents, (str, Document, BaseMessage)) else total
    items = iter(_items(documents))
    versions: list[str] = []
    done = stored = 0
    while part := list(islice(items, size)):
        found = [
            draft for at, item in enumerate(part, done) for draft in _drafts_of(item, f"document {at}", namespace, source, split_chars)
        ]
        ids, fresh = yield from _stored(found, namespace, provenance)
        versions += ids
        done, stored = done + len(part), stored + fresh
        if progress is not None:
            progress({"done": done, "total": total, "stored": stored})
    return versions


def _stored(found: list[Draft], namespace: Namespace, provenance: Provenance | None) -> Stage:
    """Write drafts in one operation; returns their version ids, and how many were new."""
    unique = {draft.node: draft for draft in found}
    keys = tuple(unique)
    versions: dict[str, str] = {}
    for attempt in range(_ATTEMPTS if unique else 0):
        current = yield Fetch("current", (namespace, keys))
        versions = {node: row.id for node, row in current.items() if row.body == unique[node].body}
        fresh = [draft for draft in unique.values() if draft.node not in versions]
        if not fresh:
            break
        replaced = [current[draft.node].id if draft.node in current else None for draft in fresh]
        operation = "remember-" + _digest(namespace, [(draft.node, draft.digest) for draft in fresh], replaced, attempt)
        new, _ = yield EmbedFor(namespace, tuple((draft.text.hash, draft.embedded) for draft in fresh))
        made = {draft.node: f"{draft.node}:{_digest(operation, draft.digest)[:8]}" for draft in fresh}
        writes: list[Write] = [fact_write(made[draft.node], draft) for draft in fresh]
        applied: Applied = yield Apply(Plan(operation, "remember", namespace, (*writes, *new.values()), provenance or Provenance()))
        if not applied.duplicate:
            versions.update(made)
            return [versions[draft.node] for draft in found], len(fresh)
        # somebody wrote the same in this moment, or it was written before and has been forgotten or undone since: look again
    return [versions[draft.node] for draft in found], 0


def _batch(batch: int | None) -> int:
    if batch is None:
        return BATCH
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise ConfigError(f"batch is {batch!r}; it is how many documents are stored in one operation, a whole number of at least 1")
    return batch


def drafts(documents: Rememberable, *, namespace: Namespace, source: str | None = None, split_chars: int = 8_000) -> list[Draft]:
    """What documents will be remembered as, in order, long ones in pieces.

    Raises:
        InvalidContentError: one of them cannot be remembered; the message says which.
    """
    items = _items(documents)
    return [draft for index, item in enumerate(items) for draft in _drafts_of(item, f"document {index}", namespace, source, split_chars)]


def _items(documents: Rememberable) -> Iterable[object]:
    if isinstance(documents, (str, Document, BaseMessage)):
        return [documents]
    if isinstance(documents, (bytes, Mapping)) or not isinstance(documents, Iterable):
        raise InvalidContentError(f"documents is a {type(documents).__name__}; {_EXPECTED}")
    return documents


_EXPECTED = "expected a text, a LangChain Document, a message, or a list of these"


def _drafts_of(item: object, what: str, namespace: Namespace, source: str | None, limit: int) -> list[Draft]:
    given_text, given, name = _parts_of(item, what)
    content = check_text(given_text, what)
    metadata = checked(given, f"the metadata of {what}")
    source = _label(metadata.get("source"), f"the source of {what}") or source
    position = _position(metadata.get("position"), what)
    node = "f-" + (_digest(namespace, name) if name else _digest(namespace, source, position, content, metadata))
    if len(content) <= limit:
        return [drafted(node, content, metadata, source, position)]
    pieces = split(content, limit)
    first = metadata.get("start_index")
    start = first if isinstance(first, int) else 0
    made: list[Draft] = []
    for index, piece in enumerate(pieces):
        if piece.strip():
            at = float(index) if position is None else position + index / len(pieces)
            made.append(drafted(f"{node}-{index}", piece, {**metadata, "start_index": start}, source or node, at))
        start += len(piece)
    return made


def _parts_of(item: object, what: str) -> tuple[object, Mapping[str, Any], str | None]:
    """Content, metadata and own id of a document."""
    if isinstance(item, str):
        return item, {}, None
    if isinstance(item, Document):
        return item.page_content, item.metadata, item.id
    if isinstance(item, BaseMessage):
        if not item.text.strip():
            raise InvalidContentError(f"{what} is a message without text; leave such out: [m for m in messages if m.text]")
        metadata = {"speaker": item.name or item.type, "role": item.type}
        return str(item.text), metadata if item.id is None else {**metadata, "message_id": item.id}, item.id
    raise InvalidContentError(f"{what} is a {type(item).__name__}; {_EXPECTED}")


def drafted(node: str, content: str, metadata: dict[str, Any], source: str | None, position: float | None) -> Draft:
    """A fact as it will be written: `node` holds `content`, standing at `position` of `source`."""
    speaker, when = _label(metadata.get("speaker"), "speaker"), metadata.get("time")
    said = f" ({when})" if isinstance(when, (str, int, float)) and str(when) else ""
    embedded = f"{speaker or ''}{said}: {content}".lstrip() if speaker or said else content
    text = Text("content", content_hash(embedded), fact_terms(content, speaker, when))
    return Draft(node, _digest(content, metadata), content, metadata, source, position, speaker, text, embedded)


def fact_write(version: str, draft: Draft) -> NodeWrite:
    return NodeWrite(
        version, draft.node, "fact", draft.body, (draft.text,), source=draft.source, position=draft.position, speaker=draft.speaker
    )


def _label(value: object, what: str) -> str | None:
    """A label of metadata as text; numbers count, other things are no label."""
    if value is None or isinstance(value, bool) or not isinstance(value, (str, int, float)) or not str(value):
        return None
    if isinstance(value, str) and "\x00" in value:
        raise InvalidContentError(f"{what} holds NUL; remove it")
    return str(value)


def _position(value: object, what: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidContentError(f"metadata['position'] of {what} is {value!r}, expected a number: its place within the source")
    return float(value)


def _digest(*parts: Any) -> str:
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
