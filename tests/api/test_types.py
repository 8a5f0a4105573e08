"""What users write passes a strict type checker, and what is wrong does not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def test_what_users_write_is_typed(tmp_path: Path) -> None:
    pytest.importorskip("pyright")  # where a wheel is tested alone it is not there
    settings = tmp_path / "pyrightconfig.json"
    strict = {"typeCheckingMode": "strict", "reportUnnecessaryTypeIgnoreComment": "error", "reportMissingTypeStubs": False}
    others = {"reportUnknownMemberType": False, "reportUnknownVariableType": False, "reportUnknownArgumentType": False}
    settings.write_text(json.dumps({**strict, **others, "include": [str(HERE / "typed.py")]}))
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "-p", str(settings)]
    done = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
