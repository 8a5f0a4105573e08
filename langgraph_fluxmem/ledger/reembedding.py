"""Vectors of two embeddings side by side, until all texts have one of the new: then the memory is of that one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, exists, func, select

from langgraph_fluxmem.errors import DimensionMismatchError
from langgraph_fluxmem.ledger.sql import Session, Statement, insert_into
from langgraph_fluxmem.ledger.tables import meta, nodes, vectors
from langgraph_fluxmem.ledger.writer import Transaction

KEY, NEXT = "embedding", "next_embedding"
_mine = vectors.alias("mine")


class Row(NamedTuple):
    """A version with texts."""

    seq: int
    ns: int
    kind: str
    body: dict[str, Any]
    texts: list[tuple[str, str, str]]


_ROWS = Statement(
    select(nodes.c.seq, nodes.c.ns, nodes.c.kind, nodes.c.body, nodes.c.texts)
    .where(nodes.c.seq > bindparam("after"), nodes.c.texts.is_not(None), nodes.c.body.is_not(None))
    .order_by(nodes.c.seq)
    .limit(bindparam("page"))
)
_LACKING = Statement(
    select(vectors.c.ns, vectors.c.hash).where(
        vectors.c.fingerprint == bindparam("old"),
        ~exists().where(_mine.c.ns == vectors.c.ns, _mine.c.hash == vectors.c.hash, _mine.c.fingerprint == bindparam("new")),
    )
)
_DROP = Statement(delete(vectors).where(vectors.c.fingerprint != bindparam("fingerprint")))
_DROP_NEXT = Statement(delete(vectors).where(vectors.c.fingerprint.not_in([bindparam("one"), bindparam("other")])))
_GET = Statement(select(meta.c.value).where(meta.c.key == bindparam("key")))
_UNSET = Statement(delete(meta).where(meta.c.key == bindparam("key")))
_SET = insert_into(meta)
_LENGTH = Statement(select(func.min(func.length(vectors.c.vector))).where(vectors.c.fingerprint == bindparam("fingerprint")))
_INSERT = insert_into(vectors, ignore=True)


def lacking(session: Session, old: str, new: str) -> set[tuple[int, str]]:
    """(namespace id, content hash) of each text that has a vector of `old` and none of `new`."""
    return {(int(ns), str(hash_)) for ns, hash_ in session.all(_LACKING, {"old": old, "new": new})}


def rows(session: Session, after: int, page: int) -> list[Row]:
    """The next versions with texts, in log order."""
    found = session.all(_ROWS, {"after": after, "page": page})
    return [Row(int(seq), int(ns), kind, json.loads(body), json.loads(texts)) for seq, ns, kind, body, texts in found]


def announce(tx: Transaction, fingerprint: str) -> None:
    """Say which embedding comes next; vectors of one that was begun before and given up go."""
    session = tx.session
    found = session.one(_GET, {"key": KEY})
    current = json.loads(found[0])[0] if found else fingerprint
    session.run(_DROP_NEXT, {"one": current, "other": fingerprint})
    session.run(_UNSET, {"key": NEXT})
    session.run(_SET, {"key": NEXT, "value": fingerprint})


def write(tx: Transaction, fingerprint: str, made: Sequence[tuple[int, str, bytes]]) -> None:
    """Write vectors of the embedding that comes next."""
    tx.session.many(_INSERT, [{"ns": ns, "hash": hash_, "fingerprint": fingerprint, "vector": blob} for ns, hash_, blob in made])


def switch(tx: Transaction, old: str, new: str, dims: int, given_up: set[tuple[int, str]]) -> bool:
    """Make `new` the memory's embedding and drop the vectors of others, unless a text still lacks its vector (but for those `given_up`)."""
    session = tx.session
    if lacking(session, old, new) - given_up:
        return False
    for key in (KEY, NEXT):
        session.run(_UNSET, {"key": key})
    session.run(_SET, {"key": KEY, "value": json.dumps([new, dims])})
    session.run(_DROP, {"fingerprint": new})
    return True


def next_embedding(session: Session) -> str | None:
    """The fingerprint of the embedding that comes next, while it is being made."""
    found = session.one(_GET, {"key": NEXT})
    return None if found is None else str(found[0])


def check_dims(session: Session, fingerprint: str, dims: int) -> None:
    """Raise `DimensionMismatchError` where vectors of this embedding that are here already have another length."""
    found = session.one(_LENGTH, {"fingerprint": fingerprint})
    if found and found[0] is not None and int(found[0]) != 4 * dims:
        raise DimensionMismatchError(
            f"vectors of {fingerprint!r} made before have {int(found[0]) // 4} dimensions, now {dims}; one name must stand for one embedding"
        )
