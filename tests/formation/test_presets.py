import numpy as np
import pytest

from langgraph_fluxmem import ConfigError, FluxMem
from langgraph_fluxmem.config import Config
from langgraph_fluxmem.formation import reciprocal
from langgraph_fluxmem.presets import BALANCED, PRESETS, preset_of
from langgraph_fluxmem.signals import SIGNALS

TALK = [f"Ada keeps {thing} on the balcony" for thing in ("basil", "mint", "sage", "thyme")]


@pytest.fixture
def mem(tmp_path):
    with FluxMem.open(tmp_path, chroma="off") as mem:
        mem.remember(TALK, source="talk")
        yield mem


def shares(activation) -> set[str]:
    return {name for fact in activation.facts for name in fact.why.signals}


def test_presets_name_signals_that_there_are():
    known = {signal.name for signal in SIGNALS}
    assert all(set(preset.weights) <= known for preset in PRESETS.values())
    assert PRESETS[BALANCED].weights == {}


def test_a_preset_for_one_recall(mem):
    whole, fast = mem.recall("what does Ada keep?"), mem.recall("what does Ada keep?", preset="fast")
    assert (whole.preset, fast.preset) == ("balanced", "fast")
    assert shares(whole) - shares(fast) >= {"bm25", "surroundings"}
    assert "dense" in shares(fast)


def test_a_preset_for_a_memory_and_what_overrides_it(tmp_path):
    with FluxMem.open(tmp_path, chroma="off", preset="fast", signals={"surroundings": 0.2}) as mem:
        mem.remember(TALK, source="talk")
        assert mem.recall("Ada").preset == "fast"
        assert "bm25" not in shares(mem.recall("Ada"))
        assert "surroundings" in shares(mem.recall("Ada")), "the configuration goes before the preset"
        assert "surroundings" not in shares(mem.recall("Ada", signals={"surroundings": 0})), "a recall goes before both"
        assert "bm25" in shares(mem.recall("Ada", preset="balanced"))


def test_paths_are_fused_by_ranks(mem):
    found = mem.recall("mint on the balcony", preset="paths")
    assert found.facts[0].content.endswith("mint on the balcony")
    assert shares(found) <= {"topics", "keywords", "context"}
    assert all(0 < share <= 1 for fact in found.facts for share in fact.why.signals.values())


def test_reciprocal_ranks():
    got = reciprocal(np.array([[0.5, 2.0, 2.0, 0.0], [0.0, 0.0, 0.0, 1.0]]))
    np.testing.assert_allclose(got, [[61 / 63, 1, 1, 0], [0, 0, 0, 1]])


def test_a_larger_pool(mem, monkeypatch):
    from langgraph_fluxmem import formation

    pools = []
    real = formation._candidates
    monkeypatch.setattr(formation, "_candidates", lambda bench, proposers, m: pools.append(m) or real(bench, proposers, m))
    for name in ("balanced", "thorough"):
        mem.recall("Ada", preset=name)
    assert pools == [mem.config.pool, 3 * mem.config.pool]


def test_the_preset_stays_through_a_step(mem):
    from langgraph_fluxmem import Feedback

    first = mem.recall("Ada", preset="fast", k=1)
    assert mem.refine(first, Feedback(outcome="failure")).preset == "fast"


@pytest.mark.parametrize(("name", "hint"), [("balance", "did you mean 'balanced'"), ("xyz", "presets are fast"), (3, "unknown preset 3")])
def test_an_unknown_preset_is_named(mem, name, hint):
    with pytest.raises(ConfigError, match=hint):
        mem.recall("Ada", preset=name)
    with pytest.raises(ConfigError):
        preset_of(name)


def test_an_unknown_preset_in_the_configuration():
    with pytest.raises(ConfigError, match="preset"):
        Config.of(preset="balance")
