"""Schedule, samplers, Fréchet distance and networks, each against an independent formulation."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from sklearn.datasets import load_digits

from experiments.image_generation.diffusion import ResidualMLP, alphas, batches, noised, parameters, train
from experiments.image_generation.digits import digits, frechet, train_classifier
from experiments.image_generation.glyphs import CELL, CHARACTERS, bitmaps, scenes
from experiments.image_generation.samplers import SAMPLERS, sample, sigma, sigma_hat, step, steps_of
from experiments.image_generation.unet import LATENT_CHANNELS, Autoencoder, UNet, train_autoencoder
from experiments.image_generation.worlds import chunked, network, world
from repro.schema.context import Context

T = 1000
LINEAR = {
    "num_train_timesteps": T,
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "clip_sample": False,
}


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_schedule_is_diffusers() -> None:
    ours, theirs = alphas(T), DDIMScheduler(**LINEAR).alphas_cumprod
    assert ours[0] == 1
    torch.testing.assert_close(ours[1:].float(), theirs, rtol=1e-4, atol=1e-7)


def test_noise_is_added_as_in_diffusers() -> None:
    x, eps, t = normal(4, 3, 8, 8), normal(4, 3, 8, 8, seed=1), torch.tensor([1, 10, 500, 1000])
    expected = DDIMScheduler(**LINEAR).add_noise(x, eps, t - 1)
    torch.testing.assert_close(noised(x, eps, alphas(T)[t]), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("S", [1, 10, 20, 50, 100, 1000])
def test_the_steps_are_those_that_diffusers_calls_leading(S: int) -> None:
    theirs = DDIMScheduler(**LINEAR, timestep_spacing="leading")
    theirs.set_timesteps(S)
    assert [t - 1 for t in steps_of(T, S)[:-1]] == theirs.timesteps.tolist()
    assert steps_of(T, S)[-1] == 0


def test_more_steps_than_there_are_are_refused() -> None:
    with pytest.raises(ValueError, match="takes 1 to 1000 steps, not 1001"):
        steps_of(T, 1001)


@pytest.mark.parametrize("sampler", ["ddim", "eta1"])
@pytest.mark.parametrize("S", [5, 50])
def test_every_step_of_eta_0_and_1_is_diffusers(sampler: str, S: int) -> None:
    theirs = DDIMScheduler(**LINEAR, timestep_spacing="leading", set_alpha_to_one=True)
    theirs.set_timesteps(S)
    alpha = alphas(T)
    for t, s in pairwise(steps_of(T, S)):
        x, eps, z = (normal(6, 4, seed=t + i).clamp(-3, 3) for i in range(3))
        noise = {} if sampler == "ddim" else {"eta": 1.0, "variance_noise": z}
        expected = theirs.step(eps, t - 1, x, **noise).prev_sample
        torch.testing.assert_close(step(x, eps, alpha[t], alpha[s], sampler, z), expected, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("S", [10, 1000])
def test_every_step_of_sigma_hat_is_diffusers_ddpm_with_its_large_variance(S: int) -> None:
    theirs = DDPMScheduler(**LINEAR, timestep_spacing="leading", variance_type="fixed_large")
    theirs.set_timesteps(S)
    alpha = alphas(T)
    for t, s in list(pairwise(steps_of(T, S)))[:: max(1, S // 20)]:
        x, eps = (normal(6, 4, seed=t + i) for i in range(2))
        expected = theirs.step(eps, t - 1, x, generator=torch.Generator().manual_seed(7)).prev_sample
        z = torch.randn(x.shape, generator=torch.Generator().manual_seed(7))
        torch.testing.assert_close(step(x, eps, alpha[t], alpha[s], "ddpm", z), expected, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("sampler", list(SAMPLERS))
def test_with_the_exact_noise_of_a_gaussian_all_samplers_find_it(sampler: str) -> None:
    """For x_0 from N(m, s²), E[ε | x_t] = √(1 − α) (x_t − √α m) / (α s² + 1 − α)."""
    alpha, m, s = alphas(T), 0.7, 0.4

    def eps(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        a = alpha[t][:, None]
        return ((1 - a).sqrt() * (x - a.sqrt() * m) / (a * s**2 + 1 - a)).float()

    found = sample(eps, normal(2000, 2), alpha, T, sampler, torch.Generator().manual_seed(1))
    assert found.mean().item() == pytest.approx(m, abs=0.03)
    assert found.std().item() == pytest.approx(s, rel=0.05)
    if sampler == "ddpm":  # with few steps its noise is far too large
        few = sample(eps, normal(2000, 2), alpha, 10, sampler, torch.Generator().manual_seed(1))
        assert few.std() > 1.1 * sample(eps, normal(2000, 2), alpha, 10, "ddim").std()


@given(st.integers(1, 999), st.data())
def test_sigma_hat_is_never_below_eta_1_which_leaves_a_real_direction(t: int, data: st.DataObject) -> None:
    s = data.draw(st.integers(0, t - 1))
    alpha = alphas(T)
    one = sigma(alpha[t], alpha[s], 1.0)
    assert sigma(alpha[t], alpha[s], 0.0) == 0
    assert sigma_hat(alpha[t], alpha[s]) >= one
    assert 1 - alpha[s] - one**2 >= -1e-12


def test_frechet_is_scipys() -> None:
    a, b = normal(300, 8).double() @ normal(8, 8, seed=2).double(), normal(200, 8, seed=1).double() + 0.3
    (mean_a, mean_b), (cov_a, cov_b) = (a.mean(0), b.mean(0)), (np.cov(a.T), np.cov(b.T))
    expected = float((mean_a - mean_b).square().sum()) + np.trace(cov_a + cov_b - 2 * sqrtm(cov_a @ cov_b).real)
    assert frechet(a, b) == pytest.approx(expected, rel=1e-8)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(-3, 3))
def test_frechet_is_symmetric_and_knows_shifts(seed: int, shift: float) -> None:
    a, b = normal(40, 4, seed=seed), normal(30, 4, seed=seed + 1)
    assert frechet(a, b) == pytest.approx(frechet(b, a), abs=1e-6)
    assert frechet(a, (a.double() + shift)) == pytest.approx(4 * shift**2, abs=1e-4)


def test_frechet_of_rank_deficient_and_of_infinite_features() -> None:
    a = normal(50, 4)
    a[:, 3] = 0
    assert frechet(a, a) == pytest.approx(0, abs=1e-6)
    a[0, 0] = math.inf
    assert math.isnan(frechet(a, normal(50, 4)))


def test_the_digits_and_their_classifier() -> None:
    data, theirs = digits(), load_digits()
    assert data.x.shape == (1797, 64)
    assert (data.x.min(), data.x.max()) == (-1, 1)
    np.testing.assert_array_equal(data.labels.numpy(), theirs.target)
    judge, right = train_classifier(data, epochs=8, seed=1)
    assert right > 0.9
    assert judge.features(data.x).shape == (1797, 32)
    assert not any(p.requires_grad for p in judge.parameters())


def test_every_image_is_seen_once_in_a_pass() -> None:
    seen = torch.cat(list(batches(10, 4, 5, torch.Generator().manual_seed(0))))
    assert sorted(seen[:10].tolist()) == list(range(10)) == sorted(seen[10:].tolist())


def test_training_lowers_the_loss_and_repeats() -> None:
    x, losses = digits().x[:200], []
    for steps in (20, 300, 300):
        net = network(x, 32, 1, seed=3, T=100)
        losses.append(train(net, x, T=100, steps=steps, batch=32, lr=3e-3, seed=3, context=Context()))
    assert losses[1] == losses[2] < 0.7 * losses[0]


def test_a_class_changes_the_prediction_and_its_absence_is_a_class() -> None:
    net = network(torch.zeros(1, 6), 16, 1, seed=0, T=1000, classes=3)
    x, t = normal(4, 6), torch.full((4,), 5)
    by_class = torch.stack([net(x, t, torch.full((4,), c)) for c in range(4)])
    assert len(by_class.flatten(1).unique(dim=0)) == 4
    assert parameters(net) == parameters(ResidualMLP(6, 16, 1)) + 4 * 16


def test_chunks_change_nothing() -> None:
    net, x, t = network(torch.zeros(1, 6), 16, 1, seed=0, T=1000), normal(7, 6), torch.arange(7)
    torch.testing.assert_close(chunked(net, 3, Context())(x, t), net(x, t))


def test_a_scene_is_made_of_glyphs() -> None:
    x, characters = scenes(5, 2, seed=1)
    assert x.shape == (5, 1, 64, 64)
    assert characters.shape == (5, 4)
    assert (x.min(), x.max() > 0) == (-1, True)
    # The lower left cell is the third: its ink is that of its character in one of the typefaces.
    cell = (x[0, 0, CELL:, :CELL] + 1).sum()
    inks = 2 * bitmaps()[characters[0, 2]].sum((1, 2))
    assert bool(((cell >= 0.499 * inks) & (cell <= 1.001 * inks)).any())
    assert bitmaps().sum((2, 3)).min() > 5
    assert len(CHARACTERS) == 62
    assert torch.equal(scenes(5, 2, seed=1)[0], x)


def test_unet_and_autoencoders_keep_their_shapes_and_learn() -> None:
    x, _ = scenes(8, 2, seed=0)
    for f, z in LATENT_CHANNELS.items():
        if f == 1:
            continue
        net = Autoencoder(f, 8)
        assert net.moments(x)[0].shape == (8, z, 64 // f, 64 // f)
        assert net.decoder(net.moments(x)[0]).shape == x.shape
    net = Autoencoder(2, 8)
    short, longer = (train_autoencoder(net, x, steps=n, batch=8, kl=1e-6, seed=0, context=Context()) for n in (1, 25))
    assert longer < short
    unet = UNet(2, 8, classes=3)
    assert unet(normal(2, 2, 16, 16), torch.tensor([1, 9]), torch.tensor([0, 3])).shape == (2, 2, 16, 16)


def test_the_planned_unet_has_the_size_that_the_study_says() -> None:
    with torch.device("meta"):
        sizes = {width: parameters(UNet(1, width)) for width in (64, 112)}
    assert sizes[64] == pytest.approx(3.4e6, rel=0.03)
    assert sizes[112] == pytest.approx(10.5e6, rel=0.03)


def test_an_unknown_world_is_refused() -> None:
    with pytest.raises(ValueError, match="digits, glyphs or scenes"):
        world("photographs", 10, 1, 0, "cpu")
    with pytest.raises(ValueError, match="there are 1797 digits"):
        world("digits", 2000, 1, 0, "cpu")
