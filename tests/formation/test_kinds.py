import pytest
from fact_views import Facts
from test_signals import bench_of, score_of

from langgraph_fluxmem.kinds import NAME, NUMBER, OWN, TIME, marks, wanted
from langgraph_fluxmem.text import terms


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("There are two cats", [NUMBER]),
        ("She left last week", [TIME]),
        ("In 2019 it rained", [NUMBER, TIME]),
        ("She likes the weekly market", []),
        ("Everyone came", []),
        ("That was my idea", [OWN]),
        ("We're off, and I'll write", [OWN]),
        ("She museums and omits", []),
        ("They moved to New York in spring", [NAME]),
        ("Hello, Ada. Thank you Bob!", []),
        ("Hey Ada, she met Bob at the door", [NAME]),
        ('She read "The Alchemist" again', [NAME]),
        ("It is OK. So am I", [OWN]),
        ("Sie wohnt nahe der Österreichischen Grenze", [NAME]),
        ("她住在罗马", []),
    ],
)
def test_marks(text, found):
    assert marks(text) == found


@pytest.mark.parametrize(
    ("query", "asks"),
    [
        ("How many cats does she have?", (NUMBER,)),
        ("When did she leave?", (TIME,)),
        ("In which year did it rain?", (TIME,)),
        ("How long ago was it?", (NUMBER, TIME)),
        ("Since when has she lived there?", (TIME,)),
        ("What did she say when it rained?", ()),
        ("Where does she live?", ()),
        ("Wie viele Katzen hat sie?", ()),
    ],
)
def test_wanted(query, asks):
    assert wanted(query) == asks


def test_marks_are_no_terms():
    assert not {NUMBER, TIME, NAME, OWN} & set(terms("# @ ^ & #1 @home a#b c@d ^a &b"))


def test_kind_speaks_only_where_a_kind_is_asked_for():
    space = Facts(["I have two cats", "She left last Friday", "Everyone came"])
    assert score_of("kind", bench_of(space, "how many cats?")).tolist() == [1, 0, 0]
    assert score_of("kind", bench_of(space, "when did she leave?")).tolist() == [0, 1, 0]
    assert score_of("kind", bench_of(space, "who came?")).tolist() == [0, 0, 0]
