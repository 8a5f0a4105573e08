"""LoCoMo retrieval: one fact per turn, k turns for each question; how much of the evidence is among them.

    python -m tests.benchmarks.locomo --data FILE [--embeddings minilm|offline] [--json FILE] [--presets] [--gate inline]

``fluxmem`` is the library's default; ``dense`` and ``hybrid`` (dense + BM25, min-max sum) are the same memory with all other signals off.
A turn is remembered on its own, its speaker and time as metadata, which is what all three index besides the text. ``--presets`` adds each
preset, and evidence refinement by rules; ``--gate inline`` lets the gate compare each turn while it is remembered. What each signal and
each mechanism earns: `tests.benchmarks.ablation`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.documents import Document

from langgraph_fluxmem import FluxMem
from langgraph_fluxmem.ingestion import drafts
from langgraph_fluxmem.presets import PRESETS
from langgraph_fluxmem.signals import SIGNALS
from tests.benchmarks.common import CachedEmbeddings, paired_bootstrap, print_table, write_json

K = 20
OFF = {signal.name: 0.0 for signal in SIGNALS}
SYSTEMS: dict[str, dict[str, float]] = {"fluxmem": {}, "dense": {**OFF, "dense": 1.0}, "hybrid": {**OFF, "dense": 1.0, "bm25": 1.0}}
COLUMNS = ("system", "recall@5", "recall@10", "recall@20", "all@10", "mrr", "add_ms", "query_ms_p50", "query_ms_p95", "by_category")


@dataclass(frozen=True)
class Question:
    text: str
    category: int
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class Conversation:
    """Turns as documents, whose metadata ``turn`` is the turn's id, and the questions whose evidence is among them."""

    id: str
    documents: list[Document]
    questions: list[Question]

    @property
    def namespace(self) -> tuple[str, str]:
        return ("locomo", self.id)


def conversations(path: str | Path) -> list[Conversation]:
    """Read the file that `--data` names."""
    return [_conversation(raw) for raw in json.loads(Path(path).read_text(encoding="utf-8"))["conversations"]]


def _conversation(raw: Mapping[str, Any]) -> Conversation:
    documents = [
        Document(
            turn["text"] + (f" [shares a photo: {turn['photo']}]" if turn.get("photo") else ""),
            metadata={
                "source": f"{raw['id']}/{turn['session']}",
                "position": position,
                "speaker": turn["speaker"],
                "time": turn["date"],
                "turn": turn["id"],
            },
        )
        for position, turn in enumerate(raw["turns"])
    ]
    known = {turn["id"] for turn in raw["turns"]}
    questions = [
        Question(asked["question"], int(asked["category"]), tuple(turn for turn in dict.fromkeys(asked["evidence"]) if turn in known))
        for asked in raw["questions"]
    ]
    return Conversation(str(raw["id"]), documents, [question for question in questions if question.evidence])


def load(mem: FluxMem, embeddings: CachedEmbeddings, data: Sequence[Conversation]) -> list[float]:
    """Warm the embeddings, then remember every turn on its own; returns the milliseconds of each."""
    for conversation in data:
        embeddings.warm([draft.embedded for draft in drafts(conversation.documents, namespace=conversation.namespace)])
        embeddings.warm([question.text for question in conversation.questions])
    taken: list[float] = []
    for conversation in data:
        for document in conversation.documents:
            start = time.perf_counter()
            mem.remember([document], namespace=conversation.namespace)
            taken.append(1e3 * (time.perf_counter() - start))
    return taken


def ranks(found: Sequence[str], evidence: Sequence[str]) -> list[int]:
    """Place of each piece of evidence among the turns found, from 0; `K` where it is not."""
    place = {turn: rank for rank, turn in enumerate(found)}
    return [place.get(turn, K) for turn in evidence]


@dataclass
class Measured:
    """One row per question: category, ranks of its evidence, milliseconds."""

    categories: list[int]
    ranks: list[list[int]]
    taken: list[float]

    def recall(self, k: int) -> np.ndarray:
        return np.array([np.mean([rank < k for rank in row]) for row in self.ranks])

    def mrr(self) -> np.ndarray:
        return np.array([1 / (1 + min(row)) if min(row) < K else 0.0 for row in self.ranks])

    def row(self, system: str, add_ms: float) -> dict[str, Any]:
        categories, at_ten = np.array(self.categories), self.recall(10)
        return {
            "system": system,
            **{f"recall@{k}": float(self.recall(k).mean()) for k in (5, 10, 20)},
            "all@10": float(np.mean([max(row) < 10 for row in self.ranks])),
            "mrr": float(self.mrr().mean()),
            "by_category": {str(category): float(at_ten[categories == category].mean()) for category in sorted(set(self.categories))},
            "add_ms": add_ms,
            "query_ms_p50": float(np.percentile(self.taken, 50)),
            "query_ms_p95": float(np.percentile(self.taken, 95)),
        }


def measure(mem: FluxMem, data: Sequence[Conversation], signals: Mapping[str, float], **how: Any) -> Measured:
    """Ask every question; `how` goes to `recall`."""
    measured = Measured([], [], [])
    for conversation, question in questions(data):
        start = time.perf_counter()
        activation = mem.recall(question.text, namespace=conversation.namespace, k=K, signals=signals, **how)
        measured.taken.append(1e3 * (time.perf_counter() - start))
        measured.categories.append(question.category)
        measured.ranks.append(ranks([str(fact.metadata["turn"]) for fact in activation.facts], question.evidence))
    return measured


def questions(data: Sequence[Conversation]) -> Iterator[tuple[Conversation, Question]]:
    for conversation in data:
        for question in conversation.questions:
            yield conversation, question


def presets(mem: FluxMem, data: Sequence[Conversation], whole: Measured) -> list[dict[str, Any]]:
    """Each preset, and two rounds of evidence refinement by rules on top of the default, beside the default."""
    chosen: dict[str, dict[str, Any]] = {**{name: {"preset": name} for name in PRESETS}, "balanced, evidence=2": {"evidence": 2}}
    rows: list[dict[str, Any]] = []
    for name, how in chosen.items():
        measured = measure(mem, data, {}, **how)
        mean, low, high = paired_bootstrap(measured.recall(10) - whole.recall(10))
        rows.append({**measured.row(name, 0), "difference": mean, "low": low, "high": high})
    return rows


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.locomo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="the file with conversations and questions")
    parser.add_argument("--embeddings", choices=("minilm", "offline"), default="minilm")
    parser.add_argument(
        "--gate", choices=("off", "inline"), default="off", help="compare each turn with its neighbours while it is remembered"
    )
    parser.add_argument("--json", help="write the rows to this file")
    parser.add_argument("--presets", action="store_true", help="also each preset, and evidence refinement")
    options = parser.parse_args(arguments)
    data = conversations(options.data)
    embeddings = CachedEmbeddings(options.embeddings)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, FluxMem.open(folder, embeddings=embeddings, chroma="off", gate=options.gate) as mem:
        add_ms = float(np.percentile(load(mem, embeddings, data), 50))
        found = {system: measure(mem, data, signals) for system, signals in SYSTEMS.items()}
        rows = [measured.row(system, add_ms) for system, measured in found.items()]
        count = sum(len(conversation.questions) for conversation in data)
        print(f"LoCoMo, {len(data)} conversations, {count} questions, {embeddings.fingerprint}; add_ms is the p50 of one turn at a time\n")
        print_table(rows, COLUMNS)
        if options.presets:
            print("\npresets, and their difference from the default in recall@10 (95% interval)\n")
            preset_rows = presets(mem, data, found["fluxmem"])
            print_table(preset_rows, [*COLUMNS, "difference", "low", "high"])
            rows += preset_rows
    write_json(options.json, rows)
    return rows


if __name__ == "__main__":
    main()
