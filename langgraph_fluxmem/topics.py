"""Topics as people read them: what a namespace's facts are about, with the words of the facts themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
from pydantic import BaseModel, ConfigDict

from langgraph_fluxmem.anchors import Anchors, anchors_of
from langgraph_fluxmem.index.view import NamespaceView
from langgraph_fluxmem.ledger.rows import NodeRow
from langgraph_fluxmem.requests import Load, Stage, Views
from langgraph_fluxmem.schema import Namespace
from langgraph_fluxmem.storing.fields import fact_of
from langgraph_fluxmem.text import surfaces

LABEL = 3
"""Keywords in a label."""
SHOWN = 10
"""Keywords and facts of a topic that are named."""
_READ = 3
"""Facts read for the form in which a keyword is shown."""


class Topic(BaseModel):
    """What several facts are about."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    """Its foremost keywords, as the facts have them."""
    keywords: tuple[str, ...]
    """At most `SHOWN`, the one with the strongest ties first."""
    size: int
    """How many facts are more about this than about any other topic."""
    facts: tuple[str, ...]
    """Ids of at most `SHOWN` of those, the most typical first."""


def topics(namespace: Namespace, limit: int) -> Stage:
    """The `limit` weightiest topics of a namespace as `Topic`s; none where too few facts have words in common."""
    views: list[NamespaceView] = yield Views((namespace,))
    view, anchors = views[0], anchors_of(views[0])
    chosen = anchors.graph.topics[:limit]
    examples = {word: anchors.rows_of(word)[:_READ] for topic in chosen for word in topic.terms[:SHOWN]}
    rows = sorted({row for some in examples.values() for row in some})
    ids = [view.ids[row] for row in rows]
    loaded: dict[str, NodeRow] = yield Load(namespace, tuple(ids))
    texts = {row: fact_of(loaded[name])[0] for row, name in zip(rows, ids, strict=True) if name in loaded and loaded[name].body is not None}
    held = members(anchors)
    found: list[Topic] = []
    for number, topic in enumerate(chosen):
        words = [_shown(word, (texts[row] for row in examples[word] if row in texts)) for word in topic.terms[:SHOWN]]
        facts = held.get(number, [])
        found.append(
            Topic(
                label=", ".join(words[:LABEL]), keywords=tuple(words), size=len(facts), facts=tuple(view.ids[row] for row in facts[:SHOWN])
            )
        )
    return found


def members(anchors: Anchors) -> dict[int, list[int]]:
    """Topic -> the rows that are more about it than about another, the most typical first."""
    count = len(anchors.graph.topics)
    if not count:
        return {}
    topic = np.array([anchors.graph.topic_of.get(word, -1) for word in anchors.word], dtype=np.int64)
    known = topic >= 0
    pairs, shares = np.unique(anchors.row[known] * count + topic[known], return_counts=True)
    row, number = pairs // count, pairs % count
    order = np.lexsort((number, -shares, row))
    best = order[np.r_[True, row[order][1:] != row[order][:-1]]] if len(order) else order
    found: dict[int, list[int]] = {}
    for at in best[np.lexsort((row[best], -shares[best]))].tolist():
        found.setdefault(int(number[at]), []).append(int(row[at]))
    return found


def _shown(term: str, texts: Iterable[str]) -> str:
    """The commonest form in which texts have a term, in lower case unless they always write it otherwise."""
    forms = Counter(word for text in texts for known, word in surfaces(text) if known == term)
    if not forms:
        return term.rpartition(":")[2]
    low = Counter({word: count for word, count in forms.items() if word == word.lower()}) or forms
    return min(low, key=lambda word: (-low[word], len(word), word))
