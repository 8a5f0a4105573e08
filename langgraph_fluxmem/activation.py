"""Stage I, formation: activate the subgraph G_t for one step, and write it out as context S_t [F 3.1].

Facts come from `formation`; here they meet the episodes and steps of the same namespace, under what the reading branch may see.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from langgraph_fluxmem import context, formation, refinement
from langgraph_fluxmem.config import Config
from langgraph_fluxmem.learned import Learned
from langgraph_fluxmem.requests import Embed, Hidden, LearnedOf, Load, Stage, Views
from langgraph_fluxmem.schema import Activation, RecalledEpisode, RecalledFact, Situation, Vector, Why

STEPS = 5
"""How many matching past steps an activation holds."""
EPISODES = 3
"""How many past episodes an activation holds."""
OBSERVED = 600
"""Characters of the observation that join the task in the query for facts."""


def form(activation: Activation, *, config: Config, signals: Mapping[str, float] | None, lineage: str | None, seen: tuple[str, ...]) -> Stage:
    """Fill an activation: facts, steps, episodes and their context. Rounds after the first go on from what was shown and used."""
    hidden = activation.hidden if activation.round else tuple(sorted((yield Hidden(activation.namespace, lineage, seen))))
    namespaces = (activation.namespace, *activation.also)
    views = yield Views(namespaces, hidden)
    learned: Learned = yield LearnedOf(activation.namespace, hidden)
    activation = activation.model_copy(update={"hidden": hidden, "position": max(learned.position, *(view.position for view in views))})
    if refinement.bypassed(activation):
        return activation.model_copy(update={"facts": (), "steps": (), "episodes": (), "context": ""})
    facts: tuple[RecalledFact, ...] = ()
    situation = activation.situation
    query = query_text(situation)
    task_vector: Vector | None = None
    if any(view.size for view in views) or len(learned.episodes):
        texts = (situation.task,) if query == situation.task else (situation.task, query)
        vectors = yield Embed(texts, query=True)
        task_vector = vectors[0]
        if any(view.size for view in views):
            facts = yield from formation.recall_facts(
                query,
                vectors[-1],
                views,
                k=activation.k,
                config=config,
                signals=signals,
                served=learned.served(vectors[0]),
                exclude=frozenset(activation.shown) | refinement.pruned(activation),
                around=activation.used,
            )
    formed = activation.model_copy(
        update={
            "facts": facts,
            "steps": tuple(learned.recall_steps(situation, task_vector, STEPS)),
            "episodes": _episodes(learned, task_vector),
        }
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


def query_text(situation: Situation) -> str:
    """What facts are searched for: the task, and the beginning of what is seen now."""
    observed = situation.observation
    text = observed if isinstance(observed, str) else " ".join(f"{key}: {value}" for key, value in observed.items())
    return f"{situation.task}\n{text[:OBSERVED]}" if text.strip() else situation.task


def _episodes(learned: Learned, vector: Vector | None) -> tuple[RecalledEpisode, ...]:
    """The nearest past episodes by cosine of their tasks, successes first among equals."""
    if vector is None:
        return ()
    nodes, matrix = learned.links.tasks()
    if not nodes:
        return ()
    cosine = matrix @ vector
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
                id=row.id, task=row.body["task"], outcome=row.body["outcome"], steps=len(row.body["steps"]), score=score, why=Why(signals={"dense": score})
            )
        )
        if len(found) == EPISODES:
            break
    return tuple(found)
