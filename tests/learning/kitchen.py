"""Hand-made episodes of a tiny world, for tests: a lamp to light, a note that says how, a door that ends it badly."""

from langgraph_fluxmem.schema import Episode, Situation, Step

TASK = "Light the lamp. Read the letter first."
LETTER = "Directions:\n  rub the brass lamp\n  say friend"
ACTIONS = ("rub brass lamp", "kick brass lamp", "open door", "read letter", "wait")


def seen(where: str = "on the floor", extra: str = "") -> dict[str, str]:
    return {"room": f"A dark room. You see a brass lamp {where}. You see a door. {extra}".strip(), "carrying": "You carry a letter."}


def lit() -> Episode:
    """Read, then rub: progress at the rub."""
    return Episode(
        task=TASK,
        steps=(
            Step(observation=seen(), action="wait", result="Time passes.", actions=ACTIONS),
            Step(observation=seen(), action="read letter", result=LETTER, notes=(LETTER,), actions=ACTIONS),
            Step(observation=seen(), action="rub brass lamp", result="It glows.", progress=0.5, actions=ACTIONS),
            Step(observation=seen(), action="wait", result="Time passes.", actions=ACTIONS),
        ),
        outcome="failure",
    )


def lost() -> Episode:
    """Read, then out of the door: a loss."""
    return Episode(
        task=TASK,
        steps=(
            Step(observation=seen(), action="read letter", result=LETTER, notes=(LETTER,), actions=ACTIONS),
            Step(observation=seen(), action="open door", result="You fall.", loss=1.0, actions=ACTIONS),
        ),
        outcome="failure",
    )


def now(*done: str, notes: tuple[str, ...] = (LETTER,)) -> Situation:
    return Situation(task=TASK, observation=seen(), notes=notes, done=done or ("read letter",))
