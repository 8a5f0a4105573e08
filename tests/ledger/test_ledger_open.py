"""Opening: what is refused, what is made, migrations, several processes, broken files."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from sqlalchemy import text

from langgraph_fluxmem.errors import LedgerError, MissingExtraError, NotAMemoryError, SchemaVersionError
from langgraph_fluxmem.ledger import Ledger, migrations

from ledger_support import ADA, DIMS, plan, remember

ROOT = Path(__file__).resolve().parents[2]


def listing(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}


def run(code: str, *arguments: str, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "ledger"), os.environ.get("PYTHONPATH", "")])}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=env, **options)


def test_directory_is_made_and_memory_id_stays(tmp_path):
    directory = tmp_path / "a" / "b"
    with Ledger.open(directory) as ledger:
        memory_id = ledger.memory_id
        assert (ledger.head(), ledger.nodes(ADA), ledger.namespaces(), ledger.operations(), ledger.embedding()) == (0, [], [], [], None)
        assert ledger.check() == []
    assert [path.name for path in directory.iterdir()] == ["ledger.sqlite"]
    with Ledger.open(str(directory)) as ledger:
        assert ledger.memory_id == memory_id
    with Ledger.open(tmp_path / "other") as ledger:
        assert ledger.memory_id != memory_id


def test_a_file_is_refused(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    with pytest.raises(NotAMemoryError, match="notes.txt is a file; expected a directory"):
        Ledger.open(file)
    assert file.read_text() == "mine"
    with pytest.raises(LedgerError, match="Not a directory"):
        Ledger.open(file / "below")


@pytest.mark.parametrize("name", ["letter.txt", "chroma/chroma.sqlite3", "checkpoints.sqlite"])
def test_a_directory_of_something_else_is_refused(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(NotAMemoryError, match=f"holds {name.split('/')[0]} and no ledger.sqlite"):
        Ledger.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name.split("/")[0]]


def test_other_files_may_lie_beside_the_ledger(tmp_path):
    Ledger.open(tmp_path).close()
    (tmp_path / "chroma").mkdir()
    (tmp_path / "checkpoints.sqlite").write_text("x")
    Ledger.open(tmp_path).close()


def test_a_sqlite_file_of_something_else_is_refused(tmp_path):
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    connection.execute("CREATE TABLE accounts (id INTEGER)")
    connection.commit()
    connection.close()
    before = listing(tmp_path)
    with pytest.raises(NotAMemoryError, match="SQLite file of something else"):
        Ledger.open(tmp_path)
    assert listing(tmp_path) == before


def test_an_empty_file_from_an_interrupted_creation_is_completed(tmp_path):
    (tmp_path / "ledger.sqlite").touch()
    with Ledger.open(tmp_path) as ledger:
        assert ledger.check() == []


def test_newer_schema_is_refused(tmp_path):
    Ledger.open(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    connection.execute("UPDATE fluxmem_meta SET value = '99' WHERE key = 'schema_version'")
    connection.commit()
    connection.close()
    before = listing(tmp_path)
    with pytest.raises(SchemaVersionError, match=r"schema version 99 .* knows 1: upgrade with pip install -U"):
        Ledger.open(tmp_path)
    assert listing(tmp_path) == before


def test_migrations_are_applied_once_and_in_order(opened, address, monkeypatch):
    first = opened()
    first.apply(remember("n"))
    first.close()
    calls = []

    def m0002_example(connection):
        calls.append("2")
        connection.execute(text("ALTER TABLE fluxmem_nodes ADD COLUMN example TEXT"))

    def m0003_failing(connection):
        connection.execute(text("ALTER TABLE fluxmem_nodes ADD COLUMN half TEXT"))
        raise LedgerError("stop")

    monkeypatch.setattr(migrations, "STEPS", [*migrations.STEPS, ("m0002_example", m0002_example), ("m0003_failing", m0003_failing)])
    with pytest.raises(LedgerError, match="stop"):
        opened()
    monkeypatch.setattr(migrations, "STEPS", migrations.STEPS[:-1])
    again = opened()  # had the failed step left something, ADD COLUMN would fail now
    assert calls == ["2", "2"]
    assert len(again.nodes(ADA)) == 1
    assert again.apply(remember("m")).position == 2
    again.close()
    opened().close()
    assert calls == ["2", "2"]
    monkeypatch.undo()
    with pytest.raises(SchemaVersionError, match="m0002_example"):
        opened()


def test_corrupt_file_is_named_with_its_mend(tmp_path):
    with Ledger.open(tmp_path) as ledger:
        ledger.check_embedding("e", DIMS)
        for i in range(200):
            ledger.apply(remember(f"n{i}", f"content {i} " * 50))
    file = tmp_path / "ledger.sqlite"
    whole = file.read_bytes()
    file.write_bytes(b"this is no database at all, it only has the name" * 100)
    with pytest.raises(LedgerError, match=r"ledger\.sqlite: .*the file is corrupt; restore ledger.sqlite from a backup"):
        Ledger.open(tmp_path)
    middle = len(whole) // 3
    file.write_bytes(whole[:8192] + os.urandom(middle) + whole[8192 + middle :])
    with pytest.raises(LedgerError, match="restore ledger.sqlite from a backup"), Ledger.open(tmp_path) as ledger:
        for i in range(200):
            ledger.current(ADA, [f"n{i}"])
    file.write_bytes(whole)
    with Ledger.open(tmp_path) as ledger:
        assert len(ledger.nodes(ADA)) == 200


def test_backup_is_a_memory(opened, address, tmp_path):
    ledger = opened()
    ledger.apply(remember("n"))
    if "://" in address:
        with pytest.raises(LedgerError, match="pg_dump"):
            ledger.backup(tmp_path / "backup")
        return
    ledger.backup(tmp_path / "backup")
    with pytest.raises(LedgerError, match="exists"):
        ledger.backup(tmp_path / "backup")
    ledger.apply(remember("m"))
    with Ledger.open(tmp_path / "backup") as copy:
        assert copy.memory_id == ledger.memory_id
        assert [row.node for row in copy.nodes(ADA)] == ["n"]
        assert copy.check() == []
        copy.apply(plan())


@pytest.mark.parametrize("address", ["mysql://host/x", "sqlite:///x", "http://host", "postgresql//x://y"])
def test_other_addresses_are_refused(address):
    with pytest.raises(LedgerError, match="expected a directory or postgresql://"):
        Ledger.open(address)


def test_missing_driver_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match=r"pip install .langgraph_fluxmem\[postgres\]"):
        Ledger.open("postgresql://nobody@localhost/nothing")


def test_unknown_durability_is_refused(tmp_path):
    with pytest.raises(LedgerError, match="durability 'maybe'; expected 'process'"):
        Ledger.open(tmp_path, durability="maybe")


@pytest.mark.parametrize("durability", ["process", "power"])
def test_durability_sets_how_commits_are_synced(tmp_path, durability):
    with Ledger.open(tmp_path, durability=durability) as ledger:
        session = ledger.database.connect(writing=True)
        assert session.text("PRAGMA synchronous") == [(1 if durability == "process" else 2,)]
        assert session.text("PRAGMA journal_mode") == [("wal",)]
        session.close()


def test_busy_ledger_is_named(tmp_path):
    with Ledger.open(tmp_path, busy_timeout=0.05) as ledger:
        other = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="another process held the write lock for 0.05 s"):
            ledger.apply(plan(op="a"))
        assert ledger.head() == 0  # readers are not kept out
        other.execute("ROLLBACK")
        assert ledger.apply(plan(op="a")).position == 1
        other.close()


def test_full_database_leaves_the_memory_as_it_was(tmp_path):
    with Ledger.open(tmp_path) as ledger:
        ledger.check_embedding("e", DIMS)
        ledger.apply(remember("n", "small"))
        session = ledger._writer._session
        (pages,) = session.text("PRAGMA page_count")[0]
        session.text(f"PRAGMA max_page_count={pages + 4}")
        with pytest.raises(LedgerError, match="disk is full; free some space and try again, the memory is as it was before"):
            ledger.apply(remember("big", "x" * 1_000_000, op="big"))
        assert [row.node for row in ledger.nodes(ADA)] == ["n"]
        session.text("PRAGMA max_page_count=100000")
        assert ledger.apply(remember("big", "x" * 1_000_000, op="big")).position == 2
        assert ledger.check() == []


def test_unwritable_disk_leaves_the_memory_as_it_was(tmp_path):
    """A limit on the size of files: what the system reports when it cannot extend one."""
    done = run(
        """
        import resource, signal, sys
        from langgraph_fluxmem.errors import LedgerError
        from langgraph_fluxmem.ledger import Ledger
        from ledger_support import *
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        ledger = Ledger.open(sys.argv[1]); ledger.check_embedding("e", DIMS)
        ledger.apply(remember("n", "small"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
        try:
            ledger.apply(remember("big", "x" * 1_000_000))
        except LedgerError as error:
            print(error)
        else:
            sys.exit("written beyond the limit")
        assert [row.node for row in ledger.nodes(ADA)] == ["n"]
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert ledger.apply(remember("after", "space was freed")).position == 2
        assert ledger.check() == []
        ledger.close()
        """,
        str(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    assert "cannot write to the ledger" in done.stdout
    assert "as it was" in done.stdout
    with Ledger.open(tmp_path) as ledger:
        assert [row.node for row in ledger.nodes(ADA)] == ["n", "after"]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_read_only_directory_is_refused(tmp_path):
    directory = tmp_path / "memory"
    with Ledger.open(directory) as ledger:
        ledger.check_embedding("e", DIMS)
        ledger.apply(remember("n"))
    (directory / "ledger.sqlite").chmod(0o444)
    directory.chmod(0o555)
    new = tmp_path / "locked"
    new.mkdir(mode=0o555)
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_uid == os.getuid() and path.is_relative_to("/tmp") and path != Path("/tmp"):
            path.chmod(path.stat().st_mode | 0o055)
    before = (directory / "ledger.sqlite").read_bytes()
    done = run(
        """
        import os, sys
        from langgraph_fluxmem.errors import LedgerError
        from langgraph_fluxmem.ledger import Ledger
        Ledger.open(sys.argv.pop()).close()  # whatever is imported late is imported now
        if os.getuid() == 0:
            os.setgid(65534); os.setuid(65534)
        for address in sys.argv[1:]:
            try:
                Ledger.open(address)
            except LedgerError as error:
                print(error)
        """,
        str(directory),
        str(new),
        str(new / "below"),
        str(tmp_path / "warm"),
    )
    directory.chmod(0o755)
    new.chmod(0o755)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3, done.stdout
    assert "give this user write permission" in lines[0] or "check that the directory is writable" in lines[0]
    assert "check that the directory is writable" in lines[1]
    assert "check its path and permissions" in lines[2]
    assert (directory / "ledger.sqlite").read_bytes() == before


def test_processes_write_to_one_directory(opened, address):
    """Four processes open (and make) one memory at once and write at once."""
    code = """
        import sys
        from langgraph_fluxmem.ledger import Ledger
        from ledger_support import *
        with Ledger.open(sys.argv[1]) as ledger:
            ledger.check_embedding("test-embedding", DIMS)
            for i in range(25):
                name = f"{sys.argv[2]}.{i}"
                applied = ledger.apply(remember(name, name, op=name, id=name))
                assert name in ledger.load(ADA, [name])
                print(applied.position)
        """
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "ledger"), os.environ.get("PYTHONPATH", "")])}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), address, str(n)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
        )
        for n in range(4)
    ]
    positions = []
    for process in started:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        mine = [int(line) for line in out.split()]
        assert mine == sorted(mine)
        positions += mine
    assert sorted(positions) == list(range(1, 101))
    ledger = opened()
    assert len(ledger.nodes(ADA)) == 100
    assert ledger.check() == []


def test_importing_the_package_does_not_import_sqlalchemy():
    done = run("import sys, langgraph_fluxmem, langgraph_fluxmem.schema; sys.exit('sqlalchemy' in sys.modules)")
    assert done.returncode == 0, done.stderr


def test_ledger_forgotten_by_its_owner_is_closed(tmp_path):
    done = run(
        """
        import sys
        from langgraph_fluxmem.ledger import Ledger
        from ledger_support import *
        ledger = Ledger.open(sys.argv[1]); ledger.check_embedding("e", DIMS)
        for i in range(200):
            ledger.submit(remember(f"n{i}"))
        """,
        str(tmp_path),
    )
    assert (done.returncode, done.stderr) == (0, "")
    with Ledger.open(tmp_path) as ledger:
        assert len(ledger.nodes(ADA)) == 200
