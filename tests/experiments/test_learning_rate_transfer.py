"""The point of muP: the best learning rate of a narrow model is the best of a wide one."""

from dataclasses import replace

import pytest

from experiments.scaling_laws.language_model import Config, run_batch
from repro.schema.context import Context

NARROW = Config(
    source="synthetic:1e5",
    vocabulary=64,
    tokens=100 * 16 * 32,
    n_layer=2,
    d_model=16,
    context=32,
    batch_tokens=512.0,
    batch_exponent=0.0,
    lr_exponent=0.0,
    min_steps=100,
    eval_tokens=32_768,
)
EXPONENTS = range(-8, -2)
"""Rates are powers of 2."""


def best_exponent(config: Config) -> float:
    """Return log2 of the best rate: the vertex of a parabola through the lowest loss and its two neighbours."""
    rows = run_batch([replace(config, lr=2.0**k) for k in EXPONENTS], [Context()] * len(EXPONENTS))
    losses = [row["loss"] for row in rows]
    lowest = losses.index(min(losses))
    assert 0 < lowest < len(losses) - 1
    before, at, after = losses[lowest - 1 : lowest + 2]
    return EXPONENTS[lowest] + (before - after) / 2 / (before - 2 * at + after)


@pytest.mark.slow
def test_a_rate_tuned_at_one_width_holds_at_four_times_it_under_mup_alone() -> None:
    """muP says that it does not move, and that otherwise it falls by a factor of 4; midway is a factor of 2."""
    tuned = best_exponent(NARROW)
    wide = replace(NARROW, d_model=64)
    assert abs(best_exponent(replace(wide, parametrization="mup", base_width=16)) - tuned) < 1
    assert best_exponent(wide) < tuned - 1
