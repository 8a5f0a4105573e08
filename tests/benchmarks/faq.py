"""Retrieval where nothing was tuned: question-and-answer lists and an index, from manuals that Debian packages.

    python -m tests.benchmarks.faq --fetch DIR [--embeddings minilm|offline|both] [--plain] [--part all|first|second] [--json FILE]
    python -m tests.benchmarks.faq --debian-faq DIR --python-doc DIR

Three corpora. ``debian-faq`` and ``python-faq``: a question is the query, the text below it the passage to be found, from which the question
itself has been taken out. ``python-index``: an entry of the index of Python's documentation is the query, the sections that it points to are
to be found, among all sections of the pages that the index knows. A passage is one document with its page as source and its place there as
position; with ``--plain`` it has neither. ``--fetch`` downloads the packages with apt and unpacks them into a folder (Debian or Ubuntu).

Systems are one memory with other signals: ``fluxmem`` the default preset, ``dense``, ``bm25``, ``hybrid`` (dense + BM25, min-max sum);
rows of a difference hold the 95% interval of a paired bootstrap over queries. ``--part`` takes every other query: the first half has been
looked at when defaults were chosen, the second has not.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.documents import Document

from langgraph_fluxmem import FluxMem
from langgraph_fluxmem.ingestion import drafts
from langgraph_fluxmem.signals import SIGNALS
from tests.benchmarks.common import CachedEmbeddings, paired_bootstrap, print_table, write_json
from tests.benchmarks.pages import Section, index, sections

K = 20
PACKAGES = ("debian-faq", "python3-doc")
OFF = {signal.name: 0.0 for signal in SIGNALS}
SYSTEMS: dict[str, dict[str, float]] = {
    "fluxmem": {},
    "dense": {**OFF, "dense": 1.0},
    "bm25": {**OFF, "bm25": 1.0},
    "hybrid": {**OFF, "dense": 1.0, "bm25": 1.0},
}
MEASURES = ("recall@1", "recall@5", "recall@10", "mrr")
COLUMNS = ("corpus", "embeddings", "system", "queries", "passages", *MEASURES)


@dataclass(frozen=True)
class Corpus:
    """Passages whose metadata ``passage`` is their name, and queries with the names of the passages that answer them."""

    name: str
    documents: list[Document]
    queries: list[tuple[str, tuple[str, ...]]]

    @property
    def namespace(self) -> tuple[str, str]:
        return ("faq", self.name)


def questions_of(name: str, found: Iterable[Section]) -> Corpus:
    """Headings that ask are queries; what stands below them, without their words, are passages, and so is what stands below other headings."""
    documents: list[Document] = []
    queries: list[tuple[str, tuple[str, ...]]] = []
    places: dict[str, int] = {}
    for section in found:
        text = section.text.replace(section.title, "").strip()
        if not text:
            continue
        passage = f"{section.page}#{places.setdefault(section.page, 0)}"
        documents.append(Document(text, metadata={"source": section.page, "position": places[section.page], "passage": passage}))
        places[section.page] += 1
        if section.title.endswith("?"):
            queries.append((section.title, (passage,)))
    return Corpus(name, documents, queries)


def debian_faq(folder: Path) -> Corpus:
    """The Debian FAQ, from the folder of its pages."""
    pages = sorted(folder.glob("*.en.html"))
    if not pages:
        raise SystemExit(f"no *.en.html in {folder}; --debian-faq is the folder with the pages of the package debian-faq")
    return questions_of("debian-faq", (section for page in pages for section in sections(page, page.name)))


def python_faq(folder: Path) -> Corpus:
    """Python's FAQ, from the folder of its documentation in HTML."""
    pages = sorted((folder / "faq").glob("*.html"))
    if not pages:
        raise SystemExit(f"no faq/*.html in {folder}; --python-doc is the html folder of the package python3-doc")
    return questions_of("python-faq", (section for page in pages for section in sections(page, page.name)))


def python_index(folder: Path, limit: int) -> Corpus:
    """At most `limit` entries of the index, picked by hash, over all sections of the pages that it points to."""
    entries = [entry for page in sorted(folder.glob("genindex-?*.html")) if page.name != "genindex-all.html" for entry in index(page)]
    if not entries:
        raise SystemExit(f"no genindex-*.html in {folder}; --python-doc is the html folder of the package python3-doc")
    documents: list[Document] = []
    holds: dict[str, str] = {}
    for page in sorted({link.partition("#")[0] for _, links in entries for link in links}):
        if not (folder / page).exists():
            continue
        for place, section in enumerate(sections(folder / page, page)):
            passage = f"{page}#{place}"
            holds.update((f"{page}#{anchor}", passage) for anchor in section.anchors)
            text = f"{section.title}\n{section.text}".strip()
            if text:
                documents.append(Document(text, metadata={"source": page, "position": place, "passage": passage}))
    wanted: dict[str, tuple[str, ...]] = {}
    for term, links in entries:
        found = tuple(dict.fromkeys(holds[link] for link in links if link in holds))
        if found:
            wanted[term] = tuple(dict.fromkeys((*wanted.get(term, ()), *found)))
    picked = sorted(wanted, key=lambda term: hashlib.blake2b(term.encode(), digest_size=8).digest())[:limit]
    return Corpus("python-index", documents, [(term, wanted[term]) for term in sorted(picked)])


def fetch(folder: Path) -> tuple[Path, Path]:
    """Download and unpack the packages; the folders of the Debian FAQ and of Python's documentation."""
    folder.mkdir(parents=True, exist_ok=True)
    depends = subprocess.run(["apt-cache", "depends", "python3-doc"], check=True, capture_output=True, text=True).stdout.split()
    wanted = [*PACKAGES, *(word for word in depends if word.startswith("python3.") and word.endswith("-doc"))]
    for package in wanted:
        if not list(folder.glob(f"{package}_*.deb")):
            subprocess.run(["apt-get", "download", package], check=True, cwd=folder)
        for archive in folder.glob(f"{package}_*.deb"):
            subprocess.run(["dpkg-deb", "-x", archive.name, "unpacked"], check=True, cwd=folder)
    docs = folder / "unpacked" / "usr" / "share" / "doc"
    return docs / "debian" / "FAQ", next(path for path in sorted(docs.glob("python3.*/html")))


def halved(corpus: Corpus, part: str) -> Corpus:
    """Every other query; ``all``: all of them."""
    start = {"all": None, "first": 0, "second": 1}[part]
    return corpus if start is None else Corpus(corpus.name, corpus.documents, corpus.queries[start::2])


def load(mem: FluxMem, embeddings: CachedEmbeddings, corpus: Corpus, *, plain: bool) -> None:
    """Remember every passage; `plain` ones do not say where they stand."""
    documents = corpus.documents
    if plain:
        documents = [Document(document.page_content, metadata={"passage": document.metadata["passage"]}) for document in documents]
    embeddings.warm([draft.embedded for draft in drafts(documents, namespace=corpus.namespace, split_chars=mem.config.split_chars)])
    embeddings.warm([query for query, _ in corpus.queries])
    mem.remember(documents, namespace=corpus.namespace)


def measure(mem: FluxMem, corpus: Corpus, signals: Mapping[str, float]) -> dict[str, np.ndarray]:
    """(queries,) of each of `MEASURES`: the share of a query's passages among the first k, and 1 / the place of the first of them."""
    out: dict[str, list[float]] = {name: [] for name in MEASURES}
    for query, answers in corpus.queries:
        facts = mem.recall(query, namespace=corpus.namespace, k=K, signals=signals).facts
        found = list(dict.fromkeys(str(fact.metadata["passage"]) for fact in facts))
        places = [found.index(answer) for answer in answers if answer in found]
        for name, k in (("recall@1", 1), ("recall@5", 5), ("recall@10", 10)):
            out[name].append(sum(place < k for place in places) / min(len(answers), k))
        out["mrr"].append(1 / (1 + min(places)) if places else 0.0)
    return {name: np.array(values) for name, values in out.items()}


def compared(corpus: Corpus, embeddings: str, found: Mapping[str, Mapping[str, np.ndarray]]) -> list[dict[str, Any]]:
    """One row per system, then one for each difference from ``fluxmem``."""
    base = {"corpus": corpus.name, "embeddings": embeddings, "queries": len(corpus.queries), "passages": len(corpus.documents)}
    rows = [{**base, "system": system, **{name: float(values[name].mean()) for name in MEASURES}} for system, values in found.items()]
    for system, values in found.items():
        if system != "fluxmem":
            row: dict[str, Any] = {**base, "system": f"fluxmem - {system}"}
            for name in MEASURES:
                mean, low, high = paired_bootstrap(found["fluxmem"][name] - values[name])
                row |= {name: mean, f"{name}_low": low, f"{name}_high": high}
            rows.append(row)
    return rows


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row for people: the intervals beside their means."""
    if f"{MEASURES[0]}_low" not in row:
        return dict(row)
    return {**row, **{name: f"{row[name]:+.3f} [{row[f'{name}_low']:+.3f} {row[f'{name}_high']:+.3f}]" for name in MEASURES}}


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.faq", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fetch", type=Path, help="download the packages into this folder and use them")
    parser.add_argument("--debian-faq", type=Path, help="the folder with the pages of the Debian FAQ")
    parser.add_argument("--python-doc", type=Path, help="the html folder of Python's documentation")
    parser.add_argument("--embeddings", choices=("minilm", "offline", "both"), default="both")
    parser.add_argument("--index-terms", type=int, default=600, help="how many entries of the index are asked (default 600)")
    parser.add_argument("--plain", action="store_true", help="passages without source and position")
    parser.add_argument("--part", choices=("all", "first", "second"), default="all", help="all queries, or one half of them")
    parser.add_argument("--json", help="write the rows to this file")
    options = parser.parse_args(arguments)
    debian, python = fetch(options.fetch) if options.fetch else (options.debian_faq, options.python_doc)
    corpora: list[Corpus] = []
    if debian:
        corpora.append(debian_faq(debian))
    if python:
        corpora += [python_faq(python), python_index(python, options.index_terms)]
    if not corpora:
        parser.error("give --fetch DIR, or --debian-faq DIR and --python-doc DIR")
    rows: list[dict[str, Any]] = []
    for name in ("minilm", "offline") if options.embeddings == "both" else (options.embeddings,):
        embeddings = CachedEmbeddings(name)
        with tempfile.TemporaryDirectory() as folder, FluxMem.open(folder, embeddings=embeddings, chroma="off") as mem:
            for whole in corpora:
                corpus = halved(whole, options.part)
                load(mem, embeddings, corpus, plain=options.plain)
                found = {system: measure(mem, corpus, signals) for system, signals in SYSTEMS.items()}
                rows += compared(corpus, name, found)
    print("passages without source and position\n" if options.plain else "passages with source and position\n")
    print_table([shown(row) for row in rows], COLUMNS)
    write_json(options.json, rows)
    return rows


if __name__ == "__main__":
    main()
