import json

import pytest
from langgraph_fluxmem.demo import session
from langgraph_fluxmem.demo.games import GameCache
from langgraph_fluxmem.demo.replay import Replay
from langgraph_fluxmem.demo.report import GameResult
from langgraph_fluxmem.demo.session import Course, Finished, Opened, Session

from tests.demo.toy import Toy

pytest.importorskip("langgraph.checkpoint.sqlite")


class ToyKitchen(Toy):
    def __init__(self, path, *, limit=12):
        super().__init__(limit)
        self.path = path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    monkeypatch.setattr(session, "Kitchen", ToyKitchen)
    monkeypatch.setattr(GameCache, "ensure", lambda self, spec: spec.name)


def course(tmp_path, **changes):
    return Course(**{"seed": 1, "games": 5, "first_game": 5000, "data": tmp_path, "cache": tmp_path, **changes})


def go(variant, course, until=None):
    events = []

    def emit(event):
        events.append(event)
        if until is not None and sum(isinstance(event, GameResult) for event in events) == until:
            raise KeyboardInterrupt

    try:
        Session(variant, course, emit).run()
    except KeyboardInterrupt:
        assert until is not None
    return events


def test_plays_the_course_and_then_the_tests(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "TESTS", 3)
    events = go("static", course(tmp_path, tests=True))
    assert events[0] == Opened("static", 1, 0)
    results = [event for event in events if isinstance(event, GameResult)]
    assert [(r.part, r.index, r.game) for r in results] == [
        *(("stream", i, 5000 + i) for i in range(5)),
        *(("new", i, 5005 + i) for i in range(3)),
        *(("other", i, 5008 + i) for i in range(3)),
    ]
    assert isinstance(events[-1], Finished)
    assert session.open_memory("static", tmp_path / "seed-1" / "static").episodes() == 5, "the tests taught nothing"


def test_goes_on_with_the_game_it_was_cut_short_at(tmp_path):
    whole = [event for event in go("static", course(tmp_path / "whole")) if isinstance(event, GameResult)]
    first = [event for event in go("static", course(tmp_path / "cut"), until=2) if isinstance(event, GameResult)]
    events = go("static", course(tmp_path / "cut"))
    assert events[0] == Opened("static", 1, 2, tuple(first))
    assert [*first, *(event for event in events if isinstance(event, GameResult))] == whole


def test_a_torn_last_line_is_played_again(tmp_path):
    go("none", course(tmp_path), until=3)
    log = tmp_path / "seed-1" / "none" / "games.jsonl"
    log.write_text(log.read_text()[:-20])
    assert len(go("none", course(tmp_path))[0].resumed) == 2


def test_a_second_start_continues_from_the_memory_on_disk(tmp_path):
    go("static", course(tmp_path))
    events = go("static", course(tmp_path))
    assert events[0] == Opened("static", 1, 5)
    assert sum(isinstance(event, GameResult) for event in events) == 5
    assert go("static", course(tmp_path, first_game=7000))[0] == Opened("static", 1, 10)


def test_a_course_that_is_played_once_is_told_and_not_played_again(tmp_path):
    played = [event for event in go("none", course(tmp_path, once=True)) if isinstance(event, GameResult)]
    again = go("none", course(tmp_path, once=True))
    assert not any(isinstance(event, GameResult) for event in again)
    assert list(again[0].resumed) == played and isinstance(again[-1], Finished)
    assert any(isinstance(event, GameResult) for event in go("none", course(tmp_path))), "without it, there is a second pass"


def test_practice_gives_as_many_commands_as_the_replays_took(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="spends what 'replay' did"):
        go("practice", course(tmp_path))
    monkeypatch.setattr(Replay, "play", lambda self, given: bool(setattr(self, "_steps", self._steps + 7)) or True)
    go("replay", course(tmp_path, games=12))
    replayed = [json.loads(line)["result"]["extra"] for line in (tmp_path / "seed-1" / "replay" / "games.jsonl").read_text().splitlines()]
    assert sum(replayed) > 0
    results = [event for event in go("practice", course(tmp_path, games=12)) if isinstance(event, GameResult)]
    assert [result.extra for result in results] == replayed
    memory = session.open_memory("practice", tmp_path / "seed-1" / "practice")
    assert memory.episodes() > 12, "what is practised is learned from"
    memory.close()


def test_full_consolidates_every_few_games_and_advice_reads_its_skills(tmp_path):
    events = go("full@4", course(tmp_path, games=12))
    skills = events[-1].holdings["skills"]
    assert skills and any(skill["rules"] for skill in skills)
    memory = session.open_memory("full", tmp_path / "seed-1" / "full@4")
    kinds = [operation.kind for operation in memory.mem.engine.ledger.operations(("kitchens",), limit=100)]
    assert kinds.count("commit") == 12
    assert 1 <= kinds.count("consolidate") <= 3
    memory.close()
    assert not go("refine", course(tmp_path, games=12))[-1].holdings["skills"]
