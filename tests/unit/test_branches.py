import pytest

from langgraph_fluxmem.branches import BranchView, lineage_of, merge_commits
from langgraph_fluxmem.errors import StateError
from langgraph_fluxmem.ledger.rows import CommitRow
from langgraph_fluxmem.schema import Provenance


def commit(name, op, lineage=None, seen=(), checkpoint=None, live=True):
    return CommitRow(
        id=name, episode=name, digest=name, namespace=("m",), op=op, operation=name, at=0.0,
        provenance=Provenance(lineage=lineage, checkpoint_id=checkpoint), seen=tuple(seen), live=live,
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

    def hidden(self, *args):
        return self.view.hidden(self, *args)


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
    first = lineage_of(None, thread_id="t", checkpoint_id="c")
    assert first == lineage_of({}, thread_id="t", checkpoint_id="c"), "a retried node mints the same"
    assert lineage_of(first, thread_id="t", checkpoint_id="later")["lineage"] == first["lineage"]
    copied = lineage_of({**first, "ids": ["a"]}, thread_id="other", checkpoint_id="c")
    assert copied["lineage"] != first["lineage"]
    assert copied["ids"] == ["a"]
    loose = [lineage_of(None, thread_id=None, checkpoint_id=None)["lineage"] for _ in range(2)]
    assert loose[0] != loose[1]


def test_it_follows_the_log():
    seen = view(commit("a", 1, "L"))
    assert seen.hidden(None) == frozenset()
    seen.rows += [commit("b", 2, "L", seen=["a"]), commit("c", 3, "L", seen=["a"])]
    assert seen.hidden(None) == {"b"}
