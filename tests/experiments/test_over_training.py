import math
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import curve_fit

from experiments.scaling_laws.over_training import Config, run
from experiments.scaling_laws.over_training_estimators import (
    compute_saved,
    exponent_drift,
    extrapolation_errors,
    fit_law,
)
from repro.schema.context import Context
from repro.schema.errors import EstimateError
from scaling_law_runs import record, records_of


def law(params, tokens, alpha=0.26):
    return 1.7 + 300 * params**-alpha + 700 * tokens**-alpha


def drawn(noise=0.0, seed=0, sizes=(1e7, 5e7, 2e8, 5e8), ratios=(20, 40, 80, 160, 320)):
    """A sweep that is not in the table; the first ratio and one over-trained run are fitted, and a large run is the target."""
    rng = np.random.default_rng(seed)
    rows = [
        {
            "params": n,
            "tokens": m * n,
            "loss": float(law(n, m * n) * np.exp(rng.normal(0, noise))),
            "small": 1.0,
            "fitted": float(m == ratios[0] or (n == sizes[0] and m == ratios[-1])),
        }
        for n in sizes
        for m in ratios
    ]
    return [*rows, {"params": 5e9, "tokens": 1e11, "loss": float(law(5e9, 1e11)), "small": 0.0, "fitted": 0.0}]


TARGET = {"value": {"params": 5e9, "tokens_per_parameter": 20}}


def published(train_dataset: str, **config):
    path = Path(os.environ.get("REPRO_DATA", "")) / "scaling/gadre_overtraining_losses.csv"
    if not path.is_file():
        pytest.skip("REPRO_DATA has no scaling/gadre_overtraining_losses.csv")
    full = {"train_dataset": train_dataset, **config}
    rows = run(Config(**full), Context(files={"gadre_overtraining_losses": path}))
    return [record(rows, {**full, "seed": seed}, seed) for seed in (0, 1)]


def test_the_law_of_another_sweep_is_recovered_and_extrapolates() -> None:
    rows = drawn()
    columns = [np.array([row[name] for row in rows if row["fitted"]]) for name in ("params", "tokens", "loss")]
    found = fit_law(*columns)
    assert found.alpha == pytest.approx(0.26, rel=1e-6)
    assert found.coefficients[0] == pytest.approx(1.7, rel=1e-6)
    assert extrapolation_errors(records_of(rows), targets=TARGET)["value"].value == pytest.approx(0, abs=1e-6)


def test_the_fit_is_that_of_levenberg_marquardt_on_the_authors_formula() -> None:
    rows = [row for row in drawn(noise=0.01) if row["small"]]
    params, tokens, loss = (np.array([row[name] for row in rows]) for name in ("params", "tokens", "loss"))

    def formula(x, a, b, eta, E):
        flops, multiplier = 6 * x[0] * x[1], x[1] / x[0]
        return E + (a * multiplier**eta + b * multiplier**-eta) * flops**-eta

    start = (100.0, 100.0, 0.15, 1.0)
    (_, _, eta, floor), _ = curve_fit(formula, (params, tokens), loss, p0=start, maxfev=100000)
    found = fit_law(params, tokens, loss)
    assert (found.alpha / 2, found.coefficients[0]) == pytest.approx((eta, floor), rel=1e-4)


def test_lines_of_the_law_are_parallel_and_fan_out_under_a_wrong_floor() -> None:
    parts = exponent_drift(records_of(drawn()), tables={"value": {}})
    assert parts["value"].value == pytest.approx(0, abs=1e-4)
    assert (parts["value"].n, parts["value"].dof) == (5, 3)
    lowest = min(row["loss"] for row in drawn() if row["small"])
    fanned = exponent_drift(records_of(drawn()), tables={"value": {}}, floor=lowest - 0.2)["value"]
    assert fanned.value > 0.1 + 3 * fanned.se


def test_compute_is_counted_as_6nd() -> None:
    rows = drawn()
    spent = sum(6 * row["params"] * row["tokens"] for row in rows if row["fitted"])
    assert compute_saved(records_of(rows), targets=TARGET)["value"].value == pytest.approx(6 * 5e9 * 1e11 / spent)


def test_the_published_errors_come_from_redpajama() -> None:
    targets = {
        "over_trained": {"params": 1.44e9, "tokens_per_parameter": 640},
        "large": {"params": 6.89e9, "tokens_per_parameter": 20},
    }
    parts = extrapolation_errors(published("rpj"), targets=targets)
    assert [round(part.value, 4) for part in parts.values()] == [0.7103, 0.7320]
    others = [
        extrapolation_errors(published(name), targets={"large": targets["large"]})["large"].value
        for name in ("c4_original", "rw_original")
    ]
    assert [round(value, 1) for value in others] == [4.3, 1.6]


def test_five_runs_are_marked() -> None:
    rows = published("rpj")[0].rows
    assert len(rows) == 35
    assert sorted(round(r["tokens"] / r["params"]) for r in rows if r["fitted"]) == [20, 20, 20, 20, 320]
    assert sum(r["small"] for r in rows) == sum(r["fitted"] for r in published("rpj", fitted="all_small")[0].rows) == 32


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda rows: [{k: v for k, v in row.items() if k != "fitted"} for row in rows], "fitted"),
        (lambda rows: [{**row, "loss": math.nan} for row in rows], "missing or not above zero"),
        (lambda rows: [{**row, "tokens": 0.0} for row in rows], "missing or not above zero"),
        (lambda rows: [{**row, "fitted": float(row["params"] < 2e7)} for row in rows], "two sizes"),
        (
            lambda rows: [{**row, "fitted": float(row["tokens"] < 21 * row["params"] < 4e9)} for row in rows],
            "two ratios",
        ),
        (lambda rows: [{**row, "fitted": 0.5} for row in rows], "0 or 1"),
        (lambda rows: rows[:-1], "none within 5 %"),
        (lambda rows: [{**row, "loss": 2.0 + 1e-9 * row["params"]} for row in rows], "do not determine it"),
        (lambda rows: [], "columns"),
    ],
)
def test_a_bad_table_is_refused(spoil, message: str) -> None:
    with pytest.raises(EstimateError, match=message):
        extrapolation_errors(records_of(spoil(drawn())), targets=TARGET)


def test_lines_need_runs() -> None:
    with pytest.raises(EstimateError, match="at least four lines"):
        exponent_drift(records_of(drawn(ratios=(20, 80, 320))), tables={"value": {}})
    with pytest.raises(EstimateError, match="below the irreducible loss"):
        exponent_drift(records_of(drawn()), tables={"value": {}}, floor=20.0)
    with pytest.raises(EstimateError, match="0 finished trials"):
        exponent_drift(records_of(drawn()), tables={"value": {"train_dataset": "pile"}})


def test_an_unknown_training_set_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "losses.csv"
    path.write_text("train_dataset,eval_set\nrpj,c4_val\n")
    with pytest.raises(ValueError, match="pile"):
        run(Config(train_dataset="pile"), Context(files={"gadre_overtraining_losses": path}))
