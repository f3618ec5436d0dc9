"""Ratios of the cost of two arms: measured ones with an error, exact ones without."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from repro.schema.errors import EstimateError
from repro.stats.cost_ratio import exact_cost_ratios, measured_cost_ratios
from scaling_law_runs import record

PARTS = {"short": {"n": 512, "k": 128}, "long": {"n": 1024, "k": 128}, "wide": {"n": 1024, "k": 256}}
HOW = {"x": "n", "y": "seconds", "by": "mechanism", "dear": "softmax", "cheap": "linformer", "parts": PARTS}


def timings(passes=5, noise=0.02):
    rng = np.random.default_rng(7)
    runs = []
    for replicate in range(passes):
        slow = math.exp(0.3 * rng.standard_normal())
        for mechanism, n, k in (
            ("softmax", 512, 128),
            ("softmax", 1024, 128),
            ("linformer", 512, 128),
            ("linformer", 1024, 128),
            ("linformer", 1024, 256),
        ):
            true = n * (n if mechanism == "softmax" else k) * 1e-6
            row = {"seconds": slow * true * math.exp(noise * rng.standard_normal())}
            made = record([row], {"mechanism": mechanism, "n": n, "k": k, "seed": replicate}, replicate)
            runs.append(replace(made, measures="time"))
    return runs


def test_a_ratio_is_the_paired_t_of_logarithms():
    runs = timings()
    found = measured_cost_ratios(runs, **HOW)
    assert list(found) == list(PARTS)

    def logs(mechanism, n, k):
        wanted = {"mechanism": mechanism, "n": n, "k": k}
        return np.log([r.value("seconds") for r in runs if wanted.items() <= r.config.items()])

    for part, (n, k) in {"short": (512, 128), "long": (1024, 128), "wide": (1024, 256)}.items():
        expected = stats.ttest_rel(logs("softmax", n, 128), logs("linformer", n, k))
        estimate = found[part]
        assert math.log(estimate.value) / estimate.log_se == pytest.approx(expected.statistic)
        assert estimate.dof == expected.df == 4
        assert estimate.value == pytest.approx(n / k, rel=0.05)
        assert estimate.se == pytest.approx(estimate.value * estimate.log_se)


def test_a_slow_pass_cancels():
    runs = timings(noise=0.0)
    slower = [replace(r, rows=({"seconds": 10 * r.value("seconds")},)) if r.replicate == 2 else r for r in runs]
    before, after = (measured_cost_ratios(of, **HOW) for of in (runs, slower))
    assert all(after[part].value == pytest.approx(before[part].value) for part in PARTS)


def test_a_setting_that_nobody_measured_has_no_value():
    found = measured_cost_ratios(timings(), **{**HOW, "parts": {"longer": {"n": 2048, "k": 128}, **PARTS}})
    assert found["longer"].value is None
    assert found["short"].value is not None


def test_a_diverged_trial_has_no_ratio():
    runs = timings()
    runs[0] = replace(runs[0], status="diverged", rows=())
    found = measured_cost_ratios(runs, **HOW)
    assert found["short"].value is None
    assert found["short"].flags == ("diverged",)
    assert found["long"].value is not None


def test_equal_ratios_show_no_noise():
    runs = [replace(r, rows=({"seconds": float(r.config["n"])},)) for r in timings()]
    estimate = measured_cost_ratios(runs, **HOW)["short"]
    assert estimate.se is None
    assert "no_spread" in estimate.flags


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda runs: [replace(runs[0], machine=replace(runs[0].machine, fingerprint="g")), *runs[1:]], "2 machines"),
        (lambda runs: runs[1:], "pass 0 measured only one arm"),
        (lambda runs: [runs[0], *runs], "measured seconds twice"),
        (lambda runs: [replace(runs[0], rows=({"seconds": 0.0},)), *runs[1:]], "positive values"),
    ],
)
def test_what_cannot_be_compared_is_refused(change, message):
    with pytest.raises(EstimateError, match=message):
        measured_cost_ratios(change(timings()), **HOW)


def test_names_that_do_not_exist_are_refused():
    with pytest.raises(EstimateError, match=r"no field 'mechanim'.*mechanism"):
        measured_cost_ratios(timings(), **{**HOW, "by": "mechanim"})
    with pytest.raises(EstimateError, match="part 'p' says no 'n'"):
        measured_cost_ratios(timings(), **{**HOW, "parts": {"p": {"k": 128}}})


COUNTED = {**HOW, "x": "length", "y": "bytes", "parts": {"a": {"length": 512, "k": 4}, "b": {"length": 1024, "k": 4}}}


def counts():
    return [
        record(
            [{"length": float(n), "bytes": float(n * (n if mechanism == "softmax" else k))} for n in (512, 1024)],
            {"mechanism": mechanism, "k": k, "seed": replicate},
            replicate,
        )
        for replicate in (0, 1)
        for mechanism, k in (("softmax", 2), ("linformer", 2), ("linformer", 4))
    ]


def test_an_exact_ratio_has_no_error():
    found = exact_cost_ratios(counts(), **COUNTED)
    assert {part: estimate.value for part, estimate in found.items()} == {"a": 128.0, "b": 256.0}
    assert all(estimate.deterministic and estimate.se == 0 and not estimate.flags for estimate in found.values())


def test_counts_that_differ_between_processes_are_flagged():
    runs = counts()
    runs[0] = replace(runs[0], rows=tuple({**row, "bytes": row["bytes"] + 1} for row in runs[0].rows))
    assert "not_deterministic" in exact_cost_ratios(runs, **COUNTED)["a"].flags


def test_an_exact_ratio_needs_one_count_an_arm():
    parts = {"a": {"length": 512}}
    with pytest.raises(EstimateError, match="measured bytes twice"):
        exact_cost_ratios(counts(), **{**COUNTED, "parts": parts})
    absent = exact_cost_ratios(counts(), **{**COUNTED, "parts": {"a": {"length": 2048, "k": 4}}})
    assert absent["a"].value is None
