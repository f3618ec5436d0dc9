"""Forecasts against what the rule then really decides, by simulation through `judge` itself."""

import math

import numpy as np
import pytest
from sealed_claims import exact, judge_with, make_part, make_sealed
from statsmodels.stats.power import TTestPower

from repro.judge.forecast import Pilot, forecast
from repro.judge.looks import judge_look_by_look, seeds_of_look
from repro.schema.claim import Interval
from repro.schema.verdict import Estimate

DRAWS = 400


@pytest.fixture(autouse=True)
def without_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    """An undecided verdict works out how many units would do, which takes most of its time and decides nothing."""
    monkeypatch.setattr("repro.judge.part.units_needed", lambda *_: None, raising=False)


def sealed_of(*parts, seeds=8, **changed):
    return make_sealed(*parts, replicates=tuple(range(seeds)), max_replicates=seeds, **changed)


def of_spread(spread: float, *flags: str, value: float | None = None, **changed) -> dict[str, Pilot]:
    return {"value": Pilot(Estimate(value, spread=spread, unit="seed", flags=flags, **changed), "a pilot")}


def estimate_of(x, *flags: str) -> Estimate:
    n, spread = len(x), float(np.std(x, ddof=1))
    return Estimate(
        float(np.mean(x)), se=spread / math.sqrt(n), dof=n - 1, n=n, unit="seed", spread=spread, flags=flags
    )


def simulated(sealed, spread, *flags, centre=0.49, target_sd=0.0):
    """Share of matches when the claim is exactly true, seed by seed through the rule; controls fail for sure."""
    random, matches = np.random.default_rng(5), 0
    bad = -99.0 if sealed.parts["value"].rule.kind == "at_least" else 99.0
    for _ in range(DRAWS):
        truth = centre + random.normal(0, target_sd)
        x = random.normal(truth, spread, len(sealed.replicates))
        matches += judge_with(sealed, estimate_of(x, *flags), bad=exact(bad)).outcome == "match"
    return matches / DRAWS


ERROR = 3.5 * math.sqrt(0.25 / DRAWS)
"""3.5 standard errors of a simulated share."""


@pytest.mark.parametrize(
    ("part", "spread", "flags", "seeds"),
    [
        (make_part(absolute=0.1), 0.1, (), 8),
        (make_part(absolute=0.1), 0.1, ("skew_guard",), 12),
        (make_part(absolute=0.1), 0.06, ("skew_guard",), 5),
        (make_part(factor=1.3), 0.12, (), 8),
        (make_part("at_least", absolute=0.1), 0.12, (), 6),
        (make_part("at_most", absolute=0.1), 0.12, ("skew_guard",), 10),
    ],
)
def test_power_is_that_of_the_rule_as_judged(part, spread, flags, seeds):
    sealed = sealed_of(part, seeds=seeds)
    power = forecast(sealed, of_spread(spread, *flags)).power_now
    assert 0.1 < power < 0.95
    assert power == pytest.approx(simulated(sealed, spread, *flags), abs=ERROR)


def test_power_with_the_papers_own_spread():
    sealed = sealed_of(make_part(absolute=0.1, sd="0.06", n=4), seeds=10)
    power = forecast(sealed, of_spread(0.06)).power_now
    assert 0.2 < power < 0.9
    assert power == pytest.approx(simulated(sealed, 0.06, target_sd=0.03), abs=ERROR)


def test_power_of_an_ordering_against_statsmodels():
    sealed = sealed_of(make_part("ordering", printed="0"), seeds=10)
    outlook = forecast(sealed, of_spread(1.0, value=0.8))
    assert outlook.power_now == pytest.approx(TTestPower().power(0.8, 10, 0.05, alternative="larger"), abs=1e-3)
    assert outlook.units_80 == math.ceil(TTestPower().solve_power(0.8, alpha=0.05, power=0.8, alternative="larger"))
    assert "taking 0.8 for the truth" in outlook.parts[0].note


def test_wanted_seeds_are_the_least_that_reach_the_power():
    outlook = forecast(sealed_of(make_part(absolute=0.1), seeds=6), of_spread(0.1, "skew_guard"))
    for wanted, seeds in ((0.8, outlook.units_80), (0.95, outlook.units_95)):
        at = {
            n: forecast(sealed_of(make_part(absolute=0.1), seeds=n), of_spread(0.1, "skew_guard"))
            for n in (seeds - 1, seeds)
        }
        assert at[seeds].power_now >= wanted > at[seeds - 1].power_now
    assert outlook.units_80 < outlook.units_95


def test_parts_must_all_match():
    sealed = sealed_of(make_part(absolute=0.1), make_part(absolute=0.1), seeds=9)
    alone = forecast(sealed_of(make_part(absolute=0.1), seeds=9), of_spread(0.09)).power_now
    pilots = {name: of_spread(0.09)["value"] for name in "ab"}
    both = forecast(sealed, pilots)
    assert both.power_now == pytest.approx(alone**2)
    assert both.power_now >= 1 - 2 * (1 - alone)  # Bonferroni
    assert [part.power_now for part in both.parts] == pytest.approx([alone, alone])
    random, matches = np.random.default_rng(6), 0
    from repro.judge.rule import judge

    for _ in range(DRAWS):
        estimates = {name: estimate_of(random.normal(0.49, 0.09, 9)) for name in "ab"}
        bad = {name: exact(99.0) for name in "ab"}
        matches += judge(sealed, {"main": estimates, "bad": bad}).outcome == "match"
    assert both.power_now == pytest.approx(matches / DRAWS, abs=ERROR)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (make_part(printed="0.5", absolute=0.05), "rounded to ±0.05"),
        (make_part(absolute=0.1, sd="0.08"), "nothing of the margin"),
        (
            make_part(absolute=0.1, interval=Interval("0.30", "0.68", 0.95, "sampling")),
            "no number of seeds reaches 50 %",
        ),
    ],
)
def test_what_no_number_of_seeds_decides_is_refused(part, said):
    outlook = forecast(sealed_of(part), of_spread(0.01))
    assert said in outlook.undecidable
    assert said in outlook.refusal
    assert (outlook.power_now, outlook.units_80, outlook.units_95) == (0.0, None, None)


def test_rounding_alone_is_known_without_a_spread():
    assert "rounded to ±0.05" in forecast(sealed_of(make_part(printed="0.5", absolute=0.05)), {}).refusal


def test_a_hopeless_plan_says_how_many_seeds_would_do():
    outlook = forecast(sealed_of(make_part(absolute=0.1), seeds=5), of_spread(0.2, "skew_guard"))
    assert outlook.power_now < 0.5
    assert f"replicates={outlook.units_80}" in outlook.refusal
    again = forecast(sealed_of(make_part(absolute=0.1), seeds=outlook.units_80), of_spread(0.2, "skew_guard"))
    assert again.power_now >= 0.8
    assert again.refusal == ""


@pytest.mark.parametrize(
    ("kind", "seeds", "refused"),
    [("equivalence", 2, True), ("equivalence", 3, False), ("ordering", 4, True), ("ordering", 5, False)],
)
def test_too_few_seeds_are_refused_even_if_the_spread_is_unknown(kind, seeds, refused):
    part = make_part(kind, absolute=0.1)
    outlook = forecast(sealed_of(part, seeds=seeds), {})
    assert bool(outlook.refusal) == refused
    assert ("too few" in outlook.refusal) == refused


def test_an_unknown_spread_is_no_ground_for_refusal():
    outlook = forecast(sealed_of(make_part(absolute=0.1)), {})
    assert (outlook.power_now, outlook.units_80, outlook.refusal) == (None, None, "")
    assert outlook.parts[0].note == "no spread is known"


@pytest.mark.parametrize("kind", ["trend", "reference_convergence"])
def test_a_rule_without_t_has_no_power_to_offer_and_is_not_refused(kind):
    outlook = forecast(sealed_of(make_part(kind, absolute=0.1), seeds=1), of_spread(9.0))
    assert (outlook.power_now, outlook.refusal) == (None, "")
    assert kind in outlook.parts[0].note


def test_a_scale_that_never_decides_is_never_refused():
    sealed = sealed_of(make_part(printed="0.5", absolute=0.05), seeds=1, scale="smoke")
    assert forecast(sealed, of_spread(9.0)).refusal == ""


def test_a_deterministic_study_decides_for_sure():
    given = {"deterministic": True, "resampling_unit": "none"}
    for part in (make_part(absolute=0.1), make_part("exact"), make_part("rounds_to")):
        outlook = forecast(sealed_of(part, seeds=2, **given), {})
        assert (outlook.power_now, outlook.refusal) == (1.0, "")
    assert forecast(sealed_of(make_part(printed="0.5", absolute=0.01), seeds=2, **given), {}).refusal


def test_a_bound_without_a_margin_needs_to_know_how_far_the_truth_lies():
    part = make_part("at_least", printed="0.4", approximate=True)
    assert forecast(sealed_of(part), of_spread(0.1)).power_now is None
    assert forecast(sealed_of(part), of_spread(0.1, value=0.3)).power_now is None
    seen = forecast(sealed_of(part), of_spread(0.1, value=0.5))
    assert seen.power_now == pytest.approx(TTestPower().power(1.0, 8, 0.05, alternative="larger"), abs=2e-3)


def fit(se=0.02, dof=3, **changed) -> Pilot:
    return Pilot(Estimate(0.5, se=se, dof=dof, n=5, unit="budget", **changed), "an earlier attempt", seeds=2)


def test_a_fit_says_what_is_known_and_no_more():
    sealed = sealed_of(make_part(absolute=0.06), seeds=2, resampling_unit="budget")
    plain = forecast(sealed, {"value": fit()})
    assert 0 < plain.power_now < 1
    assert plain.units_80 is None
    assert "not known beforehand" in plain.parts[0].note
    systematic = forecast(sealed, {"value": fit(flags=("systematic_error",), extras={"se_noise": 0.019})})
    assert systematic.units_80 is None
    assert "systematic" in systematic.parts[0].note


def test_more_seeds_shrink_only_the_noise_of_a_fit():
    sealed = sealed_of(make_part(absolute=0.06), seeds=2, resampling_unit="budget")
    noisy = forecast(sealed, {"value": fit(extras={"se_noise": 0.019})})
    assert noisy.units_80 is not None
    quiet = forecast(sealed, {"value": fit(extras={"se_noise": 0.005})})
    assert quiet.units_80 is None
    assert quiet.power_now == pytest.approx(noisy.power_now)


def test_a_seen_estimate_without_spread_is_unknown():
    pilots = {"value": Pilot(Estimate(None, flags=("diverged",)), "an attempt")}
    assert forecast(sealed_of(make_part(absolute=0.1)), pilots).power_now is None


THREE = {"looks": 3, "seeds": 12}


def test_each_look_reads_as_many_more_seeds():
    sealed = sealed_of(make_part(absolute=0.1), **THREE)
    assert [len(seeds_of_look(sealed, look)) for look in (1, 2, 3)] == [4, 8, 12]
    assert seeds_of_look(sealed, 3) == sealed.replicates


def by_look(sealed, x, read=None):
    def estimates(look):
        if read is not None:
            read.append(look)
        seeds = len(seeds_of_look(sealed, look))
        return {"main": {"value": estimate_of(x[:seeds])}, "bad": {"value": exact(99.0)}}

    return judge_look_by_look(sealed, estimates)


def test_looking_stops_at_the_first_verdict_and_reads_no_further():
    sealed, read = sealed_of(make_part(absolute=0.1), **THREE), []
    clear = 0.49 + 0.001 * np.array([1, -1, 1, -1] + [500] * 8)
    look, verdict = by_look(sealed, clear, read)
    assert (look, verdict.outcome, verdict.look, read) == (1, "match", 1, [1])
    assert verdict.parts["value"].alpha == pytest.approx(0.05 / 3)
    unclear = np.random.default_rng(0).normal(0.58, 0.2, 12)
    look, verdict = by_look(sealed, unclear)
    assert (look, verdict.outcome, verdict.look) == (3, "inconclusive", 3)


def test_an_unfinished_look_has_no_verdict():
    sealed = sealed_of(make_part(absolute=0.1), **THREE)
    assert judge_look_by_look(sealed, lambda look: None) == (1, None)


def test_three_looks_together_err_at_most_as_often_as_one():
    """With the truth on the edge of the margin, a match is false: 5 % for all looks together."""
    sealed, random = sealed_of(make_part(absolute=0.1, approximate=True), **THREE), np.random.default_rng(7)
    greedy = sealed_of(make_part(absolute=0.1, approximate=True), seeds=12)  # what looking at the full α would do
    false, undivided, draws = 0, 0, 1500
    for _ in range(draws):
        x = random.normal(0.59, 0.05, 12)
        false += by_look(sealed, x)[1].outcome == "match"
        undivided += any(judge_with(greedy, estimate_of(x[:n]), bad=exact(99.0)).outcome == "match" for n in (4, 8, 12))
    assert false / draws <= 0.05 + 2.5 * math.sqrt(0.05 * 0.95 / draws)
    assert false / draws < undivided / draws
    assert undivided / draws > 0.07


def test_power_and_expected_seeds_with_looks_are_those_of_the_looking():
    sealed, random = sealed_of(make_part(absolute=0.1), **THREE), np.random.default_rng(8)
    outlook = forecast(sealed, of_spread(0.08))
    ends = [by_look(sealed, random.normal(0.49, 0.08, 12)) for _ in range(DRAWS)]
    assert 0.3 < outlook.power_now < 0.97
    assert outlook.power_now == pytest.approx(sum(v.outcome == "match" for _, v in ends) / DRAWS, abs=ERROR)
    ran = [4 * look for look, _ in ends]
    assert outlook.expected_units == pytest.approx(np.mean(ran), abs=3.5 * np.std(ran) / math.sqrt(DRAWS))
    one = forecast(sealed_of(make_part(absolute=0.1), seeds=12), of_spread(0.08))
    assert one.power_now > outlook.power_now
    assert outlook.units_80 % 3 == 0


def test_too_few_seeds_at_a_look_are_refused():
    outlook = forecast(sealed_of(make_part(absolute=0.1), looks=3, seeds=6), {})
    assert "2 seeds are too few at each of 3 looks" in outlook.refusal
    assert "replicates=9" in outlook.refusal
