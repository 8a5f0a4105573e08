# ruff: noqa: RUF001 - letters of other scripts are meant
"""Which language a text is in, as far as the index has to know: by its script, and among languages of one script by function words.

A guess costs microseconds and is wrong for short texts. Nothing depends on it being right: a text that is taken for another language
carries that language's stems and its mark, and a query asks with the stems of every language whose mark its namespace has
(`terms.query_terms`).
"""

from __future__ import annotations

from collections.abc import Iterable

from langgraph_fluxmem.text.function_words import FUNCTION_WORDS, LATIN, MISLEADING

DEFAULT = "en"
"""What a Latin text is taken for when nothing speaks for another language."""
MARKED: tuple[str, ...] = (*LATIN[1:], "fa")
"""Languages that a text is marked with; the others are known by their script alone, or are the default."""

_LEAST = 1.0
_FEWEST = 2
"""Function words and letters that must speak: one alone ("dog" is Danish, too) is chance."""
_FAINT = 0.25


def _evidence() -> dict[str, tuple[tuple[str, float], ...]]:
    """Function word -> how much it speaks for each Latin language: 1 in all, shared by those that have it."""
    holders: dict[str, list[str]] = {}
    for language in LATIN:
        for word in FUNCTION_WORDS[language]:
            holders.setdefault(word, []).append(language)
    found: dict[str, tuple[tuple[str, float], ...]] = {}
    for word, languages in holders.items():
        if DEFAULT not in languages and (len(word) == 1 or word in MISLEADING):
            continue
        given = [DEFAULT] if DEFAULT in languages and word in MISLEADING else languages
        found[word] = tuple((language, 1.0 / len(given)) for language in given)
    return found


_SPEAKS = _evidence()
_FOREIGN = frozenset(_SPEAKS.keys() - FUNCTION_WORDS[DEFAULT])
_LETTERS: dict[str, tuple[str, ...]] = {
    "ß": ("de",), "ñ": ("es",), "¿": ("es",), "¡": ("es",), "ã": ("pt",), "õ": ("pt",), "ø": ("da", "no"), "ł": ("pl",), "ż": ("pl",),
    "ğ": ("tr",), "ı": ("tr",), "ő": ("hu",), "ű": ("hu",), "ă": ("ro",), "ț": ("ro",), "ř": ("cs",), "ě": ("cs",), "ů": ("cs",),
    "å": ("sv", "da", "no"), "ä": ("de", "sv", "fi"), "ö": ("de", "sv", "fi", "tr", "hu"), "ü": ("de", "tr", "hu"),
    "è": ("fr", "it"), "ê": ("fr", "pt"), "ç": ("fr", "pt", "tr"), "œ": ("fr",), "ò": ("it",), "ş": ("tr",), "ș": ("ro",),
    "ą": ("pl",), "ę": ("pl",), "ś": ("pl",), "ć": ("pl",),
}  # fmt: skip
_PERSIAN = frozenset("پچژگکی")


def language_of(words: Iterable[str]) -> str:
    """The language of a text from its words: one of `LATIN`, or ``"fa"``; `DEFAULT` when another is not clearly more likely."""
    seen = set(map(str.lower, words))
    ascii_only = "".join(seen).isascii()
    if ascii_only and _FOREIGN.isdisjoint(seen):  # what English shares with another language cannot outweigh English
        return DEFAULT
    scores: dict[str, float] = {}
    hits = seen & _SPEAKS.keys()
    for word in hits:
        for language, weight in _SPEAKS[word]:
            scores[language] = scores.get(language, 0.0) + weight
    if not ascii_only:
        letters = {letter for word in seen if not word.isascii() for letter in word}
        if letters & _PERSIAN:
            return "fa"
        hits |= letters & _LETTERS.keys()
        for letter in letters & _LETTERS.keys():
            for language in _LETTERS[letter]:
                scores[language] = scores.get(language, 0.0) + _FAINT
    if len(hits) < _FEWEST:
        return DEFAULT
    best = max(sorted(scores), key=scores.__getitem__)
    return best if scores[best] >= _LEAST and scores[best] > scores.get(DEFAULT, 0.0) else DEFAULT
