"""What a recall finds in a small fixed memory, and how high each fact scores: work on its speed must not move a digit."""

import pytest
from langchain_core.documents import Document

from langgraph_fluxmem import FluxMem
from langgraph_fluxmem.schema import Activation

SAID = (
    ("Ada", "I moved to Lisbon in May 2023."),
    ("Ben", "How do you like it there?"),
    ("Ada", "The food is great, and I found a flat near the river."),
    ("Ben", "My sister Carla lives in Porto, with two dogs."),
    ("Ada", "What are their names?"),
    ("Ben", "Rex and Luna. Rex is seven years old."),
    ("Ada", "I have a cat called Miso."),
    ("Ben", "Thanks! That's great."),
)
ALONE = ("Miso is also a soup.", "The ferry to Lisbon costs 12 euros.", "Carla paints boats.", "Dogs need walks twice a day.")
TALK, NOTES = ("memories",), ("notes",)
FOUND = {
    ("Where did Ada move in May 2023?", TALK): [
        ("I moved to Lisbon in May 2023.", 2.3789),
        ("The food is great, and I found a flat near the river.", 1.3725),
        ("My sister Carla lives in Porto, with two dogs.", 1.2259),
    ],
    ("How old is Rex?", TALK): [
        ("Rex and Luna. Rex is seven years old.", 2.322),
        ("My sister Carla lives in Porto, with two dogs.", 1.6288),
        ("I have a cat called Miso.", 1.6276),
    ],
    ("the cat Miso", TALK): [
        ("I have a cat called Miso.", 2.1961),
        ("Thanks! That's great.", 1.3823),
        ("Rex and Luna. Rex is seven years old.", 1.1426),
    ],
    ("which dogs does Carla's sister walk", TALK): [
        ("My sister Carla lives in Porto, with two dogs.", 2.2376),
        ("The food is great, and I found a flat near the river.", 1.5667),
        ("Rex and Luna. Rex is seven years old.", 1.4068),
    ],
    ("boats and soup", NOTES): [
        ("Miso is also a soup.", 1.6661),
        ("Carla paints boats.", 1.4994),
        ("The ferry to Lisbon costs 12 euros.", 0.4153),
    ],
    ("xyzzy", NOTES): [
        ("Carla paints boats.", 0.5741),
        ("The ferry to Lisbon costs 12 euros.", 0.3538),
        ("Dogs need walks twice a day.", 0.1957),
    ],
}
"""By query and namespace: contents and scores."""
ORDER = ["dense", "bm25", "context", "surroundings", "source", "substance", "proper", "own", "statement", "named"]


@pytest.fixture(scope="module")
def mem(tmp_path_factory):
    with FluxMem.open(tmp_path_factory.mktemp("scores") / "memory", chroma="off") as opened:
        opened.remember(
            [Document(text, metadata={"speaker": who, "source": "talk", "position": at}) for at, (who, text) in enumerate(SAID)]
        )
        opened.remember(list(ALONE), namespace=NOTES)
        yield opened


def told(activation: Activation) -> list[tuple[str, float]]:
    return [(fact.content, round(fact.score, 4)) for fact in activation.facts]


@pytest.mark.parametrize(("query", "where"), FOUND)
def test_what_is_found_and_its_scores(mem, query, where):
    found = mem.recall(query, namespace=where, also=[NOTES] if where == TALK else [], k=3)
    assert told(found) == FOUND[query, where]
    assert all(fact.score == pytest.approx(sum(fact.why.signals.values())) for fact in found.facts)
    assert all(share for fact in found.facts for share in fact.why.signals.values())


def test_shares_are_told_in_one_order(mem):
    (fact,) = mem.recall("Where did Ada move in May 2023?", k=1).facts
    assert list(fact.why.signals) == ORDER
