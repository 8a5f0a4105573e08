"""Every Python fence of the README, and of the page on judgement, runs as it stands, and the commands CI calls are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
JUDGEMENT = (ROOT / "docs" / "judgement.md").read_text()
FENCES = re.findall(r"```python\n(.*?)```", README + JUDGEMENT, re.DOTALL)


def test_there_are_fences() -> None:
    assert len(FENCES) >= 2


@pytest.mark.parametrize("number", range(len(FENCES)))
def test_fence_runs(number: int, tmp_path: Path) -> None:
    script = tmp_path / "fence.py"
    script.write_text(FENCES[number])
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_commands_are_one_line_each() -> None:
    for name in ("demo", "test"):
        block = re.search(rf"<!-- command: {name} -->\n```bash\n(.*?)```", README, re.DOTALL)
        assert block is not None
        assert block[1].count("\n") == 1
