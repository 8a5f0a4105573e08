"""The screen: whether a text that is to become part of a skill is the agent's and the user's own, or somebody else's [design, quarantine].

A text is compared with what the episodes it was made from hold, field by field with its origin (`origins`). Actions that the agent executed
and texts of the user are its own; observations, results and notes are other people's. Held back is what, outside slots and beyond one's own words,

- has six tokens in a row, or 24 letters, from other people's text (`copied`);
- says what text says that is written to be obeyed (`instructs`);
- names a host, an identifier or an account that no executed action and no text of the user named (`unnamed`);
- tells to do what only other people's text tells to do, or what nobody's does (`unasked`);
- is made for the most part of words that only other people's text has (`foreign`).

Comparing folds letters that look alike, drops what is invisible, and reads what is written in code.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from langgraph_fluxmem.context import action_text
from langgraph_fluxmem.learning import steps_of
from langgraph_fluxmem.learning.situation import FUNCTION_WORDS, as_text, flatten
from langgraph_fluxmem.origins import AUTHORS, origin_of
from langgraph_fluxmem.text import terms
from langgraph_fluxmem.text.folding import folded
from langgraph_fluxmem.trust.signs import decoded, hosts, instructs, names

Rule = Literal["copied", "instructs", "unnamed", "unasked", "foreign"]
TOKENS = 6
"""Tokens in a row that make a copy."""
LETTERS = 24
"""Letters in a row, whatever stands between them, that make a copy."""
FOREIGN = 3
"""Words of other people's in one text, if they are also at least half of it."""
COPIED = "<copied from what was seen>"
"""Stands in a step for what was held back of an action's details."""
_WORD = re.compile(r"[^\W_]+")
_SLOT = re.compile(
    r"<(?:\d|as told|copied from what was seen|\d+, (?:from the notes|from the task|from the task and the notes|seen|named before))>|…"
)
_CLAUSE = re.compile(r"[.;:!?\n]+|,\s+(?:then|and)\b|\b(?:and then|then|afterwards|and)\b")
_LEAD = re.compile(
    "always|never|please|then|next|also|first|second|third|finally|lastly|now|just|do|not|don|t|only|be|sure|to|make|must|should|you|and|or"
)
"""Words before the verb of an order."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a text is held back: the `rule`, what in the text it is about, and the field it was found in (empty: in none)."""

    rule: Rule
    about: str
    where: str = ""

    def __str__(self) -> str:
        return f"{_SAID[self.rule]}: {self.about!r}" + (f", from {self.where}" if self.where else "")


_SAID: Mapping[Rule, str] = {
    "copied": "copied from what was seen",
    "instructs": "written to be obeyed",
    "unnamed": "named by no executed action and no text of the user",
    "unasked": "no executed action does it, and the user did not ask for it",
    "foreign": "made of words that only what was seen has",
}


class _Run:
    """Tokens of texts one after the other, over the end of one text into the next: what is said in parts is said."""

    def __init__(self, between: str) -> None:
        self._between = between
        self._parts: list[str] = []
        self._starts: list[int] = []
        self._fields: list[str] = []
        self._length = 0

    def add(self, tokens: Sequence[str], field: str) -> None:
        part = self._between.join(tokens) + self._between
        self._parts.append(part)
        self._starts.append(self._length)
        self._fields.append(field)
        self._length += len(part)

    @cached_property
    def _whole(self) -> str:
        return "".join(self._parts)

    def where(self, tokens: Sequence[str]) -> str | None:
        """The field in which these tokens, in a row, begin; None where they are not."""
        wanted = self._between.join(tokens) + self._between
        at = self._whole.find(wanted)
        while at > 0 and self._between and self._whole[at - 1] != self._between:
            at = self._whole.find(wanted, at + 1)
        return None if at < 0 else self._fields[bisect_right(self._starts, at) - 1]


class Known:
    """What the episodes of a cluster hold: one's own texts, and other people's, each with the field it stands in."""

    def __init__(self, asked: Iterable[str], did: Iterable[str], others: Iterable[tuple[str, str]]) -> None:
        """`asked` are texts of the user, `did` executed actions, `others` other people's texts as (text, field).

        An action is the agent's own, but not what it copied from other people's text that is written to be obeyed.
        """
        seen: dict[str, str] = {}
        for text, field in others:
            for version in (text, *decoded(text)):
                if version.strip():
                    seen.setdefault(folded(version), field)
        self._seen = tuple(seen)
        self._tokens, self._letters = _Run(" "), _Run("")
        for text, field in seen.items():
            self._tokens.add(_tokens(text), field)
            self._letters.add(_tokens(text), field)
        self._own_lines: dict[str, None] = {}
        self._own_tokens = ""
        self._add(asked)
        self._add([self.masked(action) if instructs(action) else action for action in dict.fromkeys(did)])
        self._own_text = " ".join("\n".join(self._own_lines).split())
        self._own_letters = "".join(_tokens(self._own_text))

    def _add(self, own: Iterable[str]) -> None:
        self._own_lines.update((folded(text), None) for text in own)
        self._own_tokens = "\n".join(f" {' '.join(_tokens(line))} " for line in self._own_lines)

    @cached_property
    def _stems(self) -> frozenset[str]:
        return frozenset(stem for text in self._seen for stem in terms(text))

    @cached_property
    def _own_stems(self) -> frozenset[str]:
        return frozenset(stem for line in self._own_lines for stem in terms(line))

    @classmethod
    def of(cls, episodes: Mapping[str, Mapping[str, Any]]) -> Known:
        """Of stored episodes (version id -> body)."""
        asked: list[str] = []
        did: list[str] = []
        others: list[tuple[str, str]] = []

        def put(record: Mapping[str, Any], field: str, text: str, where: str) -> None:
            if origin_of(record, field) in AUTHORS:
                asked.append(text)
            else:
                others.append((text, f"{where} {field}"))

        for version, body in episodes.items():
            put(body, "task", body["task"], version)
            for number, (entry, step) in enumerate(zip(body["steps"], steps_of(body), strict=True)):
                if step.action is not None:
                    did += (as_text(step.action), action_text(step.action))
                where = f"{version}#{number}"
                put(entry, "observation", "\n".join(text for _, text in flatten(step.observation)), where)
                put(entry, "result", step.result, where)
                put(entry, "notes", "\n".join(step.notes), where)
        return cls(asked, did, others)

    def copied(self, text: str) -> Finding | None:
        """The first run of other people's tokens, or letters, in a text, that is not one's own."""
        for part in _SLOT.split(folded(text)):
            tokens = _tokens(part)
            for gram in _grams(tokens):
                if self._others(gram):
                    return Finding("copied", " ".join(gram), self._tokens.where(gram) or "")
            letters = "".join(tokens)
            for at in range(len(letters) - LETTERS + 1):
                window = letters[at : at + LETTERS]
                if window not in self._own_letters and (found := self._letters.where([window])) is not None:
                    return Finding("copied", window, found)
        return None

    def _others(self, gram: Sequence[str]) -> bool:
        return self._tokens.where(gram) is not None and f" {' '.join(gram)} " not in self._own_tokens

    def instructs(self, text: str, *, quoted: bool = False) -> Finding | None:
        """What a text says to be obeyed, unless one's own texts say just that; where it is only `quoted`, unless its words are one's own."""
        sign = instructs(text)
        if not sign or sign in self._own_text or (quoted and self._own_stems.issuperset(terms(sign))):
            return None
        return Finding("instructs", sign)

    def unnamed(self, text: str, *, hosts_only: bool = False) -> Finding | None:
        """A host, or a name, that no text of one's own has."""
        for part in (text, *decoded(text)):
            for named in hosts(part) if hosts_only else (*hosts(part), *names(_SLOT.sub(" ", part))):
                if not re.search(rf"(?<![\w-])(?<!\w\.){re.escape(named)}(?![\w-]|\.\w)", self._own_text):
                    return Finding("unnamed", named)
        return None

    def unasked(self, text: str, *, acts: bool) -> Finding | None:
        """An order that only other people give. Where the text does not do (`acts`) what was executed, it may not be of new words either."""
        plain = _SLOT.sub(" ", folded(text))
        for clause in _CLAUSE.split(plain):
            words = [word for word in _tokens(clause) if not _LEAD.fullmatch(word)]
            verb = terms(words[0]) if words and words[0] not in FUNCTION_WORDS else []
            if verb and verb[0] in self._stems and verb[0] not in self._own_stems:
                return Finding("unasked", " ".join(clause.split()))
        stems = set(terms(plain))
        if not acts and stems and 2 * len(stems & self._own_stems) < len(stems):
            return Finding("unasked", " ".join(plain.split()))
        return None

    def foreign(self, text: str) -> Finding | None:
        """Words that only other people's texts have, where a text is made of them."""
        stems = list(dict.fromkeys(terms(_SLOT.sub(" ", folded(text)))))
        strange = [stem for stem in stems if stem in self._stems and stem not in self._own_stems]
        return Finding("foreign", " ".join(strange)) if len(strange) >= FOREIGN and 2 * len(strange) >= len(stems) else None

    def findings(self, text: str, *, step: bool = False, acts: bool = False) -> list[Finding]:
        """All that speaks against a text that somebody made of these episodes. `step`: it tells what to do; `acts`: by an executed action."""
        found = [self.copied(text), self.instructs(text), self.unnamed(text), self.foreign(text)]
        found.append(self.unasked(text, acts=acts) if step else None)
        return [finding for finding in found if finding is not None]

    def masked(self, text: str) -> str:
        """A text with every run of other people's tokens in it replaced; wholly, after its first word, where they cannot be told apart."""
        spans = [(match.start(), match.end(), folded(match[0])) for match in _WORD.finditer(text)]
        grams = enumerate(_grams([word for _, _, word in spans]))
        bad = {at + offset for at, gram in grams if self._others(gram) for offset in range(TOKENS)}
        out: list[str] = []
        end = 0
        for number, (start, stop, _) in enumerate(spans):
            if number in bad:
                if number - 1 not in bad:
                    out.append(f"{text[end:start]}{COPIED}")
                end = stop
        shown = "".join(out) + text[end:]
        return shown if shown != text and not instructs(shown.replace(COPIED, "\n")) else f"{(text.split() or [''])[0]} {COPIED}".lstrip()


def suspicious(text: str) -> bool:
    """Whether a text that is quoted may hold more than a few words of somebody's: else there is nothing to look up."""
    return bool(instructs(text) or hosts(text)) or any(len(_tokens(part)) >= TOKENS for part in _SLOT.split(folded(text)))


def _tokens(text: str) -> list[str]:
    return _WORD.findall(text)


def _grams(tokens: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(tokens[at : at + TOKENS]) for at in range(len(tokens) - TOKENS + 1)]
