"""Federated averaging on MNIST: communication rounds until the shared model reaches a test accuracy.

Paper: McMahan, Moore, Ramage, Hampson and Agüera y Arcas, "Communication-Efficient Learning of Deep Networks from
Decentralized Data", arXiv 1602.05629, Algorithm 1 and Table 2. Serves the claims `fedavg/rounds_to_accuracy`,
`fedavg/tenfold_iid` and `fedavg/non_iid_gains_less`.

K clients hold n/K images each. A round: the server sends w to m = CK clients; each runs E epochs of SGD over its own images in
batches of B and returns its weights; the new w is their average, which needs no weights because all n_k are equal. E = 1 and
B = ∞ is FedSGD. The clients of a round are one stack: every weight has a leading axis of m, and one backward pass of the summed
losses gives each client its own gradient.

Hardware and time: the 2NN on one CPU core takes about 0.1 s for a round of FedSGD and 0.3 s for a local epoch with B = 10; the CNN is
meant for a GPU. Deviations: a run stops once the target is met or `max_rounds` are over; no data set is unbalanced.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from repro.lab.mnist import CLASSES, SIDE, Digits, load_mnist
from repro.lab.seeding import generator
from repro.schema.context import Context

Weights = dict[str, torch.Tensor]
"""By name, each with a leading axis of clients: [m, ...]."""


@dataclass(frozen=True)
class Config:
    """Names are the paper's."""

    model: str = "2nn"
    """`2nn`, 784-200-200-10 with ReLU (199,210 parameters), or `cnn`, two 5 × 5 convolutions and 512 units (1,663,370)."""
    K: int = 100
    """Clients."""
    C: float = 0.1
    """Fraction of the clients that work in a round."""
    E: int = 1
    """Epochs of a client over its own images in a round."""
    B: int = 0
    """Images of a local batch; 0 is ∞, all of the client's."""
    iid: bool = True
    """Shuffled images, or two shards of images sorted by label for each client, hardly more than two digits."""
    lr: float = 0.1
    """Learning rate η of the clients."""
    target: float = 0.97
    """Test accuracy to reach."""
    max_rounds: int = 2000
    """Rounds after which a run gives up."""
    eval_every: int = 1
    """Rounds between two looks at the test images."""
    images: int = 60_000
    """Training images used, the first of the file; a multiple of 2K."""
    test_images: int = 10_000
    """Test images used, the first of the file."""
    local_work: bool = True
    """False: every client sends one gradient of all its images, whatever E and B. Nothing is then left of local training."""
    random_labels_sort: bool = False
    """Sort the shards by labels that were drawn at random: shards like those of the paper, without its skew."""
    bfloat16: bool = False
    """Matrix products of training in bfloat16 even where the scale's precision is float32; weights and averages stay float32."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Draws weights, partition, clients and batches; cells of one seed share the first three."""


# The models: a stack of m, so that the clients of a round learn side by side.


def shapes(model: str) -> dict[str, tuple[int, ...]]:
    """Return the shape of each weight of one model."""
    if model == "2nn":
        return {"w1": (784, 200), "b1": (200,), "w2": (200, 200), "b2": (200,), "w3": (200, CLASSES), "b3": (CLASSES,)}
    if model == "cnn":
        convolutions = {"k1": (32, 1, 5, 5), "c1": (32,), "k2": (64, 32, 5, 5), "c2": (64,)}
        return convolutions | {"w1": (7 * 7 * 64, 512), "b1": (512,), "w2": (512, CLASSES), "b2": (CLASSES,)}
    raise ValueError(f"model must be '2nn' or 'cnn', not {model!r}")


def initial_weights(model: str, seed: int) -> Weights:
    """Return one model [1, ...]: matrices and kernels from N(0, 2 / inputs), biases 0."""
    draw = generator("fedavg weights", seed)
    weights = {}
    for name, shape in shapes(model).items():
        fan_in = shape[0] if len(shape) == 2 else shape[-1] * shape[-2] * shape[1] if len(shape) == 4 else 0
        scale = (2 / fan_in) ** 0.5 if fan_in else 0.0
        weights[name] = torch.randn(1, *shape, generator=draw) * scale
    return weights


def logits(w: Weights, x: torch.Tensor) -> torch.Tensor:
    """Return the logits [m, b, 10] of m models on their own images x [m, b, 784]."""
    if "w3" in w:
        h = F.relu(torch.baddbmm(w["b1"][:, None], x, w["w1"]))
        h = F.relu(torch.baddbmm(w["b2"][:, None], h, w["w2"]))
        return torch.baddbmm(w["b3"][:, None], h, w["w3"])
    m, b, _ = x.shape
    # Models are groups of channels: [b, m · channels, side, side].
    h = x.transpose(0, 1).reshape(b, m, SIDE, SIDE)
    for kernel, bias in (("k1", "c1"), ("k2", "c2")):
        h = F.conv2d(h, w[kernel].flatten(0, 1), w[bias].flatten(), padding=2, groups=m)
        h = F.max_pool2d(F.relu(h), 2)
    h = h.reshape(b, m, -1).transpose(0, 1)  # [m, b, 64 · 7 · 7]
    h = F.relu(torch.baddbmm(w["b1"][:, None], h, w["w1"]))
    return torch.baddbmm(w["b2"][:, None], h, w["w2"])


def losses(w: Weights, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return each client's mean cross-entropy [m] on x [m, b, 784] with labels y [m, b]."""
    return F.cross_entropy(logits(w, x).flatten(0, 1).float(), y.flatten(), reduction="none").view_as(y).mean(1)


# Who holds what.


def partition(labels: torch.Tensor, K: int, iid: bool, seed: int, random_labels_sort: bool = False) -> torch.Tensor:
    """Return the images of each client [K, n / K] as indices.

    IID: shuffled. Else: sorted by label, cut into 2K shards, two random shards for each client (section 3).

    Raises:
        ValueError: if n is no multiple of 2K.
    """
    n = len(labels)
    if n % (2 * K):
        raise ValueError(f"images must be a multiple of 2K = {2 * K}, got {n}")
    draw = generator("fedavg partition", seed)
    order = torch.randperm(n, generator=draw)
    if iid:
        return order.view(K, -1)
    sorted_by = labels[torch.randperm(n, generator=draw)] if random_labels_sort else labels
    # Images of one label come in the random order, so that shards of a label are alike.
    shards = order[sorted_by[order].argsort(stable=True)].view(2 * K, -1)
    return shards[torch.randperm(2 * K, generator=draw)].view(K, -1)


def batches(m: int, n: int, E: int, B: int, draw: torch.Generator) -> Iterator[torch.Tensor]:
    """Yield the local batches of a round [m, b], places among a client's n images: E epochs, each in a new order."""
    for _ in range(E):
        order = torch.rand(m, n, generator=draw).argsort(1)
        yield from order.split(B or n, dim=1)


# Algorithm 1.


def client_update(
    w: Weights, x: torch.Tensor, y: torch.Tensor, steps: Iterator[torch.Tensor], lr: float, bfloat16: bool = False
) -> Weights:
    """Run every client's local SGD from the server's w [1, ...] on its images x [m, n, 784]; return weights [m, ...]."""
    m = len(x)
    rows = torch.arange(m, device=x.device)[:, None]
    local = {name: weight.repeat(m, *[1] * (weight.dim() - 1)).requires_grad_() for name, weight in w.items()}
    for step in steps:
        batch = step.to(x.device, non_blocking=True)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=bfloat16):
            loss = losses(local, x[rows, batch], y[rows, batch]).sum()
        gradients = torch.autograd.grad(loss, list(local.values()))
        with torch.no_grad():
            torch._foreach_add_(list(local.values()), gradients, alpha=-lr)
    return {name: weight.detach() for name, weight in local.items()}


def average(w: Weights) -> Weights:
    """Return the mean over clients [1, ...]: Σ n_k/n w_k with equal n_k."""
    return {name: weight.mean(0, keepdim=True) for name, weight in w.items()}


@torch.no_grad()
def accuracy(w: Weights, test: Digits) -> float:
    """Return the share of test images that the model [1, ...] names right; images are [N, 784] floats here."""
    named = torch.cat([logits(w, part[None])[0].argmax(1) for part in test.images.split(2500)])
    return (named == test.labels).float().mean().item()


def rounds_to(target: float, curve: list[tuple[int, float]]) -> float | None:
    """Return the round at which the monotone curve of (round, accuracy) crosses the target, interpolated; None if never.

    Section 3: each curve is made monotone by the best accuracy so far, and the crossing found by linear interpolation.
    """
    before, best = curve[0]
    for now, found in curve:
        if found >= target:
            return now - (now - before) * (found - target) / (found - best) if found > best else float(now)
        before, best = now, max(best, found)
    return None


def prepared(digits: Digits, n: int, device: str) -> Digits:
    """Return the first n images [n, 784] in [0, 1] and labels, on the device."""
    return Digits(digits.images[:n].to(device).flatten(1).float() / 255, digits.labels[:n].to(device))


def run(config: Config, context: Context) -> dict[str, float]:
    """Train until the target accuracy or `max_rounds`.

    Returns:
        `rounds` to the target, or `max_rounds` where it is not reached; `reached`: 1 or 0; `accuracy`: the best seen;
        `u`: expected local updates of a client in a round, E·n/(K·B); `flops`.
    """
    torch.set_num_threads(config.threads)
    train, test = load_mnist(context.data)
    held = partition(train.labels[: config.images], config.K, config.iid, config.seed, config.random_labels_sort)
    train, test = prepared(train, config.images, context.device), prepared(test, config.test_images, context.device)
    n, m = held.shape[1], max(round(config.C * config.K), 1)
    E, B = (config.E, config.B) if config.local_work else (1, 0)
    w = {name: each.to(context.device) for name, each in initial_weights(config.model, config.seed).items()}
    chosen, order = generator("fedavg clients", config.seed), generator("fedavg batches", config.seed)
    bfloat16 = config.bfloat16 or context.precision == "bfloat16"
    curve, crossed = [(0, accuracy(w, test))], None
    for t in range(1, config.max_rounds + 1):
        mine = held[torch.randperm(config.K, generator=chosen)[:m]].to(context.device)
        steps = batches(m, n, E, B, order)
        w = average(client_update(w, train.images[mine], train.labels[mine], steps, config.lr, bfloat16))
        if t % config.eval_every == 0:
            curve.append((t, accuracy(w, test)))
            context.log(t, accuracy=curve[-1][1])
            context.progress(t / config.max_rounds)
            crossed = rounds_to(config.target, curve)
            if crossed is not None:
                break
    done = curve[-1][0]
    return {
        "rounds": float(config.max_rounds) if crossed is None else crossed,
        "reached": float(crossed is not None),
        "accuracy": max(found for _, found in curve),
        "u": E * n / (B or n),
        "flops": 6.0 * products(config.model) * E * n * m * done,
    }


def products(model: str) -> int:
    """Return multiplications of a forward pass of one image."""
    dense = sum(shape[0] * shape[1] for shape in shapes(model).values() if len(shape) == 2)
    places = {"k1": 28 * 28, "k2": 14 * 14}
    kernels = {name: shape for name, shape in shapes(model).items() if name in places}
    return dense + sum(places[k] * s[0] * s[1] * s[2] * s[3] for k, s in kernels.items())


def cost(config: Config) -> float:
    """Return the FLOPs of a trial that never reaches its target, the most it can take."""
    epochs = config.E if config.local_work else 1
    return 6.0 * products(config.model) * config.images * config.C * epochs * config.max_rounds


if __name__ == "__main__":
    import sys
    from pathlib import Path

    from repro.lab.mnist import DATA

    # Its one argument is the directory of the four files.
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    files = {data: Path(sys.argv[1]) / f"{name}-ubyte.xz" for data, name in zip(DATA, names, strict=True)}
    print(run(Config(E=5, B=10, target=0.95), Context(files=files)))
