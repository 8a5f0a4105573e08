"""How the projections follow the log: incrementally, idempotently, through rewriting, forgetting and undo, from many threads."""

from __future__ import annotations

import tempfile
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from index_writer import NS, Writer, unit

from langgraph_fluxmem.config import Config
from langgraph_fluxmem.errors import ClosedError
from langgraph_fluxmem.index import namespace as namespace_module
from langgraph_fluxmem.index.projections import Projections
from langgraph_fluxmem.ledger import Ledger


class Spy:
    """A ledger that counts what is read of it."""

    def __init__(self, ledger):
        self._ledger = ledger
        self.read = []

    def __getattr__(self, name):
        method = getattr(self._ledger, name)
        if not callable(method):
            return method

        def call(*args, **kwargs):
            result = method(*args, **kwargs)
            self.read.append((name, len(result) if hasattr(result, "__len__") else result))
            return result

        return call

    def rows(self, name):
        return sum(size for called, size in self.read if called == name)


def test_a_view_is_kept_until_the_log_moves(ledger, write):
    write.put("f", "apple")
    spy = Spy(ledger)
    projections = Projections(spy, Config(chroma="off"), directory=None)
    view = projections.view(NS)
    spy.read.clear()
    assert projections.view(NS) is view
    assert [name for name, _ in spy.read] == ["head"]


def test_one_new_fact_reads_one_row(ledger, write):
    write.put_many([(f"f{n}", "apple", {"source": "s", "position": n}) for n in range(300)])
    spy = Spy(ledger)
    projections = Projections(spy, Config(chroma="off"), directory=None)
    projections.view(NS)
    spy.read.clear()
    write.put("new", "pear", source="s", position=300)
    view = projections.view(NS)
    assert view.size == 301
    assert (spy.rows("nodes"), spy.rows("vectors"), spy.rows("changes")) == (1, 1, 1)


def test_evidence_alone_reads_no_rows(ledger, write):
    version = write.put("f", "apple")
    spy = Spy(ledger)
    projections = Projections(spy, Config(chroma="off"), directory=None)
    projections.view(NS)
    spy.read.clear()
    write.judge((version, "progress", 1.0))
    view = projections.view(NS)
    assert view.position == ledger.head(NS)
    assert "nodes" not in [name for name, _ in spy.read]


def test_another_namespace_is_not_read(ledger, write):
    write.put("f", "apple")
    spy = Spy(ledger)
    projections = Projections(spy, Config(chroma="off"), directory=None)
    view = projections.view(NS)
    write.put("g", "pear", namespace=("other",))
    assert projections.view(NS) is view
    assert projections.view(("other",)).size == 1


def test_rewriting_forgetting_and_undo(write, projections, ledger):
    first = write.put("f", "apple", source="s", position=0)
    second = write.put("g", "pear", source="s", position=1)
    assert list(projections.view(NS).ids) == [first, second]
    newer = write.put("f", "plum", source="s", position=0)
    rewriting = write.last
    view = projections.view(NS)
    assert set(view.ids) == {second, newer}
    assert view.order[view.rows_of([newer, second])].tolist() == [0, 1]
    assert (view.df("apple"), view.df("plum")) == (0, 1)
    ledger.undo(rewriting)
    assert set(projections.view(NS).ids) == {first, second}
    write.forget("g")
    forgetting = write.last
    assert list(projections.view(NS).ids) == [first]
    undoing = ledger.undo(forgetting).operation
    view = projections.view(NS)
    assert set(view.ids) == {first, second}
    assert view.neighbours(view.rows_of([first]), 1).tolist() == view.rows_of([second]).tolist()
    ledger.undo(undoing)
    assert list(projections.view(NS).ids) == [first]
    assert projections.verify() == []


def test_an_item_that_loses_its_texts_leaves_the_view(write, projections):
    write.put("f", "apple", kind="item")
    assert projections.view(NS).size == 1
    write.put("f", texts=[], kind="item")
    assert projections.view(NS).size == 0
    write.put("f", "back", kind="item")
    assert projections.view(NS).size == 1
    assert projections.verify() == []


def test_erasure_leaves_nothing(write, projections):
    write.put("f", "secret")
    write.put("g", "apple")
    projections.view(NS)
    write.put("f", "secret again")
    write.forget("f", erase=True)
    view = projections.view(NS)
    assert view.size == 1
    assert view.bm25(["secret"]).tolist() == [0.0]
    assert projections.verify() == []


def test_only_facts_and_items_are_searched(write, projections):
    write.put("f", "apple")
    write.put("i", "apple", kind="item")
    write.put("e", "apple", kind="episode")
    write.put("s", "apple", kind="skill")
    assert projections.view(NS).size == 2
    assert [row.node for row in projections.episodes(NS)] == ["e"]


def test_retired_slots_are_dropped_in_time(write, projections, monkeypatch):
    monkeypatch.setattr(namespace_module, "COMPACT_AT", 8)
    kept = [write.put(f"k{n}", f"apple word{n}", source="s", position=n) for n in range(4)]
    old = projections.view(NS)
    for n in range(30):
        write.put("hot", f"pear{n} apple", source="s", position=10)
        if n % 3 == 0:
            projections.view(NS)
    view = projections.view(NS)
    arrays = projections._follower(NS).arrays
    assert len(arrays) < 20
    assert set(view.ids) == {*kept, view.ids[view.size - 1]}
    assert view.df("apple") == 5
    assert view.order[view.rows_of(kept)].tolist() == [0, 1, 2, 3]
    assert list(old.ids) == kept
    assert old.bm25(["apple"]).tolist() == pytest.approx([old.bm25(["apple"])[0]] * 4)
    assert projections.verify() == []


def test_the_least_recently_used_namespace_is_dropped(ledger, write):
    projections = Projections(ledger, Config(chroma="off", open_namespaces=2), directory=None)
    for name in "abc":
        write.put(f"f-{name}", "apple", namespace=(name,))
    first = projections.view(("a",))
    projections.view(("b",))
    assert projections.view(("a",)) is first
    projections.view(("c",))
    assert projections.view(("a",)) is first
    assert projections.view(("b",)).size == 1
    assert projections.view(("c",)).size == 1
    assert projections.view(("a",)) is not first
    assert len(projections._followers) == 2


def test_after_close(write, projections):
    write.put("f", "apple")
    view = projections.view(NS)
    projections.close()
    projections.close()
    for call in (lambda: projections.view(NS), lambda: projections.graph(NS), projections.verify, projections.rebuild):
        with pytest.raises(ClosedError, match="open it again"):
            call()
    assert view.bm25(["apple"])[0] > 0


def test_a_failure_while_catching_up_is_made_up_for(ledger, write):
    class Failing(Spy):
        fail = False

        def vectors(self, *args):
            if self.fail:
                raise OSError("disk")
            return self._ledger.vectors(*args)

    spy = Failing(ledger)
    projections = Projections(spy, Config(chroma="off"), directory=None)
    write.put("f", "apple", source="s", position=0)
    projections.view(NS)
    write.put("f", "pear", source="s", position=0)
    write.put("g", "plum", source="s", position=1)
    spy.fail = True
    with pytest.raises(OSError, match="disk"):
        projections.view(NS)
    spy.fail = False
    assert projections.view(NS).size == 2
    assert projections.verify() == []


def test_many_threads_read_while_one_writes(ledger, write, projections):
    failures = []
    done = threading.Event()

    def read():
        try:
            sizes = [0]
            while not done.is_set():
                view = projections.view(NS)
                sizes.append(view.size)
                rows = view.dense_top(unit(1), 5)
                assert len(rows) == min(5, view.size)
                scores = view.bm25(["apple"])
                assert scores.shape == (view.size,)
                assert view.df("apple") == int((scores > 0).sum())
                assert len(view.ids) == view.size
                assert (view.neighbours(np.arange(view.size), 1) < view.size).all()
            assert sizes == sorted(sizes)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(150):
        write.put(f"f{n}", "apple" if n % 2 else "pear", source="s", position=-n if n % 5 == 0 else n)
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert projections.view(NS).size == 150
    assert projections.verify() == []


class Following(RuleBasedStateMachine):
    """Any sequence of writes, rewritings, forgettings, undos, reads and rebuilds gives what a fresh read of the ledger gives."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.ledger = Ledger.open(self.folder.name + "/m")
        self.write = Writer(self.ledger)
        self.projections = Projections(self.ledger, Config(chroma="off"), directory=None)
        self.operations = []
        self.nodes = set()

    @rule(
        node=st.integers(0, 6),
        words=st.lists(st.sampled_from(["apple", "pear", "plum"]), max_size=3),
        source=st.sampled_from([None, "s", "t"]),
        position=st.sampled_from([None, 0, 1, 2]),
        texts=st.integers(0, 2),
    )
    def put(self, node, words, source, position, texts):
        made = [(f"p{n}", f"h{node}{words}{n}", " ".join(words)) for n in range(texts)]
        self.write.put(f"n{node}", texts=made, source=source, position=position)
        self.operations.append(self.write.last)
        self.nodes.add(f"n{node}")

    @precondition(lambda self: self.nodes)
    @rule(data=st.data())
    def forget(self, data):
        self.write.forget(data.draw(st.sampled_from(sorted(self.nodes))))
        self.operations.append(self.write.last)

    @precondition(lambda self: self.operations)
    @rule(data=st.data())
    def undo(self, data):
        applied = self.ledger.undo(data.draw(st.sampled_from(self.operations)), cascade=True)
        self.operations.append(applied.operation)

    @rule()
    def rebuild(self):
        self.projections.rebuild()

    @rule()
    def read(self):
        view = self.projections.view(NS)
        expected = {row.id for row in self.ledger.nodes(NS) if row.texts}
        assert set(view.ids) == expected
        assert view.rows_of(list(view.ids)).tolist() == list(range(view.size))

    @invariant()
    def clean(self):
        assert self.projections.verify() == []

    def teardown(self):
        self.projections.close()
        self.ledger.close()
        self.folder.cleanup()


TestFollowing = Following.TestCase
TestFollowing.settings = settings(max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
