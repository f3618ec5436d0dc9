from dataclasses import replace
from math import isclose

import pytest
from omegaconf import OmegaConf
from test_recomputed_claims import CONF, measure, misses

from experiments.scaling_laws.kaplan_exponents import Config, run
from repro.schema.context import Context

MISMATCHES = {
    "compute_min_exponent@equation_6_4": ["predicted", "fitted"],
    "overfitting_penalty@power_of_eight": [],
    "table6_exponents_add_up@sums": [],
}
"""What came out: the parts that do not match, by claim and protocol."""


@pytest.mark.parametrize("name", MISMATCHES)
def test_outcome_and_controls(name):
    claim_name, protocol_name = name.split("@")
    claim = OmegaConf.to_container(OmegaConf.load(CONF / f"claim/kaplan/{claim_name}.yaml"))
    protocol = claim["protocols"][protocol_name]
    assert misses(claim, measure(claim, protocol, {})) == MISMATCHES[name]
    for control in protocol["controls"].values():
        assert set(misses(claim, measure(claim, protocol, control["params"]))) > set(MISMATCHES[name])


def test_equation_6_4_by_minimising_the_loss_numerically():
    """L = N^−α_N + S^−α_S with C = 6NBS and B = L^(−1/α_B): minimised over N, ln L falls by α_C per ln C."""
    from scipy.optimize import brentq, minimize_scalar

    config = Config()

    def loss(log_n: float, log_c: float) -> float:
        def excess(log_l: float) -> float:
            log_s = log_c - log_n + log_l / config.alpha_B
            size, steps = 10 ** (-config.alpha_N * log_n), 10 ** (-config.alpha_S * log_s)
            return 10**log_l - size - steps

        return brentq(excess, -50, 50)

    def best(log_c: float) -> float:
        return minimize_scalar(lambda n: loss(n, log_c), bounds=(0, log_c), method="bounded").fun

    slope = (best(62.0) - best(60.0)) / 2
    assert -slope == pytest.approx(run(config, Context())["predicted"], rel=1e-3)


def test_printed_digits_leave_the_exponent_between_its_ends():
    row = run(Config(), Context())
    assert row["alpha_C_least"] < row["predicted"] == row["joint_model"] == row["fitted"] < row["alpha_C_most"]
    assert row["alpha_C_most"] - row["alpha_C_least"] < 0.0012
    assert row["optimal_params"] + row["optimal_batch"] + row["optimal_steps"] == pytest.approx(1)


def test_proportional_data_grow_with_the_model():
    row = run(replace(Config(), data_exponent=1.0, model_growth=3.0), Context())
    assert isclose(row["data_growth"], 3.0)
