"""Dates as people write them: what a search for "May 2023" has to meet, whatever form a time was given in."""

from __future__ import annotations

import re
from datetime import UTC, datetime

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
_ISO = re.compile(r"(?<!\d)(\d{4})[-/](0?[1-9]|1[0-2])(?:[-/](0?[1-9]|[12]\d|3[01]))?(?!\d)(?:T\S*)?")
_CLOCK = re.compile(r"(?<!\d)\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:\s*(?:am|pm)\b)?", re.IGNORECASE)
_EPOCH = (1e8, 1e11)
"""Numbers in this range are seconds since 1970 (from 1973 to 5138)."""


def spelt(text: str) -> str:
    """The text with every ISO date written as words: ``2023-05-08`` becomes ``8 May 2023``, ``2023-05`` ``May 2023``."""
    return _ISO.sub(_words, text) if "-" in text or "/" in text else text


def time_text(value: object) -> str:
    """A time from metadata as text to search in: dates in words, without the time of day; epoch seconds as their date (UTC).

    Anything that is neither text nor a number is the empty string; texts that hold no date come back as they are.
    """
    if isinstance(value, str):
        return _CLOCK.sub(" ", spelt(value)).strip()
    if isinstance(value, int | float) and not isinstance(value, bool):
        if _EPOCH[0] <= value <= _EPOCH[1]:
            moment = datetime.fromtimestamp(value, UTC)
            return f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}"
        return str(value)
    return ""


def _words(found: re.Match[str]) -> str:
    year, month, day = found.groups()
    return " ".join(part for part in (str(int(day)) if day else "", MONTHS[int(month) - 1], year) if part)
