"""The MiniWoB++ benchmark without its browser: what is told to the agent, drift, choice, credit of a replay, rows."""

import random
from dataclasses import replace

import numpy as np
import pytest

from tests.benchmarks import miniwob, miniwob_agents, miniwob_page
from tests.benchmarks.miniwob_agents import Seat, Trajectories, build, choose, fit, masked, open_memory
from tests.benchmarks.miniwob_seen import Seen


def element(ref, tag, text, x=0, y=0, **more):
    return {"ref": ref, "tag": tag, "text": text, "id": "", "cls": "", "val": None, "x": x, "y": y, "ord": 0, **more}


def page(*, done=False, r=0):
    return {
        "done": done,
        "r": r,
        "utt": "Select ada and click Submit.",
        "fields": [("target", "ada")],
        "els": [
            element(1, "input_radio", "ada", id="a"),
            element(2, "input_radio", "bob", y=40, ord=1),
            element(3, "button", "Send now", y=80, id="go"),
        ],
        "sel": [],
    }


class Site:
    """A page on which `ada`, then the button, is right."""

    def __init__(self):
        self.done = []

    def step(self, driven):
        self.done.append(driven[1])
        ended = driven[1] == 3
        return page(done=True, r=1 if 1 in self.done and 2 not in self.done else -1) if ended else page()


class Embedding:
    def embed_query(self, text):
        return np.eye(4, dtype=np.float32)[0]

    embed_documents = None


def test_the_instruction_is_told_with_its_fields_named():
    assert miniwob_page.task(page()) == "Select x and click Submit."
    assert miniwob_page.notes(page()) == ["target ada"]
    assert miniwob_page.action(("CLICK", page()["els"][0], None, None), page()) == {
        "op": "click input_radio",
        "text": "ada",
        "id": "a",
        "ord": "0",
    }
    assert miniwob_page.action(("TYPE", element(9, "input_text", ""), "ada", "target 3"), page())["op"] == "type target # into input_text"


def test_drift_hashes_ids_and_renames_controls_that_are_not_named():
    send = miniwob_page.drifted(page()["els"][2], page())
    assert send["id"] != "go"
    assert send["text"] in miniwob_page.WORDS
    assert miniwob_page.drifted(page()["els"][0], page())["text"] == "ada"
    assert send == miniwob_page.drifted(page()["els"][2], page())


def test_a_consent_bar_blocks_until_it_is_accepted():
    class Browser:
        def reset(self, family, instance):
            return page()

        def step(self, driven):
            return page(done=True, r=1)

        def close(self):
            pass

    pages = miniwob_page.Pages(browser=Browser)
    first = pages.reset("f", "1", drifted=True)
    assert first["els"][0]["text"] == "Accept"
    assert not pages.step(("CLICK", 3))["done"]
    assert "Accept" not in [e["text"] for e in pages.step(("CLICK", miniwob_page.ACCEPT))["els"]]
    assert pages.step(("CLICK", 3))["done"]


def test_a_page_is_asked_of_the_browser_once_by_all_who_share_the_file(tmp_path):
    asked = []

    class Browser:
        def reset(self, family, instance):
            asked.append((family, instance))
            return page()

        def step(self, driven):
            asked.append(driven)
            return page(done=driven[1] == 3, r=1)

        def close(self):
            pass

    first, second = (Seen(Browser, tmp_path / "pages") for _ in range(2))
    ways = [first.reset("f", 1), first.step(("CLICK", 1)), first.step(("CLICK", 3))]
    assert asked == [("f", "1"), ("CLICK", 1), ("CLICK", 3)]
    assert [second.reset("f", "1"), second.step(("CLICK", 1)), second.step(("CLICK", 3))] == ways
    assert (second.asked, second.shown) == (3, 0)
    asked.clear()
    second.reset("f", "1")
    second.step(("CLICK", 1))
    second.step(("TYPE", 2, "ada"))  # a way that was not gone before: what was done on this page is done again
    second.step(("CLICK", 1))
    assert asked == [("f", "1"), ("CLICK", 1), ("TYPE", 2, "ada"), ("CLICK", 1)]
    assert (second.shown, second.moved) == (4, 0)


def test_a_page_that_comes_out_otherwise_is_counted():
    shown = iter((0, 1, 0, 2, 3))

    class Browser:
        def reset(self, family, instance):
            return page(r=next(shown))

        def step(self, driven):
            return page(r=next(shown))

    pages = Seen(Browser)
    pages.reset("f", 1)
    pages.step(("CLICK", 1))
    pages.reset("f", 1)
    pages.step(("CLICK", 1))
    assert pages.step(("CLICK", 2))["r"] == 3
    assert pages.moved == 1


def seat(**more):
    return Seat(Site(), page(), random.Random(1), True, more.pop("tabu", set()), **more)


def candidates():
    return [("CLICK", e, None, None) for e in page()["els"]]


def test_choice_follows_advice_and_leaves_out_what_ended_this_page_badly():
    drawn = [choose(seat(), candidates(), [0.0, 0.0, 9.0]) for _ in range(5)]
    assert drawn == [2] * 5
    banned = {((), str(("CLICK", 3)))}
    assert 2 not in [choose(seat(tabu=banned), candidates(), [0.0, 0.0, 30.0]) for _ in range(5)]


def test_a_trajectory_is_grounded_by_the_fields_it_named():
    kept = masked([{"op": "click input_radio", "text": "Ada", "id": "a"}], ["target ada"])
    assert kept[0]["text"] == "<target>"
    right, wrong = masked(
        [{"op": "click input_radio", "text": "gus", "id": "b"}, {"op": "click input_radio", "text": "bob", "id": "a"}], ["target gus"]
    )
    assert fit(kept[0], right) > 1 > fit(kept[0], wrong)


@pytest.mark.parametrize("variant", ["none", "trajectory", "recent"])
def test_variants_without_a_ledger_play_to_the_end(variant, tmp_path):
    memory = open_memory(variant, Embedding(), tmp_path)
    one = seat()
    state = build(memory).invoke({}, context=one)
    assert state["done"]
    assert len(state["given"]) == len(one.driven)


def test_a_trajectory_is_replayed():
    memory = Trajectories(Embedding(), recent=False)
    state = {
        "progress": 1.0,
        "given": [
            {"op": "click input_radio", "text": "ada", "id": "a", "ord": "0"},
            {"op": "click button", "text": "Send now", "id": "go"},
        ],
    }
    memory.keep(state, page())
    one = seat()
    assert build(memory).invoke({}, context=one)["progress"] == 1.0
    assert [driven[1] for driven in one.driven] == [1, 3]


def test_what_is_not_there_again_does_nothing(tmp_path):
    there = [True]

    class Browser:
        def reset(self, family, instance):
            return page()

        def step(self, driven):
            if not there[0]:
                raise LookupError(driven[1])
            return page(r=0.5)

    Seen(Browser, tmp_path / "pages").reset("f", 1)
    first = Seen(Browser, tmp_path / "pages")
    first.reset("f", 1)
    before = first.step(("CLICK", 1))
    there[0] = False
    first.reset("f", 1)
    assert first.step(("CLICK", 1)) == before
    assert first.step(("CLICK", 2)) == before
    assert first.lost == 1


class SamePage(Site):
    """That page, however often it is opened."""

    def reset(self, family, instance, *, drifted):
        self.done = []
        return page()


class Vectors(Embedding):
    def embed_documents(self, texts):
        return [self.embed_query(text) for text in texts]


def test_full_shortens_its_successes_and_rehearses_for_what_is_left_of_the_steps(tmp_path, monkeypatch):
    picks = iter([0, 0, 2])
    monkeypatch.setattr(miniwob_agents, "choose", lambda *_: next(picks, 1))
    session = miniwob.Session(miniwob.Course(("f",), (), 1, 1, drift=False, variant="full"), SamePage(), Vectors(), tmp_path)
    rehearsing = []
    attempt = session.attempt
    monkeypatch.setattr(session, "attempt", lambda *place, **how: (rehearsing.append(how["name"]), attempt(*place, **how))[1])
    assert attempt("f", "1-0", False, learn=True, tabu=set(), name="1-0") == (True, 3)
    assert (
        session.extra == 1 + 2 + 1 + 1
    )  # without both first ones, which changed nothing; without one of them; without either of the two left
    known = session.flux.engine.learned(miniwob_agents.NAMESPACE)
    lived, shorter = (row.body["steps"] for row in known.episodes.values())
    assert [len(lived), len(shorter)] == [1 + 3, 1 + 2]
    session.extra = 0
    session.rehearse(1)
    session.memory.close()
    assert rehearsing == ["rehearsal-1-0"]
    assert session.extra == miniwob_agents.LIMIT == 2 * miniwob.BUDGET  # it only ever clicked what changes nothing


def test_a_replay_tells_what_was_seen_and_stops_where_an_action_is_gone(tmp_path):
    course = miniwob.Course(("f",), (), 1, 1, drift=False, variant="full")
    session = miniwob.Session(course, SamePage(), Vectors(), tmp_path)
    session.places["e"] = ("f", "1-0", False)
    ada, send = ({key: value for key, value in miniwob_page.action(candidates()[n], page()).items()} for n in (0, 2))
    said = session.replay({"episode": "e", "actions": [ada, send]})
    gone = session.replay({"episode": "e", "actions": [{"op": "click button", "text": "Gone"}, send]})
    session.memory.close()
    assert said == {"success": True, "observations": [miniwob_page.observation(page())] * 2}
    assert gone == {"success": False}
    assert session.extra == 2


def test_a_flipped_outcome_is_told_the_other_way_around():
    memory = Trajectories(Embedding(), recent=False)
    memory.keep({"progress": 1.0, "given": [{"op": "click button", "text": "Send now", "id": "go"}]}, page())
    wrong, right = seat(flipped=True), seat()
    told = build(memory).invoke({}, context=wrong)
    assert (told["progress"], told["memory_feedback"]["outcome"], wrong.solved) == (1.0, "success", False)
    assert build(memory).invoke({}, context=right)["progress"] == -1.0
    course = miniwob.Course(("f",), (), 1, 1, drift=False, flip=0.2)
    assert sum(course.flipped("f", number) for number in range(1000)) == pytest.approx(200, abs=60)
    assert course.key != replace(course, flip=0.0).key


def test_an_unknown_part_is_refused_before_anything_is_tried(capsys):
    with pytest.raises(SystemExit):
        miniwob.main(["--families", "f", "--variants", "refine!everything"])
    assert "parts are loss" in capsys.readouterr().err


def test_an_unknown_variant_is_refused(tmp_path):
    with pytest.raises(ValueError, match="there is no variant 'best'"):
        open_memory("best", Embedding(), tmp_path)


def test_rows_are_paired_by_seed():
    def results(solved):
        return [
            {"part": part, "family": "f", "solved": s, "steps": 4, "extra": 0}
            for part in ("stream", "stream", "seen", "unseen")
            for s in [solved]
        ]

    found = {(variant, seed): miniwob.measures(results(variant == "refine")) for variant in ("refine", "static") for seed in (1, 2)}
    made = {row["variant"]: row for row in miniwob.rows(found, drift=False)}
    assert made["refine - static"]["seen"] == 1.0
    assert made["refine - static"]["seen_ci"] == 0.0
    assert made["refine"]["seen_within_3"] == 0.0
    assert made["refine"]["seen_within_6"] == 1.0
    assert "full - practice" not in made


def test_halves_are_disjoint_and_cover():
    names = [f"family-{number}" for number in range(9)]
    assert sorted([*miniwob.half(names, 0), *miniwob.half(names, 1)]) == names
