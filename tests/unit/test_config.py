import pytest
from pydantic import ValidationError

from langgraph_fluxmem.config import Config
from langgraph_fluxmem.errors import ConfigError


def test_an_unknown_key_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'exact_max'"):
        Config.of(exactmax=3)
    with pytest.raises(ConfigError, match="valid keys"):
        Config.of(zzzzzz=3)


@pytest.mark.parametrize(
    "options", [{"durability": "maybe"}, {"exact_max": -1}, {"split_chars": 10}, {"max_rounds": 0}, {"busy_timeout": 0}]
)
def test_a_wrong_value_is_named(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        Config.of(options)


def test_options_that_conflict_fail_at_once():
    with pytest.raises(ConfigError, match="conflicts"):
        Config.of(chroma="off", exact_max=10)
    with pytest.raises(ConfigError, match="localhost"):
        Config.of(chroma="somewhere")


def test_it_is_frozen():
    with pytest.raises(ValidationError):
        Config.of().pool = 3
