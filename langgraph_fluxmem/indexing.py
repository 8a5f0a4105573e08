"""From what is remembered to what the index counts of it, for every kind of node: when it is written, and again when the rules change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langgraph_fluxmem.dates import spelt, time_text
from langgraph_fluxmem.edits import Text
from langgraph_fluxmem.kinds import marks
from langgraph_fluxmem.noting import NOTE, noted
from langgraph_fluxmem.relative import told_times
from langgraph_fluxmem.storing.fields import text_at
from langgraph_fluxmem.text import QUESTION, index_terms, is_question, terms


def fact_terms(content: str, speaker: str | None, time: object) -> str:
    """The terms of a fact: of its content, of who said it and of when; of the times it tells by when it was written; whether it asks something,
    and what kinds of answer it may hold."""
    found = index_terms(speaker or "", spelt(content), time_text(time))
    found += [term for term in terms(told_times(content, time)) if term not in found]
    if is_question(content):
        found.append(QUESTION)
    found += marks(content)
    return " ".join(found)


def indexed_again(kind: str, speaker: str | None, body: Mapping[str, Any], texts: Sequence[Text]) -> tuple[Text, ...]:
    """The texts of a stored node with terms by the rules of now; a text that had none still has none."""
    return tuple(Text(text.path, text.hash, _terms(kind, speaker, body, text.path) if text.terms else "") for text in texts)


def _terms(kind: str, speaker: str | None, body: Mapping[str, Any], path: str) -> str:
    if kind == "fact" and path == NOTE:
        note = noted(str(body.get("context", "")), body.get("keywords", ()))
        return note[1].terms if note is not None else ""
    if kind == "fact":
        return fact_terms(str(body["content"]), speaker, (body.get("metadata") or {}).get("time"))
    if kind == "item":
        return " ".join(index_terms(text_at(body["value"], path)))
    return " ".join(terms(str(body[path])))
