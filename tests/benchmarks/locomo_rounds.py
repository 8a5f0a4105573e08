"""LoCoMo, within one question: pages of ten facts, five rounds, feedback after each page.

    python -m tests.benchmarks.locomo_rounds --data FILE [--embeddings minilm|offline] [--json FILE]

``static`` shows the next ten of the first ranking. ``refine`` is told which of the shown turns are evidence (`used`) and whether all of it
has been shown (the outcome), and refinement chooses the next page; ``refine, outcome alone`` is not told what was used. A question whose
evidence has all been shown is finished. Nothing is learned: each question starts from the same memory. Intervals: bootstrap over questions.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from langgraph_fluxmem import Feedback, FluxMem
from tests.benchmarks.common import CachedEmbeddings, paired_bootstrap, print_table, write_json
from tests.benchmarks.locomo import Conversation, Question, conversations, questions
from tests.benchmarks.locomo_feedback import ingest

PAGE, ROUNDS = 10, 5
MULTI_HOP = 1
"""Category of the questions whose evidence lies in several places."""
COLUMNS = ("variant", "round", "recall", "all_found", "multi_hop", "low", "high", "by_category")


def found_static(mem: FluxMem, conversation: Conversation, question: Question) -> list[float]:
    """Share of the evidence among the first 10, 20, ... of one ranking."""
    activation = mem.recall(question.text, namespace=conversation.namespace, k=PAGE * ROUNDS)
    turns = [str(fact.metadata["turn"]) for fact in activation.facts]
    return [_share(turns[: PAGE * number], question) for number in range(1, ROUNDS + 1)]


def found_refined(mem: FluxMem, conversation: Conversation, question: Question, *, tell: bool) -> list[float]:
    """Share of the evidence shown after each round of refinement; `tell`: what was used is fed back, too."""
    wanted = set(question.evidence)
    activation = mem.recall(question.text, namespace=conversation.namespace, k=PAGE)
    shown: list[str] = []
    shares: list[float] = []
    for number in range(ROUNDS):
        shown += [str(fact.metadata["turn"]) for fact in activation.facts]
        shares.append(_share(shown, question))
        if shares[-1] == 1.0 or number == ROUNDS - 1:
            break
        used = [fact.id for fact in activation.facts if fact.metadata["turn"] in wanted] if tell else []
        activation = mem.refine(activation, Feedback(outcome="failure", used=used, origin="user"), k=PAGE)
    return shares + [shares[-1]] * (ROUNDS - len(shares))


def _share(turns: Sequence[str], question: Question) -> float:
    return len(set(turns) & set(question.evidence)) / len(question.evidence)


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.locomo_rounds", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="the file with conversations and questions")
    parser.add_argument("--embeddings", choices=("minilm", "offline"), default="minilm")
    parser.add_argument("--json", help="write the rows to this file")
    options = parser.parse_args(arguments)
    data, embeddings = conversations(options.data), CachedEmbeddings(options.embeddings)
    every = list(questions(data))
    with tempfile.TemporaryDirectory() as folder, FluxMem.open(folder, embeddings=embeddings, chroma="off") as mem:
        ingest(mem, embeddings, data)
        static = np.array([found_static(mem, *one) for one in every])
        refined = np.array([found_refined(mem, *one, tell=True) for one in every])
        untold = np.array([found_refined(mem, *one, tell=False) for one in every])
    categories = np.array([question.category for _, question in every])
    rows: list[dict[str, Any]] = []
    for variant, shares in (("static", static), ("refine", refined), ("refine, outcome alone", untold)):
        rows += [_row(variant, number, shares[:, number], shares[:, number] == 1.0, categories) for number in range(ROUNDS)]
    for variant, shares in (("refine - static", refined), ("refine, outcome alone - static", untold)):
        for number in range(ROUNDS):
            difference = shares[:, number] - static[:, number]
            _, low, high = paired_bootstrap(difference)
            whole = (shares[:, number] == 1.0).astype(float) - (static[:, number] == 1.0)
            rows.append({**_row(variant, number, difference, whole, categories), "low": low, "high": high})
    print(
        f"LoCoMo, within one question: {len(data)} conversations, {len(every)} questions, {embeddings.fingerprint}; 95% intervals of recall\n"
    )
    print_table(rows, COLUMNS)
    write_json(options.json, rows)
    return rows


def _row(variant: str, number: int, recall: np.ndarray, whole: np.ndarray, categories: np.ndarray) -> dict[str, Any]:
    by_category = {str(category): float(recall[categories == category].mean()) for category in sorted(set(categories.tolist()))}
    return {
        "variant": variant,
        "round": number + 1,
        "recall": float(recall.mean()),
        "all_found": float(np.mean(whole)),
        "multi_hop": by_category.get(str(MULTI_HOP), 0.0),
        "by_category": by_category,
    }


if __name__ == "__main__":
    main()
