"""Remembering: documents become facts, verbatim, in one operation; no model is called unless `enrich` asks for it.

A node is named after what it is: namespace, source, position, content and metadata, or the id its document carries. So the same thing
twice is one fact, and a document that comes back changed under its own id is a new version of it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
from langchain_core.documents import Document
from langchain_core.messages import BaseMessage

from langgraph_fluxmem.edits import Applied, NodeWrite, Plan, Text, Write
from langgraph_fluxmem.errors import ConfigError, InvalidContentError, StaleError
from langgraph_fluxmem.gate import Passed, Told, passed
from langgraph_fluxmem.indexing import fact_terms
from langgraph_fluxmem.noting import NOTED, notes_on
from langgraph_fluxmem.operators.protocol import Cost, Operators
from langgraph_fluxmem.redaction import Redact, redacted
from langgraph_fluxmem.requests import Apply, EmbedFor, Fetch, Stage
from langgraph_fluxmem.schema import Namespace, Provenance
from langgraph_fluxmem.storing.values import checked
from langgraph_fluxmem.text import check_text, content_hash, split
from langgraph_fluxmem.trust.quarantine import item_node, item_writes

Document_ = str | Document | BaseMessage
Rememberable = Document_ | Iterable[Document_]
"""A text, a LangChain `Document` or message, or several of them in any mixture."""

Progress = Callable[[dict[str, int | None]], None]
"""Gets ``{"done": documents, "total": documents or None when nobody knows, "stored": facts that were new}``; with the gate also how many of
these were ``merged`` and ``linked``; where secrets were cut how many (``redacted``); with `enrich` how many were ``noted``, and ``calls``, ``input_tokens``, ``output_tokens`` and
``fallbacks`` (rules answered for the model). All are sums so far."""
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
    gate: bool = False,
    operators: Operators | None = None,
    redact: Redact = "off",
    cut: Counter[str] | None = None,
    screened: bool = True,
) -> Stage:
    """Store documents as facts; returns the version ids of all pieces, in order.

    In one operation, or with `batch` in one for each so many documents, which are taken as they are needed; `progress` is called after
    each. What is stored already, unchanged, is left as it is and not embedded: so the same call again goes on where it was interrupted.
    `source` is for documents that name none. Metadata keys with a meaning are ``source``, ``position`` (a number), ``speaker`` and
    ``time``; all metadata come back unchanged. A text of more than `split_chars` characters becomes several facts, whose metadata say at
    which character each begins (``start_index``). With `gate` new facts are compared with those there are (`gate.passed`); `operators` write
    a note on each new fact (`noting`), and decide where the rules of the gate are unsure.

    Secrets are cut by `redact`, and added up by kind in `cut`. Notes that a model wrote to be obeyed go into quarantine when `screened`.

    Raises:
        InvalidContentError: one of them cannot be remembered; none of its batch is. ConfigError: `batch` is no number of at least 1.
    """
    how = _How(namespace, provenance, gate, operators, screened, Counter() if cut is None else cut)
    taken = _Taken(namespace, source, split_chars, redact, how.redacted)
    if batch is None and progress is None:
        found = [draft for at, item in enumerate(_items(documents)) for draft in _drafts_of(item, f"document {at}", taken)]
        return (yield from _stored(found, how))
    size = _batch(batch)
    total = len(documents) if isinstance(documents, Sized) and not isinstance(documents, (str, bytes)) else None
    total = 1 if isinstance(documents, (str, Document, BaseMessage)) else total
    items = iter(_items(documents))
    versions: list[str] = []
    done = 0
    while part := list(islice(items, size)):
        found = [draft for at, item in enumerate(part, done) for draft in _drafts_of(item, f"document {at}", taken)]
        versions += yield from _stored(found, how)
        done += len(part)
        if progress is not None:
            progress({"done": done, "total": total, **how.counts()})
    return versions


@dataclass(slots=True)
class _How:
    """How drafts are stored, and what came of it so far."""

    namespace: Namespace
    provenance: Provenance | None
    gate: bool
    operators: Operators | None
    screened: bool = True
    redacted: Counter[str] = field(default_factory=Counter[str])
    stored: int = 0
    merged: int = 0
    linked: int = 0
    noted: int = 0
    cost: Cost = field(default_factory=Cost)

    def counts(self) -> dict[str, int | None]:
        """For `Progress`: what there can be, as configured."""
        counted: dict[str, int | None] = {"stored": self.stored}
        if self.redacted:
            counted["redacted"] = self.redacted.total()
        if self.gate:
            counted |= {"merged": self.merged, "linked": self.linked}
        if self.operators is not None:
            cost = self.cost
            counted |= {"noted": self.noted, "calls": cost.calls, "input_tokens": cost.input_tokens, "output_tokens": cost.output_tokens}
            counted["fallbacks"] = cost.fallbacks
        return counted


def _stored(found: list[Draft], how: _How) -> Stage:
    """Write drafts in one operation; returns their version ids."""
    namespace = how.namespace
    unique = {draft.node: draft for draft in found}
    keys = tuple(unique)
    versions: dict[str, str] = {}
    notes: dict[str, tuple[dict[str, Any], Text, str]] = {}
    asked: set[str] = set()
    held: list[dict[str, Any]] = []
    for attempt in range(_ATTEMPTS if unique else 0):
        current = yield Fetch("current", (namespace, keys))
        versions = {node: row.id for node, row in current.items() if _says(row.body, unique[node])}
        fresh = [draft for draft in unique.values() if draft.node not in versions]
        if not fresh:
            break
        replaced = [current[draft.node].id if draft.node in current else None for draft in fresh]
        operation = "remember-" + _digest(namespace, [(draft.node, draft.digest) for draft in fresh], replaced, attempt)
        if how.operators is not None:
            contents = {draft.node: draft.content for draft in fresh if draft.node not in asked}
            notes |= yield from notes_on(contents, how.operators, how.cost, held if how.screened else None)
            asked |= contents.keys()
        texts = [(draft.text.hash, draft.embedded) for draft in fresh]
        texts += [(notes[draft.node][1].hash, notes[draft.node][2]) for draft in fresh if draft.node in notes]
        new, vectors = yield EmbedFor(namespace, tuple(texts))
        made = {draft.node: f"{draft.node}:{_digest(operation, draft.digest)[:8]}" for draft in fresh}
        writes: list[Write] = [_with_note(fact_write(made[draft.node], draft), notes.get(draft.node)) for draft in fresh]
        through = Passed()
        if how.gate:
            told = [Told.of(made[draft.node], draft.body) for draft in fresh]
            matrix = np.stack([vectors[draft.text.hash] for draft in fresh])
            through = yield from passed(told, matrix, namespace, operation, operators=how.operators, cost=how.cost)
        if held:
            nodes = tuple(item_node(namespace, item) for item in held)
            writes += item_writes(held, namespace, (yield Fetch("current", (namespace, nodes))), operation)
        plan = Plan(
            operation, "remember", namespace, (*writes, *new.values(), *through.writes), how.provenance or Provenance(), through.expects
        )
        try:
            applied: Applied = yield Apply(plan)
        except StaleError:  # a fact that it was compared with has gone, or its note is another one: compare again
            if attempt == _ATTEMPTS - 1:
                raise
            continue
        if not applied.duplicate:
            versions.update(made)
            how.stored += len(fresh)
            how.merged += through.merged
            how.linked += through.linked
            how.noted += sum(draft.node in notes for draft in fresh)
            return [versions[draft.node] for draft in found]
        # somebody wrote the same in this moment, or it was written before and has been forgotten or undone since: look again
    return [versions[draft.node] for draft in found]


def _says(body: Mapping[str, Any] | None, draft: Draft) -> bool:
    """Whether a stored fact is this one; a note on it makes no difference."""
    return body is not None and {key: value for key, value in body.items() if key not in NOTED} == draft.body


def _with_note(write: NodeWrite, note: tuple[dict[str, Any], Text, str] | None) -> NodeWrite:
    return write if note is None else replace(write, body={**(write.body or {}), **note[0]}, texts=(*write.texts, note[1]))


def _batch(batch: int | None) -> int:
    if batch is None:
        return BATCH
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise ConfigError(f"batch is {batch!r}; it is how many documents are stored in one operation, a whole number of at least 1")
    return batch


def drafts(documents: Rememberable, *, namespace: Namespace, source: str | None = None, split_chars: int = 8_000) -> list[Draft]:
    """What documents will be remembered as, in order, long ones in pieces, secrets and all.

    Raises:
        InvalidContentError: one of them cannot be remembered; the message says which.
    """
    taken = _Taken(namespace, source, split_chars)
    return [draft for at, item in enumerate(_items(documents)) for draft in _drafts_of(item, f"document {at}", taken)]


@dataclass(frozen=True, slots=True)
class _Taken:
    """How documents are taken in: where to, from which source, in pieces of which length, without which secrets; `cut` counts these."""

    namespace: Namespace
    source: str | None
    limit: int
    redact: Redact = "off"
    cut: Counter[str] = field(default_factory=Counter[str])


def _items(documents: Rememberable) -> Iterable[object]:
    if isinstance(documents, (str, Document, BaseMessage)):
        return [documents]
    if isinstance(documents, (bytes, Mapping)) or not isinstance(documents, Iterable):
        raise InvalidContentError(f"documents is a {type(documents).__name__}; {_EXPECTED}")
    return documents


_EXPECTED = "expected a text, a LangChain Document, a message, or a list of these"


def _drafts_of(item: object, what: str, taken: _Taken) -> list[Draft]:
    """What a document will be remembered as, in pieces if it is long."""
    namespace, source, limit = taken.namespace, taken.source, taken.limit
    given_text, given, name = _parts_of(item, what)
    (content, metadata), cut = redacted((check_text(given_text, what), checked(given, f"the metadata of {what}")), taken.redact)
    taken.cut.update(cut)
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
