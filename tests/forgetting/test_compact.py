"""Compaction: nothing is left in any file of what was forgotten, what counts stays as it was, and the past is gone as far as asked."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document

from langgraph_fluxmem import ConfigError, Episode, Feedback, FluxMem, LedgerError, Step, UnknownIdError
from langgraph_fluxmem.testing import faults

from .bytes_of import files_with, holds, left_of

MARK = "qxzforgetme"
"""Begins every word that is to be forgotten."""
NS = ("memories",)


def told(mem: FluxMem, namespace: tuple[str, ...] = NS) -> list[Any]:
    out: list[Any] = []
    for query in ("which plan?", "tea and biscuits", "refund order 3", f"{MARK}secret plan"):
        activation = mem.recall(query, namespace=namespace)
        out += [[(fact.id, fact.content, fact.score) for fact in activation.facts], [(e.id, e.score) for e in activation.episodes]]
        out += [[(step.id, step.score) for step in activation.steps], [(skill.id, skill.score) for skill in activation.skills]]
        out += [[said.score for said in activation.advise(["open order 3", "refund order 3"])]]
    return out


def live(mem: FluxMem, namespace: tuple[str, ...] = NS) -> None:
    mem.remember(["The plan costs ten euros.", "Tea comes with biscuits."], namespace=namespace)
    for number in range(6):
        steps = (Step(action=f"open order {number}"), Step(observation="order", action=f"refund order {number}", progress=1.0))
        mem.commit(Episode(task=f"refund order {number}", steps=steps, outcome="success", id=f"order-{number}"), namespace=namespace)
    activation = mem.recall("what does the plan cost?", namespace=namespace)
    mem.learn(activation, Feedback(outcome="success", used=[activation.facts[0].id]))
    mem.store.put(namespace, "key", {"text": "first"})
    mem.store.put(namespace, "key", {"text": "second"})


def whisper(mem: FluxMem, namespace: tuple[str, ...] = NS) -> None:
    """Everything that text can come in by."""
    mem.remember(
        [
            Document(f"{MARK}content of a fact", metadata={"source": f"{MARK}source", "speaker": f"{MARK}speaker", "x": [f"{MARK}meta"]}),
            Document(f"{MARK}version one", id=f"{MARK}document"),
        ],
        namespace=namespace,
    )
    mem.remember(Document(f"{MARK}version two of Zürich", id=f"{MARK}document"), namespace=namespace)
    mem.store.put(namespace, f"{MARK}key", {f"{MARK}field": f"{MARK}value"})
    mem.store.put(namespace, f"{MARK}key", {"text": f"{MARK}other value"})
    mem.store.put(namespace, f"{MARK}gone", {"text": f"{MARK}deleted"})
    mem.store.delete(namespace, f"{MARK}gone")
    activation = mem.recall(f"{MARK}query", namespace=namespace)
    steps = (
        Step(
            observation={f"{MARK}name": f"{MARK}observed"},
            action={"name": f"{MARK}tool", "args": {"q": f"{MARK}argument"}},
            result=f"{MARK}result",
            notes=(f"{MARK}note",),
            used=(activation.facts[0].id,),
            progress=1.0,
        ),
    )
    mem.commit(
        Episode(task=f"{MARK}task", steps=steps, outcome="success", id="secret", metadata={"k": f"{MARK}metadata"}), namespace=namespace
    )
    mem.learn("secret", Feedback(outcome="failure", detail=f"{MARK}detail"), namespace=namespace)
    mem.learn(activation, Feedback(outcome="success", used=[activation.facts[0].id], detail=f"{MARK}said"))
    for number in range(5):
        walk = (Step(action=f"{MARK}walk {number}"), Step(observation="there", action=f"{MARK}look at {number}", progress=1.0))
        mem.commit(Episode(task=f"{MARK}stroll to {number}", steps=walk, outcome="success", id=f"stroll-{number}"), namespace=namespace)
    mem.undo(mem.log(limit=1)[0].id)


def marked(mem: FluxMem, namespace: tuple[str, ...] = NS) -> list[str]:
    """Ids of what was whispered; what is made of it is found by `forget`."""
    rows = [
        *mem.engine.ledger.nodes(namespace),
        *mem.engine.ledger.load(namespace, [c.target for c in mem.engine.ledger.changes(0)]).values(),
    ]
    return list(dict.fromkeys(row.node for row in rows if row.kind != "skill" and (holds(str(row.body).encode(), MARK))))


@pytest.mark.parametrize("keep", [None, 0, 5])
def test_no_file_and_no_table_holds_what_was_forgotten(address: str, keep: int | None) -> None:
    with FluxMem.open(address) as mem:
        live(mem)
        expected = told(mem)
        whisper(mem)
        mem.consolidate()
        assert any(MARK in str(row.body) for row in mem.engine.ledger.nodes(NS, kinds=("skill",)))
        mem.flush()
        assert left_of(address, MARK)
        assert left_of(address, "biscuits")  # the search finds what is there
        skills = {row.id for row in mem.engine.ledger.nodes(NS, kinds=("skill",)) if MARK not in str(row.body)}
        mem.forget(marked(mem))
        compacted = mem.compact(keep=keep)
        assert compacted.left == ()
        assert left_of(address, MARK) == []
        assert mem.verify() == []
        found = told(mem)
        assert found[0::5] == expected[0::5]  # facts, their ids and scores
        assert {row.id for row in mem.engine.ledger.nodes(NS, kinds=("skill",))} == skills
    assert left_of(address, MARK) == []
    with FluxMem.open(address) as mem:
        assert told(mem)[0::5] == expected[0::5]
        assert mem.verify() == []


def test_a_whole_namespace(address: str) -> None:
    with FluxMem.open(address) as mem:
        live(mem, ("acme", "bob"))
        whisper(mem, ("acme", "ada"))
        mem.consolidate(namespace=("acme", "ada"))
        mem.flush()
        expected = told(mem, ("acme", "bob"))
        mem.forget(namespace=("acme", "ada"))
        mem.compact()
        assert left_of(address, MARK) == []
        assert told(mem, ("acme", "bob")) == expected
        assert mem.verify() == []


def test_recall_stays_and_the_past_goes(tmp_path: Path) -> None:
    with FluxMem.open(tmp_path / "m", chroma="off") as mem:
        live(mem)
        mem.remember(Document("first", id="d"))
        mem.remember(Document("second", id="d"))
        remembered = mem.log(limit=1)[0].id
        mem.commit(Episode(task="undone", steps=(Step(action="wave"),), outcome="success", id="undone"))
        mem.undo(mem.log(limit=1)[0].id)
        mem.consolidate()
        expected = told(mem)
        versions, operations = len(mem.engine.ledger.changes(0)), len(mem.log(limit=1000))
        compacted = mem.compact(keep=0)
        assert (compacted.versions, compacted.horizon) == (3, operations)  # the items' and the document's first, the undone episode
        assert len(mem.engine.ledger.changes(0)) < versions
        assert mem.verify() == []
        assert told(mem) == expected
        for operation in (remembered, "nothing"):
            with pytest.raises((LedgerError, UnknownIdError), match="compacted"):
                mem.undo(operation)
        assert mem.compact(keep=0).versions == 0
        mem.rebuild()
        assert told(mem) == expected
        mem.remember("A new fact.")
        mem.undo(mem.log(limit=1)[0].id)
        assert told(mem) == expected
        assert mem.verify() == []
    with FluxMem.open(tmp_path / "m", chroma="off") as mem:
        assert told(mem) == expected


def test_what_is_kept_can_be_undone(tmp_path: Path) -> None:
    with FluxMem.open(tmp_path / "m", chroma="off") as mem:
        for text in ("one", "two", "three", "four"):
            mem.remember(Document(text, id="d"))
        compacted = mem.compact(keep=1)
        assert (compacted.horizon, compacted.versions, compacted.operations) == (3, 2, 2)
        assert [fact.content for fact in mem.recall("four").facts] == ["four"]
        mem.undo(next(row.id for row in mem.log() if row.position == 4))
        assert [fact.content for fact in mem.recall("three").facts] == ["three"]
        with pytest.raises(LedgerError, match="compacted up to 3"):
            mem.undo(next(row.id for row in mem.log() if row.position == 3))
        assert mem.verify() == []
        assert mem.compact(keep=0).horizon >= 5
        assert [fact.content for fact in mem.recall("three").facts] == ["three"]
        assert mem.verify() == []


def test_a_later_undo_holds_the_horizon_back(tmp_path: Path) -> None:
    with FluxMem.open(tmp_path / "m", chroma="off") as mem:
        for text in ("one", "two", "three"):
            mem.remember(Document(text, id="d"))
        for number in range(3):
            mem.remember(f"other {number}")
        taken = mem.undo(next(row.id for row in mem.log() if row.position == 3))
        assert mem.compact(keep=1).horizon == 2
        mem.undo(taken.operation)
        assert mem.recall("three", k=1).facts[0].content == "three"
        assert mem.verify() == []


def test_by_age(tmp_path: Path) -> None:
    with FluxMem.open(tmp_path / "m", chroma="off") as mem:
        mem.remember(Document("one", id="d"))
        mem.remember(Document("two", id="d"))
        assert mem.compact(keep=dt.timedelta(days=1)).horizon == 0
        assert mem.compact(keep=dt.timedelta(0)).versions == 1
        with pytest.raises(ConfigError, match="keep"):
            mem.compact(keep="all")
        with pytest.raises(ConfigError, match="keep"):
            mem.compact(keep=-1)


def test_a_forgotten_episode_stays_forgotten_after_compaction(tmp_path: Path) -> None:
    with FluxMem.open(tmp_path / "m", chroma="off") as mem:
        episode = Episode(task="refund order 1", steps=(Step(action="refund"),), outcome="success", id="one")
        commit = mem.commit(episode)
        mem.forget("one")
        mem.compact(keep=0)
        assert mem.commit(episode) == commit
        assert mem.recall("refund order 1").episodes == ()
        assert mem.verify() == []


def test_another_process_that_had_not_come_so_far_reads_anew(tmp_path: Path) -> None:
    """A follower that saw the first versions only must not go on showing them: their end is not in the log any more."""
    from langgraph_fluxmem.config import Config
    from langgraph_fluxmem.index.projections import Projections
    from langgraph_fluxmem.ledger import Ledger

    with FluxMem.open(tmp_path / "m", chroma="off") as mem:
        for number in range(4):
            mem.store.put(NS, f"key {number}", {"text": f"item {number}"})
        mem.commit(Episode(task="wave", steps=(Step(action="wave"),), outcome="success", id="wave"))
        with Ledger.open(tmp_path / "m") as other:
            projections = Projections(other, Config.of(chroma="off"), directory=None)
            assert projections.view(NS).size == 4
            for number in range(3):
                mem.store.delete(NS, f"key {number}")
            mem.compact(keep=0)
            assert projections.view(NS).size == 1
            assert projections.verify() == []
            projections.close()


POINTS = [
    "compact.after_horizon",
    "compact.after_namespace",
    "ledger.before_commit",
    "compact.after_vacuum",
]


@pytest.mark.parametrize("name", POINTS)
def test_killed_at_a_point_it_goes_on(tmp_path: Path, name: str) -> None:
    place = tmp_path / "m"
    with FluxMem.open(place, chroma="off") as mem:
        live(mem)
        expected = told(mem)
        whisper(mem)
        mem.forget(marked(mem))
    script = f"from langgraph_fluxmem import FluxMem; mem = FluxMem.open({str(place)!r}, chroma='off'); mem.compact(keep=0)"
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ, "FLUXMEM_FAULT": f"{name}:kill@1"}, check=False)
    assert done.returncode == -9
    with FluxMem.open(place, chroma="off") as mem:
        assert mem.verify() == []
        assert told(mem)[0::5] == expected[0::5]
        mem.compact(keep=0)
        assert mem.verify() == []
        assert told(mem)[0::5] == expected[0::5]
        assert files_with(place, MARK) == []


@pytest.mark.parametrize("action", ["raise", "full"])
@pytest.mark.parametrize("name", ["compact.after_horizon", "compact.before_clean", "compact.after_vacuum"])
def test_a_failure_leaves_a_sound_memory(tmp_path: Path, name: str, action: str) -> None:
    with FluxMem.open(tmp_path / "m", chroma="off") as mem:
        live(mem)
        expected = told(mem)
        with faults.armed(name, action), pytest.raises((faults.FaultError, OSError)):
            mem.compact(keep=0)
        assert mem.verify() == []
        assert told(mem) == expected
        mem.remember("Writing goes on.")
        mem.compact(keep=0)
        assert mem.verify() == []


STEPS = st.lists(
    st.tuples(st.sampled_from(["remember", "put", "delete", "commit", "learn", "undo", "forget", "compact", "reset"]), st.integers(0, 4)),
    min_size=3,
    max_size=14,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS, st.integers(0, 6))
def test_what_counts_stays_whatever_went_before(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], keep: int) -> None:
    place = tmp_path_factory.mktemp("compaction")
    with FluxMem.open(place / "m", chroma="off") as mem:
        for verb, number in steps:
            match verb:
                case "remember":
                    mem.remember([Document(f"fact {number} of {len(mem.log())}", id=str(number)), f"plain fact {number}"])
                case "put":
                    mem.store.put(NS, f"key {number}", {"text": f"item {len(mem.log())}"})
                case "delete":
                    mem.store.delete(NS, f"key {number}")
                case "commit":
                    mem.commit(
                        Episode(
                            task=f"task {number}", steps=(Step(action=f"do {number}", progress=1.0),), outcome="success", id=str(number)
                        )
                    )
                case "learn":
                    activation = mem.recall(f"fact {number}")
                    if activation.facts:
                        mem.learn(activation, Feedback(outcome="success", used=[activation.facts[0].id]))
                case "undo":
                    log = mem.log()
                    if (
                        number < len(log)
                        and log[number].kind not in ("forget", "compact")
                        and log[number].position > mem.engine.ledger.horizon()
                    ):
                        try:
                            mem.undo(log[number].id, cascade=True)
                        except LedgerError as error:
                            assert "erased" in str(error) or "compacted" in str(error)
                case "forget":
                    found = mem.recall(f"fact {number}").facts
                    if found:
                        mem.forget(found[0].id)
                case "compact":
                    with faults.armed("compact.before_clean"), pytest.raises(faults.FaultError):
                        mem.compact(keep=number)
                case "reset":
                    mem.reset_learning()
            assert mem.verify() == []
        expected = told(mem)
        with faults.armed("compact.before_clean"), pytest.raises(faults.FaultError):
            mem.compact(keep=keep)
        assert mem.verify() == []
        assert told(mem) == expected
        mem.rebuild()
        assert told(mem) == expected
