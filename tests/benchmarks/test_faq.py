import json

import pytest

from tests.benchmarks import faq, pages

DEBIAN = """<html><head><title>no</title></head><body><div class="navheader">no</div>
<div class="section"><div class="titlepage"><h1 class="title"><a id="ch"></a>Chapter 7. Basics</h1></div><div class="toc">What is a cat? no</div><p>About pets.</p>
<div class="section"><h2 class="title"><a id="cat"></a>7.1. What is a <em>cat</em>?</h2><p>What is a cat? It purrs,<br/>and sleeps.</p></div>
<div class="section"><h2><a id="dog"></a>7.2. What is a dog?</h2><p>It barks at the postman.</p></div>
<div class="section"><h2><a id="none"></a>7.3. What is nothing?</h2></div></div></body></html>"""

SPHINX = """<body><section id="pets"><span id="index-0"></span><h1>Pets<a class="headerlink" href="#pets">\u00b6</a></h1><p>All of them.</p>
<dl><dt id="pets.cat">cat()</dt><dd><p>It purrs.</p></dd></dl></section><section id="dogs"><h2>Dogs</h2><p>They bark.</p></section></body>"""

INDEX = """<table class="indextable genindextable"><tr><td><ul>
<li><a href="pets.html#pets.cat">cat() (in module pets)</a><ul><li><a href="pets.html#dogs">(in module dogs)</a></li></ul></li>
<li>animal<ul><li><a href="pets.html#index-0"><strong>tame</strong></a>, <a href="pets.html#dogs">[1]</a></li></ul></li>
<li><a href="gone.html#x">gone</a></li></ul></td></tr></table>"""


@pytest.fixture
def folders(tmp_path):
    debian, python = tmp_path / "FAQ", tmp_path / "html"
    (python / "faq").mkdir(parents=True)
    debian.mkdir()
    (debian / "pets.en.html").write_text(DEBIAN)
    (python / "faq" / "pets.html").write_text(SPHINX.replace("Dogs", "Why do dogs bark?"))
    (python / "pets.html").write_text(SPHINX)
    (python / "genindex-A.html").write_text(INDEX)
    return debian, python


def test_sections_hold_what_stands_under_a_heading(folders):
    found = pages.sections(folders[0] / "pets.en.html", "pets")
    assert [(section.title, section.text, section.anchors) for section in found] == [
        ("Basics", "About pets.", ["ch"]),
        ("What is a cat?", "What is a cat? It purrs,\nand sleeps.", ["cat"]),
        ("What is a dog?", "It barks at the postman.", ["dog"]),
        ("What is nothing?", "", ["none"]),
    ]
    [first, second] = pages.sections(folders[1] / "pets.html", "pets")
    assert (first.title, first.anchors, first.text) == ("Pets", ["pets", "index-0", "pets.cat"], "All of them.\ncat()\nIt purrs.")
    assert second.anchors == ["dogs"]


def test_index_entries_stand_under_those_above_them(folders):
    assert pages.index(folders[1] / "genindex-A.html") == [
        ("cat() (in module pets)", ["pets.html#pets.cat"]),
        ("cat() (in module dogs)", ["pets.html#dogs"]),
        ("animal tame", ["pets.html#index-0", "pets.html#dogs"]),
        ("gone", ["gone.html#x"]),
    ]


def test_a_passage_is_freed_of_its_question_and_others_are_kept(folders):
    corpus = faq.debian_faq(folders[0])
    assert corpus.queries == [("What is a cat?", ("pets.en.html#1",)), ("What is a dog?", ("pets.en.html#2",))]
    assert [document.page_content for document in corpus.documents] == ["About pets.", "It purrs,\nand sleeps.", "It barks at the postman."]
    assert corpus.documents[1].metadata == {"source": "pets.en.html", "position": 1, "passage": "pets.en.html#1"}


def test_index_terms_lead_to_sections(folders):
    corpus = faq.python_index(folders[1], 10)
    assert dict(corpus.queries) == {
        "cat() (in module pets)": ("pets.html#0",),
        "cat() (in module dogs)": ("pets.html#1",),
        "animal tame": ("pets.html#0", "pets.html#1"),
    }
    assert len(faq.python_index(folders[1], 2).queries) == 2
    halves = [faq.halved(corpus, part).queries for part in ("first", "second")]
    assert sorted(halves[0] + halves[1]) == sorted(corpus.queries)


@pytest.mark.parametrize("plain", [False, True])
def test_one_run_compares_four_systems(folders, tmp_path, capsys, plain):
    debian, python = map(str, folders)
    rows = faq.main(
        [
            "--debian-faq",
            debian,
            "--python-doc",
            python,
            "--embeddings",
            "offline",
            "--json",
            str(tmp_path / "rows.json"),
            *["--plain"] * plain,
        ]
    )
    assert {row["corpus"] for row in rows} == {"debian-faq", "python-faq", "python-index"}
    assert [row["system"] for row in rows[:7]] == [
        "fluxmem",
        "dense",
        "bm25",
        "hybrid",
        "fluxmem - dense",
        "fluxmem - bm25",
        "fluxmem - hybrid",
    ]
    assert all(row["recall@10"] == 1.0 for row in rows if row["system"] == "fluxmem")
    assert all(row["recall@10_low"] <= row["recall@10"] <= row["recall@10_high"] for row in rows if "-" in row["system"])
    assert json.loads((tmp_path / "rows.json").read_text()) == {"rows": rows}
    assert "python-index" in capsys.readouterr().out
