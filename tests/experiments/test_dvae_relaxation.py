import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from experiments.image_generation.dvae_relaxation import (
    ARMS,
    Config,
    decode,
    encode,
    gumbel,
    initial_weights,
    kl_to_uniform,
    relaxed,
    run,
    sampled,
    temperature,
)
from repro.lab.seeding import generator
from repro.schema.context import Context

SMALL = Config(K=8, width=8, embedding=4, steps=5, batch=8, held_out=20, draws=2)


@pytest.mark.parametrize("tau", [1.0, 0.25, 1 / 16])
def test_the_relaxation_is_torchs_for_the_same_noise(tau: float) -> None:
    logits = torch.randn(50, 7, generator=generator("logits"))
    torch.manual_seed(5)
    theirs = F.gumbel_softmax(logits, tau=tau)
    torch.manual_seed(5)
    g = -torch.empty_like(logits).exponential_().log()  # what torch draws inside
    assert torch.allclose(relaxed(logits, g, tau), theirs, atol=1e-6)
    torch.manual_seed(5)
    assert torch.equal(sampled(logits, g), F.gumbel_softmax(logits, tau=tau, hard=True).round())


def test_the_noise_is_gumbels() -> None:
    g = gumbel((200_000,), generator("noise"), "cpu").double()
    assert float(g.mean()) == pytest.approx(0.5772156649, abs=0.015)
    assert float(g.var()) == pytest.approx(math.pi**2 / 6, abs=0.03)


def test_the_argmax_draws_from_the_softmax() -> None:
    logits = torch.tensor([0.0, 1.0, -1.0, 0.5])
    g = gumbel((100_000, 4), generator("draws"), "cpu")
    assert torch.allclose(sampled(logits, g).mean(0), logits.softmax(0), atol=0.01)


def test_the_kl_is_torchs() -> None:
    logits = torch.randn(5, 9, generator=generator("kl"))
    q, uniform = (
        torch.distributions.Categorical(logits=logits),
        torch.distributions.Categorical(logits=torch.zeros(5, 9)),
    )
    assert torch.allclose(kl_to_uniform(logits), torch.distributions.kl_divergence(q, uniform), atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.001, 10))
def test_the_relaxation_nears_the_draw_as_the_temperature_falls(seed: int, tau: float) -> None:
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(6, 5, generator=draw)
    g = gumbel((6, 5), draw, "cpu")
    distances = [(relaxed(logits, g, t) - sampled(logits, g)).abs().sum() for t in (tau, tau / 2)]
    assert distances[1] <= distances[0] + 1e-5
    assert torch.allclose(relaxed(logits, g, tau).sum(-1), torch.ones(6), atol=1e-5)


def test_the_schedules_begin_and_end_where_they_say() -> None:
    config = Config()
    ends = {arm: (temperature(arm, 0.0, config), temperature(arm, 1.0, config)) for arm in ARMS}
    assert ends == {"annealed": (1.0, 1 / 16), "fixed": (1.0, 1.0), "reversed": (1 / 16, 1.0)}
    falling = [temperature("annealed", step / 100, config) for step in range(101)]
    assert falling == sorted(falling, reverse=True)


def test_encoder_and_decoder_are_convolutions() -> None:
    config = SMALL
    w = {name: value.detach() + 0.1 for name, value in initial_weights(config, "cpu").items()}
    x = torch.rand(3, 1, 8, 8, generator=generator("x"))
    first = w["encode"][0].T.reshape(config.width, 1, 4, 4)
    h = F.relu(F.conv2d(x, first, w["encode_bias"][0, 0], stride=2, padding=1))
    expected = F.conv2d(h, w["logits"][0].T[:, :, None, None], w["logits_bias"][0, 0])
    logits = encode(w, x, config)[0].reshape(3, 4, 4, config.K).permute(0, 3, 1, 2)
    assert torch.allclose(logits, expected, atol=1e-5)

    y = torch.rand(3, 4, 4, config.K, generator=generator("y"))
    e = F.relu(y @ w["embed"][0] + w["embed_bias"][0, 0]).permute(0, 3, 1, 2)
    look = w["look"][0].T.reshape(config.width, config.embedding, 3, 3)
    h = F.relu(F.conv2d(e, look, w["look_bias"][0, 0], padding=1))
    pixels = F.conv2d(h, w["pixels"][0].T[:, :, None, None], w["pixels_bias"][0, 0])
    ours = decode(w, y.reshape(1, -1, config.K).expand(3, -1, -1), 4, config)
    assert torch.allclose(ours[0], F.pixel_shuffle(pixels, 2), atol=1e-5)


def test_a_trial_measures_every_arm_and_repeats() -> None:
    row = run(SMALL, Context())
    assert row == run(SMALL, Context())
    assert all(math.isfinite(value) for value in row.values())
    assert row["drop"] == row["gap_fixed"] - row["gap_annealed"]
    assert all(1 <= row[f"codes_{arm}"] <= SMALL.K for arm in ARMS)


def test_ending_at_a_high_temperature_leaves_a_gap() -> None:
    """The mechanism of the control: a decoder trained on a blur of codes is worse on single ones."""
    row = run(Config(K=16, width=16, embedding=8, steps=250, held_out=100, draws=2, seed=1001), Context())
    assert row["gap_fixed"] > 0
    assert row["remaining_reversed"] > 0.1
