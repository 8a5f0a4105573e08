"""The page "What happens when" has its sections, and every promise on it names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "what-happens-when.md").read_text("utf-8")
SECTIONS = (
    "Exactly once",
    "A crash",
    "Branches",
    "Time travel",
    "Undo",
    "Async",
    "Several workers",
    "Tenants",
    "Hostile content",
    "Forgetting",
)
HEADER = "| promise | limits | test |"


def promises(section: str) -> list[list[str]]:
    """The rows [promise, limits, tests] of a section's table of promises."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    table = text.partition(HEADER)[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("| ")]


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_makes_promises(section: str) -> None:
    rows = promises(section)
    assert rows
    assert all(len(row) == 3 and row[0] for row in rows)


@pytest.mark.parametrize("row", [row for section in SECTIONS for row in promises(section)], ids=lambda row: row[0][:60])
def test_the_tests_of_a_promise_exist(row: list[str]) -> None:
    named = re.findall(r"`([^`]+\.py)::(\w+)`", row[2])
    assert named, "a promise names the test that holds it"
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text("utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}, f"{path}::{name}"
