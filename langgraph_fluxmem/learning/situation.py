"""Situations read into what patterns are made of: words, the spans they share with an action, and the contexts a span stands in.

Everything works on plain text and key-value pairs. A situation has three kinds of source: ``t`` the task, ``n`` notes (what the task
brought up on the way) and ``o`` the observation, whose keys, when it is a dict, stay part of the pattern. Parsing is cached by text,
since most of an observation stays as it was from one step to the next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from langgraph_fluxmem.schema import Action, Situation

MAX_SPAN = 6
"""Longest span, in words, that may become a slot."""
SHORT_LINE = 8
"""A line of at most this many words is a pattern as a whole; of longer ones the neighbourhood of the slot is."""
_WORD = re.compile(r"\w+(?:['\u2019\-.@]\w+)*")
_LINE = re.compile(r"[\n\r]+|(?<=[.!?;:])\s+|,\s+")
_FUNCTION_WORDS = (
    "a an the some any this that these those and or but nor if then of in on at to from with without into onto by for as is are "
    "was were be been being it its he she they them his her their you your we our i my me not no there here do does did has have "
    "had can could will would shall should may might must so than too very just out up down over under off about"
)
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""Words that bind others together: a slot neither begins nor ends with one."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A text as lines of words, with every span of up to `MAX_SPAN` words indexed by where it stands (line, first word)."""

    lines: tuple[tuple[str, ...], ...]
    spans: Mapping[str, tuple[tuple[int, int], ...]]


def words(text: str) -> tuple[str, ...]:
    """Casefolded words of `text`; hyphens, apostrophes and dots inside a word belong to it."""
    return tuple(_WORD.findall(text.casefold()))


@lru_cache(maxsize=4096)
def parse(text: str) -> Parsed:
    """Parse `text` once; later calls with the same text are free."""
    lines = tuple(line for raw in _LINE.split(text) if (line := words(raw)))
    spans: dict[str, list[tuple[int, int]]] = {}
    for number, line in enumerate(lines):
        for start in range(len(line)):
            span = ""
            for end in range(start, min(start + MAX_SPAN, len(line))):
                span = f"{span} {line[end]}" if span else line[end]
                spans.setdefault(span, []).append((number, start))
    return Parsed(lines, {span: tuple(where) for span, where in spans.items()})


@lru_cache(maxsize=65536)
def contexts(text: str, span: str, *, whole: bool) -> tuple[str, ...]:
    """Patterns of how `span` stands in `text`, with ``_`` in its place: the content words right before it, the word after it, and,
    when `whole`, the line it stands in where that is short."""
    parsed = parse(text)
    size = span.count(" ") + 1
    found: dict[str, None] = {}
    for number, start in parsed.spans.get(span, ()):
        line = parsed.lines[number]
        if whole and len(line) <= SHORT_LINE + size - 1:
            found[" ".join((*line[:start], "_", *line[start + size :]))] = None
        for before in range(start - 1, max(start - 4, -1), -1):
            if line[before] in FUNCTION_WORDS:
                break
            found[f"{line[before]}~_"] = None
        if start + size < len(line):
            found[f"_~{line[start + size]}"] = None
    return tuple(found)


def flatten(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Key-value pairs of a JSON value as (dotted key, text); a plain text has key ``""``."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from flatten(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from flatten(inner, key)
    elif value is not None:
        yield key, value if isinstance(value, str) else str(value)


@dataclass(frozen=True, slots=True)
class Source:
    """A text of a situation: `kind` is ``n`` (note), ``t`` (task) or ``o`` (observation, with the `key` it stood under)."""

    kind: str
    key: str
    text: str
    parsed: Parsed


@dataclass(slots=True)
class Scene:
    """A situation, read: its sources, and what was done in it so far, oldest first. What is derived from it is kept."""

    sources: tuple[Source, ...]
    done: tuple[str, ...]
    notes: int
    last: Action | None = None
    masks: dict[tuple[str, ...], str] = field(default_factory=dict)
    _acted: tuple[Parsed, ...] | None = None
    _kinds: dict[str, str] = field(default_factory=dict)
    _around: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _told: dict[tuple[str, str], bool] = field(default_factory=dict)
    _owed: dict[str, int] | None = None

    def kind(self, span: str) -> str:
        """What names `span`: ``n``, ``t`` or both, ``nt``; else ``o`` when it is only seen; ``""`` when it is nowhere."""
        known = self._kinds.get(span)
        if known is None:
            found = {source.kind for source in self.sources if span in source.parsed.spans}
            known = ("n" if "n" in found else "") + ("t" if "t" in found else "") or ("o" if found else "")
            self._kinds[span] = known
        return known

    def around(self, span: str) -> tuple[str, ...]:
        """Patterns of how `span` stands in this situation, and of what was done with it before."""
        known = self._around.get(span)
        if known is None:
            found: dict[str, None] = {}
            for source in self.sources:
                if span in source.parsed.spans:
                    name = f"{source.kind}.{source.key}" if source.key else source.kind
                    found[f"{name}:_"] = None
                    for context in contexts(source.text, span, whole=source.kind != "o"):
                        found[f"{name}:{context}"] = None
            for action in self.acted:
                if span in action.spans:
                    found[f"did:{action.lines[0][0]} _"] = None
            known = tuple(found)
            self._around[span] = known
        return known

    @property
    def acted(self) -> tuple[Parsed, ...]:
        """What was done, parsed, each action once."""
        if self._acted is None:
            self._acted = tuple(parse(action) for action in dict.fromkeys(self.done))
        return self._acted

    def owed(self) -> dict[str, int]:
        """What the task and the notes still ask for: for each thing that a short line of theirs names and that is seen or was acted
        on, how many more lines name it than there were different actions on it."""
        if self._owed is None:
            there = [source.parsed.spans for source in self.sources if source.kind == "o"] + [action.spans for action in self.acted]
            lines: dict[str, int] = {}
            for source in self.sources:
                if source.kind != "o":
                    for candidates in named_spans(source.text):
                        thing = next((span for span in candidates if any(span in spans for spans in there)), None)
                        if thing is not None:
                            lines[thing] = lines.get(thing, 0) + 1
            self._owed = {thing: count - sum(thing in action.spans for action in self.acted) for thing, count in lines.items()}
        return self._owed

    def told(self, word: str, span: str) -> bool:
        """Whether a short line of the task or the notes has both `word` and `span`: then the word itself was asked for."""
        known = self._told.get((word, span))
        if known is None:
            size = span.count(" ") + 1
            known = False
            for source in self.sources:
                if source.kind == "o" or word not in source.parsed.spans:
                    continue
                for number, start in source.parsed.spans.get(span, ()):
                    line = source.parsed.lines[number]
                    if len(line) <= SHORT_LINE + size - 1 and (word in line[:start] or word in line[start + size :]):
                        known = True
            self._told[word, span] = known
        return known


@lru_cache(maxsize=4096)
def named_spans(text: str) -> tuple[tuple[str, ...], ...]:
    """For each short line of `text` the spans it may name a thing by, longest first."""
    found: list[tuple[str, ...]] = []
    for line in parse(text).lines:
        if len(line) <= SHORT_LINE:
            spans = [
                " ".join(line[start : start + size])
                for size in range(min(MAX_SPAN, len(line)), 0, -1)
                for start in range(len(line) - size + 1)
                if line[start] not in FUNCTION_WORDS and line[start + size - 1] not in FUNCTION_WORDS
            ]
            found.append(tuple(spans))
    return tuple(found)


def as_text(action: Action) -> str:
    """An action as one line of text: itself, or its values in order."""
    if isinstance(action, str):
        return action
    return " ".join(text for _, text in flatten(action))


def read(situation: Situation) -> Scene:
    """Read a situation."""
    texts = [("n", "", note) for note in situation.notes]
    texts.append(("t", "", situation.task))
    texts += [("o", key, text) for key, text in flatten(situation.observation)]
    sources = tuple(Source(kind, key, text, parse(text)) for kind, key, text in texts)
    return Scene(
        sources, tuple(as_text(action) for action in situation.done), len(situation.notes), situation.done[-1] if situation.done else None
    )
