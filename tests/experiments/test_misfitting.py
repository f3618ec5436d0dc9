import gzip
import math
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

from experiments.scaling_laws.misfitting import Config, run
from experiments.scaling_laws.misfitting_estimators import (
    Choice,
    exponent_gain,
    exponent_ranges,
    published_fits,
    relative_range,
)
from repro.schema.context import Context
from repro.schema.errors import EstimateError
from scaling_law_runs import records_of


def drawn(noise=0.0, seed=0, n=90):
    """A sweep that is not in the tables: two learning rates, the second worse by a constant factor, one checkpoint halfway."""
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(n):
        body = math.exp(rng.uniform(math.log(1e7), math.log(1e9)))
        params, tokens = body + 5e7, math.exp(rng.uniform(math.log(1e8), math.log(2e10)))
        for rate, worse in ((1e-3, 1.0), (4e-3, 1.1)):
            loss = (1.8 + 400 / params**0.34 + 900 / tokens**0.3) * worse * math.exp(rng.normal(0, noise))
            common = {
                "params": params,
                "params_non_embedding": body,
                "learning_rate": rate,
                "run": 2.0 * k + (rate > 2e-3),
            }
            rows.append({**common, "tokens": tokens, "loss": loss, "final": 1.0, "elapsed": 1.0})
            rows.append({**common, "tokens": tokens / 2, "loss": 1.3 * loss, "final": 0.0, "elapsed": 0.5})
            rows.append({**common, "tokens": tokens, "loss": loss, "final": 0.0, "elapsed": 1.0})
    return rows


def published(**config):
    folder = Path(os.environ.get("REPRO_DATA", "")) / "scaling"
    files = {
        "misfitting_final_checkpoints": folder / "misfitting_final_checkpoints.csv",
        "misfitting_all_checkpoints": folder / "misfitting_all_checkpoints.csv.gz",
    }
    if not all(file.is_file() for file in files.values()):
        pytest.skip("REPRO_DATA has no scaling/misfitting_*")
    return records_of(run(Config(**config), Context(files=files)), config)


def table(rows):
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.parametrize(
    ("choice", "kept"),
    [
        ({}, lambda r: r["final"] == 1),
        ({"checkpoints": "all"}, lambda r: r["final"] == 0),
        ({"checkpoints": "all", "elapsed_above": 0.5}, lambda r: r["final"] == 0 and r["elapsed"] > 0.5),
        ({"learning_rate": 4e-3}, lambda r: r["final"] == 1 and r["learning_rate"] == 4e-3),
        ({"learning_rate": "best"}, lambda r: r["final"] == 1 and r["learning_rate"] == 1e-3),
        ({"max_params": 2e8}, lambda r: r["final"] == 1 and r["params"] <= 2e8),
        ({"max_ratio": 18.0}, lambda r: r["final"] == 1 and r["tokens"] < 18 * r["params"]),
        ({"min_ratio": 22.0}, lambda r: r["final"] == 1 and r["tokens"] > 22 * r["params"]),
    ],
)
def test_a_choice_selects_rows(choice, kept) -> None:
    rows = drawn()
    assert Choice.of(choice).select(table(rows)).tolist() == [k for k, row in enumerate(rows) if kept(row)]


def test_the_exponent_of_another_sweep_is_recovered_and_moves_with_the_count() -> None:
    families = {
        "f": {"right": {"learning_rate": 1e-3}, "body": {"learning_rate": 1e-3, "count": "params_non_embedding"}}
    }
    (part,) = exponent_ranges(records_of(drawn()), families=families).values()
    assert part.extras["right"] == pytest.approx(0.30 / 0.64, rel=1e-5)
    assert part.extras["body"] > part.extras["right"] + 0.02
    assert part.value == pytest.approx(part.extras["body"] - part.extras["right"])


def test_a_free_and_a_tied_fit_agree_where_the_law_is_tied() -> None:
    rows = [{**row, "loss": 1.8 + 400 / row["params"] ** 0.34 + 900 / row["tokens"] ** 0.34} for row in drawn()]
    parts = {name: part.value for name, part in published_fits(records_of(rows), choice={}).items()}
    for name in ("a", "b", "e", "alpha"):
        assert parts[name] == pytest.approx(parts[f"{name}_tied"], rel=1e-4)
    assert parts["alpha"] == pytest.approx(0.34, rel=1e-5)


def test_the_tied_fit_ends_where_nelder_mead_does() -> None:
    rows = [row for row in drawn(noise=0.02) if row["final"] and row["learning_rate"] == 1e-3]
    n, d, y = (np.log([row[name] for row in rows]) for name in ("params", "tokens", "loss"))

    def objective(t):
        r = np.logaddexp(np.logaddexp(t[0] - t[3] * n, t[1] - t[3] * d), t[2]) - y
        return np.where(np.abs(r) <= 1e-3, 0.5 * r**2, 1e-3 * (np.abs(r) - 0.5e-3)).sum()

    end = None
    for _ in range(4):
        start = (6.0, 7.0, 0.6, 0.34) if end is None else end.x
        end = minimize(
            objective, start, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-18, "maxiter": 5000}
        )
    parts = published_fits(records_of(drawn(noise=0.02)), choice={"learning_rate": 1e-3})
    assert parts["huber_tied"].value <= end.fun * (1 + 1e-6)
    assert parts["huber_tied"].value == pytest.approx(end.fun, rel=1e-3)


def test_a_range_is_compared_with_the_smallest_other() -> None:
    families = {
        "none": {"one": {}, "two": {"delta": 9e-4}},
        "count": {"one": {}, "two": {"count": "params_non_embedding"}},
        "rate": {"one": {}, "two": {"learning_rate": 4e-3}},
    }
    part = relative_range(records_of(drawn(noise=0.01)), family="count", families=families)
    assert part.value == pytest.approx(part.extras["count"] / min(part.extras["none"], part.extras["rate"]))
    with pytest.raises(EstimateError, match="Did you mean 'count'"):
        relative_range(records_of(drawn()), family="counts", families=families)


def test_a_gain_is_antisymmetric_and_its_error_resamples_runs() -> None:
    one, other = {"learning_rate": 1e-3}, {"learning_rate": 1e-3, "count": "params_non_embedding"}
    rows = records_of(drawn(noise=0.01))
    gain = exponent_gain(rows, reference=0.46, nearer=one, farther=other, bootstrap=20)
    lost = exponent_gain(rows, reference=0.46, nearer=other, farther=one, bootstrap=20)
    assert gain.value == pytest.approx(-lost.value)
    assert (gain.n, gain.dof, gain.unit) == (180, 175, "run")
    assert 0 < gain.se < 0.2


def test_the_published_fit_is_that_of_every_learning_rate() -> None:
    parts = published_fits(published(), choice={})
    assert parts["huber"].value == pytest.approx(0.005021654212110655, rel=1e-6)
    assert parts["huber_tied"].value == pytest.approx(0.005243705787850444, rel=1e-6)
    assert parts["alpha"].extras["runs"] == 261
    best = published_fits(published(), choice={"learning_rate": "best"})
    assert best["alpha"].extras["runs"] == 81
    assert best["alpha"].extras["exponent"] == pytest.approx(0.829, abs=1e-3)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda rows: [{k: v for k, v in row.items() if k != "run"} for row in rows], "run"),
        (lambda rows: [{**row, "loss": math.nan} for row in rows], "lacks"),
        (lambda rows: [{**row, "tokens": 0.0} for row in rows], "not above zero"),
        (lambda rows: [{**row, "tokens": 20 * row["params"]} for row in rows], "line"),
        (lambda rows: rows[:9], "run"),
        (lambda rows: [], "columns"),
    ],
)
def test_a_bad_table_is_refused(spoil, message: str) -> None:
    with pytest.raises(EstimateError, match=message):
        published_fits(records_of(spoil(drawn())), choice={})


def test_a_misspelt_choice_is_refused() -> None:
    with pytest.raises(EstimateError, match="Did you mean 'learning_rate'"):
        published_fits(records_of(drawn()), choice={"learning_rates": "best"})
    with pytest.raises(EstimateError, match="params_non_embedding"):
        published_fits(records_of(drawn()), choice={"count": "non_embedding"})


def test_checkpoints_of_one_run_share_its_number(tmp_path: Path) -> None:
    header = "loss,C4 Eval Loss,N,N_no_emb,D,portion_steps_elapsed,model,total_steps,peak_lr,sweep"
    (tmp_path / "final.csv").write_text(
        f"{header}\n9,3.0,100,50,2000,1.0,m,10,0.001,s\n9,3.5,100,50,2000,1.0,m,10,0.002,s\n"
    )
    with gzip.open(tmp_path / "all.csv.gz", "wt") as stream:
        stream.write(f"{header}\n9,4.0,100,50,1000,0.5,m,10,0.001,s\n")
    files = {
        "misfitting_final_checkpoints": tmp_path / "final.csv",
        "misfitting_all_checkpoints": tmp_path / "all.csv.gz",
    }
    rows = run(Config(checkpoints=True), Context(files=files))
    assert [(row["loss"], row["final"], row["run"]) for row in rows] == [(3.0, 1, 0), (3.5, 1, 1), (4.0, 0, 0)]
    assert len(run(Config(), Context(files=files))) == 2
