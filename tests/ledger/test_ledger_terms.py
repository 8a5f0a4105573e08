"""Terms made by other rules are made again on open, without embedding anything."""

import json
import sqlite3

from langgraph_fluxmem import Episode, FluxMem
from langgraph_fluxmem.ledger import reindexing
from langgraph_fluxmem.testing.models import ScriptedChatModel
from langgraph_fluxmem.text import VERSION


def _rows(folder):
    with sqlite3.connect(folder / "ledger.sqlite") as connection:
        return dict(connection.execute("SELECT id, texts FROM fluxmem_nodes WHERE texts IS NOT NULL").fetchall())


def _spoil(folder, version="1"):
    """As a memory is whose terms were made by other rules."""
    with sqlite3.connect(folder / "ledger.sqlite") as connection:
        for id_, texts in connection.execute("SELECT id, texts FROM fluxmem_nodes WHERE texts IS NOT NULL").fetchall():
            old = [[path, hash_, "old rules" if terms else ""] for path, hash_, terms in json.loads(texts)]
            connection.execute("UPDATE fluxmem_nodes SET texts = ? WHERE id = ?", (json.dumps(old), id_))
        if version is None:
            connection.execute("DELETE FROM fluxmem_meta WHERE key = 'terms'")
        else:
            connection.execute("UPDATE fluxmem_meta SET value = ? WHERE key = 'terms'", (version,))


class Counting:
    lexical = True
    fingerprint = "counting"

    def __init__(self):
        self.texts = 0

    def embed_documents(self, texts):
        self.texts += len(texts)
        return [[1.0, float(len(text))] for text in texts]

    def embed_query(self, text):
        return self.embed_documents([text])[0]


def _fill(mem):
    mem.remember(["Котов кормят два раза в день?", "Die Schlüssel liegen unter dem Topf."], source="s")
    mem.store.put(("items",), "a", {"text": "An item", "n": 3})
    mem.commit(Episode(task="feed the cats", steps=[], outcome="success"))


def test_old_terms_are_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(reindexing, "PAGE", 2)
    with FluxMem.open(tmp_path, embeddings=Counting(), chroma="off") as mem:
        _fill(mem)
    made = _rows(tmp_path)
    for version in ("1", None):
        _spoil(tmp_path, version)
        embeddings = Counting()
        with FluxMem.open(tmp_path, embeddings=embeddings, chroma="off") as mem:
            assert _rows(tmp_path) == made
            assert embeddings.texts == 0
            assert mem.engine.verify() == []
            assert mem.engine.ledger.check_terms(VERSION, lambda *_: 1 / 0) == 0, "they are of this version now"


def test_terms_of_this_version_are_left_alone(tmp_path):
    with FluxMem.open(tmp_path, embeddings=Counting(), chroma="off") as mem:
        _fill(mem)
    _spoil(tmp_path, VERSION)
    spoilt = _rows(tmp_path)
    with FluxMem.open(tmp_path, embeddings=Counting(), chroma="off"):
        assert _rows(tmp_path) == spoilt


def test_a_note_keeps_its_own_terms(tmp_path):
    notes = {"notes": [{"context": "The kettle of Ada is a Wasserkocher.", "keywords": ["tea", "hot water"]}]}
    model = ScriptedChatModel(answer=lambda *_: notes)
    with FluxMem.open(tmp_path, embeddings=Counting(), chroma="off", model=model) as mem:
        mem.remember("Ada bought a red kettle.", enrich=True)
    made = _rows(tmp_path)
    assert "wasserkoch" in str(made).lower()
    _spoil(tmp_path)
    with FluxMem.open(tmp_path, embeddings=Counting(), chroma="off") as mem:
        assert _rows(tmp_path) == made
        assert mem.recall("hot water for tea", k=1).facts
        assert mem.engine.verify() == []
