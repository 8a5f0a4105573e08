"""LoCoMo, learning from feedback: half of the questions are asked and judged, then memory is frozen and the other half is measured.

    python -m tests.benchmarks.locomo_feedback --data FILE [--embeddings minilm|offline] [--seeds 1,2,3,4,5,6] [--json FILE]

For each question of the first half the agent retrieves 20 turns, says which of them were evidence (`Feedback(used=...)`) and whether all
evidence was there (the outcome). The second half is then asked of that memory and of one that never learned. ``placebo`` learns the same
sets, each given to another question of its conversation; ``repeats`` asks the first half again with 40% of the words dropped. ``covered``
are questions of which some evidence was revealed. Intervals: bootstrap over questions; a question that several seeds ask is drawn as one.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from langgraph_fluxmem import Feedback, FluxMem
from langgraph_fluxmem.ingestion import drafts
from tests.benchmarks.common import CachedEmbeddings, clustered_bootstrap, print_table, write_json
from tests.benchmarks.locomo import Conversation, Question, conversations, ranks

SHOWN = 20
"""Turns retrieved for each question."""
DROPPED = 0.4
"""Share of the words that a repeat lacks."""
SEEDS = (1, 2, 3, 4, 5, 6)
GROUPS = ("all", "categories 1-4", "covered", "uncovered", "placebo", "repeats")
COLUMNS = ("group", "before", "after", "delta", "low", "high", "mrr_delta", "questions")


@dataclass
class Split:
    """One seed's halves of one conversation: indices into its questions."""

    first: list[int]
    second: list[int]


@dataclass
class Group:
    """Pairs of measurements: the question they belong to, recall@10 and reciprocal rank before and after."""

    question: list[tuple[str, int]] = field(default_factory=list)
    before: list[tuple[float, float]] = field(default_factory=list)
    after: list[tuple[float, float]] = field(default_factory=list)

    def add(self, question: tuple[str, int], before: tuple[float, float], after: tuple[float, float]) -> None:
        self.question.append(question)
        self.before.append(before)
        self.after.append(after)

    def row(self, name: str) -> dict[str, Any]:
        before, after = np.array(self.before).reshape(-1, 2), np.array(self.after).reshape(-1, 2)
        delta, low, high = clustered_bootstrap((after - before)[:, 0], self.question)
        return {
            "group": name,
            "before": float(before[:, 0].mean()) if len(before) else 0.0,
            "after": float(after[:, 0].mean()) if len(after) else 0.0,
            "delta": delta,
            "low": low,
            "high": high,
            "mrr_delta": float((after - before)[:, 1].mean()) if len(before) else 0.0,
            "questions": len(set(self.question)),
        }


def ingest(mem: FluxMem, embeddings: CachedEmbeddings, data: Sequence[Conversation]) -> None:
    """Remember every turn as a fact of its conversation's namespace."""
    for conversation in data:
        embeddings.warm([draft.embedded for draft in drafts(conversation.documents, namespace=conversation.namespace)])
        embeddings.warm([question.text for question in conversation.questions])
        mem.remember(conversation.documents, namespace=conversation.namespace)


def split(conversation: Conversation, seed: int) -> Split:
    """A random half of a conversation's questions, and the other."""
    order = list(range(len(conversation.questions)))
    random.Random(f"{seed} {conversation.id}").shuffle(order)
    middle = len(order) // 2
    return Split(sorted(order[:middle]), sorted(order[middle:]))


def noisy(text: str, seed: int) -> str:
    """The text with `DROPPED` of its words left out, at least one of them kept."""
    words = text.split()
    kept = max(1, len(words) - round(DROPPED * len(words)))
    return " ".join(words[index] for index in sorted(random.Random(f"{seed} {text}").sample(range(len(words)), kept)))


def asked(mem: FluxMem, conversation: Conversation, text: str, evidence: Sequence[str]) -> tuple[float, float]:
    """Recall@10 and reciprocal rank (0 beyond `SHOWN`) of the evidence."""
    activation = mem.recall(text, namespace=conversation.namespace, k=SHOWN)
    found = ranks([str(fact.metadata["turn"]) for fact in activation.facts], evidence)
    best = min(found)
    return float(np.mean([rank < 10 for rank in found])), 1 / (1 + best) if best < SHOWN else 0.0


def teach(
    mem: FluxMem, conversation: Conversation, first: Sequence[int], shuffled: Mapping[int, Sequence[str]] | None = None
) -> dict[int, dict[str, str]]:
    """Ask and judge the first half; returns the ids revealed for each question, and their turns. With `shuffled`, those are revealed instead."""
    revealed: dict[int, dict[str, str]] = {}
    for index in first:
        question = conversation.questions[index]
        activation = mem.recall(question.text, namespace=conversation.namespace, k=SHOWN)
        wanted = set(question.evidence)
        used = revealed[index] = {fact.id: str(fact.metadata["turn"]) for fact in activation.facts if fact.metadata["turn"] in wanted}
        given = list(used) if shuffled is None else list(shuffled[index])
        mem.learn(activation, Feedback(outcome="success" if len(used) == len(wanted) else "failure", used=given, origin="user"))
    return revealed


def exchanged(revealed: Mapping[int, Mapping[str, str]], seed: int) -> dict[int, Sequence[str]]:
    """The revealed sets, each given to another question (one cycle in random order)."""
    order = sorted(revealed)
    random.Random(seed).shuffle(order)
    return {index: list(revealed[order[place - 1]]) for place, index in enumerate(order)}


def run_seed(
    base: Path, scratch: Path, embeddings: CachedEmbeddings, data: Sequence[Conversation], seed: int, groups: Mapping[str, Group], cold: Any
) -> None:
    """Teach copies of the `base` memory and measure them; `cold` holds what each text gets from a memory that never learned."""
    for name in ("taught", "placebo"):
        shutil.copytree(base, scratch / name)
    with (
        FluxMem.open(base, embeddings=embeddings, chroma="off") as untaught,
        FluxMem.open(scratch / "taught", embeddings=embeddings, chroma="off") as taught,
        FluxMem.open(scratch / "placebo", embeddings=embeddings, chroma="off") as placebo,
    ):

        def before(conversation: Conversation, text: str, evidence: Sequence[str]) -> tuple[float, float]:
            key = (conversation.id, text, tuple(evidence))
            if key not in cold:
                cold[key] = asked(untaught, conversation, text, evidence)
            return cold[key]

        for conversation in data:
            halves = split(conversation, seed)
            revealed = teach(taught, conversation, halves.first)
            teach(placebo, conversation, halves.first, exchanged(revealed, seed))
            known = {turn for used in revealed.values() for turn in used.values()}
            for index in halves.second:
                question = conversation.questions[index]
                name, was = (conversation.id, index), before(conversation, question.text, question.evidence)
                now = asked(taught, conversation, question.text, question.evidence)
                for group in _groups_of(question, known):
                    groups[group].add(name, was, now)
                groups["placebo"].add(name, was, asked(placebo, conversation, question.text, question.evidence))
            again = {index: noisy(conversation.questions[index].text, seed) for index in halves.first}
            embeddings.warm(list(again.values()))
            for index, text in again.items():
                evidence = conversation.questions[index].evidence
                groups["repeats"].add(
                    (conversation.id, index), before(conversation, text, evidence), asked(taught, conversation, text, evidence)
                )


def _groups_of(question: Question, known: set[str]) -> list[str]:
    return ["all", *(["categories 1-4"] if question.category <= 4 else []), "covered" if known & set(question.evidence) else "uncovered"]


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.locomo_feedback", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="the file with conversations and questions")
    parser.add_argument("--embeddings", choices=("minilm", "offline"), default="minilm")
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)), help="one split of the questions for each")
    parser.add_argument("--json", help="write the rows to this file")
    options = parser.parse_args(arguments)
    data, seeds = conversations(options.data), [int(seed) for seed in options.seeds.split(",")]
    embeddings = CachedEmbeddings(options.embeddings)
    groups = {name: Group() for name in GROUPS}
    cold: dict[Any, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "base"
        with FluxMem.open(base, embeddings=embeddings, chroma="off") as mem:
            ingest(mem, embeddings, data)
        for number, seed in enumerate(seeds, 1):
            run_seed(base, Path(folder) / f"seed-{seed}", embeddings, data, seed, groups, cold)
            shutil.rmtree(Path(folder) / f"seed-{seed}")
            print(
                f"seed {seed} ({number} of {len(seeds)}): all {groups['all'].row('all')['delta']:+.4f} so far", file=sys.stderr, flush=True
            )
    rows = [group.row(name) for name, group in groups.items()]
    print(
        f"LoCoMo, learning from feedback: {len(data)} conversations, {len(seeds)} seeds, {embeddings.fingerprint}; recall@10, 95% intervals\n"
    )
    print_table(rows, COLUMNS)
    write_json(options.json, rows)
    return rows


if __name__ == "__main__":
    main()
