"""Each case of the exactly-once table, synchronous and asynchronous, with the real SQLite checkpointers; and the page shows the table."""

from __future__ import annotations

from pathlib import Path

import pytest

from .case import Case
from .exactly_once import CASES, FACES, as_expected, on_the_page, play


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_exactly_once_over_every_branch_and_fork(case: Case, face: str, tmp_path: Path) -> None:
    if case.slow:
        pytest.importorskip("langgraph_api", reason="needs langgraph-cli[inmem]")
    assert play(case, face, tmp_path) == case.expected


def test_exactly_once_table_on_the_page() -> None:
    assert on_the_page() == as_expected(), "run: python -m tests.nodes.exactly_once --write"


def test_exactly_once_cases_have_names_of_their_own() -> None:
    assert len({case.id for case in CASES}) == len(CASES)
