"""What a stage may ask for. Stages are generators: they yield these, receive the answer, and return a result or a `Plan`.

Only the engine's two drivers (one sync, one async) answer them, so every stage runs in a test without database, embedding or model:

    answer = generator.send(None)      # -> Embed(...)
    answer = generator.send(vectors)   # -> Snapshot(...)
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langgraph_fluxmem.branches import Branch
from langgraph_fluxmem.edits import Plan
from langgraph_fluxmem.operators.protocol import Operators, Task
from langgraph_fluxmem.schema import Namespace

if TYPE_CHECKING:
    from langgraph_fluxmem.engine import Engine

ANYBODY = Branch()
Stage = Generator["Request", Any, Any]


@dataclass(frozen=True, slots=True)
class Embed:
    """Answer: float32 array (len(texts), d), rows L2-normalised. `query` selects the query side of an asymmetric embedding."""

    texts: tuple[str, ...]
    query: bool = False


@dataclass(frozen=True, slots=True)
class EmbedFor:
    """Vectors for texts to be stored in `namespace`: those the ledger already holds (by content hash) are not embedded again.
    Answer: dict content hash -> VectorWrite for the missing ones, plus the known ones' vectors: tuple (new, all)."""

    namespace: Namespace
    texts: tuple[tuple[str, str], ...]
    """(content hash, text)"""


@dataclass(frozen=True, slots=True)
class Views:
    """Answer: list of `index.view.NamespaceView`, one for each namespace, caught up with the log. `hidden` are commit ids not to show."""

    namespaces: tuple[Namespace, ...]
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hidden:
    """Answer: frozenset of commit ids that a branch must not see; `branches.BranchView`."""

    namespace: Namespace
    branch: Branch = ANYBODY


@dataclass(frozen=True, slots=True)
class Load:
    """Answer: dict version id -> `ledger.rows.NodeRow` (missing ids are absent); when `brief`, at least a `ledger.rows.BodyRow`."""

    namespace: Namespace
    ids: tuple[str, ...]
    brief: bool = False
    at: int | None = None
    """Log position of the view that shows these ids: what is kept in memory may answer, as far as nothing erased up to there is in it."""


@dataclass(frozen=True, slots=True)
class LearnedOf:
    """Answer: the `learned.Learned` state of a namespace (step memory and task links), caught up, without the `hidden` commits."""

    namespace: Namespace
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Apply:
    """Answer: `edits.Applied`. One transaction, idempotent by the plan's operation id."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Undo:
    """Answer: `edits.Applied` of the operation that undid `operation`; with `cascade`, what rests on it too."""

    operation: str
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class Fetch:
    """A read of the ledger by name: ``Fetch("resolve_episode", (namespace, id))`` calls that `Ledger` method. Answer: its result."""

    method: str
    args: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class ApplyAll:
    """Answer: list of `edits.Applied`. Plans of several namespaces in one transaction: all of them, or none."""

    plans: tuple[Plan, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """Answer: what `read` returns. It gets the engine, and may block: it runs where that is allowed. For readings that are one thing to
    their stage and many to the ledger, such as the reads of a store's batch."""

    read: Callable[[Engine], Any]


@dataclass(frozen=True, slots=True)
class Judge:
    """Answer: the `operators.Judgement` of `task` by `operators`, rules or a chat model. A model is awaited where there is an event loop."""

    task: Task[Any]
    operators: Operators


@dataclass(frozen=True, slots=True)
class Begin:
    """A call begins: its `kind`, and the arguments it was made with. Answer: its run, for `End`; None where nobody looks (`observing`)."""

    kind: Any
    args: tuple[Any, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class End:
    """The call of `run` has ended with a `result`, or with an `error`. Answer: None."""

    run: Any
    result: Any = None
    error: BaseException | None = None


Request = Begin | End | Embed | EmbedFor | Views | Hidden | Load | LearnedOf | Apply | Undo | ApplyAll | Call | Fetch | Judge
