"""A consolidation in a process of its own, for the test that kills it: python -m tests.consolidation.killed MEMORY CHECKPOINTS LOG new|resume."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from langgraph.checkpoint.sqlite import SqliteSaver

from langgraph_fluxmem import FluxMem
from langgraph_fluxmem.consolidation.graph import consolidation_graph
from langgraph_fluxmem.operators import Judgement, RuleOperators
from langgraph_fluxmem.operators.protocol import Task

from .tasks import HERE


class Logged(RuleOperators):
    """Rules that note in a file what they induce."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def judge(self, task: Task[Any]) -> Judgement[Any]:
        if task.operator == "induce":
            with self.path.open("a") as file:
                file.write(f"{task.draft.name}\n")  # type: ignore[attr-defined]
        return super().judge(task)


def main(memory: str, checkpoints: str, log: str, how: str) -> None:
    with FluxMem.open(memory, chroma="off") as mem, SqliteSaver.from_conn_string(checkpoints) as saver:
        graph = consolidation_graph(mem, model=Logged(Path(log)), checkpointer=saver)
        given = {"namespace": list(HERE), "thresholds": {"lease": 3600.0, "parallel": 2}} if how == "new" else None
        state = graph.invoke(given, {"configurable": {"thread_id": "nightly"}}, durability="sync")
        print(state["report"]["operation"])


if __name__ == "__main__":
    main(*sys.argv[1:])
