"""A process killed while it writes loses nothing it acknowledged and leaves nothing half; and this test can tell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from langgraph_fluxmem.ledger import Ledger
from tests.faults import kill, power


def test_kills_lose_nothing_acknowledged(tmp_path):
    findings = kill.run(str(tmp_path / "memory"), 8, seed=1)
    assert (findings.lost, findings.wrong) == ([], [])
    assert findings.acknowledged >= 160


def test_acknowledging_before_commit_is_found_out(tmp_path):
    findings = kill.run(str(tmp_path / "memory"), 8, seed=1, fault="ledger.ack_before_commit:on")
    assert findings.lost
    assert findings.wrong == []  # what is there is whole all the same


needs_shim = pytest.mark.skipif(
    sys.platform != "linux" or not (shutil.which("cc") or shutil.which("gcc")), reason="intercepting fsync needs Linux and a C compiler"
)


@needs_shim
def test_power_loss_loses_nothing_acknowledged_with_durability_power(tmp_path):
    findings = power.run(tmp_path, 4, durability="power")
    assert (findings.lost, findings.wrong) == ([], [])
    assert findings.acknowledged >= 80


@needs_shim
def test_power_loss_takes_unsynced_writes_and_leaves_the_rest_whole(tmp_path):
    findings = power.run(tmp_path, 4, durability="process")
    assert findings.lost
    assert findings.wrong == []


# ----------------------------------------------------------------------------------------------------------- every named point
WRITER = """
import sys
from langgraph_fluxmem.ledger import Ledger
from tests.faults import kill
ledger = Ledger.open(sys.argv[1])
ledger.check_embedding("kill", kill.DIMS)
for operation in ("first", "second", "third"):
    ledger.apply(kill.plan_of(operation))
    print(operation, flush=True)
"""
KEPT = {
    "ledger.before_begin": False,
    "ledger.after_operation": False,
    "ledger.after_writes": False,
    "ledger.before_commit": False,
    "ledger.after_commit": True,
    "ledger.before_ack": True,
}


@pytest.mark.parametrize("point", KEPT)
def test_killed_at_a_fault_point(tmp_path, point):
    env = {**os.environ, "FLUXMEM_FAULT": f"{point}:kill@2", "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "-c", WRITER, str(tmp_path / "m")], capture_output=True, text=True, env=env, timeout=120)
    assert done.returncode == -9, done.stderr
    assert done.stdout.split() == ["first"]
    with Ledger.open(tmp_path / "m") as ledger:
        ledger.check_embedding("kill", kill.DIMS)
        assert ledger.check() == []
        assert [row.id for row in ledger.operations()] == (["second", "first"] if KEPT[point] else ["first"])
        again = ledger.apply(kill.plan_of("second"))  # the caller, who heard nothing, tries again
        assert (again.position, again.duplicate) == (2, KEPT[point])
        for operation in ("first", "second"):
            assert kill.Whole(ledger).differences(operation, undone=False) == []


def test_specification_of_faults():
    from langgraph_fluxmem.testing import faults

    with pytest.raises(ValueError, match="name:action"):
        faults.arm_from_environment("ledger.before_commit")
    with pytest.raises(ValueError, match="expected one of"):
        faults.arm_from_environment("ledger.before_commit:explode")
    faults.arm_from_environment("some.point:raise@2, some.switch:on")
    try:
        assert faults.switch("some.switch")
        assert not faults.switch("other.switch")
        faults.point("some.point")
        with pytest.raises(faults.FaultError, match="some.point"):
            faults.point("some.point")
        faults.point("some.point")  # spent
        faults.point("another.point")
    finally:
        faults.disarm()
    assert not faults.switch("some.switch")
