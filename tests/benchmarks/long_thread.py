"""What a thread of many episodes carries in its state, keeps in the ledger, and pays for knowing what its branch sees.

    python -m tests.benchmarks.long_thread --commits 5000

Commits are made by the memory's own stages on one branch, each on the state that the one before left; at the end the branch is forked in its
middle. Before commits named those they came after, state and ledger held every id of the thread: 35 bytes each, in every checkpoint.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from sqlalchemy import func, select

from langgraph_fluxmem import Episode, FluxMem, Step
from langgraph_fluxmem.branches import branch_of, lineage_of, merge_commits, with_commit
from langgraph_fluxmem.ledger.sql import Statement
from langgraph_fluxmem.ledger.tables import commits
from langgraph_fluxmem.schema import Provenance

HERE = ("memories",)
KEPT = Statement(select(func.sum(func.length(commits.c.seen))))


def run(count: int, every: int) -> list[dict[str, float]]:
    rows: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as place, FluxMem.open(Path(place), chroma="off") as mem:
        channel = lineage_of(None, thread_id="t", start="c")
        ids: list[str] = []
        commit_ms: list[float] = []
        hidden_ms: list[float] = []
        for number in range(1, count + 1):
            episode = Episode(task="open the door", steps=(Step(observation="a door", action=f"try key {number}"),))
            where = Provenance(thread_id="t", lineage=channel["lineage"], checkpoint_id=f"c{number}", checkpoint_ns=f"commit:{number}")
            began = time.perf_counter()
            committed = mem.engine.run(mem.stages.commit(episode, namespace=HERE, provenance=where, branch=branch_of(channel)))
            between = time.perf_counter()
            channel = merge_commits(channel, with_commit(channel, committed.id, committed.after, alone=committed.elsewhere))
            assert not mem.engine.hidden(HERE, branch_of(channel))
            ended = time.perf_counter()
            ids.append(committed.id)
            commit_ms.append(1e3 * (between - began))
            hidden_ms.append(1e3 * (ended - between))
            if number % every == 0:
                rows.append(
                    {
                        "commits": number,
                        "state_bytes": len(json.dumps(channel)),
                        "state_bytes_of_all_ids": len(json.dumps(ids)),
                        "ledger_bytes": mem.engine.ledger.read(lambda session: session.one(KEPT, {}))[0],
                        "ledger_bytes_of_all_ids": sum(35 * n for n in range(number)),
                        "commit_ms": statistics.median(commit_ms[-every:]),
                        "hidden_ms": statistics.median(hidden_ms[-every:]),
                    }
                )
        fork = branch_of({**channel, "ids": [ids[count // 2]]})
        assert len(mem.engine.hidden(HERE, fork)) == count - count // 2 - 1
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commits", type=int, default=5000)
    parser.add_argument("--json", type=Path, help="write the rows here")
    options = parser.parse_args()
    rows = run(options.commits, max(1, options.commits // 5))
    print("| " + " | ".join(rows[0]) + " |")
    for row in rows:
        print("| " + " | ".join(f"{value:.2f}" if isinstance(value, float) else f"{value:,}" for value in row.values()) + " |")
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=1))


if __name__ == "__main__":
    main()
