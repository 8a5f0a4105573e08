import json

import pytest

from langgraph_fluxmem import FluxMem
from tests.benchmarks import locomo_feedback, locomo_rounds
from tests.benchmarks.common import CachedEmbeddings, clustered_bootstrap
from tests.benchmarks.locomo import conversations

FEEDBACK = {"group", "before", "after", "delta", "low", "high", "mrr_delta"}
ROUNDS = {"variant", "round", "recall", "all_found", "multi_hop"}
THINGS = ("cello", "kayak", "beehive", "loom", "anvil", "kiln", "sled", "prism")


@pytest.fixture
def data(tmp_path):
    turns = [
        {
            "id": f"D1:{at}",
            "session": 1,
            "date": "1:00 pm on 2 May, 2023",
            "speaker": ("Ada", "Bob")[at % 2],
            "text": f"My {thing} is number {at}.",
        }
        for at, thing in enumerate(THINGS * 4)
    ]
    asked = [
        {
            "question": f"Which numbers has the {thing} of Ada and Bob?",
            "answer": "",
            "category": 1 + at % 5,
            "evidence": [f"D1:{at}", f"D1:{at + 8}"],
        }
        for at, thing in enumerate(THINGS)
    ]
    path = tmp_path / "data.json"
    path.write_text(json.dumps({"conversations": [{"id": "1", "speakers": ["Ada", "Bob"], "turns": turns, "questions": asked}]}))
    return path


def test_feedback_has_a_row_for_each_group(data, tmp_path, capsys):
    rows = locomo_feedback.main(["--data", str(data), "--embeddings", "offline", "--seeds", "1,2", "--json", str(tmp_path / "rows.json")])
    assert [row["group"] for row in rows] == ["all", "categories 1-4", "covered", "uncovered", "placebo", "repeats"]
    assert all(set(row) >= FEEDBACK for row in rows)
    assert json.loads((tmp_path / "rows.json").read_text())["rows"] == rows
    assert "placebo" in capsys.readouterr().out


def test_rounds_has_a_row_for_each_variant_and_round(data, tmp_path, capsys):
    rows = locomo_rounds.main(["--data", str(data), "--embeddings", "offline", "--json", str(tmp_path / "rows.json")])
    by_variant = {variant: [row for row in rows if row["variant"] == variant] for variant in ("static", "refine", "refine - static")}
    assert all([row["round"] for row in some] == [1, 2, 3, 4, 5] and set(some[0]) >= ROUNDS for some in by_variant.values())
    assert all({"low", "high"} <= set(row) for row in by_variant["refine - static"])
    assert by_variant["refine - static"][0]["recall"] == 0.0
    for some in (by_variant["static"], by_variant["refine"]):
        assert [row["recall"] for row in some] == sorted(row["recall"] for row in some)
    assert "refine - static" in capsys.readouterr().out


def test_halves_are_disjoint_and_differ_by_seed(data):
    [conversation] = conversations(data)
    halves = locomo_feedback.split(conversation, 1)
    assert sorted([*halves.first, *halves.second]) == list(range(8))
    assert halves == locomo_feedback.split(conversation, 1)
    assert any(locomo_feedback.split(conversation, seed) != halves for seed in (2, 3, 4))


def test_a_repeat_keeps_six_of_ten_words_in_their_order():
    text = "a b c d e f g h i j"
    kept = locomo_feedback.noisy(text, 1).split()
    assert len(kept) == 6
    assert kept == sorted(kept)
    assert locomo_feedback.noisy("one", 1) == "one"


def test_a_placebo_gives_every_set_to_another_question():
    revealed = {index: {f"f{index}": ""} for index in range(5)}
    given = locomo_feedback.exchanged(revealed, 1)
    assert sorted(given.values()) == [[f"f{index}"] for index in range(5)]
    assert all(given[index] != [f"f{index}"] for index in range(5))


def test_only_what_was_retrieved_is_revealed(data, tmp_path):
    [conversation] = conversations(data)
    embeddings = CachedEmbeddings("offline")
    with FluxMem.open(tmp_path / "memory", embeddings=embeddings, chroma="off") as mem:
        locomo_feedback.ingest(mem, embeddings, [conversation])
        revealed = locomo_feedback.teach(mem, conversation, [0, 3])
        assert {index: set(turns.values()) for index, turns in revealed.items()} == {0: {"D1:0", "D1:8"}, 3: {"D1:3", "D1:11"}}
        assert [operation.kind for operation in mem.log(namespace=conversation.namespace)] == ["learn", "learn", "remember"]


def test_the_interval_draws_a_group_together():
    same = clustered_bootstrap([1.0, 1.0, 0.0, 0.0], ["a", "a", "b", "b"])
    assert same[0] == 0.5
    assert same[1:] == (0.0, 1.0)
    assert clustered_bootstrap([], []) == (0.0, 0.0, 0.0)
