"""Notes on facts [MemFly]: what a model says a fact is about, beside what was remembered, as a further text by which the fact is found.

The body of a fact with a note also has ``context`` (one plain sentence) and ``keywords``; its content and metadata are as they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langgraph_fluxmem.edits import Text
from langgraph_fluxmem.operators.protocol import Cost, ExtractEach, Judgement, Operators
from langgraph_fluxmem.operators.schemas import ExtractedEach
from langgraph_fluxmem.requests import Judge, Stage
from langgraph_fluxmem.text import content_hash, terms
from langgraph_fluxmem.trust.quarantine import note_sign, note_withheld

NOTE = "note"
"""Path of the text by which a fact is found through its note."""
NOTED = ("context", "keywords")
"""Keys of a fact's body that are its note."""
TOGETHER = 16
"""Facts that a model writes notes on in one call, at most."""
CHARS = 24_000
"""Characters of the facts of one call, at most, unless it is one fact."""


def noted(context: str, keywords: Sequence[str]) -> tuple[dict[str, Any], Text, str] | None:
    """A note as (what the fact's body gets, its text for the index, what is embedded of it); None where it says nothing."""
    note = ". ".join(part for part in (context.strip(), ", ".join(map(str, keywords))) if part)
    if not note:
        return None
    return {"context": context, "keywords": list(keywords)}, Text(NOTE, content_hash(note), " ".join(terms(note))), note


def notes_on(contents: Mapping[str, str], operators: Operators, cost: Cost, held: list[dict[str, Any]] | None = None) -> Stage:
    """Ask for notes on contents, by name, several in one call. Returns those that a model wrote: name -> `noted`. `cost` is added to, and
    `held`, where it is given: notes that are written to be obeyed, as items of the quarantine on the nodes of these names."""
    found: dict[str, tuple[dict[str, Any], Text, str]] = {}
    for names in _together(contents):
        judgement: Judgement[ExtractedEach] = yield Judge(ExtractEach(tuple(contents[name] for name in names)), operators)
        cost.add(judgement)
        if judgement.by == "model":
            for name, said in zip(names, judgement.value.notes, strict=True):
                why = note_sign(contents[name], " ".join((said.context, *said.keywords))) if held is not None else ""
                if held is not None and why:
                    held.append(note_withheld(name, said.context, said.keywords, why))
                    continue
                note = noted(said.context, said.keywords)
                if note is not None:
                    found[name] = note
    return found


def _together(contents: Mapping[str, str]) -> list[list[str]]:
    parts: list[list[str]] = []
    room = 0
    for name, content in contents.items():
        if not parts or len(parts[-1]) >= TOGETHER or len(content) > room:
            parts.append([])
            room = CHARS
        parts[-1].append(name)
        room -= len(content)
    return parts
