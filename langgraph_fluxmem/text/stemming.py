"""Words to stems: folded, freed of function words, stemmed by the rules of their language (Snowball)."""

from __future__ import annotations

import threading
import unicodedata
from functools import lru_cache
from importlib.metadata import version

import snowballstemmer

from langgraph_fluxmem.text.function_words import FUNCTION_WORDS
from langgraph_fluxmem.text.irregular import BASE_FORMS

SNOWBALL = version("snowballstemmer")
"""Stems are the work of its rules, so another version may give others."""
_ALGORITHMS = {
    "ar": "arabic", "cs": "czech", "da": "danish", "de": "german", "el": "greek", "en": "english", "es": "spanish", "fa": "persian",
    "fi": "finnish", "fr": "french", "hi": "hindi", "hu": "hungarian", "hy": "armenian", "id": "indonesian", "it": "italian",
    "nl": "dutch", "no": "norwegian", "pl": "polish", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sv": "swedish",
    "ta": "tamil", "tr": "turkish",
}  # fmt: skip
_SCRIPTS = (
    ("\u0370", "\u03ff", "el"),
    ("\u0400", "\u052f", "ru"),
    ("\u0530", "\u058f", "hy"),
    ("\u0590", "\u05ff", "he"),
    ("\u0600", "\u06ff", "ar"),
    ("\u0900", "\u097f", "hi"),
    ("\u0b80", "\u0bff", "ta"),
    ("\u1f00", "\u1fff", "el"),
)
"""First and last letter of a script, and the language that stands for it."""

_known = snowballstemmer.algorithms()
_stemmers = {language: snowballstemmer.stemmer(name) for language, name in _ALGORITHMS.items() if name in _known}
_stemming = threading.Lock()


LATIN_SCRIPT = "latin"
STEMMED = frozenset(language for _, _, language in _SCRIPTS) & _stemmers.keys()
"""Languages that stand for their script and have a stemmer."""


@lru_cache(maxsize=1 << 16)
def script_of(word: str) -> str:
    """`LATIN_SCRIPT` (digits too), the language that stands for the script of a word, or ``""`` where none does."""
    if word.isascii() or folded(word).isascii():
        return LATIN_SCRIPT
    for letter in word:
        if letter >= "\u0370":
            for first, last, language in _SCRIPTS:
                if first <= letter <= last:
                    return language
    return ""


def stem_latin(word: str, language: str) -> str:
    """The stem of a word in Latin letters, without accents; empty for a function word."""
    if word.isdigit():
        return word.lstrip("0") or "0"
    if language == "en":
        plain = folded(word).casefold()
        return "" if plain in FUNCTION_WORDS["en"] else _stemmed(BASE_FORMS.get(plain, plain), "en")
    low = word.replace("\u0130", "i").casefold()
    plain = folded(low)
    words = _WITHOUT_ACCENTS[language]
    return "" if low in words or plain in words else folded(_stemmed(low, language))


def stem_other(word: str, language: str) -> str:
    """The stem of a word in the script that `language` stands for (``"fa"``: Arabic letters); empty for a function word."""
    return "" if is_function_word(word, language) else _stemmed(word.casefold(), language)


def is_function_word(word: str, language: str) -> bool:
    """Whether a word says nothing in this language, with its accents or without."""
    return word.casefold() in _WITHOUT_ACCENTS.get(language, ())


def folded(word: str) -> str:
    """Accents of Latin letters dropped; other letters as they are."""
    if word.isascii():
        return word
    letters: list[str] = []
    for letter in word:
        bare = unicodedata.normalize("NFD", letter)[0]
        letters.append(bare if bare.isascii() else _NO_ACCENT.get(letter, letter))
    return "".join(letters)


def _stemmed(word: str, language: str) -> str:
    stemmer = _stemmers.get(language)
    if stemmer is None:
        return word
    with _stemming:  # a stemmer keeps its word in attributes
        return stemmer.stemWord(word) or word


_NO_ACCENT = {"\u00df": "ss", "\u0131": "i", "\u00e6": "ae", "\u00c6": "Ae", "\u00f8": "o", "\u00d8": "O", "\u0142": "l", "\u0141": "L",
              "\u0153": "oe", "\u0152": "Oe", "\u0111": "d", "\u0110": "D", "\u00f0": "d", "\u00d0": "D", "\u00fe": "th", "\u00de": "Th"}  # fmt: skip
"""Latin letters that are no letter with an accent."""
_WITHOUT_ACCENTS = {language: words | {folded(word) for word in words} for language, words in FUNCTION_WORDS.items()}
