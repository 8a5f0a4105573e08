"""What kind of thing a text says: whether it holds a number or a time, names something, or speaks of who says it; and which of these a
question wants ("how many", "when").

Numbers, times and "I" are told by English words, and digits; a text in another language has no such mark, which costs nothing. Names are told
by capital letters.
"""

from __future__ import annotations

import re
from functools import lru_cache

NUMBER, TIME, NAME, OWN = "#", "@", "^", "&"
"""The terms that mark a fact with a number, a time, the name of something, or words like "I" in its text. No text has them among its terms,
so no query asks for them."""

_HOW_MANY = re.compile(r"\bhow\s+(?:many|much|old|long|often|far|tall|big|high)\b", re.IGNORECASE)
_WHEN = re.compile(
    r"^\W*(?:(?:since|until|by|and)\s+)?when\b|\bhow long\b|\b(?:what|which)\s+(?:day|date|week|month|season|year|time)\b", re.IGNORECASE
)
_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|hundred|thousand|million|once|twice|first|second|third|"
    r"couple|few|several)\b",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"\b(?:yesterday|today|tonight|tomorrow|ago|since|recently|weekend|\d{4}|"
    r"(?:last|next|this|past)\s+(?:night|morning|evening|week|weekend|month|year|spring|summer|fall|autumn|winter|"
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day)|"
    r"january|february|march|april|june|july|august|september|october|november|december)\b",
    re.IGNORECASE,
)
_OWN = re.compile(r"\b(?:i|my|mine|me|we|our|ours|us)\b", re.IGNORECASE)
_UPPER = "A-Z\u00c0-\u00d6\u00d8-\u00de\u0391-\u03a9\u0410-\u042f"
_NAME = re.compile(
    rf"(?<=[^\s.!?:;,\"\u201c\u2018(\[])\s+(?!I\b|OK\b)[{_UPPER}][^\W\d_]+(?:[-'\u2019][^\W\d_]+)*((?:\s+[{_UPPER}][^\W\d_]*)*)"
    rf"|[\"\u201c][{_UPPER}][^\"\u201d]{{1,80}}[\"\u201d]"
)
"""A capitalised word that does not begin a sentence or a part of one, with those that follow it; or a title in quotation marks."""
_OPENING = re.compile(r"(?:^|[.!?:;,]\s)\s*\S+(?:\s\S+)?$")
_PATTERNS = ((NUMBER, _NUMBER), (TIME, _TIME), (OWN, _OWN))


def marks(text: str) -> list[str]:
    """The marks of a fact's text."""
    found = [mark for mark, pattern in _PATTERNS if pattern.search(text)]
    return [*found, NAME] if _names(text) else found


def _names(text: str) -> bool:
    """Whether a text names something. "Hey Ada!" and "Thank you, Ada." do not: so people are spoken to, who seldom are what is told."""
    for found in _NAME.finditer(text):
        alone = found[1] == "" and text[found.end() : found.end() + 1] in ("", *",.!?;")
        if not alone or not _OPENING.search(text[max(0, found.start() - 40) : found.start()]):
            return True
    return False


@lru_cache(maxsize=256)
def wanted(query: str) -> tuple[str, ...]:
    """The marks of what could answer a query: none, one or both ("how long ago")."""
    return tuple(mark for mark, pattern in ((NUMBER, _HOW_MANY), (TIME, _WHEN)) if pattern.search(query))
