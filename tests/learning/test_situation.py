from langgraph_fluxmem.learning.situation import contexts, flatten, parse, read, words
from langgraph_fluxmem.schema import Situation

RECIPE = "Directions:\n  dice the red onion\n  fry the red onion\n  prepare meal"


def scene(**more):
    given = {"task": "Cook a meal.", "observation": {"inv": "You carry a raw red onion."}, "notes": (RECIPE,)}
    return read(Situation(**{**given, **more}))


def test_words_are_casefolded_and_keep_inner_marks():
    assert words("Ada's e-mail: ada@x.org, NOW!") == ("ada's", "e-mail", "ada@x.org", "now")


def test_parse_indexes_every_span_within_its_line():
    parsed = parse("a red onion.\nThe fridge")
    assert parsed.spans["red onion"] == ((0, 1),)
    assert "onion the" not in parsed.spans


def test_contexts_mask_the_span_and_stop_at_function_words():
    found = contexts("You carry a sliced raw red onion and a knife.", "red onion", whole=False)
    assert set(found) == {"raw~_", "sliced~_", "_~and"}


def test_short_lines_are_patterns_as_a_whole_where_asked():
    assert "dice the _" in contexts(RECIPE, "red onion", whole=True)
    assert "dice the _" not in contexts(RECIPE, "red onion", whole=False)


def test_flatten_names_nested_keys():
    assert list(flatten({"a": {"b": ["x", 1]}, "c": None, "d": "y"})) == [("a.b", "x"), ("a.b", "1"), ("d", "y")]


def test_kind_says_who_names_a_span():
    it = scene()
    assert [it.kind(span) for span in ("red onion", "meal", "cook", "raw", "banana")] == ["n", "nt", "t", "o", ""]


def test_around_has_key_and_what_was_done_with_it():
    it = scene(done=("take red onion",))
    assert {"n:dice the _", "o.inv:raw~_", "did:take _"} <= set(it.around("red onion"))


def test_owed_counts_lines_against_different_actions():
    assert scene().owed()["red onion"] == 2
    assert scene(done=("dice red onion", "dice red onion")).owed()["red onion"] == 1
    assert scene(done=("dice red onion", "cook red onion")).owed()["red onion"] == 0


def test_told_needs_verb_and_thing_in_one_short_line():
    it = scene()
    assert it.told("dice", "red onion")
    assert not it.told("prepare", "red onion")
    assert not it.told("carry", "red onion"), "an observation asks for nothing"
