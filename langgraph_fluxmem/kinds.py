"""What kind of answer a question wants, and which facts could give it: a number ("how many"), or a time ("when").

Told by English words, and digits; a question in another language asks for no kind, which costs nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache

NUMBER, TIME = "#", "@"
"""The terms that mark a fact with a number, or with a time, in its text. No text has them among its terms, so no query asks for them."""

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


def marks(text: str) -> list[str]:
    """The marks of a fact's text."""
    return [mark for mark, pattern in ((NUMBER, _NUMBER), (TIME, _TIME)) if pattern.search(text)]


@lru_cache(maxsize=256)
def wanted(query: str) -> tuple[str, ...]:
    """The marks of what could answer a query: none, one or both ("how long ago")."""
    return tuple(mark for mark, pattern in ((NUMBER, _HOW_MANY), (TIME, _WHEN)) if pattern.search(query))
