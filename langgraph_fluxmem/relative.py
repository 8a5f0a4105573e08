"""Times that a text tells by when it was written: "last May", "two weeks ago", "yesterday" as the dates they mean.

They are indexed beside the text, so that a question that names the month or the day finds it. Told by English words; what depends on more
than the day of writing ("the week before that", "last summer" in which hemisphere) is left alone, but for its year.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

from langgraph_fluxmem.dates import MONTHS, time_text

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NAMES = [month.lower() for month in MONTHS]
_COUNTED = "one two three four five six seven eight nine ten eleven twelve"
_NUMBERS = {**{word: count for count, word in enumerate(_COUNTED.split(), 1)}, "a": 1, "an": 1, "a couple of": 2, "a couple": 2}
_WRITTEN = (
    re.compile(rf"(?P<day>\d{{1,2}})\.?\s+(?P<month>{'|'.join(MONTHS)}),?\s+(?P<year>\d{{4}})", re.IGNORECASE),
    re.compile(rf"(?P<month>{'|'.join(MONTHS)})\s+(?P<day>\d{{1,2}}),?\s+(?P<year>\d{{4}})", re.IGNORECASE),
)
_TOLD = re.compile(
    rf"\b(?:(?P<near>yesterday|tomorrow|last\s+night)"
    rf"|(?P<count>\d{{1,2}}|a\s+couple(?:\s+of)?|{'|'.join(word for word in _NUMBERS if ' ' not in word)})\s+(?P<ago>day|week|month|year)s?\s+ago"
    rf"|(?P<which>last|past|next|this)\s+(?P<what>week|weekend|month|year|spring|summer|fall|autumn|winter|{'|'.join(_DAYS)}|{'|'.join(_NAMES)}))\b",
    re.IGNORECASE,
)
_SEASONS = frozenset(("spring", "summer", "fall", "autumn", "winter", "year"))


def told_times(text: str, time: object) -> str:
    """The dates that the words of a text mean when it was written at `time` (as in metadata): days ("7 May 2023"), months or years, in words.

    Empty where it tells none, or `time` names no day.
    """
    found = list(_TOLD.finditer(text))
    written = _day_of(time) if found else None
    if written is None:
        return ""
    try:
        return " ".join(dict.fromkeys(_meant(one, written) for one in found))
    except OverflowError:  # before the year 1, or after 9999
        return ""


def _day_of(time: object) -> date | None:
    said = time_text(time)
    for pattern in _WRITTEN:
        if one := pattern.search(said):
            try:
                return date(int(one["year"]), 1 + _NAMES.index(one["month"].lower()), int(one["day"]))
            except ValueError:
                return None
    return None


def _meant(one: re.Match[str], written: date) -> str:
    if near := one["near"]:
        return _day(written + timedelta(days=1 if near.lower() == "tomorrow" else -1))
    if unit := one["ago"]:
        word = " ".join(one["count"].lower().split())
        return _back(written, int(word) if word.isdigit() else _NUMBERS[word], unit.lower())
    which, what = one["which"].lower(), one["what"].lower()
    ahead = {"next": 1, "this": 0}.get(which, -1)
    if what in _SEASONS:
        return str(written.year + ahead)
    if what in _DAYS:
        return _weekday(written, _DAYS.index(what), ahead)
    if what in _NAMES:
        return _month_named(written, 1 + _NAMES.index(what), ahead)
    return _back(written, -ahead, what) if what == "month" else _month(written + timedelta(weeks=ahead))


def _weekday(written: date, wanted: int, ahead: int) -> str:
    """The last one before the day of writing, the next after it; "this Friday" is the one to come, or today."""
    if ahead < 0:
        return _day(written - timedelta(days=(written.weekday() - wanted - 1) % 7 + 1))
    return _day(written + timedelta(days=(wanted - written.weekday() - ahead) % 7 + ahead))


def _month_named(written: date, wanted: int, ahead: int) -> str:
    """The last month of that name before that of writing, the next after it; "this May" is that of the year of writing."""
    year = written.year
    if ahead < 0 and wanted >= written.month:
        year -= 1
    if ahead > 0 and wanted <= written.month:
        year += 1
    return f"{MONTHS[wanted - 1]} {year}"


def _back(written: date, count: int, unit: str) -> str:
    if unit == "day":
        return _day(written - timedelta(days=count))
    if unit == "week":
        return _month(written - timedelta(weeks=count))
    if unit == "year":
        return str(written.year - count)
    months = 12 * written.year + written.month - 1 - count
    return f"{MONTHS[months % 12]} {months // 12}"


def _day(day: date) -> str:
    return f"{day.day} {_month(day)}"


def _month(day: date) -> str:
    return f"{MONTHS[day.month - 1]} {day.year}"
