"""Lose power: kill a writing process and drop every write that was not synced.

    python -m tests.faults.power --losses 20 --durability power

A preloaded shim (unsynced.c) keeps a copy of each file as it was when it was last synced. After the kill the memory consists of these
copies alone. With ``durability="power"`` every acknowledged write must be among them; with ``"process"`` some are lost, which shows that
the test can tell.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.faults import kill

SHIM = Path(__file__).with_name("unsynced.c")


def compiled(directory: Path) -> Path:
    """The shim as a shared library; raises FileNotFoundError where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise FileNotFoundError("a C compiler is needed to intercept fsync")
    library = directory / "unsynced.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SHIM), "-ldl"], check=True)
    return library


def run(base: Path, losses: int, *, durability: str, seed: int = 0, progress: bool = False) -> kill.Findings:
    """Lose power `losses` times, the next process going on with what the one before left on the platter. Stops at the first difference."""
    library, disk, platter = compiled(base), base / "disk", base / "platter"
    findings, acknowledged = kill.Findings(), set[str]()
    disk.mkdir()
    for number in range(losses):
        shutil.rmtree(platter, ignore_errors=True)
        if number:
            shutil.copytree(disk, platter)
        else:
            platter.mkdir()
        variables = {"LD_PRELOAD": str(library), "FLUXMEM_DISK": str(disk), "FLUXMEM_PLATTER": str(platter)}
        rng = kill.random.Random(f"{seed}.{number}")
        acknowledged |= kill.one_kill(str(disk), f"{seed}.{number}", rng.uniform(0.0, 0.25), 20, "", durability, variables)
        shutil.rmtree(disk)
        disk.mkdir()
        for file in platter.iterdir():
            if not file.name.startswith("half-") and not file.name.endswith("-shm"):
                shutil.copy(file, disk)
        findings.kills = number + 1
        kill.compare(str(disk), acknowledged, findings)
        if progress:
            print(
                f"loss {number + 1}: {findings.acknowledged} acknowledged, {len(findings.lost)} lost, {len(findings.wrong)} wrong",
                flush=True,
            )
        if not findings.clean:
            break
    return findings


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.power", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--losses", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--durability", choices=["process", "power"], default="power")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        findings = run(Path(os.path.realpath(directory)), options.losses, durability=options.durability, seed=options.seed, progress=True)
    print(
        f"{findings.kills} losses of power: {findings.acknowledged} acknowledged, {len(findings.lost)} lost, {len(findings.wrong)} differences"
    )
    return 0 if findings.clean else 1


if __name__ == "__main__":
    sys.exit(main())
