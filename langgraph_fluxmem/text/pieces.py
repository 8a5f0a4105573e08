"""Checking, naming and cutting texts."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from langgraph_fluxmem.errors import InvalidContentError

QUESTION = "?"
"""The term that marks a fact as a question. No text has it among its `terms`, so no query asks for it."""
_ASKS = re.compile(r"[?\uff1f\u061f\u037e]['\")\]\u201d\u300d]*\s*$")


def is_question(text: str) -> bool:
    """Whether a text ends with a question mark."""
    return _ASKS.search(text[-64:]) is not None


def content_hash(text: str) -> str:
    """32 hex digits that name this exact text (blake2b)."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def check_text(text: object, what: str = "content") -> str:
    """The text itself when it can be remembered.

    Raises:
        InvalidContentError: it is not a string, is empty or blank, or holds NUL characters or lone surrogates.
    """
    if not isinstance(text, str):
        raise InvalidContentError(f"{what} is {type(text).__name__}, expected a string; pass str(...) of what should be remembered")
    if not text.strip():
        raise InvalidContentError(f"{what} is {'blank' if text else 'empty'}, expected some text")
    if "\x00" in text:
        raise InvalidContentError(
            f"{what} holds a NUL character at position {text.index(chr(0))}; remove it with text.replace('\\x00', '')"
        )
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidContentError(
                f"{what} holds a lone surrogate at position {error.start}, which is no character; "
                "decode the source with its own encoding, or use text.encode('utf-8', 'replace').decode()"
            ) from None
    return text


_BREAKS = (re.compile(r"\n\s*\n"), re.compile(r"\n"), re.compile(r"[.!?\u2026]['\")\]]*\s+|[\u3002\uff01\uff1f]"), re.compile(r"\s+"))
"""Where a long text may be cut, best first: paragraphs, lines, sentences, words."""


def split(text: str, limit: int) -> list[str]:
    """Cut a text into pieces of at most `limit` characters whose concatenation is the text.

    A piece ends at the last paragraph, else line, sentence or word end in its second half; only a word longer than that is cut inside.
    """
    if limit < 1:
        raise ValueError(f"limit is {limit}, expected at least 1 character")
    pieces: list[str] = []
    start = 0
    while len(text) - start > limit:
        end = _cut(text, start, start + limit)
        pieces.append(text[start:end])
        start = end
    if start < len(text):
        pieces.append(text[start:])
    return pieces


def _cut(text: str, start: int, stop: int) -> int:
    middle = (start + stop) // 2
    for pattern in _BREAKS:
        ends = [found.end() for found in pattern.finditer(text, middle, stop)]
        if ends:
            return ends[-1]
    while stop - 1 > middle and unicodedata.category(text[stop])[0] == "M":  # never part a mark from its letter
        stop -= 1
    return stop
