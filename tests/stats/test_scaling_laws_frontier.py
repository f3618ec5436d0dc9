import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.stats.scaling_laws.frontier_loss import frontier_loss_exponent
from repro.stats.scaling_laws.law import ParametricLaw
from scaling_law_runs import record

BUDGETS = [3e13 * 4.0**k for k in range(5)]
LAW = ParametricLaw(E=0.6, A=8.0, B=20.0, alpha=0.2, beta=0.2)
VOCABULARY, CONTEXT = 256, 256


def total(non_embedding: np.ndarray) -> np.ndarray:
    """N with the embedding, for models 48 times as wide as deep."""
    return np.asarray(non_embedding + VOCABULARY * (4 * non_embedding) ** (1 / 3))


def runs(law: ParametricLaw = LAW, noise: float = 0.0, seed: int = 0, sizes: int = 7) -> list[TrialRecord]:
    """Runs laid out at equal C with embedding, head and attention, centred on the best size there."""
    rng = np.random.default_rng(seed)
    ladder = 2e4 * 1.6 ** np.arange(40)
    width = (4 * ladder) ** (1 / 3)
    depth = width / 48
    found = []
    for budget in BUDGETS:
        tokens = budget / (6 * total(ladder) + 6 * depth * CONTEXT * width)
        losses = law.loss(total(ladder), tokens)
        first = int(losses.argmin()) - sizes // 2
        for k in range(first, first + sizes):
            row = {"budget": budget, "flops": budget, "tokens": tokens[k], "params": total(ladder)[k]}
            row |= {"params_non_embedding": ladder[k], "loss": losses[k] + noise * rng.normal(), "epochs": 1.0}
            found.append(record([row], {"d_model": k}, len(found)))
    return found


def true_exponent(low: float, high: float, law: ParametricLaw = LAW) -> float:
    """Search the best size outside the embedding at both ends of Kaplan's compute."""
    sizes = np.exp(np.linspace(math.log(1e3), math.log(1e9), 40_001))
    best = [float(law.loss(total(sizes), compute / 6 / sizes).min()) for compute in (low, high)]
    return math.log(best[0] / best[1]) / math.log(high / low)


@pytest.mark.parametrize(
    ("law", "tolerance"),
    [
        (LAW, 0.001),
        (ParametricLaw(E=1.0, A=111.0, B=300.0, alpha=0.34, beta=0.34), 0.002),
        (ParametricLaw(E=1.0, A=40.0, B=300.0, alpha=0.30, beta=0.34), 0.002),
    ],
)
def test_the_exponent_is_that_of_a_search_over_sizes(law: ParametricLaw, tolerance: float) -> None:
    found = frontier_loss_exponent(runs(law), counting="none", bootstrap=50)
    low, high = (found.extras[name] for name in ("flops_low", "flops_high"))
    assert low is not None
    assert high is not None
    assert found.value == pytest.approx(true_exponent(low, high, law), abs=tolerance)
    assert (found.dof, found.n, found.unit, found.flags) == (3, 5, "budget", ())


def test_a_pure_power_law_is_straight() -> None:
    found = frontier_loss_exponent(
        runs(ParametricLaw(E=1e-12, A=8.0, B=20.0, alpha=0.2, beta=0.2)), counting="embedding+head", bootstrap=50
    )
    # αβ/(α + β) = 0.1 under C = 6ND.
    assert found.value == pytest.approx(0.1, abs=0.001)
    assert found.extras["exponent_low"] == pytest.approx(found.extras["exponent_high"], abs=0.005)


def test_counting_less_makes_the_line_less_steep() -> None:
    less, more = (
        frontier_loss_exponent(runs(), counting=name, bootstrap=50).value for name in ("none", "embedding+head")
    )
    assert less is not None
    assert more is not None
    assert less < more


def test_the_interval_holds_the_truth() -> None:
    held = 0
    for seed in range(100):
        found = frontier_loss_exponent(runs(noise=0.005, seed=seed), counting="none", bootstrap=60)
        assert found.value is not None
        assert found.se is not None
        low, high = (found.extras[name] for name in ("flops_low", "flops_high"))
        held += abs(found.value - true_exponent(low, high)) < t.ppf(0.95, found.dof) * found.se  # type: ignore[arg-type]
    assert held >= 87


def test_repeated_text_and_diverged_runs_are_flagged() -> None:
    records = runs()
    often = [replace(records[0], rows=({**records[0].rows[0], "epochs": 5.0},)), *records[1:]]
    assert frontier_loss_exponent(often, counting="none", bootstrap=50).flags == ("repeated_data",)
    gone = [replace(records[0], status="diverged"), *records[1:]]
    assert frontier_loss_exponent(gone, counting="none", bootstrap=50).flags == ("diverged",)


def test_too_little_is_refused() -> None:
    records = runs()
    few = [r for r in records if r.value("budget") < 1e15]
    with pytest.raises(EstimateError, match="needs 4 budgets and 8 runs, got 3 and 21"):
        frontier_loss_exponent(few, counting="none")
    falling = [replace(r, rows=({**r.rows[0], "loss": 10 - math.log(r.value("params")) / 10},)) for r in records]
    with pytest.raises(EstimateError, match="no valley"):
        frontier_loss_exponent(falling, counting="none")
