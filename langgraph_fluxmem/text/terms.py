"""Terms: what the index counts of a text, and what a query asks it for.

Latin words are case- and accent-folded, freed of function words and stemmed by the rules of the text's language (a stop list and stemming
were each worth 5 points recall@10 on LoCoMo); other alphabets by those of their script. Scripts written without blanks, and Korean, give
character bigrams; alphabets without a stemmer the word and its character 4-grams (McNamee and Mayfield 2004: the length that serves most
languages). Identifiers, paths, dotted names and decimals count whole and in parts; ``12kg`` holds what ``12 kg`` does, ``1,000`` is 1000.

A text is stemmed by one language; a query by every language that its namespace holds (texts carry the mark of theirs), so what
language a short query is taken for does not matter.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from langgraph_fluxmem.text.languages import DEFAULT, MARKED, language_of
from langgraph_fluxmem.text.stemming import LATIN_SCRIPT, SNOWBALL, STEMMED, folded, is_function_word, script_of, stem_latin, stem_other

VERSION = f"5+{SNOWBALL}"
"""Names the rules here: terms that the ledger holds are of one version, and are made again when it changes."""

_NO_BLANKS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
"""Thai, Lao, Burmese, Khmer, kana, Han; and Hangul, whose words are best met by bigrams as well."""
_MARKS = "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u0900-\u0963\u0970-\u0dff\u0f71-\u0f87"
"""Vowel signs and other marks inside words, which Python's ``\\w`` leaves out."""
_SYMBOLS = "\u2600-\u27bf\U0001f300-\U0001faff"
_TOKEN = re.compile(rf"[{_NO_BLANKS}]+|(?:(?![{_NO_BLANKS}_])[\w{_MARKS}])+|[{_SYMBOLS}]")
_ASCII = re.compile(r"[A-Za-z0-9]+")
"""What that is where all is ASCII."""
_WHOLE = re.compile(r"[A-Za-z0-9_]+(?:(?:[./:\\@]|::|->)[A-Za-z0-9_]+)+|[A-Za-z0-9]+(?:_+[A-Za-z0-9]+)+|\d+,\d+")
"""Identifiers, paths, dotted names, addresses, decimals, times of day."""
_THOUSANDS = re.compile(r"(?<![\d.,])(\d{1,3})([,.'\u2019\u00a0\u2009\u202f])(\d{3})((?:\2\d{3})*)(?!\2?\d)")
_JOINED, _SEPARATED = re.compile(r"[./:\\@_,>][A-Za-z0-9_>:]"), re.compile(r"\d[,.'\u2019\u00a0\u2009\u202f]\d")
"""What no text of the two above is without; quicker to look for."""
_RUN = re.compile(r"\d+|[A-Za-z]+")
_HUMP = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_STARTS_WITHOUT_BLANKS = re.compile(rf"[{_NO_BLANKS}]")
_GRAM = 4
_LONGEST = 64


def terms(text: str, language: str | None = None) -> list[str]:
    """The words of a text as stems, in order, repeats kept; by the rules of `language`, or of the one it seems to be in.

    Every term is free of blanks, so a joined list can be stored and split again. A text of function words alone has no terms.
    """
    tokens, wholes = _tokens(text)
    language = language or language_of(tokens)
    return [term for token in tokens for term in (_USUAL[token] if language == DEFAULT else _terms_of(token, language))] + [*wholes]


def index_terms(*texts: str) -> list[str]:
    """What to store of one text that is given in parts (who said it, what was said, when).

    That is its terms, those of words that depend on a language other than the default with its code, and the mark of that language.
    """
    tokens: list[str] = []
    wholes: list[str] = []
    for text in texts:
        if text:
            further, names = _tokens(text)
            tokens += further
            wholes += names
    language = language_of(tokens)
    if language == DEFAULT:
        return [term for token in tokens for term in _USUAL[token]] + wholes
    return [*(term for token in tokens for term in _stored_of(token, language)), *wholes, mark_of(language)]


def surfaces(text: str) -> list[tuple[str, str]]:
    """Each stored term of a text's words with the word as it is written there."""
    tokens, _ = _tokens(text)
    language = language_of(tokens)
    return [(term, token if part == token else part) for token in tokens for part in _parts(token) if (term := _stored(part, language))]


def query_terms(text: str, languages: Sequence[str] = ()) -> list[tuple[int, tuple[str, ...]]]:
    """What to ask for: how often a word occurs in the query, and its forms, by the rules of the default and of these `languages`.

    A word that says nothing in the language which the query seems to be in is left out.
    """
    tokens, wholes = _tokens(text)
    own = language_of(tokens) if languages else DEFAULT
    asked = (DEFAULT, *languages)
    counted: dict[tuple[str, ...], int] = {}
    for token in tokens:
        for forms in _asked_of(token, own, asked):
            counted[forms] = counted.get(forms, 0) + 1
    for whole in wholes:
        counted[whole,] = counted.get((whole,), 0) + 1
    return [(times, forms) for forms, times in counted.items()]


def distinct_terms(text: str) -> Iterable[str]:
    """The `terms` of a text, each once."""
    tokens, _ = _tokens(text)
    return counted_terms(text) if language_of(tokens) == DEFAULT else terms(text)


@lru_cache(maxsize=64)
def counted_terms(text: str) -> Mapping[str, int]:
    """How often a query has each of its terms by the rules of the default language alone: the same as `query_terms` without `languages`, in a
    third of the time. What the index has stemmed is not stemmed again."""
    tokens, wholes = _tokens(text)
    counted: dict[str, int] = {}
    for token in tokens:
        for term in _USUAL[token]:
            counted[term] = counted.get(term, 0) + 1
    for whole in wholes:
        counted[whole] = counted.get(whole, 0) + 1
    return MappingProxyType(counted)


def mark_of(language: str) -> str:
    """The term that marks a text of this language. No text has it among its `terms`, so no query asks for it."""
    return _MARKS_OF[language]


_MARKS_OF = {language: f"@{language}" for language in (*MARKED, DEFAULT)}


@lru_cache(maxsize=64)
def _tokens(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Words, and what is a name as a whole. Of a query they are asked for more than once."""
    if _SEPARATED.search(text):
        text = _THOUSANDS.sub(lambda found: found[1] + found[3] + found[4].replace(found[2], ""), text)
    token = _ASCII
    if not text.isascii():
        text, token = unicodedata.normalize("NFKC", text), _TOKEN
    wholes = _WHOLE.findall(text) if _JOINED.search(text) else ()
    return tuple(token.findall(text)), tuple(whole[:_LONGEST].casefold().replace(",", ".") for whole in wholes)


@lru_cache(maxsize=1 << 16)
def _terms_of(token: str, language: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(term for part in _parts(token) if (term := _form(part, language))))


class _Usual(dict[str, tuple[str, ...]]):
    """The terms of words by the rules of the default language. Every query asks it for each of its words, and a dictionary that is emptied when
    it is full answers in a tenth of the time of a cache that keeps the order of use."""

    def __missing__(self, token: str) -> tuple[str, ...]:
        if len(self) >= _KEPT_WORDS:
            self.clear()
        found = self[token] = _terms_of.__wrapped__(token, DEFAULT)
        return found


_KEPT_WORDS = 1 << 16
_USUAL = _Usual()


@lru_cache(maxsize=1 << 14)
def _stored_of(token: str, language: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(term for part in _parts(token) if (term := _stored(part, language))))


@lru_cache(maxsize=1 << 14)
def _asked_of(token: str, own: str, languages: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    parts = [part for part in _parts(token) if _form(part, own)]
    forms = (tuple(dict.fromkeys(form for language in languages if (form := _stored(part, language)))) for part in parts)
    return tuple(dict.fromkeys(form for form in forms if form))


def _stored(part: str, language: str) -> str:
    """The form of a part of a word in the index: with the language's code where it depends on the language."""
    form = _form(part, language)
    if language == DEFAULT or not form or not part.isalpha():
        return form
    script = script_of(part)
    return f"{language}:{form}" if script == LATIN_SCRIPT or (language == "fa" and script == "ar") else form


@lru_cache(maxsize=1 << 16)
def _form(part: str, language: str) -> str:
    """The stem of a part of a word; empty for a function word."""
    script = script_of(part)
    if script == LATIN_SCRIPT:
        return stem_latin(part, language if part.isalpha() else DEFAULT)
    return stem_other(part, language if script == "ar" and language == "fa" else script) if script in STEMMED else part


@lru_cache(maxsize=1 << 16)
def _parts(token: str) -> tuple[str, ...]:
    """What a token is counted as, before stemming."""
    if _STARTS_WITHOUT_BLANKS.match(token):
        return (token,) if len(token) == 1 else tuple(token[at : at + 2] for at in range(len(token) - 1))
    token = token[:_LONGEST]
    script = script_of(token)
    if script == LATIN_SCRIPT:
        plain = folded(token)
        inner = dict.fromkeys((*_RUN.findall(plain), *_HUMP.findall(plain)))
        inner.pop(plain, None)
        return (token, *inner)
    if script in STEMMED:
        return (token,)
    word = token.casefold()
    if is_function_word(word, script):
        return ()
    return (word, *(word[at : at + _GRAM] for at in range(len(word) - _GRAM + 1))) if len(word) > _GRAM else (word,)
