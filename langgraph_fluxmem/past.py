"""The memory as it was: recall, advice and the store as of a commit, a checkpoint, a time or a position of the log."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from langgraph.store.base import BaseStore, Op, PutOp, Result

from langgraph_fluxmem.branches import Branch, branch_of
from langgraph_fluxmem.errors import ConfigError, LedgerError, UnknownIdError
from langgraph_fluxmem.ledger import past as reading
from langgraph_fluxmem.namespaces import DEFAULT
from langgraph_fluxmem.presets import PresetName
from langgraph_fluxmem.requests import ANYBODY, Call, Stage
from langgraph_fluxmem.schema import Activation, Provenance, Situation
from langgraph_fluxmem.storing.batching import batch
from langgraph_fluxmem.storing.fields import Index, configured

if TYPE_CHECKING:
    from langgraph.types import StateSnapshot

    from langgraph_fluxmem.engine import Engine
    from langgraph_fluxmem.ledger import Ledger
    from langgraph_fluxmem.opened import OpenMemory
    from langgraph_fluxmem.topics import Topic

_UUID6_EPOCH = 0x01B21DD213814000
"""100-nanosecond intervals between the epochs of uuid time and of Unix."""

_TICK = 1e-6
"""Seconds within which a datetime cannot tell two writes apart: one made of an operation's time includes that operation."""


@dataclass(frozen=True)
class AsOf:
    """Which moment is asked for: one of the four."""

    commit: str | None = None
    checkpoint: str | Mapping[str, Any] | StateSnapshot | None = None
    time: dt.datetime | float | None = None
    position: int | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("commit", "checkpoint", "time", "position") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ConfigError(f"as_of() was given {' and '.join(given) or 'nothing'}; give one of commit, checkpoint, time, position")
        if isinstance(self.time, dt.datetime) and self.time.tzinfo is None:
            raise ConfigError(f"time is {self.time!r}, without a time zone; give one, for example datetime.now(UTC), or epoch seconds")
        if self.time is not None and (isinstance(self.time, bool) or not isinstance(self.time, (dt.datetime, int, float))):
            raise ConfigError(f"time is {self.time!r}; give a datetime with a time zone, or seconds since the epoch")
        if self.position is not None and (isinstance(self.position, bool) or not isinstance(self.position, int) or self.position < 0):
            raise ConfigError(f"position is {self.position!r}; it is a position of the log, 0 or more")


class Moment(NamedTuple):
    """A moment found: the log position, epoch seconds, and the branch that looks (that of the commit or checkpoint, where it has one)."""

    position: int
    time: float
    branch: Branch = ANYBODY


def find(ledger: Ledger, asked: AsOf) -> Moment:
    """The moment that is asked for.

    Raises:
        UnknownIdError: no such operation, checkpoint or position. LedgerError: that part of the log was compacted.
    """
    moment = _find(ledger, asked)
    horizon = ledger.horizon()
    if moment.position < horizon:
        raise LedgerError(f"the log was compacted up to position {horizon}, and {moment.position} is asked for; ask for a later moment")
    return moment


def _find(ledger: Ledger, asked: AsOf) -> Moment:
    if asked.commit is not None:
        row = ledger.operation(asked.commit)
        if row is None:
            raise UnknownIdError(f"no operation or commit {asked.commit!r} in this memory; mem.log() lists those it holds")
        commits = ledger.commits_named(row.namespace, (row.commit,)) if row.commit is not None else []
        own = [Branch(commit.provenance.lineage, (commit.id,)) for commit in commits if commit.provenance.lineage is not None]
        return Moment(row.position, row.at, own[0] if own else ANYBODY)
    if asked.checkpoint is not None:
        return _at_checkpoint(ledger, asked.checkpoint)
    if asked.time is not None:
        seconds = asked.time.timestamp() + _TICK if isinstance(asked.time, dt.datetime) else float(asked.time)
        return Moment(ledger.read(lambda session: reading.position_at(session, seconds)), seconds)
    position = asked.position or 0
    if position > ledger.head():
        raise UnknownIdError(f"the log ends at position {ledger.head()}, and {position} is asked for")
    return Moment(position, ledger.read(lambda session: reading.time_of(session, position)))


def _at_checkpoint(ledger: Ledger, checkpoint: str | Mapping[str, Any] | StateSnapshot) -> Moment:
    """The memory when a checkpoint was made, and never later than the first write that started from it; as its branch saw it, where its
    state or a commit that started from it tells."""
    branch: Branch | None = None
    if isinstance(checkpoint, str):
        name = checkpoint
    else:
        config: Mapping[str, Any] = checkpoint if isinstance(checkpoint, Mapping) else checkpoint.config
        name = str(config.get("configurable", {}).get("checkpoint_id") or "")
        if not isinstance(checkpoint, Mapping):
            branch = branch_of(checkpoint.values.get("memory_commits"))
    made = _time_of(name)
    first = ledger.read(lambda session: reading.first_from(session, name))
    if made is None and first is None:
        raise UnknownIdError(
            f"no checkpoint {name!r} is known to this memory, and its id tells no time; give its state, from graph.get_state()"
        )
    position = ledger.head() if made is None else ledger.read(lambda session: reading.position_at(session, made))
    if first is not None:
        position = min(position, first - 1)
        rows = ledger.operations_at([first])
        if branch is None and rows[first].commit is not None:
            (commit,) = ledger.commits_named(rows[first].namespace, (rows[first].commit or "",))
            branch = Branch(commit.provenance.lineage, commit.seen, commit.alone)
    return Moment(
        position, made if made is not None else ledger.read(lambda session: reading.time_of(session, position)), branch or ANYBODY
    )


def _time_of(checkpoint: str) -> float | None:
    """Epoch seconds in a checkpoint's id, as LangGraph makes them (uuid version 6); None for an id of another kind."""
    try:
        id_ = uuid.UUID(checkpoint)
    except ValueError:
        return None
    if id_.version != 6:
        return None
    return (((id_.int >> 80) << 12 | (id_.int >> 64) & 0xFFF) - _UUID6_EPOCH) / 1e7


class PastMemory:
    """An open memory as it was at one moment, to read from: what was written later is not there, what was undone later still counts.

    What was erased since is gone at every moment: deleted, expired and forgotten content. Links keep the strength they had.
    """

    def __init__(self, mem: OpenMemory, asked: AsOf) -> None:
        self._mem, self._asked = mem, asked

    def _found(self) -> Stage:
        def look(engine: Engine) -> tuple[Moment, Engine]:
            moment = find(engine.ledger, self._asked)
            return moment, engine.past(moment.position, moment.time)

        return (yield Call(look))

    def moment(self) -> Moment:
        """The position of the log, the time, and the branch.

        Raises:
            UnknownIdError: no such operation, checkpoint or position. LedgerError: that part of the log was compacted.
        """
        return self._mem.engine.run(self._found())[0]

    async def amoment(self) -> Moment:
        """Async twin of `moment`."""
        return (await self._mem.engine.arun(self._found()))[0]

    def recall(
        self,
        query: str | Situation,
        *,
        namespace: Sequence[str] = DEFAULT,
        also: Sequence[Sequence[str]] = (),
        k: int = 10,
        preset: PresetName | None = None,
        signals: Mapping[str, float] | None = None,
        evidence: int | None = None,
    ) -> Activation:
        """What `FluxMem.recall` gave at that moment; `advise` and `refine` of the activation stay there, and `learn` refuses it.

        Raises:
            As `moment` and `FluxMem.recall`.
        """
        moment, engine = self._mem.engine.run(self._found())
        return engine.run(
            self._mem.stages.recall(
                query,
                namespace=namespace,
                also=also,
                k=k,
                preset=preset,
                signals=signals,
                evidence=evidence,
                branch=moment.branch,
                as_of=moment.position,
            )
        )

    async def arecall(
        self,
        query: str | Situation,
        *,
        namespace: Sequence[str] = DEFAULT,
        also: Sequence[Sequence[str]] = (),
        k: int = 10,
        preset: PresetName | None = None,
        signals: Mapping[str, float] | None = None,
        evidence: int | None = None,
    ) -> Activation:
        """Async twin of `recall`."""
        moment, engine = await self._mem.engine.arun(self._found())
        return await engine.arun(
            self._mem.stages.recall(
                query,
                namespace=namespace,
                also=also,
                k=k,
                preset=preset,
                signals=signals,
                evidence=evidence,
                branch=moment.branch,
                as_of=moment.position,
            )
        )

    def topics(self, *, namespace: Sequence[str] = DEFAULT, limit: int = 20) -> list[Topic]:
        """What `FluxMem.topics` gave at that moment."""
        _, engine = self._mem.engine.run(self._found())
        return engine.run(self._mem.stages.topics(namespace=namespace, limit=limit))

    async def atopics(self, *, namespace: Sequence[str] = DEFAULT, limit: int = 20) -> list[Topic]:
        """Async twin of `topics`."""
        _, engine = await self._mem.engine.arun(self._found())
        return await engine.arun(self._mem.stages.topics(namespace=namespace, limit=limit))

    @property
    def store(self) -> PastStore:
        """The store at that moment, for get, search and list_namespaces; a put or delete raises."""
        return PastStore(self._mem, self._found, configured({})[0])


class PastStore(BaseStore):
    """A store to read from, as it was at one moment."""

    def __init__(self, mem: OpenMemory, found: Callable[[], Stage], index: Index | None) -> None:
        super().__init__()
        self._mem, self._found, self._index = mem, found, index

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Answer reads.

        Raises:
            LedgerError: an operation writes. UnknownIdError: no such moment. See `FluxMemStore.batch` for the rest.
        """
        _, engine = self._mem.engine.run(self._found())
        return engine.run(self._stage(ops))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Async twin of `batch`."""
        _, engine = await self._mem.engine.arun(self._found())
        return await engine.arun(self._stage(ops))

    def _stage(self, ops: Iterable[Op]) -> Stage:
        asked = list(ops)
        if any(isinstance(op, PutOp) for op in asked):
            raise LedgerError("the past cannot be changed; put into `mem.store`")
        return batch(asked, self._index, omit_expired=False, provenance=Provenance)
