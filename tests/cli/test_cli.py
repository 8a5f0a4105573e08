"""The command line: what it prints for people and programs, its exit status, and that looking never makes anything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from langgraph_fluxmem import Episode, FluxMem, Step
from langgraph_fluxmem.cli import main

ADA = ("acme", "ada")


@pytest.fixture
def place(tmp_path: Path) -> str:
    where = tmp_path / "m"
    with FluxMem.open(where) as mem:
        mem.remember(["Ada is on the team plan.", "[bold]Bob[/bold] prefers tea."], namespace=ADA)
        for number in range(17, 23):
            steps = (Step(action=f"open order {number}"), Step(observation="order", action=f"refund order {number}"))
            mem.commit(Episode(task=f"refund order {number}", steps=steps, outcome="success"), namespace=ADA)
    return str(where)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(arguments)
    said = capsys.readouterr()
    return status, said.out, said.err


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    status, out, _ = run(capsys, *arguments, "--json")
    assert status == 0
    return json.loads(out)


def test_recall(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "recall", "which plan is ada on?", place, "-n", "acme.ada", "--k", "1")
    assert status == 0
    assert "Ada is on the team plan." in out
    assert "refund order" in out
    found = told(capsys, "recall", "what does bob drink?", place, "-n", "acme.ada", "--k", "2")
    assert "[bold]Bob[/bold] prefers tea." in [fact["content"] for fact in found["facts"]]
    assert run(capsys, "recall", "which plan?", place)[1] == "nothing\n"


def test_stored_text_is_no_markup(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "[bold]Bob[/bold]" in run(capsys, "recall", "what does bob drink?", place, "-n", "acme.ada")[1]


def test_stats(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = told(capsys, "stats", place)["namespaces"]
    assert (row["namespace"], row["facts"], row["episodes"], row["outcomes"]) == ("acme.ada", 2, 6, {"success": 6})
    assert "acme.ada" in run(capsys, "stats", place)[1]
    status, _, err = run(capsys, "stats", place, "-n", "acme.eve")
    assert (status, "acme.ada" in err) == (1, True)


def test_log_and_undo(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    newest = told(capsys, "log", place, "--limit", "1")
    assert [row["kind"] for row in newest] == ["commit"]
    assert run(capsys, "undo", newest[0]["id"], place)[0] == 0
    assert told(capsys, "stats", place)["namespaces"][0]["episodes"] == 5
    assert told(capsys, "log", place, "--limit", "2")[1]["undone"] is True
    status, _, err = run(capsys, "undo", "nothing", place)
    assert status == 1
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_consolidate_tells_what_it_did(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    (report,) = told(capsys, "consolidate", place)
    assert report["operation"]
    assert [skill["decision"] for skill in report["skills"]]
    assert sum(told(capsys, "stats", place)["namespaces"][0]["skills"].values()) == len(report["skills"])


def test_verify_and_rebuild(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "verify", place)[:2] == (0, "clean\n")
    assert run(capsys, "rebuild", place, "--projection", "postings")[0] == 0
    assert told(capsys, "rebuild", place) == {"rebuilt": "all"}
    assert "learned" in run(capsys, "rebuild", place, "--projection", "nonsense")[2]
    assert told(capsys, "verify", place) == {"differences": []}


def test_a_backup_is_a_memory(place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = str(tmp_path / "copy")
    assert told(capsys, "backup", copy, place) == {"written": copy}
    assert told(capsys, "stats", copy)["namespaces"] == told(capsys, "stats", place)["namespaces"]
    assert run(capsys, "backup", copy, place)[0] == 1  # not into what holds something


def test_init_and_doctor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = str(tmp_path / "new")
    assert told(capsys, "init", where)["made"] is True
    assert told(capsys, "init", where)["made"] is False
    found = {row["what"]: row["found"] for row in told(capsys, "doctor", where)}
    assert found["verify"] == "clean"
    assert "doctor" not in run(capsys, "doctor")[1]


@pytest.mark.parametrize("command", ["stats", "log", "verify", "rebuild", "consolidate"])
def test_looking_makes_nothing(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, command, str(tmp_path / "none"))
    assert (status, out) == (1, "")
    assert "init" in err
    assert not (tmp_path / "none").exists()


def test_wrong_usage_is_status_2(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "nonsense")[0] == 2
    assert run(capsys, "recall")[0] == 2
    assert run(capsys, "log", place, "--limit", "many")[0] == 2


def test_as_a_program() -> None:
    done = subprocess.run([sys.executable, "-m", "langgraph_fluxmem", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert all(name in done.stdout for name in ("demo", "recall", "undo", "doctor", "schedule"))


def test_who_asks_the_wrong_namespace_is_told_where_something_is(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (("recall", "which plan?"), ("explain", "which plan?"), ("quarantine",)):
        status, _, err = run(capsys, *command, place)
        assert (status, err.strip()) == (0, "namespace 'memories' holds nothing; namespaces that do: acme.ada (--namespace)")
    assert run(capsys, "recall", "which plan?", place, "-n", "acme.ada")[2] == ""


def test_explain_takes_ids_and_says_what_is_none(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    with FluxMem.open(place) as mem:
        for namespace in (ADA, ("acme", "bob")):
            mem.commit(Episode(task="water the plants", id="plants"), namespace=namespace)
    (fact, *_) = told(capsys, "recall", "which plan is ada on?", place, "-n", "acme.ada")["facts"]
    assert told(capsys, "explain", fact["id"], place)["node"] == fact["id"].partition(":")[0]
    status, _, err = run(capsys, "explain", "plants", place)
    assert status == 1
    assert "acme.ada, acme.bob" in err
    assert "--namespace" in err
    assert told(capsys, "explain", "plants", place, "-n", "acme.bob")["namespace"] == ["acme", "bob"]
    assert "names nothing" in run(capsys, "explain", "f-0123456789abcdef:01234567", place)[2]
    operation = next(row["id"] for row in told(capsys, "log", place) if row["kind"] == "remember")
    assert "is an operation (remember)" in run(capsys, "explain", operation, place)[2]


def test_ids_are_printed_whole(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    for row in told(capsys, "log", place):
        assert f"    {row['id']}\n" in run(capsys, "log", place)[1]


def test_a_memory_that_is_there_keeps_its_embedding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    where = str(tmp_path / "m")
    own = DeterministicFakeEmbedding(size=8)
    monkeypatch.setattr("langgraph_fluxmem.cli.place.embedding_of", lambda _: own)
    with FluxMem.open(where, embeddings=own) as mem:
        mem.remember("a")
    assert told(capsys, "init", where)["made"] is False
    (tmp_path / "old.json").write_text('[{"memory": "b", "user_id": "ada"}]')
    assert told(capsys, "migrate", "mem0", str(tmp_path / "old.json"), where)["moved"] == 1
