"""The tables of `docs/the_rule.md` for rules without a margin, with fewer draws."""

import pytest

from repro.judge import error_rates_of_rules as rates


@pytest.mark.parametrize("noise", rates.BRIEF)
def test_equal_arms_keep_the_level_of_an_ordering(noise: str):
    match, mismatch = rates.rates_of_unequal_arms(noise, 5, ratio=1.0, draws=4000)
    assert max(match, mismatch) < 0.05 + 3 * 0.0035


def test_a_quiet_arm_no_longer_breaks_the_level():
    """Exponential noise against none: 16 % with plain t; between the two the gap stays, as documented."""
    assert max(rates.rates_of_unequal_arms("exponential, skewness 2", 5, ratio=0.0, draws=4000)) < 0.05 + 3 * 0.0035
    assert 0.09 < max(rates.rates_of_unequal_arms("exponential, skewness 2", 5, ratio=1 / 3, draws=4000)) < 0.14


@pytest.mark.parametrize("paired", [True, False])
def test_no_trend_is_rarely_called_one(paired: bool):
    found = rates.rates_of_trends("exponential, skewness 2", 3, levels=3, paired=paired, draws=400)
    assert max(found) < 0.05 + 3 * 0.011


def test_a_trend_is_found_as_often_as_documented():
    match, mismatch = rates.rates_of_trends("normal", 3, levels=5, paired=True, means=[0, 0.5, 1, 1.5, 2], draws=300)
    assert match == pytest.approx(0.75, abs=3 * 0.025)
    assert mismatch == 0


@pytest.mark.parametrize("paired", [True, False])
def test_the_bound_of_superiority_holds(paired: bool):
    assert (
        rates.misses_of_superiority("exponential, skewness 2", 20, truth=0.75, paired=paired, draws=500)
        < 0.05 + 3 * 0.01
    )


def test_dropping_runs_hides_scatter():
    kept, allowed = rates.rates_of_reference(5, deviation="kept", draws=1000)
    honest, more = rates.rates_of_reference(5, deviation="all", draws=1000)
    assert 0.06 < kept < 0.12
    assert honest < 0.05
    assert allowed < more


def test_combined_attempts_are_covered():
    assert rates.misses_of_combination(6, tau=0.3, draws=500) < 0.063 + 3 * 0.011


def test_the_report_holds_every_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.argv", ["error_rates_of_rules", "--draws", "8"])
    rates.main()
    printed = capsys.readouterr().out
    assert printed.count("\n|---|") == 6
    assert "kept, N = 40" in printed
