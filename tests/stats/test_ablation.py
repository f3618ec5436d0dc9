"""Falls of the exponent from step to step, on runs of known laws."""

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from repro.schema.errors import EstimateError
from repro.stats.scaling_laws.ablation import exponent_falls
from repro.stats.scaling_laws.loss_curves import profiles_at, training_runs
from scaling_law_runs import record

BUDGETS = [2e9 * 3.0**k for k in range(5)]
WIDTHS = sorted({round(w) for w in np.geomspace(2, 140, 45)})
BOTH = "embedding+head+attention"
STEPS = [
    {"name": "long", "where": {"warmup_tokens": True, "decay": False}, "read": "curves", "counting": "none"},
    {"name": "counted", "where": {"warmup_tokens": True, "decay": False}, "read": "curves"},
    {"name": "scaled", "where": {"warmup_tokens": False, "decay": False}, "read": "curves"},
    {"name": "decayed", "where": {"decay": True}},
]


def sizes(width):
    """N with a tied embedding of 256 bytes, N without it, and FLOPs a token with causal attention over 64."""
    return 256 * width + 24 * width**2, 24 * width**2, 6 * (256 * width + 24 * width**2) + 768 * width


def law(width, tokens, tilt=0.0):
    """A law in which `tilt` makes small runs the worse the larger their model."""
    params = sizes(width)[0]
    return 1.0 + 20.0 / params**0.3 + (20.0 + tilt * params**0.25) / tokens**0.3


def run_of(width, budget, tilt, *, curve, long=False, decay=False, noise=0.0, rng=None):
    params, without, per_token = sizes(width)
    tokens = budget / per_token
    shares = np.geomspace(1 / 1500, 1, 80) if curve else [1.0]
    off = noise * (rng.standard_normal() if rng else 0.0)
    steps = [max(1, round(1e6 * share)) for share in shares]
    losses = [law(width, tokens * step / 1e6, tilt) + off for step in steps]
    row = {
        "budget": budget,
        "flops": budget,
        "params": float(params),
        "params_non_embedding": float(without),
        "tokens": tokens,
        "batch_tokens": tokens / 1e6,
        "loss": losses[-1],
    }
    config = {"warmup_tokens": 3e5 if long else 0.0, "decay": decay}
    curves = {"loss": tuple(zip(steps, losses, strict=True))} if curve else {}
    return replace(record([row], config), curves=curves)


def sweep(tilts=(2.0, 2.0, 1.0, 0.0), noise=0.0, seed=0):
    """Runs of the four steps; the first two are the same ones. The fourth ends at each budget."""
    rng = np.random.default_rng(seed)
    how = {"noise": noise, "rng": rng}
    top = 6 * BUDGETS[-1]
    once = [run_of(w, top, tilts[1], curve=True, long=True, **how) for w in WIDTHS]
    once += [run_of(w, top, tilts[2], curve=True, **how) for w in WIDTHS]
    return once + [run_of(w, c, tilts[3], curve=False, decay=True, **how) for w, c in product(WIDTHS, BUDGETS)]


def exponent_by_search(tilt, per_token, size, computes):
    """d ln N* / d ln C of the law itself, by search over a fine grid of widths."""
    widths = np.geomspace(4, 120, 20_000)
    best = []
    for compute in computes:
        tokens = compute / per_token(widths)
        best.append(size(widths[np.argmin(law(widths, tokens, tilt))]))
    return np.polyfit(np.log(computes), np.log(best), 1)[0]


def test_every_exponent_is_that_of_the_law_found_by_search():
    found = exponent_falls(sweep(), steps=STEPS, min_points=5, window=0.02)
    total = {name: found[f"fall_{k}"].extras[f"exponent_{name}"] for k, name in ((2, "counted"), (3, "scaled"))}
    total["decayed"] = found["fall_3"].extras["exponent_decayed"]
    for name, tilt in (("counted", 2.0), ("scaled", 1.0), ("decayed", 0.0)):
        truth = exponent_by_search(tilt, lambda w: sizes(w)[2], lambda w: sizes(w)[0], BUDGETS)
        assert total[name] == pytest.approx(truth, abs=0.01), name
    assert total["counted"] < total["scaled"] < total["decayed"]
    # Under Kaplan's counting the budgets are what the optima spent, counted so.
    computes = [
        float(key.rsplit("_", 1)[1]) for key in found["fall_1"].extras if key.startswith("optimal_params_long_")
    ]
    truth = exponent_by_search(2.0, lambda w: 6.0 * sizes(w)[1], lambda w: sizes(w)[1], computes)
    assert found["fall_1"].extras["exponent_long"] == pytest.approx(truth, abs=0.015)
    assert truth > total["counted"] + 0.1
    fall = found["fall_1"]
    assert fall.value == pytest.approx(fall.extras["exponent_long"] - total["counted"])
    assert (fall.dof, fall.n) == (3.0, 5)


def test_backwards_the_falls_are_rises():
    runs = sweep()
    forwards = exponent_falls(runs, steps=STEPS)
    backwards = exponent_falls(runs, steps=STEPS, backwards=True)
    assert [backwards[f"fall_{k}"].value for k in (1, 2, 3)] == pytest.approx(
        [-forwards[f"fall_{k}"].value for k in (3, 2, 1)]
    )


def test_two_countings_of_the_same_runs_share_their_noise():
    found = [exponent_falls(sweep(noise=0.004, seed=seed), steps=STEPS, bootstrap=200) for seed in range(4)]
    for estimates in found:
        fall = estimates["fall_1"]
        apart = math.hypot(fall.extras["se_long"], fall.extras["se_counted"])
        assert fall.se is not None
        assert fall.se < apart
        assert estimates["fall_2"].se == pytest.approx(
            math.hypot(estimates["fall_2"].extras["se_counted"], estimates["fall_2"].extras["se_scaled"])
        )
    assert np.mean([e["fall_1"].value for e in found]) == pytest.approx(
        exponent_falls(sweep(), steps=STEPS)["fall_1"].value, abs=0.06
    )


def test_the_standard_error_covers_the_scatter_of_repeated_sweeps():
    """Two arms of equal law: the fall is 0, and its standard error no less than what twelve sweeps scatter by."""
    steps = STEPS[2:]
    falls = [
        exponent_falls(sweep((0, 0, 0, 0), noise=0.004, seed=seed), steps=steps, bootstrap=100)["fall_1"]
        for seed in range(12)
    ]
    scatter = float(np.std([f.value for f in falls], ddof=1))
    assert float(np.mean([f.value for f in falls])) == pytest.approx(0.0, abs=2 * scatter)
    assert float(np.median([f.se for f in falls])) > 0.8 * scatter


def test_a_loss_between_evaluations_is_linear_in_the_log_of_compute():
    runs, diverged = training_runs([run_of(24, 1e10, 0.0, curve=True)], BOTH)
    assert diverged == 0
    assert runs[0].loss_at(1e10) == pytest.approx(law(24, 1e10 / sizes(24)[2]))
    low, high = (runs[0].flops_per_token * t for t in runs[0].tokens[60:62])
    middle = math.sqrt(low * high)
    assert runs[0].loss_at(middle) == pytest.approx((runs[0].loss[60] + runs[0].loss[61]) / 2)
    assert math.isnan(runs[0].loss_at(1.01e10))
    assert math.isnan(runs[0].loss_at(1e6))


def test_profiles_average_repeats_and_say_which_runs_they_share():
    one, two = run_of(24, 1e10, 0.0, curve=True), run_of(24, 1e10, 2.0, curve=True)
    runs, _ = training_runs([one, two, run_of(12, 1e10, 0.0, curve=True)], BOTH)
    profile = profiles_at(runs, [5e9], ends=False)[0]
    assert profile.seeds.tolist() == [1, 2]
    assert profile.members.tolist() == [[0, 0, 1], [0.5, 0.5, 0]]
    assert profile.loss[1] == pytest.approx((runs[0].loss_at(5e9) + runs[1].loss_at(5e9)) / 2)
    assert profiles_at(runs, [5e9], ends=True)[0].loss.size == 0


def test_a_minimum_at_the_edge_gives_no_fall_but_says_where():
    runs = [r for r in sweep() if not r.config["decay"] or r.rows[0]["params"] > sizes(40)[0]]
    found = exponent_falls(runs, steps=STEPS)
    assert found["fall_3"].value is None
    assert "decayed: at 2e+09 FLOPs the lowest loss is at the smallest size" in found["fall_3"].note
    assert found["fall_1"].value is not None


def test_a_diverged_run_is_left_out_and_flagged():
    runs = sweep()
    runs[3] = replace(runs[3], status="diverged", rows=({**runs[3].rows[0], "loss": None},))
    found = exponent_falls(runs, steps=STEPS)
    assert found["fall_1"].flags == ("diverged",)
    assert found["fall_3"].flags == ()
    assert "1 runs of long diverged" in found["fall_1"].note


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (STEPS[:1], "two steps"),
        (STEPS[:3], "only runs that end at a budget"),
        ([*STEPS[:3], {"name": "x", "wher": {}}], "A step has no 'wher'. Did you mean 'where'"),
        ([*STEPS[:3], {"where": {"decay": True}}], "needs a name"),
        ([*STEPS[:3], {"name": "x", "where": {"decai": True}}], "no field 'decai'"),
        (
            [*STEPS[:3], {"name": "x", "where": {"decay": True, "warmup_tokens": True}}],
            "No run belongs to the step 'x'",
        ),
        ([*STEPS[:3], {"name": "x", "where": {"decay": True}, "counting": "head"}], "not 'head'"),
        ([*STEPS[:3], {"name": "x", "where": {"decay": True}, "read": "middles"}], "middles"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(steps, message):
    with pytest.raises(EstimateError, match=message):
        exponent_falls(sweep(), steps=steps)


def test_a_missing_column_is_named():
    bare = record([{"budget": 1e10, "loss": 2.0}], {"decay": True})
    with pytest.raises(EstimateError, match="need the column 'tokens'"):
        training_runs([bare], BOTH)
