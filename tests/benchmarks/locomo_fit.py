"""Weights of signals fitted with one LoCoMo conversation left out at a time, and measured on that one.

    python -m tests.benchmarks.locomo_fit --data FILE [--embeddings minilm|offline] [--json FILE]

What the weights of the library would find had they been fitted by rule on four conversations and never seen the fifth: one pass of coordinate
ascent from the default weights, each weight tried at shares of itself and a little beside it, for recall@10 + MRR / 2 on the four. A row for each
conversation has the weights that moved; "all" is every question, asked with the weights of its fold, and "defaults" the same questions with the
default weights. Some minutes: every step asks every question.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from langgraph_fluxmem import FluxMem
from langgraph_fluxmem.signals import LEXICAL, SIGNALS
from tests.benchmarks import locomo
from tests.benchmarks.common import CachedEmbeddings, print_table, write_json

COLUMNS = ("left out", "questions", "recall@10", "mrr", "recall@10 defaults", "mrr defaults", "moved")
GAIN = 1e-3
"""What a step must gain to be taken."""

Weights = Mapping[str, float]


class Asked:
    """Every question under some weights, each asked once: recall@10 and reciprocal rank of each."""

    def __init__(self, mem: FluxMem, data: Sequence[locomo.Conversation]) -> None:
        self.mem, self.data = mem, data
        self._known: dict[tuple[int, tuple[tuple[str, float], ...]], tuple[np.ndarray, np.ndarray]] = {}

    def of(self, at: int, weights: Weights) -> tuple[np.ndarray, np.ndarray]:
        """The questions of one conversation."""
        key = (at, tuple(sorted(weights.items())))
        if key not in self._known:
            measured = locomo.measure(self.mem, [self.data[at]], weights)
            self._known[key] = measured.recall(10), measured.mrr()
        return self._known[key]

    def worth(self, conversations: Sequence[int], weights: Weights) -> float:
        """recall@10 + MRR / 2 over the questions of some conversations."""
        found = [self.of(at, weights) for at in conversations]
        return float(np.concatenate([recall for recall, _ in found]).mean() + np.concatenate([rank for _, rank in found]).mean() / 2)


def defaults(embeddings: str) -> dict[str, float]:
    """The weights that are on before anything was learned."""
    weights = {signal.name: signal.weight for signal in SIGNALS if signal.weight and not signal.past}
    return {**weights, **LEXICAL} if embeddings == "offline" else weights


def fitted(asked: Asked, conversations: Sequence[int], start: Weights) -> dict[str, float]:
    """One pass of coordinate ascent on some conversations."""
    weights = dict(start)
    best = asked.worth(conversations, weights)
    for name in start:
        now = weights[name]
        beside = (0.0, 0.5 * now, 0.75 * now, 1.25 * now, 1.5 * now, now + 0.1, max(0.0, now - 0.1), now + 0.2)
        for tried in sorted({round(value, 3) for value in beside} - {now}):
            worth = asked.worth(conversations, {**weights, name: tried})
            if worth > best + GAIN:
                best, weights = worth, {**weights, name: tried}
    return weights


def rows_of(asked: Asked, start: Weights) -> list[dict[str, Any]]:
    """A row for each conversation left out, then one for all of them."""
    rows: list[dict[str, Any]] = []
    found: list[tuple[np.ndarray, np.ndarray]] = []
    plain = [asked.of(at, start) for at in range(len(asked.data))]

    def row(name: str, own: Sequence[tuple[np.ndarray, np.ndarray]], other: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
        recall, rank, recall_defaults, rank_defaults = (
            float(np.concatenate([pair[part] for pair in pairs]).mean()) for pairs in (own, other) for part in (0, 1)
        )
        return {
            "left out": name,
            "questions": sum(len(recalls) for recalls, _ in own),
            "recall@10": recall,
            "mrr": rank,
            "recall@10 defaults": recall_defaults,
            "mrr defaults": rank_defaults,
        }

    for at, conversation in enumerate(asked.data):
        weights = fitted(asked, [other for other in range(len(asked.data)) if other != at], start)
        found.append(asked.of(at, weights))
        moved = " ".join(f"{name} {start[name]:g}>{weight:g}" for name, weight in weights.items() if weight != start[name])
        rows.append({**row(conversation.id, found[-1:], plain[at : at + 1]), "moved": moved or "nothing"})
    return [*rows, {**row("all", found, plain), "moved": ""}]


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.locomo_fit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="the file with conversations and questions")
    parser.add_argument("--embeddings", choices=("minilm", "offline"), default="minilm")
    parser.add_argument("--json", help="write the rows to this file")
    options = parser.parse_args(arguments)
    data = locomo.conversations(options.data)
    embeddings = CachedEmbeddings(options.embeddings)
    with tempfile.TemporaryDirectory() as folder, FluxMem.open(folder, embeddings=embeddings, chroma="off") as mem:
        locomo.load(mem, embeddings, data)
        rows = rows_of(Asked(mem, data), defaults(options.embeddings))
    print_table(rows, COLUMNS)
    write_json(options.json, rows)
    return rows


if __name__ == "__main__":
    main()
