"""Every Python fence of the README and of the pages in docs/ runs as it stands, and the commands CI calls are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCES = {
    f"{page.relative_to(ROOT)}:{number}": fence
    for page in PAGES
    for number, fence in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL), 1)
}


def test_there_are_fences() -> None:
    assert len(FENCES) >= 2
    assert "README.md:1" in FENCES


@pytest.mark.parametrize("name", FENCES)
def test_fence_runs(name: str, tmp_path: Path) -> None:
    script = tmp_path / "fence.py"
    script.write_text(FENCES[name])
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_commands_are_one_line_each() -> None:
    for name in ("demo", "test"):
        block = re.search(rf"<!-- command: {name} -->\n```bash\n(.*?)```", README, re.DOTALL)
        assert block is not None
        assert block[1].count("\n") == 1
