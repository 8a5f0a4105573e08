"""Remembering as a generator: a dictionary stands in for the ledger."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from langgraph_fluxmem.errors import EmbeddingFailedError, InvalidContentError
from langgraph_fluxmem.ingestion import drafts, remember
from langgraph_fluxmem.requests import Apply, EmbedFor, Fetch
from langgraph_fluxmem.edits import Applied, NodeWrite, VectorWrite
from langgraph_fluxmem.schema import Provenance
from langgraph_fluxmem.text import QUESTION, content_hash

NS = ("acme", "ada")


class Store:
    """Current versions by node, operations by id, hashes that have a vector."""

    def __init__(self):
        self.current, self.operations, self.vectors, self.plans, self.embedded = {}, set(), set(), [], []

    def answer(self, request):
        if isinstance(request, Fetch):
            assert request.method == "current"
            _, keys = request.args
            return {key: self.current[key] for key in keys if key in self.current}
        if isinstance(request, EmbedFor):
            missing = {key: text for key, text in request.texts if key not in self.vectors}
            self.embedded += missing.values()
            new = {key: VectorWrite(key, np.ones(2, np.float32)) for key in missing}
            return new, {}
        assert isinstance(request, Apply)
        plan = request.plan
        if plan.operation in self.operations:
            return Applied(plan.operation, 0, duplicate=True)
        self.operations.add(plan.operation)
        self.plans.append(plan)
        for write in plan.writes:
            if isinstance(write, NodeWrite):
                self.current[write.node] = SimpleNamespace(id=write.id, body=dict(write.body))
            else:
                self.vectors.add(write.hash)
        return Applied(plan.operation, len(self.plans))

    def run(self, documents, **options):
        stage, answer = remember(documents, namespace=options.pop("namespace", NS), **options), None
        while True:
            try:
                request = stage.send(answer)
            except StopIteration as stop:
                return stop.value
            answer = self.answer(request)

    def writes(self):
        return [write for plan in self.plans for write in plan.writes if isinstance(write, NodeWrite)]


def test_a_mixture_is_remembered_in_order_in_one_operation():
    store = Store()
    provenance = Provenance(run_id="r")
    ids = store.run(
        ["a text", Document("a document", metadata={"source": "d"}), HumanMessage("a message", name="ada")], provenance=provenance
    )
    assert len(ids) == len(set(ids)) == 3
    [plan] = store.plans
    assert (plan.kind, plan.namespace, plan.provenance) == ("remember", NS, provenance)
    assert [write.body["content"] for write in store.writes()] == ["a text", "a document", "a message"]
    assert [write.id for write in store.writes()] == ids
    assert all(write.id.startswith(write.node + ":") and len(write.id) == len(write.node) + 9 for write in store.writes())
    assert {write.hash for write in plan.writes if isinstance(write, VectorWrite)} == {write.texts[0].hash for write in store.writes()}


def test_one_document_needs_no_list():
    assert len(Store().run("a text")) == 1
    assert len(Store().run(Document("a document"))) == 1
    assert len(Store().run(AIMessage("a message"))) == 1
    assert len(Store().run(text for text in ["a", "b"])) == 2


def test_nothing_is_no_operation():
    store = Store()
    assert store.run([]) == []
    assert store.plans == []


def test_the_same_thing_twice_is_stored_once():
    store = Store()
    first = store.run(["a", "b"])
    assert store.run(["b", "a"]) == first[::-1]
    assert store.run(["b", "c", "c"])[0] == first[1]
    assert len(store.plans) == 2
    assert len(store.writes()) == 3


def test_ids_are_deterministic_and_belong_to_a_namespace():
    documents = ["a", Document("b", metadata={"source": "s", "position": 1})]
    assert Store().run(documents) == Store().run(documents)
    assert not set(Store().run(documents)) & set(Store().run(documents, namespace=("other",)))


def test_what_differs_in_source_position_or_metadata_is_another_fact():
    texts = [
        Document("a", metadata=metadata)
        for metadata in ({}, {"source": "s"}, {"source": "s", "position": 1}, {"source": "s", "position": 2}, {"x": 1})
    ]
    assert len(set(Store().run(texts))) == 5


def test_a_document_that_comes_back_changed_is_a_new_version():
    store = Store()
    [first] = store.run(Document("red", id="colour"))
    [second] = store.run(Document("blue", id="colour"))
    [third] = store.run(Document("red", id="colour"))
    assert len({first, second, third}) == 3
    assert len({version.rsplit(":", 1)[0] for version in (first, second, third)}) == 1
    assert [write.body["content"] for write in store.writes()] == ["red", "blue", "red"]
    assert store.run(Document("red", id="colour")) == [third]


def test_what_was_forgotten_can_be_remembered_again():
    store = Store()
    [first] = store.run("a secret")
    del store.current[first.rsplit(":", 1)[0]]
    [again] = store.run("a secret")
    assert again != first
    assert len(store.current) == 1
    assert store.run("a secret") == [again]


def test_a_vector_that_is_held_is_not_made_again():
    store = Store()
    store.run("a")
    store.run([Document("a", metadata={"x": 1}), "b"])
    assert store.embedded == ["a", "b"]


def test_when_embedding_fails_nothing_is_written():
    stage = remember(["a"], namespace=NS)
    assert isinstance(stage.send(None), Fetch)
    assert isinstance(stage.send({}), EmbedFor)
    with pytest.raises(EmbeddingFailedError):
        stage.throw(EmbeddingFailedError("down"))


def test_meaningful_metadata():
    metadata = {"source": 7, "position": 2, "speaker": "Ada", "time": "2023-05-08", "tags": ["x"]}
    [draft] = drafts(Document("Is it raining?", metadata=metadata), namespace=NS)
    assert (draft.source, draft.position, draft.speaker) == ("7", 2.0, "Ada")
    assert draft.body == {"content": "Is it raining?", "metadata": metadata}
    assert draft.embedded == "Ada (2023-05-08): Is it raining?"
    assert draft.text.hash == content_hash(draft.embedded)
    assert draft.text.terms.split() == ["ada", "rain", "8", "may", "2023", QUESTION]


def test_plain_texts_are_embedded_as_they_are():
    [draft] = drafts("just this", namespace=NS)
    assert draft.embedded == "just this"
    assert (draft.source, draft.position, draft.speaker) == (None, None, None)


def test_the_source_argument_is_for_those_that_name_none():
    one, other = drafts(["a", Document("b", metadata={"source": "own"})], namespace=NS, source="given")
    assert (one.source, other.source) == ("given", "own")


def test_messages():
    human, ai, tool = drafts(
        [HumanMessage("hello", id="m1"), AIMessage([{"type": "text", "text": "hi"}], name="bot"), ToolMessage("42", tool_call_id="t")],
        namespace=NS,
    )
    assert human.metadata == {"speaker": "human", "role": "human", "message_id": "m1"}
    assert (ai.content, ai.speaker, tool.speaker) == ("hi", "bot", "tool")
    assert drafts(HumanMessage("edited", id="m1"), namespace=NS)[0].node == human.node


def test_long_texts_become_several_facts_with_their_place():
    text = "A sentence of words. " * 100
    found = drafts(Document(text, metadata={"source": "s", "position": 4}), namespace=NS, split_chars=500)
    assert "".join(draft.content for draft in found) == text
    assert all(len(draft.content) <= 500 for draft in found)
    assert all(text[draft.metadata["start_index"] :].startswith(draft.content) for draft in found)
    places = [draft.position for draft in found]
    assert places == sorted(set(places))
    assert 4 <= min(places) <= max(places) < 5
    assert len({draft.node for draft in found}) == len(found)


def test_a_long_text_without_a_source_is_a_source_of_its_own():
    one = drafts("word " * 300, namespace=NS, split_chars=400)
    other = drafts("other " * 300, namespace=NS, split_chars=400)
    assert len({draft.source for draft in one}) == 1
    assert one[0].source != other[0].source
    assert [draft.position for draft in one] == list(range(len(one)))


def test_blank_pieces_are_left_out():
    found = drafts("a" + " " * 3000 + "b", namespace=NS, split_chars=200)
    assert [draft.content.strip() for draft in found] == ["a", "b"]


def test_ten_megabytes():
    found = drafts("Some sentence or other, of no interest. " * 262_144, namespace=NS)
    assert len(found) > 1300
    assert sum(len(draft.content) for draft in found) == 40 * 262_144


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        (["fine", ""], "document 1 is empty"),
        (["fine", "  \n"], "document 1 is blank"),
        ("nul\x00", "document 0 holds a NUL"),
        ("\ud800", "lone surrogate"),
        ([3], "document 0 is a int"),
        ([None], "NoneType"),
        (3, "documents is a int"),
        (None, "documents is a NoneType"),
        (b"bytes", "documents is a bytes"),
        ({"a": 1}, "documents is a dict"),
        ([AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "1"}])], "message without text"),
        (Document("a", metadata={"x": float("nan")}), "nan"),
        (Document("a", metadata={"x": object()}), "object"),
        (Document("a", metadata={"x": "\ud800"}), "surrogate"),
        (Document("a", metadata={"position": "third"}), "'third', expected a number"),
        (Document("a", metadata={"position": float("inf")}), "inf"),
        (Document("a", metadata={"source": "s\x00"}), "NUL"),
        (Document("a", metadata={"speaker": "s\x00"}), "NUL"),
    ],
)
def test_what_cannot_be_remembered_is_refused_before_anything_is_asked(documents, said):
    with pytest.raises(InvalidContentError, match=said):
        next(remember(documents, namespace=NS))


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=80), max_size=6),
    st.integers(5, 40),
)
def test_any_texts(texts, limit):
    texts = [text for text in texts if text.strip()]
    store = Store()
    ids = store.run(texts, split_chars=limit)
    assert ids == store.run(texts, split_chars=limit)
    assert {write.id for write in store.writes()} == set(ids)
    assert len(store.plans) == bool(texts)
