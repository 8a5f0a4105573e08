"""What each part of recall earns: every signal alone and left out, every mechanism of MemFly on and off, every preset.

    python -m tests.benchmarks.ablation --data FILE [--embeddings minilm|offline|both] [--fetch DIR] [--json FILE]

With ``--data`` on LoCoMo (`tests.benchmarks.locomo`, the file that ``--data`` names), and with ``--fetch`` (or ``--debian-faq`` and ``--python-doc``) the
signals also on the two question-and-answer lists of `tests.benchmarks.faq`. A difference is with less without, in recall@10 and MRR, with the
95% interval of a paired bootstrap over questions; one whose interval holds 0 is not certain. A signal alone is asked with nothing else where
it proposes facts; else it judges what ``dense`` and ``bm25`` propose.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from langgraph_fluxmem import FluxMem
from langgraph_fluxmem.presets import PRESETS
from langgraph_fluxmem.signals import SIGNALS, Signal
from tests.benchmarks import faq, locomo
from tests.benchmarks.common import CachedEmbeddings, paired_bootstrap, print_table, write_json

LEARNED = {signal.name for signal in SIGNALS if signal.past}
"""Signals that say nothing before anything was learned or shown."""
TINY = 1e-6
OFF = {signal.name: 0.0 for signal in SIGNALS}
AROUND = ("context", "surroundings", "source", "answers")
"""What looks at the neighbours of a fact and at its source."""
FIRST = 100
"""Facts among which links lead from one to another."""
COLUMNS = ("data", "embeddings", "part", "weight", "alone", "alone mrr", "recall@10", "mrr", "query ms")

Found = tuple[np.ndarray, np.ndarray]
"""recall@10 and reciprocal rank of each question."""
Ask = Callable[..., Found]
"""Weights of signals, and what else `recall` takes, to what is found."""


def on_locomo(mem: FluxMem, data: Sequence[locomo.Conversation]) -> Ask:
    def ask(signals: Mapping[str, float], **how: Any) -> Found:
        measured = locomo.measure(mem, data, signals, **how)
        return measured.recall(10), measured.mrr()

    return ask


def on_faq(mem: FluxMem, corpora: Sequence[faq.Corpus]) -> Ask:
    def ask(signals: Mapping[str, float]) -> Found:
        measured = [faq.measure(mem, corpus, signals) for corpus in corpora]
        return np.concatenate([found["recall@10"] for found in measured]), np.concatenate([found["mrr"] for found in measured])

    return ask


def difference(having: Found, lacking: Found) -> dict[str, float]:
    """What is gained by having something, and the interval."""
    out: dict[str, float] = {}
    for name, one, other in zip(("recall@10", "mrr"), having, lacking, strict=True):
        out[name], out[f"{name} low"], out[f"{name} high"] = paired_bootstrap(one - other)
    return out


def signal_rows(ask: Ask, whole: Found) -> Iterator[dict[str, Any]]:
    """Each signal that asks for nothing learned; those that are off are put on with .1."""
    for signal in SIGNALS:
        if signal.name in LEARNED:
            continue
        found = ask(_alone(signal))
        alone = {"alone": float(found[0].mean()), "alone mrr": float(found[1].mean())}
        if signal.weight:
            yield {"part": signal.name, "weight": signal.weight, **alone, **difference(whole, ask({signal.name: 0.0}))}
        else:
            yield {"part": f"{signal.name} (off; put on)", "weight": 0.1, **alone, **difference(ask({signal.name: 0.1}), whole)}


def _alone(signal: Signal) -> dict[str, float]:
    tiny = {} if signal.propose else {"dense": TINY, "bm25": TINY}
    return {**OFF, **tiny, signal.name: 1.0}


def mechanism_rows(mem: FluxMem, gated: FluxMem, data: Sequence[locomo.Conversation], whole: locomo.Measured) -> Iterator[dict[str, Any]]:
    """The mechanisms of MemFly that recall can do with or without, then presets beside the default."""
    base, ask = (whole.recall(10), whole.mrr()), on_locomo(mem, data)
    notes = sum(len(gated.notes(namespace=conversation.namespace)) for conversation in data)
    links = {conversation.namespace: _links(gated, conversation.namespace) for conversation in data}
    ends = sum(map(len, links.values()))
    yield {"part": f"gate inline ({notes} merges, links at {ends} facts)", **difference(on_locomo(gated, data)({}), base)}
    for weight in (0.1, 0.3):
        unmoved, moved = (_linked(gated, data, links, by) for by in (0.0, weight))
        yield {"part": "links, one hop (off; put on)", "weight": weight, **difference(moved, unmoved)}
    for name in ("keywords", "topics"):
        yield {"part": f"{name} (off; put on)", "weight": 0.3, **difference(ask({name: 0.3}), base)}
    yield {"part": f"neighbours ({', '.join(AROUND)})", **difference(base, ask(dict.fromkeys(AROUND, 0.0)))}
    yield {"part": "evidence refinement by rules, two rounds (off; put on)", **difference(ask({}, evidence=2), base)}
    paths = ask({}, preset="paths")
    for name, signal in (("topics", "topics"), ("keywords", "keywords"), ("neighbours", "context")):
        yield {"part": f"{name}, within preset paths", **difference(paths, ask({signal: 0.0}, preset="paths"))}
    for name in PRESETS:
        measured = locomo.measure(mem, data, {}, preset=name)
        found = measured.recall(10), measured.mrr()
        of_all = {"alone": float(found[0].mean()), "alone mrr": float(found[1].mean()), "query ms": float(np.median(measured.taken))}
        yield {"part": f"preset {name}", **of_all, **difference(found, base)}


def _links(mem: FluxMem, namespace: tuple[str, ...]) -> dict[str, set[str]]:
    """Fact -> the facts that the gate has linked with it."""
    found: dict[str, set[str]] = {}
    for edge in mem.engine.ledger.edges(namespace):
        if edge.kind == "RELATES":
            found.setdefault(edge.src, set()).add(edge.dst)
            found.setdefault(edge.dst, set()).add(edge.src)
    return found


def _linked(
    mem: FluxMem, data: Sequence[locomo.Conversation], links: Mapping[tuple[str, ...], Mapping[str, set[str]]], weight: float
) -> Found:
    """The first facts ranked again: each gains `weight` times the best score, in [0, 1], of those it is linked with."""
    measured = locomo.Measured([], [], [])
    for conversation, question in locomo.questions(data):
        facts = mem.recall(question.text, namespace=conversation.namespace, k=FIRST).facts
        low, high = facts[-1].score, facts[0].score
        scores = {fact.id: (fact.score - low) / max(high - low, TINY) for fact in facts}
        near = links[conversation.namespace]
        gain = {fact.id: max((scores.get(other, 0.0) for other in near.get(fact.id, ())), default=0.0) for fact in facts}
        best = sorted(facts, key=lambda fact: -(scores[fact.id] + weight * gain[fact.id]))  # noqa: B023 - called at once
        measured.categories.append(question.category)
        measured.ranks.append(locomo.ranks([str(fact.metadata["turn"]) for fact in best[: locomo.K]], question.evidence))
    return measured.recall(10), measured.mrr()


@contextmanager
def opened(embeddings: CachedEmbeddings, **options: Any) -> Iterator[FluxMem]:
    """A new memory that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder, FluxMem.open(folder, embeddings=embeddings, chroma="off", **options) as mem:
        yield mem


def ablation(name: str, data: Sequence[locomo.Conversation], corpora: Sequence[faq.Corpus]) -> Iterator[dict[str, Any]]:
    """All rows of one embedding, as they are measured."""
    embeddings = CachedEmbeddings(name)
    if data:
        with opened(embeddings) as mem, opened(embeddings, gate="inline") as gated:
            for each in (mem, gated):
                locomo.load(each, embeddings, data)
            whole = locomo.measure(mem, data, {})
            of_locomo = {"data": "locomo", "embeddings": name}
            found = whole.recall(10), whole.mrr()
            yield {**of_locomo, "part": "all (default)", "alone": float(found[0].mean()), "alone mrr": float(found[1].mean())}
            for row in signal_rows(on_locomo(mem, data), found):
                yield {**of_locomo, **row}
            for row in mechanism_rows(mem, gated, data, whole):
                yield {**of_locomo, **row}
    if corpora:
        with opened(embeddings) as mem:
            for corpus in corpora:
                faq.load(mem, embeddings, corpus, plain=False)
            ask = on_faq(mem, corpora)
            found = ask({})
            of_faq = {"data": "faq", "embeddings": name}
            yield {**of_faq, "part": "all (default)", "alone": float(found[0].mean()), "alone mrr": float(found[1].mean())}
            for row in signal_rows(ask, found):
                yield {**of_faq, **row}


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row for people: intervals beside their means."""
    told = dict(row)
    for name in ("recall@10", "mrr"):
        if name in row:
            told[name] = f"{row[name]:+.4f} [{row[f'{name} low']:+.4f} {row[f'{name} high']:+.4f}]"
    return told


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.ablation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="the file with LoCoMo's conversations and questions")
    parser.add_argument("--embeddings", choices=("minilm", "offline", "both"), default="both")
    parser.add_argument("--fetch", type=Path, help="download the lists of questions and answers into this folder and use them, too")
    parser.add_argument("--debian-faq", type=Path, help="the folder with the pages of the Debian FAQ")
    parser.add_argument("--python-doc", type=Path, help="the html folder of Python's documentation")
    parser.add_argument("--json", help="write the rows to this file")
    options = parser.parse_args(arguments)
    debian, python = faq.fetch(options.fetch) if options.fetch else (options.debian_faq, options.python_doc)
    corpora = [*([faq.debian_faq(debian)] if debian else []), *([faq.python_faq(python)] if python else [])]
    data = locomo.conversations(options.data) if options.data else []
    if not data and not corpora:
        parser.error("give --data FILE, --fetch DIR, or both")
    rows: list[dict[str, Any]] = []
    for name in ("minilm", "offline") if options.embeddings == "both" else (options.embeddings,):
        rows += ablation(name, data, corpora)
    print("recall@10 and MRR: gained by each part, with 95% intervals; alone: what the part finds by itself\n")
    print_table([shown(row) for row in rows], COLUMNS)
    write_json(options.json, rows)
    return rows


if __name__ == "__main__":
    main()
