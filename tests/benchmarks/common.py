"""What the benchmarks share: cached embeddings, tables, JSON, paired bootstrap."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings

from langgraph_fluxmem.embeddings import Embedder, resolve
from langgraph_fluxmem.text import content_hash

EMBEDDINGS = {"minilm": "local", "offline": None}


def cache_folder() -> Path:
    """Where benchmarks keep what is costly to make: ``$FLUXMEM_CACHE``, else the user's cache folder; never the checkout."""
    given = os.environ.get("FLUXMEM_CACHE")
    folder = Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "langgraph_fluxmem"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class CachedEmbeddings(Embeddings):
    """An embedding whose vectors are kept by text, in this process and on disk, so that it is no part of any timing once `warm`ed."""

    def __init__(self, name: str) -> None:
        self._embedder: Embedder = resolve(EMBEDDINGS[name])
        self.fingerprint = self._embedder.fingerprint
        self.lexical = self._embedder.lexical
        self._held: dict[str, np.ndarray] = {}
        self._disk: sqlite3.Connection | None = None
        if name != "offline":
            self._disk = sqlite3.connect(cache_folder() / f"embeddings-{name}.sqlite", check_same_thread=False)
            self._disk.execute(
                "CREATE TABLE IF NOT EXISTS vectors (fingerprint TEXT, hash TEXT, vector BLOB, PRIMARY KEY (fingerprint, hash))"
            )

    def warm(self, texts: Sequence[str]) -> None:
        """Make the vectors of these texts now."""
        wanted = {content_hash(text): text for text in texts if text not in self._held}
        for key, text in list(wanted.items()) if self._disk else ():
            row = self._disk.execute("SELECT vector FROM vectors WHERE fingerprint = ? AND hash = ?", (self.fingerprint, key)).fetchone()
            if row is not None:
                self._held[wanted.pop(key)] = np.frombuffer(row[0], np.float32)
        missing = list(wanted.items())
        for start in range(0, len(missing), 256):
            part = missing[start : start + 256]
            vectors = self._embedder.embed([text for _, text in part])
            if self._disk is not None:
                rows = [(self.fingerprint, key, vector.tobytes()) for (key, _), vector in zip(part, vectors, strict=True)]
                self._disk.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?, ?)", rows)
                self._disk.commit()
            self._held.update(zip((text for _, text in part), vectors, strict=True))

    def embed_documents(self, texts: list[str]) -> Any:
        if any(text not in self._held for text in texts):
            self.warm(texts)
        return [self._held[text] for text in texts]

    def embed_query(self, text: str) -> Any:
        return self.embed_documents([text])[0]


def print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Rows as aligned text; floats with three digits, mappings as ``key value`` pairs."""
    cells = [list(columns), *([_cell(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    for line in cells:
        print(
            "  ".join(
                text.ljust(width) if index == 0 else text.rjust(width) for index, (text, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
        )


def write_json(path: str | Path | None, rows: Sequence[Mapping[str, Any]]) -> None:
    """``{"rows": [...]}`` into a file; None: nowhere."""
    if path is not None:
        Path(path).write_text(json.dumps({"rows": list(rows)}, indent=2) + "\n", encoding="utf-8")


def paired_bootstrap(differences: Sequence[float] | np.ndarray, *, draws: int = 10_000, seed: int = 0) -> tuple[float, float, float]:
    """Mean of paired differences and its 95% percentile interval (low, high)."""
    values = np.asarray(differences, dtype=np.float64)
    if not len(values):
        return 0.0, 0.0, 0.0
    generator = np.random.default_rng(seed)
    means = np.concatenate([values[generator.integers(0, len(values), (100, len(values)))].mean(axis=1) for _ in range(draws // 100)])
    low, high = np.percentile(means, [2.5, 97.5])
    return float(values.mean()), float(low), float(high)


def clustered_bootstrap(
    differences: Sequence[float] | np.ndarray, groups: Sequence[Hashable], *, draws: int = 10_000, seed: int = 0
) -> tuple[float, float, float]:
    """Mean of paired differences and its 95% percentile interval, where those of one group are drawn together."""
    values = np.asarray(differences, dtype=np.float64)
    if not len(values):
        return 0.0, 0.0, 0.0
    numbers = {name: number for number, name in enumerate(dict.fromkeys(groups))}
    of = np.array([numbers[name] for name in groups])
    sums, counts = np.bincount(of, weights=values), np.bincount(of)
    generator = np.random.default_rng(seed)
    drawn = (generator.integers(0, len(sums), (100, len(sums))) for _ in range(draws // 100))
    means = np.concatenate([sums[rows].sum(axis=1) / counts[rows].sum(axis=1) for rows in drawn])
    low, high = np.percentile(means, [2.5, 97.5])
    return float(values.mean()), float(low), float(high)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, Mapping):
        return "  ".join(f"{key} {_cell(item)}" for key, item in value.items())
    return "" if value is None else str(value)
