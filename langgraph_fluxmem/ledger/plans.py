"""From a `Plan` to rows: validation and serialisation, done in the caller's thread before the writer is bothered."""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from langgraph_fluxmem.edits import CommitWrite, EdgeWrite, EvidenceWrite, NodeWrite, Plan, Text, VectorWrite
from langgraph_fluxmem.errors import DimensionMismatchError, InvalidContentError, InvalidNamespaceError, InvalidVectorError
from langgraph_fluxmem.ledger.tables import SEQ_BITS
from langgraph_fluxmem.schema import Namespace

Row = dict[str, Any]
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


@dataclass(slots=True)
class Prepared:
    """A plan as rows that lack only what the transaction decides: position, time, namespace id."""

    plan: Plan
    path: str
    nodes: list[Row] = field(default_factory=list)
    text_refs: list[tuple[int, str]] = field(default_factory=list)
    """(ordinal of the node, content hash)"""
    vectors: list[tuple[str, bytes]] = field(default_factory=list)
    dims: int = 0
    edges: list[Row] = field(default_factory=list)
    evidence: list[Row] = field(default_factory=list)
    commit: CommitWrite | None = None
    edits: list[tuple[str, str]] = field(default_factory=list)
    """(edit, target); the first ones are those of `nodes`, in order."""
    erase: list[str] = field(default_factory=list)
    """Nodes whose earlier versions are erased."""
    refers: set[str] = field(default_factory=set)
    """Ids that edges and evidence name."""


def namespace_path(namespace: Namespace) -> str:
    """The namespace as the ledger keys it.

    Raises:
        InvalidNamespaceError: not a non-empty tuple of non-empty texts without "." or NUL.
    """
    try:
        return _path(namespace)
    except TypeError:  # something unhashable in it, or in its place: told below
        return _path.__wrapped__(namespace)


@functools.lru_cache(maxsize=4096)
def _path(namespace: Namespace) -> str:
    if not isinstance(namespace, tuple) or not namespace:
        raise InvalidNamespaceError(f"namespace {namespace!r}: expected a non-empty tuple of texts like ('acme', 'ada')")
    for segment in namespace:
        if not isinstance(segment, str) or not segment or "." in segment or "\0" in segment:
            raise InvalidNamespaceError(f"namespace {namespace!r} holds {segment!r}; each part is a non-empty text without '.' or NUL")
    return _encode(namespace)


def encode_json(value: Any, what: str) -> str:
    """JSON text of a value that JSON carries as it is.

    Raises:
        InvalidContentError: NaN, infinity, a key that is not text, a lone surrogate, or an object JSON does not know.
    """
    _check_json(value, what)
    text = _encode(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidContentError(f"{what} holds a lone surrogate; encode the text as UTF-8 with errors='replace' first") from None
    return text


def _check_json(value: Any, what: str) -> None:
    if value is None or isinstance(value, (str, bool, int)):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidContentError(f"{what} holds {value!r}, which JSON cannot carry; use None instead")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidContentError(f"{what} has the key {key!r} of type {type(key).__name__}; JSON keys are texts, use str(key)")
            _check_json(item, what)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check_json(item, what)
    else:
        raise InvalidContentError(
            f"{what} holds a {type(value).__name__}, which JSON cannot carry; convert it to text, numbers, lists or dicts"
        )


def _identifier(value: object, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidContentError(f"{what} is {value!r}; expected a non-empty text")
    return _label(value, what)


def _label(value: Any, what: str) -> Any:
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidContentError(f"{what} is {value!r} of type {type(value).__name__}; expected text")
    if "\0" in value:
        raise InvalidContentError(f"{what} holds NUL; remove it")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidContentError(f"{what} holds a lone surrogate; encode the text as UTF-8 with errors='replace' first") from None
    return value


def _number(value: Any, what: str, *, above: float | None = None, least: float | None = None) -> Any:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, np.floating, np.integer)) or not math.isfinite(value):
        raise InvalidContentError(f"{what} is {value!r}; expected a finite number")
    if above is not None and not value > above:
        raise InvalidContentError(f"{what} is {value!r}; expected more than {above:g}")
    if least is not None and not value >= least:
        raise InvalidContentError(f"{what} is {value!r}; expected {least:g} or more")
    return float(value)


def edge_id(kind: str, src: str, dst: str) -> str:
    """Id of the edge (kind, src, dst): 32 hexadecimal digits, the same in every memory."""
    return hashlib.blake2b(f"{kind}\0{src}\0{dst}".encode(), digest_size=16).hexdigest()


def vector_blob(vector: Any, dims: int, what: str) -> bytes:
    """Little-endian float32 bytes of a vector of `dims` numbers (0: any length).

    Raises:
        InvalidVectorError: not one-dimensional, empty, not finite, or zero.
        DimensionMismatchError: another length than `dims`.
    """
    array = np.asarray(vector)
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "fiu":
        raise InvalidVectorError(f"{what} has shape {array.shape} and type {array.dtype}; expected one row of numbers")
    if dims and array.size != dims:
        raise DimensionMismatchError(
            f"{what} has {array.size} dimensions, others of this write have {dims}; an embedding returns one length"
        )
    array = np.ascontiguousarray(array, dtype="<f4")
    square = float(array @ array)
    if not math.isfinite(square):
        raise InvalidVectorError(f"{what} holds NaN or infinity; the embedding is at fault, nothing of this write was stored")
    if square == 0.0:
        raise InvalidVectorError(f"{what} is zero and has no direction; the embedding is at fault, nothing of this write was stored")
    return array.tobytes()


def prepare(plan: Plan) -> Prepared:
    """Validate a plan and turn it into rows.

    Raises:
        InvalidNamespaceError, InvalidContentError, InvalidVectorError, DimensionMismatchError: nothing was written.
    """
    prepared = Prepared(plan, namespace_path(plan.namespace))
    _identifier(plan.operation, "the operation id")
    _identifier(plan.kind, "the operation's kind")
    if len(plan.writes) >= 1 << (SEQ_BITS - 1):
        raise InvalidContentError(f"a plan of {len(plan.writes)} writes; expected fewer than {1 << (SEQ_BITS - 1)}: write in several plans")
    nodes = [write for write in plan.writes if isinstance(write, NodeWrite)]
    for write in nodes:
        _node(prepared, write)
    if len({row["node"] for row in prepared.nodes}) != len(nodes) or len({row["id"] for row in prepared.nodes}) != len(nodes):
        raise InvalidContentError("a plan writes the same node or version id twice; keep the last version of each node")
    once: set[tuple[str, str, str]] = set()
    for write in plan.writes:
        if isinstance(write, EdgeWrite):
            _edge(prepared, write)
        elif isinstance(write, EvidenceWrite):
            _evidence(prepared, write, once)
        elif isinstance(write, VectorWrite):
            what = f"the vector for text {write.hash!r}"
            prepared.vectors.append((_identifier(write.hash, "a vector's hash"), vector_blob(write.vector, prepared.dims, what)))
            prepared.dims = len(prepared.vectors[-1][1]) // 4
        elif isinstance(write, CommitWrite):
            _commit(prepared, write)
    return prepared


def _node(prepared: Prepared, write: NodeWrite) -> None:
    what = f"{write.kind} {write.node!r}"
    if write.body is not None and not isinstance(write.body, Mapping):
        raise InvalidContentError(f"the body of {what} is a {type(write.body).__name__}; expected a mapping, or None for a tombstone")
    texts = write.texts if write.body is not None else ()
    for text in texts:
        _label(text.path, f"a text path of {what}")
        _label(text.terms, f"the terms of {what}")
        prepared.text_refs.append((len(prepared.nodes), _identifier(text.hash, f"a text hash of {what}")))
    prepared.nodes.append(
        {
            "id": _identifier(write.id, f"the version id of {what}"),
            "node": _identifier(write.node, f"the node id of {what}"),
            "kind": _identifier(write.kind, "a node's kind"),
            "tombstone": int(write.body is None),
            "key": None if write.key == write.node or (write.erase and write.body is None) else _label(write.key, f"the key of {what}"),
            "source": _label(write.source, f"the source of {what}"),
            "position": _number(write.position, f"the position of {what}"),
            "speaker": _label(write.speaker, f"the speaker of {what}"),
            "created_at": _number(write.created_at, f"created_at of {what}"),
            "expires_at": _number(write.expires_at, f"expires_at of {what}"),
            "ttl": _number(write.ttl, f"ttl of {what}", above=0),
            "erased_by": None,
            "texts": encode_texts(texts) if texts else None,
            "body": None if write.body is None else encode_json(dict(write.body), f"the body of {what}"),
        }
    )
    prepared.edits.append(("tombstone" if write.body is None else "version", write.id))
    if write.erase:
        prepared.erase.append(write.node)


def _edge(prepared: Prepared, write: EdgeWrite) -> None:
    what = f"edge {write.kind} {write.src!r} -> {write.dst!r}"
    _identifier(write.kind, f"the kind of {what}")
    _identifier(write.src, f"the source of {what}")
    _identifier(write.dst, f"the destination of {what}")
    row: Row = {"id": edge_id(write.kind, write.src, write.dst), "kind": write.kind, "src": write.src, "dst": write.dst}
    row["weight"] = _number(write.weight, f"the weight of {what}", least=0)
    prepared.edges.append(row)
    prepared.edits.append(("edge", row["id"]))
    prepared.refers.update((_base(write.src), _base(write.dst)))


def _evidence(prepared: Prepared, write: EvidenceWrite, once: set[tuple[str, str, str]]) -> None:
    what = f"evidence on {write.target!r}"
    key = (_identifier(write.target, "the target of evidence"), _identifier(write.activation, f"the activation of {what}"), write.channel)
    if write.channel not in ("progress", "failure", "loss"):
        raise InvalidContentError(f"{what} is on channel {write.channel!r}; expected 'progress', 'failure' or 'loss'")
    weight = _number(write.weight, f"the weight of {what}")
    if not weight:
        raise InvalidContentError(f"the weight of {what} is {write.weight!r}; expected more than 0, or less to withdraw")
    if key in once:
        return
    once.add(key)
    prepared.evidence.append({"target": key[0], "activation": key[1], "channel": write.channel, "weight": weight})
    prepared.edits.append(("evidence", write.target))
    prepared.refers.update(_base(end) for end in write.target.split(">"))


def _commit(prepared: Prepared, write: CommitWrite) -> None:
    if prepared.commit is not None:
        raise InvalidContentError("a plan holds two commits; an operation commits one episode")
    for value, what in (
        (write.id, "id"),
        (write.episode, "episode"),
        (write.digest, "digest"),
        *((seen, "seen id") for seen in (*write.seen, *write.alone)),
    ):
        _identifier(value, f"a commit's {what}")
    prepared.commit = write
    prepared.edits.append(("commit", write.id))


def _base(target: str) -> str:
    """The version id that a step id (``version#ordinal``) belongs to."""
    return target.partition("#")[0]


def encode_texts(texts: Sequence[Text]) -> str:
    """Indexed texts as the ledger keeps them."""
    return _encode([(text.path, text.hash, text.terms) for text in texts])


def encode_seen(commit: CommitWrite) -> str:
    """What a commit came after, as the ledger keeps it: a list of ids, or an object where there is more to say."""
    more = {key: list(ids) for key, ids in (("alone", commit.alone), ("above", commit.above)) if ids}
    return _encode({"seen": list(commit.seen), **more} if more else list(commit.seen))


def decode_seen(text: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """(seen, alone, above), as `encode_seen` wrote them."""
    found: Any = json.loads(text)
    told: dict[str, list[str]] = found if isinstance(found, dict) else {"seen": found}
    return tuple(told["seen"]), tuple(told.get("alone", ())), tuple(told.get("above", ()))
