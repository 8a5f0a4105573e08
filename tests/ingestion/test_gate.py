"""The gate at ingestion: what repeats is merged into a note, what completes is linked, nothing is hidden, all of it can be undone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document

from langgraph_fluxmem import FluxMem
from langgraph_fluxmem.errors import ConfigError
from langgraph_fluxmem.gate import Note, Told, compared
from langgraph_fluxmem.redundancy import REDUNDANT, at_odds, distinct
from langgraph_fluxmem.testing.models import ScriptedChatModel
from tests.ingestion.test_redundancy import DIFFER, SAME

NS = ("memories",)
KETTLE = "The red kettle in the kitchen boils water in two minutes"
FULLER = "The red kettle in the old kitchen boils water in two minutes"
MORE = f"{KETTLE} and was bought in Rome by Ada, who paid forty euros to a dealer near the harbour"
CHESS = "Bob plays chess on Sundays"


def opened(path: Path, **options: Any) -> FluxMem:
    return FluxMem.open(path / "m", chroma="off", **{"gate": "inline", **options})


def said(content: str, **metadata: Any) -> Document:
    return Document(content, metadata=metadata)


def edges(mem: FluxMem, kind: str) -> set[tuple[str, str]]:
    return {(edge.src, edge.dst) for edge in mem.engine.ledger.edges(NS) if edge.kind == kind}


def noted(mem: FluxMem) -> list[Note]:
    return mem.notes(namespace=NS)


def recalled(mem: FluxMem, query: str = "red kettle") -> list[tuple[str, str, dict[str, Any]]]:
    return [(fact.id, fact.content, fact.metadata) for fact in mem.recall(query, k=20).facts]


def test_a_repeat_is_merged_into_a_note_with_every_detail_and_its_sources_stay(tmp_path: Path) -> None:
    with opened(tmp_path) as mem:
        [first] = mem.remember(said(KETTLE, source="a"))
        [again] = mem.remember(said(FULLER, source="b"))
        [note] = noted(mem)
        assert (note.facts, note.text, set(note.sources)) == ((again,), FULLER, {first, again})
        assert edges(mem, "SUPERSEDES") == {(note.id, first), (note.id, again)}
        assert {(id_, content) for id_, content, _ in recalled(mem)} == {(first, KETTLE), (again, FULLER)}
        [row] = mem.engine.ledger.nodes(NS, kinds=("note",))
        assert row.body == {"facts": [again], "origin": "system"}
        assert mem.verify() == []


def test_what_is_recalled_is_the_same_with_the_gate_and_without(tmp_path: Path) -> None:
    documents = [said(KETTLE, source="a"), said(FULLER, source="b"), said(MORE), CHESS]
    with opened(tmp_path / "on") as on, opened(tmp_path / "off", gate="off") as off:
        for document in documents:
            assert on.remember(document) == off.remember(document)
        assert edges(off, "RELATES") == edges(off, "SUPERSEDES") == set()
        for query in ("red kettle", "who plays chess?", "what did Ada pay?"):
            assert recalled(on, query) == recalled(off, query)
            assert [fact.score for fact in on.recall(query).facts] == [fact.score for fact in off.recall(query).facts]
            assert on.recall(query).context == off.recall(query).context


def test_what_completes_a_fact_is_linked_and_what_does_neither_is_appended(tmp_path: Path) -> None:
    with opened(tmp_path) as mem:
        [kettle] = mem.remember(KETTLE)
        [chess] = mem.remember(CHESS)
        [more] = mem.remember(MORE)
        assert edges(mem, "RELATES") == {(more, kettle)}
        assert noted(mem) == []
        assert chess in {id_ for id_, _, _ in recalled(mem, "chess")}


def test_one_batch_is_compared_with_itself(tmp_path: Path) -> None:
    with opened(tmp_path) as mem:
        first, again, more, _ = mem.remember([said(KETTLE, source="a"), said(KETTLE, source="b"), MORE, CHESS])
        [note] = noted(mem)
        assert edges(mem, "SUPERSEDES") == {(note.id, first), (note.id, again)}
        assert edges(mem, "RELATES") == {(more, first), (more, again)}
        assert len(mem.log()) == 1


def test_a_third_repeat_is_a_new_version_of_the_note(tmp_path: Path) -> None:
    with opened(tmp_path) as mem:
        mem.remember(said(KETTLE, source="a"))
        mem.remember(said(FULLER, source="b"))
        [before] = noted(mem)
        [third] = mem.remember(said(KETTLE, source="c"))
        [after] = noted(mem)
        assert after.id != before.id
        assert after.id.rpartition(":")[0] == before.id.rpartition(":")[0]
        assert after.text == FULLER
        assert set(after.sources) == {*before.sources, third}
        assert (after.id, third) in edges(mem, "SUPERSEDES")
        mem.undo(mem.log()[0].id)
        assert noted(mem) == [before]
        assert third not in {id_ for id_, _, _ in recalled(mem)}
        assert mem.verify() == []


@pytest.mark.parametrize(("one", "other"), DIFFER)
def test_what_differs_in_something_that_matters_is_never_merged(one: str, other: str) -> None:
    assert compared(Told("a", one), Told("b", other)).redundancy < REDUNDANT
    assert sorted(distinct([one, other])) == [0, 1]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_of_what_says_the_same_the_fullest_stays(one: str, other: str) -> None:
    assert len(distinct([one, other])) == len(distinct([other, one])) == 1
    assert compared(Told("a", one), Told("b", other)).redundancy >= REDUNDANT
    assert not at_odds(one, other)


@pytest.mark.parametrize("other", [{"speaker": "Ben"}, {"time": "2023-05-09"}, {"speaker": "Ada", "time": "2023-05-08"}])
def test_what_another_person_said_or_at_another_time_is_linked_not_merged(tmp_path: Path, other: dict[str, Any]) -> None:
    with opened(tmp_path) as mem:
        [first] = mem.remember(said("I love hiking in the old hills", speaker="Ada"))
        [again] = mem.remember(said("I love hiking in the old hills", **{"speaker": "Ada", **other}))
        assert noted(mem) == []
        assert edges(mem, "RELATES") == {(again, first)}


def test_the_time_of_day_counts() -> None:
    at = "The big weekly meeting of the whole team begins at 2023-05-08T{}:00 in the hall."
    assert compared(Told("a", at.format(10)), Told("b", at.format(14))).redundancy < REDUNDANT


def test_undo_takes_back_fact_note_and_links_and_they_can_come_again(tmp_path: Path) -> None:
    with opened(tmp_path) as mem:
        mem.remember(said(KETTLE, source="a"))
        before = recalled(mem)
        [again] = mem.remember([said(KETTLE, source="b")])
        mem.remember(MORE)
        for row in mem.log()[:2]:
            mem.undo(row.id)
        assert (noted(mem), edges(mem, "SUPERSEDES"), edges(mem, "RELATES")) == ([], set(), set())
        assert recalled(mem) == before
        [back] = mem.remember(said(KETTLE, source="b"))
        assert back != again
        assert len(noted(mem)) == 1
        assert mem.verify() == []


def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as mem:
        documents = [said(KETTLE, source="a"), said(FULLER, source="b"), MORE]
        ids = mem.remember(documents)
        position = mem.log()[0].position
        assert mem.remember(documents) == ids
        assert [mem.remember(document) for document in documents] == [[id_] for id_ in ids]
        assert mem.log()[0].position == position


def test_items_of_a_store_are_never_compared(tmp_path: Path) -> None:
    with opened(tmp_path) as mem:
        mem.store.put(NS, "a", {"text": KETTLE}, index=["text"])
        mem.remember(KETTLE)
        mem.store.put(NS, "b", {"text": KETTLE}, index=["text"])
        assert noted(mem) == []
        assert edges(mem, "RELATES") == set()
        assert mem.store.get(NS, "a").value == {"text": KETTLE}


def test_what_is_erased_is_in_no_note(tmp_path: Path) -> None:
    with opened(tmp_path) as mem:
        mem.remember(said(KETTLE, source="a"))
        [again] = mem.remember(said(FULLER, source="b"))
        [third] = mem.remember(said(KETTLE, source="c"))
        mem.store.delete(NS, third.rpartition(":")[0])
        assert third not in noted(mem)[0].sources
        mem.store.delete(NS, again.rpartition(":")[0])
        assert noted(mem) == []
        assert all("old kitchen" not in str(row.body) for row in mem.engine.ledger.nodes(NS))


def test_a_new_version_of_a_document_is_not_compared_with_the_old_one(tmp_path: Path) -> None:
    with opened(tmp_path) as mem:
        mem.remember(Document(KETTLE, id="k"))
        mem.remember(Document(FULLER, id="k"))
        assert noted(mem) == []


def test_progress_counts(tmp_path: Path) -> None:
    seen: list[dict[str, int | None]] = []
    with opened(tmp_path) as mem:
        mem.remember([said(KETTLE, source="a"), said(FULLER, source="b"), MORE, CHESS], progress=seen.append)
    assert seen == [{"done": 4, "total": 4, "stored": 4, "merged": 1, "linked": 1}]


async def test_async_does_the_same(tmp_path: Path) -> None:
    documents = [said(KETTLE, source="a"), said(FULLER, source="b"), MORE, CHESS]
    with opened(tmp_path / "one") as one:
        async with await FluxMem.aopen(tmp_path / "two", chroma="off", gate="inline") as two:
            for document in documents:
                assert one.remember(document) == await two.aremember(document)
            assert noted(one) == await two.anotes(namespace=NS)
            assert edges(one, "RELATES") == edges(two, "RELATES")
            assert edges(one, "SUPERSEDES") == edges(two, "SUPERSEDES")


# ---------------------------------------------------------------------------------------------------------------------------- enrich
NOTES = {"notes": [{"context": "Ada's red kettle is a quick one.", "keywords": ["kettle", "Wasserkocher"]}]}


def scripted(relation: tuple[float, float] = (0.0, 0.0)) -> ScriptedChatModel:
    redundancy, complementarity = relation
    relations = {"relations": [{"redundancy": redundancy, "complementarity": complementarity}]}
    return ScriptedChatModel(answer=lambda name, _: NOTES if name == "ExtractedEach" else relations)


def test_enrich_needs_a_model(tmp_path: Path) -> None:
    with opened(tmp_path) as mem, pytest.raises(ConfigError, match="model="):
        mem.remember(KETTLE, enrich=True)


def test_without_enrich_no_model_is_called(tmp_path: Path) -> None:
    model = scripted()
    with opened(tmp_path, model=model) as mem:
        mem.remember([said(KETTLE, source="a"), said(KETTLE, source="b"), MORE])
    assert model.asked == []


def test_enrich_writes_a_note_beside_the_content_and_the_fact_is_found_by_it(tmp_path: Path) -> None:
    seen: list[dict[str, int | None]] = []
    with opened(tmp_path, model=scripted()) as mem:
        [first] = mem.remember(said(KETTLE, x=1), enrich=True, progress=seen.append)
        [row] = mem.engine.ledger.nodes(NS)
        assert row.body == {"content": KETTLE, "metadata": {"x": 1}, **NOTES["notes"][0]}
        [fact] = mem.recall("Wasserkocher", k=1).facts
        assert (fact.id, fact.content, fact.metadata) == (first, KETTLE, {"x": 1})
        assert mem.remember(said(KETTLE, x=1)) == mem.remember(said(KETTLE, x=1), enrich=True) == [first]
        assert mem.verify() == []
    [counted] = seen
    assert (counted["noted"], counted["calls"], counted["fallbacks"]) == (1, 1, 0)
    assert counted["input_tokens"] > 0
    assert counted["output_tokens"] > 0


def test_a_call_is_for_several_facts(tmp_path: Path) -> None:
    model = ScriptedChatModel(answers=["nonsense"])
    with opened(tmp_path, model=model, gate="off") as mem:
        mem.remember([f"fact number {number}" for number in range(33)], enrich=True)
    assert len(model.asked) == 3 * 2  # three tasks, each asked once more


HOME, DWELLING = "Ada has her home in the city of Lisbon in Portugal", "Ada lives in Lisbon, in the south of Portugal"


def test_a_model_decides_where_the_rules_are_unsure(tmp_path: Path) -> None:
    with opened(tmp_path, model=scripted((0.9, 0.0))) as mem:
        mem.remember(HOME)
        mem.remember(DWELLING, enrich=True)
        [note] = noted(mem)
        assert note.text == f"{HOME}\n{DWELLING}"


def test_a_model_cannot_merge_what_is_at_odds(tmp_path: Path) -> None:
    with opened(tmp_path, model=scripted((1.0, 0.0))) as mem:
        mem.remember("Clara is allergic to peanuts and walnuts.")
        mem.remember("Clara is not allergic to peanuts and walnuts.", enrich=True)
        assert noted(mem) == []


@pytest.mark.parametrize("answer", ["banana", {"notes": [], "relations": []}, RuntimeError("down")])
def test_what_a_model_says_that_is_nonsense_leaves_it_to_the_rules(tmp_path: Path, answer: Any) -> None:
    seen: list[dict[str, int | None]] = []
    documents = [said(KETTLE, source="a"), said(FULLER, source="b"), said(MORE), HOME, DWELLING]
    with opened(tmp_path / "one", model=ScriptedChatModel(answers=[answer])) as one, opened(tmp_path / "two") as two:
        assert one.remember(documents, enrich=True, progress=seen.append) == two.remember(documents)
        assert noted(one) == noted(two)
        assert edges(one, "RELATES") == edges(two, "RELATES")
        assert [row.body for row in one.engine.ledger.nodes(NS)] == [row.body for row in two.engine.ledger.nodes(NS)]
    assert seen[0]["noted"] == 0
    assert seen[0]["fallbacks"] >= 2


def test_concurrent_repeats_lose_nothing(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    with opened(tmp_path) as mem:
        with ThreadPoolExecutor(4) as pool:
            ids = list(pool.map(lambda n: mem.remember(said(KETTLE, source=str(n)))[0], range(12)))
        assert {id_ for id_, _, _ in recalled(mem)} == set(ids)
        assert mem.verify() == []
