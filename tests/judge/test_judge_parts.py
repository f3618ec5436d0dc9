"""One part against its rule, on literals worked out by hand and against independent formulas."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from sealed_claims import decide, exact, make_part, mean
from statsmodels.stats.power import TTestPower

from repro.schema.jsonform import from_json, to_json
from repro.schema.verdict import PartVerdict
from repro.stats.equivalence import critical_value

T4 = 2.131847  # t(0.95, 4)


@pytest.mark.parametrize(
    ("value", "se", "outcome", "reason"),
    # printed 0.49: h = 0.005; Δ = 0.12; t(0.95, 4) = 2.1318
    [
        (0.52, 0.03, "match", None),  # 0.03 + 0.06396 + 0.005 = 0.09896 < 0.12
        (0.46, 0.03, "match", None),
        (0.52, 0.0400, "inconclusive", "underpowered"),  # 0.12027
        (0.52, 0.0398, "match", None),  # 0.11985
        (0.70, 0.03, "mismatch", None),  # 0.21 - 0.06396 - 0.005 = 0.14104 > 0.12
        (0.28, 0.03, "mismatch", None),
        (0.70, 0.0400, "inconclusive", "underpowered"),  # 0.11973
        (0.70, 0.0398, "mismatch", None),  # 0.12015
        (0.61, 0.03, "inconclusive", "underpowered"),
    ],
)
def test_equivalence(value, se, outcome, reason):
    part = decide(make_part(absolute=0.12), mean(value, se))
    assert (part.outcome, part.reason) == (outcome, reason)
    assert part.deviation == pytest.approx(value - 0.49)
    assert (part.half_width, part.margin, part.dof, part.alpha) == (0.005, 0.12, 4, 0.05)
    assert (part.low, part.high) == pytest.approx((value - T4 * se, value + T4 * se), rel=1e-5)


@pytest.mark.parametrize(
    ("value", "se", "outcome"),
    # factor 2 about 20 (h = 0.5): h' = -ln(1 - 0.5/20) = 0.025318; Δ = ln 2 = 0.693147; se/x with t(0.95, 4)
    [
        (25.0, 2.0, "match"),  # 0.223144 + 0.170548 + 0.025318
        (35.0, 1.0, "match"),  # 0.559616 + 0.060910 + 0.025318 = 0.645844
        (36.0, 1.5, "inconclusive"),
        (60.0, 4.0, "mismatch"),  # 1.098612 - 0.142123 - 0.025318
        (7.0, 0.5, "mismatch"),
        (-3.0, 0.5, "mismatch"),  # not positive: linearly, beyond 20 - 10 = 10
        (-3.0, 30.0, "inconclusive"),
    ],
)
def test_equivalence_within_a_factor_is_decided_in_logs(value, se, outcome):
    part = decide(make_part(printed="20", factor=2.0), mean(value, se))
    assert part.outcome == outcome
    if value > 0:
        assert part.scale == "log"
        assert part.half_width == pytest.approx(0.025318, abs=1e-6)
        assert part.margin == pytest.approx(math.log(2))
        assert part.deviation == pytest.approx(math.log(value / 20))
        assert part.high == pytest.approx(value * math.exp(T4 * se / value), rel=1e-5)
    else:
        assert (part.scale, part.margin) == ("linear", 10.0)


def test_a_known_error_of_the_logarithm_is_used():
    part = decide(make_part(printed="2085", factor=1.5), mean(2000.0, 1300.0, log_se=0.1))
    assert part.se == pytest.approx(0.1)
    assert part.outcome == "match"


def test_a_relative_margin_scales_with_the_target():
    part = decide(make_part(printed="-2.00", relative=0.05), mean(-2.03, 0.005))
    assert (part.margin, part.outcome) == (0.1, "match")


@pytest.mark.parametrize(
    ("kind", "value", "margin", "outcome"),
    # printed 90, h = 0.5, se 0.3: reach 0.5 + 0.63955 = 1.13955
    [
        ("at_least", 91.2, {}, "match"),
        ("at_least", 91.1, {}, "inconclusive"),
        ("at_least", 88.8, {}, "mismatch"),
        ("at_least", 88.9, {}, "inconclusive"),
        ("at_least", 89.2, {"absolute": 2.0}, "match"),
        ("at_least", 86.8, {"absolute": 2.0}, "mismatch"),
        ("at_most", 88.8, {}, "match"),
        ("at_most", 91.2, {}, "mismatch"),
        ("at_most", 90.2, {}, "inconclusive"),
        ("at_most", 85.0, {"factor": 1.1}, "match"),
        ("at_most", 105.0, {"factor": 1.1}, "mismatch"),
        ("at_least", -5.0, {"factor": 1.1}, "mismatch"),
        ("at_most", -5.0, {"factor": 1.1}, "match"),
    ],
)
def test_one_sided(kind, value, margin, outcome):
    assert decide(make_part(kind, "90", **margin), mean(value, 0.3)).outcome == outcome


def test_at_least_is_met_by_equality_where_everything_is_known():
    assert decide(make_part("at_least", "90", approximate=True), exact(90.0)).outcome == "match"
    assert decide(make_part("at_most", "0", approximate=True), exact(0.0)).outcome == "match"
    assert decide(make_part("at_least", "90"), exact(90.0)).reason == "rounding"


@pytest.mark.parametrize(
    ("value", "printed", "margin", "outcome"),
    [
        (67557.0, "67557", {}, "match"),
        (67558.0, "67557", {}, "mismatch"),
        (67557.4, "67557", {}, "mismatch"),  # rounding does not enter
        (0.3, "0.3", {}, "match"),
        (0.1 + 0.2, "0.3", {}, "mismatch"),  # bit for bit
        (1e-11, "0", {"absolute": 1e-10}, "match"),
        (1e-9, "0", {"absolute": 1e-10}, "mismatch"),
        (0.5, "0.49", {"absolute": 0.01}, "match"),  # 0.010000000000000009 by float arithmetic
        (101.0, "100", {"relative": 0.01}, "match"),
        (101.1, "100", {"relative": 0.01}, "mismatch"),
    ],
)
def test_exact(value, printed, margin, outcome):
    part = decide(make_part("exact", printed, **margin), exact(value))
    assert (part.outcome, part.low) == (outcome, None)


@pytest.mark.parametrize(
    ("value", "printed", "margin", "outcome"),
    [
        (1.0349, "1.03", {}, "match"),
        (1.035, "1.03", {}, "match"),  # on the edge of rounding, both ways
        (1.025, "1.03", {}, "match"),
        (1.0351, "1.03", {}, "mismatch"),
        (0.495, "0.49", {}, "match"),  # 0.0050000000000000044 by float arithmetic
        (2.2501e20, "2.25e20", {}, "match"),
        (2.256e20, "2.25e20", {}, "mismatch"),
        (1.04, "1.03", {"absolute": 0.005}, "match"),
        (1.0401, "1.03", {"absolute": 0.005}, "mismatch"),
        (5.8e23, "5.76e23", {"relative": 0.01}, "match"),
    ],
)
def test_rounds_to(value, printed, margin, outcome):
    assert decide(make_part("rounds_to", printed, **margin), exact(value)).outcome == outcome


@pytest.mark.parametrize(
    ("value", "se", "margin", "outcome"),
    [
        (0.3, 0.1, {}, "match"),  # 0.3 - 0.2132 > 0
        (0.2, 0.1, {}, "inconclusive"),
        (-0.3, 0.1, {}, "mismatch"),
        (0.2, 0.1, {"absolute": 0.05}, "match"),
        (-0.2, 0.1, {"absolute": 0.05}, "inconclusive"),
    ],
)
def test_ordering_decides_the_sign_of_the_difference_whatever_is_printed(value, se, margin, outcome):
    units = (0.1, 0.2, 0.3, 0.4, 0.5)
    part = decide(make_part("ordering", "4.2", **margin), mean(value, se, units=units))
    assert part.outcome == outcome
    assert (part.deviation, part.half_width, part.target) == (value, 0.0, 4.2)
    assert part.extras["sign_flip_p"] == 1 / 32


@pytest.mark.parametrize(("value", "outcome"), [(1e-9, "match"), (0.0, "mismatch"), (-1.0, "mismatch")])
def test_a_deterministic_ordering_is_known(value, outcome):
    assert decide(make_part("ordering", "0"), exact(value)).outcome == outcome


@pytest.mark.parametrize(
    ("ranks", "outcome", "reason"),
    [
        ((1.0, 2.0, 3.0, 4.0, 5.0), "match", None),  # 1/32
        ((-1.0, 2.0, 3.0, 4.0, 5.0), "inconclusive", "underpowered"),  # 2/32
        ((-1.0, -2.0, -3.0, -4.0, -5.0), "mismatch", None),
        ((1.0, 2.0, 3.0, 4.0), "inconclusive", "too_few"),
    ],
)
def test_pairs_with_a_diverged_trial_are_decided_by_signed_ranks(ranks, outcome, reason):
    estimate = mean(None, None, n=len(ranks), units=ranks, flags=("ranked",))
    part = decide(make_part("ordering", "0"), estimate)
    assert (part.outcome, part.reason) == (outcome, reason)
    assert part.extras["sign_flip_p"] is not None


def test_ranks_cannot_show_a_difference_beyond_a_margin():
    down = mean(None, None, units=(-1.0, -2.0, -3.0, -4.0, -5.0), flags=("ranked",))
    assert decide(make_part("ordering", "0", absolute=0.1), down).outcome == "inconclusive"
    many = mean(None, None, n=60, units=tuple(0.1 * 1.01**i for i in range(60)), flags=("ranked",))
    assert "too many pairs" in decide(make_part("ordering", "0"), many).detail


def test_equal_differences_are_decided_by_their_signs():
    flat = mean(0.2, None, units=(0.2,) * 5, flags=("no_spread",))
    assert decide(make_part("ordering", "0"), flat).outcome == "match"
    below = mean(-0.2, None, units=(-0.2,) * 5, flags=("no_spread",))
    assert decide(make_part("ordering", "0", absolute=0.1), below).outcome == "mismatch"
    assert decide(make_part("ordering", "0", absolute=0.3), below).outcome == "match"


@pytest.mark.parametrize(
    ("kind", "estimate", "reason", "words"),
    [
        ("equivalence", mean(None), "no_estimate", "found no value"),
        ("equivalence", mean(None, note="No minimum inside the grid."), "no_estimate", "No minimum inside"),
        ("equivalence", mean(None, flags=("diverged",)), "diverged", ""),
        ("equivalence", mean(0.49, flags=("diverged",)), "diverged", "diverged"),
        ("at_least", mean(5.0, flags=("diverged",)), "diverged", "diverged"),
        ("exact", mean(0.49, flags=("diverged",)), "diverged", "diverged"),
        ("equivalence", mean(0.49, flags=("heavy_tailed",)), "heavy_tailed", "logs"),
        ("equivalence", mean(0.49, flags=("heavy_tailed", "multimodal")), "multimodal", "two groups"),
        ("exact", exact(0.49, flags=("not_deterministic",)), "not_deterministic", "Two seeds"),
        ("equivalence", mean(0.49, n=2), "too_few", "at least 3"),
        ("exact", mean(0.49, n=2), "too_few", "at least 3"),
        ("ordering", mean(5.0, n=4), "too_few", "at least 5"),
        ("equivalence", mean(0.49, None, flags=("no_spread",)), "too_few", "same value"),
        ("equivalence", mean(0.49, None), "no_estimate", "no standard error"),
        ("equivalence", mean(0.49, 0.01, dof=None), "no_estimate", "degrees of freedom"),
        ("equivalence", mean(9.9, flags=("heavy_tailed",)), "heavy_tailed", ""),
    ],
)
def test_what_forbids_a_decision(kind, estimate, reason, words):
    margin = {"absolute": 0.12} if kind == "equivalence" else {}
    part = decide(make_part(kind, **margin), estimate)
    assert (part.outcome, part.reason) == ("inconclusive", reason)
    assert words in part.detail


def test_few_deterministic_units_are_enough():
    assert decide(make_part(absolute=0.12), exact(0.5)).outcome == "match"


@pytest.mark.parametrize(
    ("printed", "margin", "value", "se", "outcome", "reason"),
    [
        ("0.5", 0.05, 0.5, 0.001, "inconclusive", "rounding"),  # h = Δ: nothing can match
        ("0.5", 0.05, 0.7, 0.001, "mismatch", None),  # but something can miss
        ("0.49", 0.12, 0.612, 0.001, "inconclusive", "rounding"),  # wholly within 0.605 to 0.615
        ("0.49", 0.12, 0.612, 0.05, "inconclusive", "underpowered"),
    ],
)
def test_rounding(printed, margin, value, se, outcome, reason):
    part = decide(make_part(printed=printed, absolute=margin), mean(value, se))
    assert (part.outcome, part.reason) == (outcome, reason)


def test_exactly_on_the_edge_nothing_is_decided():
    part = decide(make_part(printed="0.49", approximate=True, absolute=0.05), exact(0.54))
    assert (part.outcome, part.reason) == ("inconclusive", "rounding")


def test_underpowered_names_the_number_of_units_that_would_decide():
    part = decide(make_part(printed="0.490", absolute=0.12), mean(0.50, 0.06))
    sd, needed = 0.06 * math.sqrt(5), part.n_needed
    x = np.random.default_rng(2).normal(0.01, sd, (100_000, needed))
    reach = critical_value(0.05, needed - 1) * x.std(axis=1, ddof=1) / math.sqrt(needed) + 0.0005
    assert (np.abs(x.mean(axis=1)) + reach < 0.12).mean() == pytest.approx(0.8, abs=0.03)
    assert f"{needed} would decide" in part.detail


def test_of_what_is_no_seed_the_precision_is_named_that_would_decide():
    estimate = replace(mean(0.50, 0.06), unit="budget")
    part = decide(make_part(printed="0.490", absolute=0.12), estimate)
    as_seeds = decide(make_part(printed="0.490", absolute=0.12), replace(estimate, unit="seed"))
    assert part.n_needed is None
    wanted = 0.06 * math.sqrt(5 / as_seeds.n_needed)
    assert f"A standard error of about {wanted:.2g}, not 0.06, would decide" in part.detail
    assert "units" not in part.detail


@pytest.mark.parametrize(
    ("kind", "value", "distance"),
    # beyond the edge by this much, less the rounding of 0.490
    [("equivalence", 0.70, 0.0895), ("at_least", 0.60, 0.1095), ("at_least", 0.38, 0.1095), ("at_most", 0.38, 0.1095)],
)
def test_every_direction_has_the_number_of_units_that_statsmodels_finds(kind, value, distance):
    margin = {"absolute": 0.12} if kind == "equivalence" else {}
    part = decide(make_part(kind, "0.490", **margin), mean(value, 0.06))
    assert (part.outcome, part.reason) == ("inconclusive", "underpowered")
    effect = distance / (0.06 * math.sqrt(5))
    assert part.n_needed == math.ceil(TTestPower().solve_power(effect, alpha=0.05, power=0.8, alternative="larger"))


def test_no_number_of_units_helps_near_the_edge_or_against_the_targets_own_variance():
    near = decide(make_part(absolute=0.12), mean(0.609, 0.05))
    assert near.n_needed is None
    assert "no number of units" in near.detail
    fuzzy = decide(make_part(absolute=0.12, sd="0.5"), mean(0.49, 0.05))
    assert fuzzy.n_needed is None
    assert "100,000" in fuzzy.detail


def test_no_number_of_units_is_named_where_the_error_is_systematic():
    part = decide(make_part(absolute=0.12), mean(0.50, 0.06, flags=("systematic_error",)))
    assert (part.reason, part.n_needed) == ("underpowered", None)
    assert "systematic" in part.detail


def test_published_spread_gives_the_target_a_variance():
    part = decide(make_part(absolute=0.12, sd="0.06", n=4), mean(0.50, 0.04))
    assert part.se == pytest.approx(math.hypot(0.04, 0.03))
    assert part.dof == 3  # the smaller of 4 and 3
    assert part.flags == ()
    single = decide(make_part(absolute=0.12, sd="0.06"), mean(0.50, 0.04))
    assert (single.se, single.dof) == (pytest.approx(math.hypot(0.04, 0.06)), 4)


def test_only_a_sampling_interval_gives_the_target_a_variance():
    interval = {"low": "0.534", "high": "0.462", "level": 0.8}  # printed the wrong way round, as papers do

    def with_interval(of, **margin):
        from repro.schema.claim import Interval

        return decide(make_part(interval=Interval(**interval, of=of), **margin), mean(0.50, 0.02))

    sampling = with_interval("sampling", absolute=0.12)
    sd = 0.036 / stats.norm.ppf(0.9)
    assert sampling.se == pytest.approx(math.hypot(0.02, sd))
    assert sampling.flags == ()
    logs = with_interval("sampling", factor=1.3)
    assert logs.se == pytest.approx(math.hypot(0.04, math.log(0.534 / 0.462) / 2 / stats.norm.ppf(0.9)))
    for of in ("subsample", "unknown"):
        assert with_interval(of, absolute=0.12).se == 0.02
        assert with_interval(of, absolute=0.12).flags == ("target_spread_unknown",)


def test_our_spread_is_borrowed_only_at_paper_scale_with_the_same_recipe():
    estimate = mean(0.50, 0.1 / math.sqrt(5), spread=0.1)
    part = make_part(absolute=0.5)
    borrowed = decide(part, estimate, scale="paper", same_recipe=True)
    assert borrowed.se == pytest.approx(0.1 * math.sqrt(1 + 1 / 5))
    assert borrowed.dof == 4
    assert borrowed.flags == ("borrowed_spread",)
    logs = decide(make_part(factor=2.0), estimate, scale="paper", same_recipe=True)
    assert logs.se == pytest.approx(0.2 * math.sqrt(1 + 1 / 5))
    for changed in ({"scale": "gpu", "same_recipe": True}, {"scale": "paper"}):
        assert decide(part, estimate, **changed).flags == ("target_spread_unknown",)
    assert decide(part, mean(0.5), scale="paper", same_recipe=True).flags == ("target_spread_unknown",)


def test_quantities_without_chance_need_no_spread():
    assert decide(make_part(absolute=0.12), exact(0.5)).flags == ()
    assert decide(make_part(absolute=0.12), mean(0.5), kind="recomputation").flags == ()


def test_a_deterministic_estimate_against_an_uncertain_target():
    part = decide(make_part(absolute=0.12, sd="0.04", n=4), exact(0.5))
    assert (part.se, part.dof) == (0.02, 3)
    assert part.high - part.low == pytest.approx(2 * 0.02 * stats.t.ppf(0.95, 3))


def test_the_interval_of_possibly_skewed_noise_is_wider():
    plain = decide(make_part(absolute=0.12), mean(0.50, 0.03))
    guarded = decide(make_part(absolute=0.12), mean(0.50, 0.03, flags=("skew_guard",)))
    assert (plain.outcome, guarded.outcome) == ("match", "inconclusive")
    widening = (guarded.high - guarded.low) / (plain.high - plain.low)
    assert widening == pytest.approx(1 + (1.4 + 0.72 * math.log(20)) / 5 ** (2 / 3))
    assert "skew_guard" in guarded.flags


def test_rivals_and_the_prediction_interval_stand_beside_the_verdict():
    estimate = mean(0.50, 0.1 / math.sqrt(5), spread=0.1)
    part = decide(make_part(absolute=0.5, rivals={"kaplan": "0.73", "near": "0.55"}), estimate)
    assert part.extras["rival_distance.kaplan"] == pytest.approx(-0.23)
    assert (part.extras["rival_excluded.kaplan"], part.extras["rival_excluded.near"]) == (1.0, 0.0)
    half = stats.t.ppf(0.975, 4) * 0.1 * math.sqrt(1 + 1 / 5)
    assert part.extras["prediction_low"] == pytest.approx(0.5 - half)
    assert part.extras["prediction_covers"] == 1.0
    of_four = decide(make_part(absolute=0.5, n=4), estimate)
    assert of_four.extras["prediction_high"] == pytest.approx(
        0.5 + stats.t.ppf(0.975, 4) * 0.1 * math.sqrt(1 / 4 + 1 / 5)
    )
    logs = decide(make_part(factor=4.0), estimate)
    assert logs.extras["prediction_low"] == pytest.approx(0.5 * math.exp(-half / 0.5))


def test_the_prediction_interval_is_that_of_a_further_run():
    """Against the two-sample t test of our runs and a single one at the end of the interval: p = 0.05."""
    runs = np.array([0.45, 0.5, 0.62, 0.55])
    part = decide(make_part(absolute=0.5), mean(runs.mean(), runs.std(ddof=1) / 2, n=4, spread=runs.std(ddof=1)))
    assert stats.ttest_ind(runs, [part.extras["prediction_high"]]).pvalue == pytest.approx(0.05)


@given(
    st.lists(st.floats(-1, 1), min_size=3, max_size=10).filter(lambda x: np.std(x) > 1e-3),
    st.floats(0.2, 3),
)
def test_equivalence_agrees_with_scipys_two_one_sided_tests(x, margin):
    x, n, h = np.array(x), len(x), 0.05
    part = decide(make_part(printed="0.3", absolute=margin), mean(x.mean(), x.std(ddof=1) / math.sqrt(n), n=n))
    p_match = max(
        stats.ttest_1samp(x, 0.3 - margin + h, alternative="greater").pvalue,
        stats.ttest_1samp(x, 0.3 + margin - h, alternative="less").pvalue,
    )
    p_mismatch = min(
        stats.ttest_1samp(x, 0.3 - margin - h, alternative="less").pvalue,
        stats.ttest_1samp(x, 0.3 + margin + h, alternative="greater").pvalue,
    )
    assume(min(abs(p_match - 0.05), abs(p_mismatch - 0.05)) > 1e-9)
    assert part.outcome == ("match" if p_match < 0.05 else "mismatch" if p_mismatch < 0.05 else "inconclusive")


def test_the_sentence_says_where_the_value_lies():
    part = decide(make_part(absolute=0.12), mean(0.52, 0.03))
    assert part.detail == "0.52 (90 % interval 0.456 to 0.584) lies within 0.12 of the published 0.49."


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        (make_part("exact", "5"), 5.0, "5 lies exactly at the published 5."),
        (make_part("exact", "5", absolute=0.1), 6.0, "6 does not lie within 0.1 of the published 5."),
        (make_part("rounds_to", "1.03"), 1.0, "1 does not lie where it rounds to the published 1.03."),
        (
            make_part("rounds_to", "1.03", absolute=0.1),
            1.0,
            "1 lies where it rounds to the published 1.03, give or take 0.1.",
        ),
        (make_part("at_most", "5", relative=0.1), 1.0, "1 lies at or below the published 5, give or take 10 %."),
        (make_part("at_least", "5"), 1.0, "1 does not lie at or above the published 5."),
        (make_part("ordering", "5"), 1.0, "1 lies above 0, the order that the paper states."),
        (make_part("equivalence", "5", factor=2.0), 5.0, "5 lies within a factor 2 of the published 5."),
    ],
)
def test_every_rule_has_its_sentence(part, value, words):
    assert decide(part, exact(value)).detail == words


def test_an_end_beyond_every_number_is_left_open():
    part = decide(make_part(factor=2.0), mean(0.001, 1.0, spread=5.0))
    assert (part.outcome, part.low, part.high) == ("inconclusive", 0.0, None)
    assert part.extras["prediction_high"] is None
    assert to_json(part)


def test_a_part_survives_json():
    part = decide(make_part(factor=2.0, rivals={"kaplan": "0.73"}), mean(0.5, 0.02, spread=0.05))
    assert from_json(PartVerdict, to_json(part)) == part
