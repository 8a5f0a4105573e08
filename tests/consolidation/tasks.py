"""Made-up tasks with a procedure, and the world that replays them."""

from __future__ import annotations

import random
from typing import Any

from langchain_core.runnables import RunnableLambda

from langgraph_fluxmem import Episode, FluxMem, Step

HERE = ("memories",)
SCREEN = {"inputs": "username password", "buttons": "Login Cancel"}


def login(number: int, *, ok: bool = True, scroll: bool = False, outcome: str | None = None) -> Episode:
    """Type a name and a password and press Login; `scroll` is of no use; without `ok` Cancel is pressed, which loses."""
    chance = random.Random(number)
    who, word = chance.choice(["Ann", "Bob", "Cyd", "Dora", "Edith"]), chance.choice(["x7", "k2", "p9", "zz"])
    actions: list[dict[str, Any]] = [{"op": "click", "on": "username"}, {"op": "type", "text": who}]
    if scroll:
        actions.append({"op": "scroll", "by": "10"})
    actions += [{"op": "click", "on": "password"}, {"op": "type", "text": word}, {"op": "click", "on": "Login" if ok else "Cancel"}]
    last = len(actions) - 1
    steps = tuple(
        Step(
            observation={**SCREEN, "field": str(n)},
            action=action,
            result="ok",
            progress=float(ok and n == last),
            loss=float(not ok and n == last),
        )
        for n, action in enumerate(actions)
    )
    task = f'Enter the username "{who}" and the password "{word}" and press login.'
    return Episode(
        task=task,
        steps=steps,
        outcome=outcome or ("success" if ok else "failure"),
        id=f"login-{number}-{ok}-{scroll}",
        metadata={"who": who, "word": word},
    )


def box(number: int, *, ok: bool = True) -> Episode:
    """Select a box and submit."""
    colour = random.Random(number).choice(["red", "green", "blue", "black"])
    actions = [{"op": "click", "on": colour}, {"op": "click", "on": "submit"}]
    steps = tuple(
        Step(observation={"boxes": "red green blue black", "field": str(n)}, action=action, progress=float(ok and n))
        for n, action in enumerate(actions)
    )
    return Episode(
        task=f"Select the {colour} box, then submit", steps=steps, outcome="success" if ok else "failure", id=f"box-{number}-{ok}"
    )


def commit(mem: FluxMem, *episodes: Episode) -> None:
    for episode in episodes:
        mem.commit(episode, namespace=HERE)


def world(log: list[dict[str, Any]] | None = None) -> RunnableLambda[dict[str, Any], bool]:
    """Replays a login: it needs the name, the password and Login, in this order; nothing else matters."""

    def play(given: dict[str, Any]) -> bool:
        if log is not None:
            log.append(given)
        if "who" not in given["metadata"]:
            return len(given["actions"]) >= 2
        done = [action.get("text") or action.get("on") for action in given["actions"]]
        needed = ["username", given["metadata"]["who"], "password", given["metadata"]["word"], "Login"]
        return [action for action in done if action in needed] == needed

    return RunnableLambda(play)


def skills(mem: FluxMem) -> list[Any]:
    """Current skills, in log order."""
    from langgraph_fluxmem.skills import Skill

    return [Skill.of(row.body) for row in mem.engine.ledger.nodes(HERE, kinds=("skill",)) if row.body is not None]


def view(activation: Any) -> Any:
    """What a recall gave, without what differs between any two recalls."""
    data = activation.model_dump(mode="json")
    return {key: data[key] for key in ("facts", "steps", "episodes", "skills", "context")}
