"""Parts, controls and scales put together."""

from dataclasses import replace

import pytest
from sealed_claims import exact, judge_with, make_part, make_sealed, mean

from repro.judge.rule import judge
from repro.schema.jsonform import from_json, to_json
from repro.schema.verdict import Verdict

NEAR, FAR, VAGUE = mean(0.50, 0.01), mean(0.90, 0.01), mean(0.50, 0.20)
ONE = make_part(absolute=0.12)


def test_a_match_whose_control_failed_stands():
    verdict = judge_with(make_sealed(ONE), NEAR, bad=FAR)
    assert (verdict.outcome, verdict.reason) == ("match", None)
    assert verdict.controls["bad"].failed is True
    assert verdict.flags == ("target_spread_unknown",)


def test_a_mismatch_whose_control_failed_stands():
    assert judge_with(make_sealed(ONE), FAR, bad=FAR).outcome == "mismatch"


@pytest.mark.parametrize(
    ("main", "control", "reason"),
    [
        (NEAR, NEAR, "control_did_not_fail"),
        (FAR, NEAR, "control_did_not_fail"),
        (VAGUE, NEAR, "control_did_not_fail"),
        (NEAR, VAGUE, "control_inconclusive"),
        (FAR, VAGUE, "control_inconclusive"),
        (NEAR, mean(None, flags=("diverged",)), "control_inconclusive"),
        (VAGUE, FAR, "underpowered"),
        (VAGUE, VAGUE, "underpowered"),
        (mean(None), FAR, "no_estimate"),
    ],
)
def test_what_stands_in_the_way(main, control, reason):
    verdict = judge_with(make_sealed(ONE), main, bad=control)
    assert (verdict.outcome, verdict.reason) == ("inconclusive", reason)
    assert verdict.parts["value"].estimate == main


@pytest.mark.parametrize("scale", ["smoke", "cpu", "full"])
@pytest.mark.parametrize("control", [FAR, NEAR, VAGUE])
def test_at_a_scale_that_is_not_decisive_nothing_is_decided_but_everything_shown(scale, control):
    verdict = judge_with(make_sealed(ONE, scale=scale), NEAR, bad=control)
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "not_decisive_scale")
    assert verdict.parts["value"].outcome == "match"
    assert verdict.controls["bad"].parts["value"].estimate == control


def test_a_protocol_without_control_decides_nothing():
    verdict = judge_with(make_sealed(ONE, controls={}), NEAR)
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "control_inconclusive")
    assert "no control" in verdict.detail
    assert "no_control" in verdict.flags


def test_an_absent_arm_or_part_has_no_estimate():
    verdict = judge(make_sealed(ONE), {})
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "no_estimate")
    assert verdict.controls["bad"].failed is None
    assert "no part 'value'" in verdict.detail


def three(a, b, c, **changed):
    sealed = make_sealed(ONE, ONE, ONE, **changed)
    return judge(sealed, {"main": {"a": a, "b": b, "c": c}, "bad": {"a": FAR, "b": FAR, "c": FAR}})


def test_parts_match_together_and_mismatch_alone():
    assert three(NEAR, NEAR, NEAR).outcome == "match"
    assert three(NEAR, FAR, VAGUE).outcome == "mismatch"
    assert three(NEAR, NEAR, VAGUE).reason == "underpowered"
    assert three(NEAR, NEAR, NEAR).detail == "All 3 parts match."
    assert three(NEAR, FAR, VAGUE).detail.startswith("1 of 3 parts mismatch; b: 0.9")
    assert three(VAGUE, NEAR, VAGUE).detail.startswith("2 of 3 parts are inconclusive; a: ")


def test_the_order_in_which_a_seal_was_read_changes_no_word():
    """A seal is sealed in the order of the claim's file, and read back in that of canonical JSON."""
    sealed = make_sealed(ONE, ONE, ONE)
    turned = replace(sealed, parts=dict(reversed(sealed.parts.items())))
    estimates = {"main": {"a": FAR, "b": VAGUE, "c": FAR}, "bad": {"a": FAR, "b": NEAR, "c": FAR}}
    one, other = judge(sealed, estimates), judge(turned, estimates)
    assert one == other
    assert one.detail.startswith("2 of 3 parts mismatch; a: ")
    assert list(other.parts) == ["c", "b", "a"]


def test_a_part_mismatches_at_alpha_over_k_and_matches_at_alpha():
    """D = 0.2, Δ = 0.12, h = 0.005, se 0.03, ν 4: t(0.95) 2.13 leaves 0.131, t(1 − 0.05/3) 3.19 leaves 0.099."""
    edge = mean(0.69, 0.03)
    assert judge_with(make_sealed(ONE), edge, bad=FAR).outcome == "mismatch"
    verdict = three(edge, NEAR, NEAR)
    assert (verdict.outcome, verdict.parts["a"].alpha) == ("inconclusive", 0.05)
    clear = three(mean(0.75, 0.03), NEAR, NEAR).parts["a"]
    assert clear.outcome == "mismatch"
    assert clear.alpha == pytest.approx(0.05 / 3)
    assert clear.high - clear.low == pytest.approx(2 * 3.1866 * 0.03, rel=1e-3)


def test_the_gravest_reason_of_several_parts_is_given():
    assert three(VAGUE, mean(None, flags=("diverged",)), mean(0.5, n=2)).reason == "diverged"


def test_looks_share_the_level():
    verdict = judge_with(make_sealed(ONE, looks=5), mean(0.52, 0.03), bad=FAR)
    assert verdict.parts["value"].alpha == pytest.approx(0.01)
    assert verdict.outcome == "inconclusive"


DIFFERS = {"bad": "differs"}


@pytest.mark.parametrize(
    ("main", "control", "failed"),
    [
        (NEAR, FAR, True),
        (NEAR, mean(0.62, 0.01), True),  # on the edge of the margin, but clearly elsewhere
        (NEAR, mean(0.55, 0.01), False),  # elsewhere, but a match
        (NEAR, mean(0.55, 0.20), None),
        (FAR, FAR, None),  # a mismatch, but no difference
        (exact(0.5), exact(0.9), True),
        (exact(0.9), exact(0.9), False),  # the variant changes nothing
        (exact(0.9), exact(0.9 + 1e-15), True),
        (NEAR, mean(None, flags=("diverged",)), None),
        (NEAR, mean(0.9, flags=("diverged",)), None),
        (NEAR, mean(0.9, None), None),
    ],
)
def test_a_control_that_must_differ(main, control, failed):
    verdict = judge_with(make_sealed(ONE, controls=DIFFERS), main, bad=control)
    assert verdict.controls["bad"].failed is failed


def test_the_difference_is_welchs_t_two_sided():
    """SE = √2·0.01, ν = 8: t(0.975, 8) = 2.306 times 0.01414 is 0.03261."""
    for gap, failed in ((0.0325, None), (0.0327, True)):
        verdict = judge_with(make_sealed(ONE, controls=DIFFERS), mean(0.62, 0.01), bad=mean(0.62 + gap, 0.01))
        assert verdict.controls["bad"].failed is failed


def test_differences_are_taken_in_logs_where_the_margin_is_a_factor():
    part = make_part(printed="20", factor=1.1)
    arms = mean(50.0, 1.0, log_se=0.02), mean(58.0, 9.0, log_se=0.02)
    assert judge_with(make_sealed(part, controls=DIFFERS), arms[0], bad=arms[1]).controls["bad"].failed is True
    flat = mean(50.0, 1.0), mean(58.0, 9.0)
    assert judge_with(make_sealed(part, controls=DIFFERS), flat[0], bad=flat[1]).controls["bad"].failed is None


def test_one_differing_part_is_enough():
    sealed = make_sealed(ONE, ONE, controls=DIFFERS)
    verdict = judge(sealed, {"main": {"a": NEAR, "b": NEAR}, "bad": {"a": NEAR, "b": FAR}})
    assert verdict.controls["bad"].failed is True
    assert "(b)" in verdict.controls["bad"].detail


def test_every_control_must_fail():
    sealed = make_sealed(ONE, controls={"bad": "mismatch", "worse": "mismatch"})
    assert judge_with(sealed, NEAR, bad=FAR, worse=FAR).outcome == "match"
    assert judge_with(sealed, NEAR, bad=FAR, worse=VAGUE).reason == "control_inconclusive"
    assert judge_with(sealed, NEAR, bad=VAGUE, worse=NEAR).reason == "control_did_not_fail"


def test_a_verdict_survives_json():
    verdict = judge_with(make_sealed(ONE), NEAR, bad=FAR)
    assert from_json(Verdict, to_json(verdict)) == verdict
