"""The gate's rules [MemFly]: how far one statement repeats another, and how far it completes it. No model, any language.

Two statements are called redundant only if nothing that one says is missing or different in the other. So they are not when they differ
in a number, a date, a name or a negation, when a word stands for another ("red", "blue"; "before", "after"; "is", "was"), or when the
same words come in another order ("Ada called Ben"). One may say more than the other, where all that is added is common words of a
language whose dates and negations are known here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from langgraph_fluxmem.dates import spelt
from langgraph_fluxmem.text import language_of, terms
from langgraph_fluxmem.text.function_words import FUNCTION_WORDS

REDUNDANT = 0.7
"""From here one statement repeats the other [MemFly]."""
COMPLEMENTARY = 0.5
"""From here, where it does not repeat the other, it completes it [MemFly]."""
DIFFERENT = 0.5
"""What redundancy is at most when they differ in something that matters."""

_WORD = re.compile(r"[^\W_]+(?:[.,:/][^\W_]+)*", re.UNICODE)
_SIGN = re.compile(r"[-+\u2212](?=\d)|[%$\u20ac\u00a3\u00a5\u00b0<>=\u2260\u2264\u2265]|[\u2600-\u27bf\U0001f300-\U0001faff]")
_MOMENT = re.compile(r"(?<=\d)T(?=\d{1,2}:\d{2})")
_ARTICLES = frozenset("a an the der die das ein eine einen einem einer eines den dem des le la les un une el los las una unos unas".split())  # noqa: SIM905 - read by people
_WEIGHTY = {
    "en": """
    t no not never none nobody nothing neither nor without hardly barely only almost nearly except unless cannot if maybe perhaps probably would could should might may
    today yesterday tomorrow tonight now ago soon later formerly once twice again still yet already until since before after
    monday tuesday wednesday thursday friday saturday sunday weekend january february march april may june july august september october november december
    morning noon afternoon evening night midnight day days week weeks month months year years hour hours minute minutes spring summer autumn fall winter
    one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred thousand million dozen half quarter double first second third last next every each
    all some many few most both false wrong stopped failed refused denied former ex
    """,
    "de": """
    nicht nichts kein keine keinen keinem keiner nie niemals niemand ohne kaum nur fast beinahe außer falls wenn vielleicht wohl wäre würde könnte sollte
    heute gestern morgen jetzt bald später früher einmal zweimal wieder noch schon bis seit vor nach abends morgens mittags nachts
    ein eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf zwanzig dreißig hundert tausend halb erste erster zweite letzte nächste jede jeder alle einige viele wenige meisten beide falsch ehemals
    """,
    "fr": """
    ne n pas plus jamais rien personne aucun aucune ni sans guère seulement presque sauf si peut être serait pourrait devrait
    aujourd hui hier demain maintenant bientôt avant après depuis jusqu encore déjà matin midi soir nuit jour jours semaine mois an ans année lundi mardi mercredi jeudi vendredi samedi dimanche
    janvier février mars avril mai juin juillet août septembre octobre novembre décembre
    un deux trois quatre cinq six sept huit neuf dix onze douze vingt trente cent mille demi premier première dernier dernière prochain chaque tous toutes quelques beaucoup peu faux ancien
    """,
    "es": """
    no nunca jamás nada nadie ningún ninguno ninguna ni sin apenas solo sólo casi salvo si quizás quizá tal vez sería podría debería
    hoy ayer mañana ahora pronto antes después desde hasta todavía ya tarde noche día días semana mes año años lunes martes miércoles jueves viernes sábado domingo
    enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
    uno dos tres cuatro cinco seis siete ocho nueve diez once doce veinte treinta cien mil medio primero primera último última próximo cada todos todas algunos muchos pocos falso
    """,
}
"""Words that make a statement another one when they are added, in languages where additions are allowed at all."""
_HEAVY = {language: frozenset(words.split()) for language, words in _WEIGHTY.items()}


@dataclass(frozen=True, slots=True)
class Related:
    """`redundancy` and `complementarity` of two statements, in [0, 1]."""

    redundancy: float
    complementarity: float


def related(text: str, other: str) -> Related:
    """Compare two statements; symmetric.

    Redundancy: share of the terms of both that each has, at most `DIFFERENT` when they are not `the_same`. Complementarity: share of the
    smaller one's terms that the larger has, as far as they are not redundant.
    """
    text, other = _plain(text), _plain(other)
    language = language_of(_WORD.findall(f"{text} {other}"))
    mine, theirs = set(terms(text, language)), set(terms(other, language))
    both, small = len(mine & theirs), min(len(mine), len(theirs))
    redundancy = both / len(mine | theirs) if both else 0.0
    if redundancy and not the_same(text, other, language):
        redundancy = min(redundancy, DIFFERENT)
    contained = both / small if small else 0.0
    return Related(redundancy, contained * (1.0 - redundancy))


def the_same(text: str, other: str, language: str | None = None) -> bool:
    """Whether nothing that one of two statements says is missing or different in the other, additions of common words aside."""
    language = language or language_of(_WORD.findall(f"{text} {other}"))
    mine, theirs = _words(text, language), _words(other, language)
    if sorted(_SIGN.findall(text)) != sorted(_SIGN.findall(other)) or text.rstrip().endswith("?") != other.rstrip().endswith("?"):
        return False
    if [stem for stem, _ in mine] == [stem for stem, _ in theirs]:
        return True
    if len(mine) > len(theirs):
        mine, theirs = theirs, mine
    added = _added([stem for stem, _ in mine], theirs)
    heavy = _HEAVY.get(language)
    return added is not None and heavy is not None and not any(_matters(word, heavy, language) for word in added)


def at_odds(text: str, other: str) -> bool:
    """Whether two statements differ in a number, a name, a date, a negation or another word that changes what is said, whatever a model
    says of them. In languages whose such words are not known here: whether they are not `the_same`."""
    text, other = _plain(text), _plain(other)
    language = language_of(_WORD.findall(f"{text} {other}"))
    heavy = _HEAVY.get(language)
    if heavy is None:
        return not the_same(text, other, language)
    mine, theirs = ({stem for stem, word in _words(each, language) if _matters(word, heavy, language)} for each in (text, other))
    return mine != theirs or sorted(_SIGN.findall(text)) != sorted(_SIGN.findall(other))


def distinct(statements: Sequence[str]) -> list[int]:
    """Which statements say all that they say together: of those that are `the_same` the fullest one, the first of equally full ones."""
    kept: list[int] = []
    for at, statement in enumerate(statements):
        same = [number for number, held in enumerate(kept) if the_same(_plain(statement), _plain(statements[held]))]
        if not same:
            kept.append(at)
        elif all(_fullness(statement) > _fullness(statements[kept[number]]) for number in same):
            kept[same[0]] = at
            kept = [held for number, held in enumerate(kept) if number not in same[1:]]
    return kept


def _fullness(text: str) -> int:
    text = _plain(text)
    return len(_words(text, language_of(_WORD.findall(text))))


def _plain(text: str) -> str:
    """Dates in words, the time of day kept."""
    return spelt(_MOMENT.sub(" ", text))


def _words(text: str, language: str) -> list[tuple[str, str]]:
    """(stem, word as written) of every word but articles, in order; function words count as they are."""
    found: list[tuple[str, str]] = []
    for word in _WORD.findall(unicodedata.normalize("NFKC", text)):
        low = word.casefold()
        if low not in _ARTICLES:
            stems = terms(word, language)
            found.append((" ".join(stems) or low, word))
    return found


def _added(short: list[str], long: list[tuple[str, str]]) -> list[str] | None:
    """The words of the longer one that are not in the shorter one; None unless the shorter one's words are in it in the same order."""
    added: list[str] = []
    at = 0
    for stem, word in long:
        if at < len(short) and stem == short[at]:
            at += 1
        else:
            added.append(word)
    return added if at == len(short) else None


def _matters(word: str, heavy: frozenset[str], language: str) -> bool:
    """A number, a name (or what may be one), a date, a negation or another word that changes what is said."""
    low = word.casefold()
    if not word.isalpha() or low in heavy or (not low.isascii() and language == "en"):
        return True
    return not word[0].islower() and low not in FUNCTION_WORDS[language]
