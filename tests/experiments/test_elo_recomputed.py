import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from experiments.board_games.elo_recomputed import Config, probability, run
from repro.schema.context import Context


@given(st.floats(-800, 800), st.floats(-800, 800))
def test_the_scale_is_logistic_and_gaps_add_up_in_log_odds(one: float, other: float) -> None:
    p = probability(one, 10, 400)
    assert p + probability(-one, 10, 400) == pytest.approx(1)
    odds = math.prod(q / (1 - q) for q in (p, probability(other, 10, 400)))
    both = probability(one + other, 10, 400)
    assert both / (1 - both) == pytest.approx(odds)


def test_the_printed_ratings() -> None:
    row = run(Config(), Context())
    assert row["difference"] == 327
    assert row["match_wins"] == pytest.approx(86.8, abs=0.05)
    assert row["gap_wins"] == pytest.approx(75.97, abs=0.01)
    # 89 of 100 is nothing odd at that chance
    assert 0.05 < binom.cdf(89, 100, row["match_wins"] / 100) < 0.95


def test_the_controls_are_far_off() -> None:
    assert run(Config(base=math.e), Context())["match_wins"] < 89 - 6.6
    assert run(Config(base=math.e), Context())["gap_wins"] < 74.5
    assert run(Config(zero=3055), Context())["match_wins"] < 1
