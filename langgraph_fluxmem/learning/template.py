"""Actions as templates: what an action shares with its situation becomes a slot, the rest stays.

``dice red onion with knife`` under the note ``dice the red onion`` is ``= <n> with knife``: the verb is the one that was asked for, the
onion is named by a note, the knife is only seen. Text commands begin with their operation. Key-value pairs are read in their order, from
what says most of an action to what is its own detail, with the operation (``name``, ``op``, ...) first: each beginning is a level. Their
details do not refine one another as the words of a command do, so each is also a branch of its own beside the others.
"""

from __future__ import annotations

from dataclasses import dataclass

from langgraph_fluxmem.learning.situation import FUNCTION_WORDS, MAX_SPAN, Scene, as_text, flatten, parse, words
from langgraph_fluxmem.schema import Action

MAX_LEVELS = 8
"""Most levels of a template of key-value pairs."""
STAGE = "at "
"""How the pattern begins that says how far a task is; see `stage`."""
STATE_WORDS = 4
"""Longest value, in words, that is a condition as it stands."""
STATE_PAIRS = 16
"""Most key-value pairs of an observation that are conditions for a text command."""
_PART_WORDS = 12
_HEAD_KEYS = ("name", "op", "operation", "action", "type")


@dataclass(frozen=True, slots=True)
class ActionTemplate:
    """An action, abstracted.

    Attributes:
        key: the template: slots for what task or notes name, literal for the rest.
        patterns: templates of this action from the most general to the action itself; `key` is among them.
        slots: the words behind each slot of the most general pattern, in order.
        details: key-value pairs of the action, with slots.
        branches: of key-value pairs, the head with each detail by itself; they are weighed side by side.
    """

    key: str
    patterns: tuple[str, ...]
    slots: tuple[str, ...]
    details: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()

    @property
    def levels(self) -> tuple[str, ...]:
        """The patterns that evidence is kept for: from the most general one to `key`."""
        return self.patterns[: self.patterns.index(self.key) + 1]

    @property
    def weighed(self) -> tuple[str, ...]:
        """The patterns that advice weighs: of a command its levels, of key-value pairs the head and the head with each detail."""
        return (self.patterns[0], *self.branches) if self.branches else self.levels


def template(action: Action, scene: Scene) -> ActionTemplate:
    """Derive the template of `action` in a situation that was `read`."""
    return _of_text(action, scene) if isinstance(action, str) else _of_pairs(action, scene)


def links(action: Action, made: ActionTemplate, scene: Scene) -> tuple[str, ...]:
    """Patterns of the situation as this action sees it: the contexts of its slots (``1`` for the first), what was done before."""
    found: dict[str, None] = {}
    for number, span in enumerate(made.slots, 1):
        for pattern in scene.around(span):
            found[pattern.replace("_", f"_{number}", 1)] = None
    found |= dict.fromkeys(made.details)
    if isinstance(action, str):
        found |= dict.fromkeys(_state(made.slots, scene))
    if made.branches:
        found[stage(scene)] = None
    found["notes" if scene.notes else "no notes"] = None
    owed = scene.owed()
    found[f"owed {_open(scene)}"] = None
    for number, span in enumerate(made.slots, 1):
        if span in owed:
            found[f"owes _{number} {max(0, min(2, owed[span]))}"] = None
    text = as_text(action)
    if scene.done:
        last = scene.done[-1]
        found["prev:" + _masked(last, made.slots, scene)] = None
        if text == last:
            found["just done"] = None
        if text in scene.done:
            found["done before"] = None
    else:
        found["start"] = None
    return tuple(found)


def moment(scene: Scene) -> tuple[str, ...]:
    """Patterns of a situation that no action is needed for: what was done last, what is still owed, whether there are notes."""
    last = f"after {_last(scene)}" if scene.done else "start"
    return last, f"owed {_open(scene)}", "notes" if scene.notes else "no notes"


def stage(scene: Scene) -> str:
    """How far a task is, coarsely: the kind of action done last, and whether something that notes name is still untouched."""
    touched = {word for action in scene.acted for line in action.lines for word in line}
    notes = (source for source in scene.sources if source.kind == "n")
    left = any(touched.isdisjoint(word for line in note.parsed.lines for word in line if word not in FUNCTION_WORDS) for note in notes)
    return f"{STAGE}{_last(scene) if scene.done else 'start'}{', more named' if left else ''}"


def _state(slots: tuple[str, ...], scene: Scene) -> list[str]:
    """What key-value pairs that are seen say, where that is short: ``o.status=open``, with the slots of a command in place of their words."""
    found: list[str] = []
    for source in scene.sources:
        if source.kind == "o" and source.key and len(words(source.text)) <= STATE_WORDS:
            value = " ".join(words(source.text))
            kind = scene.kind(value)
            said = f" <{kind}> " if kind not in ("", "o") else f" {value} "
            for number, span in enumerate(slots, 1):
                said = said.replace(f" {span} ", f" _{number} ")
            found.append(f"o.{source.key}={said.strip()}")
    return found[:STATE_PAIRS]


def _last(scene: Scene) -> str:
    """The kind of action done last: of a text its template, of key-value pairs their first two."""
    if () not in scene.masks:
        made = template(scene.last, scene) if scene.last is not None else ActionTemplate("", ("",), ())
        slotted = next((branch for branch in made.branches if "=<" in branch), made.patterns[0])
        scene.masks[()] = made.key if isinstance(scene.last, str) else slotted
    return scene.masks[()]


def _open(scene: Scene) -> str:
    count = sum(max(0, left) for left in scene.owed().values())
    return str(count) if count < 3 else "more"


def _of_text(action: str, scene: Scene) -> ActionTemplate:
    line = words(action)
    if not line:
        return ActionTemplate(action, (action,), ())
    head, rest = line[0], line[1:]
    general: list[str] = []
    middle: list[str] = []
    slots: list[str] = []
    told = False
    start = 0
    while start < len(rest):
        span, kind, size = _longest(rest, start, scene)
        if not size:
            general.append(rest[start])
            middle.append(rest[start])
            start += 1
            continue
        slots.append(span)
        told = told or scene.told(head, span)
        general.append(f"<{kind}>")
        middle.append(f"<{kind}>" if kind != "o" else span)
        start += size
    verb = "=" if told else head
    key = " ".join((verb, *middle))
    levels = dict.fromkeys((" ".join((verb, *general)), key, " ".join(line)))
    return ActionTemplate(key, tuple(levels), tuple(slots))


def _longest(rest: tuple[str, ...], start: int, scene: Scene) -> tuple[str, str, int]:
    if rest[start] in FUNCTION_WORDS:
        return "", "", 0
    for end in range(min(len(rest), start + MAX_SPAN), start, -1):
        if rest[end - 1] in FUNCTION_WORDS:
            continue
        span = " ".join(rest[start:end])
        kind = scene.kind(span)
        if kind:
            return span, kind, end - start
    return "", "", 0


def _of_pairs(action: Action, scene: Scene) -> ActionTemplate:
    pairs = list(flatten(action))
    head = next((pair for name in _HEAD_KEYS for pair in pairs if pair[0] == name), pairs[0] if pairs else ("", ""))
    patterns = [head[1]]
    details: dict[str, None] = {}
    slots: list[str] = []
    named: dict[str, None] = {}
    for key, value in pairs:
        if (key, value) == head:
            continue
        span = " ".join(words(value))
        kind = scene.kind(span) if span and span not in FUNCTION_WORDS else ""
        if kind and kind != "o":
            slots.append(span)
            detail = f"{key}=<{kind}>"
        else:
            detail = f"{key}={value}"
            part = _part(span, scene)
            if part:
                details[f"{key} has <{scene.kind(part)}>"] = None
        details[detail] = None
        if len(patterns) < MAX_LEVELS:
            patterns.append(f"{patterns[-1]} {detail}")
        if "n" in kind:
            named |= dict.fromkeys(f"{key}={context}" for context in scene.around(span) if context.startswith("n:") and "~" not in context)
    levels = tuple(dict.fromkeys(patterns))
    if as_text(action) in scene.done:
        named["again"] = None
    branches = tuple(f"{head[1]} {detail}" for detail in (*details, *named))
    return ActionTemplate(levels[-1], levels, tuple(slots), tuple(details), branches)


def _part(span: str, scene: Scene) -> str:
    """The longest part of `span` that task or notes name."""
    line = span.split(" ")[:_PART_WORDS]
    for size in range(min(MAX_SPAN, len(line) - 1), 0, -1):
        for start in range(len(line) - size + 1):
            if line[start] in FUNCTION_WORDS or line[start + size - 1] in FUNCTION_WORDS:
                continue
            part = " ".join(line[start : start + size])
            if scene.kind(part) not in ("", "o"):
                return part
    return ""


def _masked(text: str, slots: tuple[str, ...], scene: Scene) -> str:
    """An earlier action as this one sees it: with its slots in place of the words they share, else as its own template."""
    known = scene.masks.get(slots)
    if known is None:
        line = " ".join(words(text))
        masked = line
        for number, span in enumerate(slots, 1):
            if span in parse(text).spans:
                masked = f" {masked} ".replace(f" {span} ", f" _{number} ").strip()
        if masked == line:
            masked = _last(scene)
        known = scene.masks[slots] = masked
    return known
