"""Recipes of diffusion at their smallest, what their columns mean, and the estimators that judge them."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from experiments.image_generation import few_steps, guidance, latent_compression, published_sizes
from experiments.image_generation.digits import digits
from experiments.image_generation.few_steps_estimators import log_ratios, ratios
from experiments.image_generation.guidance_estimators import trends
from experiments.image_generation.latent_compression_estimators import inner_optimum
from repro.schema.context import Context
from repro.schema.errors import EstimateError
from trial_records import make_record

TINY = few_steps.Config(
    width=48,
    blocks=1,
    train_steps=400,
    drawn=200,
    classifier_epochs=5,
    S=(5, 20),
    again=(5,),
    reference_steps=40,
    compared=100,
)
TINY_GLYPHS = few_steps.Config(
    images="glyphs", number=24, drawn=6, width=8, train_steps=2, batch=4, classifier_epochs=1, S=(2,), again=(), reference_steps=2, compared=4
)  # fmt: skip


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_few_steps_runs_at_its_smallest_and_repeats() -> None:
    row = few_steps.run(TINY, Context())
    assert row == few_steps.run(TINY, Context())
    assert row["parameters"] == sum(
        (64 * 48 + 48, 48 * 64 + 64, 64 * 48 + 48, 2 * (48 * 48 + 48), 48 * 48 + 48, 2 * 2 * 48)
    )
    assert {f"fd_{sampler}_{S}" for sampler in ("ddim", "eta1", "ddpm") for S in (5, 20)} | {"fd_again_5"} <= set(row)
    assert 0 < row["fd_floor"] < row["fd_ddim_20"] < row["fd_noise"]
    assert row["flops"] == 6 * row["parameters"] * 400 * 128


def test_noise_of_its_own_breaks_the_bond_to_the_start() -> None:
    """The control of `ddim/latent_consistency`, in its mechanism."""
    row = few_steps.run(TINY, Context())
    assert row["same_ddim_20"] > row["same_eta1_20"] + 0.05


def test_correlation_is_numpys() -> None:
    a, b = normal(3, 2, 5), normal(3, 2, 5, seed=1) + 4
    expected = np.mean([np.corrcoef(x.flatten(), y.flatten())[0, 1] for x, y in zip(a.numpy(), b.numpy(), strict=True)])
    assert few_steps.correlation(a, b) == pytest.approx(expected)
    assert few_steps.correlation(a, 3 * a - 1) == pytest.approx(1)


def test_the_planned_large_scale_runs_at_toy_size() -> None:
    row = few_steps.run(TINY_GLYPHS, Context())
    assert math.isfinite(row["fd_ddpm_2"])
    assert row["same_ddim_2"] == pytest.approx(1)  # it is the reference itself
    assert "flops" not in row


def test_guidance_is_the_formula_and_none_at_w_0() -> None:
    tables = {"x": normal(5, 6)}

    def eps(x: torch.Tensor, t: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return x * (1 + c[:, None]) + t[:, None]

    x, t, c = tables["x"], torch.full((5,), 7), torch.arange(5)
    other, none = (c + 1) % 5, 9
    torch.testing.assert_close(guidance.guided(eps, c, c, none, 0.0)(x, t), eps(x, t, c))
    with_s = eps(x, t, torch.full((5,), none)) + 3.0 * (eps(x, t, c) - eps(x, t, torch.full((5,), none)))
    torch.testing.assert_close(guidance.guided(eps, c, c, none, 2.0)(x, t), with_s)  # s = 1 + w, as the paper writes it
    wrong = eps(x, t, c) + 2.0 * (eps(x, t, other) - eps(x, t, torch.full((5,), none)))
    torch.testing.assert_close(guidance.guided(eps, c, other, none, 2.0)(x, t), wrong)


def test_within_class_variance_is_numpys() -> None:
    x, labels = normal(12, 7), torch.arange(12) % 3
    expected = np.mean([x[labels == c].numpy().var(0, ddof=1).mean() for c in range(3)])
    assert guidance.within_class_variance(x, labels, 3) == pytest.approx(expected, rel=1e-5)


def test_guidance_runs_at_its_smallest_and_its_control_fails() -> None:
    config = guidance.Config(
        width=48, blocks=1, train_steps=500, S=10, per_class=20, classifier_epochs=8, w=(0.0, 1.0, 4.0)
    )
    rows = guidance.run(config, Context())
    assert [row["w"] for row in rows] == [0.0, 1.0, 4.0]
    assert rows[0]["agreement"] == rows[0]["agreement_other"]
    assert rows[2]["agreement_other"] < rows[0]["agreement_other"]
    assert all(row["real_variance"] == pytest.approx(0.17, abs=0.02) for row in rows)


def test_principal_components_are_scikit_learns() -> None:
    x = digits().x
    encode, decode = latent_compression.principal_components(x, 8)
    theirs = PCA(8, svd_solver="full").fit(x.numpy())
    np.testing.assert_allclose(
        decode(encode(x)).numpy(), theirs.inverse_transform(theirs.transform(x.numpy())), atol=1e-4
    )
    assert encode(x).shape == (1797, 8)
    everything = latent_compression.principal_components(x, 64)
    torch.testing.assert_close(everything[1](everything[0](x)), x, atol=1e-4, rtol=0)


def test_latent_compression_runs_and_reconstructions_alone_prefer_none() -> None:
    config = latent_compression.Config(width=32, blocks=1, train_steps=40, S=5, drawn=300, classifier_epochs=3)
    rows = [latent_compression.run(replace(config, f=f), Context()) for f in (1, 4, 16)]
    assert [row["latents"] for row in rows] == [64, 16, 4]
    worse = [row["fd_reconstruction"] for row in rows]
    assert worse[0] == pytest.approx(0, abs=1e-3)
    assert worse[0] < worse[1] < worse[2]
    assert rows[0]["flops"] > rows[2]["flops"]
    assert len({row["accuracy"] for row in rows}) == 1


@pytest.mark.parametrize("f", [1, 4])
def test_the_planned_autoencoders_run_at_toy_size(f: int) -> None:
    config = latent_compression.Config(
        f=f, autoencoder="convolutions", images="scenes", number=24, drawn=4, autoencoder_steps=2, autoencoder_width=4, width=8,
        train_steps=2, batch=2, classifier_epochs=1, S=2,
    )  # fmt: skip
    row = latent_compression.run(config, Context())
    assert row["latents"] == {1: 64 * 64, 4: 3 * 16 * 16}[f]
    assert math.isfinite(row["fd"])
    assert (row["fd_reconstruction"] < 1e-6) == (f == 1)


def test_an_unknown_autoencoder_is_refused() -> None:
    with pytest.raises(ValueError, match="pca or convolutions"):
        latent_compression.run(latent_compression.Config(autoencoder="wavelets"), Context())


def test_published_sizes() -> None:
    row = published_sizes.run(published_sizes.Config(), Context())
    assert row["bytes_said_laion_5b"] == pytest.approx(4 / 5.85)
    assert row["bytes_full_laion_2b_en"] == pytest.approx(7.7 / 2.32)
    assert row["images_of_parts"] == pytest.approx(5.85e9)
    assert row["compression"] == torch.empty(512, 512, 3).numel() / torch.empty(64, 64, 4).numel() == 48
    assert row["recall_lost_adm"] == pytest.approx(0.11)
    assert row["score_ldm"] == pytest.approx(144.18)
    wrong = published_sizes.run(published_sizes.Config(bits=True, channels=False, reversed_rows=True), Context())
    assert wrong["bytes_said_laion_5b"] > 1
    assert wrong["compression"] == 64
    assert wrong["fid_lost_ldm"] == -row["fid_lost_ldm"]


COLUMNS = [(2.0, 5.0), (3.0, 6.0), (2.5, 9.0), (2.0, 7.0), (1.5, 6.5)]
PAIRS = [make_record(i, {"a": a, "b": b}) for i, (a, b) in enumerate(COLUMNS)]


def test_log_ratios_are_paired_by_trial() -> None:
    logs = np.log([b / a for a, b in COLUMNS])
    found = log_ratios(PAIRS, better={"S": "a"}, worse={"S": "b"})["S"]
    assert found.value == pytest.approx(logs.mean())
    assert found.se == pytest.approx(logs.std(ddof=1) / math.sqrt(5))
    assert (found.dof, found.n) == (4, 5)
    assert log_ratios(PAIRS, better={"S": "b"}, worse={"S": "a"})["S"].value == pytest.approx(-logs.mean())


def test_ratios_are_geometric_means() -> None:
    found = ratios(PAIRS, over={"S": "b"}, under={"S": "a"})["S"]
    assert found.value == pytest.approx(math.exp(np.log([b / a for a, b in COLUMNS]).mean()))
    assert found.log_se is not None


def test_a_sampler_that_diverged_ranks_last_and_is_no_ratio() -> None:
    records = [*PAIRS[:4], make_record(4, {"a": 2.0, "b": None}, status="diverged")]
    assert log_ratios(records, better={"S": "a"}, worse={"S": "b"})["S"].extras["diverged_worse"] == 1
    assert "diverged" in ratios(records, over={"S": "b"}, under={"S": "a"})["S"].flags


def test_ratios_refuse_what_they_cannot_take() -> None:
    with pytest.raises(EstimateError, match="measured no 'c'"):
        ratios(PAIRS, over={"S": "c"}, under={"S": "a"})
    with pytest.raises(EstimateError, match="same parts"):
        log_ratios(PAIRS, better={"S": "a"}, worse={})
    with pytest.raises(EstimateError, match="positive 'a'"):
        log_ratios([make_record(0, {"a": 0.0, "b": 1.0})], better={"S": "a"}, worse={"S": "b"})


def test_trends_rise_and_fall() -> None:
    records = [make_record(i, *({"w": w, "up": w + 0.1 * i, "down": -w} for w in (0.0, 1.0, 2.0))) for i in range(5)]
    found = trends(records, x="w", increasing={"rises": "up"}, decreasing={"falls": "down"})
    assert [found[part].value for part in ("rises", "falls")] == [1, 1]
    wrong = trends(records, x="w", increasing={"rises": "down"}, decreasing={"falls": "up"})
    assert [wrong[part].value for part in ("rises", "falls")] == [-1, -1]
    with pytest.raises(EstimateError, match="rise and fall"):
        trends(records, x="w", increasing={"a": "up"}, decreasing={"a": "down"})


def at_levels(values: dict[float, float]) -> list:
    return [make_record(i, {"fd": value + 0.01 * i * (1 + f)}, f=f) for i in range(5) for f, value in values.items()]


def test_an_inner_optimum_is_found_and_ends_are_refused() -> None:
    how = {"column": "fd", "by": "f", "smallest": "low", "largest": "high"}
    found = inner_optimum(at_levels({1: 5.0, 2: 3.0, 4: 1.0, 8: 4.0}), **how)
    assert found["low"].value == pytest.approx(4, abs=0.1)
    assert found["high"].value == pytest.approx(3, abs=0.1)
    assert found["low"].extras["chosen_4"] == 5
    monotone = inner_optimum(at_levels({1: 1.0, 2: 2.0, 4: 3.0, 8: 4.0}), **how)
    assert monotone["low"].value < 0 < monotone["high"].value
    with pytest.raises(EstimateError, match="at least three levels"):
        inner_optimum(at_levels({1: 1.0, 2: 2.0}), **how)


def test_a_replicate_does_not_choose_its_own_best_level() -> None:
    records = at_levels({1: 5.0, 2: 2.0, 4: 2.5, 8: 5.0})
    lucky = [replace(r, rows=({"fd": 0.0},)) if (r.replicate, r.config["f"]) == (0, 4) else r for r in records]
    found = inner_optimum(lucky, column="fd", by="f", smallest="low", largest="high")["low"]
    assert found.units[0] == pytest.approx(3.0)  # level 2, which the others choose, and not the 0 of its own
