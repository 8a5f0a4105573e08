import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langgraph_fluxmem import FluxMem
from langgraph_fluxmem.text import MARKED, index_terms, language_of, mark_of, query_terms, terms
from langgraph_fluxmem.text.function_words import FUNCTION_WORDS, LATIN, MISLEADING
from tests.benchmarks.languages import measure
from tests.benchmarks.languages_data import PAIRS


@pytest.mark.parametrize("language", ["en", "de", "fr", "es"])
def test_languages_are_guessed_and_english_is_never_taken_for_another(language):
    guessed = Counter(language_of(re.findall(r"\w+", f"{fact} {question}")) for fact, question in PAIRS[language])
    assert guessed[language] >= (20 if language == "en" else 19)


@pytest.mark.parametrize(
    "text", ["Take care, Jon!", "Bye Ben, go get 'em", "The die was cast in Den Haag", "Il Divo", "42", "", "Ada", "dog"]
)
def test_short_english_stays_english(text):
    assert language_of(re.findall(r"\w+", text)) == "en"


@pytest.mark.parametrize("language", [language for language in LATIN if language != "en"])
def test_function_words_of_a_language_speak_for_it_and_are_no_terms(language):
    words = sorted(FUNCTION_WORDS[language] - MISLEADING)
    assert language_of(words) == language
    assert terms(" ".join(words), language) == []


def test_a_stored_term_bears_its_language_and_a_query_asks_in_all_of_them():
    stored = index_terms("Müller", "Die Schlüssel liegen unter den Blumentöpfen, Regal A12", "8 May 2023")
    assert {"de:schlussel", "de:blumentopf", "a12", "8", "2023", mark_of("de")} <= set(stored)
    asked = {form for _, forms in query_terms("Wo ist der Schlüssel im Blumentopf?", ["de"]) for form in forms}
    assert {"de:schlussel", "de:blumentopf", "blumentopf"} <= asked
    assert not asked & set(map(mark_of, MARKED))
    assert all("im" not in forms for _, forms in query_terms("Wo ist der Schlüssel im Blumentopf?", ["de"])), (
        "it says nothing in the query's language"
    )


def test_english_is_asked_for_as_it_is_stored():
    for fact, question in PAIRS["en"]:
        for text in (fact, question):
            assert Counter(terms(text)) == Counter({forms[0]: times for times, forms in query_terms(text)})


@settings(deadline=None)
@given(st.sampled_from(sorted(PAIRS)), st.integers(0, 19), st.lists(st.sampled_from(MARKED), unique=True))
def test_what_a_text_is_stored_as_is_asked_for_by_the_same_text(language, at, others):
    """Whatever it is taken for: each stored term is among the forms that the same words ask for in a namespace that holds its language."""
    for text in PAIRS[language][at]:
        stored = index_terms(text)
        languages = [code for code in MARKED if mark_of(code) in stored or code in others]
        asked = {form for _, forms in query_terms(text, languages) for form in forms}
        assert set(stored) - set(map(mark_of, MARKED)) <= asked


def test_a_word_in_few_texts_of_another_language_is_not_taken_for_a_rare_one(tmp_path):
    with FluxMem.open(tmp_path, chroma="off") as mem:
        mem.remember([f"The garden number {number} is a nice garden with a tree." for number in range(40)])
        mem.remember("Der Garten ist hinter dem Haus und die Tür ist nicht offen.")
        mem.remember("An orchid grows in this garden.")
        weights = {"bm25": 1.0} | {
            name: 0.0 for name in ("dense", "context", "surroundings", "source", "answers", "substance", "statement", "served")
        }
        found = mem.recall("garden orchid", k=3, signals=weights).facts
        assert found[0].content.startswith("An orchid")
        assert mem.recall("offene Türen im Garten", k=1, signals=weights).facts[0].content.startswith("Der Garten")


def test_every_language_is_found_far_better_than_by_plain_words():
    rows = {row["language"]: row for row in measure()}
    assert len(rows) == 13
    for row in rows.values():
        assert row["fluxmem@5"] >= 0.9
        assert row["fluxmem@1"] >= row["bm25@1"]
    assert rows["mean"]["fluxmem@1"] >= 0.93
