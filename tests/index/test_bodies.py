"""What facts say, kept in memory: never more than the ledger says, and never what was erased."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_writer import NS, Writer

from langgraph_fluxmem import FluxMem, bodies
from langgraph_fluxmem.bodies import Bodies
from langgraph_fluxmem.errors import ConfigError
from langgraph_fluxmem.ledger import Ledger

OTHER = ("acme", "bob")
ROOM = 1 << 20


class Counting:
    """A ledger that counts the reads of bodies."""

    def __init__(self, ledger):
        self.ledger, self.reads = ledger, 0

    def __getattr__(self, name):
        if name in ("raw_bodies", "newest_bodies"):
            self.reads += 1
        return getattr(self.ledger, name)


def test_a_namespace_is_read_once(ledger, write):
    ids = [write.put(f"f{number}", f"apple {number}") for number in range(20)]
    counting = Counting(ledger)
    kept = Bodies(counting, ROOM)
    for start in range(0, 20, 5):
        part = ids[start : start + 5]
        assert kept.read(NS, part, ledger.head()) == ledger.bodies(NS, part)
    assert counting.reads == 1


def test_what_is_written_later_is_read_when_it_is_asked_for(ledger, write):
    first = write.put("f", "apple")
    kept = Bodies(ledger, ROOM)
    kept.read(NS, [first], ledger.head())
    second = write.put("f", "pear")
    found = kept.read(NS, [first, second, "nothing"], ledger.head())
    assert {version: row.body for version, row in found.items()} == {first: {"content": "apple"}, second: {"content": "pear"}}


def test_what_was_erased_is_not_answered(ledger, write):
    one, two = write.put("f", "secret"), write.put("g", "apple")
    kept = Bodies(ledger, ROOM)
    assert len(kept.read(NS, [one, two], ledger.head())) == 2
    write.forget("f", erase=True)
    found = kept.read(NS, [one, two], ledger.head())
    assert found[one].body is None
    assert found[two].body == {"content": "apple"}
    assert len(kept) == 1


def test_a_body_is_of_its_namespace(ledger, write):
    mine = write.put("f", "apple")
    kept = Bodies(ledger, ROOM)
    assert mine in kept.read(NS, [mine], ledger.head())
    assert kept.read(OTHER, [mine], ledger.head()) == {}


def test_it_keeps_within_its_room(ledger, write):
    ids = [write.put(f"f{number}", "apple " * 100) for number in range(40)]
    kept = Bodies(ledger, 20_000)
    for version in ids * 2:
        assert kept.read(NS, [version], ledger.head())[version].body == {"content": "apple " * 100}
        assert kept.nbytes <= 20_000
    assert 0 < len(kept) < 40
    kept.clear()
    assert (len(kept), kept.nbytes) == (0, 0)


def test_a_read_that_stops_early_leaves_nothing_open(ledger, write, tmp_path):
    ids = [write.put(f"f{number}", "apple " * 100) for number in range(20)]
    kept = Bodies(ledger, 20_000)
    kept.read(NS, ids[-1:], ledger.head())
    assert 0 < len(kept) < 20
    write.put("late", "pear")
    with closing(sqlite3.connect(tmp_path / "m" / "ledger.sqlite")) as connection:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert busy == 0


def test_an_erasure_while_it_reads_is_noticed(ledger, write):
    """Another reader follows past an erasure between a read of the ledger and its keeping: what was read is not kept."""
    version = write.put("f", "secret")
    kept = Bodies(ledger, ROOM)

    class Late(Counting):
        def newest_bodies(self, *args):
            found = self.ledger.newest_bodies(*args)
            write.forget("f", erase=True)
            kept.read(OTHER, ["x"], self.ledger.head())
            return found

    kept._ledger = Late(ledger)
    kept.read(NS, [version], ledger.head())
    assert kept.read(NS, [version], ledger.head())[version].body is None


def test_few_namespaces_are_remembered(ledger, write, monkeypatch):
    monkeypatch.setattr(bodies, "NAMESPACES", 2)
    kept = Bodies(ledger, ROOM)
    for number in range(5):
        version = write.put(f"f{number}", "apple", namespace=("n", str(number)))
        assert version in kept.read(("n", str(number)), [version], ledger.head())
    assert len(kept._missed) <= 2


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["put", "forget", "erase", "read"])), max_size=20), st.sampled_from([1500, ROOM])
)
def test_it_says_what_the_ledger_says(tmp_path_factory, steps, room):
    with Ledger.open(tmp_path_factory.mktemp("m")) as ledger:
        write, kept, ids = Writer(ledger), Bodies(ledger, room), []
        for number, what in steps:
            if what == "put":
                ids.append(write.put(f"f{number}", f"apple {len(ids)}"))
            elif what == "read":
                assert kept.read(NS, ids, ledger.head()) == ledger.bodies(NS, ids)
            else:
                write.forget(f"f{number}", erase=what == "erase")
        assert kept.read(NS, ids, ledger.head()) == ledger.bodies(NS, ids)


@pytest.mark.parametrize("megabytes", [0, 64])
def test_recall_is_the_same_with_and_without(tmp_path, megabytes):
    with FluxMem.open(tmp_path, text_cache_mb=megabytes) as mem:
        mem.store.put(("u",), "a", {"text": "the cat sleeps", "tags": ["x", {"deep": 1}]})
        for _ in range(2):
            (fact,) = mem.recall("cat", namespace=("u",)).facts
            assert "cat sleeps" in fact.content
            assert fact.metadata == {"key": "a", "value": {"text": "the cat sleeps", "tags": ["x", {"deep": 1}]}}
            fact.metadata["value"]["tags"].append("changed")
            fact.metadata["value"]["tags"][1]["deep"] = 2
        mem.store.delete(("u",), "a")
        assert mem.recall("cat", namespace=("u",)).facts == ()


def test_another_process_forgets(tmp_path):
    with FluxMem.open(tmp_path) as mem, Ledger.open(tmp_path) as elsewhere:
        mem.store.put(("u",), "a", {"text": "the cat sleeps"})
        (fact,) = mem.recall("cat", namespace=("u",)).facts
        assert fact.id in mem.engine.bodies._held
        writer = Writer.__new__(Writer)
        writer.ledger = elsewhere
        (node,) = (row.node for row in elsewhere.nodes(("u",)))
        writer.forget(node, namespace=("u",), erase=True)
        assert mem.recall("cat", namespace=("u",)).facts == ()
        assert mem.engine.bodies.read(("u",), [fact.id], elsewhere.head())[fact.id].body is None
        assert len(mem.engine.bodies) == 0


def test_the_option_is_checked(tmp_path):
    with pytest.raises(ConfigError, match="text_cache_mb"):
        FluxMem.open(tmp_path, text_cache_mb=-1)


def test_a_namespace_is_loaded_little_at_first_and_whole_when_it_is_read_again(ledger, write, monkeypatch):
    monkeypatch.setattr(bodies, "FIRST", 5)
    ids = [write.put(f"f{number}", "apple") for number in range(30)]
    kept = Bodies(ledger, ROOM)
    held = []
    for number in range(bodies.SOON):
        kept.read(NS, [ids[number]], ledger.head())
        held.append(len(kept))
    assert held == [6, 7, 8, 30]
