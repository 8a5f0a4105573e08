"""Terms that were made by other rules than those of now are made again, once, page by page; nothing is embedded and nothing logged."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, select, update

from langgraph_fluxmem.edits import Text
from langgraph_fluxmem.ledger.plans import encode_texts
from langgraph_fluxmem.ledger.sql import Statement, insert_into
from langgraph_fluxmem.ledger.tables import meta, nodes
from langgraph_fluxmem.ledger.writer import Transaction, Writer
from langgraph_fluxmem.testing.faults import point

Indexer = Callable[[str, str | None, Mapping[str, Any], Sequence[Text]], Sequence[Text]]
"""(kind, speaker, body, texts) -> the texts with their terms made again."""
PAGE = 1_000
KEY = "terms"

_ROWS = Statement(
    select(nodes.c.seq, nodes.c.kind, nodes.c.speaker, nodes.c.body, nodes.c.texts)
    .where(nodes.c.seq > bindparam("after"), nodes.c.texts.is_not(None), nodes.c.body.is_not(None))
    .order_by(nodes.c.seq)
    .limit(bindparam("page"))
)
_SET = Statement(update(nodes).where(nodes.c.seq == bindparam("b_seq")).values(texts=bindparam("texts")))
_FORGET = Statement(delete(meta).where(meta.c.key == KEY))
_NAME = insert_into(meta)


def reindex(writer: Writer, version: str, indexer: Indexer) -> int:
    """Make the terms of every stored text again and note their `version`; returns how many nodes changed.

    In short transactions: other processes write in between, and after a kill it begins again.
    """
    after, changed = -1, 0
    while True:
        last, count = writer.submit(lambda tx, after=after: _page(tx, after, indexer)).result()
        changed += count
        point("terms.paged")
        if last is None:
            break
        after = last
    writer.submit(lambda tx: _note(tx, version)).result()
    point("terms.noted")
    return changed


def _page(tx: Transaction, after: int, indexer: Indexer) -> tuple[int | None, int]:
    rows = tx.session.all(_ROWS, {"after": after, "page": PAGE})
    made: list[dict[str, Any]] = []
    for seq, kind, speaker, body, texts in rows:
        new = encode_texts(indexer(kind, speaker, json.loads(body), [Text(*text) for text in json.loads(texts)]))
        if new != texts:
            made.append({"b_seq": seq, "texts": new})
    tx.session.many(_SET, made)
    return (int(rows[-1][0]) if rows else None), len(made)


def _note(tx: Transaction, version: str) -> None:
    tx.session.write(_FORGET, {})
    tx.session.write(_NAME, {"key": KEY, "value": version})
