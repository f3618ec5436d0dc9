"""Copying with attention by hashing: accuracy against rounds of hashing, in training and in evaluation.

Paper: Kitaev et al., "Reformer: The Efficient Transformer", arXiv 2001.04451, section 5, Table 2. A sequence is 0w0w, with w drawn
from N symbols; one causal layer predicts the next symbol, and its accuracy on the second w is counted. To copy, a token must find
the one half a sequence back, among all others: what hashing may miss. A model trained in one setting is evaluated in all.

Serves: reformer/copy_task_hashes, reformer/copy_task_as_trained, reformer/copy_task_full_attention. One trial is one trained model,
evaluated in every setting.

Hardware and time: `cpu` 7 s (trained with full attention) to 20 s (4 rounds) a trial on one core; `gpu` has the paper's sizes.

Deviations: see the claims. Optimizer, batch, positions, chunk and norm are ours: Adam, learned positions as large as the
embedding, and a norm before each part (with the norm behind, or small positions, short runs did not learn to copy at all).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.attention.reformer import LSHAttention
from repro.lab.seeding import seed_all
from repro.lab.transformer import Transformer, TransformerShape
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """One model and where it is evaluated."""

    hashes: int = 4
    """Rounds of hashing in training; 0 is full attention."""
    length: int = 64
    """Of 0w0w, in tokens; w has length/2 − 1 (paper: 1024 and 511)."""
    symbols: int = 31
    """N; w holds 1 to N (paper: 127)."""
    chunk: int = 8
    """Tokens in a chunk; there are 2 · length / chunk buckets."""
    d_model: int = 64
    """Width, also of the feed-forward part (paper: 256)."""
    heads: int = 4
    """Attention heads."""
    batch: int = 32
    """Sequences in a step."""
    steps: int = 700
    """Of training (paper: 150,000); with 0 the model stays as it was drawn."""
    lr: float = 1.0e-2
    """Adam's peak learning rate; a tenth of the steps warms up, then it falls linearly to 0."""
    tests: int = 256
    """Sequences in evaluation."""
    repeated: bool = True
    """Control, where False: in evaluation the second w is another one, so that there is nothing to find."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Of weights, data and rotations."""


EVALUATED = {"accuracy_full": 0, "accuracy_8": 8, "accuracy_4": 4, "accuracy_2": 2, "accuracy_1": 1}
"""Columns of Table 2, and the rounds of hashing that each is evaluated with; 0 is full attention."""


def run(config: Config, context: Context) -> dict[str, float]:
    """Train one model and evaluate it in every setting.

    Returns:
        `accuracy_full`, `accuracy_8`, …, `accuracy_1`: per cent of the second w that is predicted, with full attention and with
        8, 4, 2 and 1 rounds.

    Raises:
        ValueError: if the length is odd, or no multiple of the chunk.
    """
    if config.length % 2 or config.length % config.chunk:
        raise ValueError(f"the length must be even and a multiple of the chunk {config.chunk}, not {config.length}")
    if context.device == "cpu":
        torch.set_num_threads(config.threads)
    seed_all("copy_task", config.seed)
    model = model_of(config).to(context.device)
    train(model, config, context)
    tests = sequences(config, config.tests, context.device)
    if not config.repeated:
        tests = torch.cat([tests[:, : config.length // 2], tests[:, config.length // 2 :].roll(1, dims=0)], dim=1)
    return {name: accuracy(model, tests, rounds) for name, rounds in EVALUATED.items()}


def model_of(config: Config) -> Transformer:
    """Return the one-layer model; positions are drawn as large as the embedded symbols (standard deviation 1)."""
    shape = TransformerShape(
        n_layer=1,
        d_model=config.d_model,
        n_head=config.heads,
        d_ff=config.d_model,
        context=config.length,
        vocabulary=config.symbols + 1,
        causal=True,
        norm="pre",
        positions="learned",
    )
    model = Transformer(shape, lambda: LSHAttention(shape, hashes=config.hashes, chunk=config.chunk))
    torch.nn.init.normal_(model.learned_positions)
    return model


def sequences(config: Config, number: int, device: str) -> Tensor:
    """Draw 0w0w, `[number, length]`: w of symbols 1 to N, then the same again."""
    half = torch.randint(1, config.symbols + 1, (number, config.length // 2), device=device)
    half[:, 0] = 0
    return torch.cat([half, half], dim=1)


def second_copy(model: Transformer, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits `[B, length/2 − 1, N + 1]` and targets `[B, length/2 − 1]` of the second w."""
    half = tokens.shape[1] // 2
    return model(tokens)[:, half:-1], tokens[:, half + 1 :]


def train(model: Transformer, config: Config, context: Context) -> None:
    """Minimise the cross-entropy of the second w, on fresh sequences in each step."""
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr, betas=(0.9, 0.98))
    warmup = max(1, config.steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (config.steps - step) / max(1, config.steps - warmup))
    )
    for step in range(config.steps):
        with torch.autocast(context.device, torch.bfloat16, enabled=context.precision == "bfloat16"):
            logits, targets = second_copy(model, sequences(config, config.batch, context.device))
        loss = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        context.progress((step + 1) / config.steps)


@torch.no_grad()
def accuracy(model: Transformer, tokens: Tensor, rounds: int) -> float:
    """Return the per cent of the second w of `tokens` `[B, length]` that the model predicts with so many rounds of hashing (0: full attention)."""
    attention = model.get_submodule("layers.0.attention")
    assert isinstance(attention, LSHAttention)
    trained_with, attention.hashes = attention.hashes, rounds
    right = [
        (logits.argmax(-1) == targets).float() for logits, targets in (second_copy(model, t) for t in tokens.split(32))
    ]
    attention.hashes = trained_with
    return 100 * torch.cat(right).mean().item()


def cost(config: Config) -> float:
    """FLOPs of one trial: six a parameter and token, and three times the four of each pair that a chunk's window holds."""
    d, n = config.d_model, config.length
    window = 2 * config.chunk * config.hashes if config.hashes else n
    a_token = 6 * (5 * d * d + config.symbols * d) + 3 * 4 * window * d
    return float(config.steps * config.batch * n * a_token)


if __name__ == "__main__":
    for hashes in (0, 4):
        print(f"trained with {hashes or 'full attention'}:", run(Config(hashes=hashes), Context()))
