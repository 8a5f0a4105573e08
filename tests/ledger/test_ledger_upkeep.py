"""Leases, cursors, expiry, namespaces, and the integrity check."""

from __future__ import annotations

import pytest

from langgraph_fluxmem.errors import ConfigError, LeaseLostError, LedgerError
from langgraph_fluxmem.ledger import leases
from langgraph_fluxmem.ledger.sql import Statement
from sqlalchemy import text

from ledger_support import ADA, BOB, CommitWrite, EdgeWrite, evidence, fact, gone, plan, remember


# -------------------------------------------------------------------------------------------------------------- leases, cursors
def test_lease_has_one_holder_and_growing_tokens(ledger, clock):
    first = ledger.acquire_lease("consolidate", "one", 10)
    assert ledger.acquire_lease("consolidate", "two", 10) is None
    assert ledger.acquire_lease("another", "two", 10) == 1
    ledger.check_lease("consolidate", first)
    clock.now += 10
    with pytest.raises(LeaseLostError, match="expired"):
        ledger.check_lease("consolidate", first)
    with pytest.raises(LeaseLostError, match="expired"):
        ledger.renew_lease("consolidate", "one", first, 10)
    second = ledger.acquire_lease("consolidate", "two", 10)
    assert second > first
    with pytest.raises(LeaseLostError, match="held by 'two' with token 2; found token 1"):
        ledger.check_lease("consolidate", first)
    ledger.release_lease("consolidate", "one", first)  # lost: leaves the new holder alone
    ledger.check_lease("consolidate", second)
    ledger.release_lease("consolidate", "two", second)
    with pytest.raises(LeaseLostError, match="nobody holds"):
        ledger.check_lease("consolidate", second)
    assert ledger.acquire_lease("consolidate", "one", 10) > second


def test_lease_is_renewed_and_taken_again_by_its_owner(ledger, clock):
    first = ledger.acquire_lease("l", "job", 10)
    clock.now += 8
    ledger.renew_lease("l", "job", first, 10)
    clock.now += 8
    ledger.check_lease("l", first)
    second = ledger.acquire_lease("l", "job", 10)  # the job was resumed elsewhere
    assert second > first
    with pytest.raises(LeaseLostError):
        ledger.renew_lease("l", "job", first, 10)
    with pytest.raises(LeaseLostError, match="never given"):
        ledger.check_lease("unknown", 1)
    for ttl in (0, -1, float("nan"), None):
        with pytest.raises(ConfigError, match="seconds above 0"):
            ledger.acquire_lease("l", "job", ttl)


def test_lease_is_held_on_by_its_owner_alone(ledger, clock):
    def extended(owner: str) -> bool:
        return ledger.transact(lambda tx: leases.extend(tx, "l", owner, 10))

    assert not extended("job"), "nobody holds it"
    first = ledger.acquire_lease("l", "job", 10)
    assert not extended("other")
    second = ledger.acquire_lease("l", "job", 10)  # a part of the job took it, too
    clock.now += 8
    assert extended("job")
    clock.now += 8
    ledger.check_lease("l", second)
    clock.now += 60  # the machine slept, and nobody took it
    assert extended("job")
    ledger.check_lease("l", second)
    with pytest.raises(LeaseLostError):
        ledger.check_lease("l", first)
    clock.now += 11
    assert ledger.acquire_lease("l", "other", 10)
    assert not extended("job")
    with pytest.raises(ConfigError, match="seconds above 0"):
        ledger.transact(lambda tx: leases.extend(tx, "l", "other", 0))


def test_writes_are_fenced(ledger, clock):
    token = ledger.acquire_lease("l", "one", 10)
    assert ledger.apply(remember("n", op="a"), fence=("l", token)).position == 1
    clock.now += 11
    newer = ledger.acquire_lease("l", "two", 10)
    with pytest.raises(LeaseLostError):
        ledger.apply(remember("m", op="b"), fence=("l", token))
    assert ledger.head() == 1
    assert ledger.apply(remember("m", op="b"), fence=("l", newer)).position == 2


def test_cursors(ledger, opened):
    assert ledger.cursor("chroma") == 0
    ledger.set_cursor("chroma", 7)
    ledger.set_cursor("chroma", 5)
    ledger.set_cursor("other", 1)
    assert opened().cursor("chroma") == 5
    assert ledger.head() == 0


# ------------------------------------------------------------------------------------------------------------ expiry, namespaces
def test_expired_versions_are_erased_with_a_tombstone(ledger, clock):
    now = clock.now
    ledger.apply(
        plan(
            fact("short", "short lived", id="s", kind="item", key="k", expires_at=now + 5, ttl=5.0),
            fact("long", "x", expires_at=now + 50),
            fact("ever", "y"),
        )
    )
    ledger.apply(remember("other", "short lived in bob", expires_at=now + 1, ns=BOB))
    ledger.apply(remember("renewed", "old content", id="old", expires_at=now + 1))
    ledger.apply(remember("renewed", "new content", id="new"))
    assert ledger.sweep_expired(now) == 0
    assert ledger.head() == 4
    assert ledger.sweep_expired(now + 5) == 2
    assert {row.node for row in ledger.nodes(ADA)} == {"long", "ever", "renewed"}
    assert ledger.nodes(BOB) == []
    loaded = ledger.load(ADA, ["s", "old", "new"])
    assert [(loaded[v].body is None, loaded[v].erased) for v in ("s", "old", "new")] == [(True, True), (True, True), (False, False)]
    assert [row.kind for row in ledger.operations(limit=2)] == ["expire", "expire"]
    assert {change.edit for change in ledger.changes(4)} == {"tombstone", "erase"}
    assert ledger.sweep_expired(now + 5) == 0
    assert ledger.head() == 6
    clock.now += 100
    assert ledger.sweep_expired() == 1
    with pytest.raises(LedgerError, match="for good"):
        ledger.undo(ledger.operations(limit=1)[0].id)


def test_time_to_live_is_refreshed_without_a_log_entry(ledger, clock):
    ledger.apply(
        plan(fact("a", id="a", expires_at=clock.now + 10, ttl=10.0), fact("b", id="b", expires_at=clock.now + 10), fact("c", id="c"))
    )
    clock.now += 8
    assert ledger.refresh_expiry(ADA, ["a", "b", "c", "unknown"]) == 1
    assert ledger.refresh_expiry(BOB, ["a"]) == 0
    assert ledger.load(ADA, ["a"])["a"].expires_at == clock.now + 10
    assert ledger.head() == 1
    clock.now += 8
    assert ledger.sweep_expired() == 1
    assert {row.node for row in ledger.nodes(ADA)} == {"a", "c"}


def test_namespaces_are_those_that_hold_something(ledger, clock):
    deep = ("acme", "ada", "notes")
    ledger.apply(remember("n", ns=deep, kind="item"))
    ledger.apply(remember("n"))
    ledger.apply(remember("n", op="undone", ns=BOB))
    ledger.apply(remember("n", ns=("deleted",)))
    ledger.apply(plan(gone("n"), ns=("deleted",)))
    ledger.apply(remember("n", ns=("expiring", "x"), expires_at=clock.now + 1))
    ledger.apply(plan(evidence("n"), ns=("only", "evidence")))
    assert ledger.namespaces() == [ADA, deep, BOB, ("expiring", "x")]
    ledger.undo("undone")
    clock.now += 1
    assert ledger.namespaces() == [ADA, deep]
    assert ledger.namespaces(["item"]) == [deep]
    assert ledger.list_namespaces(prefix=("acme",), suffix=("notes",)) == [deep]
    assert ledger.list_namespaces(prefix=("ac",)) == []
    assert ledger.list_namespaces(prefix=("*", "ada")) == [ADA, deep]
    assert ledger.list_namespaces(suffix=("*",)) == [ADA, deep]
    assert ledger.list_namespaces(max_depth=2) == [ADA]
    assert ledger.list_namespaces(max_depth=1) == [("acme",)]
    assert ledger.list_namespaces(limit=1, offset=1) == [deep]
    assert ledger.list_namespaces(prefix=("acme", "ada", "notes", "more")) == []


# ------------------------------------------------------------------------------------------------------------------- integrity
DAMAGE = {
    "lost evidence": ("DELETE FROM fluxmem_evidence", "0 rows for 1 log entries 'evidence'"),
    "lost log entry": ("DELETE FROM fluxmem_edits WHERE edit = 'edge'", "has 2 log entries; expected 3"),
    "lost operation": ("DELETE FROM fluxmem_operations WHERE position = 2", "the log has gaps"),
    "orphans": ("UPDATE fluxmem_edges SET op = 77", "edges of position 77, where the log has no operation"),
    "lost node": ("DELETE FROM fluxmem_nodes WHERE id = 'v1'", "0 rows for 1 log entries 'version'"),
    "lost text reference": (
        "DELETE FROM fluxmem_text_refs WHERE seq = (SELECT seq FROM fluxmem_nodes WHERE id = 'v1')",
        "is not referenced",
    ),
    "reference to nothing": ("INSERT INTO fluxmem_text_refs (ns, hash, seq) VALUES (1, 'zz', 5)", "which does not hold it"),
    "lost body": ("UPDATE fluxmem_nodes SET body = NULL WHERE id = 'v1'", "version v1 has no body and is no tombstone"),
    "erased in name only": ("UPDATE fluxmem_nodes SET erased_by = 2 WHERE id = 'v1'", "was erased at 2 and still holds content"),
    "foreign vectors": ("UPDATE fluxmem_vectors SET fingerprint = 'else'", "2 vectors of 8 dimensions from 'else'"),
    "head behind": ("UPDATE fluxmem_namespaces SET head = 1", "has head 1; its last log entry is at 4"),
    "undo without span": ("DELETE FROM fluxmem_dead", "operation at 3 is undone by its undos and live by its spans"),
    "span without undo": (
        "INSERT INTO fluxmem_dead (op, since) VALUES (1, 2)",
        "operation at 1 is live by its undos and undone by its spans",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_check_names_the_damage(opened, damage):
    ledger = opened()
    ledger.apply(remember("n", id="v1", op="a"))
    ledger.apply(plan(EdgeWrite("RELATES", "v1", "x"), evidence("v1"), CommitWrite("c", "e", "d"), op="b"))
    ledger.apply(remember("m", "other", op="c"))
    ledger.undo("c")
    assert ledger.check() == []
    statement, line = DAMAGE[damage]
    session = ledger.database.connect(writing=True)
    ledger.database.begin(session)
    session.run(Statement(text(statement)))
    ledger.database.commit(session)
    session.close()
    found = ledger.check()
    assert any(line in difference for difference in found), found


def test_check_bounds_what_it_says(opened):
    ledger = opened()
    ledger.apply(plan(*(fact(f"n{i}", f"text {i}") for i in range(50))))
    session = ledger.database.connect(writing=True)
    ledger.database.begin(session)
    session.run(Statement(text("DELETE FROM fluxmem_text_refs")))
    ledger.database.commit(session)
    session.close()
    found = ledger.check()
    assert len(found) == 21
    assert found[-1] == "... and 30 more like the last"
