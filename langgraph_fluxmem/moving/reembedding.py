"""From one embedding to another: every text is embedded anew beside its old vector, which serves until the last one is there.

Resumable: what was embedded is kept, and the same call goes on. The switch is one transaction. Nothing but vectors changes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from langgraph_fluxmem.embeddings import Embedder, resolve
from langgraph_fluxmem.errors import ConfigError, NotAMemoryError
from langgraph_fluxmem.ledger import Ledger, reembedding
from langgraph_fluxmem.ledger.database import FILE
from langgraph_fluxmem.moving.embedded import embedded_text
from langgraph_fluxmem.opening import is_open
from langgraph_fluxmem.progress import Progress, silent
from langgraph_fluxmem.testing.faults import point

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

PAGE = 1_000
BATCH = 128
"""Texts that are embedded, and written, at once."""
Text = tuple[int, str, str]
"""Namespace id, content hash, text."""


class Reembedded(BaseModel):
    """What embedding anew took; with `dry_run`, what it would.

    Attributes:
        before, after: fingerprints of the embeddings. texts: how many were embedded. characters: in all (a token is about four).
        skipped: vectors whose text is not held any more; they are dropped.

    """

    model_config = ConfigDict(frozen=True)

    dry_run: bool = False
    before: str | None = None
    after: str = ""
    texts: int = 0
    characters: int = 0
    skipped: int = 0


def reembed(
    address: str | os.PathLike[str], embeddings: str | Embeddings | None, *, dry_run: bool = False, progress: Progress | None = None
) -> Reembedded:
    """Embed all texts of the memory at an address with another embedding.

    Raises:
        ConfigError: it is open in this process. NotAMemoryError: nothing is there. EmbeddingFailedError: the embedding raised; what was done
        is kept.
    """
    text = os.fspath(address)
    if "://" not in text and not (Path(text).expanduser() / FILE).is_file():
        raise NotAMemoryError(f"{text!r} holds no memory; give the directory, or the database's address, of the one to embed anew")
    if is_open(text):
        raise ConfigError(f"{text} is open in this process; close it first, and open it with the new embedding afterwards")
    embedder = resolve(embeddings)
    with Ledger.open(text if "://" in text else Path(text).expanduser()) as ledger:
        held = ledger.embedding()
        out = Reembedded(dry_run=dry_run, before=held[0] if held else None, after=embedder.fingerprint)
        if held is None or held[0] == embedder.fingerprint:
            return out
        if dry_run:
            todo, skipped = _todo(ledger, held[0], embedder.fingerprint)
            return out.model_copy(update={"texts": len(todo), "characters": sum(len(said) for *_, said in todo), "skipped": len(skipped)})
        return _moved(ledger, held[0], embedder, out, progress or silent)


def _moved(ledger: Ledger, old: str, embedder: Embedder, out: Reembedded, progress: Progress) -> Reembedded:
    ledger.transact(lambda tx: reembedding.announce(tx, embedder.fingerprint))
    texts = characters = 0
    while True:
        todo, skipped = _todo(ledger, old, embedder.fingerprint)
        done = 0
        for start in range(0, len(todo), BATCH):
            part = todo[start : start + BATCH]
            matrix = np.ascontiguousarray(embedder.embed([said for *_, said in part]), dtype="<f4")
            ledger.read(lambda session, dims=matrix.shape[1]: reembedding.check_dims(session, embedder.fingerprint, dims))
            made = [(ns, hash_, vector.tobytes()) for (ns, hash_, _), vector in zip(part, matrix, strict=True)]
            ledger.transact(lambda tx, made=made: reembedding.write(tx, embedder.fingerprint, made))
            point("reembed.after_batch")
            done += len(part)
            texts += len(part)
            characters += sum(len(said) for *_, said in part)
            progress({"done": done, "of": len(todo)})
        dims = embedder.dims or embedder.embed(["one text, for the length of its vector"]).shape[1]
        point("reembed.before_switch")
        if ledger.transact(lambda tx, dims=dims, skipped=skipped: reembedding.switch(tx, old, embedder.fingerprint, dims, skipped)):
            return out.model_copy(update={"texts": texts, "characters": characters, "skipped": len(skipped)})


def _todo(ledger: Ledger, old: str, new: str) -> tuple[list[Text], set[tuple[int, str]]]:
    """The texts that lack a vector of `new`, and those whose text cannot be told any more."""
    lacking = ledger.read(lambda session: reembedding.lacking(session, old, new))
    todo: list[Text] = []
    after = -1
    while lacking:
        page = ledger.read(lambda session, after=after: reembedding.rows(session, after, PAGE))
        if not page:
            break
        after = page[-1].seq
        for row in page:
            for path, hash_, _ in row.texts:
                if (row.ns, hash_) in lacking:
                    said = embedded_text(row.kind, row.body, path, hash_)
                    if said is not None:
                        lacking.discard((row.ns, hash_))
                        todo.append((row.ns, hash_, said))
    return todo, lacking
