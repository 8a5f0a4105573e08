"""The quarantine: what the screen held back, as nodes of the ledger, so that it is listed, explained, released, discarded, and undone.

An item is written by the operation that would have written what it holds. It is searched by nothing and shown to no agent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from langgraph_fluxmem.digests import digest
from langgraph_fluxmem.edits import NodeWrite
from langgraph_fluxmem.schema import Namespace
from langgraph_fluxmem.text.folding import folded
from langgraph_fluxmem.trust.signs import hosts, instructs

if TYPE_CHECKING:
    from langgraph_fluxmem.ledger import Ledger
    from langgraph_fluxmem.ledger.rows import NodeRow

KIND = "quarantine"
"""Kind of the nodes."""
PREFIX = "q-"
"""The nodes are named so."""
Json = dict[str, Any]


class Quarantined(BaseModel):
    """An item of the quarantine. `texts` are what speaks against it, each with its reason in `why`; `by` says who wrote them: ``"rules"``,
    quoting what was seen, or ``"model"``; `of` is the node (skill or fact) it would have become part of; `episodes` what it was made from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    namespace: Namespace
    kind: Literal["skill", "note"]
    status: Literal["held", "released", "discarded"]
    by: str
    name: str = ""
    texts: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    of: str = ""
    episodes: tuple[str, ...] = ()
    operation: str = ""
    at: float = 0.0

    def __str__(self) -> str:
        lines = [f"{self.id} [{self.status}] {self.kind} {self.name!r}, written by {self.by}"]
        for text in dict.fromkeys(self.texts):
            lines.append(f"  {text!r}")
            lines += [f"    {why}" for said, why in zip(self.texts, self.why, strict=True) if said == text]
        return "\n".join(lines)


def withheld(by: str, proposed: Json, findings: Sequence[tuple[str, str]], episodes: Iterable[str]) -> Json:
    """The item of a skill as JSON, before it is written; `findings` are (text, what speaks against it). What it is ``of`` is still open."""
    return {
        "kind": "skill",
        "status": "held",
        "by": by,
        "name": str(proposed.get("name", "")),
        "texts": [text for text, _ in findings],
        "why": [why for _, why in findings],
        "of": "",
        "episodes": list(episodes),
        "proposed": proposed,
    }


def note_sign(content: str, note: str) -> str:
    """Why a note that a model wrote on a fact is held back; empty when it is not: it is written to be obeyed, or names what the fact does not."""
    sign = instructs(note)
    if sign:
        return f"written to be obeyed: {sign!r}"
    there = folded(content)
    return next((f"named by nothing it is about: {host!r}" for host in hosts(note) if host not in there), "")


def note_withheld(node: str, context: str, keywords: Sequence[str], why: str) -> Json:
    """The item of a note on the fact `node`."""
    proposed = {"context": context, "keywords": list(keywords)}
    return withheld("model", proposed, [(context, why)], ()) | {"kind": "note", "of": node}


def item_node(namespace: Namespace, item: Mapping[str, Any]) -> str:
    """Node of an item: the same texts of the same kind are one item."""
    about = item["of"] if item["kind"] == "note" else ""
    return PREFIX + digest(namespace, item["kind"], about, sorted({folded(text) for text in item["texts"]}))


def item_writes(items: Iterable[Json], namespace: Namespace, standing: Mapping[str, Any], operation: str) -> list[NodeWrite]:
    """The writes of items that are not in quarantine (`standing`: nodes that are), or were not decided on before."""
    found = {item_node(namespace, item): item for item in items}
    return [NodeWrite(f"{node}:{digest(operation, node)[:8]}", node, KIND, item) for node, item in found.items() if node not in standing]


def rows_of(ledger: Ledger, namespace: Namespace) -> dict[str, NodeRow]:
    """Current items of a namespace by node, in log order."""
    return {row.node: row for row in ledger.nodes(namespace, kinds=(KIND,)) if row.body is not None}


def allowed_texts(ledger: Ledger, namespace: Namespace) -> frozenset[str]:
    """Texts, folded, that were released: they pass from then on."""
    rows = rows_of(ledger, namespace).values()
    return frozenset(
        folded(text) for row in rows if row.body is not None and row.body["status"] == "released" for text in row.body["texts"]
    )


def listed(row: NodeRow, namespace: Namespace) -> Quarantined:
    """An item as it is shown."""
    body = row.body or {}
    shown = {key: body[key] for key in ("kind", "status", "by", "name", "texts", "why", "of", "episodes")}
    return Quarantined(id=row.node, namespace=namespace, operation=row.operation, at=row.updated_at, **shown)
