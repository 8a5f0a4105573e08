"""Many documents: in batches, with a progress, and after an interruption without embedding twice."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from langgraph_fluxmem import FluxMem
from langgraph_fluxmem.errors import ConfigError, EmbeddingFailedError, InvalidContentError

TEXTS = [f"Fact number {number} is about box {number}." for number in range(50)]


class Counting:
    """Writes each text it embeds to a file; dies, or raises, before the batch that holds `end`."""

    lexical = True
    fingerprint = "counting"

    def __init__(self, log: Path, end: str | None = None, kill: bool = False) -> None:
        self.log, self.end, self.kill = log, end, kill

    def embed_documents(self, texts):
        if self.end in texts:
            if self.kill:
                os._exit(7)
            raise RuntimeError("no more")
        with self.log.open("a") as file:
            file.writelines(f"{text}\n" for text in texts)
        return [[1.0, float(len(text))] for text in texts]

    def embed_query(self, text):
        return [1.0, 0.0]


def killed(folder: str, log: str, where: str) -> None:
    """In a process of its own: remember all, and be killed in the middle."""
    embeddings = Counting(Path(log), TEXTS[33] if where == "embedding" else None, kill=True)

    def progress(state):
        if where == "progress" and state["done"] >= 30:
            os._exit(7)

    with FluxMem.open(folder, embeddings=embeddings, chroma="off") as mem:
        mem.remember(iter(TEXTS), batch=10, progress=progress)


@pytest.mark.parametrize("where", ["progress", "embedding"])
def test_a_killed_remember_goes_on_without_embedding_twice(tmp_path, where):
    log = tmp_path / "embedded.txt"
    code = f"from tests.ingestion.test_bulk import killed; killed({str(tmp_path / 'mem')!r}, {str(log)!r}, {where!r})"
    run = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False)
    assert run.returncode == 7
    assert len(log.read_text().splitlines()) == 30
    seen = []
    with FluxMem.open(tmp_path / "mem", embeddings=Counting(log), chroma="off") as mem:
        ids = mem.remember(iter(TEXTS), batch=10, progress=seen.append)
        assert len(set(ids)) == 50
        assert [state["stored"] for state in seen] == [0, 0, 0, 10, 20]
        assert mem.remember(TEXTS) == ids
    embedded = log.read_text().splitlines()
    assert sorted(embedded) == sorted(TEXTS), "each once"


def test_progress_and_ids_are_those_of_one_call(tmp_path):
    seen = []
    with FluxMem.open(tmp_path, chroma="off") as mem:
        ids = mem.remember([*TEXTS, TEXTS[0]], batch=20, progress=seen.append)
        assert seen == [
            {"done": 20, "total": 51, "stored": 20},
            {"done": 40, "total": 51, "stored": 40},
            {"done": 51, "total": 51, "stored": 50},
        ]
        assert ids[0] == ids[50]
        loaded = mem.engine.ledger.load(("memories",), ids)
        assert [loaded[id_].body["content"] for id_ in ids[:50]] == TEXTS
        assert mem.remember("one", progress=seen.append)
        assert seen[-1] == {"done": 1, "total": 1, "stored": 1}
        assert mem.remember([], batch=3) == []


async def test_the_async_twin_does_the_same(tmp_path):
    seen = []
    async with await FluxMem.aopen(tmp_path, chroma="off") as mem:
        assert len(await mem.aremember((text for text in TEXTS), batch=25, progress=seen.append)) == 50
    assert seen[0] == {"done": 25, "total": None, "stored": 25}


def test_a_failing_batch_stores_none_of_itself_and_keeps_those_before(tmp_path):
    with FluxMem.open(tmp_path / "a", embeddings=Counting(tmp_path / "log", TEXTS[12]), chroma="off") as mem:
        with pytest.raises(EmbeddingFailedError):
            mem.remember(TEXTS, batch=10)
        assert len(mem.engine.ledger.nodes(("memories",))) == 10
    with FluxMem.open(tmp_path / "b", chroma="off") as mem:
        with pytest.raises(InvalidContentError, match="document 12"):
            mem.remember([*TEXTS[:12], " "], batch=10)
        assert len(mem.engine.ledger.nodes(("memories",))) == 10


@pytest.mark.parametrize("batch", [0, -1, 2.5, True])
def test_a_batch_is_a_number_of_documents(tmp_path, batch):
    with FluxMem.open(tmp_path, chroma="off") as mem, pytest.raises(ConfigError, match="batch is"):
        mem.remember(TEXTS, batch=batch)
