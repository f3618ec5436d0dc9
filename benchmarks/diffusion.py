"""Diffusion on the processor: our training step and our sampling loop against diffusers' schedulers driving the same network.

One thread, float32, the residual network of 512,000 parameters on digits of 64 pixels, in seconds of the processor. Both take turns; with the same
start η = 0 must draw the same images. Samples a second stand side by side; the ratio is our time over theirs: below 1 ours is faster.

Run: python -m benchmarks diffusion
"""

import statistics
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.image_generation.diffusion import ResidualMLP, alphas, train
from experiments.image_generation.samplers import sample
from experiments.image_generation.worlds import chunked
from repro.schema.context import Context

T, S, BATCH, SAMPLES, STEPS = 1000, 20, 128, 512, 40
"""Steps of the forward process and of sampling; images in a training step and in a set of samples; training steps timed at once."""
TURNS = 5
AIM = 1.1
"""Ratio that the project asks of itself."""
LINEAR = {
    "num_train_timesteps": T,
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "clip_sample": False,
}


def theirs_sampled(net: nn.Module, x_T: Tensor, name: str) -> Tensor:
    """Return images by a scheduler of diffusers, S steps."""
    from diffusers import DDIMScheduler, DDPMScheduler

    if name == "ddim":
        scheduler = DDIMScheduler(**LINEAR, timestep_spacing="leading", set_alpha_to_one=True)
    else:
        scheduler = DDPMScheduler(**LINEAR, timestep_spacing="leading", variance_type="fixed_large")
    scheduler.set_timesteps(S)
    x = x_T
    with torch.no_grad():
        for t in scheduler.timesteps:
            x = scheduler.step(net(x, (t + 1).expand(len(x))), t, x).prev_sample
    return x


def theirs_trained(net: nn.Module, x: Tensor, steps: int) -> None:
    """Train as diffusers' own example of unconditional images does."""
    from diffusers import DDPMScheduler

    scheduler, optimizer = DDPMScheduler(**LINEAR), torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    for _ in range(steps):
        x0 = x[torch.randint(len(x), (BATCH,))]
        eps, t = torch.randn_like(x0), torch.randint(T, (BATCH,))
        loss = F.mse_loss(net(scheduler.add_noise(x0, eps, t), t + 1), eps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def medians(calls: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median of each call's seconds of the processor, in turns; the first turn is not counted."""
    turns: list[dict[str, float]] = []
    for _ in range(TURNS + 1):
        turns.append({})
        for name, call in calls.items():
            began = time.process_time()
            call()
            turns[-1][name] = time.process_time() - began
    return {name: statistics.median(turn[name] for turn in turns[1:]) for name in calls}


def main() -> None:
    """Print samples and training images a second of both, and the ratios."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net, x, x_T = ResidualMLP(64, 256, 3), torch.rand(1797, 64) * 2 - 1, torch.randn(SAMPLES, 64)
    alpha, eps = alphas(T), chunked(net, SAMPLES, Context())
    torch.testing.assert_close(sample(eps, x_T, alpha, S), theirs_sampled(net, x_T, "ddim"), rtol=1e-2, atol=1e-2)
    draw = torch.Generator().manual_seed(0)

    def ours_trained() -> None:
        train(net, x, T=T, steps=STEPS, batch=BATCH, lr=1e-3, seed=0, context=Context())

    jobs = {
        f"sampling, η = 0, {S} steps": (SAMPLES, lambda: sample(eps, x_T, alpha, S), lambda: theirs_sampled(net, x_T, "ddim")),
        f"sampling, σ-hat, {S} steps": (
            SAMPLES, lambda: sample(eps, x_T, alpha, S, "ddpm", draw), lambda: theirs_sampled(net, x_T, "ddpm"),
        ),
        "training": (STEPS * BATCH, ours_trained, lambda: theirs_trained(net, x, STEPS)),
    }  # fmt: skip
    for name, (images, ours, theirs) in jobs.items():
        times = medians({"ours": ours, "diffusers": theirs})
        text = ", ".join(f"{way} {images / seconds:,.0f} images/s" for way, seconds in times.items())
        print(
            f"diffusion, {name}: {times['ours'] / times['diffusers']:.2f} times the time of diffusers (aim {AIM}); {text}"
        )


if __name__ == "__main__":
    main()
