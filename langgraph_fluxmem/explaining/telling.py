"""Explanations as plain text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from langgraph_fluxmem.explaining.model import Explanation, Link, NodeExplanation, Proof, Reason, RecallExplanation, Tie
from langgraph_fluxmem.schema import Provenance

WIDTH = 100
"""Characters of a stored text on one line."""

MEANING: Mapping[str, str] = {
    "dense": "means something alike",
    "bm25": "has words of the query",
    "context": "words of the query stand in or around it",
    "surroundings": "what stands around it means something alike",
    "source": "its source is about this",
    "answers": "follows a question like this one",
    "substance": "says something",
    "proper": "names something",
    "own": "somebody says it of themselves",
    "statement": "is no question",
    "kind": "holds the kind of thing that is asked for",
    "named": "was said by somebody whom the query names",
    "served": "learned: has served tasks like this one",
    "beside": "stands beside what proved right",
    "alike": "is like what proved right",
    "words": "has words of what proved right",
    "speaker": "was said by somebody who said what proved right",
    "unlike": "is unlike what was passed over",
    "keywords": "shares keywords",
    "topics": "shares a topic",
    "verify": "the model found that it answers",
    "inherited": "distilled from an episode that was recalled",
    "direct": "its tasks are like this one",
    "utility": "learned: showing it helped, or did not; failed ones lose",
    "moment": "was done in such a situation",
}
"""What each signal says of a thing it speaks for."""
LEARNED = frozenset(("served", "utility", "inherited", "direct", "moment"))
"""Signals that only learning has anything to say in."""


def told(explanation: Explanation) -> str:
    """The whole explanation."""
    if isinstance(explanation, RecallExplanation):
        return "\n".join(_recall(explanation))
    if isinstance(explanation, NodeExplanation):
        return "\n".join(_node(explanation))
    raise TypeError(f"{type(explanation).__name__} is no explanation of a recall or a node")


def plain(text: str) -> str:
    """A text without control characters, which a terminal would obey."""
    return "".join(char if char.isprintable() else " " for char in text)


def brief(text: str, width: int = WIDTH) -> str:
    """The beginning of a text on one line, without control characters."""
    flat = " ".join(plain(text).split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def when(at: float) -> str:
    """Epoch seconds as UTC time."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def counted(counts: Mapping[str, float]) -> str:
    """Sums of evidence in words."""
    names = {"progress": "for", "failure": "against", "loss": "ended badly"}
    return ", ".join(f"{names.get(name, name)} {count:g}" for name, count in counts.items() if count) or "none"


def origin(provenance: Provenance) -> str:
    """Where an operation came from, as far as it is known."""
    return ", ".join(f"{name.removesuffix('_id')} {value}" for name, value in provenance.model_dump(exclude_none=True).items())


def summary(found: RecallExplanation) -> str:
    """What learning did to the facts of a recall, in a sentence."""
    facts = [reason for reason in found.reasons if reason.what == "fact"]
    new = len(found.learned)
    moved = sum(1 for reason in facts if reason.without not in (None, reason.rank))
    if not (new or moved or found.missed):
        return "learning changed nothing in the order of the facts"
    parts = [f"{new} of {len(facts)} facts came by what was learned"] if new else []
    parts += [f"{moved} moved to another rank"] if moved else []
    parts += [f"{len(found.missed)} would have come in their place"] if found.missed else []
    return "; ".join(parts)


def _recall(found: RecallExplanation) -> Iterator[str]:
    yield f"recall {found.query!r} in {'.'.join(found.namespace)} at position {found.position}"
    yield f"  {summary(found)}"
    if found.head > found.position:
        yield f"  memory has changed since (position {found.head}): evidence and ranks without learning are as of now"
    if found.fast:
        yield f"  answered by the mature skill {found.fast} without a search for facts"
    if found.hidden:
        yield f"  {found.hidden} commits of other branches are hidden from it"
    if found.model_calls:
        yield f"  {found.model_calls} calls of a model"
    for edit in found.repaired:
        yield f"  repaired: {edit.action} {', '.join(edit.targets)} ({brief(edit.reason)})"
    moved = ", ".join(f"{one.signal} {one.configured:.2f} -> {one.in_force:.2f}" for one in found.moved if one.told)
    if moved:
        yield f"  weights moved by {found.judged} judged recalls: {moved}"
    for what, title in (("skill", "skills"), ("fact", "facts"), ("step", "steps"), ("episode", "episodes")):
        these = [reason for reason in found.reasons if reason.what == what]
        if these:
            yield title
        for reason in these:
            yield from _reason(reason)
    if found.missed:
        yield "without learning these would have come instead"
        for missed in found.missed:
            yield f"  {missed.rank}. {missed.score:.3f}  {brief(missed.text)}  [{missed.id}]"


def _reason(reason: Reason) -> Iterator[str]:
    yield f"  {reason.rank}. {reason.score:.3f}  {brief(reason.text)}  [{reason.id}]"
    if reason.what in ("fact", "episode"):
        yield f"      without learning: {'would not have come' if reason.without is None else f'rank {reason.without}'}"
    for name, share in sorted(reason.signals.items(), key=lambda one: (-abs(one[1]), one[0])):
        yield f"      {share:+.3f}  {name}: {MEANING.get(name, 'a signal')}"
    for part in reason.path:
        yield f"      {brief(part)}"
    if reason.what in ("step", "skill") or any(reason.counts.values()):
        yield f"      evidence: {counted(reason.counts)}"
    for link in reason.links:
        yield from _link(link)
    if reason.links_total > len(reason.links):
        yield f"      and {reason.links_total - len(reason.links)} past tasks more"
    yield from _proofs(reason.proofs, reason.proofs_total)


def _link(link: Link) -> Iterator[str]:
    yield (
        f"      via {brief(link.task)!r} ({link.outcome}), alike {link.likeness:.2f}: "
        f"for {link.gained:g}, against {link.against:g} -> {link.say:+.3f}  [{link.episode}]"
    )
    for proof in link.proofs:
        yield f"          {_proof(proof)}"


def _proofs(found: Sequence[Proof], total: int) -> Iterator[str]:
    for proof in found:
        yield f"        {_proof(proof)}"
    if total > len(found):
        yield f"        and {total - len(found)} rows more"


def _proof(proof: Proof) -> str:
    run = f", run {proof.run_id}" if proof.run_id else ""
    by = f"commit {proof.commit}" if proof.commit else f"{proof.verb} {proof.operation}"
    kept = "" if proof.counts else " (does not count)"
    of = f" of {brief(proof.task, 50)!r}" if proof.task else ""
    step = f" on step {proof.target.rpartition('#')[2]}" if "#" in proof.target else ""
    return f"{proof.weight:+g} {proof.channel}{step} {when(proof.at)} by {by}{of}{run}{kept}"


def _node(found: NodeExplanation) -> Iterator[str]:
    yield f"{found.kind} {found.id} in {'.'.join(found.namespace)} ({found.state})"
    for line in (found.content or found.title).splitlines():
        yield f"  {plain(line)}"
    said = {"source": found.source, "speaker": found.speaker, **found.details}
    for name, value in said.items():
        if value not in (None, "", {}, []):
            yield f"  {name}: {brief(str(value))}"
    yield f"  created {when(found.created_at)}" + (f" from {origin(found.origin)}" if origin(found.origin) else "")
    yield f"versions ({len(found.versions)})"
    for version in found.versions:
        yield f"  {when(version.at)}  {version.state:<10}  {version.id}  by {version.verb} {version.operation}"
    yield f"evidence: {counted(found.evidence)}"
    yield from _proofs(found.proofs, found.proofs_total)
    if found.pems:
        yield f"PEMS by round: {', '.join(f'{value:.4g}' for value in found.pems)}"
    if found.steps:
        yield "steps"
    for step in found.steps:
        counts = counted({"progress": step.progress, "failure": step.failure, "loss": step.loss})
        grounds = f"; grounded in {', '.join(step.grounds)}" if step.grounds else ""
        yield f"  {step.ordinal}. {brief(step.action or step.result)}  evidence: {counts}{grounds}"
    yield from _ties(found.ties, found.ties_total)
    yield "what happened to it"
    for change in found.changes:
        kept = "" if change.counts else "  (undone)"
        yield f"  {when(change.at)}  {change.verb} {change.operation}: {', '.join(change.did)}{kept}"
    if found.dependents:
        yield f"undoing what wrote it takes along {len(found.dependents)} operations: {', '.join(found.dependents[:10])}"


def _ties(ties: Iterable[Tie], total: int) -> Iterator[str]:
    if total:
        yield f"edges ({total})"
    for tie in ties:
        arrow = "<-" if tie.incoming else "->"
        yield f"  {tie.weight:.3f}  {tie.kind} {arrow} {brief(tie.text, 60)}  [{tie.other}]"
