"""Moving a memory: what is exported and imported recalls, advises and knows the same; another embedding loses nothing."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from langgraph_fluxmem import (
    ConfigError,
    EmbeddingMismatchError,
    Episode,
    Feedback,
    FluxMem,
    InvalidContentError,
    InvalidNamespaceError,
    LedgerError,
    NotAMemoryError,
    SchemaVersionError,
    Step,
)
from langgraph_fluxmem.requests import ANYBODY
from langgraph_fluxmem.testing import faults

from .test_compact import NS, live, told, whisper

ADA, BOB = ("acme", "ada"), ("acme", "bob")


class Other:
    """Another embedding: words as they are, hashed."""

    fingerprint = "other"

    def __init__(self, dims: int = 64) -> None:
        self.dims, self.asked = dims, 0

    def embed_query(self, text: str) -> list[float]:
        vector = np.zeros(self.dims)
        for word in text.lower().split():
            vector[int.from_bytes(word.encode(), "big") % self.dims] += 1.0
        return vector.tolist()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.asked += len(texts)
        return [self.embed_query(text) for text in texts]


def full(mem: FluxMem, namespace: tuple[str, ...] = NS) -> None:
    live(mem, namespace)
    whisper(mem, namespace)
    mem.consolidate(namespace=namespace)
    for number in range(6, 9):
        steps = (Step(action=f"open order {number}"), Step(observation="order", action=f"refund order {number}", progress=1.0))
        mem.commit(Episode(task=f"refund order {number}", steps=steps, outcome="success", id=f"order-{number}"), namespace=namespace)


@pytest.mark.parametrize("vectors", [True, False])
def test_a_round_trip_changes_nothing(address: str, tmp_path: Path, vectors: bool) -> None:
    file = tmp_path / "out.jsonl.gz"
    with FluxMem.open(address, chroma="off") as one, FluxMem.open(tmp_path / "two", chroma="off") as two:
        full(one)
        full(one, ADA)
        exported = one.export(file, vectors=vectors)
        assert exported.namespaces == (ADA, NS)
        imported = two.import_(file)
        assert (imported.operations, imported.nodes, imported.duplicates) == (exported.operations, exported.nodes, 0)
        assert (imported.embedded == 0) == vectors
        for namespace in (NS, ADA):
            assert told(two, namespace) == told(one, namespace)
            assert two.store.search(namespace) == one.store.search(namespace)
        assert two.verify() == []
        again = two.import_(file)
        assert (again.operations, again.duplicates) == (0, imported.operations)
        ours, theirs = one.consolidate(), two.consolidate()
        assert (ours.new, ours.explained) == (theirs.new, theirs.explained)
        assert [(skill.name, skill.status) for skill in ours.skills] == [(skill.name, skill.status) for skill in theirs.skills]
        two.remember("The plan costs ten euros.")
        assert len(two.recall("plan costs", k=50).facts) == len(one.recall("plan costs", k=50).facts)
        two.learn("order-3", Feedback(outcome="failure"))
        assert two.verify() == []


def counting(mem: FluxMem, namespace: tuple[str, ...] = NS) -> tuple[object, ...]:
    """What counts: the current version of every node, stored edges, and evidence; positions differ between memories."""
    ledger = mem.engine.ledger
    return (
        sorted(
            (row.id, row.node, row.kind, row.key, row.created_at, str({**(row.body or {}), "position": 0}))
            for row in ledger.nodes(namespace)
        ),
        sorted((edge.kind, edge.src, edge.dst, edge.weight) for edge in ledger.edges(namespace)),
        sorted((row.target, row.activation, row.channel, row.weight) for row in ledger.evidence(namespace)),
    )


def exported(mem: FluxMem) -> str:
    file = io.StringIO()
    mem.export(file)
    return file.getvalue()


def test_a_later_export_is_imported_over_an_earlier_one(tmp_path: Path) -> None:
    """The last operation that a consolidation looked at may be replaced afterwards, and then is not in the later export: the consolidation is
    the same one nevertheless."""
    with (
        FluxMem.open(tmp_path / "one", chroma="off") as one,
        FluxMem.open(tmp_path / "two", chroma="off") as two,
        FluxMem.open(tmp_path / "three", chroma="off") as three,
    ):
        live(one)  # it ends with the second version of an item
        assert one.consolidate(namespace=NS).operation
        first = exported(one)
        two.import_(io.StringIO(first))
        one.store.put(NS, "key", {"text": "third"})
        for number in range(6, 12):
            steps = (Step(action=f"open parcel {number}"), Step(observation="parcel", action=f"send parcel {number}", progress=1.0))
            one.commit(Episode(task=f"send parcel {number}", steps=steps, outcome="success", id=f"order-{number}"), namespace=NS)
        assert one.consolidate(namespace=NS).operation
        second = exported(one)
        done = two.import_(io.StringIO(second))
        assert done.operations == 8
        assert done.duplicates
        assert two.import_(io.StringIO(second)).operations == 0
        assert one.import_(io.StringIO(second)).operations == one.import_(io.StringIO(first)).operations == 0
        three.import_(io.StringIO(second))
        assert counting(two) == counting(three) == counting(one)
        assert told(two) == told(three) == told(one)
        reports = [mem.consolidate(namespace=NS) for mem in (one, two, three)]
        assert [(report.new, report.operation) for report in reports] == [(0, None)] * 3
        assert [mem.verify() for mem in (one, two, three)] == [[], [], []]


def test_an_import_takes_nothing_away(tmp_path: Path) -> None:
    with FluxMem.open(tmp_path / "one", chroma="off") as one, FluxMem.open(tmp_path / "two", chroma="off") as two:
        (fact,) = one.remember("Ada lives in Zanzibar.")
        one.store.put(NS, "key", {"text": "there"})
        two.import_(io.StringIO(exported(one)))
        one.forget(fact)
        one.store.delete(NS, "key")
        one.remember("Ada is on the team plan.")
        assert two.import_(io.StringIO(exported(one))).operations == 1
        assert {row.id for row in two.engine.ledger.nodes(NS)} > {row.id for row in one.engine.ledger.nodes(NS)}
        assert two.store.get(NS, "key") is not None
        assert "Zanzibar" in str(two.recall("Where does Ada live?").facts)


def test_branches_are_kept(tmp_path: Path) -> None:
    from langgraph.checkpoint.memory import InMemorySaver

    from ..nodes.agent import build
    from ..nodes.test_loop import start

    file = io.StringIO()
    with FluxMem.open(tmp_path / "one", chroma="off") as one, FluxMem.open(tmp_path / "two", chroma="off") as two:
        app = build(one).compile(checkpointer=InMemorySaver())
        config = {"configurable": {"thread_id": "t"}}
        app.invoke(start(["open red door", "open green door"]), config)
        first = app.get_state(config).config
        app.invoke(start(["open green door"]), config)
        app.invoke(start(["open red door", "open green door"]), app.update_state(first, {}))
        one.export(file)
        file.seek(0)
        two.import_(file)

        def commits(mem: FluxMem) -> list[object]:
            return [(c.id, c.episode, c.digest, c.seen, c.alone, c.above, c.provenance) for c in mem.engine.ledger.commits(NS)]

        assert len(commits(one)) >= 2
        assert commits(two) == commits(one)
        assert two.engine.hidden(NS, ANYBODY) == one.engine.hidden(NS, ANYBODY) != frozenset()
        assert two.verify() == []


def test_what_was_forgotten_is_not_exported_and_does_not_come_back(tmp_path: Path) -> None:
    with FluxMem.open(tmp_path / "one", chroma="off") as mem:
        (fact,) = mem.remember("Ada lives in Zanzibar.")
        mem.remember("Ada is on the team plan.")
        before, after = io.StringIO(), io.StringIO()
        mem.export(before)
        mem.forget(fact)
        mem.export(after)
        assert "Zanzibar" in before.getvalue()
        assert "Zanzibar" not in after.getvalue()
        before.seek(0)
        assert mem.import_(before).operations == 0
        assert [found.content for found in mem.recall("Zanzibar").facts] == ["Ada is on the team plan."]


def test_some_namespaces_into_others(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    with FluxMem.open(tmp_path / "one", chroma="off") as one, FluxMem.open(tmp_path / "two", chroma="off") as two:
        for namespace in (ADA, BOB, NS):
            live(one, namespace)
        one.export(file, namespaces=[("acme",)], deep=True)
        two.import_(file, into={ADA: ("tenants", "ada")})
        assert two.engine.ledger.namespaces() == [BOB, ("tenants", "ada")]
        assert told(two, ("tenants", "ada")) == told(one, ADA)
        assert two.store.get(("tenants", "ada"), "key").value == {"text": "second"}
        two.learn("order-3", Feedback(outcome="failure"), namespace=("tenants", "ada"))
        assert two.verify() == []
        with pytest.raises(InvalidNamespaceError, match="nothing to export"):
            one.export(file, namespaces=[("nobody",)])
        with FluxMem.open(tmp_path / "three", chroma="off") as three, pytest.raises(ConfigError, match="into="):
            three.import_(file, into={("nobody",): ("x",)})
        with pytest.raises(LedgerError, match="already, in the namespace"):
            two.import_(file)
        with pytest.raises(LedgerError, match="already, in the namespace"):
            one.import_(file, into={ADA: ("tenants", "ada")})
        assert one.verify() == []


def test_what_is_no_export_is_refused(tmp_path: Path) -> None:
    whole = io.StringIO()
    with FluxMem.open(tmp_path / "one", chroma="off") as mem:
        live(mem)
        mem.export(whole)
    lines = whole.getvalue().splitlines(keepends=True)
    header = json.loads(lines[0])
    with FluxMem.open(tmp_path / "two", chroma="off") as mem:
        for text, error in (
            ("", InvalidContentError),
            ("hello", InvalidContentError),
            ('{"a": 1}\n', InvalidContentError),
            (json.dumps(header | {"version": 99}) + "\n", SchemaVersionError),
            (json.dumps(header | {"embedding": ["openai:x", 3]}) + "\n", EmbeddingMismatchError),
            ("".join(lines[:3]), InvalidContentError),
            ("".join(lines[:3]) + lines[3][:20], InvalidContentError),
            (lines[0] + '{"operation": "x", "kind": "remember"}\n', InvalidContentError),
        ):
            with pytest.raises(error):
                mem.import_(io.StringIO(text))
        with pytest.raises(LedgerError, match="cannot read"):
            mem.import_(tmp_path / "none.jsonl")
        with pytest.raises(LedgerError, match="cannot write"):
            mem.export(tmp_path / "no" / "place.jsonl")
        mem.import_(io.StringIO(whole.getvalue()))
        assert mem.verify() == []
    with FluxMem.open(tmp_path / "three", embeddings=Other(), chroma="off") as mem:
        with pytest.raises(EmbeddingMismatchError, match="reembed=True"):
            mem.import_(io.StringIO(whole.getvalue()))
        assert mem.import_(io.StringIO(whole.getvalue()), reembed=True).embedded
        assert mem.recall("what does the plan cost?", k=1).facts[0].content == "The plan costs ten euros."
        assert mem.verify() == []


@pytest.mark.parametrize("harm", ["cut", "bent", "no text"])
def test_a_damaged_file_is_refused_in_words(tmp_path: Path, harm: str) -> None:
    file = tmp_path / ("out.jsonl" if harm == "no text" else "out.jsonl.gz")
    with FluxMem.open(tmp_path / "one", chroma="off") as one:
        one.remember([f"order {number} was refunded in {number * 37} days" for number in range(50)])
        one.export(file)
    whole = file.read_bytes()
    middle = len(whole) // 2
    harmed = {"cut": whole[:middle], "bent": whole[:200] + b"\0\1\2\3" * 40 + whole[360:], "no text": b"\xff\xfe" + whole}
    file.write_bytes(harmed[harm])
    with FluxMem.open(tmp_path / "two", chroma="off") as two, pytest.raises(InvalidContentError, match="no export"):
        two.import_(file)


def test_a_failing_export_leaves_no_file(tmp_path: Path) -> None:
    with FluxMem.open(tmp_path / "one", chroma="off") as mem:
        live(mem)
        (tmp_path / "out.jsonl").write_text("the export of yesterday")
        with faults.armed("export.after_line", "full", at=3), pytest.raises(LedgerError, match="cannot write"):
            mem.export(tmp_path / "out.jsonl")
        assert (tmp_path / "out.jsonl").read_text() == "the export of yesterday"


def test_another_embedding(address: str) -> None:
    with FluxMem.open(address) as mem:
        full(mem)
        mem.flush()
        facts = {row.id: row.body for row in mem.engine.ledger.nodes(NS)}
        log = mem.log(limit=1000)
        with pytest.raises(ConfigError, match="open in this process"):
            FluxMem.reembed(address, Other())
    with pytest.raises(EmbeddingMismatchError, match=r"FluxMem\.reembed"):
        FluxMem.open(address, embeddings=Other())
    planned = FluxMem.reembed(address, Other(), dry_run=True)
    assert planned.texts > 20
    embedding, seen = Other(), []
    done = FluxMem.reembed(address, embedding, progress=seen.append)
    assert (done.texts, done.characters, done.skipped) == (planned.texts, planned.characters, 0)
    assert embedding.asked >= done.texts
    assert seen[-1]["done"] == done.texts
    with FluxMem.open(address, embeddings=Other()) as mem:
        assert {row.id: row.body for row in mem.engine.ledger.nodes(NS)} == facts
        assert mem.log(limit=1000) == log
        assert mem.recall("what does the plan cost?", k=1).facts[0].content == "The plan costs ten euros."
        assert mem.recall("refund order 3").episodes[0].task == "refund order 3"
        mem.remember("A new fact.")
        mem.flush()
        assert mem.verify() == []
    assert FluxMem.reembed(address, Other()).texts == 0


@pytest.mark.parametrize("name", ["reembed.after_batch", "reembed.before_switch"])
def test_embedding_anew_goes_on_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    from langgraph_fluxmem.moving import reembedding

    place = tmp_path / "m"
    with FluxMem.open(place, chroma="off") as mem:
        live(mem)
        expected = told(mem)
    script = (
        "from langgraph_fluxmem import FluxMem; from langgraph_fluxmem.moving import reembedding; from tests.forgetting.test_moving import Other\n"
        f"reembedding.BATCH = 3; FluxMem.reembed({str(place)!r}, Other())"
    )
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ, "FLUXMEM_FAULT": f"{name}:kill@1"}, check=False)
    assert done.returncode == -9
    with FluxMem.open(place, chroma="off") as mem:  # the old embedding serves until it is done
        assert told(mem) == expected
        mem.remember("Written meanwhile.")
        assert mem.verify() == []
    monkeypatch.setattr(reembedding, "BATCH", 3)
    again = Other()
    FluxMem.reembed(place, again)
    assert again.asked
    with FluxMem.open(place, embeddings=Other(), chroma="off") as mem:
        assert mem.recall("written meanwhile", k=1).facts[0].content == "Written meanwhile."
        assert mem.verify() == []


def test_memories_of_the_first_offline_embedding_can_be_moved(tmp_path: Path) -> None:
    class First(Other):
        fingerprint = "offline-1:64"

    with FluxMem.open(tmp_path / "m", embeddings=First(), chroma="off") as mem:
        mem.remember("Ada is on the team plan.")
    with pytest.raises(EmbeddingMismatchError, match=r"FluxMem\.reembed"):
        FluxMem.open(tmp_path / "m")
    assert FluxMem.reembed(tmp_path / "m").texts == 1
    with FluxMem.open(tmp_path / "m", chroma="off") as mem:
        assert mem.recall("plan").facts
    with pytest.raises(NotAMemoryError):
        FluxMem.reembed(tmp_path / "nothing")
