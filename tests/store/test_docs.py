"""The fences of docs/store.md run, in order, in one directory."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FENCES = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[2] / "docs" / "store.md").read_text(), re.DOTALL)


def test_the_fences_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(FENCES) == 3
    for fence in FENCES:
        exec(compile(fence, "docs/store.md", "exec"), {})
