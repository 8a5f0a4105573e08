"""What memory keeps: forgetting for good, compacting, moving it elsewhere. Every call has an async twin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langgraph_fluxmem.compacting import Compacted, Keep, Progress, compact
from langgraph_fluxmem.execution import current
from langgraph_fluxmem.forgetting import Asked, Forgotten, forget
from langgraph_fluxmem.forgetting.asked import When
from langgraph_fluxmem.opened import OpenMemory


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
        """Forget for good: the one change that cannot be undone. Look at it with ``dry_run=True`` first.

        Either `ids` (of facts, items, episodes, skills, commits or runs, in `namespace`), or conditions, all of which must hold: `namespace`
        (with `deep` those below it, too); `user`, a label in namespaces, wherever it stands; the `source` of facts; a `filter` on the
        metadata of facts and episodes and on the values of items, as in a store's search; `before`, when it was last written (a datetime, an
        age as a timedelta, or seconds since the epoch); `kinds` (``"fact"``, ``"item"``, ``"episode"``, ``"skill"``). None of namespace and
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
