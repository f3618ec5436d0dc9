"""The rule of kind reference_convergence."""

import math

import pytest
from sealed_claims import decide, make_part

from repro.judge.comparison import check_parts
from repro.schema.errors import ConfigError
from repro.schema.verdict import Estimate
from repro.stats.equivalence import critical_value

PART = make_part("reference_convergence", "1", approximate=True, factor=1.1)


def ratio(value: float | None, p: float | None = 0.5, allowed: float | None = 1.05, **changed: object) -> Estimate:
    extras = {
        "rcp_mean": 20.0,
        "rcp_sd": 0.5,
        "rcp_n": 18.0,
        "rcp_min_epochs": 19.0,
        "rcp_max_speedup": allowed,
        "rcp_p": p,
        "rcp_log_se": 0.01,
        "rcp_log_dof": 9.0,
    }
    return Estimate(value, n=10, unit="run", extras=extras, **changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("estimate", "outcome", "reason"),
    [
        (ratio(0.98, 0.2), "match", None),
        (ratio(1.4, 1.0), "match", None),
        (ratio(0.9, 0.05), "mismatch", None),
        (ratio(0.98, 0.2, 1.11), "inconclusive", "underpowered"),
        (ratio(0.98, 0.2, None), "inconclusive", "underpowered"),
        (ratio(0.98, None), "inconclusive", "no_estimate"),
        (ratio(None, flags=("diverged",), note="2 runs did not converge."), "inconclusive", "diverged"),
        (ratio(None, flags=("too_few",), note="4 runs."), "inconclusive", "too_few"),
        (ratio(None), "inconclusive", "no_estimate"),
        (ratio(0.98, 0.2, flags=("not_deterministic",)), "inconclusive", "not_deterministic"),
    ],
)
def test_the_decision(estimate: Estimate, outcome: str, reason: str | None):
    verdict = decide(PART, estimate)
    assert (verdict.outcome, verdict.reason) == (outcome, reason)
    assert verdict.detail


def test_several_parts_share_the_level_of_a_miss():
    from sealed_claims import make_sealed

    from repro.judge.rule import judge

    arms = {"main": {"a": ratio(0.97, 0.03), "b": ratio(1.0)}}
    verdict = judge(make_sealed(PART, PART), arms)
    assert verdict.parts["a"].outcome == "inconclusive"
    arms = {"main": {"a": ratio(0.97, 0.025), "b": ratio(1.0)}}
    assert judge(make_sealed(PART, PART), arms).parts["a"].outcome == "mismatch"


def test_a_match_says_that_it_is_one_sided():
    assert "one side only" in decide(PART, ratio(1.3, 1.0)).detail


@pytest.mark.parametrize(("value", "same"), [(1.0, 1.0), (1.07, 1.0), (1.09, 0.0), (1.3, -1.0)])
def test_two_sided_equivalence_stands_beside(value: float, same: float):
    verdict = decide(PART, ratio(value, 0.9))
    reach = critical_value(0.05, 9.0) * 0.01
    assert verdict.extras["rcp_equivalent"] == same
    assert verdict.low == pytest.approx(value * math.exp(-reach))
    assert verdict.high == pytest.approx(value * math.exp(reach))
    assert verdict.extras["rcp_min_epochs"] == 19.0


@pytest.mark.parametrize(
    "part",
    [
        make_part("reference_convergence", "1", approximate=True),
        make_part("reference_convergence", "1", factor=1.1),
        make_part("reference_convergence", "20", approximate=True, factor=1.1),
        make_part("reference_convergence", "1", approximate=True, relative=0.1),
    ],
)
def test_it_takes_a_factor_and_the_reference_itself(part):
    with pytest.raises(ConfigError, match="compares with the reference's own runs"):
        check_parts({"value": part}, "claim x/y")
    check_parts({"value": PART}, "claim x/y")
