"""Several arms against a common one, paired by seed."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from repro.schema.errors import EstimateError
from repro.stats.paired_arms import paired_differences, relative_penalty
from scaling_law_runs import record

CYCLES = {1.0: 2.0, 1.25: 2.01, 1.5: 2.05, 5.0: 2.2}
EPOCHS = {1.0: (409600.0, 2.0), 4.02: (101900.0, 2.01), 16.0: (25600.0, 2.3)}


def by_cycle(seeds=6, noise=0.01):
    rng = np.random.default_rng(3)
    runs = []
    for seed in range(seeds):
        shared = rng.normal(0, 0.05)
        for cycle, loss in CYCLES.items():
            row = {"loss": loss + shared + noise * rng.standard_normal()}
            runs.append(record([row], {"cycle": cycle, "seed": seed}, seed))
    return runs


def by_epochs(seeds=6, noise=0.002):
    rng = np.random.default_rng(4)
    return [
        record(
            [{"loss": loss * (1 + noise * rng.standard_normal()), "epochs": epochs * (1 + 0.004 * seed)}],
            {"unique_tokens": unique, "seed": seed},
            seed,
        )
        for seed in range(seeds)
        for epochs, (unique, loss) in EPOCHS.items()
    ]


def values(runs, name, wanted):
    return np.array([r.value("loss") for r in runs if r.config[name] == wanted])


def test_differences_are_those_of_a_paired_t_test():
    runs = by_cycle()
    found = paired_differences(runs, column="loss", by="cycle", better=1.0, worse={"half": 1.5, "five": 5.0})
    assert list(found) == ["half", "five"]
    for part, cycle in (("half", 1.5), ("five", 5.0)):
        expected = stats.ttest_rel(values(runs, "cycle", cycle), values(runs, "cycle", 1.0))
        assert found[part].value / found[part].se == pytest.approx(expected.statistic)
        assert found[part].dof == expected.df
    between = np.mean(values(runs, "cycle", 1.25) - values(runs, "cycle", 1.0))
    assert found["half"].extras["cycle_1.25"] == pytest.approx(between)
    assert "cycle_1.5" not in found["half"].extras


def test_a_diverged_run_of_one_arm_leaves_the_other_parts_alone():
    runs = by_cycle()
    runs[3] = replace(runs[3], status="diverged", rows=())
    found = paired_differences(runs, column="loss", by="cycle", better=1.0, worse={"half": 1.5, "five": 5.0})
    assert "ranked" in found["five"].flags
    assert "ranked" not in found["half"].flags


def test_a_penalty_is_the_mean_of_ratios_in_per_cent():
    runs = by_epochs()
    found = relative_penalty(runs, column="loss", by="epochs", baseline=1.0, arms={"four": 4.0})["four"]
    ratios = 100 * (values(runs, "unique_tokens", 101900.0) / values(runs, "unique_tokens", 409600.0) - 1)
    assert found.value == pytest.approx(ratios.mean())
    assert found.se == pytest.approx(ratios.std(ddof=1) / np.sqrt(6))
    assert (found.dof, found.n) == (5, 6)
    assert found.units == pytest.approx(tuple(ratios))
    assert found.extras["epochs_16"] == pytest.approx(
        100 * (values(runs, "unique_tokens", 25600.0) / values(runs, "unique_tokens", 409600.0) - 1).mean()
    )


def test_penalties_do_not_hang_on_the_order_of_records():
    runs = by_epochs()
    forwards, backwards = (
        relative_penalty(each, column="loss", by="epochs", baseline=1.0, arms={"four": 4.0})["four"]
        for each in (runs, runs[::-1])
    )
    assert forwards.value == pytest.approx(backwards.value)
    assert forwards.units == pytest.approx(backwards.units)


def test_a_diverged_run_is_flagged_where_its_pair_is_incomplete():
    runs = by_epochs()
    runs[2] = replace(runs[2], status="diverged", rows=())
    found = relative_penalty(runs, column="loss", by="epochs", baseline=1.0, arms={"four": 4.0})["four"]
    assert found.flags == ("diverged",)
    with pytest.raises(EstimateError, match="Every replicate needs a trial at epochs = 16"):
        relative_penalty(runs, column="loss", by="epochs", baseline=1.0, arms={"sixteen": 16.0})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arms": {"eight": 8.0}}, "No finished trial has epochs = 8; there are 1, 4.02, 16"),
        ({"by": "epoch"}, "measured no 'epoch'. Did you mean 'epochs'"),
        ({"column": "los"}, "measured no 'los'"),
    ],
)
def test_what_is_not_there_is_named(change, message):
    arguments = {"column": "loss", "by": "epochs", "baseline": 1.0, "arms": {"four": 4.0}} | change
    with pytest.raises(EstimateError, match=message):
        relative_penalty(by_epochs(), **arguments)


def test_two_trials_of_one_seed_and_negative_values_are_refused():
    runs = by_epochs()
    with pytest.raises(EstimateError, match="replicate 0 has two trials"):
        relative_penalty([*runs, runs[0]], column="loss", by="epochs", baseline=1.0, arms={"four": 4.0})
    runs[0] = replace(runs[0], rows=({"loss": -1.0, "epochs": 1.0},))
    with pytest.raises(EstimateError, match="positive"):
        relative_penalty(runs, column="loss", by="epochs", baseline=1.0, arms={"four": 4.0})


def test_a_part_must_be_named():
    with pytest.raises(EstimateError, match="at least one part"):
        paired_differences(by_cycle(), column="loss", by="cycle", better=1.0, worse={})
