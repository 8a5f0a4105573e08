import pytest

from langgraph_fluxmem import ConfigError, FluxMem
from langgraph_fluxmem.evidence import refined
from langgraph_fluxmem.operators import Judgement, RuleOperators
from langgraph_fluxmem.operators.protocol import Sufficient
from langgraph_fluxmem.operators.schemas import Sufficiency
from langgraph_fluxmem.requests import Judge
from langgraph_fluxmem.schema import RecalledFact, Why
from langgraph_fluxmem.testing.models import ScriptedChatModel

PLACES = [f"Ada flew to {place} in spring" for place in ("Riga", "Oslo", "Rome", "Lima", "Bonn", "Kyiv")]


def fact(id: str, score: float = 1.0) -> RecalledFact:
    return RecalledFact(id=id, content=f"text of {id}", namespace=("a",), score=score, why=Why())


def drive(answers, found, *, k=5, rounds=3, facts=None):
    """Run the stage; returns (its result, the memories of each judgement, the searches)."""
    judged, searched = [], []

    def search(query, held, count):
        searched.append((query, held, count))
        return found.pop(0) if found else ()
        yield

    stage = refined("q", facts or [fact(f"f{n}", 1 - n / 10) for n in range(k)], k, rounds=rounds, operators=RuleOperators(), search=search)
    answer = None
    while True:
        try:
            request = stage.send(answer)
        except StopIteration as stop:
            return stop.value, judged, searched
        assert isinstance(request, Judge)
        assert isinstance(request.task, Sufficient)
        judged.append(request.task.memories)
        answer = Judgement(answers.pop(0), "model", calls=1)


def gap(query: str) -> Sufficiency:
    return Sufficiency(sufficient=False, gap="something", query=query)


ENOUGH = Sufficiency(sufficient=True)


def test_what_suffices_is_left_alone():
    (facts, report, judgements), judged, searched = drive([ENOUGH], [])
    assert [found.id for found in facts] == ["f0", "f1", "f2", "f3", "f4"]
    assert (report.rounds, report.queries, report.found, report.sufficient) == (1, (), (), True)
    assert (len(judgements), len(judged), searched) == (1, 1, [])


def test_what_is_found_takes_the_last_place_and_is_judged_again():
    (facts, report, _), judged, searched = drive([gap("bees"), ENOUGH], [(fact("new", 9.0),)])
    assert [found.id for found in facts] == ["f0", "f1", "f2", "f3", "new"]
    assert [found.score for found in facts] == sorted((found.score for found in facts), reverse=True)
    assert facts[-1].why.path == ("sub-query: bees",)
    assert judged[1][-1] == "text of new"
    assert searched == [("bees", frozenset({"f0", "f1", "f2", "f3", "f4"}), 1)]
    assert (report.rounds, report.queries, report.found, report.sufficient) == (2, ("bees",), ("new",), True)


def test_later_rounds_do_not_displace_what_earlier_ones_found():
    (facts, report, _), _, _ = drive([gap("a"), gap("b"), gap("c")], [(fact("a"),), (fact("b"),), (fact("c"),)])
    assert [found.id for found in facts] == ["f0", "f1", "a", "b", "c"]
    assert (report.rounds, report.found, report.sufficient) == (3, ("a", "b", "c"), False)


@pytest.mark.parametrize(
    ("answers", "found", "queries"),
    [
        ([gap("")], [], ()),
        ([gap("q")], [], ()),
        ([gap("a"), gap("a")], [(fact("x"),)], ("a",)),
        ([gap("a")], [], ("a",)),
    ],
    ids=["nothing to ask", "the query again", "the same sub-query again", "nothing found"],
)
def test_it_ends(answers, found, queries):
    (_, report, _), judged, _ = drive(list(answers), list(found))
    assert report.queries == queries
    assert len(judged) == len(answers)


def test_a_model_fills_a_gap_and_its_price_is_told(tmp_path):
    model = ScriptedChatModel(
        answer=lambda tool, messages: (
            {"sufficient": False, "gap": "bees", "query": "hives of bees"}
            if len(model.asked) < 2
            else {"sufficient": True, "gap": "", "query": ""}
        )
    )
    with FluxMem.open(tmp_path, model=model, chroma="off", verify=0) as mem:
        mem.remember([*PLACES, "Seven hives of bees stand behind the house"])
        plain = mem.recall("where did Ada fly to?", k=5)
        assert plain.evidence is None
        assert plain.model_calls == 0
        activation = mem.recall("where did Ada fly to?", k=5, evidence=3)
    assert activation.facts[-1].content.startswith("Seven hives")
    assert activation.evidence.queries == ("hives of bees",)
    assert activation.evidence.found == (activation.facts[-1].id,)
    assert activation.evidence.sufficient
    assert activation.evidence.seconds >= 0
    assert activation.model_calls == len(model.asked) == 2
    assert activation.input_tokens > 0
    assert "Seven hives" in activation.context


def test_thorough_asks_a_model_and_no_rules(tmp_path):
    model = ScriptedChatModel(answers=[{"sufficient": True, "gap": "", "query": ""}])
    with FluxMem.open(tmp_path / "model", model=model, chroma="off", verify=0) as mem:
        mem.remember(PLACES)
        assert mem.recall("Ada", preset="thorough").evidence.rounds == 1
    with FluxMem.open(tmp_path / "rules", chroma="off") as mem:
        mem.remember(PLACES)
        assert mem.recall("Ada", preset="thorough").evidence is None


def test_rules_search_for_the_words_that_no_fact_holds():
    asked = Sufficient("Where does Ada Lovelace keep her honey, hives and bees?", ("Ada keeps bees",))
    judgement = RuleOperators().judge(asked)
    assert not judgement.value.sufficient
    assert judgement.value.query == "Ada Lovelace honey hives"


@pytest.mark.asyncio
async def test_async_does_the_same(tmp_path):
    async with await FluxMem.aopen(tmp_path, chroma="off") as mem:
        await mem.aremember(PLACES)
        activation = await mem.arecall("Where does Bob keep his kangaroo?", evidence=2)
        assert activation.evidence.rounds >= 1
        assert activation.evidence == type(activation).model_validate(activation.model_dump(mode="json")).evidence


@pytest.mark.parametrize("rounds", [-1, 4, 1.0, True, "2"])
def test_a_wrong_number_of_rounds_is_refused(tmp_path, rounds):
    with FluxMem.open(tmp_path, chroma="off") as mem, pytest.raises(ConfigError, match="from 0 to 3"):
        mem.recall("Ada", evidence=rounds)
