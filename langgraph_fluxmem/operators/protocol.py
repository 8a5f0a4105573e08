"""Judgement behind one protocol: what may be asked (one task class for each operator) and what every answer carries.

The operators are those of the FluxMem and MemFly papers: verify [F 3.1], evaluate and attribute, reshape [F 3.2], induce and rewrite
[F 3.3], extract, relate and sufficient [M]. Whoever answers, rules or a chat model, says so, and what it cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar, runtime_checkable

from pydantic import JsonValue

from langgraph_fluxmem.operators import schemas
from langgraph_fluxmem.text import terms

FAITHFUL = 0.5
"""Share of a reshaped text's terms that its memory must have. What is made up, or in another language, is refused."""
T = TypeVar("T", bound=schemas.Answer)
T_co = TypeVar("T_co", bound=schemas.Answer, covariant=True)


class Task(Generic[T_co]):
    """A question for `Operators`. `operator` is its name, `answer` the class of what comes back."""

    operator: ClassVar[str]
    answer: ClassVar[type[Any]]
    attempts: ClassVar[int | None] = None
    """Calls of a model at most, where that is less than what the operators allow."""

    def check(self, value: Any) -> str | None:
        """What is wrong with an answer that fits its schema, or None: indices out of range, another number of scores than asked for."""
        del value
        return None


@dataclass(frozen=True, slots=True)
class Judgement(Generic[T]):
    """An answer with its price. `fallback` says why the rules answered instead of the model; None when they did not have to."""

    value: T
    by: Literal["rules", "model"]
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    fallback: str | None = None


@runtime_checkable
class Operators(Protocol):
    """Answers every `Task`; never raises for what a model says, only for a task that is none."""

    def judge(self, task: Task[T]) -> Judgement[T]:
        """Answer a task."""
        ...

    async def ajudge(self, task: Task[T]) -> Judgement[T]:
        """Async twin of `judge`."""
        ...


def _one_each(found: int, asked: int, what: str) -> str | None:
    return None if found == asked else f"{found} {what} for {asked}; give one for each, in their order"


def _in_range(indices: list[int], size: int) -> str | None:
    wrong = sorted({index for index in indices if not 0 <= index < size})
    return f"indices {wrong} are out of range; there are {size}, counted from 0" if wrong else None


@dataclass(frozen=True, slots=True)
class Verify(Task[schemas.Verified]):
    """How well does each candidate answer the query?"""

    operator = "verify"
    answer = schemas.Verified
    attempts = 1  # every recall asks it: one call, or none of its say
    query: str
    candidates: tuple[str, ...]

    def check(self, value: schemas.Verified) -> str | None:
        if any(not 0.0 <= score <= 1.0 for score in value.scores):
            return "a score is outside of 0 to 1"
        return _one_each(len(value.scores), len(self.candidates), "scores")


@dataclass(frozen=True, slots=True)
class Evaluate(Task[schemas.Evaluated]):
    """How did this attempt go? `steps` are (action, result) as text, oldest first."""

    operator = "evaluate"
    answer = schemas.Evaluated
    task: str
    steps: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Attribute(Task[schemas.Attributed]):
    """Why did what was shown not do? `used` and `harmful` are indices into `shown`; `round` counts from 0, `misled` the rounds in which
    something shown misled, this one included."""

    operator = "attribute"
    answer = schemas.Attributed
    task: str
    shown: tuple[str, ...]
    detail: str = ""
    used: tuple[int, ...] = ()
    harmful: tuple[int, ...] = ()
    round: int = 0
    misled: int = 0

    def check(self, value: schemas.Attributed) -> str | None:
        return _in_range(value.targets, len(self.shown))


@dataclass(frozen=True, slots=True)
class Reshape(Task[schemas.Reshaped]):
    """Write a memory in finer parts, or more abstractly, for what the query needs."""

    operator = "reshape"
    answer = schemas.Reshaped
    text: str
    query: str
    finer: bool = True

    def check(self, value: schemas.Reshaped) -> str | None:
        texts = [text for text in value.texts if text.strip()]
        if not texts:
            return "no text; give at least one"
        known = set(terms(self.text))
        for text in texts:
            said = set(terms(text))
            if len(said & known) < FAITHFUL * len(said):
                return f"{text[:60]!r} says what the memory does not say; use its own words"
            unknown = sorted(word for word in said - known if any(char.isdigit() for char in word))
            if unknown:
                return f"the memory does not say {unknown[0]!r}; leave it out"
        return None


@dataclass(frozen=True, slots=True)
class Template:
    """An action template a skill's step may do: its `text`, in how many successes it occurs, when it led on, when it did not."""

    text: str
    support: int
    when: tuple[str, ...] = ()


def _usable(value: schemas.Drafted, templates: int) -> str | None:
    if not value.name.strip() or not any(step.template is not None for step in value.steps):
        return "the skill has no name, or none of its steps does one of the templates"
    return _in_range([step.template for step in value.steps if step.template is not None], templates)


@dataclass(frozen=True, slots=True)
class Induce(Task[schemas.Drafted]):
    """Induce one skill from attempts at similar tasks. `draft` is what the rules found; attempts are texts, successes first."""

    operator = "induce"
    answer = schemas.Drafted
    draft: schemas.Drafted
    templates: tuple[Template, ...]
    successes: tuple[str, ...]
    failures: tuple[str, ...] = ()

    def check(self, value: schemas.Drafted) -> str | None:
        return _usable(value, len(self.templates))


@dataclass(frozen=True, slots=True)
class Rewrite(Task[schemas.Drafted]):
    """Write a skill better: shorter, or so that it holds where it failed. `round` counts the rewrites already tried.

    `unneeded` are the shares of attempts that went well without each step of the draft, where that is known.
    """

    operator = "rewrite"
    answer = schemas.Drafted
    draft: schemas.Drafted
    templates: tuple[Template, ...]
    success_rate: float
    failures: tuple[str, ...] = ()
    unneeded: tuple[float | None, ...] = ()
    round: int = 0

    def check(self, value: schemas.Drafted) -> str | None:
        return _usable(value, len(self.templates))


@dataclass(frozen=True, slots=True)
class Extract(Task[schemas.Extracted]):
    """Denoise a memory and name its keywords."""

    operator = "extract"
    answer = schemas.Extracted
    text: str


@dataclass(frozen=True, slots=True)
class ExtractEach(Task[schemas.ExtractedEach]):
    """Denoise each of several memories and name its keywords: `Extract` for many in one call."""

    operator = "extract_each"
    answer = schemas.ExtractedEach
    texts: tuple[str, ...]

    def check(self, value: schemas.ExtractedEach) -> str | None:
        problem = _one_each(len(value.notes), len(self.texts), "notes")
        if problem is not None:
            return problem
        for number, (text, note) in enumerate(zip(self.texts, value.notes, strict=True)):
            said = set(terms(note.context))
            if said and said.isdisjoint(terms(text)):
                return f"note {number} has no word of memory {number}; write each note on its own memory, in the memory's language"
        return None


@dataclass(frozen=True, slots=True)
class Relate(Task[schemas.Related]):
    """How does a memory stand to each of its neighbours: does it repeat it, does it complete it?"""

    operator = "relate"
    answer = schemas.Related
    text: str
    neighbours: tuple[str, ...]

    def check(self, value: schemas.Related) -> str | None:
        return _one_each(len(value.relations), len(self.neighbours), "relations")


@dataclass(frozen=True, slots=True)
class Sufficient(Task[schemas.Sufficiency]):
    """Do these memories answer the query, and what is missing if not?"""

    operator = "sufficient"
    answer = schemas.Sufficiency
    query: str
    memories: tuple[str, ...]


TASKS: Mapping[str, type[Task[Any]]] = {
    task.operator: task for task in (Verify, Evaluate, Attribute, Reshape, Induce, Rewrite, Extract, ExtractEach, Relate, Sufficient)
}
"""Every operator by name."""


@dataclass(slots=True)
class Cost:
    """Sums over judgements: calls of a model, tokens in and out, and how often the rules stepped in, with the reasons."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    fallbacks: int = 0
    reasons: tuple[str, ...] = ()

    def add(self, judgement: Judgement[Any]) -> None:
        """Count a judgement."""
        self.calls += judgement.calls
        self.input_tokens += judgement.input_tokens
        self.output_tokens += judgement.output_tokens
        if judgement.fallback is not None:
            self.fallbacks += 1
            self.reasons = tuple(dict.fromkeys((*self.reasons, judgement.fallback)))

    def plus(self, other: Mapping[str, Any]) -> None:
        """Count another sum, as `as_dict` made it."""
        self.calls += int(other["calls"])
        self.input_tokens += int(other["input_tokens"])
        self.output_tokens += int(other["output_tokens"])
        self.fallbacks += int(other["fallbacks"])
        self.reasons = tuple(dict.fromkeys((*self.reasons, *other["reasons"])))

    def as_dict(self) -> dict[str, JsonValue]:
        """As JSON."""
        return {
            "calls": self.calls,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "fallbacks": self.fallbacks,
            "reasons": list(self.reasons),
        }
