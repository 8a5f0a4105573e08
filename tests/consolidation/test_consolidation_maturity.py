"""When a skill is mature, demoted or retired; quantiles against closed forms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph_fluxmem import ConfigError
from langgraph_fluxmem.consolidation import Settings
from langgraph_fluxmem.consolidation.maturity import beta_cdf, beta_quantile, lower_bound, status_of
from langgraph_fluxmem.skills import Trials

S = Settings()


def test_quantiles_match_closed_forms():
    # Beta(n + 1, 1) has the distribution function x^(n+1)
    assert beta_quantile(0.1, 4.0, 1.0) == pytest.approx(0.1 ** (1 / 4), abs=1e-7)
    assert beta_quantile(0.1, 5.0, 1.0) == pytest.approx(0.1 ** (1 / 5), abs=1e-7)
    assert beta_quantile(0.9, 1.0, 8.0) == pytest.approx(1 - 0.1 ** (1 / 8), abs=1e-7)
    # Beta(2, 5): I_x = 1 - (1-x)^6 - 6 x (1-x)^5
    assert beta_cdf(0.3, 2.0, 5.0) == pytest.approx(1 - 0.7**6 - 6 * 0.3 * 0.7**5, abs=1e-12)


@given(st.floats(0.01, 0.99), st.floats(0.5, 200), st.floats(0.5, 200))
def test_a_quantile_is_where_its_distribution_reaches_it(p, a, b):
    assert beta_cdf(beta_quantile(p, a, b), a, b) == pytest.approx(p, abs=1e-4)


@pytest.mark.parametrize(
    ("good", "bad", "contexts", "status"),
    [
        (3, 0, 2, "candidate"),  # .1^(1/4) = .562 is below .6
        (4, 0, 2, "mature"),  # .1^(1/5) = .631
        (4, 0, 1, "candidate"),  # one context only
        (9, 2, 2, "mature"),
        (6, 3, 3, "candidate"),
        (0, 14, 0, "retired"),  # the 90% quantile of Beta(1, 15) is .142
        (0, 3, 0, "candidate"),
    ],
)
def test_consolidation_matures_what_succeeds_often_enough_in_several_contexts(good, bad, contexts, status):
    assert status_of(Trials(good, bad, contexts), "candidate", S) == status


def test_consolidation_demotes_below_a_second_threshold_and_may_promote_again():
    assert status_of(Trials(6, 3, 3), "mature", S) == "mature"  # .44: below the first threshold, above the second
    assert status_of(Trials(6, 6, 3), "mature", S) == "demoted"
    assert status_of(Trials(20, 6, 3), "demoted", S) == "mature"
    assert status_of(Trials(50, 0, 9), "retired", S) == "retired"


def test_lower_bound_of_a_rate():
    assert lower_bound(0, 0) == 0.0
    # Wilson, z 1.28, 19 of 19: 1 / (1 + z^2/n) = 1 / (1 + 1.6384/19)
    assert lower_bound(19, 19) == pytest.approx(1 / (1 + 1.6384 / 19))
    assert lower_bound(5, 5) < lower_bound(50, 50) < 1.0


def test_consolidation_settings_name_what_is_wrong():
    with pytest.raises(ConfigError, match="epsilon"):
        Settings.of({"epsilon": -1})
    with pytest.raises(ConfigError, match="epsilom"):
        Settings.of({"epsilom": 0.1})
    with pytest.raises(ConfigError, match="demote=0.9 is above mature=0.6"):
        Settings.of({"demote": 0.9})
