"""Text as the lexical side of memory sees it: terms, content hashes, checks, and splitting of long texts.

`terms` gives what BM25 counts. Latin words are case- and accent-folded, freed of stop words and stemmed (a stop list and stemming were
each worth 5 points recall@10 on LoCoMo); identifiers are also split into their parts; numbers are kept. Scripts written without blanks
give character bigrams, other alphabets give the word and its character 4-grams (McNamee and Mayfield 2004: the length that serves most
languages), so that inflected words still meet.
"""

from __future__ import annotations

import hashlib
import re
import threading
import unicodedata
from functools import lru_cache

import snowballstemmer

from langgraph_fluxmem.errors import InvalidContentError

STOP_WORDS: frozenset[str] = frozenset(
    """
    a about above after again against all also am an and any are aren as at be because been before being below between both but by can
    cannot could couldn d did didn do does doesn doing don down during each ever few for from further had hadn has hasn have haven having he
    her here hers herself him himself his how however i if in into is isn it its itself just let ll m ma me might mightn more most mustn my
    myself needn no nor not now o of off on once only or other our ours ourselves out over own per re s same shall shan she should shouldn
    so some such t than that the their theirs them themselves then there these they this those through to too under until up upon ve very
    was wasn we were weren what when where which while who whom whose why will with won would wouldn y yet you your yours yourself
    yourselves
    """.split()  # noqa: SIM905 - read by people
)
"""English function words; compared after folding, before stemming. Contractions fall apart at the apostrophe, so their halves are here."""

_NO_BLANKS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
"""Thai, Lao, Burmese, Khmer, kana, Han; and Hangul, whose words are best met by bigrams as well."""
_MARKS = "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u0900-\u0963\u0970-\u0dff\u0f71-\u0f87"
"""Vowel signs and other marks inside words, which Python's ``\\w`` leaves out."""
_SYMBOLS = "\u2600-\u27bf\U0001f300-\U0001faff"
_TOKEN = re.compile(rf"[{_NO_BLANKS}]+|(?:(?![{_NO_BLANKS}_])[\w{_MARKS}])+|[{_SYMBOLS}]")
_RUN = re.compile(r"\d+|[A-Za-z]+")
_HUMP = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_STARTS_WITHOUT_BLANKS = re.compile(rf"[{_NO_BLANKS}]")
_GRAM = 4
_LONGEST = 64

_stemmer = snowballstemmer.stemmer("english")
_stemming = threading.Lock()


def terms(text: str) -> list[str]:
    """The index terms of a text, in order, repeats kept.

    Every term is free of blanks, so a joined list can be stored and split again. A text of stop words alone has no terms.
    """
    found: list[str] = []
    for token in _TOKEN.findall(text if text.isascii() else unicodedata.normalize("NFKC", text)):
        found += _terms_of(token)
    return found


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
        raise InvalidContentError(f"{what} is {'blank' if text else 'empty'}, expected some text; leave it out instead")
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


@lru_cache(maxsize=1 << 16)
def _terms_of(token: str) -> tuple[str, ...]:
    if _STARTS_WITHOUT_BLANKS.match(token):
        return (token,) if len(token) == 1 else tuple(token[at : at + 2] for at in range(len(token) - 1))
    token = token[:_LONGEST]
    plain = _folded(token)
    if not plain.isascii():
        word = plain.casefold()
        grams = tuple(word[at : at + _GRAM] for at in range(len(word) - _GRAM + 1)) if len(word) > _GRAM else ()
        return (word, *grams)
    found = [plain, *_RUN.findall(plain), *_HUMP.findall(plain)]
    return tuple(dict.fromkeys(term for term in (_stemmed(part.casefold()) for part in found) if term))


def _folded(token: str) -> str:
    """Accents of Latin letters dropped; other letters as they are."""
    if token.isascii():
        return token
    letters: list[str] = []
    for letter in token:
        bare = unicodedata.normalize("NFD", letter)[0]
        letters.append(bare if bare.isascii() else letter.casefold() if letter in "\u00df\u0130\u0131" else letter)
    return "".join(letters).replace("\u0131", "i")


def _stemmed(word: str) -> str:
    if word in STOP_WORDS:
        return ""
    if word.isdigit():
        return word.lstrip("0") or "0"
    with _stemming:  # the stemmer keeps its word in attributes
        return _stemmer.stemWord(word)
