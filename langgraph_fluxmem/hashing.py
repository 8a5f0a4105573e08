"""The offline embedding: hashed words and character n-grams. Deterministic, lexical, for any script; needs no model and no network.

A text is the sum of its terms' vectors; a term is its own hashed feature and those of its character n-grams (as in fastText, Bojanowski
et al. 2017), each feature a signed coordinate (Weinberger et al. 2009). Repeats count logarithmically.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from functools import lru_cache
from math import log

import numpy as np
from numpy.typing import NDArray

from langgraph_fluxmem.embeddings import Embedder, Matrix
from langgraph_fluxmem.text import terms

DIMS = 512
_GRAMS = (3, 4, 5)
_GRAM_SHARE = 1.0
"""Length of the n-grams' part of a term's vector, where the term's own feature has length 1."""

_Sparse = tuple[NDArray[np.intp], NDArray[np.float64]]


class HashingEmbedder(Embedder):
    """Hashed words and character n-grams (n, 512); the zero vector never occurs."""

    lexical = True

    def __init__(self) -> None:
        self.dims = DIMS
        self.fingerprint = f"offline-3:{DIMS}"

    def _embed(self, texts: list[str], query: bool) -> Matrix:  # noqa: ARG002 - both sides are alike
        return np.stack([_vector(text) for text in texts]).astype(np.float32)

    async def _aembed(self, texts: list[str], query: bool) -> Matrix:
        return self._embed(texts, query) if len(texts) == 1 else await super()._aembed(texts, query)


def _vector(text: str) -> NDArray[np.float64]:
    counts = Counter(terms(text)) or Counter({text.casefold().strip()[:256] or " ": 1})
    found = [(_features(term), 1.0 + log(count)) for term, count in counts.items()]
    places = np.concatenate([places for (places, _), _ in found])
    values = np.concatenate([values * weight for (_, values), weight in found])
    vector = np.zeros(DIMS)
    np.add.at(vector, places, values)
    if not vector.any():  # features that cancel out
        vector[int(places[0])] = 1.0
    return vector


@lru_cache(maxsize=1 << 16)
def _features(term: str) -> _Sparse:
    framed = f"<{term}>"
    grams = [framed[at : at + n] for n in _GRAMS for at in range(len(framed) - n + 1) if len(framed) > n]
    names = [b"w" + term.encode(), *(b"g" + gram.encode() for gram in grams)]
    hashes = np.array([int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little") for name in names], dtype=np.uint64)
    values = np.where(hashes >> np.uint64(63), 1.0, -1.0)
    values[1:] *= _GRAM_SHARE / max(1.0, len(grams)) ** 0.5
    return (hashes % np.uint64(DIMS)).astype(np.intp), values
