import asyncio
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings

from langgraph_fluxmem.embeddings import LangChainEmbedder, resolve
from langgraph_fluxmem.errors import (
    ConfigError,
    DimensionMismatchError,
    EmbeddingFailedError,
    InvalidVectorError,
    MissingExtraError,
)

TEXTS = ["Ada plays the violin", "我喜欢吃苹果", "красивые машины", "😀", "?!", "the of and", "a", "शहर"]


class Answers(Embeddings):
    """Gives what it was told to give."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def embed_documents(self, texts):
        self.asked.append(("documents", texts))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def embed_query(self, text):
        self.asked.append(("query", text))
        return self.answers.pop(0)


# ------------------------------------------------------------------------------------------------------------------- offline
def test_offline_is_normalised_float32_and_named():
    embedder = resolve(None)
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.dims)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert str(embedder.dims) in embedder.fingerprint


def test_offline_is_the_same_in_another_process():
    code = (
        "import sys; from langgraph_fluxmem.embeddings import resolve;"
        "sys.stdout.write(resolve(None).embed(['Ada plays the violin', '我喜欢吃苹果']).tobytes().hex())"
    )
    other = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path)},
    )
    assert other.stdout == resolve(None).embed(TEXTS[:2]).tobytes().hex()


def test_offline_likeness_is_lexical():
    near, inflected, far = (
        resolve(None).embed(["a violin concert", "concerts for violins", "parking tickets"]) @ resolve(None).embed(["violin concert"])[0]
    )
    assert near > 0.99
    assert inflected > 0.9
    assert far < 0.3


def test_offline_spelling_mistakes_stay_near():
    one, other = resolve(None).embed(["photosynthesis", "fotosynthesis"])
    assert one @ other > 0.2


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=4))
def test_offline_never_gives_a_zero_vector(texts):
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    np.testing.assert_allclose(np.linalg.norm(resolve(None).embed(texts), axis=1), 1, atol=1e-5)


def test_texts_of_other_scripts_differ():
    vectors = resolve(None).embed(TEXTS)
    likeness = vectors @ vectors.T - np.eye(len(TEXTS))
    assert likeness.max() < 0.6


def test_no_texts_give_no_rows():
    assert resolve(None).embed([]).shape == (0, resolve(None).dims)
    assert LangChainEmbedder(Answers()).embed([]).shape == (0, 0)


async def test_sync_and_async_agree():
    for embedder in (resolve(None), resolve(DeterministicFakeEmbedding(size=8))):
        np.testing.assert_array_equal(embedder.embed(TEXTS), await embedder.aembed(TEXTS))
        np.testing.assert_array_equal(embedder.embed(TEXTS[:1], query=True), await embedder.aembed(TEXTS[:1], query=True))
        assert (await embedder.aembed([])).shape[0] == 0


async def test_embedding_in_bulk_leaves_the_loop_free():
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    class Slow(Answers):
        def embed_documents(self, texts):
            time.sleep(0.05)
            return [[1.0]] * len(texts)

    task = asyncio.create_task(tick())
    await resolve(Slow()).aembed(["a", "b"])
    task.cancel()
    assert ticks > 1


# ----------------------------------------------------------------------------------------------------------------- LangChain's
def test_rows_are_normalised_and_dims_learned():
    embedder = resolve(Answers([[3.0, 4.0]]))
    assert embedder.dims is None
    np.testing.assert_allclose(embedder.embed(["a"]), [[0.6, 0.8]])
    assert embedder.dims == 2


def test_queries_take_the_query_side():
    fake = Answers([1.0, 0.0], [[0.0, 1.0]])
    embedder = resolve(fake)
    embedder.embed(["q"], query=True)
    embedder.embed(["d"])
    assert fake.asked == [("query", "q"), ("documents", ["d"])]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([[float("nan"), 1.0]], "NaN"),
        ([[float("inf"), 1.0]], "NaN or infinity"),
        ([[0.0, 0.0]], "zero vector"),
        ([[1.0], [1.0]], "expected \\(1, dims\\)"),
        ([1.0, 2.0], "expected \\(1, dims\\)"),
        ([[]], "expected \\(1, dims\\)"),
        ([["x"]], "no array of numbers"),
        (None, "shape"),
    ],
)
def test_bad_vectors_are_refused(answer, said):
    with pytest.raises(InvalidVectorError, match=said):
        resolve(Answers(answer)).embed(["text"])


def test_ragged_vectors_are_refused():
    with pytest.raises(InvalidVectorError, match="one length"):
        resolve(Answers([[1.0, 2.0], [1.0]])).embed(["a", "b"])


def test_another_length_than_before_is_refused():
    embedder = resolve(Answers([[1.0, 2.0]], [[1.0, 2.0, 3.0]]))
    embedder.embed(["a"])
    with pytest.raises(DimensionMismatchError, match="3 dimensions, before they had 2"):
        embedder.embed(["b"])
    assert embedder.dims == 2


def test_a_refused_answer_teaches_no_length():
    embedder = resolve(Answers([[0.0, 0.0, 0.0]], [[1.0, 2.0]]))
    with pytest.raises(InvalidVectorError):
        embedder.embed(["a"])
    assert embedder.embed(["a"]).shape == (1, 2)


async def test_what_the_embedding_raises_is_chained():
    cause = OSError("no route to host")
    for embed in (lambda e: e.embed(["a", "b"]), lambda e: asyncio.run(e.aembed(["a", "b"]))):
        with pytest.raises(EmbeddingFailedError, match="raised OSError on a batch of 2: no route") as caught:
            await asyncio.to_thread(embed, resolve(Answers(cause)))
        assert caught.value.__cause__ is cause


def test_fingerprints_name_class_and_model():
    class Remote(Answers):
        model = "embed-3"
        dimensions = 256

    assert resolve(Remote()).fingerprint.endswith("Remote(model=embed-3, dimensions=256)")
    assert resolve(DeterministicFakeEmbedding(size=8)).fingerprint != resolve(DeterministicFakeEmbedding(size=9)).fingerprint
    assert resolve(Answers()).fingerprint != resolve(Remote()).fingerprint


def test_an_embedder_passes_through():
    embedder = resolve(None)
    assert resolve(embedder) is embedder


# --------------------------------------------------------------------------------------------------------------------- names
def test_a_name_without_provider_is_refused():
    with pytest.raises(ConfigError, match="provider:model"):
        resolve("all-minilm")


def test_an_unknown_provider_is_refused():
    pytest.importorskip("langchain.embeddings")
    with pytest.raises((ConfigError, MissingExtraError), match="nosuch"):
        resolve("nosuch:model")


def test_a_missing_provider_package_names_the_pip_line():
    pytest.importorskip("langchain.embeddings")
    with pytest.raises(MissingExtraError, match="pip install langchain-cohere"):
        resolve("cohere:embed-v4")


def test_something_else_is_refused():
    with pytest.raises(ConfigError, match="int"):
        resolve(3)


def test_the_offline_embedding_loads_no_heavy_module():
    code = "import sys; from langgraph_fluxmem.embeddings import resolve; resolve(None).embed(['a']); print([m for m in ('torch','chromadb','langchain','tokenizers') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)})
    assert out.stdout.strip() == "[]"
