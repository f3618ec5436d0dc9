"""Calibration against rates known in closed form, and the promises of the rule as measured on whole protocols."""

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats
from sealed_claims import make_part, make_sealed
from sealed_claims import mean as mean_of
from statsmodels.stats.proportion import proportion_confint

from repro.judge.calibrate import Template, calibrate, rate_interval
from repro.judge.scenarios import false_values, true_value, truths
from repro.schema.calibration import Calibration, Scenario
from repro.schema.errors import EstimateError
from repro.schema.trial import Machine, TrialRecord
from repro.schema.verdict import Estimate, Sealed
from repro.stats.reference_convergence import reference_convergence
from repro.stats.simulators import exact, means, reference, trend
from repro.stats.summary import mean_over_seeds, measured_parts
from repro.stats.trend import exact_trend, monotone_trend

CONTROL = {"bad": {"value": Estimate(9.0, se=0.0, n=1, deterministic=True)}}


def make_record(replicate: int, row: dict[str, float]) -> TrialRecord:
    return TrialRecord(
        key=f"{replicate:040x}", study="topic/study", recipe="experiments.topic.study", config={"seed": replicate},
        replicate=replicate, sources="", device="cpu", precision="float32", measures="value", label="",
        status="finished", rows=(row,), curves={}, data={}, seals=(), started="2024-01-01T00:00:00Z", seconds=1.0,
        machine=Machine("a" * 12, "processor", 2, 8.0, "cpu", "Linux", "3.11", None, 1), process=f"p{replicate}",
    )  # fmt: skip


def runs(values: list[float]) -> list[TrialRecord]:
    return [make_record(i, {"loss": value}) for i, value in enumerate(values)]


def template(sealed: Sealed, records: list[TrialRecord], **arguments: Any) -> Template:
    """A protocol of means over seeds, whose recorded control failed."""
    keywords = {"column": "loss", **arguments}

    def estimate(read: list[TrialRecord]) -> dict[str, Estimate]:
        return {"value": mean_over_seeds(read, **keywords)}

    return Template(
        sealed, estimate(records), [CONTROL], "an attempt", records, estimate, partial(means.runs, **keywords)
    )


def only(calibration: Calibration, truth: str, name: str = "") -> Scenario:
    (found,) = [s for s in calibration.scenarios if s.truth == truth and s.name in (name, "")]
    return found


VALUES = [0.46, 0.48, 0.50, 0.52, 0.54]
N, SD = 5, float(np.std(VALUES, ddof=1))


def tost_power(deviation: float, room: float) -> float:
    """P(|x̄ − θ₀| + t·s/√n < room): the normal part in closed form, integrated over the χ distribution of s."""
    se, c = SD / math.sqrt(N), stats.t.ppf(0.95, N - 1)

    def given(u: float) -> float:
        reach = c * se * math.sqrt(u / (N - 1))
        inside = stats.norm.cdf((room - reach - deviation) / se) - stats.norm.cdf((-room + reach - deviation) / se)
        return max(inside, 0.0) * stats.chi2.pdf(u, N - 1)

    return float(integrate.quad(given, 0, 60, limit=200)[0])


def agrees(count: int, draws: int, rate: float) -> bool:
    """Whether a count is what this rate would give, at five standard errors."""
    return abs(count / draws - rate) < 5 * math.sqrt(max(rate * (1 - rate), 1e-4) / draws)


@pytest.mark.parametrize("margin", [0.04, 0.08])
def test_an_equivalence_of_means_has_the_power_of_two_one_sided_tests(margin: float) -> None:
    sealed = make_sealed(make_part(absolute=margin, printed="0.500"))
    found = calibrate(template(sealed, runs(VALUES), noise="symmetric"), draws=150)
    true, room = only(found, "true"), margin - 0.0005
    assert agrees(true.match, 150, tost_power(0.0, room))
    for side in ("above", "below"):
        assert agrees(only(found, "margin", side).match, 150, tost_power(margin, room))


def test_a_one_sided_claim_has_the_power_of_the_noncentral_t() -> None:
    sealed = make_sealed(make_part("at_least", absolute=0.04, printed="0.500", approximate=True))
    low = {"bad": {"value": Estimate(-9.0, se=0.0, n=1, deterministic=True)}}
    made = replace(template(sealed, runs(VALUES), noise="symmetric"), controls=[low])
    found = calibrate(made, draws=200)
    critical, size = stats.t.ppf(0.95, N - 1), math.sqrt(N) / SD
    assert agrees(only(found, "true").match, 200, stats.nct.sf(critical, N - 1, 0.04 * size))
    assert agrees(only(found, "margin", "below").match, 200, 0.05)
    assert [s.name for s in found.scenarios if s.truth == "margin"] == ["below"]


@pytest.mark.parametrize("noise", ["skewed", "symmetric"])
def test_false_matches_at_the_margin_stay_below_the_level(noise: str) -> None:
    found = calibrate(
        template(make_sealed(make_part(absolute=0.05, printed="0.50")), runs(VALUES), noise=noise), draws=120
    )
    for side in ("above", "below"):
        low, _ = rate_interval(only(found, "margin", side).match, 800, level=0.999)
        assert low <= 0.05


def test_a_far_rival_is_noticed_and_a_near_one_is_not() -> None:
    part = make_part(absolute=0.2, printed="0.50", rivals={"far": "0.9", "near": "0.55"})
    found = calibrate(template(make_sealed(part), runs(VALUES)), draws=100)
    assert only(found, "rival", "far").mismatch == 100
    assert only(found, "rival", "near").mismatch == 0
    assert only(found, "true").match == 100


def test_a_longer_calibration_begins_with_a_shorter_one() -> None:
    made = template(make_sealed(make_part(absolute=0.08, printed="0.50")), runs(VALUES))
    short, long = (calibrate(made, draws=draws) for draws in (15, 30))
    assert calibrate(made, draws=15) == short
    both = list(zip(short.scenarios, long.scenarios, strict=True))
    assert all(a.match <= b.match <= a.match + 15 and a.mismatch <= b.mismatch for a, b in both)
    assert calibrate(made, draws=15, seed=1) != short


def test_progress_is_told_after_every_draw() -> None:
    seen = []
    made = template(make_sealed(make_part(absolute=0.05, printed="0.50")), runs(VALUES))
    calibrate(made, draws=7, on_draw=lambda: seen.append(1))
    assert len(seen) == 7 * 3


def test_controls_are_judged_as_recorded() -> None:
    made = template(make_sealed(make_part(absolute=0.5, printed="0.50")), runs(VALUES))
    unfailed = replace(made, controls=[{"bad": {"value": mean_of(0.5)}}])
    found = calibrate(unfailed, draws=20)
    assert all(s.inconclusive == 20 for s in found.scenarios)
    assert "The control 'bad' did not fail as recorded" in found.note
    assert only(calibrate(replace(made, controls=None), draws=20), "true").match == 20


def test_a_scale_that_never_decides_says_so() -> None:
    sealed = make_sealed(make_part(absolute=0.5, printed="0.50"), scale="smoke")
    found = calibrate(template(sealed, runs(VALUES)), draws=10)
    assert all(s.inconclusive == 10 for s in found.scenarios)
    assert "smoke never decides" in found.note


def test_looks_are_judged_one_after_the_other() -> None:
    values = [0.46, 0.54, 0.48, 0.52, 0.47, 0.53, 0.49, 0.51]
    sealed = make_sealed(make_part(absolute=0.15, printed="0.500"), looks=2, replicates=tuple(range(8)))
    made = replace(template(sealed, runs(values), noise="symmetric"), controls=[CONTROL, CONTROL])
    read: list[int] = []
    assert made.estimate is not None
    estimate = made.estimate
    counting = replace(made, estimate=lambda records: read.append(len(records)) or estimate(records))
    assert only(calibrate(counting, draws=20), "true").match == 20
    assert read.count(4) == 20 * 3  # each draw of three scenarios begins with half of the seeds
    assert 0 < read.count(8) < 60  # and goes on only where they do not decide


def test_exact_values_need_one_draw_and_show_what_is_missed() -> None:
    records = [make_record(i, {"a": 4.0, "b": 0.49}) for i in range(2)]
    part = {"a": make_part("exact", "4"), "b": make_part("rounds_to", "0.49")}
    sealed = replace(make_sealed(*part.values()), arguments={})
    bad = {"bad": {name: Estimate(9.0, se=0.0, deterministic=True) for name in part}}
    made = Template(sealed, measured_parts(records), [bad], "an attempt", records, measured_parts, exact.shift_parts)
    found = calibrate(made, draws=500)
    assert found.method == "exact"
    assert {s.draws for s in found.scenarios} == {1}
    assert all(s.mismatch for s in found.scenarios if s.truth == "margin")
    # An estimator that rounds what it reads lets a wrong value pass, and the calibration says which.
    deaf = replace(
        made, estimate=lambda read: {**measured_parts(read), "b": Estimate(0.49, se=0.0, deterministic=True)}
    )
    missed = [s for s in calibrate(deaf, draws=500).scenarios if s.truth == "margin"]
    assert [(s.parts, s.match) for s in missed] == [(("b",), 1), (("b",), 1)]


def test_without_a_simulator_estimates_are_drawn() -> None:
    sealed = make_sealed(make_part(absolute=0.12, printed="0.49", rivals={"kaplan": "0.73"}))
    made = Template(sealed, {"value": mean_of(0.4, 0.03, 5)}, [CONTROL], "an attempt")
    found = calibrate(made, draws=150)
    assert found.method == "estimates"
    critical = stats.t.ppf(0.95, 4)
    far = stats.nct.sf(critical, 4, (0.24 - 0.12 - 0.005) / 0.03)
    assert agrees(only(found, "rival", "kaplan").mismatch, 150, far)


def test_of_several_parts_the_hardest_to_notice_is_shifted() -> None:
    sealed = make_sealed(make_part(absolute=0.1, printed="0.50"), make_part(absolute=0.1, printed="0.80"))
    recorded = {"a": mean_of(0.5, 0.01), "b": mean_of(0.8, 0.03)}
    control = {"bad": {name: Estimate(9.0, se=0.0, deterministic=True) for name in "ab"}}
    found = calibrate(Template(sealed, recorded, [control], "an attempt"), draws=20)
    margins = [s for s in found.scenarios if s.truth == "margin"]
    assert {s.parts for s in margins} == {("b",)}
    assert [s.values["a"] for s in margins] == [0.5, 0.5]
    assert sorted(s.values["b"] for s in margins) == pytest.approx([0.7, 0.9])


def test_a_rival_shifts_every_part_that_it_names() -> None:
    rival = {"epoch": "1.0"}
    sealed = make_sealed(
        make_part(absolute=0.1, rivals=rival), make_part(absolute=0.1, rivals=rival), make_part(absolute=0.1)
    )
    recorded = {name: mean_of(0.49) for name in "abc"}
    control = {"bad": {name: Estimate(9.0, se=0.0, deterministic=True) for name in "abc"}}
    found = only(calibrate(Template(sealed, recorded, [control], "x"), draws=5), "rival", "epoch")
    assert (found.parts, dict(found.values)) == (("a", "b"), {"a": 1.0, "b": 1.0, "c": 0.49})


def test_an_attempt_without_a_value_gives_no_calibration() -> None:
    sealed = make_sealed(make_part(absolute=0.1))
    with pytest.raises(EstimateError, match="no value to start from. Every run diverged"):
        calibrate(Template(sealed, {"value": Estimate(None, note="Every run diverged.")}, [CONTROL], "x"), draws=5)


def test_noise_that_cannot_be_simulated_is_an_error() -> None:
    made = template(make_sealed(make_part(absolute=0.1)), runs([0.5, 0.5, 0.5]))
    with pytest.raises(EstimateError, match="no noise can be simulated"):
        calibrate(made, draws=5)


EXACT = Estimate(1.0, se=0.0, deterministic=True)


@pytest.mark.parametrize(
    ("part", "estimate", "true", "false"),
    [
        (make_part(absolute=0.12), mean_of(0.4), 0.49, {"above": 0.61, "below": 0.37}),
        (make_part(relative=0.1, printed="2.0"), mean_of(2.0), 2.0, {"above": 2.2, "below": 1.8}),
        (make_part(factor=2.0, printed="100"), mean_of(90.0), 100.0, {"above": 200.0, "below": 50.0}),
        (make_part(absolute=0.12), EXACT, 0.49, {"above": 0.62, "below": 0.36}),
        (make_part("exact", "4"), EXACT, 4.0, {"above": 5.0, "below": 3.0}),
        (make_part("exact", "4", absolute=0.5), EXACT, 4.0, {"above": 4.55, "below": 3.45}),
        (make_part("rounds_to", "0.49"), EXACT, 0.49, {"above": 0.50, "below": 0.48}),
        (make_part("at_least", "0.50"), mean_of(0.6, 0.01, 4, spread=0.02), 0.52, {"below": 0.50}),
        (make_part("at_least", "0.50"), EXACT, 0.51, {"below": 0.49}),
        (make_part("at_most", "0.50", absolute=0.1), mean_of(0.4), 0.50, {"above": 0.60}),
        (make_part("at_most", "1e26", approximate=True), EXACT, 1e26, {"above": 1.01e26}),
        (make_part("ordering", "0"), mean_of(0.4, spread=0.2), 0.2, {"below": 0.0}),
        (make_part("reference_convergence", "1", factor=1.25), mean_of(1.1), 1.0, {"below": 0.8}),
        (make_part("ordering", "0.3", absolute=0.1), mean_of(0.4), 0.3, {"below": -0.1}),
        (make_part("trend", "0", approximate=True), mean_of(0.4), 1.0, {"below": 0.0}),
        (make_part(absolute=0.01, printed="2.3443873053175697"), EXACT, 2.3443873053175697, {"above": 2.3553873, "below": 2.3333873}),
    ],
)  # fmt: skip
def test_what_is_true_and_what_is_false(part: Any, estimate: Estimate, true: float, false: dict[str, float]) -> None:
    assert true_value(part, estimate) == pytest.approx(true)
    assert false_values(part, estimate) == pytest.approx(false)


@pytest.mark.parametrize(("count", "draws"), [(0, 10), (3, 10), (10, 10), (97, 100), (1, 1)])
def test_rate_intervals_are_exact_binomial(count: int, draws: int) -> None:
    assert rate_interval(count, draws) == pytest.approx(proportion_confint(count, draws, method="beta"), abs=1e-12)


@pytest.mark.parametrize(("count", "draws"), [(-1, 10), (11, 10), (0, 0)])
def test_rates_that_are_none_are_refused(count: int, draws: int) -> None:
    with pytest.raises(ValueError, match="a rate needs"):
        rate_interval(count, draws)


def test_a_trend_without_records_is_refused() -> None:
    sealed = make_sealed(make_part("trend", "1"))
    with pytest.raises(EstimateError, match="kind trend decides by figures that records alone give"):
        calibrate(Template(sealed, {"value": mean_of(0.8, extras={"trend_p": 0.01})}, [CONTROL], "x"), draws=5)


def trend_records(values: list[list[float]]) -> list[TrialRecord]:
    rows = [{"x": float(x), "y": y} for x, own in enumerate(values) for y in own]
    return [replace(make_record(i, {}), rows=tuple(rows)) for i in range(2)]


def trend_template(values: list[list[float]], runs: str = "rows") -> Template:
    records, keywords = trend_records(values), {"x": "x", "y": "y", "runs": runs}

    def estimate(read: Any) -> dict[str, Estimate]:
        return {"value": monotone_trend(read, **keywords)}

    sealed = make_sealed(make_part("trend", "0", approximate=True))
    control = {"bad": {"value": replace(estimate(records)["value"], extras={"trend_p": 1.0, "trend_reverse_p": 0.0})}}
    return Template(sealed, estimate(records), [control], "x", records, estimate, partial(trend.levels, **keywords))


def test_a_trend_is_true_in_the_claimed_order_and_false_without_one() -> None:
    found = calibrate(trend_template([[9.0, 9.1, 8.9], [8.0, 8.1, 7.9], [7.0, 7.1, 6.9]]), draws=100)
    assert only(found, "true").match == 100
    assert only(found, "rival", "reversed_order").mismatch == 100
    flat = only(found, "margin", "below")
    # Jonckheere's test is exact and its level at most α, on either side.
    assert max(flat.match, flat.mismatch) / 100 < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 100)
    assert found.method == "records"


def test_a_trend_of_few_runs_that_can_never_match_is_called_weak() -> None:
    # Three values in perfect order have p = 1/3! = 0.17.
    found = calibrate(trend_template([[9.0], [8.0], [7.0]]), draws=5)
    assert all(s.inconclusive == 5 for s in found.scenarios)
    assert found.note.startswith("This protocol is weak: were the claim true, it would match 0 times in 5 only.")


def test_a_table_without_noise_is_decided_once() -> None:
    records, keywords = trend_records([[9.0], [8.0], [6.0]]), {"x": "x", "y": "y"}

    def estimate(read: Any) -> dict[str, Estimate]:
        return {"value": exact_trend(read, **keywords)}

    control = {"bad": {"value": replace(estimate(records)["value"], value=-1.0)}}
    sealed = make_sealed(make_part("trend", "0", approximate=True))
    made = Template(sealed, estimate(records), [control], "x", records, estimate, partial(trend.table, **keywords))
    found = calibrate(made, draws=50)
    assert found.method == "exact"
    assert [(s.truth, s.match, s.mismatch) for s in found.scenarios] == [
        ("true", 1, 0), ("margin", 0, 1), ("rival", 0, 1),
    ]  # fmt: skip
    assert "nothing about other data" in found.note


def test_a_submission_of_the_reference_itself_passes_at_the_level_of_the_test() -> None:
    draw = np.random.default_rng(0)
    rows = [
        {"batch_size": 256.0, "is_reference": float(ref), "epochs": float(draw.normal(10.0, 0.3))}
        for ref in (1, 0)
        for _ in range(40)
    ]
    records = [replace(make_record(i, {}), rows=tuple(rows)) for i in range(2)]
    keywords: dict[str, Any] = {"batch_size": 256.0, "runs": 20}

    def estimate(read: Any) -> dict[str, Estimate]:
        return {"value": reference_convergence(read, **keywords)}

    extras = {"rcp_p": 0.0, "rcp_max_speedup": 1.01}
    control = {"bad": {"value": replace(estimate(records)["value"], extras=extras)}}
    sealed = make_sealed(make_part("reference_convergence", "1", factor=1.1))
    made = Template(
        sealed, estimate(records), [control], "x", records, estimate, partial(reference.submissions, **keywords)
    )
    found = calibrate(made, draws=100)
    # The deviation of the kept runs is too small, so the test of level 5 % fails somewhat more than 5 of 100.
    assert 80 <= only(found, "true").match <= 98
    assert only(found, "margin", "below").mismatch == 100
    assert only(found, "rival", "a_quarter_faster").mismatch == 100
    assert only(found, "margin", "below").values["value"] == pytest.approx(1 / 1.1)


def test_a_natural_rival_inside_the_margin_is_none() -> None:
    sealed = make_sealed(make_part("reference_convergence", "1", factor=1.5))
    assert [t.truth for t in truths(sealed, {"value": mean_of(1.0)})] == ["true", "margin"]


def test_the_reference_that_allows_most_within_the_margin_is_shifted() -> None:
    part = make_part("reference_convergence", "1", factor=1.1)
    allowed = {"a": 1.01, "b": 1.08, "c": 1.2}
    recorded = {name: mean_of(1.0, extras={"rcp_max_speedup": most}) for name, most in allowed.items()}
    false = [t.parts for t in truths(make_sealed(part, part, part), recorded) if t.truth == "margin"]
    assert false == [("b",)]


def test_exact_values_that_no_records_hold_are_shifted_themselves() -> None:
    def refuses(*_: Any, **__: Any) -> Any:
        raise EstimateError("part 'low' reports low, which is no rate of growth")

    sealed = make_sealed(make_part("exact", "4"))
    bad = {"bad": {"value": Estimate(9.0, se=0.0, deterministic=True)}}
    made = Template(sealed, {"value": Estimate(4.0, se=0.0, deterministic=True)}, [bad], "x", [], None, refuses)
    found = calibrate(made, draws=50)
    assert next((s.truth, s.match, s.mismatch) for s in found.scenarios) == ("true", 1, 0)
    assert "No records were simulated: part 'low' reports low" in found.note


def test_noise_of_the_estimator_s_own_draws_is_called_so() -> None:
    recorded = replace(mean_of(0.49, 0.01, 20), unit="repetition of the draws")
    sealed = make_sealed(make_part(absolute=0.12))
    found = calibrate(Template(sealed, {"value": recorded}, [CONTROL], "x"), draws=20)
    assert "the rates say nothing about other runs" in found.note
