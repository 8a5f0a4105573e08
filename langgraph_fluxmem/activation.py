"""Stage I, formation: activate the subgraph G_t for one step, and write it out as context S_t [F 3.1].

Facts come from `formation`; here they meet the episodes and steps of the same namespace, under what the reading branch may see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langgraph_fluxmem import context, formation
from langgraph_fluxmem.branches import Branch
from langgraph_fluxmem.config import Config
from langgraph_fluxmem.episodes import EPISODE
from langgraph_fluxmem.index.top import top
from langgraph_fluxmem.learned import Learned, Past
from langgraph_fluxmem.ledger.rows import NodeRow
from langgraph_fluxmem.operators import Operators, RuleOperators
from langgraph_fluxmem.presets import preset_of
from langgraph_fluxmem.requests import Embed, Fetch, Hidden, LearnedOf, Load, Stage, Views
from langgraph_fluxmem.schema import Activation, RecalledEpisode, RecalledFact, RecalledSkill, Situation, Vector, Why
from langgraph_fluxmem.searching import Search
from langgraph_fluxmem.signals import LEXICAL, weights_of

STEPS = 5
"""How many matching past steps an activation holds."""
EPISODES = 3
"""How many past episodes an activation holds."""
ACTIONS = 12
"""How many actions of a past episode are told."""
CONSIDERED = 50
"""Of the episodes nearest to a task, how many are weighed by their utility."""
UTILITY = 0.2
"""Share of an episode's score that is lost when it failed, and the most that showing it in similar tasks has gained or lost it."""
OBSERVED = 600
"""Characters of the observation that join the task in the query for facts."""


def form(
    activation: Activation,
    *,
    config: Config,
    branch: Branch,
    lexical: bool = False,
    operators: Operators | None = None,
    evidence: int | None = None,
) -> Stage:
    """Fill an activation: facts, steps, episodes and their context. Rounds after the first go on from what was shown and used; facts it
    holds already stay, and the next best take the places that are free.

    `lexical` says that the embedding sees words alone (the offline one): the weights of the signals then are those measured with it.
    `operators` verify the best facts when they are a model (one call); rules are not asked. `evidence` rounds may then fill gaps in what
    was found (None: as many as the preset has, where a model judges); they follow the first formation, not the repairs after it.
    """
    namespaces = (activation.namespace, *activation.also)
    hidden = activation.hidden
    if not activation.round:
        unseen: set[str] = set()
        for namespace in namespaces:
            unseen.update((yield Hidden(namespace, branch)))
        hidden = tuple(sorted(unseen))
    learned: Learned = yield LearnedOf(activation.namespace, hidden)
    if learned.skills.mature and not activation.bypassed:
        formed = yield from _fast(activation.model_copy(update={"hidden": hidden, "position": learned.position}), learned, config)
        if formed is not None:
            return formed
    views = yield Views(namespaces, hidden)
    found: dict[str, Any] = {"hidden": hidden, "position": max(learned.position, *[view.position for view in views])}
    if activation.edits and activation.bypassed:
        return activation.model_copy(
            update={**found, "facts": (), "reshaped": (), "steps": (), "episodes": (), "skills": (), "context": ""}
        )
    stay = activation.facts
    facts: tuple[RecalledFact, ...] = ()
    situation, signals = activation.situation, activation.signals or None
    query = query_text(situation)
    task_vector: Vector | None = None
    served: Mapping[str, float] = {}
    facts_there = any(view.size for view in views)
    if facts_there or learned.episodes:
        texts = (situation.task,) if query == situation.task else (situation.task, query)
        vectors = yield Embed(texts, query=True)
        task_vector = vectors[0]
        served = learned.served(vectors[0], situation.task)
        room = activation.k - len(stay)
        if room > 0 and facts_there:
            configured = weights_of(LEXICAL if lexical else None, preset_of(activation.preset).weights, config.signals, signals)
            weights = learned.weights(configured, signals or ())
            found.update(weights=configured, shift=dict(weights.shift))
            moved = weights.in_force if weights.shift else signals
            search = Search(activation, views, served, config, moved, lexical, operators or RuleOperators())
            activation, facts = yield from search.facts(query, vectors[-1], room, evidence)
    episodes, skills = _experience(learned, task_vector, served)
    steps = tuple(learned.recall_steps(situation, task_vector, STEPS))
    formed = activation.going_on(**found, facts=(*stay, *facts), steps=steps, episodes=episodes, skills=skills)
    kept = (yield from kept_facts(formed)) if formed.used else ()
    shown = formed.model_copy(update={"facts": (*formed.reshaped, *kept, *formed.facts)}) if kept or formed.reshaped else formed
    formed.context = context.serialise(shown, config.context_tokens)
    return formed


def kept_facts(activation: Activation) -> Stage:
    """The facts that earlier rounds of this step proved right, where they are not shown anyway: they stay in the context while the search
    goes on."""
    kept: tuple[RecalledFact, ...] = ()
    there = {fact.id for fact in activation.facts}
    missing = tuple(used for used in activation.used if used not in there)
    for namespace in (activation.namespace, *activation.also) if missing else ():
        facts = [RecalledFact(id=used, content="", namespace=namespace, score=1.0) for used in missing]
        kept += formation.with_texts(facts, (yield Load(namespace, missing, brief=True)))
    return kept


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
    links = learned.served(vector, task)
    episodes, skills = _experience(learned, vector, links)
    fast = learned.fast(skills, task, activation.round)
    if fast is None:
        return None
    served = sorted(((score, node) for node, score in links.items() if score > 0 and not node.startswith(EPISODE)), reverse=True)
    served = served[: activation.k]
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


def _experience(
    learned: Learned, vector: Vector | None, served: Mapping[str, float]
) -> tuple[tuple[RecalledEpisode, ...], tuple[RecalledSkill, ...]]:
    """The nearest past episodes by cosine of their tasks, and the skills that they or the task itself bring up."""
    if vector is None or not learned.lived:
        return (), ()
    past = learned.past(vector)
    episodes = _episodes(past, served) if past.nodes else ()
    return episodes, learned.recall_skills(past.nodes, past.cosine, episodes, vector)


def _episodes(past: Past, utility: Mapping[str, float]) -> tuple[RecalledEpisode, ...]:
    """The past episodes nearest by cosine of their tasks, weighted by utility, the earlier first among equals."""
    _, cosine, places, rows = past
    near: list[tuple[float, float, NodeRow]] = []
    for index in top(cosine[places], CONSIDERED).tolist():
        row = rows[index]
        alike = float(cosine[places[index]])
        useful = utility.get(row.node, 0.0) - ((row.body or {}).get("outcome") == "failure")
        near.append((min(1.0, alike * (1.0 + UTILITY * useful)) if alike > 0 else alike, alike, row))
    return tuple(_recalled(*episode) for episode in sorted(near, key=lambda episode: -episode[0])[:EPISODES])


def _recalled(score: float, alike: float, row: NodeRow) -> RecalledEpisode:
    body: Mapping[str, Any] = row.body or {}
    return RecalledEpisode(
        id=row.id,
        task=body["task"],
        outcome=body["outcome"],
        steps=len(body["steps"]),
        actions=_actions(body["steps"]),
        score=score,
        why=Why(signals={"dense": alike, "utility": score - alike} if score != alike else {"dense": alike}),
    )


def _actions(steps: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The first actions of a stored trajectory as text, those marked that were refused."""
    done = [(step["action"], step.get("refused", False)) for step in steps if step["action"] is not None]
    return tuple(f"{context.action_text(action)}{' (refused)' if refused else ''}" for action, refused in done[:ACTIONS])
