"""Stage I, formation: activate the subgraph G_t for one step, and write it out as context S_t [F 3.1].

Facts come from `formation`; here they meet the episodes and steps of the same namespace, under what the reading branch may see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem import context, formation
from langgraph_fluxmem.config import Config
from langgraph_fluxmem.learned import Learned
from langgraph_fluxmem.operators import Judgement, Operators, RuleOperators
from langgraph_fluxmem.requests import Embed, Fetch, Hidden, LearnedOf, Load, Stage, Views
from langgraph_fluxmem.schema import Activation, RecalledEpisode, RecalledFact, RecalledSkill, Situation, Vector, Why
from langgraph_fluxmem.signals import VERIFY, weights_of
from langgraph_fluxmem.verification import verified, verifies

STEPS = 5
"""How many matching past steps an activation holds."""
EPISODES = 3
"""How many past episodes an activation holds."""
ACTIONS = 12
"""How many actions of a past episode are told."""
OBSERVED = 600
"""Characters of the observation that join the task in the query for facts."""


def form(
    activation: Activation,
    *,
    config: Config,
    signals: Mapping[str, float] | None,
    lineage: str | None,
    seen: tuple[str, ...],
    lexical: bool = False,
    operators: Operators | None = None,
) -> Stage:
    """Fill an activation: facts, steps, episodes and their context. Rounds after the first go on from what was shown and used.

    `lexical` says that the embedding sees words alone (the offline one): the weights of the signals then are those measured with it.
    `operators` verify the best facts when they are a model (one call); rules are not asked.
    """
    hidden = activation.hidden if activation.round else tuple(sorted((yield Hidden(activation.namespace, lineage, seen))))
    namespaces = (activation.namespace, *activation.also)
    learned: Learned = yield LearnedOf(activation.namespace, hidden)
    if learned.skills.mature and not activation.bypassed:
        formed = yield from _fast(activation.model_copy(update={"hidden": hidden, "position": learned.position}), learned, config)
        if formed is not None:
            return formed
    views = yield Views(namespaces, hidden)
    activation = activation.model_copy(update={"hidden": hidden, "position": max(learned.position, *(view.position for view in views))})
    if activation.bypassed:
        return activation.model_copy(update={"facts": (), "steps": (), "episodes": (), "skills": (), "context": ""})
    facts: tuple[RecalledFact, ...] = ()
    situation = activation.situation
    query = query_text(situation)
    task_vector: Vector | None = None
    if any(view.size for view in views) or len(learned.episodes):
        texts = (situation.task,) if query == situation.task else (situation.task, query)
        vectors = yield Embed(texts, query=True)
        task_vector = vectors[0]
        if any(view.size for view in views):
            asked = operators or RuleOperators()
            weight = weights_of(config.signals, signals)[VERIFY]
            verify = verifies(asked, weight, config.verify)
            facts = yield from formation.recall_facts(
                query,
                vectors[-1],
                views,
                k=max(activation.k, config.verify) if verify else activation.k,
                config=config,
                signals=signals,
                served=learned.served(vectors[0]),
                exclude=frozenset(activation.shown) | activation.pruned,
                around=activation.used,
                lexical=lexical,
            )
            if verify and facts:
                best, judgement = yield from verified(query, facts[: config.verify], asked, weight)
                activation = charged(activation, judgement)
                facts = (*best, *facts[config.verify :])[: activation.k]
    episodes, skills = _experience(learned, task_vector)
    formed = activation.model_copy(
        update={"facts": facts, "steps": tuple(learned.recall_steps(situation, task_vector, STEPS)), "episodes": episodes, "skills": skills}
    )
    kept = yield from _kept(activation)
    shown = formed.model_copy(update={"facts": (*kept, *facts)})
    return formed.model_copy(update={"context": context.serialise(shown, config.context_tokens)})


def _kept(activation: Activation) -> Stage:
    """The facts that earlier rounds of this step proved right: they stay in the context while the search goes on."""
    kept: tuple[RecalledFact, ...] = ()
    for namespace in (activation.namespace, *activation.also) if activation.used else ():
        facts = [RecalledFact(id=used, content="", namespace=namespace, score=1.0) for used in activation.used]
        kept += formation.with_texts(facts, (yield Load(namespace, activation.used)))
    return kept


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


def query_text(situation: Situation) -> str:
    """What facts are searched for: the task, and the beginning of what is seen now."""
    observed = situation.observation
    text = observed if isinstance(observed, str) else " ".join(f"{key}: {value}" for key, value in observed.items())
    return f"{situation.task}\n{text[:OBSERVED]}" if text.strip() else situation.task


def _fast(activation: Activation, learned: Learned, config: Config) -> Stage:
    """The activation when a mature skill matches the task: its circuit - the skill, its episodes, the facts that served such tasks - without
    a search for facts. None when none matches, or a failure has closed it."""
    task = activation.situation.task
    vector = (yield Embed((task,), query=True))[0]
    episodes, skills = _experience(learned, vector)
    fast = learned.fast(skills, task, activation.round)
    if fast is None:
        return None
    served = sorted(((score, node) for node, score in learned.served(vector).items() if score > 0), reverse=True)[: activation.k]
    rows = yield Fetch("current", (activation.namespace, tuple(node for _, node in served)))
    facts = [
        RecalledFact(
            id=rows[node].id, content="", namespace=activation.namespace, score=score, why=Why(signals={"served": score}, path=(fast.id,))
        )
        for score, node in served
        if node in rows
    ]
    formed = activation.model_copy(
        update={
            "facts": formation.with_texts(facts, {row.id: row for row in rows.values()}),
            "steps": tuple(learned.recall_steps(activation.situation, vector, STEPS)),
            "episodes": episodes,
            "skills": (fast, *(skill for skill in skills if skill.id != fast.id)),
        }
    )
    return formed.model_copy(update={"context": context.serialise(formed, config.context_tokens)})


def _experience(learned: Learned, vector: Vector | None) -> tuple[tuple[RecalledEpisode, ...], tuple[RecalledSkill, ...]]:
    """The nearest past episodes by cosine of their tasks, and the skills that they or the task itself bring up."""
    if vector is None:
        return (), ()
    nodes, cosine = learned.near(vector)
    episodes = _episodes(learned, nodes, cosine)
    return episodes, learned.recall_skills(nodes, cosine, episodes, vector)


def _episodes(learned: Learned, nodes: Sequence[str], cosine: NDArray[np.float32]) -> tuple[RecalledEpisode, ...]:
    """The nearest past episodes by cosine of their tasks, the earlier first among equals."""
    by_node = {row.node: row for row in learned.episodes.values() if row.body is not None and row.body.get("steps")}
    order = np.argsort(-cosine, kind="stable")
    found: list[RecalledEpisode] = []
    for index in order:
        row = by_node.get(nodes[int(index)])
        if row is None or row.body is None:
            continue
        score = float(cosine[index])
        found.append(
            RecalledEpisode(
                id=row.id,
                task=row.body["task"],
                outcome=row.body["outcome"],
                steps=len(row.body["steps"]),
                actions=_actions(row.body["steps"]),
                score=score,
                why=Why(signals={"dense": score}),
            )
        )
        if len(found) == EPISODES:
            break
    return tuple(found)


def _actions(steps: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The first actions of a stored trajectory as text, those marked that were refused."""
    done = [(step["action"], step.get("progress", 0.0)) for step in steps if step["action"] is not None]
    return tuple(f"{context.action_text(action)}{' (refused)' if progress < 0 else ''}" for action, progress in done[:ACTIONS])
