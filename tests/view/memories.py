"""A small memory with everything in it that a page has to show, and a neighbour whose contents it must not."""

from __future__ import annotations

from langgraph_fluxmem import Episode, Feedback, FluxMem, Step

ADA, EVE = ("acme", "ada"), ("acme", "eve")
MARK = "xyzzy-of-eve"
HOSTILE = "<script>window.hacked=1</script><img src=x onerror='window.hacked=2'> &amp; \"quoted\" \u2028 </script>"
THINGS = ("invoice", "order", "refund", "seat", "report")


def fill(mem: FluxMem) -> None:
    """Facts, episodes with outcomes, skills, judged recalls, an undo and an undo of it, versions, what is deleted; some of it hostile."""
    facts = [f"{who} asked about the {thing} on day {day}." for day, thing in enumerate(THINGS) for who in ("Ada", "Bob", "Carol")]
    ids = mem.remember([*facts, f"{HOSTILE} is a fact"], namespace=ADA, source="notes")
    for number in range(12):
        thing = THINGS[number % 2]
        steps = (
            Step(observation="a form", action=f"open {thing} {number}"),
            Step(observation=f"{thing} {number}", action=f"refund {thing} {number}", used=(ids[number % 5],)),
        )
        outcome = "failure" if number % 4 == 3 else "success"
        mem.commit(Episode(id=f"ep{number}", task=f"refund {thing} {number}", steps=steps, outcome=outcome), namespace=ADA)
    mem.commit(Episode(id="evil", task=HOSTILE, steps=(Step(action={"name": HOSTILE}, result=HOSTILE),), outcome="success"), namespace=ADA)
    last = ""
    for _ in range(3):
        activation = mem.recall("who asked about a seat?", namespace=ADA, k=3)
        last = mem.learn(
            activation, Feedback(outcome="success", used=[ids[3]], harmful=[fact.id for fact in activation.facts if fact.id != ids[3]][:1])
        ).operation
    undone = mem.undo(last)
    mem.undo(undone.operation)
    mem.undo(last)
    mem.consolidate(namespace=ADA)
    for text in ("free", "team"):
        mem.store.put(ADA, "plan", {"text": f"on the {text} plan"})
    mem.store.put(ADA, "gone", {"text": "soon gone"})
    mem.store.delete(ADA, "gone")


def fill_neighbour(mem: FluxMem) -> None:
    """The same kinds of things in another namespace of the same memory, each with a mark in it."""
    ids = mem.remember([f"{MARK} fact {number} about a refund" for number in range(4)], namespace=EVE, source=MARK)
    for number in range(6):
        steps = (Step(action=f"open {MARK} {number}", used=(ids[0],)), Step(action=f"refund {MARK} {number}", result=MARK))
        mem.commit(Episode(id=f"{MARK}-{number}", task=f"{MARK} refund {number}", steps=steps, outcome="success"), namespace=EVE)
    activation = mem.recall("refund", namespace=EVE, also=[ADA])
    mem.learn(activation, Feedback(outcome="success", used=[fact.id for fact in activation.facts[:6]]))
    mem.consolidate(namespace=EVE)
    mem.store.put(EVE, f"{MARK}-key", {"text": MARK})
