"""What a query asks a namespace's index for: its terms by the rules of every language that the namespace holds, with weights.

A word is stemmed otherwise in each language, and each text holds it in one form. Its forms are one term: each weighs what the idf of all
of them together gives, so that a language of which there are few texts is not taken for a rare word.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import log1p

from langgraph_fluxmem.dates import spelt
from langgraph_fluxmem.index.view import NamespaceView
from langgraph_fluxmem.text import MARKED, counted_terms, mark_of, query_terms


def languages_of(view: NamespaceView) -> tuple[str, ...]:
    """The languages, other than the default, that texts of a view are in."""
    held = view.postings([mark_of(language) for language in MARKED])
    return tuple(language for language, pairs in zip(MARKED, held, strict=True) if pairs.shape[1])


def asked_terms(text: str, view: NamespaceView, languages: tuple[str, ...]) -> Mapping[str, float]:
    """The terms to ask `view` for, whose texts are in these `languages`, and how much each counts.

    Without further languages that is how often it occurs. Dates are spelt out.
    """
    if not languages:
        return counted_terms(spelt(text))
    weights: dict[str, float] = {}
    for times, variants in _forms(text, languages):
        held = {variant: df for variant in variants if (df := view.df(variant))}
        together = _idf(sum(held.values()), view.size)
        for variant, df in held.items():
            weights[variant] = weights.get(variant, 0.0) + times * together / _idf(df, view.size)
        weights.setdefault(variants[0], float(times))
    return weights


@lru_cache(maxsize=256)
def _forms(text: str, languages: tuple[str, ...]) -> list[tuple[int, tuple[str, ...]]]:
    return query_terms(spelt(text), languages)


def _idf(df: int, size: int) -> float:
    return log1p(max(size - df + 0.5, 0.5) / (df + 0.5))
