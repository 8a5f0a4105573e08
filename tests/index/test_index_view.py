"""NamespaceView against plain definitions of each of its answers."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from index_writer import NS, unit

from langgraph_fluxmem.errors import DimensionMismatchError
from langgraph_fluxmem.edits import CommitWrite

DOCUMENTS = ["red apple red", "green apple", "blue sky over green hill", "apple pie", "sky", "pie pie pie in the sky"]


def reference_bm25(documents, query, k1=1.2, b=0.75):
    split = [document.split() for document in documents]
    average = sum(map(len, split)) / len(split)
    scores = []
    for words in split:
        total = 0.0
        for term in query:
            df = sum(term in other for other in split)
            tf = words.count(term)
            idf = math.log(1 + (len(split) - df + 0.5) / (df + 0.5))
            total += idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * len(words) / average))
        scores.append(total)
    return scores


@pytest.fixture
def view(write, projections):
    write.put_many([(f"f{n}", document, {}) for n, document in enumerate(DOCUMENTS)])
    return projections.view(NS)


def test_an_empty_namespace_answers_everything(projections):
    view = projections.view(("nobody",))
    assert view.size == 0
    assert list(view.ids) == []
    assert view.dense_top(unit(1), 5).tolist() == []
    assert view.bm25(["x"]).shape == (0,)
    assert view.rows_of(["x"]).tolist() == [-1]
    assert view.average_length == 0.0
    assert view.df("x") == 0


@pytest.mark.parametrize("query", [["apple"], ["apple", "sky", "nowhere"], ["pie", "pie", "red"], []])
def test_bm25_is_the_textbook_sum(view, query):
    assert view.bm25(query) == pytest.approx(reference_bm25(DOCUMENTS, query), rel=1e-5)
    assert view.bm25(query, k1=0.5, b=0.1) == pytest.approx(reference_bm25(DOCUMENTS, query, 0.5, 0.1), rel=1e-5)


def test_term_statistics(view):
    assert [view.df(term) for term in ("apple", "pie", "nowhere")] == [3, 2, 0]
    assert view.average_length == pytest.approx(np.mean([len(document.split()) for document in DOCUMENTS]))
    assert list(view.terms_of(5)) == DOCUMENTS[5].split()
    assert view.rows_with("apple").tolist() == [0, 1, 3]


def reference_rarities(documents):
    split = [document.split() for document in documents]
    often = Counter(word for words in split for word in words)
    return [sum(math.log1p(len(split) / often[word]) for word in words) for words in split]


def test_rarities_are_sums_over_what_is_shown(view, write, projections):
    assert view.rarities() == pytest.approx(reference_rarities(DOCUMENTS), rel=1e-5)
    assert projections.view(("nobody",)).rarities().tolist() == []
    for text in ("", "pie", ""):
        write.put(f"late{text}", text)
    assert projections.view(NS).rarities() == pytest.approx(reference_rarities([*DOCUMENTS, "pie", ""]), rel=1e-5)


def test_dense_top_is_a_sort_by_cosine(view, write):
    query = unit(3)
    cosines = [float(write.vector_of(f"h-{version}") @ query) for version in view.ids]
    best = sorted(range(view.size), key=lambda row: -cosines[row])
    for m in (1, 3, 6, 50):
        assert view.dense_top(query, m).tolist() == best[:m]
    assert view.dense_at(query, np.array([4, 0])) == pytest.approx([cosines[4], cosines[0]], abs=1e-6)
    mask = np.array([True, False, True, False, True, False])
    assert view.dense_top(query, 2, allowed=mask).tolist() == [row for row in best if mask[row]][:2]
    assert view.dense_top(query, 2, allowed=np.array([5, 1])).tolist() == [row for row in best if row in (1, 5)]
    assert view.dense_top(query, 0).tolist() == []


def test_equal_vectors_come_in_row_order(write, projections):
    write.put_many([(f"f{n}", "", {"texts": [("content", "same", "")]}) for n in range(40)])
    assert projections.view(NS).dense_top(unit(1), 5).tolist() == [0, 1, 2, 3, 4]


def test_the_best_of_several_texts_counts(write, projections):
    write.put("a", texts=[("x", "h1", "one"), ("y", "h2", "two")])
    write.put("b", texts=[("x", "h3", "one")])
    write.put("c", texts=[("x", "h4", ""), ("y", "h5", ""), ("z", "h6", "")])
    view = projections.view(NS)
    query = unit(9)
    score = {digest: float(write.vector_of(digest) @ query) for digest in ("h1", "h2", "h3", "h4", "h5", "h6")}
    expected = [max(score["h1"], score["h2"]), score["h3"], max(score["h4"], score["h5"], score["h6"])]
    assert view.dense_at(query, np.arange(3)) == pytest.approx(expected, abs=1e-6)
    assert view.dense_at(query, np.array([2, 0, 2])) == pytest.approx([expected[2], expected[0], expected[2]], abs=1e-6)
    assert view.dense_top(query, 3).tolist() == np.argsort([-value for value in expected]).tolist()
    assert view.terms_of(0) == ["one", "two"]


def test_rows_without_a_vector_are_never_near(write, projections):
    write.put("plain", "word", vectors=False)
    view = projections.view(NS)
    assert view.size == 1
    assert view.dense_top(unit(1), 3).tolist() == []
    assert view.dense_at(unit(1), np.array([0])).tolist() == [-1.0]
    write.put("other", "word")
    view = projections.view(NS)
    assert view.has_vector.tolist() == [False, True]
    assert view.dense_top(unit(1), 3).tolist() == [1]
    assert view.dense_at(unit(1), np.array([0, 1]))[0] == -1.0
    assert view.vectors_of(np.array([0, 1]))[1] == pytest.approx(write.vector_of(f"h-{view.ids[1]}"))
    assert not view.vectors_of(np.array([0])).any()


def test_a_query_of_another_length_is_refused(view):
    with pytest.raises(DimensionMismatchError, match="8 dimensions"):
        view.dense_top(np.ones(3, np.float32), 1)
    with pytest.raises(DimensionMismatchError):
        view.dense_at(np.ones(3, np.float32), np.array([0]))


def test_order_follows_position_then_log(write, projections):
    ids = [write.put(f"f{n}", source="s", position=position) for n, position in enumerate([3, 1, 2, None, 1])]
    loose = write.put("loose")
    view = projections.view(NS)
    ranked = [ids[1], ids[4], ids[2], ids[0], ids[3]]
    assert [view.ids[row] for row in np.argsort(view.order)[1:]] == ranked
    assert view.order[view.rows_of([loose])].tolist() == [-1]
    middle = view.rows_of([ids[2]])
    assert [view.ids[row] for row in view.neighbours(middle, 2)] == [ids[3]]
    assert [view.ids[row] for row in view.neighbours(middle, -1)] == [ids[4]]
    assert view.neighbours(middle, 0).tolist() == middle.tolist()
    assert view.neighbours(middle, 3).tolist() == [-1]
    assert view.neighbours(view.rows_of([loose]), 1).tolist() == [-1]


def test_sources_do_not_run_into_each_other(write, projections):
    for n in range(6):
        write.put(f"f{n}", source="st"[n % 2], position=n, speaker=["ada", None, "bob"][n % 3])
    view = projections.view(NS)
    assert view.neighbours(np.arange(6), 1).tolist() == [2, 3, 4, 5, -1, -1]
    assert view.neighbours(np.arange(6), -2).tolist() == [-1, -1, -1, -1, 0, 1]
    assert [view.source_names[code] for code in view.source] == list("ststst")
    assert [view.speaker_names[code] if code >= 0 else None for code in view.speaker] == ["ada", None, "bob"] * 2


def test_rows_that_do_not_exist_are_refused(view):
    with pytest.raises(IndexError, match=r"0\.\.5"):
        view.dense_at(unit(1), np.array([-1]))
    with pytest.raises(IndexError):
        view.ids[6]
    assert view.ids[-1] == view.ids[5]
    assert view.ids[1:3] == [view.ids[1], view.ids[2]]


def test_what_a_view_gives_cannot_be_written(view):
    for column in (view.ops, view.source, view.order, view.speaker):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 7


def test_a_view_stays_as_it_was(write, projections):
    ids = [write.put(f"f{n}", f"word{n} apple", source="s", position=n) for n in range(5)]
    view = projections.view(NS)
    query, every = unit(5), np.arange(5)
    before = (list(view.ids), view.dense_top(query, 9).tolist(), view.order.tolist(), view.neighbours(every, 1).tolist(), view.df("apple"))
    scores = view.bm25(["apple", "word1"]).tolist()
    write.put_many([(f"g{n}", "apple", {"source": "s", "position": n - 0.5}) for n in range(40)])
    write.put("f2", "rewritten", source="s", position=2)
    write.forget("f4")
    later = projections.view(NS)
    assert later.size == 44
    assert (
        list(view.ids),
        view.dense_top(query, 9).tolist(),
        view.order.tolist(),
        view.neighbours(every, 1).tolist(),
        view.df("apple"),
    ) == before
    assert view.bm25(["apple", "word1"]).tolist() == scores
    assert view.rows_of([ids[2], later.ids[0], later.ids[43]]).tolist() == [2, 0, -1]


def test_hidden_commits_are_left_out(write, projections):
    for n in range(6):
        commit = CommitWrite(f"c{n % 2}-{n}", f"e{n}", "d")
        write.put(f"f{n}", f"apple word{n}", source="s", position=n, with_writes=[commit])
    whole = projections.view(NS)
    without = projections.view(NS, {"c1-1", "c1-3", "unknown"})
    assert list(without.ids) == [whole.ids[row] for row in (0, 2, 4, 5)]
    assert without.order.tolist() == [0, 1, 2, 3]
    assert without.neighbours(np.arange(4), 1).tolist() == [1, 2, 3, -1]
    assert without.df("apple") == 4
    assert without.rows_of([whole.ids[1], whole.ids[5]]).tolist() == [-1, 3]
    assert set(without.dense_top(unit(1), 10).tolist()) == {0, 1, 2, 3}
    documents = [f"apple word{n}" for n in (0, 2, 4, 5)]
    assert without.rarities() == pytest.approx(reference_rarities(documents), rel=1e-5)
    assert without.bm25(["apple", "word2"]) == pytest.approx(reference_bm25(documents, ["apple", "word2"]), rel=1e-5)
    assert whole.order.tolist() == [0, 1, 2, 3, 4, 5]
    assert projections.view(NS, {"c1-1", "c1-3", "unknown"}) is without
    assert projections.view(NS, {"unknown"}) is whole


def test_counts_of_terms_are_those_of_the_texts(view):
    for row, document in enumerate(DOCUMENTS):
        for term, count in Counter(document.split()).items():
            slots, frequencies = view._posting(term)
            assert frequencies[slots.tolist().index(row)] == count


def test_how_much_rows_say_is_the_same_for_some_and_for_all(write, projections):
    for number in range(12):
        write.put(f"f{number}", " ".join(["apple", "pear", "plum", "fig"][: number % 5] * (1 + number % 2)))
    write.forget("f4")
    view = projections.view(NS)
    every = view.rarities()
    assert every.shape == (view.size,)
    assert every.max() > 0
    for rows in ([0], [3, 1, 1, 7], []):
        assert view.rarities(np.array(rows, np.int64)).tolist() == every[rows].tolist()
