"""What memory keeps: forgetting for good, compacting, moving it elsewhere. Every call has an async twin."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langgraph_fluxmem.compacting import Compacted, Keep, compact
from langgraph_fluxmem.execution import current
from langgraph_fluxmem.forgetting import Asked, Forgotten, forget
from langgraph_fluxmem.forgetting.asked import When
from langgraph_fluxmem.moving import Exported, Imported, Reembedded, export, import_, reembed
from langgraph_fluxmem.moving.exporting import Place
from langgraph_fluxmem.opened import OpenMemory
from langgraph_fluxmem.progress import Progress

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings


class KeptMemory(OpenMemory):
    """The care of what a memory holds on disk."""

    def forget(
        self,
        ids: str | Sequence[str] | None = None,
        *,
        namespace: Sequence[str] | None = None,
        deep: bool = False,
        user: str | None = None,
        source: str | None = None,
        filter: Mapping[str, Any] | None = None,
        before: When | None = None,
        kinds: Sequence[str] | None = None,
        dry_run: bool = False,
    ) -> Forgotten:
        """Forget for good: this cannot be undone. Look at it with ``dry_run=True`` first.

        Either `ids` (of facts, items, episodes, skills, commits or runs, in `namespace`), or conditions, all of which must hold: `namespace`
        (with `deep` those below it, too); `user`, a label in namespaces, wherever it stands; the `source` of facts; a `filter` on the
        metadata of facts and episodes and on the values of items, as in a store's search; `before`, when it was last written (a datetime with a
        time zone, an age as a timedelta, or seconds since the epoch); `kinds` (``"fact"``, ``"item"``, ``"episode"``, ``"skill"``). None of namespace and
        user: ``("memories",)``.

        Goes: all versions' content, vectors, terms, the edges and the evidence that name it, what a forgotten episode taught; and what is
        made of it, listed in the report's `dependents`. Stays: a content-free tombstone, the ids in the log, what other memories, backups,
        checkpoints and traces hold; the report names the threads. Recall of what remains is as if the forgotten had never been there.
        `compact()` then cleans the files of what is left in them.

        Raises:
            ConfigError: nothing was named, or conditions beside ids. UnknownIdError: an id that the namespace does not hold.
            InvalidNamespaceError.
        """
        asked = Asked.of(ids, namespace, deep, user, source, filter, before, kinds, self.engine.ledger.now)
        return self._run(forget(asked, dry_run=dry_run, provenance=current().provenance))

    async def aforget(
        self,
        ids: str | Sequence[str] | None = None,
        *,
        namespace: Sequence[str] | None = None,
        deep: bool = False,
        user: str | None = None,
        source: str | None = None,
        filter: Mapping[str, Any] | None = None,
        before: When | None = None,
        kinds: Sequence[str] | None = None,
        dry_run: bool = False,
    ) -> Forgotten:
        """Async twin of `forget`."""
        asked = Asked.of(ids, namespace, deep, user, source, filter, before, kinds, self.engine.ledger.now)
        return await self._arun(forget(asked, dry_run=dry_run, provenance=current().provenance))

    def compact(self, *, keep: Keep | None = None, progress: Progress | None = None) -> Compacted:
        """Make the files small and clean: what was deleted or forgotten is in none of them afterwards.

        `keep` also drops the past: superseded, undone and erased versions with their log, but for the newest `keep` operations (0: all of
        it) or those younger than a timedelta. Those, and everything that counts now, stay as they are; recall is the same. What was compacted
        away cannot be undone or read as of then, and says so. None drops nothing of the past.

        Crash safe: after a kill the same call goes on. Writers of this process wait; other processes go on reading. SQLite is rewritten
        (VACUUM, empty write-ahead log), Postgres' tables with ``VACUUM FULL``, Chroma is filled again from the ledger; nothing is embedded.
        `progress` gets a dict per step. Beyond reach: backups, replicas, and copies that a file system keeps of old blocks.

        Raises:
            ConfigError: `keep`. LedgerError: another process keeps the files busy, or the disk is full (it needs as much again).
        """
        return self._run(compact(keep, progress))

    async def acompact(self, *, keep: Keep | None = None, progress: Progress | None = None) -> Compacted:
        """Async twin of `compact`."""
        return await self._arun(compact(keep, progress))

    def export(
        self,
        place: Place,
        *,
        namespaces: Iterable[Sequence[str]] | None = None,
        deep: bool = False,
        vectors: bool = True,
        progress: Progress | None = None,
    ) -> Exported:
        """Write what counts now to a file (a path; ``.gz`` is compressed; or an open text file), as JSON Lines, while the memory is in use.

        `namespaces`: only these (with `deep` those below them, too). Without `vectors` the texts are embedded again on import. The past is not
        exported: superseded versions, what was undone or forgotten.

        Raises:
            InvalidNamespaceError: a namespace that holds nothing. LedgerError: the file cannot be written.
        """
        return self._run(export(place, namespaces=namespaces, deep=deep, vectors=vectors, progress=progress))

    async def aexport(
        self,
        place: Place,
        *,
        namespaces: Iterable[Sequence[str]] | None = None,
        deep: bool = False,
        vectors: bool = True,
        progress: Progress | None = None,
    ) -> Exported:
        """Async twin of `export`."""
        return await self._arun(export(place, namespaces=namespaces, deep=deep, vectors=vectors, progress=progress))

    def import_(
        self,
        place: Place,
        *,
        into: Mapping[tuple[str, ...], Sequence[str]] | None = None,
        reembed: bool = False,
        progress: Progress | None = None,
    ) -> Imported:
        """Read an export into this memory: facts, items, episodes, skills and what was learned, with their ids and times; recall gives the same.

        The same import again changes nothing, an interrupted one goes on, and what was forgotten in this memory does not come back by it.
        `into` maps namespaces of the export to others. Vectors of another embedding are refused unless `reembed`: then texts are embedded
        anew.

        Raises:
            InvalidContentError: no export, or one that was cut off. SchemaVersionError: of a newer version. EmbeddingMismatchError.
            LedgerError: the file cannot be read, or its nodes are in this memory already, in another namespace.
        """
        return self._run(import_(place, into=into, reembed=reembed, progress=progress))

    async def aimport_(
        self,
        place: Place,
        *,
        into: Mapping[tuple[str, ...], Sequence[str]] | None = None,
        reembed: bool = False,
        progress: Progress | None = None,
    ) -> Imported:
        """Async twin of `import_`."""
        return await self._arun(import_(place, into=into, reembed=reembed, progress=progress))

    @staticmethod
    def reembed(
        address: str | os.PathLike[str],
        embeddings: str | Embeddings | None = None,
        *,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> Reembedded:
        """Move the memory at an address to another embedding; then open it with that one. With `dry_run`: how many texts, and characters.

        It must not be open in this process. Others may use it meanwhile: the old vectors serve until all new ones are there. Then they have to
        open it again; what they write with the old embedding is refused. Resumable: after an interruption the same call goes on. Ids,
        learning and history stay.

        Raises:
            ConfigError: open in this process. NotAMemoryError. EmbeddingFailedError: the embedding raised; what was done is kept.
        """
        return reembed(address, embeddings, dry_run=dry_run, progress=progress)

    @staticmethod
    async def areembed(
        address: str | os.PathLike[str],
        embeddings: str | Embeddings | None = None,
        *,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> Reembedded:
        """Async twin of `reembed`."""
        return await asyncio.to_thread(reembed, address, embeddings, dry_run=dry_run, progress=progress)
