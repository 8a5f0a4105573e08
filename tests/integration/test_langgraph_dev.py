"""The store in a real `langgraph dev`, as `langgraph.json` configures it: no flag that allows blocking calls, no key, no network."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langgraph_api", reason="needs langgraph-cli[inmem]")

ROOT = Path(__file__).parents[2]
STARTED = re.compile(r"Application started up|Server started in")
PATIENCE = 180


class Server:
    """A running server: `ask` posts JSON, `log` is what it said so far."""

    def __init__(self, port: int, log: list[str]) -> None:
        self.port, self.log = port, log

    def ask(self, path: str, body: Any = None, method: str = "POST") -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def say(self, text: str) -> str:
        """One stateless run of the graph; what it answers."""
        run = {"assistant_id": "notes", "input": {"messages": [{"role": "user", "content": text}]}}
        return self.ask("/runs/wait", run)["messages"][-1]["content"]


def listening(port: int) -> bool:
    """Whether somebody answers at the port within a tenth of a second."""
    with socket.socket() as probe:
        probe.settimeout(0.1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def serving(place: Path, options: Sequence[str] = (), **more: str) -> Iterator[Server]:
    """`langgraph dev` in a copy of the project's graphs, so that nothing is written beside them."""
    if not (place / "graphs").exists():
        shutil.copytree(ROOT / "graphs", place / "graphs", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "langgraph.json", place)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        str(Path(sys.executable).with_name("langgraph")),
        "dev",
        "--config",
        "langgraph.json",
        "--no-browser",
        "--no-reload",
        "--port",
        str(port),
        *options,
    ]
    settings = {
        "FLUXMEM_PATH": str(place / "memory"),
        "FLUXMEM_FIELDS": "text",
        "PYTHONPATH": str(ROOT),
        "LANGSMITH_TRACING": "false",
        **more,
    }
    process = subprocess.Popen(
        command,
        cwd=place,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    log: list[str] = []
    started = threading.Event()

    def read() -> None:
        for line in process.stdout:
            log.append(line)
            if STARTED.search(line):
                started.set()
        started.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        assert started.wait(PATIENCE), "".join(log[-20:])
        while not listening(port):  # a moment after it says that it has started
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
            assert process.poll() is None, "".join(log[-20:])
        yield Server(port, log)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(PATIENCE / 6)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        reader.join(10)
        process.stdout.close()


def test_runs_share_items_with_the_endpoints_and_survive_a_restart(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert server.say("Ada is on the team plan") == "I remember nothing about it yet."
        assert "Ada is on the team plan" in server.say("which plan is Ada on?")
        (best, _) = server.ask("/store/items/search", {"namespace_prefix": ["notes"], "query": "Ada is on the team plan"})["items"]
        assert best["value"] == {"text": "Ada is on the team plan"}
        assert best["score"] == pytest.approx(1.0, abs=1e-5)
        server.ask("/store/items", {"namespace": ["notes"], "key": "by hand", "value": {"text": "Bob pays for the team"}}, method="PUT")
        assert "Bob pays" in server.say("who pays for the team?")
        assert server.ask("/store/namespaces", {"prefix": []})["namespaces"] == [["notes"]]
        desk = {"assistant_id": "agent", "input": {"messages": [{"role": "user", "content": "refund order 17"}]}}
        assert server.ask("/runs/wait", desk)["done"] == ["close order 17"]
        assert "close order 17" not in server.ask("/runs/wait", desk)["done"], "what ended the first order is not done again"
        before = server.ask("/store/items/search", {"namespace_prefix": ["notes"], "limit": 50})["items"]
    with serving(tmp_path, BG_JOB_ISOLATED_LOOPS="true") as server:  # several loops, each with a store of its own
        after = server.ask("/store/items/search", {"namespace_prefix": ["notes"], "limit": 50})["items"]
        assert after == before
        assert len(after) == 4
        assert "Ada is on the team plan" in server.say("Ada's plan?")
        server.ask("/store/items", {"namespace": ["notes"], "key": "by hand"}, method="DELETE")
        assert "Bob pays" not in server.say("and who pays for the team now?")
        assert not [line for line in server.log if "BlockingError" in line or "Traceback" in line]
