"""The commands that forget, compact and move: what they ask, what they print, their exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from langgraph_fluxmem.cli import keeping

from .test_cli import ADA, place, run, told  # noqa: F401


def test_forget_asks_and_can_be_tried(place: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["forget", place, "-n", "acme.ada", "--kind", "fact"]
    found = told(capsys, *asked, "--dry-run")
    assert (found["dry_run"], found["counts"]) == (True, {"fact": 2})
    status, out, _ = run(capsys, *asked, "--dry-run")
    assert (status, "cannot be undone" in out, out.count("(asked)")) == (0, True, 2)
    status, _, err = run(capsys, *asked)
    assert (status, err.count("\n"), "--yes" in err) == (1, 1, True)
    monkeypatch.setattr(keeping.sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(keeping.typer, "confirm", lambda question: False)
    assert run(capsys, *asked)[0] == 1
    assert told(capsys, "stats", place)["namespaces"][0]["facts"] == 2
    monkeypatch.setattr(keeping.typer, "confirm", lambda question: True)
    assert "forgot 2 facts" in run(capsys, *asked)[1]
    assert told(capsys, "stats", place)["namespaces"][0]["facts"] == 0
    assert told(capsys, *asked, "--yes")["removed"] == []


def test_forget_by_id_and_conditions(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    fact = told(capsys, "recall", "what does bob drink?", place, "-n", "acme.ada", "--k", "1")["facts"][0]["id"]
    assert told(capsys, "forget", place, "--id", fact, "-n", "acme.ada", "--yes")["counts"] == {"fact": 1}
    assert told(capsys, "forget", place, "-n", "acme.ada", "--before", "1d", "--dry-run")["removed"] == []
    assert told(capsys, "forget", place, "-n", "acme.ada", "--before", "2999-01-01", "--dry-run")["counts"]["episode"] == 6
    assert told(capsys, "forget", place, "--user", "ada", "--dry-run")["counts"]["episode"] == 6
    assert told(capsys, "forget", place, "-n", "acme.ada", "--filter", '{"team": "red"}', "--dry-run")["removed"] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["forget"],
        ["forget", "--id", "nothing", "--yes"],
        ["forget", "--before", "soon"],
        ["forget", "--filter", "red"],
        ["forget", "--kind", "fakt"],
        ["compact", "--keep", "much"],
        ["reembed", "--embeddings", "nonsense"],
    ],
)
def test_what_cannot_be_is_refused_in_one_line(place: str, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    status, out, err = run(capsys, arguments[0], place, *arguments[1:])
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("error: ")


def test_compact(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "compact", place)["horizon"] == 0
    assert told(capsys, "compact", place, "--keep", "30d")["horizon"] == 0
    assert told(capsys, "compact", place, "--keep", "0")["horizon"] == 7
    assert "bytes" in run(capsys, "compact", place)[1]
    assert run(capsys, "verify", place)[:2] == (0, "clean\n")


def test_export_import_and_another_embedding(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")  # nothing is embedded here
    other = "openai:text-embedding-3-small"
    file, copy = str(tmp_path / "out.jsonl.gz"), str(tmp_path / "copy")
    assert told(capsys, "export", file, place, "-n", "acme", "--deep")["namespaces"] == [["acme", "ada"]]
    status, out, _ = run(capsys, "export", "-", place, "--no-vectors")
    assert (status, json.loads(out.splitlines()[0])["format"]) == (0, "langgraph_fluxmem")
    assert told(capsys, "import", file, copy, "--into", "acme.ada=tenants.ada")["operations"] == 7
    assert told(capsys, "stats", copy)["namespaces"][0]["namespace"] == "tenants.ada"
    assert run(capsys, "import", file, copy, "--into", "acme.ada")[0] == 1
    assert run(capsys, "import", str(tmp_path / "none"), copy)[0] == 1
    assert "7 were there" in run(capsys, "import", file, copy, "--into", "acme.ada=tenants.ada")[1]
    planned = told(capsys, "reembed", copy, "--embeddings", other, "--dry-run")
    assert (planned["texts"], planned["dry_run"]) == (8, True)
    assert run(capsys, "reembed", copy, "--embeddings", other)[0] == 1  # nobody can be asked
    assert told(capsys, "reembed", copy)["texts"] == 0  # it is of that one already


@pytest.mark.parametrize("command", ["forget", "compact", "export", "reembed"])
def test_looking_makes_nothing(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["-"] if command == "export" else []
    status, out, err = run(capsys, command, *arguments, str(tmp_path / "none"), *(["--user", "x"] if command == "forget" else []))
    assert (status, out, "init" in err) == (1, "", True)
    assert not (tmp_path / "none").exists()


def test_the_shell_completes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "langgraph_fluxmem", "--show-completion", "bash"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "_COMPLETE" in done.stdout) == (0, True)


@pytest.mark.parametrize("text", ["", "root:x:0:0\n", "[1]\n"])
def test_what_is_no_export_makes_no_memory(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text(text)
    status, _, err = run(capsys, "import", str(tmp_path / "file"), str(tmp_path / "new"))
    assert (status, err.count("\n")) == (1, 1)
    assert "is no export" in err
    assert not (tmp_path / "new").exists()
