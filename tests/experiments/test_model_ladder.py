import math
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

from experiments.scaling_laws.model_ladder import Config, run
from experiments.scaling_laws.model_ladder_estimators import extrapolation, ladder_cost
from repro.schema.context import Context
from repro.schema.errors import EstimateError
from scaling_law_runs import records_of

NAMES = ("olmo_ladder_curves", "olmo2_7b_eval_curve", "olmo2_13b_eval_curve")


def drawn(noise=0.0, seed=0, sizes=(1e8, 3e8, 9e8, 2.7e9), multiples=(0.5, 1, 2, 5, 10)):
    """A ladder that is not in the tables, with a target ten times its largest model."""
    rng = np.random.default_rng(seed)

    def row(n, d, multiple, target):
        loss = (1.9 + 400 / n**0.33 + 1200 / d**0.35) * math.exp(rng.normal(0, noise))
        named = {"chinchilla_multiple": multiple, "rerun": 0.0, "target": target, "flops_of_run": 6 * n * d}
        return {"params": n, "tokens": d, "loss": loss, **named}

    rows = [row(n, 20 * n * m, m, 0.0) for n in sizes for m in multiples]
    return [*rows, {**rows[0], "rerun": 1.0, "loss": 99.0}, row(2.7e10, 5e12, 0.0, 1.0)]


def published(**config):
    folder = Path(os.environ.get("REPRO_DATA", "")) / "scaling"
    if not (folder / "olmo_ladder_curves.csv").is_file():
        pytest.skip("REPRO_DATA has no scaling/olmo_ladder_curves.csv")
    return records_of(run(Config(**config), Context(files={name: folder / f"{name}.csv" for name in NAMES})), config)


def test_the_law_of_another_ladder_extrapolates() -> None:
    parts = extrapolation(records_of(drawn()), target=2.7e10, fit_up_to=3e9, bootstrap=50)
    assert parts["relative_error"].value == pytest.approx(0, abs=1e-6)
    assert parts["predicted"].value == pytest.approx(parts["measured"].value, rel=1e-8)


def test_noise_is_seen_in_the_interval() -> None:
    inside = []
    for seed in range(5):
        part = extrapolation(records_of(drawn(0.003, seed)), target=2.7e10, fit_up_to=3e9, bootstrap=50)[
            "relative_error"
        ]
        inside.append(part.extras["relative_error_low"] < 0 < part.extras["relative_error_high"])
        assert min(part.extras["se_runs"], part.extras["se_sizes"]) > 0
    assert sum(inside) >= 4


def test_the_authors_prediction_is_met_in_every_digit_that_a_fit_can_have() -> None:
    parts = extrapolation(published(), target=13.2024e9, fit_up_to=1.3e9, bootstrap=50)
    assert parts["predicted"].value == pytest.approx(2.3443873053175697, rel=1e-8)
    assert parts["measured"].value == pytest.approx(2.437876033782959, rel=1e-12)
    assert parts["fit_error"].value == pytest.approx(0.24730743790536483, rel=1e-6)
    assert parts["predicted"].note.startswith("fitted to 16 runs of 4 sizes")


def test_the_optimum_is_that_of_scipy_from_the_authors_start() -> None:
    (record, _) = published()
    rows = [r for r in record.rows if r["params"] < 1.3e9 and r["chinchilla_multiple"] >= 1 and not r["rerun"]]
    n, d, y = (np.array([r[name] for r in rows]) for name in ("params", "tokens", "loss"))

    def objective(p):
        r = np.log(np.exp(p[0]) / n ** p[2] + np.exp(p[1]) / d ** p[3] + p[4]) - np.log(y)
        return 1e6 * np.where(np.abs(r) < 1e-3, 0.5 * r**2, 1e-3 * (np.abs(r) - 0.5e-3)).sum()

    options = {"xatol": 1e-10, "fatol": 1e-12, "maxiter": 20000, "maxfev": 20000, "adaptive": True}
    start = minimize(objective, (3.0, 6.0, 0.1, 0.2, 1.0), method="Nelder-Mead", options=options).x
    a, b, alpha, beta, E = minimize(objective, start, method="Nelder-Mead", options=options).x
    predicted = math.exp(a) / 13202396160**alpha + math.exp(b) / 5000088518656**beta + E
    assert predicted == pytest.approx(2.34439, abs=2e-3)


def test_cost_is_the_share_of_the_targets_compute() -> None:
    rows = drawn()
    spent = sum(r["flops_of_run"] for r in rows if r["chinchilla_multiple"] >= 1 and not r["rerun"])
    assert ladder_cost(records_of(rows), fit_up_to=3e9).value == pytest.approx(100 * spent / (6 * 2.7e10 * 5e12))
    with pytest.raises(EstimateError, match="marks no row as a target"):
        ladder_cost(records_of(rows[:-1]), fit_up_to=3e9)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda rows: [{k: v for k, v in row.items() if k != "rerun"} for row in rows], "rerun"),
        (lambda rows: [{**row, "loss": math.nan} for row in rows], "missing"),
        (lambda rows: [{**row, "params": -1.0} for row in rows], "not above zero"),
        (lambda rows: [row for row in rows if row["params"] in (1e8, 3e8, 2.7e10)], "three sizes"),
        (lambda rows: [row for row in rows if row["chinchilla_multiple"] in (0, 1)], "more than five runs"),
        (lambda rows: rows[:-1], "needs a target"),
        (lambda rows: [], "columns"),
    ],
)
def test_a_bad_table_is_refused(spoil, message: str) -> None:
    with pytest.raises(EstimateError, match=message):
        extrapolation(records_of(spoil(drawn())), target=2.7e10, fit_up_to=3e9)


def test_the_last_evaluations_of_a_run_are_averaged(tmp_path: Path) -> None:
    header = "run,size,xC,rerun,params_n,flops_per_token,_step,c4_en_loss,total_tokens"
    lines = [
        f"x,1M,1.0,False,1000000,6000000,{step},{loss},{step}000" for step, loss in ((30, 3.0), (10, 9.0), (20, 4.0))
    ]
    (tmp_path / "olmo_ladder_curves.csv").write_text("\n".join([header, *lines]))
    for name in NAMES[1:]:
        (tmp_path / f"{name}.csv").write_text("_step,eval/c4_en-validation/CrossEntropyLoss\n100,2.0\n200,1.0\n")
    rows = run(Config(average_last=2), Context(files={name: tmp_path / f"{name}.csv" for name in NAMES}))
    assert [row["loss"] for row in rows] == [3.5, 1.5, 1.5]
    assert rows[0]["tokens"] == 30000
    assert rows[2]["tokens"] == 200 * 2048 * 4096
    assert [row["target"] for row in rows] == [0, 1, 1]
