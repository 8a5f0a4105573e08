from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from langchain_core.documents import Document

from langgraph_fluxmem import FluxMem
from langgraph_fluxmem.indexing import fact_terms
from langgraph_fluxmem.relative import told_times

WRITTEN = "1:56 pm on 8 May, 2023"  # a Monday


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("We left yesterday.", "7 May 2023"),
        ("Last night it rained", "7 May 2023"),
        ("See you tomorrow", "9 May 2023"),
        ("three days ago", "5 May 2023"),
        ("a couple of weeks ago", "April 2023"),
        ("10 days ago", "28 April 2023"),
        ("a month ago", "April 2023"),
        ("six months ago", "November 2022"),
        ("two years ago", "2021"),
        ("last month and last year", "April 2023 2022"),
        ("next month", "June 2023"),
        ("last week", "May 2023"),
        ("last Monday", "1 May 2023"),
        ("last Friday", "5 May 2023"),
        ("this Friday", "12 May 2023"),
        ("this Monday", "8 May 2023"),
        ("next Monday", "15 May 2023"),
        ("last May", "May 2022"),
        ("last March", "March 2023"),
        ("next May", "May 2024"),
        ("this December", "December 2023"),
        ("last summer", "2022"),
        ("yesterday, yes, yesterday", "7 May 2023"),
        ("the day after", ""),
        ("at last weeks passed", ""),
        ("long ago", ""),
    ],
)
def test_what_a_text_tells_by_when_it_was_written(text, meant):
    assert told_times(text, WRITTEN) == meant


@pytest.mark.parametrize("time", ["2023-05-08", "2023-05-08T13:56:00Z", "May 8, 2023", 1683554160])
def test_a_day_in_any_form(time):
    assert told_times("yesterday", time) == "7 May 2023"


@pytest.mark.parametrize("time", [None, "", "last Tuesday", "May 2023", "31 February 2023", 7, ["8 May 2023"]])
def test_without_a_day_nothing_is_known(time):
    assert told_times("yesterday", time) == ""


@example(date.min, "last {}", "week")
@example(date.max, "next {}", "week")
@given(
    st.dates(),
    st.sampled_from(["last {}", "next {}", "this {}", "{}s ago", "2 {}s ago"]),
    st.sampled_from(["week", "month", "year", "Friday"]),
)
def test_no_date_is_too_odd(day, said, what):
    told_times(said.format(what), day.isoformat())


def test_the_month_that_is_meant_finds_the_fact_and_the_content_stays(tmp_path):
    assert "april" in fact_terms("We met last month", None, WRITTEN).split()
    assert fact_terms("We met in May 2023, on the 1st; yesterday", None, WRITTEN).split().count("2023") == 2
    with FluxMem.open(tmp_path / "mem", chroma="off") as mem:
        mem.remember([Document(text, metadata={"time": WRITTEN}) for text in ("We met there", "We met today", "We met a month ago")])
        best = mem.recall("who was met in April 2023?").facts[0]
        assert (best.content, best.metadata) == ("We met a month ago", {"time": WRITTEN})
