import math
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

from experiments.scaling_laws.data_constrained import LEFT_OUT, Config, run
from experiments.scaling_laws.data_constrained_estimators import (
    equal_compute_penalty,
    fit_versions,
    repetition_constants,
    tied_fit,
)
from repro.schema.context import Context
from repro.schema.errors import EstimateError
from scaling_law_runs import records_of

LAW = {"a": 6.255414, "b": 7.3049974, "e": 0.6254804, "alpha": 0.3526596}
"""ln A, ln B, ln E and α = β that the paper holds."""


def loss(params, tokens, unique, r_d, r_n):
    """L of Equation 5 and 6, written out."""
    a, b, e, alpha = LAW.values()
    G = (math.exp(a) / math.exp(b)) ** (1 / (2 * alpha))
    fed = np.minimum(params, (unique * G) * G)
    excess, repeats = np.maximum(params / fed - 1, 0), np.maximum(tokens / unique - 1, 0)
    effective_n = fed + fed * r_n * (1 - np.exp(-excess / r_n))
    effective_d = unique + unique * r_d * (1 - np.exp(-repeats / r_d))
    return math.exp(e) + math.exp(a) / effective_n**alpha + math.exp(b) / effective_d**alpha


def drawn(r_d=12.0, r_n=4.0, n=80, noise=0.0, seed=0):
    """A sweep that is not in the table: sizes, tokens and unique tokens over three decades."""
    rng = np.random.default_rng(seed)
    params, unique = (
        np.exp(rng.uniform(np.log(1e7), np.log(1e10), n)),
        np.exp(rng.uniform(np.log(1e8), np.log(1e11), n)),
    )
    tokens = unique * np.exp(rng.uniform(0, np.log(100), n))
    losses = loss(params, tokens, unique, r_d, r_n) * np.exp(rng.normal(0, noise, n))
    return [
        {"params": p, "tokens": t, "unique_tokens": u, "loss": x}
        for p, t, u, x in zip(params, tokens, unique, losses, strict=True)
    ]


def values(parts):
    return {name: part.value for name, part in parts.items()}


def published(**config):
    path = Path(os.environ.get("REPRO_DATA", "")) / "scaling/datablations_runs.csv"
    if not path.is_file():
        pytest.skip("REPRO_DATA has no scaling/datablations_runs.csv")
    return records_of(run(Config(**config), Context(files={"datablations_runs": path})), config)


@pytest.mark.parametrize(("r_d", "r_n"), [(12.0, 4.0), (40.0, 2.0), (3.0, 9.0)])
def test_constants_of_another_sweep_are_recovered(r_d: float, r_n: float) -> None:
    found = values(repetition_constants(records_of(drawn(r_d, r_n)), **LAW, search="lowest", bootstrap=10))
    assert found == pytest.approx({"R_D": r_d, "R_N": r_n}, rel=1e-6)


def test_noise_moves_the_constants_within_their_percentiles() -> None:
    parts = repetition_constants(records_of(drawn(n=150, noise=0.005)), **LAW, search="lowest", bootstrap=60)
    for part, truth in zip(parts.values(), (12.0, 4.0), strict=True):
        assert part.extras["percentile_2.5"] < truth < part.extras["percentile_97.5"]


def test_a_law_without_repetition_is_recovered_by_the_tied_fit() -> None:
    rows = [{**row, "tokens": row["unique_tokens"]} for row in drawn()]
    rows = [{**row, "loss": 1.8 + 500 / row["params"] ** 0.34 + 1500 / row["tokens"] ** 0.34} for row in rows]
    found = values(tied_fit(records_of(rows)))
    assert found == pytest.approx(
        {"a": math.log(500), "b": math.log(1500), "e": math.log(1.8), "alpha": 0.34}, rel=1e-5
    )


def test_the_trust_region_ends_where_nelder_mead_does() -> None:
    rows = drawn(noise=0.01)
    table = {name: np.array([row[name] for row in rows]) for name in rows[0]}

    def objective(theta):
        r = np.log(loss(table["params"], table["tokens"], table["unique_tokens"], *np.exp(theta)) / table["loss"])
        return np.where(np.abs(r) <= 1e-3, 0.5 * r**2, 1e-3 * (np.abs(r) - 0.5e-3)).sum()

    options = {"xatol": 1e-9, "fatol": 1e-18, "maxiter": 4000}
    best = min(
        (
            minimize(objective, np.log(start), method="Nelder-Mead", options=options)
            for start in ((12, 4), (30, 2), (5, 10))
        ),
        key=lambda end: end.fun,
    )
    part = repetition_constants(records_of(rows), **LAW, search="lowest", bootstrap=5)["R_D"]
    assert part.extras["huber_loss"] == pytest.approx(best.fun, rel=1e-6)


def test_the_published_minimum_is_local_and_a_lower_one_exists() -> None:
    runs = published()
    assert len(runs[0].rows) == 182
    near = repetition_constants(runs, **LAW, search="first_start", bootstrap=5)
    low = repetition_constants(runs, **LAW, search="lowest", bootstrap=5)
    assert values(near) == pytest.approx({"R_D": 15.387756, "R_N": 5.309743}, rel=2e-3)
    assert near["R_D"].extras["huber_loss"] == pytest.approx(0.015825936570763588, rel=1e-5)
    assert low["R_D"].extras["huber_loss"] < 0.99870 * near["R_D"].extras["huber_loss"]
    assert values(low) == pytest.approx({"R_D": 95.4, "R_N": 1.706}, rel=1e-3)


def test_decaying_parameters_alone_fits_better_than_published() -> None:
    parts = values(fit_versions(published(), **LAW, R_D=15.387756, R_N=5.309743))
    assert parts["R2_only_params"] > parts["R2_both"] > parts["R2_only_data"] > parts["R2_no_decay"]
    assert parts["huber_only_params"] == pytest.approx(0.015924, abs=1e-6)


def test_the_list_of_runs_left_out_names_runs_of_the_table() -> None:
    everything = published(runs="all")[0]
    assert len(everything.rows) == 296
    assert len(LEFT_OUT.split()) == len(set(LEFT_OUT.split())) == 49


def test_penalty_compares_means_at_equal_compute() -> None:
    rows = [
        {"params": 1e9, "tokens": 4e9, "unique_tokens": 1e9, "loss": 3.06},
        {"params": 1e9, "tokens": 4e9, "unique_tokens": 4e9, "loss": 2.9},
        {"params": 1e9, "tokens": 4e9, "unique_tokens": 4e9, "loss": 3.1},
        {"params": 2e9, "tokens": 4e9, "unique_tokens": 4e9, "loss": 1.0},
    ]
    (part,) = equal_compute_penalty(records_of(rows), runs={"value": [1e9, 4e9, 1e9]}).values()
    assert part.value == pytest.approx(2.0)
    assert part.extras["epochs"] == 4
    with pytest.raises(EstimateError, match=r"3e\+09 of them unique"):
        equal_compute_penalty(records_of(rows), runs={"value": [1e9, 4e9, 3e9]})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda rows: [{k: v for k, v in row.items() if k != "unique_tokens"} for row in rows], "unique_tokens"),
        (lambda rows: [{**row, "loss": math.nan} for row in rows], "missing or not above zero"),
        (lambda rows: [{**row, "params": -1.0} for row in rows], "missing or not above zero"),
        (lambda rows: [{**row, "unique_tokens": 2 * row["tokens"]} for row in rows], "more unique tokens"),
        (lambda rows: rows[:2], "at least"),
        (lambda rows: [], "columns"),
    ],
)
def test_a_bad_table_is_refused(spoil, message: str) -> None:
    with pytest.raises(EstimateError, match=message):
        repetition_constants(records_of(spoil(drawn())), **LAW, search="lowest")


def test_the_tied_fit_needs_runs_of_few_epochs() -> None:
    with pytest.raises(EstimateError, match="Raise max_epochs"):
        tied_fit(records_of(drawn()), max_epochs=1.0)


def test_an_unknown_selection_of_runs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("name,params,tokens,unique_tokens,loss,epochs\nx,1e8,1e9,1e9,3.0,1\n")
    context = Context(files={"datablations_runs": path})
    assert run(Config(), context) == [{"params": 1e8, "tokens": 1e9, "unique_tokens": 1e9, "loss": 3.0}]
    with pytest.raises(ValueError, match="fitted or all"):
        run(Config(runs="some"), context)
