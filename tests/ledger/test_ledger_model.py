"""The ledger against a plain model: random plans, undos and readings of the past, with reopening in between."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from langgraph_fluxmem.errors import DependentsError, LedgerError
from langgraph_fluxmem.ledger import Ledger
from langgraph_fluxmem.edits import EdgeWrite, VectorWrite

from ledger_support import ADA, BOB, DIMS, CommitWrite, content_hash, evidence, fact, gone, plan, vector

NODES = ["n1", "n2"]
TEXTS = ["red", "green", "blue"]


@dataclass
class Op:
    id: str
    position: int
    ns: tuple[str, ...]
    versions: list[tuple[str, str, str | None, bool]] = field(default_factory=list)  # id, node, text (None: tombstone), erases
    targets: list[str] = field(default_factory=list)
    edges: list[tuple[str, str]] = field(default_factory=list)
    undoes: list[int] = field(default_factory=list)
    bases: set[int] = field(default_factory=set)


class Model:
    """All operations in order; everything else is computed from them, slowly."""

    def __init__(self) -> None:
        self.log: list[Op] = []

    def live(self, at: int | None = None) -> set[int]:
        log = self.log if at is None else [op for op in self.log if op.position <= at]
        dead: set[int] = set()
        for op in reversed(log):
            if op.position not in dead:
                dead.update(op.undoes)
        return {op.position for op in log} - dead

    def erased(self) -> dict[str, int]:
        """Version id -> position of the operation that erased it: undoing does not bring content back."""
        found: dict[str, int] = {}
        for op in self.log:
            for _, node, _, erases in op.versions:
                if erases:
                    for earlier in self.log[: op.position - 1]:
                        if earlier.ns == op.ns:
                            for id_, other, text, _ in earlier.versions:
                                if other == node and text is not None:
                                    found.setdefault(id_, op.position)
        return found

    def current(self, ns, at: int | None = None) -> dict[str, str]:
        live, last = self.live(at), {}
        for op in self.log:
            if op.position in live and op.ns == ns:
                for id_, node, text, _ in op.versions:
                    last[node] = (id_, text)
        gone = self.erased()
        return {node: id_ for node, (id_, text) in last.items() if text is not None and id_ not in gone}

    def writer(self, id_: str) -> int | None:
        return next((op.position for op in self.log for version in op.versions if version[0] == id_), None)


class LedgerAgainstModel(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.directory = tempfile.mkdtemp()
        self.ledger = self.reopened()
        self.model = Model()
        self.count = 0

    def reopened(self) -> Ledger:
        ledger = Ledger.open(self.directory)
        ledger.check_embedding("e", DIMS)
        return ledger

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            try:
                assert self.ledger.check() == []
                for at in range(len(self.model.log) + 2):
                    for ns in (ADA, BOB):
                        assert {row.node: row.id for row in self.ledger.nodes(ns, at=at)} == self.model.current(ns, at), at
            finally:
                self.ledger.close()
                shutil.rmtree(self.directory)

    def fresh(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def write(self, op: Op, writes: list) -> None:
        applied = self.ledger.apply(plan(*writes, op=op.id, ns=op.ns))
        assert (applied.position, applied.duplicate) == (op.position, False)
        self.model.log.append(op)

    def next(self, ns) -> Op:
        return Op(self.fresh("op"), len(self.model.log) + 1, ns)

    @rule(
        ns=st.sampled_from([ADA, BOB]),
        values=st.dictionaries(st.sampled_from(NODES), st.sampled_from([*TEXTS, None]), min_size=1),
        erase=st.booleans(),
    )
    def put(self, ns, values, erase) -> None:
        op, writes, live = self.next(ns), [], self.model.live()
        erase = erase and any(text is None for text in values.values())
        for node, text in values.items():
            before = [o.position for o in self.model.log if o.position in live and o.ns == ns and any(v[1] == node for v in o.versions)]
            op.bases.update(before[-1:])
            id_ = self.fresh("v")
            erases = erase and text is None
            op.versions.append((id_, node, text, erases))
            if text is None:
                writes.append(gone(node, id=id_, erase=erases))
            else:
                writes += [fact(node, text, id=id_), VectorWrite(content_hash(text), vector(text))]
        self.write(op, writes)

    @precondition(lambda self: any(op.versions for op in self.model.log))
    @rule(data=st.data(), ns=st.sampled_from([ADA, BOB]), step=st.booleans())
    def judge(self, data, ns, step) -> None:
        live = self.model.live()
        known = [version[0] for op in self.model.log if op.position in live for version in op.versions]
        if not known:
            return
        chosen = data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=2, unique=True))
        op = self.next(ns)
        op.targets = [f"{id_}#1" if step else id_ for id_ in chosen]
        op.bases = {self.model.writer(id_) for id_ in chosen}
        op.edges = [(chosen[0], "elsewhere")]
        self.write(
            op, [*(evidence(target) for target in op.targets), EdgeWrite("RELATES", chosen[0], "elsewhere"), CommitWrite(op.id, op.id, "d")]
        )

    @precondition(lambda self: bool(self.model.log))
    @rule(data=st.data(), cascade=st.booleans())
    def undo(self, data, cascade) -> None:
        self.undo_one(data.draw(st.sampled_from(self.model.log)), cascade)

    @precondition(lambda self: any(op.undoes for op in self.model.log))
    @rule(data=st.data(), cascade=st.booleans())
    def undo_an_undo(self, data, cascade) -> None:
        self.undo_one(data.draw(st.sampled_from([op for op in self.model.log if op.undoes])), cascade)

    def undo_one(self, target: Op, cascade: bool) -> None:
        before, expected = self.model.live(), len(self.model.log) + 1
        dependents = self.ledger.dependents(target.id)
        if target.position not in before:
            assert dependents == ()
            assert self.ledger.undo(target.id, cascade=cascade).duplicate
            return
        try:
            applied = self.ledger.undo(target.id, cascade=cascade)
        except DependentsError as error:
            assert not cascade
            assert error.dependents == dependents != ()
            assert self.ledger.head() == len(self.model.log)
            return
        except LedgerError as error:
            assert "for good" in str(error)
            assert self.model.erased()
            assert self.ledger.head() == len(self.model.log)
            return
        assert cascade or dependents == ()
        assert (applied.position, applied.duplicate) == (expected, False)
        by_id = {op.id: op.position for op in self.model.log}
        undoes = [by_id[id_] for id_ in self.ledger.operation(applied.operation).undoes]
        assert set(undoes) == {target.position, *(by_id[id_] for id_ in dependents)}
        self.model.log.append(Op(applied.operation, applied.position, target.ns, undoes=undoes))
        now = self.model.live()
        assert target.position not in now
        for op in self.model.log:  # whoever counts has what it rests on
            if op.position in now:
                assert op.bases <= now, (op, now)

    @rule()
    def reopen(self) -> None:
        self.ledger.close()
        self.ledger = self.reopened()

    @precondition(lambda self: bool(self.model.log))
    @rule(data=st.data())
    def repeat(self, data) -> None:
        op = data.draw(st.sampled_from(self.model.log))
        again = self.ledger.apply(plan(fact("n9"), op=op.id))
        assert (again.position, again.duplicate) == (op.position, True)

    @invariant()
    def same(self) -> None:
        if not hasattr(self, "ledger"):
            return
        live, erased = self.model.live(), self.model.erased()
        assert self.ledger.head() == len(self.model.log)
        for ns in (ADA, BOB):
            rows = self.ledger.nodes(ns)
            expected = self.model.current(ns)
            assert {row.node: row.id for row in rows} == expected
            texts = {version[0]: version[2] for op in self.model.log for version in op.versions}
            assert all(row.body == {"content": texts[row.id]} for row in rows)
            assert {key: row.id for key, row in self.ledger.current(ns, NODES).items()} == expected
            assert len(self.ledger.vectors(ns, [row.texts[0].hash for row in rows])) == len({texts[id_] for id_ in expected.values()})
            ops = [op for op in self.model.log if op.position in live and op.ns == ns]
            assert sorted((row.op, row.target) for row in self.ledger.evidence(ns)) == sorted(
                (op.position, t) for op in ops for t in op.targets
            )
            assert [(row.op, row.src, row.dst) for row in self.ledger.edges(ns)] == [
                (op.position, *edge) for op in ops for edge in op.edges
            ]
            loaded = self.ledger.load(ns, list(texts))
            assert {id_ for id_, row in loaded.items() if row.erased} == {id_ for id_ in erased if id_ in loaded}
            assert all(row.body is None for row in loaded.values() if row.erased)
        assert [row.id for row in self.ledger.operations(limit=1000)] == [op.id for op in reversed(self.model.log)]
        assert {row.position for row in self.ledger.operations(limit=1000) if not row.undone} == live


LedgerAgainstModel.TestCase.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLedgerAgainstModel = LedgerAgainstModel.TestCase
