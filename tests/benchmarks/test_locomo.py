import json

import numpy as np
import pytest

from langgraph_fluxmem.signals import SIGNALS
from tests.benchmarks import ablation, locomo, locomo_fit
from tests.benchmarks.common import CachedEmbeddings, paired_bootstrap

KEYS = {"system", "recall@5", "recall@10", "recall@20", "all@10", "mrr", "by_category", "add_ms", "query_ms_p50", "query_ms_p95"}


@pytest.fixture
def data(tmp_path):
    turns = [
        {"id": f"D{session}:{at}", "session": session, "date": f"{at}:00 pm on {session} May, 2023", "speaker": speaker, "text": text}
        for session, talk in enumerate(
            [
                ["Do you play an instrument?", "The cello, since I was nine.", "How lovely!"],
                ["My sister keeps bees.", "In Riga?", "Yes, seven hives."],
            ],
            1,
        )
        for at, (speaker, text) in enumerate(zip(("Ada", "Bob", "Ada"), talk, strict=True), 1)
    ]
    turns[3]["photo"] = "a wooden hive"
    asked = [
        {"question": "What does Bob play?", "answer": "", "category": 4, "evidence": ["D1:2"]},
        {"question": "Whose hive is wooden?", "answer": "", "category": 1, "evidence": ["D2:1", "D2:3", "D2:1", "D9:9"]},
        {"question": "Nothing to find", "answer": "", "category": 5, "evidence": ["D9:9"]},
    ]
    path = tmp_path / "data.json"
    path.write_text(json.dumps({"conversations": [{"id": "1", "speakers": ["Ada", "Bob"], "turns": turns, "questions": asked}]}))
    return path


def test_documents_are_as_the_protocol_says(data):
    [conversation] = locomo.conversations(data)
    assert conversation.documents[3].page_content == "My sister keeps bees. [shares a photo: a wooden hive]"
    assert conversation.documents[3].metadata == {
        "source": "1/2",
        "position": 3,
        "speaker": "Ada",
        "time": "1:00 pm on 2 May, 2023",
        "turn": "D2:1",
    }
    assert [question.evidence for question in conversation.questions] == [("D1:2",), ("D2:1", "D2:3")]


def test_one_run_gives_three_systems_and_their_keys(data, tmp_path, capsys):
    rows = locomo.main(["--data", str(data), "--embeddings", "offline", "--json", str(tmp_path / "rows.json")])
    assert [row["system"] for row in rows] == ["fluxmem", "dense", "hybrid"]
    assert all(set(row) == KEYS for row in rows)
    assert json.loads((tmp_path / "rows.json").read_text()) == {"rows": rows}
    assert all(row["recall@10"] == row["recall@20"] == 1.0 for row in rows)
    assert set(rows[0]["by_category"]) == {"1", "4"}
    assert "recall@10" in capsys.readouterr().out


def test_presets_add_rows(data):
    rows = locomo.main(["--data", str(data), "--embeddings", "offline", "--presets"])
    assert [row["system"] for row in rows if "difference" in row] == ["fast", "balanced", "thorough", "paths", "balanced, evidence=2"]


def test_the_ablation_says_of_each_part_what_it_earns(data, tmp_path, capsys):
    page = tmp_path / "faq" / "a.en.html"
    page.parent.mkdir()
    page.write_text("<h2>Where is the key?</h2><p>Under the mat.</p><h2>Who has the cat?</h2><p>Bob has it.</p>")
    arguments = ["--data", str(data), "--embeddings", "offline", "--debian-faq", str(page.parent), "--json", str(tmp_path / "rows.json")]
    rows = ablation.main(arguments)
    assert json.loads((tmp_path / "rows.json").read_text()) == {"rows": rows}
    parts = {where: [row["part"].partition(" ")[0] for row in rows if row["data"] == where] for where in ("locomo", "faq")}
    signals = [signal.name for signal in SIGNALS if signal.name not in ablation.LEARNED]
    assert parts["faq"] == ["all", *signals]
    assert parts["locomo"][: len(signals) + 1] == ["all", *signals]
    assert {"gate", "links,", "keywords", "topics", "neighbours", "evidence", "preset"} <= set(parts["locomo"][len(signals) + 1 :])
    for row in rows:
        if "mrr" in row:
            assert row["recall@10 low"] <= row["recall@10"] <= row["recall@10 high"]
            assert row["mrr low"] <= row["mrr"] <= row["mrr high"]
    assert "recall@10" in capsys.readouterr().out


def test_a_part_that_finds_more_earns_what_it_finds():
    worse, better = (np.array([0.0, 0.5]), np.array([0.5, 0.5])), (np.array([1.0, 0.5]), np.array([0.5, 1.0]))
    gained = ablation.difference(better, worse)
    assert (gained["recall@10"], gained["mrr"]) == (0.5, 0.25)
    lost = {
        row["part"]: row["recall@10"]
        for row in ablation.signal_rows(lambda signals: worse if signals.get("dense") == 0.0 else better, better)
    }
    assert lost["dense"] == 0.5
    assert lost["bm25"] == 0.0


def test_weights_are_fitted_without_the_conversation_they_are_measured_on(data, monkeypatch):
    raw = json.loads(data.read_text())
    raw["conversations"].append({**raw["conversations"][0], "id": "2"})
    data.write_text(json.dumps(raw))
    looked = []
    worth = locomo_fit.Asked.worth
    monkeypatch.setattr(locomo_fit.Asked, "worth", lambda self, used, weights: looked.append(tuple(used)) or worth(self, used, weights))
    rows = locomo_fit.main(["--data", str(data), "--embeddings", "offline"])
    assert [(row["left out"], row["questions"]) for row in rows] == [("1", 2), ("2", 2), ("all", 4)]
    assert looked == sorted(looked, reverse=True)
    assert set(looked) == {(1,), (0,)}
    assert rows[-1]["mrr"] == pytest.approx((rows[0]["mrr"] + rows[1]["mrr"]) / 2)


def test_a_weight_moves_where_that_gains():
    class Asked:
        def worth(self, conversations, weights):
            return weights["a"] - weights["b"]

    assert locomo_fit.fitted(Asked(), [0], {"a": 1.0, "b": 0.4}) == {"a": 1.5, "b": 0.0}


def test_measures():
    measured = locomo.Measured([1, 2], [locomo.ranks(["a", "b", "c"], ["b", "x"]), locomo.ranks(["a"], ["a"])], [1.0, 3.0])
    row = measured.row("s", 0.5)
    assert (row["recall@5"], row["all@10"], row["mrr"]) == (0.75, 0.5, 0.75)
    assert row["by_category"] == {"1": 0.5, "2": 1.0}
    assert row["query_ms_p50"] == 2.0


def test_cached_embeddings_embed_a_text_once(tmp_path, monkeypatch):
    embeddings = CachedEmbeddings("offline")
    embeddings.warm(["a", "b", "a"])
    monkeypatch.setattr(embeddings._embedder, "embed", lambda *_: pytest.fail("embedded again"))
    assert np.array_equal(embeddings.embed_query("a"), embeddings.embed_documents(["b", "a"])[1])


def test_paired_bootstrap():
    mean, low, high = paired_bootstrap([0.1] * 50)
    assert (mean, low, high) == pytest.approx((0.1, 0.1, 0.1))
    mean, low, high = paired_bootstrap(np.random.default_rng(0).normal(0, 1, 400))
    assert low < mean < high
    assert high - low == pytest.approx(4 * 1 / 20, rel=0.2)
    assert paired_bootstrap([]) == (0.0, 0.0, 0.0)
