"""Every notebook runs from its first cell to its last, without a key and without a network, and is kept with its outputs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

BOOKS = sorted((Path(__file__).parents[2] / "cookbook").glob("*.ipynb"))
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "LANGSMITH_API_KEY")
SERVERS = {"FLUXMEM_POSTGRES": "FLUXMEM_TEST_POSTGRES", "FLUXMEM_CHROMA": "FLUXMEM_TEST_CHROMA"}
pytestmark = pytest.mark.filterwarnings("default")  # of the kernel's own machinery


def read(book: Path) -> Any:
    return nbformat.read(book, as_version=4)


def test_there_are_seven() -> None:
    assert [book.name[:2] for book in BOOKS] == [f"{number:02}" for number in range(1, 8)]


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_runs(book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in KEYS:
        monkeypatch.delenv(key, raising=False)
    for name, given in SERVERS.items():
        if os.environ.get(given):
            monkeypatch.setenv(name, os.environ[given])
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = read(book)
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert not [output for cell in notebook.cells for output in cell.get("outputs", []) if output.output_type == "error"]


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_is_kept_with_its_outputs_and_says_how_to_take_a_real_model(book: Path) -> None:
    notebook = read(book)
    speaks = [cell for cell in notebook.cells if cell.cell_type == "code" and "print(" in cell.source and "def " not in cell.source]
    assert speaks
    assert all(cell.outputs for cell in speaks)
    assert "openai:" in "".join(cell.source for cell in notebook.cells)
    assert not any(place in str(notebook) for place in (str(book.parents[1]), str(Path.home()), "/home/"))
