"""Chroma on a server (a real one, of the chromadb package): several followers, and a server that comes and goes."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from index_writer import NS, Writer, unit

from langgraph_fluxmem.config import Config
from langgraph_fluxmem.index import chroma_follower
from langgraph_fluxmem.index.projections import Projections
from langgraph_fluxmem.ledger import Ledger

WAIT = 120.0
COMMAND = Path(sys.executable).with_name("chroma")
pytestmark = pytest.mark.skipif(not COMMAND.exists(), reason="chromadb's command line is not installed beside this Python")


class Server:
    def __init__(self, path):
        self.path = path
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [str(COMMAND), "run", "--path", str(self.path), "--port", str(self.port), "--host", "127.0.0.1"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise TimeoutError("the Chroma server did not start")

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path / "server")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def open_memory(tmp_path, server, monkeypatch):
    monkeypatch.setattr(chroma_follower, "RETRY", (0.05, 0.1))
    opened = []

    def open_it():
        ledger = Ledger.open(tmp_path / "m")
        projections = Projections(ledger, Config(chroma=server.address, exact_max=0), directory=None)
        opened.append((ledger, projections))
        return ledger, Writer(ledger), projections

    yield open_it
    for ledger, projections in opened:
        projections.close()
        ledger.close()


def fill(write, count=30):
    return write.put_many([(f"f{n}", "apple", {}) for n in range(count)])


def test_it_follows_and_answers(open_memory):
    ledger, write, projections = open_memory()
    ids = fill(write)
    assert projections.flush(WAIT)
    write.put("f3", "rewritten")
    write.forget("f4")
    assert projections.flush(WAIT)
    assert projections.verify() == []
    assert ledger.cursor("chroma") == ledger.head()
    assert projections._chroma.nearest(write.vector_of(f"h-{ids[7]}"), 1, 30)[0] == [ids[7]]
    assert projections.notices == []


def test_two_processes_search_and_write_in_turn(open_memory):
    first_ledger, write, first = open_memory()
    ids = fill(write)
    assert first.flush(WAIT)
    second_ledger, _, second = open_memory()
    late = write.put("late", "pear")
    for projections in (first, second):
        view = projections.view(NS)
        assert view.ids[int(view.dense_top(write.vector_of(f"h-{late}"), 1)[0])] == late
    assert second.flush(WAIT)
    assert second_ledger.cursor("chroma") == second_ledger.head()
    assert second._chroma.nearest(write.vector_of(f"h-{ids[5]}"), 1, 30)[0][0] == ids[5]
    assert first.verify() == second.verify() == []
    assert first.notices == second.notices == []


def test_a_process_that_died_in_its_turn_is_replaced_when_its_lease_has_run_out(open_memory):
    ledger, write, projections = open_memory()
    assert ledger.acquire_lease("chroma", "one that died", 3600.0) is not None
    fill(write)
    while projections._chroma.elsewhere is None:
        assert not projections.flush(0.05)
    assert "another process writes" in projections._chroma.elsewhere
    ledger.acquire_lease("chroma", "one that died", 0.01)
    assert projections.flush(WAIT)
    assert projections.verify() == []


def test_a_server_that_comes_back_is_caught_up_with(open_memory, server):
    _, write, projections = open_memory()
    fill(write)
    assert projections.flush(WAIT)
    server.stop()
    version = write.put("late", "pear")
    view = projections.view(NS)
    assert view.ids[int(view.dense_top(write.vector_of(f"h-{version}"), 1)[0])] == version
    assert not projections.flush(WAIT)
    assert "the exact tier answers meanwhile" in projections.notices[0]
    server.start()
    deadline = time.monotonic() + WAIT
    while not projections.flush(1) and time.monotonic() < deadline:
        pass
    assert projections.verify() == []
    assert "can be used again" in projections.notices[-1]
    assert projections._chroma.nearest(unit(1), 5, 30) is not None


def test_a_server_that_lost_everything_is_filled_again(open_memory, server):
    ledger, write, projections = open_memory()
    ids = fill(write)
    assert projections.flush(WAIT)
    server.stop()
    shutil.rmtree(server.path)
    server.start()
    view = projections.view(NS)
    assert view.dense_top(write.vector_of(f"h-{ids[5]}"), 1).tolist() == [5]
    deadline = time.monotonic() + WAIT
    while not projections.flush(1) and time.monotonic() < deadline:
        pass
    assert any("rebuilding it from the ledger" in notice for notice in projections.notices)
    assert projections.verify() == []
    projections.close()
    ledger.close()
    _, _, again = open_memory()
    assert again.flush(WAIT)
    assert again.verify() == []
