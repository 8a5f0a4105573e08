"""Recall is deterministic: the same memory gives the same order in other processes, on both drivers and after a rebuild."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from langchain_core.documents import Document

from langgraph_fluxmem import Feedback, FluxMem

NS, SHARED = ("acme", "ada"), ("acme", "shared")
QUERIES = ["which bee is in Riga?", "the cow and the dog", "ant", "who keeps bees beside the river", "ant bee cow dog eel fox"]
WORDS = ["ant", "bee", "cow", "dog", "eel", "fox", "Riga", "river", "keeps"]


def answers(mem: FluxMem) -> list[list[list[object]]]:
    found = [mem.recall(query, namespace=NS, also=[SHARED], k=12) for query in QUERIES]
    return [[[fact.id, fact.score] for fact in activation.facts] for activation in found]


async def async_answers(mem: FluxMem) -> list[list[list[object]]]:
    found = [await mem.arecall(query, namespace=NS, also=[SHARED], k=12) for query in QUERIES]
    return [[[fact.id, fact.score] for fact in activation.facts] for activation in found]


def told(place: Path) -> dict[str, list[list[list[object]]]]:
    """All ways to ask, as this process answers."""
    with FluxMem.open(place, chroma="off") as mem:
        before = answers(mem)
        awaited = asyncio.run(async_answers(mem))
        mem.rebuild()
        return {"sync": before, "async": awaited, "rebuilt": answers(mem)}


def filled(place: Path) -> dict[str, list[list[list[object]]]]:
    """A memory with many equal texts, gaps, learned links, and operations taken back and made again."""
    texts = [" ".join(WORDS[(at * step) % len(WORDS)] for step in (1, 2, 4)) for at in range(30)]
    with FluxMem.open(place, chroma="off") as mem:
        for copy in range(5):  # the same texts under other sources: equal in every signal
            mem.remember([Document(text, metadata={"source": f"s{copy}", "position": at}) for at, text in enumerate(texts)], namespace=NS)
        mem.remember([Document(text, metadata={"n": n}) for n, text in enumerate(texts)], namespace=SHARED)
        activation = mem.recall(QUERIES[0], namespace=NS)
        mem.learn(activation, Feedback(outcome="success", used=(activation.facts[0].id, activation.facts[3].id)))
        mem.remember(["ant bee late"], namespace=NS)
        middle = mem.log(namespace=NS)[-3].id
        answers(mem)
        taken_back = mem.undo(middle, cascade=True)
        answers(mem)
        mem.undo(taken_back.operation)
        return {"live": answers(mem)}


def test_the_same_order_in_two_processes_on_both_drivers_and_after_a_rebuild(tmp_path):
    live = json.loads(json.dumps(filled(tmp_path / "memory")))["live"]
    assert all(len(found) == 12 for found in live)
    assert any(len({score for _, score in found}) < len(found) for found in live), "equal scores are what this is about"
    for found in live:
        assert found == sorted(found, key=lambda one: (-one[1], one[0]))
    for seed in ("0", "4711"):
        code = f"import json; from pathlib import Path; from tests.api.test_determinism import told; print(json.dumps(told(Path({str(tmp_path / 'memory')!r}))))"
        root = Path(__file__).parents[2]
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root, env=environment)
        assert json.loads(done.stdout.splitlines()[-1]) == {"sync": live, "async": live, "rebuilt": live}
