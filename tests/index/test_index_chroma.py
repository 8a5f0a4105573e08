"""Chroma as a projection: it follows, is found out when it is missing, old or corrupt, and recall does without it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
from index_writer import NS, Writer, unit

from langgraph_fluxmem.config import Config
from langgraph_fluxmem.errors import ConfigError
from langgraph_fluxmem.index import chroma as chroma_module
from langgraph_fluxmem.index.chroma import ChromaStore, read_marker_file, server_address
from langgraph_fluxmem.index.lock import FileLock
from langgraph_fluxmem.index.projections import Projections
from langgraph_fluxmem.ledger import Ledger

WAIT = 120.0


@pytest.fixture
def home(tmp_path):
    return tmp_path / "m"


@pytest.fixture
def open_memory(home):
    opened = []

    def open_it(**options):
        ledger = Ledger.open(home)
        projections = Projections(ledger, Config(**{"exact_max": 0, **options}), directory=home)
        opened.append((ledger, projections))
        return ledger, Writer(ledger), projections

    yield open_it
    for ledger, projections in opened:
        projections.close()
        ledger.close()


def close(ledger, projections):
    projections.close()
    ledger.close()


def records(projections):
    return projections._chroma.with_store(lambda store: {record.id: record for record in store.records()})


def fill(write, count=30, **more):
    return write.put_many([(f"f{n}", f"apple word{n}", {"source": "s", "position": n}) for n in range(count)], **more)


def test_it_holds_ids_namespaces_and_vectors_and_no_text(open_memory, home):
    ledger, write, projections = open_memory()
    ids = fill(write)
    write.put("g", texts=[("x", "h1", "secretword"), ("y", "h2", "")], namespace=("other",))
    write.put("e", "apple", kind="episode")
    assert projections.flush(WAIT)
    held = records(projections)
    assert set(held) == {f"{version}|0" for version in ids} | {f"{row.id}|{n}" for row in ledger.nodes(("other",)) for n in (0, 1)}
    record = held[f"{ids[3]}|0"]
    assert record.metadata == {"namespace": "acme.ada", "node": "f3"}
    assert record.document is None
    assert record.vector == pytest.approx(write.vector_of(f"h-{ids[3]}"), abs=1e-5)
    assert projections.verify() == []
    assert projections.notices == []
    close(ledger, projections)
    for file in (home / "chroma").rglob("*"):
        assert file.is_dir() or b"secretword" not in file.read_bytes()


@pytest.mark.filterwarnings("ignore:legacy embedding function")
def test_the_collection_has_the_measured_settings(open_memory):
    _, write, projections = open_memory()
    fill(write)
    projections.flush(WAIT)
    settings = projections._chroma.with_store(
        lambda store: store._client.get_collection(store._name, embedding_function=None).configuration["hnsw"]
    )
    assert {key: settings[key] for key in chroma_module.SETTINGS["hnsw"]} == chroma_module.SETTINGS["hnsw"]


def test_rewriting_forgetting_and_undo_reach_it(open_memory):
    ledger, write, projections = open_memory()
    ids = fill(write, 4)
    projections.flush(WAIT)
    newer = write.put("f1", texts=[("a", "x1", ""), ("b", "x2", "")])
    write.forget("f2")
    forgetting = write.last
    projections.flush(WAIT)
    assert set(records(projections)) == {f"{ids[0]}|0", f"{ids[3]}|0", f"{newer}|0", f"{newer}|1"}
    shorter = write.put("f1", texts=[("a", "x1", "")])
    projections.flush(WAIT)
    assert set(records(projections)) == {f"{ids[0]}|0", f"{ids[3]}|0", f"{shorter}|0"}
    ledger.undo(forgetting)
    projections.flush(WAIT)
    assert set(records(projections)) == {f"{ids[0]}|0", f"{ids[2]}|0", f"{ids[3]}|0", f"{shorter}|0"}
    assert projections.verify() == []


def test_searches_beyond_exact_max_agree_with_the_scan(open_memory):
    _, write, projections = open_memory(exact_max=50)
    fill(write, 200)
    write.put_many([(f"o{n}", "", {}) for n in range(700)], namespace=("other",))
    projections.flush(WAIT)
    asked = []
    nearest = projections._chroma.nearest
    projections._chroma.nearest = lambda *arguments: asked.append(arguments) or nearest(*arguments)
    late = write.put("late", "pear")
    write.put("f7", "rewritten")
    write.forget("f8")
    view = projections.view(NS)
    for seed in range(10):
        query = unit(seed)
        expected = np.argsort(-view.dense_at(query, np.arange(view.size)), kind="stable")
        assert view.dense_top(query, 10).tolist() == expected[:10].tolist()
        allowed = np.arange(view.size) % 2 == 0
        assert view.dense_top(query, 10, allowed=allowed).tolist() == [row for row in expected if allowed[row]][:10]
    assert len(asked) >= 20
    assert all(nearest(*arguments) is not None for arguments in asked)
    assert view.dense_top(write.vector_of(f"h-{late}"), 1).tolist() == view.rows_of([late]).tolist()
    few = view.dense_top(unit(0), 10, allowed=np.array([3, 5, 7]))
    assert sorted(few.tolist()) == [3, 5, 7]


def test_a_namespace_that_is_a_small_part_is_scanned(open_memory):
    _, write, projections = open_memory(exact_max=0)
    fill(write, 10)
    write.put_many([(f"o{n}", "", {}) for n in range(100)], namespace=("other",))
    projections.flush(WAIT)
    assert projections._chroma.nearest(unit(1), 5, 10) is None
    assert projections._chroma.nearest(unit(1), 5, 100) is not None
    assert sorted(projections.view(NS).dense_top(unit(1), 10).tolist()) == list(range(10))
    assert projections.notices == []


def test_what_was_just_written_is_found_at_once(open_memory):
    _, write, projections = open_memory()
    fill(write, 10)
    projections.flush(WAIT)
    for n in range(20):
        version = write.put(f"new{n}", "pear")
        view = projections.view(NS)
        assert view.ids[int(view.dense_top(write.vector_of(f"h-{version}"), 1)[0])] == version


def test_up_to_exact_max_it_is_not_asked(open_memory):
    _, write, projections = open_memory(exact_max=100)
    fill(write, 100)
    projections.flush(WAIT)
    projections._chroma.nearest = None
    assert len(projections.view(NS).dense_top(unit(1), 5)) == 5


def test_off_means_no_folder_and_no_thread(open_memory, home):
    ledger = Ledger.open(home)
    projections = Projections(ledger, Config(chroma="off"), directory=home)
    fill(Writer(ledger))
    projections.view(NS)
    projections.follow()
    assert projections.flush(0)
    assert projections.verify() == []
    assert sorted(os.listdir(home))[0].startswith("ledger")
    close(ledger, projections)


def test_opening_and_reading_alone_do_not_start_it(open_memory):
    ledger, write, projections = open_memory(exact_max=1000)
    fill(write)
    projections.flush(WAIT)
    close(ledger, projections)
    _, write, projections = open_memory(exact_max=1000)
    projections.view(NS)
    assert projections._chroma._thread is None
    write.put("new", "apple")
    projections.view(NS)
    assert projections._chroma._thread is not None
    assert projections.flush(WAIT)
    assert projections.verify() == []


def test_evidence_alone_does_not_open_it(open_memory):
    ledger, write, projections = open_memory(exact_max=1000)
    ids = fill(write)
    projections.flush(WAIT)
    close(ledger, projections)
    ledger, write, projections = open_memory(exact_max=1000)
    write.judge((ids[0], "progress", 1.0))
    projections.follow()
    follower = projections._chroma
    with follower._state:
        assert follower._state.wait_for(lambda: follower._rounds, WAIT)
    assert follower._sync.store is None
    assert projections.flush(WAIT)
    assert ledger.cursor("chroma") == ledger.head()
    close(ledger, projections)
    ledger, write, projections = open_memory(exact_max=1000)
    write.judge((ids[1], "progress", 1.0))
    close(ledger, projections)
    _, _, projections = open_memory(exact_max=1000)
    assert projections._chroma._thread is None


def test_a_later_process_follows_what_was_left(open_memory, home):
    ledger = Ledger.open(home)
    fill(Writer(ledger))
    ledger.close()
    _, _, projections = open_memory()
    assert projections.flush(WAIT)
    assert len(records(projections)) == 30
    assert projections.notices == []


# --------------------------------------------------------------------------------------------------------------- missing, old, corrupt
def remove(folder):
    shutil.rmtree(folder)


def empty(folder):
    shutil.rmtree(folder)
    folder.mkdir()


def a_file(folder):
    shutil.rmtree(folder)
    folder.write_text("not a folder")


def no_database(folder):
    (folder / "chroma.sqlite3").unlink()


def garbage(folder):
    (folder / "chroma.sqlite3").write_bytes(b"garbage " * 4096)


def truncated(folder):
    data = (folder / "chroma.sqlite3").read_bytes()
    (folder / "chroma.sqlite3").write_bytes(data[: len(data) // 2])


def no_marker(folder):
    (folder / "fluxmem.json").unlink()
    with sqlite3.connect(folder / "chroma.sqlite3") as connection:
        connection.execute("DELETE FROM collection_metadata")
    connection.close()


def no_tables(folder):
    with sqlite3.connect(folder / "chroma.sqlite3") as connection:
        connection.execute("DROP TABLE collections")
    connection.close()


def fewer_vectors(folder):
    import chromadb

    client = chromadb.PersistentClient(str(folder))
    collection = client.list_collections()[0]
    collection.delete(ids=collection.get(limit=3)["ids"])
    client.close()
    (folder / "fluxmem.json").unlink()


@pytest.mark.parametrize("damage", [remove, empty, a_file, no_database, garbage, truncated, no_marker, no_tables, fewer_vectors])
def test_a_damaged_folder_is_noticed_and_rebuilt_without_embedding(open_memory, home, damage):
    ledger, write, projections = open_memory()
    fill(write)
    projections.flush(WAIT)
    close(ledger, projections)
    damage(home / "chroma")
    _, write, projections = open_memory()
    assert projections.flush(WAIT)
    assert len(projections.notices) == 1, projections.notices
    assert "rebuilding it from the ledger" in projections.notices[0]
    assert len(records(projections)) == 30
    assert projections.verify() == []
    view = projections.view(NS)
    assert view.dense_top(write.vector_of(f"h-{view.ids[4]}"), 1).tolist() == [4]


def test_a_missing_folder_is_noticed_before_chroma_is_opened(open_memory, home):
    ledger, write, projections = open_memory()
    fill(write)
    projections.flush(WAIT)
    close(ledger, projections)
    shutil.rmtree(home / "chroma")
    _, _, projections = open_memory()
    assert "is missing" in projections.notices[0]


def test_an_older_copy_is_noticed_and_brought_forward(open_memory, home, tmp_path):
    ledger, write, projections = open_memory()
    ids = fill(write)
    projections.flush(WAIT)
    close(ledger, projections)
    shutil.copytree(home / "chroma", tmp_path / "copy")
    ledger, write, projections = open_memory()
    new = write.put("new", "pear")
    write.put("f3", "rewritten")
    write.forget("f4")
    projections.flush(WAIT)
    close(ledger, projections)
    shutil.rmtree(home / "chroma")
    shutil.copytree(tmp_path / "copy", home / "chroma")
    ledger, write, projections = open_memory()
    assert projections.flush(WAIT)
    assert len(projections.notices) == 1
    assert "older copy" in projections.notices[0]
    held = set(records(projections))
    assert f"{new}|0" in held
    assert not {f"{ids[3]}|0", f"{ids[4]}|0"} & held
    assert projections.verify() == []


def test_a_folder_of_a_newer_history_is_not_trusted(open_memory, home, tmp_path):
    """The ledger was restored from a backup, Chroma was not; then the ledger went on differently."""
    ledger, write, projections = open_memory()
    fill(write)
    projections.flush(WAIT)
    close(ledger, projections)
    shutil.copytree(home, tmp_path / "backup")
    ledger, write, projections = open_memory()
    write.put("lost", "apple")
    projections.flush(WAIT)
    close(ledger, projections)
    for file in home.glob("ledger.sqlite*"):
        file.unlink()
    for file in (tmp_path / "backup").glob("ledger.sqlite*"):
        shutil.copy(file, home)
    ledger = Ledger.open(home)
    Writer(ledger).put("other", "pear")
    ledger.close()
    _, _, projections = open_memory()
    assert projections.flush(WAIT)
    assert "another history" in projections.notices[0]
    assert projections.verify() == []


def test_a_folder_of_another_memory_is_not_trusted(open_memory, home, tmp_path):
    with Ledger.open(tmp_path / "stranger") as stranger:
        other = Projections(stranger, Config(), directory=tmp_path / "stranger")
        fill(Writer(stranger))
        assert other.flush(WAIT)
        other.close()
    ledger, write, projections = open_memory()
    fill(write, 5)
    projections.flush(WAIT)
    close(ledger, projections)
    shutil.rmtree(home / "chroma")
    shutil.copytree(tmp_path / "stranger" / "chroma", home / "chroma")
    _, _, projections = open_memory()
    assert projections.flush(WAIT)
    assert len(projections.notices) == 1
    assert len(records(projections)) == 5
    assert projections.verify() == []


def test_a_search_that_fails_is_answered_by_the_scan_and_mended(open_memory):
    _, write, projections = open_memory()
    fill(write)
    projections.flush(WAIT)
    store = projections._chroma._sync.store

    def broken(*_):
        raise RuntimeError("index file is gone")

    store.nearest = broken
    view = projections.view(NS)
    assert view.dense_top(write.vector_of(f"h-{view.ids[4]}"), 1).tolist() == [4]
    assert "index file is gone" in projections.notices[0]
    assert projections.flush(WAIT)
    assert projections._chroma._sync.store is not store
    assert projections._chroma.nearest(unit(1), 5, 30) is not None
    assert projections.verify() == []


def test_vectors_lost_while_it_runs_are_missed_at_the_next_search(open_memory):
    _, write, projections = open_memory()
    ids = fill(write, 10)
    projections.flush(WAIT)
    projections._chroma.with_store(lambda store: store.delete([f"{ids[4]}|0"]))
    view = projections.view(NS)
    assert view.dense_top(write.vector_of(f"h-{ids[4]}"), 10)[0] == 4
    assert projections.flush(WAIT)
    assert projections.verify() == []
    assert "holds 9 vectors where 10 were written" in projections.notices[0]


# ------------------------------------------------------------------------------------------------------------------------ verify
def held(store, version):
    return store._collection.get(ids=[f"{version}|0"], include=["embeddings"])["embeddings"]


def metadata_of(store, record, metadata):
    store._collection.update(ids=[record], metadatas=[metadata])


@pytest.mark.parametrize(
    ("corrupt", "said"),
    [
        (lambda store, ids: store.delete([f"{ids[2]}|0"]), "f2:{2}|0 of acme.ada is missing"),
        (lambda store, ids: store.upsert(NS, ["ghost:1|0"], ["ghost"], [unit(1)]), "ghost:1|0 is not live"),
        (lambda store, ids: store.upsert(NS, [f"{ids[2]}|0"], ["f2"], [unit(99)]), "another vector"),
        (lambda store, ids: metadata_of(store, f"{ids[2]}|0", {"namespace": "acme.eve"}), "acme.eve"),
        (
            lambda store, ids: store._collection.update(ids=[f"{ids[2]}|0"], embeddings=held(store, ids[2]), documents=["a text"]),
            "holds a text",
        ),
    ],
)
def test_verify_names_each_difference_and_rebuild_mends_it(open_memory, corrupt, said):
    _, write, projections = open_memory()
    ids = fill(write)
    projections.flush(WAIT)
    assert projections.verify() == []
    projections._chroma.with_store(lambda store: corrupt(store, ids))
    lines = projections.verify()
    assert len(lines) == 1
    assert said.replace("f2:{2}", ids[2]) in lines[0]
    projections.rebuild("chroma")
    assert projections.verify() == []


# ---------------------------------------------------------------------------------------------------- processes, kills, servers
def test_only_one_holder_opens_it(open_memory, home):
    ledger, write, projections = open_memory()
    fill(write)
    assert projections.flush(WAIT)
    _, other_write, other = open_memory()
    assert not other.flush(WAIT)
    assert other._chroma._sync.store is None
    version = other_write.put("from-the-other", "pear")
    view = other.view(NS)
    assert view.ids[int(view.dense_top(other_write.vector_of(f"h-{version}"), 1)[0])] == version
    assert other.notices == []
    assert other.verify() == []
    (said,) = other.notices
    assert "chroma was not compared: another process holds" in said
    close(ledger, projections)
    assert other.flush(WAIT)
    assert len(records(other)) == 31


def test_a_lock_is_held_by_one(tmp_path):
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.acquire()
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    assert second.held
    second.release()
    second.release()


@pytest.mark.parametrize("where", ["chroma.before_mark", "chroma.before_cursor"])
def test_a_kill_in_mid_batch_is_made_up_for(open_memory, home, where):
    script = textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {os.path.dirname(__file__)!r})
        from pathlib import Path
        from index_writer import Writer
        from langgraph_fluxmem.config import Config
        from langgraph_fluxmem.index.projections import Projections
        from langgraph_fluxmem.ledger import Ledger
        home = Path({str(home)!r})
        ledger = Ledger.open(home)
        write = Writer(ledger)
        projections = Projections(ledger, Config(), directory=home)
        for n in range(5):
            write.put(f"f{{n}}", "apple")
            projections.flush(60)
        write.forget("f1")
        projections.flush(60)
    """)
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "FLUXMEM_FAULT": f"{where}:kill@4"}, check=False, capture_output=True
    )
    assert done.returncode == -9, done.stderr.decode()
    ledger, _, projections = open_memory()
    assert read_marker_file(home / "chroma").position >= ledger.cursor("chroma")
    assert projections.flush(WAIT)
    assert projections.notices == []
    assert projections.verify() == []
    assert len(records(projections)) == projections.view(NS).size


def never_without_need(monkeypatch):
    """Let the follower wait for a moment without calls for as long as it takes."""
    for name, value in (("PATIENT", 600.0), ("UNHURRIED", 1e12)):
        monkeypatch.setattr(f"langgraph_fluxmem.index.courtesy.{name}", value)


def test_calls_go_before_its_batches_and_flush_does_not_wait_for_them(open_memory, monkeypatch):
    monkeypatch.setattr("langgraph_fluxmem.index.chroma_sync.WRITTEN", 10)
    _, write, projections = open_memory()
    fill(write, 5)
    assert projections.flush(WAIT)
    monkeypatch.setattr("langgraph_fluxmem.index.courtesy.QUIET", 600.0)  # every call is a call just now
    never_without_need(monkeypatch)
    store = projections._chroma._sync.store
    upsert, seen = store.upsert, []
    monkeypatch.setattr(store, "upsert", lambda *arguments: seen.append(1) or upsert(*arguments))
    write.put_many([(f"g{n}", "", {}) for n in range(100)])
    projections.follow()
    time.sleep(1.0)
    assert len(seen) <= 1
    assert projections.flush(WAIT)
    assert len(seen) == 10
    assert projections.verify() == []


def test_it_waits_as_long_as_a_call_goes_on(open_memory, monkeypatch):
    _, write, projections = open_memory()
    fill(write, 5)
    assert projections.flush(WAIT)
    never_without_need(monkeypatch)
    store = projections._chroma._sync.store
    upsert, written = store.upsert, threading.Event()
    monkeypatch.setattr(store, "upsert", lambda *arguments: written.set() or upsert(*arguments))
    projections.begin_call()
    write.put("f0", "rewritten")
    projections.follow()
    assert not written.wait(1.0)
    projections.end_call()
    assert written.wait(WAIT)


def test_closing_does_not_wait_for_a_moment_without_calls(open_memory, monkeypatch):
    ledger, write, projections = open_memory()
    fill(write, 5)
    assert projections.flush(WAIT)
    monkeypatch.setattr("langgraph_fluxmem.index.courtesy.QUIET", 600.0)
    never_without_need(monkeypatch)
    write.put("f0", "rewritten")
    projections.follow()
    thread = projections._chroma._thread
    close(ledger, projections)
    assert not thread.is_alive()


def test_closing_in_mid_batch_leaves_a_cursor_that_is_right(open_memory, home, monkeypatch):
    ledger, write, projections = open_memory()
    fill(write, 5)
    projections.flush(WAIT)
    first = ledger.head()
    monkeypatch.setattr("langgraph_fluxmem.index.chroma_sync.WRITTEN", 10)
    write.put_many([(f"g{n}", "", {}) for n in range(100)])
    follower = projections._chroma
    upsert, seen = follower._sync.store.upsert, []

    def stop_after_two(*arguments):
        upsert(*arguments)
        seen.append(1)
        if len(seen) == 2:
            follower._stop.set()

    follower._sync.store.upsert = stop_after_two
    projections.follow()
    follower._thread.join(WAIT)
    assert len(seen) == 2
    assert ledger.cursor("chroma") == first
    close(ledger, projections)
    _, _, projections = open_memory()
    assert projections.flush(WAIT)
    assert projections.notices == []
    assert projections.verify() == []


def test_a_first_fill_that_is_cut_off_goes_on_where_it_was(open_memory, home, monkeypatch):
    ledger = Ledger.open(home)
    write = Writer(ledger)
    ids = write.put_many([(f"f{n}", "", {}) for n in range(50)])
    ledger.close()
    monkeypatch.setattr("langgraph_fluxmem.index.chroma_sync.WRITTEN", 10)
    written = []
    upsert = ChromaStore.upsert

    def counting(store, namespace, records, *rest):
        upsert(store, namespace, records, *rest)
        written.append(list(records))
        if len(written) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(ChromaStore, "upsert", counting)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    ledger, write, projections = open_memory()
    projections._chroma.poke(hurry=True)
    projections._chroma._thread.join(WAIT)
    assert ledger.cursor("chroma") == 0
    write.put("f0", "rewritten")
    write.forget("f1")
    close(ledger, projections)
    ledger, write, projections = open_memory()
    assert projections.flush(WAIT)
    assert [len(batch) for batch in written[:2]] == [10, 10]
    again = {record for batch in written[2:] for record in batch}
    assert not {f"{version}|0" for version in ids[2:20]} & again
    assert projections.notices == []
    assert projections.verify() == []


def test_a_process_that_ends_without_close_ends_well(home):
    script = textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {os.path.dirname(__file__)!r})
        from pathlib import Path
        from index_writer import Writer
        from langgraph_fluxmem.config import Config
        from langgraph_fluxmem.index.projections import Projections
        from langgraph_fluxmem.ledger import Ledger
        home = Path({str(home)!r})
        ledger = Ledger.open(home)
        write = Writer(ledger)
        projections = Projections(ledger, Config(), directory=home)
        write.put_many([(f"f{{n}}", "apple", {{}}) for n in range(2000)])
        projections._chroma.poke(hurry=True)
        if sys.argv[1] == "opened":
            projections.flush(60)
            write.put_many([(f"g{{n}}", "apple", {{}}) for n in range(2000)])
            projections._chroma.poke(hurry=True)
    """)
    for when in ("opening", "opened"):
        done = subprocess.run([sys.executable, "-c", script, when], check=False, capture_output=True)
        assert (done.returncode, done.stderr.decode()) == (0, "")


def test_a_server_that_is_away_does_not_matter(home):
    ledger = Ledger.open(home)
    write = Writer(ledger)
    projections = Projections(ledger, Config(chroma="http://127.0.0.1:9", exact_max=0), directory=home)
    fill(write)
    assert not projections.flush(WAIT)
    view = projections.view(NS)
    assert view.dense_top(write.vector_of(f"h-{view.ids[4]}"), 1).tolist() == [4]
    assert len(projections.notices) == 1
    assert "127.0.0.1:9" in projections.notices[0]
    assert "the exact tier answers meanwhile" in projections.notices[0]
    assert projections.verify() == [f"chroma: not compared: {projections._chroma.trouble}"]
    close(ledger, projections)


def test_addresses_of_servers():
    assert server_address("http://localhost:8000") == ("localhost", 8000, False)
    assert server_address("https://chroma.example") == ("chroma.example", 443, True)
    for wrong in ("http://", "http://host:port", "ftp://host"):
        with pytest.raises(ConfigError, match="expected one like"):
            server_address(wrong)
