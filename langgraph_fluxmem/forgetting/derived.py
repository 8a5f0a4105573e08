"""What is made of what is forgotten, and so goes with it.

Versions in another grain are made of a fact; notes name facts that say the same; judgements repeat an episode's task, its shorter way repeats
what was done; an item of the
quarantine holds text of the episodes, or of the fact, it was made of. A skill is made of
episodes, named as its sources or not (a warning comes of failures), so its words decide: it goes where it says something that a forgotten
episode said, and no remaining one does. The next consolidation makes it anew of those.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from langgraph_fluxmem.forgetting.report import Reason
from langgraph_fluxmem.ledger.forgetting import Version, edges_of, versions
from langgraph_fluxmem.ledger.sql import Session
from langgraph_fluxmem.links import node_of
from langgraph_fluxmem.schema import Namespace
from langgraph_fluxmem.trust.quarantine import KIND as QUARANTINE

RESHAPED, NOTE = "r-", "n-"
"""How the nodes of reshaped facts, and of notes, begin."""
RUN = 3
"""Words in a row that are compared."""
_WORD = re.compile(r"\w+")
_SAYING = ("name", "when", "steps", "pitfalls", "rules")
"""The parts of a skill that say something; the others are ids and numbers."""

Found = dict[str, tuple[Version, Reason]]


def derived(session: Session, namespace: Namespace, gone: Mapping[str, Version]) -> Found:
    """The nodes of a namespace that go with those that are `gone`, and why."""
    found: Found = {}
    facts = _reshaped(session, namespace, gone)
    found.update((node, (version, "reshaped")) for node, version in facts.items())
    nodes = {*gone, *found}
    for version in versions(session, namespace, ("note",)):
        named = [node_of(str(fact)) for fact in version.body.get("facts", ())]
        if version.node not in gone and named and all(node in nodes for node in named):
            found[version.node] = (version, "merged")
    for version in versions(session, namespace, (QUARANTINE,)):
        made_of = (version.body["of"], *map(node_of, version.body["episodes"]))
        if version.node not in gone and any(node in nodes for node in made_of):
            found[version.node] = (version, "quarantine")
    forgotten = [version for version in gone.values() if version.kind == "episode"]
    if not forgotten:
        return found
    judged = {version.id for version in forgotten}
    for version in versions(session, namespace, ("episode",)):
        made_of, why = (version.body.get("of"), "judgement") if "of" in version.body else (version.body.get("shortens"), "shortened")
        if made_of in judged and version.node not in gone:
            found[version.node] = (version, why)
            forgotten.append(version)
    skills = [version for version in versions(session, namespace, ("skill",)) if version.node not in gone]
    if skills:
        found.update((version.node, (version, "skill")) for version in _unsupported(session, namespace, skills, forgotten, {*gone, *found}))
    return found


def _reshaped(session: Session, namespace: Namespace, gone: Mapping[str, Version]) -> dict[str, Version]:
    """Versions in another grain of what is gone, or that an operation stored which is gone; and those made of these."""
    written = {version.op for version in gone.values() if version.kind == "episode"}
    made: dict[str, Version] = {}
    out: dict[str, Version] = {}
    for version in versions(session, namespace, ("fact",)):
        if version.node.startswith(RESHAPED) and version.node not in gone:
            made[version.node] = version
            if version.op in written:
                out[version.node] = version
    if not made:
        return {}
    above = [(node_of(src), node_of(dst)) for src, dst in edges_of(session, namespace, "SUPERSEDES")]
    while more := [src for src, dst in above if src in made and src not in out and (dst in gone or dst in out)]:
        out.update((node, made[node]) for node in more)
    return out


def _unsupported(
    session: Session, namespace: Namespace, skills: Collection[Version], forgotten: Iterable[Version], gone: Collection[str]
) -> list[Version]:
    """The skills (each node once) of which some version says what only `forgotten` episodes said."""
    said = {run for version in forgotten for text in texts_in(version.body) for run in runs(text)}
    doubtful = {version.id: {run for text in _sayings(version.body) for run in runs(text)} & said for version in skills}
    open_ = set().union(*doubtful.values())
    stream = versions(session, namespace, ("episode",))
    for version in stream:
        if open_ and version.node not in gone:
            open_ -= {run for text in texts_in(version.body) for run in runs(text)}
    return list({version.node: version for version in skills if doubtful[version.id] & open_}.values())


def _sayings(body: Mapping[str, Any]) -> Iterator[str]:
    return texts_in([body.get(key) for key in _SAYING], keys=False)


def texts_in(value: Any, *, keys: bool = True) -> Iterator[str]:
    """Every text within a JSON value; with `keys` those of dicts, too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if keys:
                yield str(key)
            yield from texts_in(inner, keys=keys)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from texts_in(inner, keys=keys)


def runs(text: str) -> Iterator[tuple[str, ...]]:
    """The runs of up to `RUN` words in a text."""
    words = _WORD.findall(text.casefold())
    for at in range(len(words)):
        for length in range(1, RUN + 1):
            if at + length <= len(words):
                yield tuple(words[at : at + length])
