"""Exact operation counts of four kinds of layer, how many of them must wait for each other, and how far signals travel.

Paper: Vaswani et al., "Attention Is All You Need", arXiv 1706.03762, Table 1, for n tokens of width d:

    layer                       operations   sequential   longest path
    self-attention              n²·d         1            1
    recurrent                   n·d²         n            n
    convolutional, width k      k·n·d²       1            log_k n
    restricted self-attention   r·n·d        1            n / r

Nothing is timed. Operations are counted by torch's FLOP counter while a real layer runs (products only, as in the paper). The
sequential operations are the longest chain of products that need each other's result. The longest path is the least number
of layers, or of recurrent steps, after which every output that may depend on an input has a gradient for it.

Serves: transformer/layer_complexity and attention/quadratic_pairs (n tokens make n² pairs). Hardware and time: any CPU, seconds.

Deviations: an exponent is read between a size and eight times that size, where a power gives it exactly. Self-attention has no
projections, as in Table 1 (`projections` adds them). The dilated convolutions look back only, as in ByteNet, which the paper
refers to; with windows centred on their output the same path needs a wider kernel. The path through windows of r tokens
is read against the distances between their ends, n − 1 and r − 1.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from repro.lab.seeding import seed_all
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """What is counted, and the sizes between which exponents are read."""

    projections: bool = False
    """Count the projections of self-attention too: 8·n·d² operations that Table 1 leaves out."""
    dilated: bool = True
    """Convolutions whose gaps grow by k from layer to layer; without, each sees k neighbours."""
    pairs: str = "full"
    """`full`: every query meets every key; `causal`: those up to itself."""
    n: int = 64
    """Smallest length."""
    d: int = 32
    """Smallest width."""
    k: int = 2
    """Smallest kernel."""
    r: int = 8
    """Smallest window."""
    pair_lengths: tuple[int, ...] = (4, 10, 100)
    """Lengths at which pairs are counted."""
    seed: int = 0
    """Of weights and inputs, on which nothing depends."""


class SelfAttention(nn.Module):
    """Equation 1 in one head, queries, keys and values being the tokens themselves or projections of them."""

    def __init__(self, d: int, projections: bool = False) -> None:
        super().__init__()
        self.inner = nn.Linear(d, 3 * d, bias=False) if projections else None
        self.output = nn.Linear(d, d, bias=False) if projections else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """`[n, d]` to `[n, d]`."""
        q, k, v = (x, x, x) if self.inner is None else self.inner(x).chunk(3, dim=-1)
        return self.output((q @ k.T / q.shape[-1] ** 0.5).softmax(-1) @ v)


class RestrictedSelfAttention(nn.Module):
    """Self-attention to the r tokens around each (section 4); windows that reach over an end are masked there."""

    def __init__(self, r: int) -> None:
        super().__init__()
        self.before, self.after = r // 2, (r - 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        """`[n, d]` to `[n, d]`."""
        n, d = x.shape
        r = self.before + 1 + self.after
        windows = F.pad(x, (0, 0, self.before, self.after)).unfold(0, r, 1)  # [n, d, r]
        at = torch.arange(n, device=x.device)[:, None] + torch.arange(-self.before, self.after + 1, device=x.device)
        pairs = (x[:, None] @ windows / d**0.5).masked_fill(((at < 0) | (at >= n))[:, None], -math.inf)  # [n, 1, r]
        return (pairs.softmax(-1) @ windows.mT)[:, 0]


class Convolution(nn.Module):
    """k·d² weights, each output from k inputs `gap` apart of which the last is its own."""

    def __init__(self, d: int, k: int, gap: int = 1) -> None:
        super().__init__()
        self.reach = (k - 1) * gap
        self.kernel = nn.Conv1d(d, d, k, dilation=gap, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`[n, d]` to `[n, d]`."""
        return self.kernel(F.pad(x.T, (self.reach, 0))[None])[0].T


class Recurrent(nn.Module):
    """h_t = tanh(W x_t + U h_{t−1}), one token after the other."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.cell = nn.RNNCell(d, d, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`[n, d]` to `[n, d]`."""
        h, outputs = x.new_zeros(1, x.shape[1]), []
        for token in x.split(1):
            h = self.cell(token, h)
            outputs.append(h)
        return torch.cat(outputs)


def recurrent_step(layer: Recurrent, x: Tensor, h: Tensor) -> Tensor:
    """Move all states `[n, d]` one step on, each with the one before it; n such steps from zeros are the whole layer."""
    return layer.cell(x, F.pad(h[:-1], (0, 0, 1, 0)))


class LongestChain(TorchDispatchMode):
    """While active, notes for every tensor how many products lie one behind the other on the way to it."""

    longest = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the operation; its results lie one product further if it is one of those that the FLOP counter knows."""
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        chain = max((getattr(each, "chain", 0) for each in given), default=0) + (func._overloadpacket in flop_registry)
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                leaf.chain = chain
        self.longest = max(self.longest, chain)
        return result


LAYERS = {"self_attention": "nd", "recurrent": "nd", "convolution": "ndk", "restricted": "ndr"}
"""The rows of Table 1, and the sizes that the operations of each depend on."""


def layer_of(name: str, sizes: Mapping[str, int], projections: bool) -> nn.Module:
    """Return one layer of Table 1."""
    if name == "self_attention":
        return SelfAttention(sizes["d"], projections)
    if name == "recurrent":
        return Recurrent(sizes["d"])
    return Convolution(sizes["d"], sizes["k"]) if name == "convolution" else RestrictedSelfAttention(sizes["r"])


def operations(layer: nn.Module, x: Tensor) -> int:
    """Return the FLOPs of the layer's products."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        layer(x)
    return counter.get_total_flops()


def sequential(layer: nn.Module, x: Tensor) -> int:
    """Return the longest chain of products that need each other."""
    with LongestChain() as chain, torch.no_grad():
        layer(x)
    return chain.longest


def path(stack: Callable[[Tensor, int], Tensor], n: int, looks_back: bool) -> int:
    """Return the least depth at which every output of n depends on every input (or every earlier one).

    Args:
        stack: maps inputs `[n, 2]` and a depth to outputs `[n, 2]`.
        n: tokens.
        looks_back: whether an output may depend only on inputs up to its own.
    """
    x = torch.randn(n, 2, dtype=torch.float64)
    wanted = torch.ones(n, n, dtype=torch.bool).tril() if looks_back else torch.ones(n, n, dtype=torch.bool)
    for depth in range(1, n + 1):
        slopes = torch.autograd.functional.jacobian(lambda x, depth=depth: stack(x, depth).sum(-1), x, vectorize=True)
        if bool((slopes != 0).any(-1)[wanted].all()):
            return depth
    return n + 1


def exponent(count: Callable[[int], float], smallest: int) -> float:
    """Return d ln count / d ln size between `smallest` and eight times as much."""
    return math.log2(count(8 * smallest) / count(smallest)) / 3


def repeated(layer: Callable[[int], nn.Module]) -> Callable[[Tensor, int], Tensor]:
    """Return the stack whose i-th layer, from 0, is `layer(i)`."""

    def stack(x: Tensor, depth: int) -> Tensor:
        for i in range(depth):
            x = layer(i).double()(x)
        return x

    return stack


def recurrent_path(n: int) -> int:
    """Return the steps after which the last state depends on the first token."""
    layer = Recurrent(2).double()

    def stack(x: Tensor, depth: int) -> Tensor:
        h = torch.zeros_like(x)
        for _ in range(depth):
            h = recurrent_step(layer, x, h)
        return h

    return path(stack, n, looks_back=True)


def restricted_path(n: int, r: int) -> int:
    """Return the layers of windows of r tokens that connect all of n."""
    return path(repeated(lambda _: RestrictedSelfAttention(r)), n, looks_back=False)


def convolution_path(n: int, k: int, dilated: bool) -> int:
    """Return the layers of kernel k that connect each of n tokens to all before it."""
    return path(repeated(lambda i: Convolution(2, k, k**i if dilated else 1)), n, looks_back=True)


def pairs(n: int, kind: str) -> float:
    """Return the products of a query and a key that QKᵀ takes: its FLOPs over those of one, 2·d."""
    d = 16
    q, k = torch.randn(2, n, d)
    with FlopCounterMode(display=False) as counter:
        _ = q @ k.T if kind == "full" else [q[i : i + 1] @ k[: i + 1].T for i in range(n)]
    return counter.get_total_flops() / (2 * d)


def run(config: Config, context: Context) -> dict[str, float]:
    """Count everything; nothing here has a unit but `pairs_<n>` (pairs).

    Returns:
        `<layer>_<size>`: exponent of the operations in n, d, k or r; `<layer>_sequential`: exponent of the sequential operations
        in n; `self_attention_path`: layers; `recurrent_path_n`, `restricted_path_n`, `restricted_path_r`: exponents of the
        longest path; `convolution_path`: layers over log_k n, the farthest from 1 of nine cases; `pairs_<n>`.

    Raises:
        ValueError: for an unknown kind of pairs.
    """
    if config.pairs not in ("full", "causal"):
        raise ValueError(f"pairs must be full or causal, not {config.pairs!r}")
    if context.device == "cpu":
        torch.set_num_threads(1)
    seed_all("operations", config.seed)
    sizes = {"n": config.n, "d": config.d, "k": config.k, "r": config.r}

    def grown(name: str, count: Callable[[nn.Module, Tensor], int], size: str) -> float:
        """Exponent of a count in one size, the others at their smallest."""

        def counted(value: int) -> int:
            changed = {**sizes, size: value}
            x = torch.randn(changed["n"], changed["d"], device=context.device)
            return count(layer_of(name, changed, config.projections).to(context.device), x)

        return exponent(counted, sizes[size])

    row: dict[str, float] = {}
    for name, depends_on in LAYERS.items():
        row |= {f"{name}_{size}": grown(name, operations, size) for size in depends_on}
        row[f"{name}_sequential"] = grown(name, sequential, "n")
    row["self_attention_path"] = path(repeated(lambda _: SelfAttention(2)), config.n, looks_back=False)
    row["recurrent_path_n"] = exponent(recurrent_path, 4)
    row["restricted_path_n"] = exponent(lambda gaps: restricted_path(gaps + 1, 5), 4)
    row["restricted_path_r"] = exponent(lambda gaps: restricted_path(33, gaps + 1), 2)
    layers_over_log = [convolution_path(k**m, k, config.dilated) / m for k in (2, 3, 4) for m in (1, 2, 3)]
    row["convolution_path"] = max(layers_over_log, key=lambda ratio: abs(ratio - 1))
    row.update({f"pairs_{length}": pairs(length, config.pairs) for length in config.pair_lengths})
    return {name: float(value) for name, value in row.items()}


if __name__ == "__main__":
    for config in (Config(), Config(projections=True), Config(dilated=False), Config(pairs="causal")):
        print(config, run(config, Context()))
