"""Texts as a reader sees them, so that what is written to look alike compares alike.

Invisible characters are dropped, compatibility forms and letters of other scripts that look like Latin ones become what they look like.
For comparing only: nothing is ever stored or shown folded. The table holds the letters that are used for such forgeries (Unicode TS 39,
"confusables", has all of them); a text of a language written in those letters is folded on both sides of a comparison, which costs nothing.
"""

# ruff: noqa: RUF001 - letters that look alike are what this is about

from __future__ import annotations

import unicodedata
from functools import lru_cache

_LATIN = {
    "a": "аαɑ",
    "b": "ьƅ",
    "c": "сϲᴄ",
    "d": "ԁ",
    "e": "еєε",
    "g": "ɡ",
    "h": "һ",
    "i": "іıιɩ",
    "j": "ј",
    "k": "кκ",
    "l": "ӏⅼ",
    "m": "мⅿ",
    "n": "пη",
    "o": "оοօ",
    "p": "рρ",
    "q": "ԛ",
    "r": "гᴦ",
    "s": "ѕꜱ",
    "t": "тτ",
    "u": "υս",
    "v": "νѵ",
    "w": "ѡԝω",
    "x": "хχ",
    "y": "уγ",
    "z": "ᴢ",
    "/": "⁄∕⧸／",
}
_TABLE = str.maketrans({letter: plain for plain, letters in _LATIN.items() for letter in letters})


def invisible(char: str) -> bool:
    """Whether a character takes no room on the page: format characters, variation selectors, tags, fillers."""
    return char > "\x7f" and (
        unicodedata.category(char) == "Cf" or "\ufe00" <= char <= "\ufe0f" or "\U000e0000" <= char <= "\U000e0fff" or char in _FILLERS
    )


_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")


@lru_cache(maxsize=8192)
def folded(text: str) -> str:
    """`text` in lower case as it looks: without what is invisible, without accents, with letters that look like Latin ones as these."""
    if text.isascii():
        return text.lower()
    seen = "".join(char for char in unicodedata.normalize("NFKD", text) if not invisible(char) and not unicodedata.combining(char))
    return seen.casefold().translate(_TABLE)
