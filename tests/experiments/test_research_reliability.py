"""Predictive values, beliefs, a reader study and missing cells, each against another formulation."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from experiments.diagnostics import belief_update, ioannidis_ppv, missing_cells, reader_study
from repro.schema.claim import MissingDetail
from repro.schema.context import Context

ROOT = Path(__file__).parents[2]
shares = st.fractions(Fraction(1, 100), Fraction(99, 100), max_denominator=100)


@given(shares, st.fractions(Fraction(1, 1000), Fraction(3), max_denominator=1000), shares, shares)
def test_the_printed_formula_is_a_count_of_cells(power: Fraction, R: Fraction, u: Fraction, alpha: Fraction) -> None:
    value = ioannidis_ppv.ppv(power, R, u, alpha)
    assert value == ioannidis_ppv.ppv_by_counting(power, R, u, alpha)
    unbiased = ioannidis_ppv.ppv(power, R, Fraction(0), alpha)
    assert (value < unbiased) == (power > alpha) or value == unbiased  # bias dilutes what is better than chance


def test_a_simulated_literature_has_the_value_of_the_first_row() -> None:
    rng = np.random.default_rng(2005)
    true = rng.random(400_000) < 0.5
    claimed = rng.random(true.size) < np.where(true, 0.8, 0.05)
    claimed |= rng.random(true.size) < 0.1  # bias turns a tenth of the rest into findings
    row = ioannidis_ppv.run(ioannidis_ppv.Config(), Context())
    assert row["confirmatory_trial"] == pytest.approx(true[claimed].mean(), abs=0.003)
    assert row["counting_differs"] == 0


def test_without_bias_the_table_is_missed() -> None:
    row = ioannidis_ppv.run(ioannidis_ppv.Config(with_bias=False), Context())
    assert row["confirmatory_trial"] == pytest.approx(16 / 17)
    assert row["massive_testing"] == pytest.approx(0.2 / 50.2)


@given(shares, shares, shares)
def test_a_belief_is_moved_as_bayes_says(prior: Fraction, sensitivity: Fraction, false_match: Fraction) -> None:
    rates = belief_update.Rates(sensitivity, false_match)
    found = belief_update.posterior(belief_update.Config(), prior, rates, ("match",))
    assert found == sensitivity * prior / (sensitivity * prior + false_match * (1 - prior))
    assert belief_update.posterior(belief_update.Config(), prior, rates, ("blocked",)) == prior
    assert Fraction(1, 3) <= belief_update.likelihood_ratio(rates, "match", conceptual=True) <= 3


def test_counting_is_a_simulated_population() -> None:
    rng = np.random.default_rng(1)
    true = rng.random(400_000) < 0.25
    first = rng.random(true.size) < np.where(true, 0.8, 0.05)
    second = rng.random(true.size) < np.where(true, 0.8, 0.05)
    rates = belief_update.Rates(Fraction(4, 5), Fraction(1, 20))
    for seen, verdicts in ((first & ~second, ("match", "mismatch")), (first & second, ("match", "match"))):
        assert float(belief_update.counted_share(Fraction(1, 4), rates, verdicts)) == pytest.approx(
            true[seen].mean(), abs=0.01
        )


@pytest.mark.parametrize("rule", ["probability", "all_multiply", "assumed_rates"])
def test_mistaken_rules_differ_from_counting(rule: str) -> None:
    right = belief_update.run(belief_update.Config(), Context())
    wrong = belief_update.run(belief_update.Config(rule=rule), Context())
    parts = ("one_attempt", "two_independent", "two_together", "ioannidis", "undecided")
    assert all(right[part] == 0 for part in parts)
    assert max(wrong[part] for part in parts) > 0.4


def test_p_values_are_those_of_a_t_test_on_readers() -> None:
    """Six readers with the printed mean and sd, compared with the system by scipy."""
    spread = np.array([-1.0, -0.6, -0.2, 0.2, 0.6, 1.0])
    readers = 0.750 + 0.049 * spread / spread.std(ddof=1)
    test = stats.ttest_1samp(0.871 - readers, 0.0)
    low, high = test.confidence_interval(0.95)
    assert reader_study.p_value(0.121, low, high, 5) == pytest.approx(test.pvalue)
    row = reader_study.run(reader_study.Config(), Context())
    assert row["figure_2_half_width"] == pytest.approx((high - low) / 2)
    assert test.pvalue == pytest.approx(0.0018, abs=2e-4)


@given(st.floats(0.01, 0.2), st.floats(0.01, 0.2), st.integers(2, 100))
def test_few_degrees_of_freedom_are_more_cautious(delta: float, half: float, dof: int) -> None:
    """At the interval's edge P is 0.05 whatever the reference; beyond it t gives a larger P value, before it a smaller one."""
    at_edge = reader_study.p_value(half, 0.0, 2 * half, dof)
    assert at_edge == pytest.approx(0.05)
    t, normal = (reader_study.p_value(delta, delta - half, delta + half, nu) for nu in (dof, float("inf")))
    if abs(delta - half) > 1e-6:
        assert (t >= normal) == (delta > half)


def test_the_degrees_of_freedom_implied_are_found_again() -> None:
    made = reader_study.Printed(0.12, 0.07, 0.17, reader_study.p_value(0.12, 0.07, 0.17, 5), 1e-9)
    assert reader_study.implied_dof(made, 1e-9) == (5, 5)
    impossible = reader_study.Printed(0.12, 0.07, 0.17, 0.5, 1e-3)
    assert np.isnan(reader_study.implied_dof(impossible)).all()


def test_every_missing_cell_is_a_missing_detail_of_the_blocked_claim() -> None:
    claim = yaml.safe_load((ROOT / "conf/claim/mckinney/headline.yaml").read_text())
    details = {
        detail.item.partition(" network")[0]: detail
        for detail in (MissingDetail(**d) for d in claim["missing_details"])
    }
    words = {"learning_rate": "learning rate", "batch": "batch size"}
    for network in missing_cells.GIVEN:
        missing, unclear = missing_cells.cells(missing_cells.Config(), network)
        for cell in (*missing, *unclear):
            assert words.get(cell, cell) in details[network].item
        for cell, value in missing_cells.GIVEN[network].items():
            if value not in ("unclear", "given") and cell == "batch":
                assert value in (details[network].paper_text or "")


def test_other_ways_to_count_cells_miss() -> None:
    right, unclear, adam = (
        missing_cells.run(missing_cells.Config(**change), Context())
        for change in ({}, {"unclear_is_given": True}, {"adam_needs_momentum": True})
    )
    assert (right["missing"], right["unclear"], right["given"]) == (9, 1, 7)
    assert unclear["unclear"] == 0
    assert adam["breast_missing"] == 1
