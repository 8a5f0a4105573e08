from __future__ import annotations

import threading
from concurrent.futures import Future

import numpy as np
import pytest

from langgraph_fluxmem.errors import (
    ClosedError,
    DimensionMismatchError,
    EmbeddingMismatchError,
    InvalidContentError,
    InvalidNamespaceError,
    InvalidVectorError,
    LedgerError,
)
from langgraph_fluxmem.edits import EdgeWrite, NodeWrite, Plan, Text, VectorWrite
from langgraph_fluxmem.testing import faults

from ledger_support import ADA, BOB, DIMS, CommitWrite, Held, content_hash, evidence, fact, gone, outcome, plan, remember, vector


def test_applied_plan_is_there_with_everything_it_was_given(ledger, clock):
    write = NodeWrite(
        "v1",
        "n1",
        "fact",
        {"content": "Ada likes tea", "metadata": {"page": 3, "tags": ["a", None, 1.5, True]}},
        (Text("content", "h1", "ada like tea"), Text("title", "h2")),
        source="book",
        position=2.5,
        speaker="Ada",
        created_at=12.0,
        ttl=60.0,
        expires_at=2e9,
    )
    applied = ledger.apply(plan(write, VectorWrite("h1", vector("x")), op="op1", kind="remember", thread_id="t", run_id="r", lineage="l"))
    assert (applied.operation, applied.position, applied.duplicate) == ("op1", 1, False)
    (row,) = ledger.nodes(ADA)
    assert row.body == write.body
    assert row.texts == write.texts
    assert (row.id, row.node, row.kind, row.key, row.source, row.position, row.speaker) == ("v1", "n1", "fact", "n1", "book", 2.5, "Ada")
    assert (row.created_at, row.updated_at, row.expires_at, row.ttl) == (12.0, clock.now, 2e9, 60.0)
    assert (row.op, row.operation, row.commit, row.tombstone, row.erased) == (1, "op1", None, False, False)
    operation = ledger.operation("op1")
    assert (operation.kind, operation.namespace, operation.position, operation.edits, operation.undone) == ("remember", ADA, 1, 1, False)
    assert (operation.provenance.thread_id, operation.provenance.run_id, operation.provenance.lineage) == ("t", "r", "l")


def test_second_apply_of_an_operation_is_a_duplicate(ledger):
    first = ledger.apply(remember("n", op="same"))
    again = ledger.apply(remember("n", "other text", op="same"))
    assert again.duplicate
    assert again.position == first.position
    assert [row.body["content"] for row in ledger.nodes(ADA)] == ["text"]
    assert ledger.head() == 1


def test_same_feedback_counts_once(ledger):
    ledger.apply(remember("n", id="v"))
    feedback = plan(evidence("v"), evidence("v"), evidence("v", "failure"), op="learn-1", kind="learn")
    ledger.apply(feedback)
    ledger.apply(feedback)
    assert [(row.channel, row.weight) for row in ledger.evidence(ADA)] == [("failure", 1.0), ("progress", 1.0)]


def test_commit_of_the_same_episode_and_digest_is_a_duplicate(ledger):
    first = ledger.apply(plan(CommitWrite("c1", "episode", "digest"), fact("e", kind="episode"), op="a", kind="commit"))
    again = ledger.apply(plan(CommitWrite("c1", "episode", "digest"), fact("e2", kind="episode"), op="b", kind="commit"))
    assert (again.operation, again.position, again.duplicate) == ("a", first.position, True)
    assert ledger.operation("b") is None
    assert [row.node for row in ledger.nodes(ADA)] == ["e"]
    assert not ledger.apply(plan(CommitWrite("c2", "episode", "another digest"), kind="commit")).duplicate
    assert not ledger.apply(plan(CommitWrite("c1", "episode", "digest"), kind="commit", ns=BOB)).duplicate


def test_commits_resolve_by_episode_and_run(ledger):
    ledger.apply(
        plan(CommitWrite("c1", "e1", "d1"), fact("x", kind="episode"), evidence("x#0"), op="a", kind="commit", run_id="run", lineage="L")
    )
    ledger.apply(plan(CommitWrite("c2", "e1", "d2", seen=("c1", "c0")), op="b", kind="commit", run_id="run"))
    ledger.apply(plan(CommitWrite("c3", "e2", "d1"), op="c", kind="commit", ns=BOB, run_id="run"))
    assert [row.id for row in ledger.commits(ADA)] == ["c1", "c2"]
    assert [row.id for row in ledger.resolve_episode(ADA, "e1")] == ["c1", "c2"]
    assert ledger.resolve_episode(ADA, "e2") == []
    assert [row.id for row in ledger.resolve_run("run")] == ["c1", "c2", "c3"]
    assert ledger.resolve_run("no such run") == []
    second = ledger.commits(ADA)[1]
    assert (second.seen, second.op, second.operation, second.live, second.namespace) == (("c1", "c0"), 2, "b", True, ADA)
    assert ledger.commits(ADA)[0].provenance.lineage == "L"
    assert ledger.commits_named(ADA, ["c2", "c3", "c4"]) == [second]
    assert [row.commit for row in ledger.nodes(ADA)] == ["c1"]
    assert [row.commit for row in ledger.evidence(ADA)] == ["c1"]
    assert ledger.operation("a").commit == "c1"
    ledger.undo("b")
    assert [row.live for row in ledger.commits(ADA)] == [True, False]


def test_what_a_commit_came_after_is_kept_as_it_was_told(ledger):
    ledger.apply(plan(CommitWrite("c1", "e1", "d1", seen=("a",), alone=("b", "c"), above=("x", "")), kind="commit"))
    (row,) = ledger.commits(ADA)
    assert (row.seen, row.alone, row.above) == (("a",), ("b", "c"), ("x", ""))


def test_versions_replace_each_other_and_keep_the_time_of_creation(ledger, clock):
    ledger.apply(remember("n", "one", id="v1"))
    clock.now += 10
    ledger.apply(remember("n", "two", id="v2"))
    (row,) = ledger.nodes(ADA)
    assert (row.id, row.created_at, row.updated_at) == ("v2", clock.now - 10, clock.now)
    assert set(ledger.load(ADA, ["v1", "v2", "v3"])) == {"v1", "v2"}
    ledger.apply(plan(gone("n")))
    assert ledger.nodes(ADA) == []
    clock.now += 10
    ledger.apply(remember("n", "three"))
    assert [row.created_at for row in ledger.nodes(ADA)] == [clock.now]


def test_keys_find_current_versions_that_have_not_expired(ledger, clock):
    ledger.apply(
        plan(fact("n1", kind="item", key="k", expires_at=clock.now + 5, ttl=5.0), fact("n2"), fact("n3", kind="item", key="other"))
    )
    assert {key: row.node for key, row in ledger.current(ADA, ["k", "n2", "n1", "missing"]).items()} == {"k": "n1", "n2": "n2"}
    clock.now += 5
    assert set(ledger.current(ADA, ["k", "n2"])) == {"n2"}
    assert {row.node for row in ledger.nodes(ADA)} == {"n1", "n2", "n3"}
    ledger.apply(plan(gone("n3")))
    assert ledger.current(ADA, ["other"]) == {}
    assert ledger.current(BOB, ["n2"]) == {}


def test_namespaces_do_not_see_each_other(ledger):
    ledger.apply(remember("n", id="a"))
    ledger.apply(remember("n", id="b", ns=BOB))
    assert [row.id for row in ledger.nodes(ADA)] == ["a"]
    assert ledger.load(ADA, ["a", "b"]).keys() == {"a"}
    assert ledger.nodes(("acme",)) == []
    assert ledger.head(ADA) == 1
    assert ledger.head(BOB) == ledger.head() == 2
    assert ledger.head(("nobody",)) == 0


def test_edges_and_vectors(ledger):
    ledger.apply(
        plan(fact("n1", id="v1"), fact("n2", "b", id="v2"), EdgeWrite("RELATES", "v1", "v2", 0.5), VectorWrite("h", vector("h") * 3))
    )
    ledger.apply(plan(EdgeWrite("RELATES", "v1", "v2", 0.25)))
    first, second = ledger.edges(ADA)
    assert first.id == second.id
    assert (first.kind, first.src, first.dst, first.weight, first.op, second.weight, second.op) == ("RELATES", "v1", "v2", 0.5, 1, 0.25, 2)
    assert ledger.edges(ADA, after=1) == [second]
    found = ledger.vectors(ADA, ["h", "unknown"])
    assert list(found) == ["h"]
    assert found["h"].dtype == np.float32
    np.testing.assert_array_equal(found["h"], vector("h") * 3)
    assert ledger.vectors(BOB, ["h"]) == {}
    assert ledger.embedding() == ("test-embedding", DIMS)


def test_nodes_filters(ledger):
    ledger.apply(remember("n1"))
    ledger.apply(plan(fact("n2", kind="item"), fact("n3", kind="skill")))
    assert [row.node for row in ledger.nodes(ADA, after=1)] == ["n2", "n3"]
    assert [row.node for row in ledger.nodes(ADA, kinds=["fact", "skill"])] == ["n1", "n3"]
    assert ledger.nodes(ADA, kinds=[]) == []
    bare = ledger.nodes(ADA, bodies=False)
    assert [(row.node, row.body, row.erased) for row in bare] == [("n1", None, False), ("n2", None, False), ("n3", None, False)]
    assert bare[0].texts[0].terms == "text"


def test_bulk_plan_and_many_ids(ledger):
    count = 2_000
    writes = [
        write
        for i in range(count)
        for write in (fact(f"n{i}", f"text {i}", id=f"bulk{i}"), VectorWrite(content_hash(f"text {i}"), vector(f"text {i}")))
    ]
    assert ledger.apply(plan(*writes)).position == 1
    rows = ledger.nodes(ADA)
    assert [row.id for row in rows] == [f"bulk{i}" for i in range(count)]
    assert len(ledger.vectors(ADA, [text.hash for row in rows for text in row.texts])) == count
    assert len(ledger.load(ADA, [row.id for row in rows])) == count
    assert len(ledger.changes(0)) == count


def test_empty_plan_takes_a_position_and_no_log_entry(ledger):
    assert ledger.apply(plan(op="nothing")).position == 1
    assert ledger.head(ADA) == 1
    assert ledger.changes(0) == []
    assert ledger.apply(plan(op="nothing")).duplicate


# ------------------------------------------------------------------------------------------------------------------- the log
def test_log_names_ids_and_never_texts(ledger, address):
    ledger.apply(remember("n", "secret text", id="v1", op="a"))
    ledger.apply(
        plan(
            gone("n", id="v2", erase=True),
            EdgeWrite("RELATES", "v1", "secret dst"),
            evidence("v1"),
            CommitWrite("c", "e", "d"),
            op="b",
            kind="learn",
        )
    )
    entries = [(c.position, c.operation, c.kind, c.edit, c.target, c.node, c.namespace) for c in ledger.changes(0)]
    edge = ledger.edges(ADA)[0].id
    assert entries == [
        (1, "a", "remember", "version", "v1", "n", ADA),
        (2, "b", "learn", "tombstone", "v2", "n", ADA),
        (2, "b", "learn", "edge", edge, None, ADA),
        (2, "b", "learn", "evidence", "v1", None, ADA),
        (2, "b", "learn", "commit", "c", None, ADA),
        (2, "b", "learn", "erase", "v1", None, ADA),
    ]
    assert "secret" not in repr(ledger.changes(0))


def test_changes_come_in_whole_operations(ledger):
    for i in range(5):
        ledger.apply(plan(*(fact(f"n{i}.{j}") for j in range(3)), ns=BOB if i == 1 else ADA))
    seen, cursor, pages = [], 0, 0
    while page := ledger.changes(cursor, limit=4):
        assert len(page) == 3  # four would cut an operation
        seen += [change.position for change in page]
        cursor, pages = page[-1].position, pages + 1
    assert seen == [p for p in range(1, 6) for _ in range(3)]
    assert len(ledger.changes(0, limit=1)) == 3
    assert len(ledger.changes(0, limit=7)) == 6
    assert {change.position for change in ledger.changes(1, ADA)} == {3, 4, 5}
    assert ledger.changes(0, ("nobody",)) == []
    assert ledger.changes(5) == []


def test_operations_are_read_newest_first(ledger):
    for i in range(4):
        ledger.apply(remember(f"n{i}", op=f"op{i}", ns=BOB if i == 3 else ADA))
    assert [row.id for row in ledger.operations(limit=2)] == ["op3", "op2"]
    assert [row.id for row in ledger.operations(ADA)] == ["op2", "op1", "op0"]
    assert ledger.operations(("nobody",)) == []
    assert ledger.operation("none") is None


# ------------------------------------------------------------------------------------------------------------------- erasing
def test_erasing_blanks_every_earlier_version_and_drops_its_vectors(ledger):
    ledger.apply(remember("n", "old secret", id="v1", source="book", speaker="Ada"))
    ledger.apply(remember("n", "new secret", id="v2"))
    ledger.apply(remember("m", "new secret", id="v3"))  # the same text, held by another node
    hashes = [content_hash("old secret"), content_hash("new secret")]
    assert len(ledger.vectors(ADA, hashes)) == 2
    ledger.apply(plan(gone("n", erase=True)))
    assert list(ledger.vectors(ADA, hashes)) == [content_hash("new secret")]
    rows = ledger.load(ADA, ["v1", "v2", "v3"])
    assert [(rows[v].body, rows[v].texts, rows[v].source, rows[v].speaker, rows[v].erased) for v in ("v1", "v2")] == [
        (None, (), None, None, True)
    ] * 2
    assert rows["v3"].body == {"content": "new secret"}
    assert [row.node for row in ledger.nodes(ADA)] == ["m"]
    assert [row.node for row in ledger.nodes(ADA, at=3)] == ["m"]


def test_erased_text_is_in_no_file(tmp_path):
    from langgraph_fluxmem.ledger import Ledger

    secret = "zanzibar-" * 500
    with Ledger.open(tmp_path) as ledger:
        ledger.check_embedding("test-embedding", DIMS)
        ledger.apply(remember("n", secret, speaker="quetzal"))
        ledger.apply(remember("other", "something else"))
        ledger.apply(plan(gone("n", erase=True)))
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"something else" in content
    assert b"zanzibar" not in content
    assert b"quetzal" not in content


def test_put_with_erase_keeps_only_the_new_version(ledger):
    ledger.apply(remember("n", "old", id="v1"))
    ledger.apply(plan(fact("n", "new", id="v2", erase=True), VectorWrite(content_hash("new"), vector("new"))))
    rows = ledger.load(ADA, ["v1", "v2"])
    assert (rows["v1"].erased, rows["v1"].body, rows["v2"].body) == (True, None, {"content": "new"})
    assert set(ledger.vectors(ADA, [content_hash("old"), content_hash("new")])) == {content_hash("new")}


# ---------------------------------------------------------------------------------------------------------------- bad input
@pytest.mark.parametrize("namespace", [(), ("",), ("a.b",), ("a", "b\0"), ("a", ("b",)), ["a"], "a", ("a", None)], ids=repr)
def test_wrong_namespaces_are_refused(ledger, namespace):
    with pytest.raises(InvalidNamespaceError, match="namespace"):
        ledger.apply(Plan("op", "remember", namespace, (fact("n"),)))
    with pytest.raises(InvalidNamespaceError):
        ledger.nodes(namespace)
    assert ledger.head() == 0


@pytest.mark.parametrize(
    ("writes", "error", "says"),
    [
        ([NodeWrite("v", "n", "fact", {"x": float("nan")})], InvalidContentError, "nan"),
        ([NodeWrite("v", "n", "fact", {"x": float("inf")})], InvalidContentError, "inf"),
        ([NodeWrite("v", "n", "fact", {"x": object()})], InvalidContentError, "object"),
        ([NodeWrite("v", "n", "fact", {"x": {1: 2}})], InvalidContentError, "key 1"),
        ([NodeWrite("v", "n", "fact", {"x": "\ud800"})], InvalidContentError, "surrogate"),
        ([NodeWrite("v", "n", "fact", "text")], InvalidContentError, "mapping"),
        ([NodeWrite("", "n", "fact", {})], InvalidContentError, "version id"),
        ([NodeWrite("v", "", "fact", {})], InvalidContentError, "node id"),
        ([NodeWrite("v", "n", "fact", {}, key="a\0b")], InvalidContentError, "NUL"),
        ([NodeWrite("v", "n", "fact", {}, source="\udfff")], InvalidContentError, "surrogate"),
        ([NodeWrite("v", "n", "fact", {}, position=float("nan"))], InvalidContentError, "position"),
        ([NodeWrite("v", "n", "fact", {}, ttl=0.0)], InvalidContentError, "ttl"),
        ([fact("n", id="v"), fact("n", id="w")], InvalidContentError, "twice"),
        ([fact("n", id="v"), fact("m", id="v")], InvalidContentError, "twice"),
        ([EdgeWrite("RELATES", "a", "b", -1.0)], InvalidContentError, "weight"),
        ([EdgeWrite("RELATES", "a", "", 1.0)], InvalidContentError, "destination"),
        ([evidence("t", weight=0.0)], InvalidContentError, "weight"),
        ([evidence("t", weight=float("nan"))], InvalidContentError, "weight"),
        ([evidence("t", channel="other")], InvalidContentError, "channel"),
        ([CommitWrite("a", "e", "d"), CommitWrite("b", "f", "d")], InvalidContentError, "two commits"),
        ([VectorWrite("h", np.full(DIMS, np.nan, np.float32))], InvalidVectorError, "NaN"),
        ([VectorWrite("h", np.zeros(DIMS, np.float32))], InvalidVectorError, "zero"),
        ([VectorWrite("h", np.ones((2, DIMS), np.float32))], InvalidVectorError, "shape"),
        ([VectorWrite("h", np.ones(0, np.float32))], InvalidVectorError, "shape"),
        ([VectorWrite("h", np.array(["a"] * DIMS))], InvalidVectorError, "type"),
        ([VectorWrite("h", vector("h")), VectorWrite("i", vector("i", DIMS + 1))], DimensionMismatchError, "dimensions"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_bad_writes_are_refused_as_a_whole(ledger, writes, error, says):
    ledger.apply(remember("before"))
    with pytest.raises(error, match=says):
        ledger.apply(plan(fact("good"), *writes, op="bad"))
    assert ledger.operation("bad") is None
    assert [row.node for row in ledger.nodes(ADA)] == ["before"]


def test_text_that_json_can_carry_comes_back_unchanged(ledger):
    body = {"content": 'NUL \0, quote ", 中文, emoji 🫖, <memory>tags</memory>, \u2028', "": [{}], "big": 10**30}
    ledger.apply(plan(NodeWrite("v", "n", "fact", body)))
    assert ledger.nodes(ADA)[0].body == body


def test_version_ids_are_written_once(ledger):
    ledger.apply(remember("n", id="v"))
    for ns in (ADA, BOB):
        with pytest.raises(LedgerError, match="mint a new id"):
            ledger.apply(remember("m", id="v", ns=ns, op=f"again {ns}"))
    assert ledger.head() == 1
    assert [row.node for row in ledger.nodes(ADA)] == ["n"]


def test_another_embedding_is_refused(ledger, opened):
    ledger.apply(remember("n"))
    other = opened()
    with pytest.raises(EmbeddingMismatchError, match="'test-embedding' .8 dimensions.; found 'other'"):
        other.check_embedding("other", DIMS)
    with pytest.raises(DimensionMismatchError, match="8 dimensions .* found 9"):
        other.check_embedding("test-embedding", 9)
    other.check_embedding("test-embedding", None)
    with pytest.raises(DimensionMismatchError):
        ledger.apply(plan(VectorWrite("h", vector("h", 9))))
    assert ledger.head() == 1


def test_embedding_is_fixed_by_the_first_vectors_of_any_process(ledger, opened):
    other = opened()
    other.check_embedding("other", 3)  # nothing is stored yet: allowed
    ledger.apply(remember("n"))
    with pytest.raises(EmbeddingMismatchError):
        other.apply(plan(VectorWrite("h", vector("h", 3))))
    assert ledger.embedding() == ("test-embedding", DIMS)


def test_vectors_need_a_named_embedding(address, opened):
    from langgraph_fluxmem.ledger import Ledger

    with Ledger.open(address) as bare, pytest.raises(LedgerError, match="check_embedding"):
        bare.apply(remember("n"))


def test_use_after_close(ledger):
    ledger.apply(remember("n"))
    ledger.close()
    ledger.close()
    for use in (
        lambda: ledger.nodes(ADA),
        lambda: ledger.head(),
        lambda: ledger.apply(remember("m")),
        lambda: ledger.undo("x"),
        lambda: ledger.check(),
    ):
        with pytest.raises(ClosedError, match="closed"):
            use()


# ---------------------------------------------------------------------------------------------------- groups, threads, faults
def test_queued_plans_share_a_transaction_and_fail_alone(ledger):
    commits = []
    with Held(ledger, remember("n0", op="op0")) as held:
        futures = [ledger.submit(remember(f"n{i}", id="clash" if i in (1, 3) else None, op=f"op{i}")) for i in range(1, 6)]
        faults.arm("ledger.after_commit", lambda: commits.append(1))
        held.release.set()
        assert held.first.result().position == 1
        results = [outcome(future) for future in futures]
    assert [result for result in results if isinstance(result, int)] == [2, 3, 4, 5]
    assert "mint a new id" in results[2]
    assert len(commits) == 2
    assert [row.node for row in ledger.nodes(ADA)] == ["n0", "n1", "n2", "n4", "n5"]


@pytest.mark.parametrize("name", ["ledger.before_begin", "ledger.after_operation", "ledger.after_writes", "ledger.before_commit"])
@pytest.mark.parametrize("action", ["raise", "full"])
def test_failed_write_leaves_the_memory_as_it_was(ledger, name, action):
    ledger.apply(remember("n", op="one"))
    with faults.armed(name, action), pytest.raises(LedgerError if action == "full" else faults.FaultError) as caught:
        ledger.apply(remember("m", op="two"))
    if action == "full":
        assert "disk is full; free some space" in str(caught.value)
    assert [row.node for row in ledger.nodes(ADA)] == ["n"]
    assert ledger.head() == 1
    assert ledger.apply(remember("m", op="two")).position == 2


def test_failure_of_a_whole_group_is_tried_again_one_by_one(ledger):
    with Held(ledger, remember("n0")) as held:
        futures = [ledger.submit(remember(f"n{i}")) for i in range(1, 4)]
        faults.arm("ledger.before_commit", "raise", at=2)  # the second transaction: that of the three
        held.release.set()
        assert sorted(future.result().position for future in futures) == [2, 3, 4]
    assert len(ledger.nodes(ADA)) == 4


def test_cancelled_plan_is_not_written(ledger):
    with Held(ledger, remember("n0")) as held:
        doomed = ledger.submit(remember("n1"))
        assert doomed.cancel()
        held.release.set()
        held.first.result()
    assert ledger.apply(remember("n2")).position == 2
    assert [row.node for row in ledger.nodes(ADA)] == ["n0", "n2"]


def test_many_threads_write_and_read(ledger):
    errors: list[Exception] = []

    def work(name: int) -> None:
        try:
            for i in range(20):
                ledger.apply(remember(f"{name}.{i}"))
                assert f"{name}.{i}" in {row.node for row in ledger.nodes(ADA, bodies=False)}
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert ledger.head() == 120
    assert sorted({change.position for change in ledger.changes(0)}) == list(range(1, 121))


def test_close_finishes_what_was_queued(opened, address):
    ledger = opened()
    futures = [ledger.submit(remember(f"n{i}")) for i in range(50)]
    ledger.close()
    assert sorted(future.result().position for future in futures) == list(range(1, 51))
    assert len(opened().nodes(ADA)) == 50


def test_two_ledgers_on_one_address(opened):
    one, two = opened(), opened()
    assert one.memory_id == two.memory_id
    for i in range(10):
        (one if i % 2 else two).apply(remember(f"n{i}"))
        assert len(one.nodes(ADA)) == len(two.nodes(ADA)) == i + 1
    assert one.head() == two.head() == 10
    assert one.check() == []


# ------------------------------------------------------------------------------------------- several plans, heads, what is held
def test_several_plans_are_applied_together_or_not_at_all(ledger):
    ledger.apply(remember("n", id="taken"))
    together = [remember("a", ns=("one",), op="1"), remember("b", ns=("two",), op="2"), remember("c", ns=("one",), op="3")]
    assert [applied.position for applied in ledger.submit_many(together).result()] == [2, 3, 4]
    assert [applied.duplicate for applied in ledger.submit_many(together).result()] == [True] * 3
    with pytest.raises(LedgerError, match="mint a new id"):
        ledger.submit_many([remember("d", ns=("three",), op="4"), remember("e", id="taken", op="5")]).result()
    with pytest.raises(InvalidNamespaceError):
        ledger.submit_many([remember("d", ns=("three",), op="4"), remember("e", ns=(), op="5")])
    assert ledger.head() == 4
    assert ledger.nodes(("three",)) == []
    assert ledger.apply(remember("d", ns=("three",), op="4")).position == 5


def test_heads_are_the_namespaces_that_changed(ledger):
    ledger.apply(remember("n", op="a"))
    ledger.apply(remember("n", ns=BOB))
    assert ledger.heads(0) == {ADA: 1, BOB: 2}
    assert ledger.heads(1) == {BOB: 2}
    ledger.undo("a")
    assert ledger.heads(2) == {ADA: 3}


def test_what_a_namespace_holds(ledger, clock):
    ledger.apply(plan(fact("n", kind="item", key="k", expires_at=clock.now + 1)))
    clock.now += 2
    assert ledger.now() == clock.now
    assert ledger.holds(ADA, ["item"])
    assert not ledger.holds(ADA, ["fact"])
    assert not ledger.holds(BOB, ["item"])
    assert ledger.holding([ADA, BOB, ("nobody",)], ["fact", "item"]) == {ADA}
    assert ledger.holding([ADA], ["fact"]) == set()
    assert ledger.namespaces() == []
    assert ledger.namespaces(expired=True) == [ADA]
    assert ledger.current(ADA, ["k"]) == {}
    assert list(ledger.current(ADA, ["k"], expired=True)) == ["k"]
    ledger.sweep_expired()
    assert not ledger.holds(ADA, ["item"])


def test_commits_after_a_position_and_in_any_namespace(ledger):
    ledger.apply(plan(CommitWrite("c1", "e", "d1"), kind="commit"))
    ledger.apply(plan(CommitWrite("c2", "e", "d2"), kind="commit", ns=BOB))
    ledger.apply(plan(CommitWrite("c3", "e", "d3"), kind="commit"))
    assert [row.id for row in ledger.commits(ADA, after=1)] == ["c3"]
    assert [row.id for row in ledger.resolve_episode(None, "e")] == ["c1", "c2", "c3"]
