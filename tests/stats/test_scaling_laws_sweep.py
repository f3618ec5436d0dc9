import doctest
import math
import sys
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from repro.schema.errors import EstimateError
from repro.stats.scaling_laws import Counting, Sweep, approach1, approach2, approach3, isoflop_exponent, read_sweep
from repro.stats.scaling_laws.law import Array
from scaling_law_runs import drawn_runs, record, records_of

TABLE: Mapping[str, list[float]] = {
    "params": [1e7, 2e7, 4e7, 8e7, 1e7, 2e7, 4e7],
    "tokens": [8e9, 4e9, 2e9, 1e9, 8e10, 4e10, 2e10],
    "loss": [3.1, 3.0, 3.05, 3.2, 2.7, 2.6, 2.65],
}


def changed(**columns: object) -> dict[str, object]:
    return {**TABLE, **columns}


def put(name: str, row: int, value: object) -> dict[str, object]:
    return changed(**{name: [value if i == row else v for i, v in enumerate(TABLE[name])]})


def read(table: object, **how: object) -> Sweep:
    return read_sweep(table, **{"counting": "none", **how})  # type: ignore[arg-type]


@pytest.mark.parametrize("module", ["approach1", "isoflop", "approach3", "sweep", "counting"])
def test_examples_in_the_documentation(module: str) -> None:
    found = doctest.testmod(sys.modules[f"repro.stats.scaling_laws.{module}"])
    assert found.attempted > 1
    assert found.failed == 0


def test_every_kind_of_table_gives_one_sweep() -> None:
    rows = [dict(zip(TABLE, row, strict=True)) for row in zip(*TABLE.values(), strict=True)]
    tables = [
        TABLE,
        {name: np.array(values) for name, values in TABLE.items()},
        pd.DataFrame(TABLE),
        pd.DataFrame(TABLE).convert_dtypes(),
        rows,
        [record([row], {}, i) for i, row in enumerate(rows)],
        [record(rows[:3], {}, 0), record(rows[3:], {}, 1)],
    ]
    for table in tables:
        sweep = read(table)
        assert sweep.params.tolist() == TABLE["params"]
        assert sweep.loss.tolist() == TABLE["loss"]
        assert (sweep.runs, sweep.diverged, sweep.flops, sweep.budget) == (7, 0, None, None)


def test_columns_may_have_other_names_and_compute_may_be_derived() -> None:
    foreign = {"N": TABLE["params"], "D": TABLE["tokens"], "val": TABLE["loss"]}
    names = {"params": "N", "tokens": "D", "loss": "val"}
    sweep = read(foreign, columns=names, derive="flops")
    assert sweep.flops == pytest.approx(6 * np.array(TABLE["params"]) * TABLE["tokens"])
    back = read({"N": TABLE["params"], "C": sweep.flops, "val": TABLE["loss"]},
                columns={"params": "N", "flops": "C", "loss": "val"}, derive="tokens")  # fmt: skip
    assert back.tokens == pytest.approx(TABLE["tokens"])


@pytest.mark.parametrize(
    ("counting", "columns", "used"),
    [
        ("none", ["params_total", "params_non_embedding"], "params_non_embedding"),
        ("embedding+head", ["params_total", "params_non_embedding"], "params_total"),
        ("embedding+head+attention", ["params", "params_non_embedding"], "params"),
        ("head+attention", ["params_with_head", "params"], "params_with_head"),
        ("unstated", ["params"], "params"),
        ("none", ["params"], "params"),
    ],
)
def test_counting_chooses_the_column_and_is_reported(counting: str, columns: list[str], used: str) -> None:
    sizes = {name: [(k + 1) * n for n in TABLE["params"]] for k, name in enumerate(columns)}
    sweep = read({**sizes, "tokens": TABLE["tokens"], "loss": TABLE["loss"]}, counting=counting)
    assert sweep.params_column == used
    assert sweep.params.tolist() == sizes[used]
    assert str(Counting.of(counting)) in sweep.note
    assert Counting.of(sweep.counting.name) == sweep.counting


def test_a_count_that_another_column_contradicts_is_refused() -> None:
    table = {
        "params": TABLE["params"],
        "params_total": TABLE["params"],
        "tokens": TABLE["tokens"],
        "loss": TABLE["loss"],
    }
    with pytest.raises(EstimateError, match="no column 'params_non_embedding'"):
        read(table, counting="none")


@pytest.mark.parametrize("counting", ["", "embeddings", "embedding+embedding", "kaplan", "embedding,head"])
def test_a_counting_that_says_nothing_is_refused(counting: str) -> None:
    with pytest.raises(EstimateError, match="counting must say what N and C include"):
        read(TABLE, counting=counting)
    with pytest.raises(TypeError, match="counting"):
        read_sweep(TABLE)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"params": [1e7], "tokens": [1e9], "Loss": [3.0]}, "no column 'loss'. Did you mean 'Loss'"),
        ({"params": [1e7], "loss": [3.0]}, "no column 'tokens'"),
        (changed(loss=["3.1"] * 7), "must hold numbers; row 0 has '3.1'"),
        (put("params", 2, "40M"), "row 2 has '40M'"),
        (put("tokens", 1, True), "row 1 has True"),
        (put("params", 3, math.nan), "'params' of a sweep must be a number above zero in every finished run; 1 are not"),
        (put("tokens", 3, math.inf), "'tokens' of a sweep must be a number above zero"),
        (put("tokens", 0, 0.0), "row 0: 0"),
        (put("params", 0, -1e7), "row 0: -1e.07"),
        (put("loss", 0, -3.0), "'loss' of a sweep must be"),
        (changed(loss=TABLE["loss"][:-1]), "differ in length: params has 7, tokens has 7, loss has 6"),
        (changed(loss=[math.nan] * 7), "got none .7 diverged"),
        ({}, "has no rows"),
        ([], "has no rows"),
        ({"params": [], "tokens": [], "loss": []}, "has no rows"),
        ({"params": 1e7, "tokens": [1e9], "loss": [3.0]}, "one value a row"),
        ("runs.csv", "not from str"),
        (7, "not from int"),
        ([1.0, 2.0], "mappings or trial records, not float"),
        ({name: [*values, values[2]] for name, values in TABLE.items()}, "repeat another exactly .rows 2 and 7"),
    ],
)  # fmt: skip
def test_bad_tables_are_refused(table: object, said: str) -> None:
    with pytest.raises(EstimateError, match=said):
        read(table)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"columns": {"parms": "N"}}, "no role of a sweep. Did you mean 'params'"),
        ({"derive": "budget"}, "derive must be 'flops'"),
        ({"derive": "flops", "counting": "embedding+attention"}, "6ND has no attention"),
        ({"derive": "tokens"}, "no column 'flops'"),
    ],
)
def test_bad_arguments_are_refused(how: dict, said: str) -> None:
    with pytest.raises(EstimateError, match=said):
        read(TABLE, **how)


def test_rows_alike_are_runs_if_their_seed_tells_them_apart() -> None:
    twice = {name: values * 2 for name, values in TABLE.items()}
    assert len(read({**twice, "seed": [0] * 7 + [1] * 7})) == 14
    with pytest.raises(EstimateError, match="7 rows"):
        read({**twice, "seed": [0] * 14})


def test_diverged_runs_are_counted_and_decide_nothing() -> None:
    sweep = read(put("loss", 2, math.inf) | {"run": list("abcdefg")})
    assert (len(sweep), sweep.diverged, sweep.flags) == (6, 1, ("diverged",))
    assert "1 runs diverged" in sweep.note
    lost = [math.nan if n == 1e7 else loss for n, loss in zip(TABLE["params"], TABLE["loss"], strict=True)]
    two_rows_of_one = read({**changed(loss=lost), "run": list("abcdabc")})
    assert (two_rows_of_one.diverged, two_rows_of_one.runs) == (1, 3)
    runs = drawn_runs(n=40, noise=0.01)
    runs["loss"][3] = math.nan
    fit = approach3(read(runs), bootstrap=50)
    assert {estimate.flags for estimate in fit.values()} == {("diverged",)}


def budgets(values: list[float]) -> dict[str, object]:
    return changed(budget=values)


def test_nearly_equal_budgets_are_one_within_the_tolerance() -> None:
    near = [1e18, 1.02e18, 0.99e18, 1e18, 1e19, 1.01e19, 1e19]
    assert len(np.unique(read(budgets(near)).budget)) == 5
    grouped = read(budgets(near), budget_tolerance=0.05).budget
    assert grouped is not None
    assert len(np.unique(grouped)) == 2
    assert grouped[0] == pytest.approx(np.exp(np.log(near[:4]).mean()))
    with pytest.raises(EstimateError, match="form a chain"):
        read(budgets([1e18 * 1.04**k for k in range(7)]), budget_tolerance=0.05)


def test_approaches_say_what_a_sweep_lacks() -> None:
    with pytest.raises(EstimateError, match="need budgets"):
        approach2(read(TABLE))
    with pytest.raises(EstimateError, match="column 'flops', or derive='flops'"):
        approach1(read(TABLE), rows="curves")
    with pytest.raises(EstimateError, match="rows must be one of curves, finals"):
        approach1(read(TABLE, derive="flops"), rows="runs")
    with pytest.raises(EstimateError, match="of must be one of params, tokens"):
        approach2(read(budgets([1e18] * 7)), of="param")
    assert approach2(read(budgets([1e18] * 7))).note.startswith("one budget gives no slope")
    ungrouped = approach2(read(budgets([1e18 * 1.01**k for k in range(7)])))
    assert ungrouped.value is None
    assert "unless budget_tolerance groups them" in ungrouped.note


def law(params: Array, tokens: Array) -> Array:
    noise = np.random.default_rng(0).normal(0, 0.01, len(params))
    return np.asarray((1.8 + 480 / params**0.35 + 2000 / tokens**0.37) * np.exp(noise))


def sized(params: Array, tokens: Array) -> dict[str, Array]:
    return {"params": params, "tokens": tokens, "loss": law(params, tokens)}


SIZES = np.geomspace(6e7, 1.6e10, 40)
JITTER = np.random.default_rng(1).normal(0, 0.005, 40)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (sized(SIZES, 20 * SIZES), "ln N and ln D lie on a line"),
        (sized(SIZES, 20 * SIZES * np.exp(JITTER)), "ln N and ln D lie on a line"),
        (sized(SIZES, 1e20 / 6 / SIZES), "ln N and ln D lie on a line"),
        (sized(np.full(40, 1e9), np.geomspace(1e9, 1e12, 40)), "All runs have equal sizes N"),
        (sized(SIZES, np.full(40, 1e10)), "All runs have equal numbers of tokens D"),
        (sized(np.repeat([1e9, 1.1e9], 20), np.geomspace(1e9, 1e12, 40)), "do not identify the five constants"),
        (sized(np.tile(SIZES[::10], 2), np.repeat([1e9, 3e10], 4)), "do not identify the five constants"),
        ({**sized(SIZES, SIZES[::-1].copy() ** 2), "loss": np.linspace(2, 3, 40)}, "ln N and ln D lie on a line"),
        (
            {**drawn_runs(n=40), "loss": np.random.default_rng(0).uniform(2, 3, 40)},
            "a scaling law needs both above zero",
        ),
        ({k: v[:5] for k, v in drawn_runs(n=40).items()}, "need more than five runs, got 5"),
    ],
)
def test_sizes_that_identify_no_law_are_refused(table: dict, said: str) -> None:
    with pytest.raises(EstimateError, match=said):
        approach3(read(table), bootstrap=50)


def test_checkpoints_are_drawn_with_their_run() -> None:
    runs = drawn_runs(n=30, noise=0.01)
    copies = {name: np.repeat(values, 4) for name, values in runs.items()}
    copies["tokens"] = copies["tokens"] * np.tile([1.0, 1.001, 1.002, 1.003], 30)  # all but copies of 30 runs
    by_run = approach3(read({**copies, "run": np.repeat(np.arange(30), 4)}), bootstrap=200)["alpha"]
    single, as_if_free = (approach3(read(table), bootstrap=200)["alpha"] for table in (runs, copies))
    assert (by_run.n, by_run.dof) == (30, 25)
    assert by_run.se == pytest.approx(single.se, rel=0.25)
    assert as_if_free.se < 0.7 * by_run.se


def test_leaving_out_budgets_widens_the_error_where_a_budget_is_off() -> None:
    budget = np.repeat([1e18, 1e19, 1e20, 1e21], 9)
    params = np.sqrt(budget / 120) * np.tile(np.geomspace(0.2, 5, 9), 4)
    table = {"params": params, "tokens": budget / 6 / params, "budget": budget}
    loss = law(params, budget / 6 / params)
    even = approach3(read({**table, "loss": loss}), bootstrap=200)["beta"]
    off = approach3(read({**table, "loss": loss * np.where(budget == 1e20, 1.03, 1.0)}), bootstrap=200)["beta"]
    assert off.extras["se_leave_one_budget_out"] > 2 * off.extras["se_runs"]
    assert off.se == off.extras["se_leave_one_budget_out"]
    assert off.dof == 2
    assert even.se == max(even.extras["se_leave_one_budget_out"], even.extras["se_runs"])


def test_a_published_table_is_read_once_however_many_replicates_read_it() -> None:
    rows = [
        {"budget": c, "params": n, "tokens": c / 6 / n, "loss": float(1.8 + 480 / n**0.35 + 2000 / (c / 6 / n) ** 0.37)}
        for c in (1e18, 1e19, 1e20)
        for n in np.sqrt(c / 120) * np.geomspace(0.3, 5, 7)
    ]
    found = isoflop_exponent(records_of(rows), counting="unstated", bootstrap=100)
    assert (found.n, found.flags) == (3, ())
    assert found.value == pytest.approx(0.37 / 0.72, abs=0.01)


PROFILES = {
    "budget": np.repeat([1e18, 3e18, 1e19, 3e19, 1e20], 7).tolist(),
    "params": (
        np.sqrt(np.repeat([1e18, 3e18, 1e19, 3e19, 1e20], 7) / 120) * np.tile(np.geomspace(0.2, 5, 7), 5)
    ).tolist(),
}
PROFILES["tokens"] = [c / 6 / n for c, n in zip(PROFILES["budget"], PROFILES["params"], strict=True)]
PROFILES["loss"] = law(np.array(PROFILES["params"]), np.array(PROFILES["tokens"])).tolist()


def test_without_tokens_the_size_has_an_exponent_and_nothing_else_has() -> None:
    known = approach2(read(PROFILES), bootstrap=50)
    sweep = read({name: values for name, values in PROFILES.items() if name != "tokens"})
    found = approach2(sweep, bootstrap=50)
    assert (found.value, found.se) == (known.value, known.se)
    assert found.extras["bias_bar"] is None
    assert "no bias bar, because no law can be fitted to the sweep (The sweep has no training tokens D" in found.note
    for attempt in (lambda: approach2(sweep, of="tokens"), lambda: approach3(sweep)):
        with pytest.raises(EstimateError, match="no training tokens D, which this estimate needs"):
            attempt()
    derived = read({**sweep_table(sweep), "flops": PROFILES["budget"]}, derive="tokens")
    assert derived.tokens == pytest.approx(PROFILES["tokens"])


def sweep_table(sweep: Sweep) -> dict[str, object]:
    return {"params": sweep.params, "loss": sweep.loss, "budget": sweep.budget}


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([None] * 7, "is empty in 7 rows"),
        ([1.0, 2.0, math.nan, 3.0, 4.0, 5.0, 6.0], "is empty in 1 rows .row 2"),
        ([0] * 7, "must have one size; run 0.0 has N from 1e.07 to 8e.07"),
    ],
)
def test_labels_that_would_merge_runs_are_refused(labels: list[object], said: str) -> None:
    with pytest.raises(EstimateError, match=said):
        read(changed(run=labels))


def test_run_and_seed_may_have_other_names_but_must_be_there() -> None:
    twice: dict[str, list[object]] = {name: list(values) * 2 for name, values in TABLE.items()}
    assert len(read({**twice, "rng": [0] * 7 + [1] * 7}, columns={"seed": "rng"})) == 14
    assert read({**twice, "job": [*range(7)] * 2, "seed": [0] * 7 + [1] * 7}, columns={"run": "job"}).runs == 7
    for role in ("run", "seed"):
        with pytest.raises(EstimateError, match=f"no column 'job' for its {role}"):
            read(TABLE, columns={role: "job"})


def test_numbers_of_any_type_are_numbers() -> None:
    exact = read(
        changed(loss=[Decimal(str(v)) for v in TABLE["loss"]], params=[Fraction(int(v)) for v in TABLE["params"]])
    )
    assert exact.loss.tolist() == TABLE["loss"]
    assert exact.params.tolist() == TABLE["params"]
    assert read(put("loss", 0, Decimal("NaN"))).diverged == 1
    assert read(put("loss", 0, 1e300)).diverged == 1
    with pytest.raises(EstimateError, match="'params' of a sweep must be a number above zero"):
        read(put("params", 0, 10**400))


def test_a_column_that_a_frame_has_twice_is_refused() -> None:
    frame = pd.DataFrame(TABLE)
    with pytest.raises(EstimateError, match="several columns named loss"):
        read(pd.concat([frame, frame["loss"]], axis=1))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"columns": ["params"]}, "columns maps roles"),
        ({"columns": {"params": "tokens", "tokens": "tokens"}}, "reads params and tokens from one column, 'tokens'"),
        ({"budget_tolerance": -0.1}, "budget_tolerance is a share"),
        ({"budget_tolerance": math.nan}, "budget_tolerance is a share"),
        ({"budget_tolerance": 1.0}, "budget_tolerance is a share"),
    ],
)
def test_arguments_of_no_use_are_refused(how: dict, said: str) -> None:
    with pytest.raises(EstimateError, match=said):
        read(TABLE, **how)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"bootstrap": 0}, "bootstrap must be a whole number of at least 20, not 0"),
        ({"bootstrap": 1}, "at least 20, not 1"),
        ({"bootstrap": 50.5}, "at least 20, not 50.5"),
        ({"bootstrap": True}, "at least 20, not True"),
        ({"min_points": 2}, "min_points must be a whole number of at least 3"),
        ({"window": -0.1}, "window must be a width of 0 or more"),
        ({"window": math.nan}, "window must be a width of 0 or more"),
    ],
)
def test_settings_that_would_give_no_error_are_refused(how: dict, said: str) -> None:
    with pytest.raises(EstimateError, match=said):
        approach2(read(PROFILES), **how)
    if "bootstrap" in how:
        with pytest.raises(EstimateError, match=said):
            approach3(read(PROFILES), **how)
        with pytest.raises(EstimateError, match=said):
            approach1(read(PROFILES, derive="flops"), rows="finals", **how)


def test_a_fit_that_hangs_on_one_budget_says_so() -> None:
    """Without the third budget, N is the same everywhere."""
    runs = drawn_runs(n=40, noise=0.01)
    budget = np.repeat([1e18, 1e19, 1e20], [10, 10, 20])
    runs["params"][:20] = 1e9
    fit = approach3(read({**sized(runs["params"], runs["tokens"]), "budget": budget}), bootstrap=50)["a"]
    assert "heavy_tailed" in fit.flags
    assert "without the budget of 1e+20 FLOPs" in fit.note
    assert "se_leave_one_budget_out" not in fit.extras
