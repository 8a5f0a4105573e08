"""The tables, once for SQLite and Postgres.

Positions order everything. A node version's `seq` is ``position << 24 | ordinal in its plan``, so that rows lie in log order and the
later of two versions is the one with the greater seq. Nothing is ever updated except: the head of a namespace, the end of a dead span,
what erasure blanks, terms made by other rules, expiry, cursors, leases.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

SEQ_BITS = 24
"""At most 2**24 writes in one plan; positions up to 2**39."""

metadata = MetaData()


def _table(name: str, *items: Column[object] | Index | UniqueConstraint, rowid: bool = True) -> Table:
    return Table(f"fluxmem_{name}", metadata, *items, sqlite_with_rowid=rowid)


def _big(name: str, *, primary_key: bool = False, nullable: bool = False) -> Column[object]:
    # SQLite makes an INTEGER PRIMARY KEY the rowid itself; BIGINT would be a second index.
    kind = BigInteger().with_variant(Integer(), "sqlite")
    return Column(name, kind, primary_key=primary_key, nullable=nullable and not primary_key, autoincrement=False)


def _text(name: str, *, primary_key: bool = False, nullable: bool = False) -> Column[object]:
    return Column(name, Text, primary_key=primary_key, nullable=nullable and not primary_key)


def _real(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, Double, nullable=nullable)


meta = _table("meta", _text("key", primary_key=True), _text("value"))
"""``memory_id``, ``schema_version``, ``fingerprint``, ``dims``."""

migrations = _table("migrations", _text("name", primary_key=True), _real("at"))

namespaces = _table("namespaces", _big("id", primary_key=True), _text("path"), _big("head"), UniqueConstraint("path"))
"""`path`: the namespace as a JSON array. `head`: the last position that changed something in it."""

operations = _table(
    "operations",
    _big("position", primary_key=True),
    _text("id"),
    _text("kind"),
    _big("ns"),
    _real("at"),
    _text("commit_id", nullable=True),
    _text("thread_id", nullable=True),
    _text("lineage", nullable=True),
    _text("checkpoint_id", nullable=True),
    _text("checkpoint_ns", nullable=True),
    _text("task_id", nullable=True),
    _text("run_id", nullable=True),
    _big("edits"),
    UniqueConstraint("id"),
)
Index(
    "fluxmem_operations_run",
    operations.c.run_id,
    sqlite_where=operations.c.run_id.is_not(None),
    postgresql_where=operations.c.run_id.is_not(None),
)
Index("fluxmem_operations_ns", operations.c.ns, operations.c.position)

edits = _table(
    "edits",
    _big("position", primary_key=True),
    _big("ordinal", primary_key=True),
    _big("ns"),
    _text("edit"),
    _text("target"),
    rowid=False,
)
"""The append-only log: ids only."""
Index("fluxmem_edits_ns", edits.c.ns, edits.c.position, edits.c.ordinal)

nodes = _table(
    "nodes",
    _big("seq", primary_key=True),
    _text("id"),
    _big("ns"),
    _big("op"),
    _text("node"),
    _text("kind"),
    Column("tombstone", SmallInteger, nullable=False),
    _text("key", nullable=True),
    _text("source", nullable=True),
    _real("position", nullable=True),
    _text("speaker", nullable=True),
    _real("created_at"),
    _real("expires_at", nullable=True),
    _real("ttl", nullable=True),
    _big("erased_by", nullable=True),
    _text("texts", nullable=True),
    _text("body", nullable=True),
    UniqueConstraint("id"),
)
"""Versions. `texts`: JSON ``[[path, hash, terms], ...]``. `key` is null where it is the node's id."""
Index("fluxmem_nodes_node", nodes.c.ns, nodes.c.node, nodes.c.seq)
Index("fluxmem_nodes_seq", nodes.c.ns, nodes.c.seq)
Index(
    "fluxmem_nodes_key",
    nodes.c.ns,
    nodes.c.key,
    nodes.c.seq,
    sqlite_where=nodes.c.key.is_not(None),
    postgresql_where=nodes.c.key.is_not(None),
)
Index(
    "fluxmem_nodes_expiry",
    nodes.c.expires_at,
    sqlite_where=nodes.c.expires_at.is_not(None),
    postgresql_where=nodes.c.expires_at.is_not(None),
)
Index(
    "fluxmem_nodes_erased", nodes.c.erased_by, sqlite_where=nodes.c.erased_by.is_not(None), postgresql_where=nodes.c.erased_by.is_not(None)
)

text_refs = _table("text_refs", _big("ns", primary_key=True), _text("hash", primary_key=True), _big("seq", primary_key=True), rowid=False)
"""Which versions hold a text: what keeps its vector."""

vectors = _table(
    "vectors",
    _big("ns"),
    _text("hash"),
    _text("fingerprint"),
    Column("vector", LargeBinary, nullable=False),
    UniqueConstraint("ns", "hash", "fingerprint"),
)
"""float32 little-endian blobs."""

edges = _table(
    "edges",
    _big("ns", primary_key=True),
    _big("op", primary_key=True),
    _big("ordinal", primary_key=True),
    _text("id"),
    _text("kind"),
    _text("src"),
    _text("dst"),
    _real("weight"),
    rowid=False,
)

evidence = _table(
    "evidence",
    _big("ns", primary_key=True),
    _big("op", primary_key=True),
    _text("target", primary_key=True),
    _text("activation", primary_key=True),
    _text("channel", primary_key=True),
    _real("weight"),
    rowid=False,
)

commits = _table(
    "commits",
    _big("op", primary_key=True),
    _big("ns"),
    _text("id"),
    _text("episode"),
    _text("digest"),
    _text("seen"),
    UniqueConstraint("ns", "episode", "digest"),
)
"""One at most for each operation. `seen`: JSON, see `plans.encode_seen`."""
Index("fluxmem_commits_id", commits.c.ns, commits.c.id)
Index("fluxmem_commits_episode", commits.c.episode)

rests_on = _table("rests_on", _big("base", primary_key=True), _big("op", primary_key=True), rowid=False)
"""`op` refers to something that `base` wrote: an earlier version of the same node, the end of an edge, the target of evidence."""
Index("fluxmem_rests_on_op", rests_on.c.op, rests_on.c.base)

undoes = _table("undoes", _big("op", primary_key=True), _big("target", primary_key=True), rowid=False)
"""Operation `op`, an undo, undoes `target`. An operation is live iff no live operation undoes it."""
Index("fluxmem_undoes_target", undoes.c.target, undoes.c.op)

dead = _table("dead", _big("op", primary_key=True), _big("since", primary_key=True), _big("until", nullable=True), rowid=False)
"""Derived from `undoes`: `op` does not count at positions since <= p < until (null: to this day)."""

cursors = _table("cursors", _text("name", primary_key=True), _big("position"))

leases = _table("leases", _text("name", primary_key=True), _text("owner", nullable=True), _big("token"), _real("expires_at"))
