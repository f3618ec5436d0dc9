import math

import numpy as np
import pytest

from repro.schema.errors import EstimateError
from repro.stats.summary import agreed, mean_over_seeds, measured_parts, measured_value, paired_difference
from trial_records import make_record

NAN = {"loss": None}


def seeds(*values: float | None, **config):
    return [make_record(i, {"loss": v}, **config) for i, v in enumerate(values)]


def pairs(*values: tuple[float | None, float | None]):
    """Records of two arms, gate on and off, from (on, off) per seed."""
    arms = [(i, gate, v) for i, both in enumerate(values) for gate, v in zip((True, False), both, strict=True)]
    return [
        make_record(i, {"loss": v}, status="finished" if v is not None else "diverged", gate=gate)
        for i, gate, v in arms
    ]


def difference(records, **changed):
    arguments = {"column": "loss", "by": "gate", "better": True, "worse": False} | changed
    return paired_difference(records, **arguments)


def test_a_deterministic_value_is_exact():
    result = measured_value(seeds(0.25, 0.25), column="loss")
    assert (result.value, result.se, result.n, result.deterministic, result.flags) == (0.25, 0.0, 1, True, ())
    assert measured_value.resampling_unit == "none"


@pytest.mark.parametrize(
    ("records", "flag", "note"),
    [
        (seeds(0.25, 0.26), "not_deterministic", "different results"),
        (seeds(0.25), "not_deterministic", "not checked"),
        ([make_record(i, {"loss": 1.0}, process="one") for i in (0, 1)], "not_deterministic", "not checked"),
        ([make_record(0, {"loss": 1.0}, process=p) for p in "ab"], "not_deterministic", "not checked"),
        ([make_record(i, NAN, status="diverged") for i in (0, 1)], "diverged", "diverged"),
    ],
)
def test_a_value_that_was_not_confirmed_is_flagged(records, flag, note):
    result = measured_value(records, column="loss")
    assert flag in result.flags
    assert note in result.note


def test_a_value_that_is_not_finite_is_no_value():
    result = measured_value([make_record(i, NAN) for i in (0, 1)], column="loss")
    assert result.value is None
    assert result.flags == ("diverged",)


def test_parts_are_the_columns_but_not_the_cost():
    row = {"six": 1.5, "seven": 2.5, "flops": 1e9}
    parts = measured_parts([make_record(i, row) for i in (0, 1)])
    assert {name: part.value for name, part in parts.items()} == {"six": 1.5, "seven": 2.5}


def test_what_measured_nothing_is_refused():
    with pytest.raises(EstimateError, match="measured nothing.*diverged"):
        measured_parts([make_record(i, status="diverged") for i in (0, 1)])


def test_cells_are_grouped_without_their_seed():
    records = [make_record(i, {"loss": n / 10}, n=n) for n in (1, 2) for i in (0, 1)]
    same = agreed(records)
    assert [record.config["n"] for record in same.records] == [1, 2]
    assert same.flags == ()
    with pytest.raises(EstimateError, match="got 2 cells"):
        measured_value(records, column="loss")


def test_an_unknown_column_names_the_nearest():
    with pytest.raises(EstimateError, match="no 'los'. Did you mean 'loss'?"):
        measured_value(seeds(1.0, 1.0), column="los")


def test_several_rows_are_refused():
    with pytest.raises(EstimateError, match="has 2"):
        mean_over_seeds([make_record(0, {"loss": 1.0}, {"loss": 2.0})], column="loss")


def test_mean_over_seeds_on_a_literal():
    result = mean_over_seeds(seeds(1.0, 2.0, 3.0, 6.0), column="loss")
    assert result.value == 3.0
    assert result.se == pytest.approx(math.sqrt(14 / 3) / 2)
    assert (result.dof, result.n, result.unit) == (3, 4, "seed")
    assert result.spread == pytest.approx(math.sqrt(14 / 3))
    assert result.units == (1.0, 2.0, 3.0, 6.0)
    assert result.flags == ("skew_guard",)


def test_the_assumption_about_the_noise_sets_the_flags():
    many = np.random.default_rng(0).standard_normal(30).tolist()
    assert mean_over_seeds(seeds(1.0, 2.0, 4.0), column="loss", noise="symmetric").flags == ()
    assert mean_over_seeds(seeds(*many), column="loss", noise="symmetric").flags == ()
    assert mean_over_seeds(seeds(*many, 50.0), column="loss").flags == ("heavy_tailed", "skew_guard")
    skewed = [*np.linspace(0, 0.1, 7).tolist(), 9.0]
    assert mean_over_seeds(seeds(*skewed), column="loss", noise="symmetric").flags == ("heavy_tailed",)
    assert mean_over_seeds(seeds(*many[:8], *(v + 100 for v in many[8:16])), column="loss").flags == (
        "multimodal",
        "skew_guard",
    )
    with pytest.raises(EstimateError, match="no noise 'symetric'. Did you mean 'symmetric'"):
        mean_over_seeds(seeds(1.0, 2.0, 4.0), column="loss", noise="symetric")


def test_lognormal_noise_is_averaged_in_logs():
    result = mean_over_seeds(seeds(1.0, math.e, math.e**2), column="loss", noise="lognormal")
    assert result.value == pytest.approx(math.e)
    assert result.log_se == pytest.approx(1 / math.sqrt(3))
    assert result.se == pytest.approx(math.e / math.sqrt(3))
    assert result.spread == pytest.approx(math.e)
    with pytest.raises(EstimateError, match="needs positive values of 'loss', got 0"):
        mean_over_seeds(seeds(1.0, 0.0), column="loss", noise="lognormal")


def test_a_diverged_run_is_shown_and_flagged():
    result = mean_over_seeds([*seeds(1.0, 3.0), make_record(2, status="diverged")], column="loss")
    assert "diverged" in result.flags
    assert result.units == (1.0, 3.0, None)
    assert result.value == 2.0
    assert "1 of 3 runs diverged" in result.note
    assert mean_over_seeds([make_record(0, NAN)], column="loss").value is None


def test_equal_runs_show_no_noise_and_get_no_standard_error():
    result = mean_over_seeds(seeds(0.1, 0.1, 0.1), column="loss")
    assert result.se is None
    assert "no_spread" in result.flags
    assert mean_over_seeds(seeds(0.1), column="loss").flags == ("skew_guard",)


def test_a_replicate_counts_once():
    with pytest.raises(EstimateError, match="each replicate counts once"):
        mean_over_seeds([make_record(0, {"loss": 1.0}), make_record(0, {"loss": 2.0})], column="loss")


def test_a_positive_difference_supports_the_claim():
    loss = difference(pairs((1.0, 1.5), (1.0, 1.7)))
    assert loss.units == pytest.approx((0.5, 0.7))
    assert (loss.n, loss.dof) == (2, 1)
    assert loss.value == pytest.approx(0.6)
    assert loss.se == pytest.approx(np.std([0.5, 0.7], ddof=1) / math.sqrt(2))
    accuracy = difference(pairs((0.9, 0.8), (0.7, 0.6)), lower_is_better=False)
    assert accuracy.units == pytest.approx((0.1, 0.1))


def test_pairs_that_are_all_equal_have_no_standard_error():
    assert difference(pairs((0.0, 1.0), (1.0, 2.0))).flags == ("no_spread",)


def test_a_diverged_trial_ranks_last():
    result = difference(pairs((1.0, 1.5), (1.0, None), (1.0, 0.9), (None, None), (1.0, 1.2)))
    assert result.units == (4.0, 5.0, -2.0, 0.0, 3.0)
    assert result.flags == ("ranked",)
    assert result.value == pytest.approx(0.2)  # the median of 0.5, ∞, −0.1, 0, 0.2
    assert result.extras == {"diverged_better": 1.0, "diverged_worse": 2.0}
    assert difference(pairs((1.0, None), (1.0, None), (1.0, 2.0))).value is None
    accuracy = difference(pairs((0.9, None), (None, 0.5)), lower_is_better=False)
    assert accuracy.units == (1.5, -1.5)


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (pairs((1.0, 2.0))[:1], "replicate 0 has only one"),
        ([], "there are none"),
        (pairs((1.0, 2.0)) + pairs((1.0, 2.0)), "has two trials with gate = True"),
        ([make_record(0, {"loss": 1.0}, gate=1)], "belongs to neither arm"),
        ([make_record(0, {"loss": 1.0}, gates=True)], "no field 'gate'. Did you mean 'gates'"),
    ],
)
def test_incomplete_pairs_are_refused(records, message):
    with pytest.raises(EstimateError, match=message):
        difference(records)


def test_skewed_differences_are_flagged():
    assert difference(pairs(*[(0.0, v) for v in [*np.linspace(0, 0.1, 9).tolist(), 9.0]])).flags == (
        "heavy_tailed",
        "unequal_arms",
        "skew_guard",
    )


def test_a_quiet_arm_widens_the_interval_of_the_difference():
    """Variances 1 : 16 at 5 runs exceed F(0.95; 4, 4) = 6.39; 1 : 4 do not."""
    sample = np.array([-1.2, -0.6, 0.0, 0.5, 1.3])
    quiet = difference(pairs(*zip((0.25 * sample[::-1]).tolist(), (3 + sample).tolist(), strict=True)))
    assert quiet.flags == ("unequal_arms", "skew_guard")
    alike = difference(pairs(*zip((0.5 * sample[::-1]).tolist(), (3 + sample).tolist(), strict=True)))
    assert alike.flags == ()


def test_differences_in_two_groups_are_flagged():
    """Half of the pairs differ by 30 standard deviations more than the others, as both arms share a large seed effect."""
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 100, 16)
    gaps = np.repeat([0.0, 30.0], 8) + rng.standard_normal(16)
    flags = difference(pairs(*((float(v), float(v + gap)) for v, gap in zip(shared, gaps, strict=True)))).flags
    assert flags == ("multimodal",)
