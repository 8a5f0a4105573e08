import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph_fluxmem.branches import Branch, BranchView, lineage_of, merge_commits, with_commit
from langgraph_fluxmem.errors import StateError
from langgraph_fluxmem.ledger.rows import CommitRow
from langgraph_fluxmem.schema import Provenance


def commit(name, op, lineage=None, seen=(), checkpoint=None, live=True, task=None, alone=(), above=()):
    return CommitRow(
        id=name, episode=name, digest=name, namespace=("m",), op=op, operation=name, at=0.0,
        provenance=Provenance(lineage=lineage, checkpoint_id=checkpoint, checkpoint_ns=task), seen=tuple(seen), live=live,
        alone=tuple(alone), above=tuple(above),
    )  # fmt: skip


class view:  # noqa: N801
    """A BranchView over a ledger that holds these commits."""

    def __init__(self, *commits):
        self.rows = list(commits)
        self.view = BranchView(("m",))

    def head(self, namespace):
        return max((c.op for c in self.rows), default=0)

    def changes(self, after, namespace):
        return []

    def commits(self, namespace, *, after=0):
        return [c for c in self.rows if c.op > after]

    def hidden(self, lineage, ids=(), *args):
        return self.view.hidden(self, Branch(lineage, tuple(ids)), *args)


def test_own_lineage_hides_what_its_channel_lacks():
    seen = view(commit("a", 1, "L"), commit("b", 2, "L", seen=["a"]))
    assert seen.hidden("L", ["a"]) == {"b"}
    assert seen.hidden("L", ["a", "b"]) == frozenset()


def test_of_another_lineage_the_latest_commit_decides():
    branch = view(commit("a", 1, "L"), commit("b", 2, "L", seen=["a"]), commit("c", 3, "L", seen=["a"]))
    assert branch.hidden(None) == {"b"}
    returned = view(
        commit("a", 1, "L"), commit("b", 2, "L", seen=["a"]), commit("c", 3, "L", seen=["a"]), commit("d", 4, "L", seen=["a", "b"])
    )
    assert returned.hidden("other", ["x"]) == {"c"}


def test_siblings_of_one_superstep_stay_visible():
    assert view(commit("a", 1, "L", checkpoint="c1"), commit("b", 2, "L", checkpoint="c1")).hidden(None) == frozenset()
    fanned = [commit(name, op, "L", checkpoint="c1", task=f"n:{name}") for op, name in enumerate("abc", 1)]
    assert view(*fanned).hidden(None) == frozenset()
    again = [commit(f"{name}2", op, "L", checkpoint="c1", task=f"n:{name}") for op, name in enumerate("ab", 4)]
    assert view(*fanned, *again).hidden(None) == {"a", "b"}, "of one task the latest commit counts"


def test_siblings_in_subgraphs_are_found_by_the_checkpoints_above():
    def worker(name, op, above, seen=()):
        return commit(name, op, "L", checkpoint=f"own {name}", task=f"w:{name[0]}|n:{name}", seen=seen, above=(above,))

    assert view(worker("a", 1, "c1"), worker("b", 2, "c1")).hidden(None) == frozenset()
    assert view(worker("a", 1, "c1"), worker("a2", 2, "c1", ["a"]), worker("b", 3, "c1")).hidden(None) == frozenset()
    assert view(worker("a", 1, "c1"), worker("b", 2, "c2")).hidden(None) == {"a"}, "another superstep"
    assert view(worker("a", 1, ""), worker("b", 2, "")).hidden(None) == {"a"}, "nothing is known of the graph around"


def test_a_commit_stands_for_all_it_came_after():
    chain = [commit(str(op), op, "L", seen=[str(op - 1)] if op > 1 else []) for op in range(1, 1001)]
    branch = view(*chain)
    assert branch.hidden("L", ["1000"]) == branch.hidden(None) == frozenset()
    assert branch.hidden("L", ["500"]) == {str(op) for op in range(501, 1001)}
    undone = view(*chain[:499], commit("500", 500, "L", seen=["499"], live=False), *chain[500:])
    assert undone.hidden(None) == frozenset(), "what was undone still tells what came before"


def test_a_commit_alone_stands_for_itself_only():
    rows = [commit("a", 1, "L"), commit("b", 2, "L", ["a"]), commit("c", 3, "L", ["b"]), commit("d", 4, "L", ["a"], alone=["c"])]
    assert view(*rows).hidden("L", ["d"]) == view(*rows).hidden(None) == {"b"}


def test_the_channel_of_a_long_thread_stays_short():
    channel = lineage_of(None, thread_id="t", start="c")
    for number in range(1000):
        channel = merge_commits(channel, with_commit(channel, f"c{number}", channel["ids"], alone=False))
    assert channel["ids"] == ["c999"]
    assert len(channel["replaced"]) <= 65


def test_merging_branches_of_one_superstep_brings_nothing_back():
    before = merge_commits(None, {"lineage": "L", "thread": "t", "ids": ["a", "b"]})
    one, other = (with_commit(before, name, ["a", "b"], alone=False) for name in ("c", "d"))
    for order in ((one, other, before), (before, other, one), (other, before, one)):
        merged = before
        for update in order:
            merged = merge_commits(merged, update)
        assert sorted(merged["ids"]) == ["c", "d"]
    alone = merge_commits(merged, with_commit(merged, "e", (), alone=True))
    assert (sorted(alone["ids"]), alone["alone"]) == (["c", "d"], ["e"])
    joined = merge_commits(alone, with_commit(alone, "f", ["c", "d", "e"], alone=False))
    assert (joined["ids"], joined.get("alone", [])) == (["f"], [])


def test_commits_without_a_lineage_and_undone_ones_hide_nothing():
    assert view(commit("a", 1), commit("b", 2, "L", live=False), commit("c", 3, "L")).hidden("M", []) == frozenset()


def test_a_copied_thread_keeps_the_ids_it_saw():
    branch = view(commit("a", 1, "L"), commit("b", 2, "L", seen=[]))
    assert branch.hidden("copy", ["a"]) == frozenset(), "a is in the copy's channel although its lineage abandoned it"


def test_keep_hides_nothing():
    assert view(commit("a", 1, "L")).hidden("L", [], "keep") == frozenset()


def test_the_reducer_unites_ids_in_order_and_takes_the_later_lineage():
    left = {"lineage": "L", "thread": "t", "ids": ["a", "b"]}
    assert merge_commits(left, {"lineage": "L", "thread": "t", "ids": ["a", "c"]})["ids"] == ["a", "b", "c"]
    assert merge_commits(None, left) == left
    assert merge_commits(left, {"lineage": "M", "thread": "u", "ids": []}) == {"lineage": "M", "thread": "u", "ids": ["a", "b"]}
    with pytest.raises(StateError, match="list"):
        merge_commits(left, ["a"])


def test_a_lineage_is_minted_once_and_again_under_another_thread():
    first = lineage_of(None, thread_id="t", start="c")
    assert first == lineage_of({}, thread_id="t", start="c"), "a retried node mints the same"
    assert lineage_of(first, thread_id="t", start="later")["lineage"] == first["lineage"]
    copied = lineage_of({**first, "ids": ["a"]}, thread_id="other", start="c")
    assert copied["lineage"] != first["lineage"]
    assert copied["ids"] == ["a"]
    loose = [lineage_of(None, thread_id=None, start=None)["lineage"] for _ in range(2)]
    assert loose[0] != loose[1]


def test_it_follows_the_log():
    seen = view(commit("a", 1, "L"))
    assert seen.hidden(None) == frozenset()
    seen.rows += [commit("b", 2, "L", seen=["a"]), commit("c", 3, "L", seen=["a"])]
    assert seen.hidden(None) == {"b"}


DEED = st.tuples(st.sampled_from("LM"), st.lists(st.integers(0, 9), max_size=2), st.integers(0, 2), st.integers(0, 2), st.booleans())


@given(st.lists(DEED, max_size=12))
def test_what_followed_the_log_hides_what_a_fresh_view_hides(deeds):
    followed = view()
    for op, (lineage, back, checkpoint, task, live) in enumerate(deeds, 1):
        seen = sorted({str(op - 1 - one) for one in back if op - 1 - one > 0})
        followed.rows.append(commit(str(op), op, lineage, seen, f"c{checkpoint}", live, f"n:{task}"))
        fresh = view(*followed.rows)
        readers = [(None, ()), ("L", (str(op),)), ("L", tuple(seen)), ("M", (str(op), *seen)), ("other", (str(op),))]
        assert [followed.hidden(*reader) for reader in readers] == [fresh.hidden(*reader) for reader in readers]


@given(st.lists(DEED, max_size=12), st.sampled_from("LM"), st.lists(st.integers(1, 12), max_size=3))
def test_of_its_own_lineage_a_branch_sees_what_its_ids_stand_for_and_nothing_else(deeds, lineage, ids):
    rows = [
        commit(str(op), op, own, sorted({str(op - 1 - one) for one in back if op - 1 - one > 0}), f"c{checkpoint}", live, f"n:{task}")
        for op, (own, back, checkpoint, task, live) in enumerate(deeds, 1)
    ]
    known = {row.id: row for row in rows}
    visible = todo = {str(id_) for id_ in ids}
    while todo:
        todo = {id_ for one in todo if one in known for id_ in known[one].seen} - visible
        visible = visible | todo
    own = {row.id for row in rows if row.live and row.provenance.lineage == lineage}
    assert view(*rows).hidden(lineage, [str(id_) for id_ in ids]) & own == own - visible
