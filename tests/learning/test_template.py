from langgraph_fluxmem.learning.situation import read
from langgraph_fluxmem.learning.template import links, moment, template
from langgraph_fluxmem.schema import Situation

RECIPE = "dice the red onion\n  fry the red onion\n  prepare meal"


def scene(**more):
    given = {
        "task": "Cook a meal for Bob.",
        "observation": {"inv": "a raw red onion", "room": "You see a knife and an oven."},
        "notes": (RECIPE,),
    }
    return read(Situation(**{**given, **more}))


def test_values_of_notes_become_slots_and_what_is_only_seen_stays():
    made = template("cook red onion with oven", scene())
    assert made.key == "cook <n> with oven"
    assert made.patterns == ("cook <n> with <o>", "cook <n> with oven", "cook red onion with oven")
    assert made.slots == ("red onion", "oven")


def test_a_verb_that_was_asked_for_becomes_a_slot():
    assert template("dice red onion with knife", scene()).key == "= <n> with knife"
    assert template("chop red onion with knife", scene()).key == "chop <n> with knife"


def test_without_notes_the_thing_is_only_seen():
    made = template("dice red onion with knife", scene(notes=()))
    assert made.key == "dice red onion with knife"
    assert made.patterns[0] == "dice <o> with <o>"


def test_task_and_note_together_are_a_kind_of_their_own():
    assert template("eat meal", scene()).key == "eat <nt>"


def test_every_beginning_of_key_value_pairs_is_a_level():
    made = template({"op": "type", "tag": "input", "text": "Bob", "id": "tt3"}, scene())
    assert made.levels == ("type", "type tag=input", "type tag=input text=<t>", "type tag=input text=<t> id=tt3")
    assert made.key == made.levels[-1]
    assert {"tag=input", "text=<t>", "id=tt3"} == set(made.details)


def test_tool_calls_begin_with_their_name():
    call = {"args": {"query": "red onion", "limit": 5}, "name": "search"}
    assert template(call, scene()).levels == ("search", "search args.query=<n>", "search args.query=<n> args.limit=5")


def test_a_value_that_holds_a_named_thing_says_so():
    made = template({"op": "click", "text": "buy red onion now"}, scene())
    assert "text has <n>" in made.details and "text=buy red onion now" in made.details


def test_odd_actions_have_a_template_too():
    for action in ("", "!!", {}, {"x": None}, "the"):
        made = template(action, scene())
        assert made.key in made.patterns


def test_links_number_the_slots_and_say_what_was_done():
    it = scene(done=("take red onion",))
    action = "cook red onion with oven"
    found = links(action, template(action, it), it)
    assert {"n:fry the _1", "o.inv:raw~_1", "did:take _1", "prev:take _1", "notes", "owes _1 1"} <= set(found)
    assert "done before" not in found


def test_links_tell_a_repetition():
    it = scene(done=("look", "wait"))
    assert "just done" in links("wait", template("wait", it), it)
    assert "done before" in links("look", template("look", it), it)
    assert "just done" not in links("look", template("look", it), it)


def test_moment_needs_no_action():
    assert moment(scene(notes=()))[0] == "start"
    assert moment(scene(done=("dice red onion with knife",)))[0] == "after = <n> with knife"
