"""The model: what memory is made of, what users hand in, and what they get back.

All of it is pydantic, validated once, at this edge, and JSON both ways: `Situation`, `Step`, `Episode`, `Feedback`, `Provenance`,
`Activation` and its parts. What changes memory is in `edits`. Sources: FluxMem (arXiv 2605.28773) sections 2 and 3 for facts, episodes,
skills and the evolving graph.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, JsonValue, PrivateAttr, ValidationError, model_validator

from langgraph_fluxmem.errors import FeedbackError, InvalidContentError

M = TypeVar("M", bound=BaseModel)
Namespace = tuple[str, ...]
Vector = NDArray[np.float32]
Action = str | dict[str, JsonValue]
"""A text command, a set of key-value pairs, or a tool call as ``{"name": ..., "args": {...}}``."""
Outcome = Literal["success", "failure", "unknown"]
Channel = Literal["progress", "failure", "loss"]
"""Evidence channels. ``progress``: it led on. ``failure``: it was tried and did not lead on. ``loss``: it ended the task badly."""
NodeKind = Literal["fact", "item", "episode", "skill", "mark", "note", "quarantine"]
"""``note`` stands for facts that say the same (`gate`); it is not searched; nor is ``quarantine``, what was held back (`trust`). ``mark`` stands for a point in the log (`RESET`). ``item`` is a fact that came through a store API: never merged, rewritten or decayed."""
EdgeKind = Literal["GROUNDS", "DISTILLS", "RELATES", "LEADS", "SUPERSEDES"]
if TYPE_CHECKING:
    Ids = Texts = Sequence[str]
    Actions = Sequence[Action]
    Steps = Sequence["Step"]
else:  # what is kept is a tuple; a list may be given, and a type checker shall know
    Ids = Texts = tuple[str, ...]
    Actions = tuple[Action, ...]
    Steps = tuple["Step", ...]
Origin = Literal["agent", "tool", "environment", "evaluator", "user", "model", "system"]


RESET = "reset_learning"
"""Verb and node of the mark up to which evidence does not count (`FluxMem.reset_learning`)."""


FORGET = "forget"
"""Verb of the operations that forget: what they erased is gone at every position of the log, and they cannot be undone."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _put(made: M, values: dict[str, Any], said: set[str], private: dict[str, Any] | None = None) -> M:
    """Fill a model that was just created with a value for each field, without validation; `said` are those that were given. It becomes the
    owner of the dicts."""
    put = object.__setattr__
    put(made, "__dict__", values)
    put(made, "__pydantic_fields_set__", said)
    put(made, "__pydantic_extra__", None)
    put(made, "__pydantic_private__", private)
    return made


class _Input(_Frozen):
    """What users construct: a value that does not fit raises one of our errors, in one line, instead of pydantic's."""

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            message = first["msg"].removeprefix("Value error, ")
            name = type(self).__name__
            refusal = FeedbackError if isinstance(self, Feedback) else InvalidContentError
            raise refusal(f"{name}.{where}: {message}; found {first.get('input')!r:.200}" if where else message) from None


# ---------------------------------------------------------------------------------------------------------------- what users hand in
class Provenance(_Frozen):
    """Where a change came from. Every field is optional: code outside a graph has none of them."""

    thread_id: str | None = None
    lineage: str | None = None
    checkpoint_id: str | None = None
    checkpoint_ns: str | None = None
    task_id: str | None = None
    run_id: str | None = None


class Situation(_Input):
    """What an agent is in when it has to act [F 3.1].

    `task` is the instruction; `observation` what it sees now (text, or key-value pairs); `notes` are facts the task itself brought up
    (an instruction it read on the way); `done` are the actions of this episode so far, oldest first.
    """

    task: str
    observation: str | dict[str, JsonValue] = ""
    notes: Texts = ()
    done: Actions = ()

    @classmethod
    def of(cls, task: str) -> Situation:
        """The situation of which only the task is known: in a fifth of the time that validation takes."""
        return _put(cls.__new__(cls), {"task": task, "observation": "", "notes": (), "done": ()}, {"task"})


class Step(_Input):
    """One step of an episode: in `observation` the agent did `action` and saw `result`.

    `progress` and `loss` are what the environment said of this step (in units of the task's own score, 0 when it said nothing); `notes`
    are texts the step brought up; `actions` are the admissible actions at that moment where the environment lists them (used for credit
    by dependency, not stored).
    """

    observation: str | dict[str, JsonValue] = ""
    action: Action | None = None
    result: str = ""
    progress: float = Field(default=0.0, allow_inf_nan=False)
    loss: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)
    refused: bool = False
    """The environment said that this step came to nothing: a tool's error, a step judged a failure. It earns no credit in a success."""
    notes: Texts = ()
    actions: Actions = ()
    shown: Ids = ()
    """Ids of facts that were active when the step was taken."""
    used: Ids = ()
    """Ids of facts that supported this step [F: E_ground]."""
    harmful: Ids = ()
    """Ids of facts that misled it."""
    origins: dict[Literal["observation", "action", "result", "notes"], Origin] = Field(default_factory=dict)
    """Where fields come from, other than usual (`origins.USUAL`)."""


class Episode(_Input):
    """A trajectory with its outcome. The trajectory is immutable once committed; judgements are appended as evidence."""

    task: str
    steps: Steps = ()
    outcome: Outcome = "unknown"
    score: float | None = Field(default=None, allow_inf_nan=False)
    id: str | None = None
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    origins: dict[Literal["task", "outcome"], Origin] = Field(default_factory=dict)
    """Where fields come from, other than usual: a task from the user, an outcome from the environment (`origins.USUAL`)."""


class Feedback(_Input):
    """What came of acting on an activation (f_t in [F 3.2]).

    `progress` in [-1, 1] and `loss` in [0, 1] are separate channels. `used` are ids that proved right (positive evidence at any
    outcome), `harmful` ids that misled; with neither, the outcome is shared by what was shown. Outcome ``"unknown"`` is stored and
    teaches nothing. `done` says that the episode is over.

    Raises:
        FeedbackError: an id is both used and harmful, or success and loss are claimed together.
    """

    outcome: Outcome = "unknown"
    progress: float | None = Field(default=None, ge=-1.0, le=1.0, allow_inf_nan=False)
    loss: float = Field(default=0.0, ge=0.0, le=1.0, allow_inf_nan=False)
    used: Ids = ()
    harmful: Ids = ()
    done: bool = False
    detail: str = ""
    origin: Origin = "environment"

    @model_validator(mode="after")
    def _consistent(self) -> Feedback:
        both = sorted(set(self.used) & set(self.harmful))
        if both:
            raise FeedbackError(f"feedback names {both!r} as used and as harmful; an id can be one of them, leave it out of the other")
        if self.outcome == "success" and self.loss > 0:
            raise FeedbackError(
                f"feedback says outcome='success' with loss={self.loss}; a loss ends a task badly: use outcome='failure', or loss=0"
            )
        return self


# ------------------------------------------------------------------------------------------------------------------ what they get back
class Why(_Frozen):
    """Why something was recalled: each signal's weighted share of the score, and the path that led there."""

    signals: dict[str, float] = Field(default_factory=dict)
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        shares = ", ".join(f"{name} {share:.3f}" for name, share in sorted(self.signals.items(), key=lambda kv: -kv[1]))
        return shares + (f"; via {' -> '.join(self.path)}" if self.path else "")


class RecalledFact(_Frozen):
    """A fact as it was remembered: `content` verbatim, all its `metadata` unchanged. `id` names this version."""

    id: str
    content: str
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    namespace: Namespace
    score: float
    why: Why = Why()


_SAID_OF_WHY, _SAID_OF_FACT = {"signals"}, {"id", "content", "metadata", "namespace", "score", "why"}


def recalled_fact(
    id: str, said: tuple[str, dict[str, JsonValue]], namespace: Namespace, score: float, signals: dict[str, float]
) -> RecalledFact:
    """A `RecalledFact` of values that are known to fit (`said`: content and metadata), in a fifth of the time that validation takes; the dicts become its own."""
    put = object.__setattr__
    why = Why.__new__(Why)
    put(why, "__dict__", {"signals": signals, "path": ()})
    put(why, "__pydantic_fields_set__", _SAID_OF_WHY)
    put(why, "__pydantic_extra__", None)
    put(why, "__pydantic_private__", None)
    fact = RecalledFact.__new__(RecalledFact)
    content, metadata = said
    put(fact, "__dict__", {"id": id, "content": content, "metadata": metadata, "namespace": namespace, "score": score, "why": why})
    put(fact, "__pydantic_fields_set__", _SAID_OF_FACT)
    put(fact, "__pydantic_extra__", None)
    put(fact, "__pydantic_private__", None)
    return fact


class RecalledStep(_Frozen):
    """A past step that matches the situation, with its evidence (sums of weights per channel)."""

    id: str
    episode: str
    situation: str
    action: Action
    template: str
    successes: float
    failures: float
    losses: float
    score: float
    why: Why = Why()


class RecalledEpisode(_Frozen):
    """A past episode whose task is like this one. `actions` are its first ones as text, oldest first, those that were refused marked."""

    id: str
    task: str
    outcome: Outcome
    steps: int
    actions: tuple[str, ...] = ()
    score: float
    why: Why = Why()


class RecalledSkill(_Frozen):
    """A skill that answers to this task: when it applies, what to do in order, what ended badly. `status` says how far it is trusted."""

    id: str
    name: str
    when: str
    steps: tuple[str, ...]
    pitfalls: tuple[str, ...] = ()
    status: Literal["candidate", "mature", "demoted", "retired"]
    score: float
    why: Why = Why()


class Advice(_Frozen):
    """What memory says of one admissible action. `score` is in logits: 0 says nothing, positive speaks for it.

    `value` estimates the share of progress in such situations, `risk` the share of bad endings, both in [0, 1]; `support` is the
    evidence behind them (sum of weights).
    """

    action: Action
    score: float
    value: float
    risk: float
    support: float
    why: Why = Why()


EditAction = Literal["expand", "prune", "reshape", "bypass"]


class TentativeEdit(_Frozen):
    """An edit of the activation inside the refinement loop [F 3.2]; it lives in graph state until the step's outcome is known."""

    action: EditAction
    targets: tuple[str, ...] = ()
    reason: str = ""
    named: bool = False
    """Whether the feedback itself named the targets, and nobody had to find them."""


class Evidence(BaseModel):
    """What the search for missing evidence did and cost (its calls of a model and their tokens are in the activation's).

    `rounds` judged, sub-`queries` asked, ids of the facts `found` by them that are shown, whether the last judgement was that the facts
    are `sufficient`, and `seconds` it took.
    """

    model_config = ConfigDict(extra="forbid")

    rounds: int = 0
    queries: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    sufficient: bool = False
    seconds: float = 0.0


class Activation(BaseModel):
    """The subgraph G_t activated for one step, self-contained and JSON-serialisable (`model_dump(mode="json")`).

    `facts` are at most k, best first; `context` is S_t, the text for a prompt: escaped, fenced as quoted data, within the token budget.
    `advise` needs the memory it came from: an activation restored from JSON is bound again with ``mem.activation(data)``.
    """

    model_config = ConfigDict(extra="forbid")

    id: str
    memory: str
    namespace: Namespace
    also: tuple[Namespace, ...] = ()
    situation: Situation
    facts: tuple[RecalledFact, ...] = ()
    steps: tuple[RecalledStep, ...] = ()
    episodes: tuple[RecalledEpisode, ...] = ()
    skills: tuple[RecalledSkill, ...] = ()
    context: str = ""
    k: int = 10
    round: int = 0
    edits: tuple[TentativeEdit, ...] = ()
    shown: tuple[str, ...] = ()
    """Ids of facts shown in earlier rounds of this step, oldest first."""
    used: tuple[str, ...] = ()
    """Ids of facts that earlier rounds of this step proved right."""
    weights: dict[str, float] = Field(default_factory=dict)
    """Weight of each retrieval signal as configured, for this recall."""
    shift: dict[str, float] = Field(default_factory=dict)
    """By how much learning has moved each weight (`weighing`)."""
    reshaped: tuple[RecalledFact, ...] = ()
    """Finer or more abstract versions of facts shown before; they stand first in the context. Tentative: stored once the step's outcome speaks
    for them, beside the fact they were made of (``why.path``)."""
    checked: Feedback | None = None
    """What the self-check of the last round said, where one was asked for."""
    repair: dict[str, JsonValue] = Field(default_factory=dict)
    """State of the within-episode repairs (`learning.repair.Repair` as JSON)."""
    hidden: tuple[str, ...] = ()
    """Ids of commits that this branch of the graph must not see."""
    position: int = 0
    model_calls: int = 0
    """Calls of a chat model for this step so far; the tokens they took are below. None without a model."""
    input_tokens: int = 0
    output_tokens: int = 0
    fallbacks: tuple[str, ...] = ()
    """Why rules answered in the model's place, where they had to."""
    preset: str = "balanced"
    """The preset of signals that facts are searched for with."""
    signals: dict[str, float] = Field(default_factory=dict)
    """Weights of signals that the recall was given; they hold for the rounds after it, too."""
    as_of: int | None = None
    """The log position it shows the memory at; None: as it was when it was recalled, and advice is of today."""
    evidence: Evidence | None = None
    """What the search for missing evidence did; None where it was not asked for."""

    _advisor: Callable[[Activation, Sequence[Action]], list[Advice]] | None = PrivateAttr(default=None)

    @classmethod
    def begun(cls, **values: Any) -> Activation:
        """An activation of values that are known to fit, the other fields at their defaults: in a fifth of the time that validation takes."""
        said = {**_blank(), "weights": {}, "shift": {}, "repair": {}, "signals": {}, **values}
        return _put(cls.__new__(cls), said, set(values), {"_advisor": None})

    def going_on(self, **values: Any) -> Activation:
        """A copy with these values, which are known to fit; bound to the same memory."""
        return _put(
            type(self).__new__(type(self)), {**self.__dict__, **values}, {*self.model_fields_set, *values}, {"_advisor": self._advisor}
        )

    def bind(self, advisor: Callable[[Activation, Sequence[Action]], list[Advice]]) -> Activation:
        """Attach the memory that answers `advise`; returns self."""
        self._advisor = advisor
        return self

    def _repr_html_(self) -> str:
        """What came to mind, for a notebook: every stored text is escaped."""
        from langgraph_fluxmem.explaining.html import activation_html  # noqa: PLC0415 - it tells of this class

        return activation_html(self)

    @property
    def pruned(self) -> frozenset[str]:
        """Ids that this step's edits have cut."""
        return frozenset(target for edit in self.edits if edit.action == "prune" for target in edit.targets)

    @property
    def around(self) -> tuple[str, ...]:
        """Ids of the facts whose surroundings are searched: those that proved right, and those the last expansion named."""
        last = next((edit.targets for edit in reversed(self.edits) if edit.action == "expand"), ())
        return tuple(dict.fromkeys((*self.used, *last)))

    @property
    def bypassed(self) -> bool:
        """Whether this step goes on without memory."""
        return any(edit.action == "bypass" for edit in self.edits)

    def advise(self, actions: Sequence[Action]) -> list[Advice]:
        """Score each admissible action in this situation, in the order given; see `Advice`.

        Raises:
            InvalidContentError: `actions` is no list of texts and dicts.
            RuntimeError: this activation came from JSON and was not bound (``mem.activation(state)``).
        """
        if isinstance(actions, (str, Mapping)):
            raise InvalidContentError(f"advise() got one action, {actions!r:.100}; give a list of those that are admissible")
        for action in actions:
            if not isinstance(action, (str, dict)):
                raise InvalidContentError(f"advise() got an action that is a {type(action).__name__}; actions are texts or dicts")
        if self._advisor is None:
            raise RuntimeError("this activation is not bound to a memory; get it with `mem.activation(state)` before `advise`")
        return self._advisor(self, actions)


@functools.cache
def _blank() -> Mapping[str, Any]:
    """Every field of an activation with its default."""
    return {name: field.get_default(call_default_factory=True) for name, field in Activation.model_fields.items()}
