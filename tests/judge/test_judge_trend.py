"""The rule of kind trend: what matches, what mismatches, and how often that is wrong."""

import numpy as np
import pytest
from scipy import stats
from sealed_claims import decide, make_part, make_sealed

from repro.judge.comparison import check_parts
from repro.judge.rule import judge
from repro.schema.errors import ConfigError
from repro.schema.verdict import Estimate
from repro.stats.trend_tests import jonckheere_p, page_p

TREND = make_part("trend", "0", approximate=True)


def noisy(
    p: float,
    reverse: float | None = 0.9,
    step: float | None = 0.5,
    *,
    steps: int = 4,
    least: float = 0.0,
    **changed: object,
) -> Estimate:
    extras = {
        "trend_tau": 0.5,
        "trend_p": p,
        "trend_reverse_p": reverse,
        "trend_step_p": step,
        "trend_steps": float(steps),
        "trend_reversals": 1.0,
        "trend_least_p": least,
    }
    return Estimate(0.5, n=15, unit="seed", extras=extras, **changed)  # type: ignore[arg-type]


def exactly(step: float, resolution: float = 0.0) -> Estimate:
    return Estimate(step, se=0.0, deterministic=True, extras={"trend_resolution": resolution})


@pytest.mark.parametrize(
    ("estimate", "outcome", "reason"),
    [
        (noisy(0.05), "match", None),
        (noisy(0.051), "inconclusive", "underpowered"),
        (noisy(0.2, least=0.06), "inconclusive", "too_few"),
        (noisy(0.99, reverse=0.025), "mismatch", None),
        (noisy(0.97, reverse=0.026), "inconclusive", "underpowered"),
        (noisy(0.001, step=0.025 / 4), "mismatch", None),
        (noisy(0.001, step=0.0063), "match", None),
        (noisy(0.99, reverse=0.05, step=None), "mismatch", None),
        (noisy(0.99, reverse=None, step=0.05 / 4), "mismatch", None),
        (noisy(0.001, flags=("not_deterministic",)), "inconclusive", "not_deterministic"),
        (Estimate(None, note="Nothing."), "inconclusive", "no_estimate"),
        (Estimate(0.5, n=3), "inconclusive", "no_estimate"),
        (exactly(0.01), "match", None),
        (exactly(0.0), "mismatch", None),
        (exactly(-0.01), "mismatch", None),
        (exactly(0.01, 0.01), "inconclusive", "rounding"),
        (exactly(-0.02, 0.01), "mismatch", None),
    ],
)
def test_the_decision(estimate: Estimate, outcome: str, reason: str | None):
    verdict = decide(TREND, estimate)
    assert (verdict.outcome, verdict.reason) == (outcome, reason)
    assert verdict.detail


def test_parts_share_the_level_of_a_miss_but_not_that_of_a_match():
    """With two parts a reversed step at p = 0.005 is no miss (0.05 / 2 / 2 / 4 = 0.0031), and yet forbids a match."""
    arms = {"main": {"a": noisy(0.001, step=0.005), "b": noisy(0.001)}}
    parts = judge(make_sealed(TREND, TREND), arms).parts
    assert (parts["a"].outcome, parts["a"].reason) == ("inconclusive", "underpowered")
    assert parts["b"].outcome == "match"
    arms["main"]["a"] = noisy(0.001, step=0.003)
    assert judge(make_sealed(TREND, TREND), arms).parts["a"].outcome == "mismatch"


def test_what_is_reported_beside_it():
    verdict = decide(TREND, noisy(0.01))
    assert verdict.extras == {"trend_tau": 0.5, "trend_p": 0.01, "trend_reversals": 1.0}
    assert "1 of 4 steps are seen the other way" in verdict.detail


def test_a_trend_takes_no_margin():
    with pytest.raises(ConfigError, match="takes no margin"):
        check_parts({"value": make_part("trend", "0", absolute=0.1)}, "claim x/y")


def rates(draw: np.ndarray, paired: bool) -> tuple[float, float]:
    """Match and mismatch rates of tables [draws, n, levels] of which larger is the claimed way."""
    outcomes = []
    for table in draw:
        if paired:
            both = page_p(table), page_p(-table)
            ps = [
                stats.wilcoxon(table[:, i + 1] - table[:, i], alternative="less").pvalue
                for i in range(table.shape[1] - 1)
            ]
        else:
            levels = table.T
            both = jonckheere_p(levels.tolist()), jonckheere_p((-levels).tolist())
            ps = [jonckheere_p([levels[i + 1].tolist(), levels[i].tolist()]) for i in range(len(levels) - 1)]
        outcomes.append(decide(TREND, noisy(*both, min(ps), steps=len(ps))).outcome)
    return float(np.mean([o == "match" for o in outcomes])), float(np.mean([o == "mismatch" for o in outcomes]))


@pytest.mark.parametrize("paired", [True, False])
def test_without_a_trend_either_decision_is_rare(paired: bool):
    """Exponential noise, 5 seeds, 3 levels, 400 draws: each at most 5 % plus 3 standard errors of 1.1 points."""
    rng = np.random.default_rng(0)
    match, mismatch = rates(rng.exponential(size=(400, 5, 3)), paired)
    assert match < 0.083
    assert mismatch < 0.083


def test_a_trend_of_one_standard_deviation_a_level_is_found():
    rng = np.random.default_rng(1)
    match, mismatch = rates(rng.standard_normal((100, 5, 4)) + np.arange(4), True)
    assert match > 0.95
    assert mismatch == 0
