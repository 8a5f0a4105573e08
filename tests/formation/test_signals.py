import math
from collections import Counter

import numpy as np
import pytest
from fact_views import Facts, vector
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document

from langgraph_fluxmem import lexical
from langgraph_fluxmem import bench as module
from langgraph_fluxmem.index.top import among, top
from langgraph_fluxmem.lexical import B, K1, idf
from langgraph_fluxmem.bench import Bench, Query
from langgraph_fluxmem.signals import SIGNALS, scaled, trust, weighted
from langgraph_fluxmem.windows import SHARES, windows_of

WORDS = ["ant", "bee", "cow", "dog", "eel", "fox"]
documents = st.lists(
    st.tuples(st.sampled_from(["s1", "s2", None]), st.lists(st.sampled_from(WORDS), min_size=1, max_size=5)), min_size=1, max_size=14
)


def space_of(rows) -> Facts:
    return Facts(
        [Document(" ".join(words), metadata={"n": at, **({"source": source} if source else {})}) for at, (source, words) in enumerate(rows)]
    )


def bench_of(space: Facts, query: str, **more) -> Bench:
    return Bench(Query(query, vector(query), **more), space.view)


def test_what_served_is_read_by_row_and_what_is_not_here_is_nobodys():
    space = space_of([("s1", ["ant"]), ("s1", ["bee"]), (None, ["cow"])])
    first, second, _ = (version.rsplit(":", 1)[0] for version in space.view.ids)
    bench = bench_of(space, "ant", served={"elsewhere": 0.9, second: -0.25, first: 0.5})
    assert bench.served.tolist() == [0.5, -0.25, 0.0]
    signal = next(signal for signal in SIGNALS if signal.name == "served")
    assert signal.propose(bench, 50).tolist() == [0]
    assert signal.score(bench, np.array([1, 0])).tolist() == [-0.25, 0.5]
    assert bench_of(space, "ant").served.tolist() == [0.0, 0.0, 0.0]


def neighbour(rows, at: int, offset: int) -> int | None:
    source = rows[at][0]
    if source is None:
        return at if offset == 0 else None
    members = [index for index, (other, _) in enumerate(rows) if other == source]
    place = members.index(at) + offset
    return members[place] if 0 <= place < len(members) else None


def bm25_by_hand(documents, lengths, average, query, df, size) -> list[float]:
    out = []
    for tf, length in zip(documents, lengths, strict=True):
        norm = K1 * (1 - B + B * length / average)
        out.append(sum(times * idf(df[term], size) * (K1 + 1) * tf[term] / (tf[term] + norm) for term, times in query.items() if tf[term]))
    return out


@settings(max_examples=120, deadline=None)
@given(documents, st.lists(st.sampled_from(WORDS), min_size=1, max_size=4), st.sampled_from([0, 4096]))
def test_bm25_context_and_sources_match_the_formula(rows, asked, few):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lexical, "FEW", few)  # small namespaces work several terms out at once, large ones term by term
        compare_with_the_formula(rows, asked)


def compare_with_the_formula(rows, asked) -> None:
    space = space_of(rows)
    bench = bench_of(space, " ".join(asked))
    query, size = Counter(asked), len(rows)
    terms = [Counter(words) for _, words in rows]
    df = Counter(term for counts in terms for term in counts)
    lengths = [len(words) for _, words in rows]
    np.testing.assert_allclose(bench.bm25, bm25_by_hand(terms, lengths, sum(lengths) / size, query, df, size), rtol=1e-4, atol=1e-5)

    windows, window_lengths = [], []
    for at in range(size):
        counts: Counter = Counter()
        length = 0.0
        for offset, share in SHARES.items():
            beside = neighbour(rows, at, offset)
            if beside is not None:
                length += share * lengths[beside]
                for term, times in terms[beside].items():
                    counts[term] += share * times
        windows.append(counts)
        window_lengths.append(length)
    expected = bm25_by_hand(windows, window_lengths, sum(window_lengths) / size, query, df, size)
    np.testing.assert_allclose(bench.context, expected, rtol=1e-4, atol=1e-5)

    names = sorted({source for source, _ in rows if source})
    merged = {name: sum((counts for (source, _), counts in zip(rows, terms, strict=True) if source == name), Counter()) for name in names}
    totals = [sum(merged[name].values()) for name in names]
    source_df = Counter(term for counts in merged.values() for term in counts)
    by_name = dict(
        zip(
            names,
            bm25_by_hand([merged[name] for name in names], totals, sum(totals) / max(len(names), 1), query, source_df, len(names)),
            strict=True,
        )
    )
    np.testing.assert_allclose(bench.sources, [by_name.get(source, 0.0) for source, _ in rows], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("few", [0, 4096])
def test_rare_terms_in_a_large_namespace_agree_on_both_ways(few, monkeypatch):
    monkeypatch.setattr(lexical, "FEW", few)
    rows = [("s", [WORDS[at % 5]]) for at in range(400)]
    rows[200] = ("s", ["fox"])
    bench = bench_of(space_of(rows), "fox")
    assert len(bench.view.posting("fox")[0]) * len(SHARES) * 4 < 400  # beyond FEW: only where it is
    expected = {200 - offset: share for offset, share in SHARES.items()}
    assert set(np.flatnonzero(bench.context)) == set(expected)
    assert np.argmax(bench.context) == 200
    weight = idf(1, 400) * (K1 + 1)
    np.testing.assert_allclose(bench.context[201], weight * 0.6 / (0.6 + K1), rtol=2e-2)


@pytest.mark.parametrize("few", [0, 10_000])
def test_surroundings_are_the_mean_cosine_of_the_window(few, monkeypatch):
    monkeypatch.setattr(module, "FEW", few)
    rows = [("s1", [word]) for word in WORDS] + [(None, ["ant"])]
    space = space_of(rows)
    bench = bench_of(space, "bee cow")
    cosine = np.maximum(space.view.dense_at(vector("bee cow"), np.arange(7, dtype=np.int32)), 0)
    got = next(signal for signal in SIGNALS if signal.name == "surroundings").score(bench, np.arange(7, dtype=np.int32))
    for at in range(7):
        beside = [(share, neighbour(rows, at, offset)) for offset, share in SHARES.items()]
        there = [(share, index) for share, index in beside if index is not None]
        assert got[at] == pytest.approx(sum(share * cosine[index] for share, index in there) / sum(share for share, _ in there), abs=1e-5)


def test_answers_follow_questions_only():
    space = Facts([Document(text, metadata={"source": "s"}) for text in ["Where are the bees?", "In Riga.", "I like bees.", "So do I."]])
    score = next(signal for signal in SIGNALS if signal.name == "answers").score(
        bench_of(space, "where are the bees"), np.arange(4, dtype=np.int32)
    )
    assert score[1] > 0
    assert score[[0, 2, 3]].tolist() == [0, 0, 0]


def score_of(name, bench):
    return next(signal for signal in SIGNALS if signal.name == name).score(bench, np.arange(bench.view.size))


def test_who_is_named_in_the_query_has_said_it():
    space = Facts([Document("Hello", metadata={"speaker": name} if name else {}) for name in ("Ada Lovelace", "Bob", None, "Bob")])
    assert score_of("named", bench_of(space, "What does Bob like?")).tolist() == [0, 1, 0, 1]
    assert score_of("named", bench_of(space, "What did Ada Lovelace say to Bob?")).tolist() == [1, 1, 0, 1]
    assert score_of("named", bench_of(space, "What does Ada like?")).tolist() == [0, 0, 0, 0]
    assert score_of("named", bench_of(Facts(["Hello"]), "Bob")).tolist() == [0]


def test_names_are_not_looked_for_among_too_many_speakers(monkeypatch):
    monkeypatch.setattr(module, "SPEAKERS", 1)
    space = Facts([Document("Hello", metadata={"speaker": name}) for name in ("Ada", "Bob")])
    assert score_of("named", bench_of(space, "Bob")).tolist() == [0, 0]


def test_what_says_little_in_common_words_has_no_substance():
    said = "thanks that is great really great"
    space = Facts([said, "The harbour of Valparaiso closes on windy nights because cranes topple", *[said] * 8, "thanks"])
    score = score_of("substance", bench_of(space, "harbour"))
    assert score[1] > 4 * score[0] > 0
    assert score[10] < score[0]
    assert score_of("substance", bench_of(Facts([" ".join(f"word{at}" for at in range(400)), "word1 word2"]), "word1"))[0] == 1


def test_what_names_something_and_what_is_said_of_oneself():
    space = Facts([Document(text, metadata={"speaker": "Bob"}) for text in ("We met in Rome", "My cat sleeps", "Hey Ada!")])
    assert score_of("proper", bench_of(space, "where?")).tolist() == [1, 0, 0]
    assert score_of("own", bench_of(space, "where?")).tolist() == [1, 1, 0]
    silent = next(signal for signal in SIGNALS if signal.name == "own").silent
    assert not silent(bench_of(space, "where?"))
    assert silent(bench_of(Facts(["How do I set my password?"]), "password"))


LONG = [" ".join([word] * 60) for word in WORDS]


def test_long_facts_stand_alone_and_short_ones_do_not():
    short, long = (Facts([Document(text, metadata={"source": "s"}) for text in texts]) for texts in (WORDS, LONG))
    assert bench_of(short, "ant").brief == 1
    assert bench_of(long, "ant").brief == pytest.approx(module.BRIEF / 60)
    for name in ("context", "surroundings"):
        near, far = (score_of(name, bench_of(space, "ant")) for space in (short, long))
        assert far[1] / far[0] < near[1] / near[0]
    keeps = {signal.name: signal.keeps for signal in SIGNALS if signal.keeps}
    assert set(keeps) == {"bm25", "context", "source", "answers", "substance", "proper"}
    assert keeps["source"](bench_of(short, "ant")) == 1
    assert keeps["source"](bench_of(long, "ant")) == pytest.approx(module.BRIEF / 60)


def test_words_count_less_where_a_long_text_does_not_hold_what_is_asked():
    space = Facts(LONG)
    own, other = bench_of(space, "ant"), bench_of(space, "ant kangaroo wombat platypus")
    assert 0.1 < other.held < 0.5 < own.held <= 1
    assert trust(own) == 1
    assert trust(other) < 0.75
    assert trust(bench_of(Facts(WORDS), "ant kangaroo wombat platypus")) == 1
    assert bench_of(space, "the").held == 0


def test_windows_are_made_once_for_a_view():
    view = space_of([("s", ["ant"])]).view
    assert windows_of(view) is windows_of(view)


def test_windows_of_an_empty_namespace():
    windows = windows_of(Facts([]).view)
    assert windows.lengths.shape == (0,)
    assert windows.live_sources == 0


def test_scaled():
    assert scaled(np.array([2.0, 4.0, 3.0])).tolist() == [0, 1, 0.5]
    assert scaled(np.array([5.0, 5.0])).tolist() == [1, 1]
    assert scaled(np.array([0.0, 0.0])).tolist() == [0, 0]
    assert scaled(np.array([])).tolist() == []
    assert math.isclose(float(scaled(np.array([-1.0, 1.0], np.float32))[1]), 1)


def test_later_overrides_count():
    chosen = dict((signal.name, weight) for signal, weight in weighted({"dense": 0.1}, {"dense": 0.9, "context": 0}))
    assert chosen["dense"] == 0.9
    assert "context" not in chosen


def test_the_best_rows_are_the_best():
    space = space_of([("s", ["ant"] * (1 + at % 7)) for at in range(60)])
    bench = bench_of(space, "ant")
    scores = np.random.default_rng(1).random(60).astype(np.float32)
    scores[:5] = 0
    assert sorted(bench.best(scores, 7).tolist()) == sorted(np.argsort(-scores, kind="stable")[:7].tolist())
    assert len(bench.best(scores, 59)) == len(bench.best(scores, 100)) == 55


@given(st.lists(st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0]), max_size=200), st.integers(0, 210))
def test_the_best_in_no_order_are_the_best(values, m):
    scores, rank = np.array(values, np.float32), np.arange(len(values))[::-1] // 3
    ordered = top(scores, m, rank)
    assert sorted(among(scores, m, rank).tolist()) == sorted(ordered.tolist())
    assert sorted(among(scores, m, rank, above_zero=True).tolist()) == sorted(ordered[scores[ordered] > 0].tolist())


def test_what_is_kept_of_terms_is_bounded_and_dropping_it_changes_nothing(monkeypatch):
    space = space_of([("s", [WORDS[at % 6], f"w{at}"]) for at in range(40)])
    expected = bench_of(space, "ant bee w3").context
    monkeypatch.setattr(lexical, "KEPT_BYTES", -(1 << 16) // 40 - 1)  # nothing may be kept
    fresh = space_of([("s", [WORDS[at % 6], f"w{at}"]) for at in range(40)])
    for word in [*WORDS, "w1", "w2", "nobody", "ant bee w3"]:
        bench = bench_of(fresh, word)
        got = bench.context
    assert got.tolist() == expected.tolist()
    assert bench.background.surroundings._parts.keys() == bench.terms.keys()


@pytest.mark.parametrize("count", [1, 63, 64, 65, 130, 501, 700])
def test_equal_vectors_have_equal_cosines_wherever_they_stand(count):
    space = space_of([("s", ["ant", "bee"])] * count)
    view, query = space.view, vector("ant cow")
    every = view.dense_all(query)
    assert len(set(every.tolist())) == 1
    assert set(view.dense_at(query, np.arange(0, count, 9)).tolist()) == set(every.tolist())


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=700), st.integers(1, 9), st.booleans())
def test_the_top_is_that_of_a_full_sort(values, m, ranked):
    scores = np.array(values, np.float32)
    rank = -np.arange(len(scores)) // 3
    expected = np.lexsort((np.arange(len(scores)), rank, -scores)) if ranked else np.argsort(-scores, kind="stable")
    got = top(scores, m, rank if ranked else None)
    assert scores[got].tolist() == scores[expected[:m]].tolist()
    assert set(got.tolist()) == set(expected[:m].tolist())
