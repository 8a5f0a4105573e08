import string
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langgraph_fluxmem.errors import InvalidContentError
from langgraph_fluxmem.text import STOP_WORDS, check_text, content_hash, split, terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("When did Caroline go to the LGBTQ support groups?", ["carolin", "go", "lgbtq", "support", "group"]),
        ("She's running; they don't run", ["run", "run"]),
        ("I went there, the children ate and she has gone", ["go", "child", "eat", "go"]),
        ("he lives left of a bit", ["live", "left", "bit"]),
        ("42 apples, 007 and 3 more", ["42", "appl", "7", "3"]),
        ("getUserName", ["getusernam", "get", "user", "name"]),
        ("user_id HTTPServer", ["user", "id", "httpserver", "http", "server", "user_id"]),
        ("os.path.join and /etc/apt", ["os", "path", "join", "etc", "apt", "os.path.join", "etc/apt"]),
        ("12kg, 12 kg", ["12kg", "12", "kg", "12", "kg"]),
        ("1,000 = 1000 = 1.000 = 1'000", ["1000", "1000", "1000", "1000"]),
        ("1,234,567.5", ["1234567", "5", "1234567.5"]),
        ("3.5 is 3,5", ["3", "5", "3", "5", "3.5", "3.5"]),
        ("192.168.1.1", ["192", "168", "1", "1", "192.168.1.1"]),
        ("iPhone15", ["iphone15", "iphon", "15", "phone"]),
        ("café Straße naïve", ["cafe", "strass", "naiv"]),
        ("我喜欢", ["我喜", "喜欢"]),
        ("ひ", ["ひ"]),
        ("안녕하세요", ["안녕", "녕하", "하세", "세요"]),
        ("красивые машины", ["красив", "машин"]),
        ("लड़कियों में", ["लड़क"]),
        ("γάτες και γάτα", ["γατ", "γατ"]),
        ("الكتاب", ["كتاب"]),
        ("ילדים", ["ילדים", "ילדי", "לדים"]),
        ("Der Schlüssel liegt unter den Häusern", ["schlussel", "liegt", "haus"]),
        ("Les chevaux étaient dans le jardin", ["cheval", "jardin"]),
        ("nice 😀", ["nice", "😀"]),
        ("who are you", []),
        ("", []),
        ("?!... --", []),
    ],
)
def test_terms(text, expected):
    assert terms(text) == expected


def test_scripts_meet_themselves():
    for one, other in [("我喜欢吃苹果", "他不喜欢苹果"), ("красивые машины", "красивая машина"), ("ฉันรักแมว", "แมวของฉัน")]:
        assert set(terms(one)) & set(terms(other))


def test_stop_words_are_no_terms():
    assert terms(" ".join(sorted(STOP_WORDS))) == []


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_terms_hold_no_blanks_and_survive_joining(text):
    found = terms(text)
    assert " ".join(found).split() == found
    assert all(found)


def test_terms_are_the_same_from_many_threads():
    words = [a + b + "ing" for a in string.ascii_lowercase for b in string.ascii_lowercase]
    expected = [terms(word) for word in words]
    from langgraph_fluxmem import text

    text.terms.__globals__["_terms_of"].cache_clear()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(terms, words)) == expected


def test_content_hash_names_the_exact_text():
    assert content_hash("a") == content_hash("a")
    assert content_hash("a") != content_hash("a ")
    assert len(content_hash("ünïcode 我")) == 32


@pytest.mark.parametrize("bad", ["", "   \n", "a\x00b", "a\ud800b", 3, None, b"bytes"])
def test_check_text_refuses(bad):
    with pytest.raises(InvalidContentError, match="the note"):
        check_text(bad, "the note")


def test_check_text_gives_the_text_back():
    assert check_text(" kept as it is \n") == " kept as it is \n"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=400), st.integers(1, 50))
def test_split_loses_nothing(text, limit):
    pieces = split(text, limit)
    assert "".join(pieces) == text
    assert all(0 < len(piece) <= limit for piece in pieces)


def test_split_prefers_paragraphs_then_sentences_then_words():
    assert split("one two. three\n\nfour five six", 20) == ["one two. three\n\n", "four five six"]
    assert split("aaaa bbbb. cccc dddd", 13) == ["aaaa bbbb. ", "cccc dddd"]
    assert split("aaaa bbbb cccc", 12) == ["aaaa bbbb ", "cccc"]
    assert split("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]


def test_split_keeps_marks_with_their_letters():
    text = "abcde" + "e\u0301" * 10
    assert all(not piece.startswith("\u0301") for piece in split(text, 6))


def test_split_refuses_no_room():
    with pytest.raises(ValueError, match="limit is 0"):
        split("a", 0)
