"""The reads of commits: who committed which episode when, and what it came after."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Select, bindparam, select

from langgraph_fluxmem.ledger.journal import PROVENANCE, provenance_of
from langgraph_fluxmem.ledger.plans import decode_seen
from langgraph_fluxmem.ledger.reads import dead_operations, named, with_at
from langgraph_fluxmem.ledger.rows import CommitRow
from langgraph_fluxmem.ledger.sql import Session, Statement, any_of
from langgraph_fluxmem.ledger.tables import commits, namespaces, operations
from langgraph_fluxmem.schema import Namespace


def _select_commits(at: str | None = None) -> Select[Any]:
    return (
        select(
            commits.c.id,
            commits.c.episode,
            commits.c.digest,
            namespaces.c.path,
            commits.c.op,
            operations.c.id.label("operation"),
            operations.c.at,
            commits.c.seen,
            commits.c.op.in_(dead_operations(at)).label("undone"),
            *(operations.c[name] for name in PROVENANCE),
        )
        .join(operations, operations.c.position == commits.c.op)
        .join(namespaces, namespaces.c.id == commits.c.ns)
        .order_by(commits.c.op)
    )


@functools.cache
def _commits(at: str | None) -> Statement:
    query = _select_commits(at).where(commits.c.ns == bindparam("ns"), commits.c.op > bindparam("after"))
    return Statement(query if at is None else query.where(commits.c.op <= bindparam("at", type_=BigInteger)))


_COMMITS_NAMED = Statement(_select_commits().where(commits.c.ns == bindparam("ns"), any_of(commits.c.id, "ids")))
_COMMITS_OF_EPISODE_ANYWHERE = Statement(_select_commits().where(commits.c.episode == bindparam("episode")))
_COMMITS_OF_EPISODE = Statement(_select_commits().where(commits.c.ns == bindparam("ns"), commits.c.episode == bindparam("episode")))
_COMMITS_OF_RUN = Statement(_select_commits().where(operations.c.run_id == bindparam("run")))


def _commit_rows(found: list[tuple[Any, ...]]) -> list[CommitRow]:
    rows: list[CommitRow] = []
    for id_, episode, digest, path, op, operation, at, came_after, undone, *provenance in found:
        seen, alone, above = decode_seen(came_after)
        namespace: Namespace = tuple(json.loads(path))
        rows.append(
            CommitRow(id_, episode, digest, namespace, op, operation, at, provenance_of(provenance), seen, not undone, alone, above)
        )
    return rows


def commit_rows(session: Session, ns: int, after: int, at: int | None = None) -> list[CommitRow]:
    return _commit_rows(session.all(_commits(named(at)), with_at({"ns": ns, "after": after}, at)))


def commits_named(session: Session, ns: int, ids: Sequence[str]) -> list[CommitRow]:
    return _commit_rows(session.all(_COMMITS_NAMED, {"ns": ns, "ids": session.list(ids)}))


def commits_of_episode(session: Session, ns: int | None, episode: str) -> list[CommitRow]:
    if ns is None:
        return _commit_rows(session.all(_COMMITS_OF_EPISODE_ANYWHERE, {"episode": episode}))
    return _commit_rows(session.all(_COMMITS_OF_EPISODE, {"ns": ns, "episode": episode}))


def commits_of_run(session: Session, run: str) -> list[CommitRow]:
    return _commit_rows(session.all(_COMMITS_OF_RUN, {"run": run}))
