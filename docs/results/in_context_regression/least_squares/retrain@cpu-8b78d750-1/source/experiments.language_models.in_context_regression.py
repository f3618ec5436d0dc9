"""Does a Transformer that learned from many linear functions fit a new one from the examples in its context?

Papers: Garg, Tsipras, Liang and Valiant, "What Can Transformers Learn In-Context? A Case Study of Simple Function Classes",
arXiv 2208.01066, sections 2, 3 and Appendix A: serves `in_context_regression/least_squares`. Brown et al., arXiv 2005.14165
(GPT-3), section 1: performance improves with the number of examples in the context; serves `gpt3/in_context_learning`.

A prompt is (x₁, f(x₁), x₂, f(x₂), ..., x_{k+1}), f(x) = wᵀx, with w and every xᵢ from N(0, I_d), and a w of its own. The model is
trained to predict f(x_{i+1}) after each prefix P^i of i examples (equation 2):

    min_θ E_P [ 1/(k+1) Σ_{i=0..k} (M_θ(P^i) − f(x_{i+1}))² ]

Nothing is learned at test time: no weight changes, only the context grows. Errors are divided by d, the variance of f(x), so
that the zero estimator has 1. Beside the model stand two estimators that need no training, on the same prompts (section 3):
minimum-norm least squares, which is optimal here, and averaging, ŵ = 1/k Σ yᵢxᵢ.

Hardware and time: see the study's notes. Deviations: fewer dimensions, a smaller model, and thousands of steps instead of 500,000;
a warm-up and a linear decay instead of a curriculum; the Transformer of `repro.lab.transformer` (pre-norm, ReLU) instead of GPT-2's.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from repro.lab.seeding import generator, seed_all
from repro.lab.transformer import Transformer, TransformerShape
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Dimensions of the problem, the model and its training."""

    d: int = 5
    """Dimension of x; a prompt has up to 2d examples, k = 2d."""
    n_layer: int = 3
    """Layers."""
    d_model: int = 64
    """Width."""
    n_head: int = 4
    """Heads."""
    steps: int = 2000
    """Training steps, each on new prompts."""
    batch: int = 64
    """Prompts in a step."""
    lr: float = 1e-3
    """Peak learning rate of Adam."""
    warmup: float = 0.05
    """Share of the steps in which the rate rises; afterwards it falls linearly to 0."""
    test_prompts: int = 4096
    """New prompts that the error is averaged over."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Seeds weights, training prompts and test prompts."""


class InContextModel(nn.Module):
    """Section 2: a linear map into the embedding space, a decoder, and a linear map of its output to a scalar."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        shape = TransformerShape(
            n_layer=config.n_layer, d_model=config.d_model, n_head=config.n_head, d_ff=4 * config.d_model,
            context=2 * (2 * config.d + 1), vocabulary=1, causal=True, norm="pre", positions="learned",
        )  # fmt: skip
        self.read_in = nn.Linear(config.d, config.d_model)
        self.transformer = Transformer(shape)
        self.transformer.embedding.requires_grad_(False)  # there are no tokens
        self.read_out = nn.Linear(config.d_model, 1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Predict every y from the pairs before it and its own x: `x` [B, k+1, d] and `y` [B, k+1] to [B, k+1]."""
        padded = torch.zeros_like(x)  # an output takes the first coordinate, the others are 0
        padded[..., 0] = y
        prompt = torch.stack([x, padded], dim=2).flatten(1, 2)  # [B, 2(k+1), d]: x₁, y₁, x₂, y₂, ...
        return self.read_out(self.transformer.encode(self.read_in(prompt)))[:, ::2, 0]  # read at the x


def prompts(count: int, d: int, rng: torch.Generator, new_function: bool = False) -> tuple[Tensor, Tensor]:
    """Draw x [count, 2d+1, d] and y = wᵀx [count, 2d+1]; with `new_function` each example has a w of its own."""
    x = torch.randn(count, 2 * d + 1, d, generator=rng)
    w = torch.randn(count, 2 * d + 1 if new_function else 1, d, generator=rng)
    return x, (x * w).sum(-1)


def least_squares(x: Tensor, y: Tensor) -> Tensor:
    """Minimum-norm least squares on the pairs before each query: x [B, n, d], y [B, n] to predictions [B, n]."""
    x, y = x.double(), y.double()
    fits = [torch.linalg.pinv(x[:, :k]) @ y[:, :k, None] for k in range(1, x.shape[1])]  # ŵ [B, d, 1]
    known = [(x[:, k, None] @ fit)[:, 0, 0] for k, fit in enumerate(fits, start=1)]
    return torch.stack([torch.zeros_like(y[:, 0]), *known], dim=1)


def averaging(x: Tensor, y: Tensor) -> Tensor:
    """The inner product of each query with ŵ = 1/k Σ yᵢxᵢ over the pairs before it: shapes as `least_squares`."""
    sums = (x * y[..., None]).cumsum(1)[:, :-1]  # [B, n−1, d]
    counts = torch.arange(1, x.shape[1], device=x.device)[:, None]
    known = (x[:, 1:] * sums / counts).sum(-1)
    return torch.cat([torch.zeros_like(y[:, :1]), known], dim=1)


def normalized_error(predicted: Tensor, y: Tensor, d: int) -> list[float]:
    """Return the mean of (ŷ − y)²/d over prompts after 0, 1, ..., 2d examples: both arguments [B, 2d+1]."""
    return ((predicted - y).square().mean(0) / d).tolist()


def slope(errors: list[float]) -> float:
    """Return the least-squares slope of the error on the number of examples, per example."""
    k = torch.arange(len(errors), dtype=torch.float64)
    centred = k - k.mean()
    return float(centred @ torch.tensor(errors, dtype=torch.float64) / centred.square().sum())


def train(config: Config, device: str) -> InContextModel:
    """Minimise equation 2; a step sees prompts that never come again."""
    seed_all("in-context regression", config.seed)
    model = InContextModel(config).to(device)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=config.lr)
    warmup = max(1, round(config.warmup * config.steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (config.steps - step) / max(1, config.steps - warmup))
    )
    rng = generator("training prompts", config.seed)
    for _ in range(config.steps):
        x, y = (t.to(device, non_blocking=True) for t in prompts(config.batch, config.d, rng))
        optimizer.zero_grad()
        (model(x, y) - y).square().mean().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model


def cost(config: Config) -> float:
    """Return the training FLOPs: 6 per weight and prompt position, 12·L·d_model² weights (attention left out)."""
    positions = 2 * (2 * config.d + 1)
    return 6.0 * 12 * config.n_layer * config.d_model**2 * positions * config.batch * config.steps


@torch.no_grad()
def run(config: Config, context: Context) -> dict[str, float]:
    """Train one model, then measure its error after every number of examples.

    Single precision on every device: at 2d examples the published error is 0.0006, below what bfloat16 resolves.

    Returns, in units of the variance of f(x), and per example for slopes:
        `error_<k>`, `least_squares_<k>`: error after k examples of the model and of least squares, k = 0, ..., 2d.
        `at_d`, `at_2d`: the model's error after d and 2d examples; `averaging_at_d`, `averaging_at_2d` of averaging.
        `slope`, `slope_least_squares`: slope of the error on k.
        `slope_new_function`: of the same model where every example comes from a function of its own.
        `flops`: as `cost`.
    """
    torch.set_num_threads(config.threads)
    with torch.enable_grad():
        model = train(config, context.device).eval()
    d, rng = config.d, generator("test prompts", config.seed)
    x, y = (t.to(context.device) for t in prompts(config.test_prompts, d, rng))
    errors = normalized_error(model(x, y), y, d)
    least = normalized_error(least_squares(x, y), y, d)
    average = normalized_error(averaging(x, y), y, d)
    x, y = (t.to(context.device) for t in prompts(config.test_prompts, d, rng, new_function=True))
    unrelated = normalized_error(model(x, y), y, d)
    return {
        **{f"error_{k}": error for k, error in enumerate(errors)},
        **{f"least_squares_{k}": error for k, error in enumerate(least)},
        "at_d": errors[d],
        "at_2d": errors[2 * d],
        "averaging_at_d": average[d],
        "averaging_at_2d": average[2 * d],
        "slope": slope(errors),
        "slope_least_squares": slope(least),
        "slope_new_function": slope(unrelated),
        "flops": cost(config),
    }


if __name__ == "__main__":
    for column, value in run(Config(), Context()).items():
        print(f"{column:24} {value:.4g}")
