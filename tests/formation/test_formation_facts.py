import numpy as np
import pytest
from fact_views import NS, Facts, run, vector
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document

from langgraph_fluxmem.config import Config
from langgraph_fluxmem.errors import ConfigError
from langgraph_fluxmem.formation import recall_facts, with_texts
from langgraph_fluxmem.schema import RecalledFact
from langgraph_fluxmem.signals import SIGNALS

CONFIG = Config()
OFF = {signal.name: 0.0 for signal in SIGNALS}
TALK = [
    ("ada", "Which instrument do you play?"),
    ("bob", "The cello, since I was nine."),
    ("ada", "And the weather in Oslo?"),
    ("bob", "Rain, mostly."),
    ("ada", "My sister keeps bees in Riga."),
    ("bob", "How many hives?"),
    ("ada", "Seven now."),
]


def talk() -> Facts:
    return Facts([Document(text, metadata={"source": "s1", "position": at, "speaker": who}) for at, (who, text) in enumerate(TALK)])


def recalled(query: str, *spaces: Facts, k: int = 3, **options):
    return run(recall_facts(query, vector(query), [space.view for space in spaces], k=k, config=CONFIG, **options), *spaces)


def test_the_best_fact_comes_first_with_content_and_metadata_unchanged():
    metadata = {"source": "doc", "position": 3, "nested": {"a": [1, None]}, "time": "2023-05-08"}
    space = Facts([Document("Ada is on the team plan.", metadata=metadata), "Bob plays chess on Sundays.", "The office is in Oslo."])
    facts = recalled("which plan is Ada on?", space)
    assert facts[0].content == "Ada is on the team plan."
    assert facts[0].metadata == metadata
    assert facts[0].namespace == NS
    assert facts[0].id == space.ids[0]
    assert [fact.score for fact in facts] == sorted((fact.score for fact in facts), reverse=True)


def test_the_breakdown_adds_up_to_the_score():
    for fact in recalled("cello and bees in Riga", talk(), k=7):
        assert sum(fact.why.signals.values()) == pytest.approx(fact.score)
        assert set(fact.why.signals) <= {signal.name for signal in SIGNALS}


def test_shares_are_scaled_over_the_union_of_candidates():
    facts = recalled("cello and bees in Riga", talk(), k=7)
    for signal in ("dense", "context"):
        weight = next(other.weight for other in SIGNALS if other.name == signal)
        shares = [fact.why.signals.get(signal, 0.0) for fact in facts]
        assert max(shares) == pytest.approx(weight)
        assert min(shares) == 0


def test_context_finds_the_answer_that_shares_no_word_with_the_question():
    query, answer = "which instrument was played?", "The cello, since I was nine."
    alone = recalled(query, talk(), k=7, signals={**OFF, "bm25": 1.0})
    assert [fact.content for fact in alone] == ["Which instrument do you play?"]
    found = recalled(query, talk(), k=2)
    assert [fact.content for fact in found][1] == answer
    assert {"context", "answers", "statement"} <= set(found[1].why.signals)


def test_nothing_crosses_sources():
    split = Facts([Document(text, metadata={"source": str(at), "speaker": who}) for at, (who, text) in enumerate(TALK)])
    found = recalled("which instrument?", split, k=7, signals={**OFF, "context": 1.0})
    assert [fact.content for fact in found] == ["Which instrument do you play?"]


def test_k_bounds_and_k_above_the_size():
    assert len(recalled("cello", talk(), k=2)) == 2
    assert len(recalled("bees", talk(), k=1000)) == len(TALK)


def test_nothing_to_find():
    assert recalled("anything", Facts([]), k=5) == ()
    assert run(recall_facts("x", vector("x"), [], k=5, config=CONFIG)) == ()


def test_excluded_facts_are_not_returned():
    space = talk()
    first = recalled("cello instrument", space, k=3)
    later = recalled("cello instrument", space, k=7, exclude=frozenset(fact.id for fact in first))
    assert not {fact.id for fact in first} & {fact.id for fact in later}
    assert len(later) == len(TALK) - 3


def test_unknown_exclusions_are_passed_over():
    assert len(recalled("bees", talk(), k=7, exclude=frozenset({"f-nobody:00000000"}))) == len(TALK)


def test_several_namespaces_compete_and_keep_their_names():
    other = Facts(["Bees need water.", "Hives are painted blue."], ("acme", "shared"))
    facts = recalled("bees and hives", talk(), other, k=9)
    assert {fact.namespace for fact in facts} == {NS, ("acme", "shared")}
    assert len(facts) == len(TALK) + 2


def test_equal_scores_are_ordered_by_id():
    space = Facts([Document("the same words", metadata={"n": number}) for number in range(8)])
    facts = recalled("same words", space, k=8)
    assert len({fact.score for fact in facts}) == 1
    assert [fact.id for fact in facts] == sorted(space.ids)


def test_past_use_counts_by_its_size():
    space = talk()
    target = space.rows[6]
    weight = next(signal.weight for signal in SIGNALS if signal.name == "served")
    before = {fact.id: fact.score for fact in recalled("what about the weather", space, k=7)}
    for served in (0.9, 0.01, -0.5):
        after = {fact.id: fact for fact in recalled("what about the weather", space, k=7, served={target.node: served})}
        assert after[target.id].why.signals["served"] == pytest.approx(weight * served)
        assert {name: fact.score - before[name] for name, fact in after.items()} == pytest.approx(
            {name: weight * served * (name == target.id) for name in before}
        )


def test_looking_around_brings_the_neighbours():
    space = talk()
    bees = space.ids[4]
    facts = recalled("cello", space, k=2, exclude=frozenset(space.ids[:2]) | {bees}, around=(bees,))
    assert {fact.id for fact in facts} <= {space.ids[3], space.ids[5], space.ids[6], space.ids[2]}
    assert all("beside" in fact.why.signals for fact in facts)


def test_looking_around_prefers_whoever_said_what_proved_right():
    space = talk()
    bees = space.ids[4]
    facts = recalled("cello", space, k=6, exclude=frozenset({bees}), around=(bees,))
    weight = next(signal.weight for signal in SIGNALS if signal.name == "speaker")
    told = {fact.metadata["speaker"]: fact.why.signals.get("speaker", 0.0) for fact in facts}
    assert told == {"ada": weight, "bob": 0.0}
    unsigned = Facts([Document(text, metadata={"source": "s1", "position": at}) for at, (_, text) in enumerate(TALK)])
    assert not any("speaker" in fact.why.signals for fact in recalled("cello", unsigned, k=7, around=(unsigned.ids[4],)))


def test_looking_around_what_another_namespace_holds_changes_nothing():
    space = talk()
    assert recalled("cello", space, around=("f-nobody:00000000",)) == recalled("cello", space)


def test_weights_can_be_overridden_by_call_and_by_configuration():
    only = recalled("bees in Riga", talk(), k=7, signals={**OFF, "bm25": 2.0})
    assert all(set(fact.why.signals) <= {"bm25"} for fact in only)
    assert only[0].score == pytest.approx(2.0)
    space = talk()
    configured = run(recall_facts("bees", vector("bees"), [space.view], k=7, config=Config(signals={**OFF, "dense": 1.0})), space)
    assert all(set(fact.why.signals) <= {"dense"} for fact in configured)


@pytest.mark.parametrize(
    ("signals", "said"),
    [
        ({"densee": 1.0}, "unknown signal 'densee'"),
        ({"dense": -1.0}, "at least 0"),
        ({"dense": float("nan")}, "at least 0"),
        ({"dense": True}, "at least 0"),
        (OFF, "no signal is left"),
    ],
)
def test_wrong_weights_are_refused(signals, said):
    with pytest.raises(ConfigError, match=said):
        recalled("bees", talk(), signals=signals)


def test_facts_without_vectors_are_found_by_their_words():
    space = Facts(["Ada keeps bees.", "Bob plays the cello."], vectors=False)
    assert recalled("who keeps bees", space, k=1)[0].content == "Ada keeps bees."


def test_a_query_of_stop_words_falls_back_to_likeness():
    assert len(recalled("who are you", talk(), k=3)) == 3


def test_a_time_is_found_however_it_is_written():
    space = Facts([Document(f"Lunch number {month}.", metadata={"time": f"2023-{month:02}-04T12:30:00Z"}) for month in range(1, 13)])
    assert recalled("lunch in May 2023", space, k=1)[0].content == "Lunch number 5."
    assert recalled("lunch 2023-11-04", space, k=1)[0].content == "Lunch number 11."


def test_only_what_is_returned_is_loaded():
    space = talk()
    recalled("cello", space, k=2)
    assert [len(request.ids) for request in space.asked] == [2]


def test_a_version_erased_in_between_is_left_out():
    space = talk()
    gone = recalled("cello", space, k=1)[0].id
    stage = recall_facts("cello", vector("cello"), [space.view], k=2, config=CONFIG)
    request = stage.send(None)
    with pytest.raises(StopIteration) as stop:
        stage.send({key: row for key, row in space.answer(request).items() if key != gone})
    assert gone not in [fact.id for fact in stop.value.value]


def test_with_texts_restores_what_a_state_left_out():
    space = talk()
    slim = [RecalledFact(id=name, content="", namespace=NS, score=1.0) for name in [*space.ids[:2], "f-gone:00000000"]]
    loaded = {row.id: row for row in space.rows}
    assert [fact.content for fact in with_texts(slim, loaded)] == [text for _, text in TALK[:2]]
    kept = RecalledFact(id="x", content="here", namespace=NS, score=1.0)
    assert with_texts([kept], {}) == (kept,)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["bees", "cello", "oslo rain", "a b c", "?", "riga"]), min_size=1, max_size=12),
    st.sampled_from(["bees", "riga rain?", "the"]),
    st.integers(1, 5),
)
def test_any_facts_any_query(texts, query, k):
    space = Facts([Document(text, metadata={"source": f"s{at % 3}", "n": at}) for at, text in enumerate(texts)])
    facts = recalled(query, space, k=k)
    assert len(facts) == min(k, len(texts))
    assert all(np.isfinite(fact.score) for fact in facts)
    assert facts == recalled(query, space, k=k)
