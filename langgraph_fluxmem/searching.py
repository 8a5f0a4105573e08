"""The search for an activation's facts: signals, then verification by a model, then rounds that fill gaps in the evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langgraph_fluxmem import evidence, formation
from langgraph_fluxmem.config import Config
from langgraph_fluxmem.index.view import NamespaceView
from langgraph_fluxmem.operators import Judgement, Operators, RuleOperators
from langgraph_fluxmem.presets import preset_of
from langgraph_fluxmem.requests import Embed, Stage
from langgraph_fluxmem.schema import Activation, Vector
from langgraph_fluxmem.signals import VERIFY, weights_of
from langgraph_fluxmem.verification import verified, verifies


@dataclass(frozen=True, slots=True)
class Search:
    """What one activation searches in, and how. `served` is what past use says of fact nodes for its task."""

    activation: Activation
    views: Sequence[NamespaceView]
    served: Mapping[str, float]
    config: Config
    signals: Mapping[str, float] | None
    lexical: bool
    operators: Operators

    def facts(self, query: str, vector: Vector, k: int, rounds: int | None) -> Stage:
        """Returns (the activation with what judgements cost, at most `k` facts, best first).

        `rounds` of evidence refinement; None: the preset's, where a model judges.
        """
        activation, preset = self.activation, preset_of(self.activation.preset)
        weight = 0.0 if isinstance(self.operators, RuleOperators) else weights_of(preset.weights, self.config.signals, self.signals)[VERIFY]
        verify = self.config.verify if verifies(self.operators, weight, self.config.verify) else 0
        facts = yield from self._found(query, vector, max(k, verify), frozenset(), activation.around)
        if verify and facts:
            best, judgement = yield from verified(query, facts[:verify], self.operators, weight)
            activation = charged(activation, judgement)
            facts = (*best, *facts[verify:])
        if rounds is None:
            rounds = 0 if isinstance(self.operators, RuleOperators) else preset.rounds
        if rounds and not activation.round:
            facts, report, judgements = yield from evidence.refined(
                query, facts, k, rounds=rounds, operators=self.operators, search=self._missing
            )
            for judgement in judgements:
                activation = charged(activation, judgement)
            activation = activation.model_copy(update={"evidence": report})
        return activation, facts[:k]

    def _missing(self, query: str, held: frozenset[str], k: int) -> Stage:
        vectors = yield Embed((query,), query=True)
        return (yield from self._found(query, vectors[0], k, held, ()))

    def _found(self, query: str, vector: Vector, k: int, held: frozenset[str], around: tuple[str, ...]) -> Stage:
        activation = self.activation
        return (
            yield from formation.recall_facts(
                query,
                vector,
                self.views,
                k=k,
                config=self.config,
                signals=self.signals,
                served=self.served,
                exclude=held.union(activation.shown, activation.pruned) if activation.shown or activation.edits else held,
                around=around,
                passed=tuple(shown for shown in activation.shown if shown not in around) if around else (),
                lexical=self.lexical,
                preset=preset_of(activation.preset),
            )
        )


def charged(activation: Activation, judgement: Judgement[Any]) -> Activation:
    """The activation with the price of a judgement: calls, tokens, and why rules had to answer instead of the model."""
    stepped_in = () if judgement.fallback is None else (judgement.fallback,)
    return activation.model_copy(
        update={
            "model_calls": activation.model_calls + judgement.calls,
            "input_tokens": activation.input_tokens + judgement.input_tokens,
            "output_tokens": activation.output_tokens + judgement.output_tokens,
            "fallbacks": tuple(dict.fromkeys((*activation.fallbacks, *stepped_in))),
        }
    )
