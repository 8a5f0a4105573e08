"""The stages of one memory with their arguments checked: what `FluxMem` and the nodes drive."""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langgraph_fluxmem import activation as forming
from langgraph_fluxmem import episodes, formation, ingestion, refinement
from langgraph_fluxmem.branches import Branch
from langgraph_fluxmem.config import Config
from langgraph_fluxmem.consolidation import Means, consolidate
from langgraph_fluxmem.edits import Applied, NodeWrite, Plan
from langgraph_fluxmem.errors import ConfigError, FeedbackError, ForeignMemoryError, InvalidContentError
from langgraph_fluxmem.evidence import check_rounds
from langgraph_fluxmem.gate import notes
from langgraph_fluxmem.namespaces import check_namespace
from langgraph_fluxmem.observing import observed
from langgraph_fluxmem.operators import Operators, RuleOperators
from langgraph_fluxmem.presets import preset_of
from langgraph_fluxmem.progress import Progress
from langgraph_fluxmem.redaction import redacted, without_secrets
from langgraph_fluxmem.requests import ANYBODY, Apply, Call, Load, Stage, Undo
from langgraph_fluxmem.schema import RESET, Action, Activation, Advice, Episode, Feedback, Provenance, Situation, Step
from langgraph_fluxmem.signals import weights_of
from langgraph_fluxmem.text import check_text
from langgraph_fluxmem.topics import topics

if TYPE_CHECKING:
    from langgraph_fluxmem.engine import Engine

Advisor = Callable[[Activation, Sequence[Action]], list[Advice]]


@dataclass(frozen=True)
class Stages:
    """Builders of stages; each returns a generator for `Engine.run` or `Engine.arun`. Arguments are checked when it starts."""

    config: Config
    memory: str
    advisor: Advisor
    lexical: bool = False
    operators: Operators = field(default_factory=RuleOperators)
    """Who judges: rules, or the model the memory was opened with."""
    cut: Counter[str] = field(default_factory=Counter[str])
    """Secrets that were cut so far, by kind."""

    @observed("remember")
    def remember(
        self,
        documents: ingestion.Rememberable,
        *,
        namespace: Sequence[str],
        source: str | None,
        provenance: Provenance,
        batch: int | None = None,
        progress: ingestion.Progress | None = None,
        enrich: bool = False,
    ) -> Stage:
        """Store documents as facts; returns their ids."""
        if enrich and isinstance(self.operators, RuleOperators):
            raise ConfigError("enrich=True asks a model, and this memory was opened without one; give one: FluxMem.open(..., model=...)")
        return (
            yield from ingestion.remember(
                documents,
                namespace=check_namespace(namespace, filled=True),
                source=source,
                provenance=provenance,
                split_chars=self.config.split_chars,
                batch=batch,
                progress=progress,
                gate=self.config.gate == "inline",
                operators=self.operators if enrich else None,
                redact=self.config.redact,
                cut=self.cut,
                screened=self.config.quarantine,
            )
        )

    @observed("recall")
    def recall(
        self,
        query: str | Situation,
        *,
        namespace: Sequence[str],
        also: Sequence[Sequence[str]] = (),
        k: int = 10,
        preset: str | None = None,
        signals: Mapping[str, float] | None = None,
        evidence: int | None = None,
        branch: Branch = ANYBODY,
        as_of: int | None = None,
        repair: Mapping[str, Any] | None = None,
    ) -> Stage:
        """Form an `Activation`; `branch` is the one that reads, `as_of` the position of the ledger it is run on, where that is a past one."""
        situation = query if isinstance(query, Situation) else Situation.of(_query(query))
        check_text(situation.task, "the query")
        preset_of(self.config.preset if preset is None else preset)
        weights_of(signals)
        activation = Activation.begun(
            id=os.urandom(16).hex(),
            memory=self.memory,
            namespace=check_namespace(namespace, filled=True),
            also=tuple(check_namespace(other, filled=True) for other in also),
            situation=situation,
            k=at_least_one(k),
            repair=dict(repair or {}),
            preset=self.config.preset if preset is None else preset,
            signals=dict(signals or {}),
            as_of=as_of,
        )
        rounds = None if evidence is None else check_rounds(evidence)
        return (yield from self._formed(activation, branch=branch, evidence=rounds))

    @observed("refine")
    def refine(
        self,
        activation: Activation,
        feedback: Feedback,
        *,
        k: int | None = None,
        again: bool = True,
        attempt: str | Sequence[Step] | None = None,
    ) -> Stage:
        """Repair an activation; without `again` only what was shown and used is noted. With an `attempt` and an outcome that is unknown the
        operators say how it went."""
        if not isinstance(activation, Activation):
            raise InvalidContentError(f"refine() got a {type(activation).__name__}; give the activation that `recall` returned")
        _check_feedback(feedback, "refine")
        yield from refinement.check_ids(activation, (*feedback.used, *feedback.harmful), self.memory)
        if k is not None:
            activation = activation.model_copy(update={"k": at_least_one(k)})
        activation = activation.model_copy(update={"checked": None})
        if attempt is not None and feedback.outcome == "unknown":
            activation, feedback = yield from refinement.self_check(activation, feedback, attempt, self.operators)
        if feedback.outcome == "success" or feedback.done or not again:
            return activation.bind(self.advisor)
        if activation.round + 1 > self.config.max_rounds or (feedback.outcome == "unknown" and not feedback.harmful):
            return activation.bind(self.advisor)
        restored: Activation = yield from self.restore(activation)
        return (yield from self._formed((yield from refinement.refined(restored, feedback, self.operators))))

    @observed("learn")
    def learn(self, target: Activation | str, feedback: Feedback, *, namespace: Sequence[str] | None, provenance: Provenance) -> Stage:
        """Make feedback durable."""
        where = None if namespace is None else check_namespace(namespace)
        _check_feedback(feedback, "learn")
        feedback = feedback.model_copy(update={"detail": self._cut(feedback.detail)})
        if isinstance(target, str):
            if not self.config.learning:
                return Applied("", 0, duplicate=True)
            return (yield from episodes.judge(target, feedback, namespace=where, provenance=provenance))
        if not isinstance(target, Activation):
            raise InvalidContentError(f"learn() got a {type(target).__name__}; give the activation, or the id of an episode or a run")
        if target.as_of is not None:
            raise FeedbackError(f"this activation shows the memory as of position {target.as_of}; learn from one that was recalled now")
        yield from refinement.check_ids(target, (*feedback.used, *feedback.harmful), self.memory)
        if not self.config.learning:
            return Applied("", target.position, duplicate=True)
        task = self._cut(target.situation.task)
        if task != target.situation.task:
            target = target.model_copy(update={"situation": target.situation.model_copy(update={"task": task})})
        return (yield from refinement.learn(target, feedback, provenance=provenance))

    @observed("commit")
    def commit(
        self,
        episode: Episode,
        *,
        namespace: Sequence[str],
        provenance: Provenance,
        branch: Branch = ANYBODY,
        above: tuple[str, ...] = (),
        activation: str | None = None,
        tentative: episodes.Tentative | None = None,
    ) -> Stage:
        """Store an episode; returns `episodes.Committed`."""
        if not isinstance(episode, Episode):
            raise InvalidContentError(f"commit() got a {type(episode).__name__}; give an Episode(task=..., steps=[...], outcome=...)")
        episode, cut = without_secrets(episode, self.config.redact)
        self.cut.update(cut)
        return (
            yield from episodes.commit(
                episode,
                namespace=check_namespace(namespace, filled=True),
                provenance=provenance,
                branch=branch,
                above=above,
                activation=activation,
                learning=self.config.learning,
                tentative=tentative,
            )
        )

    @observed("consolidate")
    def consolidate(self, means: Means, *, provenance: Provenance, progress: Progress | None) -> Stage:
        """Consolidate a namespace; returns its report."""
        return (yield from consolidate(means, provenance=provenance, progress=progress))

    def topics(self, *, namespace: Sequence[str], limit: int) -> Stage:
        """The weightiest topics of a namespace."""
        return (yield from topics(check_namespace(namespace), limit))

    def recalled_at(self, target: Activation | str) -> Stage:
        """The log position to explain an activation at: where it was recalled, if its namespaces have changed since and the log still tells; None: now."""
        if not isinstance(target, Activation) or target.as_of is not None:
            return target.as_of if isinstance(target, Activation) else None

        def look(engine: Engine) -> int | None:
            head = max(engine.ledger.head(namespace) for namespace in (target.namespace, *target.also))
            return target.position if head > target.position >= engine.ledger.horizon() else None

        return (yield Call(look))

    def explain(self, target: Activation | str, *, namespace: Sequence[str] | None) -> Stage:
        """Why an activation holds what it holds, or what an id names."""
        from langgraph_fluxmem.explaining import explain_activation, explain_id  # noqa: PLC0415 - networkx, which recall does not need

        where = None if namespace is None else check_namespace(namespace)
        if isinstance(target, str):
            return (yield from explain_id(target, namespace=where, half_life=self.config.half_life))
        if not isinstance(target, Activation):
            raise InvalidContentError(f"explain() got a {type(target).__name__}; give an activation, or the id of anything in memory")
        restored: Activation = yield from self.restore(target)
        return (yield from explain_activation(restored, config=self.config, lexical=self.lexical))

    def notes(self, *, namespace: Sequence[str]) -> Stage:
        """What the gate has merged in a namespace."""
        return (yield from notes(check_namespace(namespace)))

    @observed("undo")
    def undo(self, operation: str, *, cascade: bool) -> Stage:
        """Undo an operation by its id."""
        if not isinstance(operation, str):
            given = type(operation).__name__
            raise InvalidContentError(
                f"undo() got {given}; give the id of an operation: `.operation` of what a call returned, `.id` in `log()`"
            )
        return (yield Undo(operation, cascade))

    def reset_learning(self, *, namespace: Sequence[str], provenance: Provenance) -> Stage:
        """Let the evidence so far count no more."""
        operation = f"reset-{uuid.uuid4().hex}"
        mark = NodeWrite(f"{RESET}:{operation[6:14]}", RESET, "mark", {})
        return (yield Apply(Plan(operation, RESET, check_namespace(namespace), (mark,), provenance)))

    def log(self, *, namespace: Sequence[str] | None, limit: int) -> Stage:
        """The newest operations."""
        where = None if namespace is None else check_namespace(namespace)
        return (yield Call(lambda engine: engine.ledger.operations(where, limit=limit)))

    def restore(self, activation: Activation) -> Stage:
        """Bind an activation from a graph's state and load the texts of its facts."""
        if activation.memory != self.memory:
            raise ForeignMemoryError(f"the state's activation belongs to the memory {activation.memory!r}, this is {self.memory!r}")
        if any(not fact.content for fact in activation.facts):
            loaded: dict[str, Any] = {}
            for namespace in (activation.namespace, *activation.also):
                ids = tuple(fact.id for fact in activation.facts if fact.namespace == namespace)
                if ids:
                    loaded.update((yield Load(namespace, ids, brief=True)))
            activation = activation.model_copy(update={"facts": formation.with_texts(activation.facts, loaded)})
        return activation.bind(self.advisor)

    def _cut(self, text: str) -> str:
        value, cut = redacted(text, self.config.redact)
        self.cut.update(cut)
        return value

    def _formed(
        self,
        activation: Activation,
        *,
        branch: Branch = ANYBODY,
        evidence: int | None = None,
    ) -> Stage:
        formed: Activation = yield from forming.form(
            activation,
            config=self.config,
            branch=branch,
            lexical=self.lexical,
            operators=self.operators,
            evidence=evidence,
        )
        return formed.bind(self.advisor)


def _query(query: object) -> str:
    if not isinstance(query, str):
        raise InvalidContentError(f"the query is a {type(query).__name__}; give a text, or Situation(task=..., observation=...)")
    return query


def _check_feedback(feedback: object, call: str) -> None:
    if not isinstance(feedback, Feedback):
        raise FeedbackError(
            f"{call}() got a {type(feedback).__name__} for feedback; give Feedback(outcome='success' or 'failure', used=[ids])"
        )


def at_least_one(k: object) -> int:
    """`k`, if facts can be counted with it.

    Raises:
        ConfigError: it is no whole number of at least 1.
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise ConfigError(f"k is {k!r}; it is how many facts to return, a whole number of at least 1")
    return k
