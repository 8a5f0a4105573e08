"""The table of mechanisms names modules and tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "mechanisms.md").read_text("utf-8")
WORDS = ("formation", "refinement", "consolidation", "pems", "schedule")
ROWS = [line.split("|")[1:-1] for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| mechanism")]


def test_the_page_has_rows() -> None:
    assert len(ROWS) > 40
    assert all(len(row) == 3 for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip()[:60])
def test_modules_and_tests_of_a_mechanism_exist(row: list[str]) -> None:
    modules, tests = re.findall(r"`([^`]+\.py)`", row[1]), re.findall(r"`([^`]+\.py)::(\w+)`", row[2])
    assert modules
    assert tests
    for module in modules:
        assert (ROOT / "langgraph_fluxmem" / module).is_file(), module
    for path, name in tests:
        assert any(word in f"{path}::{name}" for word in WORDS), "pytest -k would not find it"
        tree = ast.parse((ROOT / path).read_text("utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}, f"{path}::{name}"
