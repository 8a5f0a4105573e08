"""Build the wheel, install it alone in fresh environments outside the checkout, and run the tests of the public API against it.

    python -m tests.wheel                       # the oldest and the newest versions that pyproject.toml allows, side by side
    python -m tests.wheel --versions newest --python /usr/bin/python3.13

Exit status 1 when a test fails, or when the package is found anywhere but in the fresh environment.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = ("api", "faces", "nodes", "observing")
EXTRAS = ("agent", "openai", "otel")
TOOLS = (
    "pytest>=8.3,<10",
    "pytest-asyncio>=1.0,<2",
    "hypothesis>=6.120,<7",
    "blockbuster>=1.5,<2",
    "langchain-tests>=1.0,<2",
    "langgraph-checkpoint-sqlite>=3.0,<4",
    "aiosqlite>=0.20,<1",
)
SHOWN = ("langgraph", "langchain-core", "langchain", "langchain-openai", "chromadb", "pydantic", "numpy", "SQLAlchemy", "networkx")


def run(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(str(part) for part in command)} failed:\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}")
    return done.stdout


def check(versions: str, python: str, wheel: Path, scratch: Path) -> str:
    """Install and test one set of versions; returns what to print."""
    uv = [sys.executable, "-m", "uv"]
    pins, home = scratch / f"{versions}.txt", scratch / versions
    resolution = "lowest-direct" if versions == "oldest" else "highest"
    extras = [part for extra in EXTRAS for part in ("--extra", extra)]
    run(*uv, "pip", "compile", "-q", "--resolution", resolution, "--python", python, *extras, ROOT / "pyproject.toml", "-o", pins)
    run(*uv, "venv", "-q", "--no-project", "--python", python, home)
    inside = home / "bin" / "python"
    run(*uv, "pip", "install", "-q", "--python", inside, "-r", pins, wheel)
    run(*uv, "pip", "install", "-q", "--python", inside, "-c", pins, *TOOLS)
    work = scratch / f"{versions}-tests"
    work.mkdir()
    shutil.copytree(ROOT / "tests", work / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in ("docs", "graphs"):
        shutil.copytree(ROOT / folder, work / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "pyproject.toml", "langgraph.json"):
        shutil.copy(ROOT / name, work)
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
    found = run(inside, "-c", "import langgraph_fluxmem; print(langgraph_fluxmem.__file__)", cwd=work, env=env).strip()
    if not Path(found).is_relative_to(home):
        raise SystemExit(f"the package was found at {found}, not in {home}")
    told = run(inside, "-m", "pytest", "-p", "no:cacheprovider", *(f"tests/{part}" for part in TESTS), cwd=work, env=env)
    names = ", ".join(repr(name) for name in SHOWN)
    listing = f"from importlib.metadata import version; import platform; print('Python', platform.python_version(), *(f', {{n}} {{version(n)}}' for n in ({names},)))"
    return f"{versions}: {told.strip().splitlines()[-1].strip('= ')} ({run(inside, '-c', listing).strip()})"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.wheel", description="The wheel, alone in fresh environments.")
    parser.add_argument("--versions", nargs="+", choices=("oldest", "newest"), default=("oldest", "newest"))
    parser.add_argument("--python", default=sys.executable, help="interpreter, a version or a path (this one)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fluxmem-wheel-") as folder:
        scratch = Path(folder)
        run(sys.executable, "-m", "uv", "build", "-q", "--wheel", "-o", scratch / "dist", ROOT)
        (wheel,) = (scratch / "dist").glob("*.whl")
        with ThreadPoolExecutor() as pool:
            for line in pool.map(lambda versions: check(versions, given.python, wheel, scratch), given.versions):
                print(line, flush=True)


if __name__ == "__main__":
    main()
