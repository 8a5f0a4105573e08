import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph_fluxmem.demo.agents import Seat, build_agent, feedback, play
from langgraph_fluxmem.demo.memories import NoMemory, StaticMemory, check_variants, open_memory

from tests.demo.toy import TASK, Toy


class Crash(RuntimeError):
    pass


def test_plays_to_an_end_and_says_how_it_went():
    state = play(build_agent(NoMemory(), InMemorySaver()), Seat(Toy(), seed=1, game=1), "t", "e")
    assert state["done"]
    assert state["task"] == TASK
    assert len(state["given"]) <= 12
    assert state["won"] == (state["given"][-1] == "pull lever")


def test_what_an_unchanging_command_returns_is_noted_once():
    for game in range(30):
        state = play(build_agent(NoMemory(), InMemorySaver()), Seat(Toy(), seed=1, game=game), f"{game}", "e")
        assert state["notes"].count("The sign says: press the lamp first.") == ("read sign" in state["given"])
        assert "You are in a hall." not in state["notes"]


def test_variants_of_one_seed_share_their_chance(tmp_path):
    """Static memory has nothing to say before its first success, so its first game is that of no memory."""
    memories = NoMemory(), StaticMemory(tmp_path, weight=8.0)
    first, second = (play(build_agent(memory, InMemorySaver()), Seat(Toy(), 3, 4), "t", "e")["given"] for memory in memories)
    assert first == second


def test_static_memory_learns_and_frozen_does_not(tmp_path):
    memory = StaticMemory(tmp_path, weight=16.0)
    agent = build_agent(memory, InMemorySaver())
    early = [play(agent, Seat(Toy(), 1, game), f"{game}", f"e{game}")["won"] for game in range(30)]
    held = memory.episodes()
    late = [play(agent, Seat(Toy(), 1, game, frozen=True), f"{game}", f"e{game}")["won"] for game in range(100, 130)]
    assert held == 30 == memory.episodes()
    assert sum(late) > sum(early[:10]) * 3 * 0.9
    assert sum(late) >= 20
    assert StaticMemory(tmp_path, weight=16.0).episodes() == 30


def test_a_game_cut_short_goes_on_where_it_was(tmp_path):
    """The kitchen is gone after a crash; the commands in the checkpoint bring a fresh one to the same place."""
    plain = build_agent(NoMemory(), InMemorySaver())
    game, whole = next((i, given) for i in range(50) if len(given := play(plain, Seat(Toy(), 2, i), f"{i}", "e")["given"]) > 3)

    class Fragile(Toy):
        def step(self, command):
            if self.steps == 2:
                raise Crash
            return super().step(command)

    agent = build_agent(NoMemory(), InMemorySaver())
    with pytest.raises(Crash):
        play(agent, Seat(Fragile(), 2, game), "t", "e", durability="sync")
    fresh = Toy()
    assert play(agent, Seat(fresh, 2, game), "t", "e")["given"] == whole
    assert fresh.resets == 1, "the two commands were given again, and the game went on"


def test_a_game_whose_last_checkpoint_was_lost_goes_on(tmp_path):
    """Killed after an act's writes were saved and before the checkpoint was: LangGraph then names no next node, yet the game is not over."""

    class Losing(InMemorySaver):
        dead = False

        def put(self, config, checkpoint, metadata, new_versions):
            if self.dead:
                raise Crash
            return super().put(config, checkpoint, metadata, new_versions)

    class Fatal(Toy):
        def step(self, command):
            saver.dead = self.steps == 2
            return super().step(command)

    plain = build_agent(NoMemory(), InMemorySaver())
    game, whole = next((i, given) for i in range(50) if len(given := play(plain, Seat(Toy(), 2, i), f"{i}", "e")["given"]) > 3)
    saver = Losing()
    agent = build_agent(NoMemory(), saver)
    with pytest.raises(Crash):
        play(agent, Seat(Fatal(), 2, game), "t", "e", durability="sync")
    saver.dead = False
    state = agent.get_state({"configurable": {"thread_id": "t"}})
    assert state.tasks and not state.next
    assert play(agent, Seat(Toy(), 2, game), "t", "e")["given"] == whole


def test_a_game_that_ended_is_not_played_again(tmp_path):
    memory = StaticMemory(tmp_path, weight=8.0)
    agent = build_agent(memory, InMemorySaver())
    first = play(agent, Seat(Toy(), 1, 1), "t", "e")
    second = play(agent, Seat(Toy(), 5, 5), "t", "e")
    assert first["given"] == second["given"]
    assert memory.episodes() == 1


def test_feedback_keeps_progress_and_loss_apart():
    toy = Toy()
    start = toy.reset()
    lit = toy.step("press lamp")
    said = feedback(start, lit)
    assert (said.outcome, said.progress, said.loss, said.done) == ("unknown", 0.5, 0.0, False)
    lost = toy.step("open door")
    said = feedback(lit, lost)
    assert (said.outcome, said.progress, said.loss, said.done) == ("failure", 0.0, 1.0, True)
    assert feedback(start, lit, flipped=True).progress == 0.0
    turned = feedback(lit, lost, flipped=True)
    assert (turned.outcome, turned.loss, turned.done) == ("success", 0.0, True)


def test_unknown_variants_are_refused(tmp_path):
    with pytest.raises(ValueError, match="fluxmem"):
        open_memory("flux", tmp_path)
    with pytest.raises(ValueError, match="fluxmem"):
        check_variants(["none", "statik@3"])
    check_variants(["static@8", "refine"])
