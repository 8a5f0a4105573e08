import pytest
from langgraph_fluxmem.demo import replay
from langgraph_fluxmem.demo.games import GameCache, GameSpec
from langgraph_fluxmem.demo.replay import Replay, game_of

from tests.demo.toy import Toy


class ToyKitchen(Toy):
    def __init__(self, path):
        super().__init__()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture
def replayed(monkeypatch, tmp_path):
    monkeypatch.setattr(replay, "Kitchen", ToyKitchen)
    monkeypatch.setattr(GameCache, "ensure", lambda self, spec: spec.name)
    return Replay(GameCache(tmp_path))


def test_an_episode_names_its_game():
    assert game_of("seed-3-0-train-05003") == GameSpec(5003)
    assert game_of("seed-3-0-test-00007") == GameSpec(7, "test")
    with pytest.raises(ValueError, match="found the episode id 'seed-3'"):
        game_of("seed-3")


def test_a_step_that_is_not_needed_is_found_by_leaving_it_out(replayed):
    def won(*actions):
        return replayed.runnable.invoke({"episode": "seed-1-0-train-05000", "actions": actions})

    assert won("read sign", "press lamp", "pull lever")
    assert won("press lamp", "pull lever")
    assert not won("read sign", "pull lever"), "the lever is not there before the lamp is lit, and is passed over"
    assert not won("open door", "press lamp", "pull lever"), "nothing follows the end"
    assert replayed.spent() == 3 + 2 + 1 + 1
    assert replayed.spent() == 0
