"""The same twenty facts and questions in several languages: is the fact of each question found?

    python -m tests.benchmarks.languages [--embeddings offline|minilm] [--mixed] [--json rows.json]

Beside FluxMem, on the same texts: BM25 alone over plain words (lower case, split at what is no letter or digit; what most do), and dense
alone. ``--mixed`` keeps the facts of all languages in one namespace, where a question must find the one in its own language.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from langgraph_fluxmem import FluxMem
from langgraph_fluxmem.signals import SIGNALS
from tests.benchmarks.common import CachedEmbeddings, print_table, write_json
from tests.benchmarks.languages_data import PAIRS

OFF = {signal.name: 0.0 for signal in SIGNALS}
SYSTEMS: Mapping[str, Mapping[str, float]] = {"fluxmem": {}, "lexical": {**OFF, "bm25": 1.0}, "dense": {**OFF, "dense": 1.0}}
"""`lexical`: this library's BM25 alone."""
COLUMNS = ("language", *(f"{system}@{k}" for system in (*SYSTEMS, "bm25") for k in (1, 5)))
_WORD = re.compile(r"\w+")


def bm25(facts: Sequence[str], question: str, k1: float = 1.2, b: float = 0.75) -> list[int]:
    """Facts by plain BM25, best first; those that share no word are left out."""
    documents = [Counter(_WORD.findall(fact.lower())) for fact in facts]
    lengths = np.array([sum(document.values()) for document in documents])
    scores = np.zeros(len(facts))
    for word in _WORD.findall(question.lower()):
        tf = np.array([document[word] for document in documents])
        df = np.count_nonzero(tf)
        scores += np.log1p((len(facts) - df + 0.5) / (df + 0.5)) * tf * (k1 + 1) / (tf + k1 * (1 - b + b * lengths / lengths.mean()))
    return [int(at) for at in np.argsort(-scores, kind="stable") if scores[at] > 0]


def measure(embeddings: str = "offline", mixed: bool = False) -> list[dict[str, Any]]:
    """Recall@1 and @5 of each system in each language."""
    embedder = CachedEmbeddings(embeddings)
    every = [fact for pairs in PAIRS.values() for fact, _ in pairs]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, FluxMem.open(folder, embeddings=embedder, chroma="off") as mem:
        for language, pairs in PAIRS.items():
            mem.remember([fact for fact, _ in pairs], namespace=("all",) if mixed else ("languages", language))
        for language, pairs in PAIRS.items():
            namespace = ("all",) if mixed else ("languages", language)
            facts = every if mixed else [fact for fact, _ in pairs]
            row: dict[str, Any] = {"language": language}
            found = {
                system: [
                    [fact.content for fact in mem.recall(question, namespace=namespace, k=5, signals=signals).facts]
                    for _, question in pairs
                ]
                for system, signals in SYSTEMS.items()
            }
            found["bm25"] = [[facts[at] for at in bm25(facts, question)] for _, question in pairs]
            for system, ranked in found.items():
                for k in (1, 5):
                    row[f"{system}@{k}"] = float(np.mean([fact in answer[:k] for (fact, _), answer in zip(pairs, ranked, strict=True)]))
            rows.append(row)
    means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0] if key != "language"}
    return [*rows, {"language": "mean", **means}]


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.languages", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--embeddings", choices=("offline", "minilm"), default="offline")
    parser.add_argument("--mixed", action="store_true", help="all languages in one namespace")
    parser.add_argument("--json", help="write the rows to this file")
    options = parser.parse_args(arguments)
    rows = measure(options.embeddings, options.mixed)
    print(
        f"20 facts and questions in each of {len(PAIRS)} languages, {options.embeddings} embedding{', one namespace' if options.mixed else ''}\n"
    )
    print_table(rows, COLUMNS)
    write_json(options.json, rows)
    return rows


if __name__ == "__main__":
    main()
