"""Against the real generator and interpreter, where TextWorld is installed (extra `demo`)."""

import pytest
from langgraph_fluxmem.demo.games import GameCache, GameMakers, GameSpec
from langgraph_fluxmem.demo.kitchen import Kitchen, clean

pytest.importorskip("textworld")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return GameCache(tmp_path_factory.mktemp("games"))


@pytest.fixture(scope="module")
def game(cache):
    return cache.ensure(GameSpec(7))


def test_a_game_is_made_once_and_leaves_nothing_else(cache, game):
    stamp = game.stat().st_mtime_ns
    assert cache.ensure(GameSpec(7)) == game
    assert game.stat().st_mtime_ns == stamp
    assert sorted(path.name for path in game.parent.iterdir()) == ["train-00007.json", "train-00007.z8"]


def test_the_same_commands_give_the_same_game(game):
    frames = []
    for _ in range(2):
        with Kitchen(game) as kitchen:
            seen = [kitchen.reset()]
            while not seen[-1].done and len(seen) < 15:
                seen.append(kitchen.step(seen[-1].commands[len(seen) * 7 % len(seen[-1].commands)]))
        frames.append(seen)
    assert frames[0] == frames[1]


def test_a_frame_holds_what_is_seen_and_nothing_else(game):
    with Kitchen(game, limit=3) as kitchen:
        frame = kitchen.reset()
        assert "cookbook" in kitchen.task
        assert "examine cookbook" in frame.commands
        assert (frame.score, frame.max_score, frame.steps, frame.done) == (0, 8, 0, False)
        assert not any(mark in frame.observation for mark in ("$$", ">", "Recipe #1"))
        frame = kitchen.step("examine cookbook")
        assert "Recipe #1" in frame.observation
        assert "-= Kitchen =-" not in frame.observation, "the status line is cut"
        with pytest.raises(ValueError, match="not admissible"):
            kitchen.step("win the game")
        kitchen.step("look")
        assert kitchen.step("look").done
        with pytest.raises(ValueError, match="over"):
            kitchen.step("look")


def test_makers_make_what_is_missing(cache, game):
    made = []
    with GameMakers(cache, [GameSpec(7), GameSpec(8), GameSpec(9, "test")], workers=2, niceness=0, on_made=made.append) as makers:
        assert makers.missing == (GameSpec(8), GameSpec(9, "test"))
        makers.wait()
    assert sorted(made) == [GameSpec(8), GameSpec(9, "test")]
    assert cache.has(GameSpec(9, "test"))


def test_clean():
    assert clean("\n  ___\n |$$ |\n\nHello.\n\n\n\nA room.\n\n>      -= Kitchen =-0/3") == "Hello.\n\nA room."
