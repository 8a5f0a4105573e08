"""The viewer's server: one tenant, one token, one host, reading only; and a picture that is what the ledger says at every position."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from langgraph_fluxmem import FluxMem
from langgraph_fluxmem.cli import main
from langgraph_fluxmem.graph import MemoryGraph
from langgraph_fluxmem.links import node_of
from langgraph_fluxmem.viewing import ViewServer, export_view
from langgraph_fluxmem.viewing.picture import picture
from langgraph_fluxmem.viewing.server import Viewer

from .memories import ADA, EVE, MARK, fill, fill_neighbour

POSTGRES = os.environ.get("FLUXMEM_TEST_POSTGRES")


@pytest.fixture(
    scope="module",
    params=["sqlite", pytest.param("postgres", marks=pytest.mark.skipif(not POSTGRES, reason="FLUXMEM_TEST_POSTGRES is not set"))],
)
def mem(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FluxMem]:
    address, schema = str(tmp_path_factory.mktemp("view") / "memory"), f"t{uuid.uuid4().hex[:12]}"
    if request.param == "postgres":
        import psycopg

        with psycopg.connect(POSTGRES, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {schema}")
        address = f"{POSTGRES}?options=-csearch_path%3D{schema}"
    with FluxMem.open(address, chroma="off") as opened:
        fill(opened)
        fill_neighbour(opened)
        yield opened
    if request.param == "postgres":
        with psycopg.connect(POSTGRES, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture(scope="module")
def server(mem: FluxMem) -> Iterator[ViewServer]:
    with ViewServer(mem, ADA) as running:
        yield running


def ask(server: ViewServer, path: str, *, method: str = "GET", token: str | None = "", **headers: str) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    if token is not None:
        headers["Authorization"] = f"Bearer {token or server.token}"
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, dict(answer.getheaders()), body


def data(server: ViewServer, path: str) -> Any:
    status, _, body = ask(server, path)
    assert status == 200, body
    return json.loads(body)


# ------------------------------------------------------------------------------------------------------------------------- who may ask
def test_data_needs_the_token_and_the_page_holds_none(server: ViewServer) -> None:
    for token in (None, "wrong", server.token[:-1], server.token + "x"):
        for path in ("/api/graph", "/api/head", "/api/node?id=ep1", "/api/recall?q=refund", "/api/nothing"):
            status, _, body = ask(server, path, token=token)
            assert status == 401
            assert "refund" not in body
    for path in ("/", "/app.js", "/style.css"):
        status, headers, body = ask(server, path, token=None)
        assert status == 200
        assert server.token not in body
        assert "acme" not in body


def test_another_host_is_refused(server: ViewServer) -> None:
    for host in ("evil.example", f"evil.example:{server.port}", "127.0.0.1", f"127.0.0.1:{server.port + 1}", ""):
        status, _, body = ask(server, "/api/graph", Host=host)
        assert (status, "refund" in body) == (403, False)
    assert ask(server, "/api/graph", Host=f"localhost:{server.port}")[0] == 200


def test_it_only_reads(server: ViewServer, mem: FluxMem) -> None:
    head = mem.engine.ledger.head()
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert ask(server, "/api/graph", method=method)[0] == 405
    for path in ("/api/graph", "/api/node?id=ep1", "/api/recall?q=refund"):
        data(server, path)
    assert mem.engine.ledger.head() == head


def test_every_answer_says_what_a_browser_may_do(server: ViewServer) -> None:
    for path in ("/", "/app.js", "/api/graph", "/nothing"):
        _, headers, _ = ask(server, path)
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "Access-Control-Allow-Origin" not in headers
    page = ask(server, "/")[2]
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=|https?://", page)


def test_bound_to_this_machine(server: ViewServer) -> None:
    assert server.url.startswith("http://127.0.0.1:")
    assert "#token=" in server.url
    assert server._server.server_address[0] == "127.0.0.1"


def test_wrong_questions_are_answered_in_words(server: ViewServer) -> None:
    assert ask(server, "/api/node?id=nobody")[0] == 404
    assert ask(server, "/api/recall?q=")[0] == 400
    assert ask(server, "/api/recall?q=refund&k=-3")[0] == 200
    assert ask(server, "/api/recall?q=refund&at=-3")[0] == 200
    assert ask(server, "/api/recall?q=refund&at=99999999999")[0] == 200
    assert ask(server, "/api/" + "x" * 9000)[0] == 414
    assert ask(server, "/../../etc/passwd")[0] == 404
    for path in ("/api/node?id=nobody", "/api/recall?q=", "/nothing"):
        assert json.loads(ask(server, path)[2])["error"]


# ---------------------------------------------------------------------------------------------------------------------- one tenant only
def test_what_goes_wrong_is_told(mem: FluxMem, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def broken(self: Viewer, id: str) -> dict[str, Any]:
        raise RuntimeError(f"nothing works with {id}")

    monkeypatch.setattr(Viewer, "node", broken)
    with ViewServer(mem, ADA) as running:
        status, _, body = ask(running, "/api/node?id=x")
        assert status == 500
        assert "could not be answered" in body
        assert "nothing works" not in body
    assert "nothing works with x" in capfd.readouterr().err


def test_nothing_of_another_namespace_is_in_any_answer(mem: FluxMem, server: ViewServer, tmp_path: Path) -> None:
    """Every answer there is, of every id that either tenant has, and of queries that ask for the neighbour outright."""
    ledger = mem.engine.ledger
    theirs = (
        {row.id for row in ledger.nodes(EVE)}
        | {row.id for row in ledger.operations(EVE, limit=1000)}
        | {row.id for row in ledger.commits(EVE)}
    )
    own = {row.id for row in ledger.nodes(ADA)} | {row.id for row in ledger.operations(ADA, limit=1000)}
    paths = ["/", "/app.js", "/style.css", "/api/graph", "/api/head", "/nothing"]
    paths += [f"/api/recall?k=50&q={quote(query)}" for query in (MARK, "refund", "refund 3", f"{MARK} refund 1", "who asked about a seat?")]
    paths += [f"/api/recall?k=50&q=refund&at={position}" for position in range(0, ledger.head() + 1, 5)]
    paths += [f"/api/node?id={quote(id)}" for id in sorted(own | theirs)]
    paths += [f"/api/node?id={quote(f'{MARK}-{number}')}" for number in range(6)]
    answers = {path: ask(server, path)[2] for path in paths}
    answers["export"] = export_view(mem, ADA, tmp_path / "view.html", recalls=["refund", MARK]).read_text()
    assert sum("refund" in body for body in answers.values()) > 30
    for path, body in answers.items():
        said = path.partition("=")[2] + (MARK if "/api/recall" in path or path == "export" else "")
        for mark in (MARK, *theirs):
            if quote(mark) not in said and mark not in said:
                assert mark not in body, (mark, path)
    for path in (path for path in answers if "/api/recall" in path):  # the query itself comes back; nothing else has the mark
        assert MARK not in json.dumps({**json.loads(answers[path]), "query": "", "told": ""})
    assert MARK not in answers["export"].replace(f'"{MARK}":', "").replace(f'"query":"{MARK}"', "").replace(f"recall '{MARK}'", "")


# --------------------------------------------------------------------------------------------------------------------- what it draws
def there(toggles: list[int], position: int) -> bool:
    return sum(at <= position for at in toggles) % 2 == 1


def test_the_picture_is_what_the_ledger_says_at_every_position(mem: FluxMem) -> None:
    drawn = picture(mem, ADA, topics=0)
    ledger = mem.engine.ledger
    nodes = [node_of(id) for id in drawn["nodes"]["id"]]
    tied = set(nodes)
    for position in range(ledger.head(ADA) + 1):
        seen = {node for node, on in zip(nodes, drawn["nodes"]["on"], strict=True) if there(on, position)}
        told = {row.node for row in ledger.nodes(ADA, at=position) if row.kind not in ("mark", "quarantine")}
        assert seen == {node for node in told if node in tied}, position
        assert all(node.startswith("u-") for node in told - tied)
    assert any(len(on) > 2 for on in drawn["nodes"]["on"]), "what was undone and came back is there twice"
    assert any(drawn["nodes"]["versions"])


def test_edges_end_with_the_weight_they_have(mem: FluxMem) -> None:
    drawn = picture(mem, ADA, topics=0)
    graph = MemoryGraph(ADA, half_life=mem.config.half_life)
    graph.catch_up(mem.engine.ledger)
    edges, ids = drawn["edges"], drawn["nodes"]["id"]
    kinds = set()
    for at, kind in enumerate(edges["kind"]):
        src, dst = ids[edges["from"][at]], ids[edges["to"][at]]
        last = edges["weights"][at][-1][1]
        if kind == "SERVED":
            sums = graph.evidence(f"{src}>{dst}")
            assert last == pytest.approx(sums.progress - sums.failure - sums.loss, abs=1e-3)
        elif kind in ("RELATES", "DISTILLS") and there(edges["on"][at], drawn["head"]):
            assert last == pytest.approx(graph.weight(src, dst, kind), abs=1e-3)
        kinds.add(kind)
    assert {"RELATES", "GROUNDS", "DISTILLS", "SERVED"} <= kinds
    stored = {(src, dst) for src, dst, kind, _ in graph.edges() if kind == "RELATES"}
    assert stored == {
        (node_of(ids[edges["from"][at]]), node_of(ids[edges["to"][at]]))
        for at, kind in enumerate(edges["kind"])
        if kind == "RELATES" and there(edges["on"][at], drawn["head"])
    }


def test_the_same_memory_is_drawn_the_same_and_a_limit_keeps_skills(mem: FluxMem) -> None:
    assert picture(mem, ADA) == picture(mem, ADA)
    few = picture(mem, ADA, limit=10, topics=0)
    assert len(few["nodes"]["id"]) == 10
    assert few["total"] > 10
    assert len(few["skills"]) == len(picture(mem, ADA)["skills"]) > 0
    assert max(map(abs, few["nodes"]["x"])) < 3000


def test_what_was_compacted_is_drawn_as_far_as_it_is_there(tmp_path: Path) -> None:
    with FluxMem.open(tmp_path / "m", chroma="off") as fresh:
        fill(fresh)
        before = picture(fresh, ADA, topics=0)
        fresh.compact(keep=0)
        drawn = picture(fresh, ADA, topics=0)
        now = [id for id, on in zip(before["nodes"]["id"], before["nodes"]["on"], strict=True) if len(on) % 2]
        assert sorted(drawn["nodes"]["id"]) == sorted(now)
        assert all(there(on, drawn["head"]) for on in drawn["nodes"]["on"])
        assert len(drawn["skills"]) == len(before["skills"])


def test_a_picture_follows_memory(mem: FluxMem, tmp_path: Path) -> None:
    with FluxMem.open(tmp_path / "m", chroma="off") as fresh, ViewServer(fresh, ADA) as running:
        assert data(running, "/api/graph")["nodes"]["id"] == []
        fresh.remember(["one", "two"], namespace=ADA)
        graph = data(running, "/api/graph")
        assert len(graph["nodes"]["id"]) == 2
        assert data(running, "/api/head") == {"head": graph["head"]}
        fresh.remember("a neighbour's", namespace=EVE)
        assert data(running, "/api/head") == {"head": graph["head"]}


# ---------------------------------------------------------------------------------------------------------------------- the command
def test_the_command_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    place = str(tmp_path / "m")
    with FluxMem.open(place, chroma="off") as fresh:
        fresh.remember("Ada is on the team plan.", namespace=ADA)
    command = [sys.executable, "-m", "langgraph_fluxmem", "view", place, "--no-browse"]

    def heeds_interrupts() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # who runs these tests in the background may have it ignored

    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heeds_interrupts) as running,
        contextlib.ExitStack() as last,
    ):
        last.callback(running.kill)
        assert running.stdout is not None
        said = running.stdout.readline()
        where = re.fullmatch(r"acme.ada at http://127.0.0.1:(\d+)/#token=(\S+)\n", said)
        assert where is not None, (said, running.stderr)
        connection = http.client.HTTPConnection("127.0.0.1", int(where[1]), timeout=30)
        connection.request("GET", "/api/graph", headers={"Authorization": f"Bearer {where[2]}"})
        assert json.loads(connection.getresponse().read())["nodes"]["title"] == ["Ada is on the team plan."]
        connection.close()
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 0


def test_the_command_wants_one_namespace_and_writes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = str(tmp_path / "m")
    with FluxMem.open(place, chroma="off") as fresh:
        fresh.remember("Ada is on the team plan.", namespace=ADA)
        fresh.remember(f"{MARK} is a secret", namespace=EVE)
    assert main(["view", place, "--no-browse"]) == 1
    assert "acme.ada, acme.eve" in capsys.readouterr().err
    to = tmp_path / "view.html"
    assert main(["view", place, "-n", "acme.ada", "--export", str(to), "--recall", "which plan?"]) == 0
    assert "written to" in capsys.readouterr().out
    written = to.read_text()
    assert "Ada is on the team plan." in written
    assert MARK not in written
    assert main(["view", place, "-n", "acme.ada", "--export", str(tmp_path / "no" / "view.html")]) == 1
    assert "cannot write" in capsys.readouterr().err
