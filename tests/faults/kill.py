"""Kill a writing process with SIGKILL at random moments, again and again, and see what the ledger still holds.

    python -m tests.faults.kill --kills 50 [--fault ledger.ack_before_commit:on] [--durability power] [--postgres URL]

A child process writes from several threads (single plans, bursts that share a transaction, undos, erasures) and prints the id of each
operation when it is acknowledged. The parent kills it, reopens the ledger and compares: every acknowledged operation must be there,
every operation that is there must be whole (what it holds follows from its id), positions must have no gaps, and `check()` must be
clean. Then the next child goes on writing to the same memory. With the switch ``ledger.ack_before_commit`` the ledger acknowledges too
early, and this must find losses.
"""

from __future__ import annotations

import argparse
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from langgraph_fluxmem.errors import FluxMemError
from langgraph_fluxmem.ledger import Ledger
from langgraph_fluxmem.edits import CommitWrite, EdgeWrite, EvidenceWrite, NodeWrite, Plan, Text, VectorWrite
from langgraph_fluxmem.schema import Provenance

ROOT = Path(__file__).resolve().parents[2]
NAMESPACES = (("kill", "a"), ("kill", "b"))
DIMS = 16
COMMIT_DELAY = "ledger.before_commit:delay=0.002"
"""Stretches every transaction before its COMMIT, so that a moment chosen at random often falls there. Both the sound and the faulty
ledger run with it."""


def content_of(operation: str, ordinal: int) -> str:
    return f"{operation} writes text {ordinal} " + "and more " * (random.Random(f"{operation}.{ordinal}").randrange(200))


def plan_of(operation: str) -> Plan:
    """The plan that an operation id stands for."""
    rng = random.Random(operation)
    writes: list[object] = []
    for ordinal in range(rng.randrange(1, 6)):
        id_ = f"{operation}/{ordinal}"
        vector = np.random.default_rng(rng.randrange(2**32)).standard_normal(DIMS).astype(np.float32)
        node = NodeWrite(id_, f"node {id_}", "fact", {"content": content_of(operation, ordinal)}, (Text("content", f"hash {id_}", "text"),))
        writes += [node, VectorWrite(f"hash {id_}", vector / np.linalg.norm(vector)), EvidenceWrite(id_, operation, "progress", 1.0)]
        if ordinal:
            writes.append(EdgeWrite("RELATES", f"{operation}/0", id_))
    if rng.random() < 0.3:
        writes.append(CommitWrite(f"commit {operation}", f"episode {operation}", "digest"))
    return Plan(operation, "remember", NAMESPACES[rng.randrange(2)], tuple(writes), Provenance(run_id=f"run {operation}"))  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------------------ the child
def child(address: str, name: str, durability: str) -> None:
    ledger = Ledger.open(address, durability=durability)
    ledger.check_embedding("kill", DIMS)

    def acknowledge(operation: str) -> None:
        os.write(1, f"{operation}\n".encode())

    def singly(thread: int) -> None:
        for i in range(10**9):
            operation = f"{name}.{thread}.{i}"
            ledger.apply(plan_of(operation))
            acknowledge(operation)
            if i % 7 == 3:
                victim = plan_of(f"{name}.{thread}.{i - 1}")
                nodes = [write for write in victim.writes if isinstance(write, NodeWrite)]
                tombstones = tuple(NodeWrite(f"gone {node.id}", node.node, "fact", None, erase=True) for node in nodes)
                ledger.apply(Plan(f"erase.{operation}", "delete", victim.namespace, tombstones))
                acknowledge(f"erase.{operation}")
            elif i % 5 == 4:
                acknowledge(ledger.undo(operation).operation)

    def in_bursts() -> None:
        for i in range(10**9):
            operations = [f"{name}.burst.{i}.{j}" for j in range(8)]
            for operation, future in [(operation, ledger.submit(plan_of(operation))) for operation in operations]:
                future.result()
                acknowledge(operation)

    for target, arguments in ((singly, (0,)), (singly, (1,)), (in_bursts, ())):
        threading.Thread(target=target, args=arguments, daemon=True).start()
    while True:
        signal.pause()


# ----------------------------------------------------------------------------------------------------------------- the parent
@dataclass
class Findings:
    """What the kills showed. `lost`: acknowledged and not there. `wrong`: there and not whole, or other differences."""

    kills: int = 0
    acknowledged: int = 0
    unacknowledged: int = 0
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not self.lost and not self.wrong


def run(
    address: str, kills: int, *, fault: str = "", durability: str = "process", seed: int = 0, least: int = 20, progress: bool = False
) -> Findings:
    """Kill `kills` children one after the other; each gets to acknowledge at least `least` operations. Stops at the first loss."""
    rng = random.Random(seed)
    findings = Findings()
    acknowledged: set[str] = set()
    for number in range(kills):
        acknowledged |= one_kill(address, f"{seed}.{number}", rng.uniform(0.0, 0.25), least, fault, durability)
        findings.kills = number + 1
        compare(address, acknowledged, findings)
        if progress:
            print(
                f"kill {number + 1}: {findings.acknowledged} acknowledged, {len(findings.lost)} lost, {len(findings.wrong)} wrong",
                flush=True,
            )
        if not findings.clean:
            break
    return findings


def one_kill(
    address: str, name: str, after: float, least: int, fault: str, durability: str, variables: Mapping[str, str] | None = None
) -> set[str]:
    """Start a child, kill it `after` seconds from its `least`-th acknowledgement; returns what it acknowledged. `variables` are added to
    the child's environment."""
    faults = ",".join(filter(None, (COMMIT_DELAY, fault)))
    env = {
        **os.environ,
        "FLUXMEM_FAULT": faults,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        **(variables or {}),
    }
    command = [sys.executable, "-m", "tests.faults.kill", "--child", address, "--name", name, "--durability", durability]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=env)
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    received = b""
    deadline: float | None = None
    patience = time.monotonic() + 120
    try:
        while deadline is None or time.monotonic() < deadline:
            until = patience if deadline is None else deadline
            if select.select([pipe], [], [], max(0.0, until - time.monotonic()))[0]:
                chunk = os.read(pipe, 65536)
                if not chunk:
                    raise RuntimeError(f"the writing process ended by itself with {process.wait()}")
                received += chunk
            elif deadline is None:
                raise RuntimeError("the writing process acknowledged nothing for two minutes")
            if deadline is None and received.count(b"\n") >= least:
                deadline = time.monotonic() + after
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        while chunk := os.read(pipe, 65536):
            received += chunk
        process.stdout.close()
    lines = received.decode().split("\n")
    return set(lines[:-1])  # what follows the last line break was not printed whole


def compare(address: str, acknowledged: set[str], findings: Findings) -> None:
    with Ledger.open(address) as ledger:
        held = {row.id: row for row in ledger.operations(limit=10**9)}
        findings.lost = sorted(acknowledged - held.keys())
        findings.acknowledged = len(acknowledged)
        findings.unacknowledged = len(held.keys() - acknowledged)
        findings.wrong = ledger.check()
        if sorted(row.position for row in held.values()) != list(range(1, len(held) + 1)):
            findings.wrong.append("positions have gaps")
        whole = Whole(ledger)
        for operation, row in held.items():
            if row.kind == "remember":
                findings.wrong += whole.differences(operation, undone=row.undone)
        try:
            ledger.apply(Plan(f"after {findings.kills} kills {len(held)}", "note", NAMESPACES[0], ()))
        except FluxMemError as error:
            findings.wrong.append(f"cannot be written any more: {error}")


class Whole:
    """Compares operations with what their ids stand for."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.evidence = {(row.op, row.target) for ns in NAMESPACES for row in ledger.evidence(ns)}
        self.edges = {(row.op, row.src, row.dst) for ns in NAMESPACES for row in ledger.edges(ns)}
        self.commits = {row.id for ns in NAMESPACES for row in ledger.commits(ns)}

    def differences(self, operation: str, *, undone: bool) -> list[str]:
        plan = plan_of(operation)
        rows = self.ledger.load(plan.namespace, [write.id for write in plan.writes if isinstance(write, NodeWrite)])
        found: list[str] = []
        kept = [row.texts[0].hash for row in rows.values() if not row.erased]
        vectors = self.ledger.vectors(plan.namespace, kept)
        op = next((row.op for row in rows.values()), 0)
        for write in plan.writes:
            match write:
                case NodeWrite() if write.id not in rows:
                    found.append(f"{operation}: version {write.id} is missing")
                case NodeWrite() if not rows[write.id].erased and (
                    rows[write.id].body != write.body or rows[write.id].texts != write.texts
                ):
                    found.append(f"{operation}: version {write.id} holds something else")
                case VectorWrite() if write.hash in kept and not np.array_equal(vectors.get(write.hash, ()), write.vector):
                    found.append(f"{operation}: vector {write.hash} is missing or another")
                case EvidenceWrite() if ((op, write.target) in self.evidence) == undone:
                    found.append(f"{operation}: evidence on {write.target} is there: {undone}")
                case EdgeWrite() if ((op, write.src, write.dst) in self.edges) == undone:
                    found.append(f"{operation}: edge to {write.dst} is there: {undone}")
                case CommitWrite() if write.id not in self.commits:
                    found.append(f"{operation}: commit {write.id} is missing")
                case _:
                    pass
        return found


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.kill", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fault", default="", help="a defect to switch on, e.g. ledger.ack_before_commit:on")
    parser.add_argument("--durability", choices=["process", "power"], default="process")
    parser.add_argument("--postgres", help="a postgresql:// address to use instead of a new directory")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--name", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.name, options.durability)
    with tempfile.TemporaryDirectory() as directory:
        address = options.postgres or str(Path(directory) / "memory")
        findings = run(address, options.kills, fault=options.fault, durability=options.durability, seed=options.seed, progress=True)
    print(
        f"{findings.kills} kills: {findings.acknowledged} operations acknowledged, {findings.unacknowledged} more found whole; "
        f"{len(findings.lost)} lost, {len(findings.wrong)} differences"
    )
    for line in (*findings.lost[:5], *findings.wrong[:5]):
        print(" ", line)
    return 0 if findings.clean else 1


if __name__ == "__main__":
    sys.exit(main())
