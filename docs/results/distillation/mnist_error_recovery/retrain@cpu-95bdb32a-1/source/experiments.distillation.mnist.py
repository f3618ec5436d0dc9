"""Distillation on MNIST: a large regularised network teaches a smaller one by its softened outputs.

Paper: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", arXiv 1503.02531, sections 2 and 3. Serves the
claims `distillation/mnist_error_recovery` and `distillation/omitted_class`.

    q_i = exp(z_i / T) / Σ_j exp(z_j / T)                                       (equation 1)
    loss of the student = T² · cross-entropy(q of the teacher, q of the student) + hard_weight · cross-entropy(label, student at T = 1)

One trial trains one teacher (two wide layers, dropout, jittered inputs, bounded weights) and its students (two narrower layers,
no regularisation, no jitter): `alone` on labels; `distilled`; `within_class`, whose soft targets change places between images of one
label, so that they say what a class looks like and nothing of the image; `no_3`, distilled without any image of a 3; `only_7_8`, distilled
on 7s and 8s alone; and, as their controls, `hard_no_3` and `hard_7_8`, trained on labels of the same images. All students of a
trial begin with the same weights and see the images in an order of their own.

Hardware and time: about three minutes of one CPU core a trial at `cpu`, most of it matrix products in bfloat16 (four times as fast as float32
where the processor multiplies it itself; weights and updates stay float32). Deviations: see the claims.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch.nn import functional as F

from repro.lab.mnist import CLASSES, SIDE, Digits, load_mnist
from repro.lab.seeding import derived_seed, generator
from repro.schema.context import Context

Weights = list[torch.Tensor]
"""[784, width], [width], [width, width], [width], [width, 10], [10]."""

TEST_IMAGES = 10_000
"""That errors are counted on; those on fewer images are scaled up to as many."""

STUDENTS = ("alone", "distilled", "within_class", "no_3", "hard_no_3", "only_7_8", "hard_7_8")


@dataclass(frozen=True)
class Config:
    """Section 3, and what it leaves open."""

    teacher_width: int = 1200
    """Units of each of the teacher's two hidden layers."""
    student_width: int = 800
    """Units of each of the student's two hidden layers."""
    T: float = 20.0
    """Temperature of teacher and student while distilling."""
    hard_weight: float = 0.1
    """Weight of the labels' cross-entropy beside T² times the soft targets'; students that lack classes get soft targets alone."""
    teacher_epochs: int = 40
    """Passes of the teacher over the training images, each time jittered anew."""
    student_epochs: int = 20
    """Passes of every student over its images; one with fewer images gets fewer steps."""
    batch: int = 200
    """Images of a step."""
    teacher_lr: float = 0.1
    """Peak learning rate of the teacher; falls linearly to 0."""
    student_lr: float = 0.03
    """Of the students; for all of them. At 0.1 soft targets of a good teacher, T² times weighted, can diverge."""
    momentum: float = 0.9
    """Of SGD."""
    dropout: tuple[float, float] = (0.0, 0.25)
    """Probability of dropping an input and a hidden unit of the teacher."""
    max_norm: float = 3.0
    """Bound on the norm of each teacher unit's incoming weights."""
    jitter: int = 2
    """Most pixels that a training image of the teacher is moved in each direction."""
    images: int = 60_000
    """Training images used, the first of the file."""
    test_images: int = 10_000
    """Test images used, the first of the file."""
    bfloat16: bool = False
    """Matrix products in bfloat16 even where the scale's precision is float32."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Draws weights, order, jitter and dropout."""


def initial_weights(width: int, *names: int | str) -> Weights:
    """Return weights from N(0, 2 / inputs) and biases 0."""
    draw = generator("distillation weights", *names)
    sizes = (SIDE * SIDE, width, width, CLASSES)
    weights = []
    for fan_in, fan_out in pairwise(sizes):
        weights += [torch.randn(fan_in, fan_out, generator=draw) * (2 / fan_in) ** 0.5, torch.zeros(fan_out)]
    return weights


def logits(
    w: Weights, x: torch.Tensor, dropout: tuple[float, float] = (0.0, 0.0), draw: torch.Generator | None = None
) -> torch.Tensor:
    """Return z [b, 10] of images x [b, 784]; with dropout, kept units are scaled up (inverted dropout)."""

    def drop(h: torch.Tensor, p: float) -> torch.Tensor:
        if p == 0:
            return h
        # A byte of chance a unit is enough for it, and four times as fast as a float.
        chance, dropped = torch.empty(h.shape, dtype=torch.uint8, device=h.device), round(256 * p)
        return h * (chance.random_(0, 256, generator=draw) >= dropped) * (256 / (256 - dropped))

    h = F.relu(torch.addmm(w[1], drop(x, dropout[0]), w[0]))
    h = F.relu(torch.addmm(w[3], drop(h, dropout[1]), w[2]))
    return torch.addmm(w[5], drop(h, dropout[1]), w[4])


def distillation_loss(
    z: torch.Tensor, soft: torch.Tensor, labels: torch.Tensor, T: float, hard_weight: float
) -> torch.Tensor:
    """Return the loss of section 2 for logits z [b, 10], soft targets [b, 10] and labels [b].

    The gradients of the soft part scale as 1/T²; T² keeps its weight the same at every temperature.
    """
    loss = T * T * F.cross_entropy(z / T, soft)
    return loss + hard_weight * F.cross_entropy(z, labels) if hard_weight else loss


def shifted(images: torch.Tensor, shifts: torch.Tensor, most: int) -> torch.Tensor:
    """Return images [b, 28, 28] moved by [b, 2] whole pixels, at most `most`, down and to the right; background enters."""
    b, device = len(images), images.device
    padded = F.pad(images, (most, most, most, most))
    rows = torch.arange(SIDE, device=device) + most - shifts[:, :1]  # [b, 28]
    columns = torch.arange(SIDE, device=device) + most - shifts[:, 1:]
    return padded[torch.arange(b, device=device)[:, None, None], rows[:, :, None], columns[:, None, :]]


def bound_norms(w: Weights, most: float) -> None:
    """Scale down, in place, the incoming weights of every hidden unit whose norm exceeds `most`."""
    for matrix in w[:4:2]:
        matrix.mul_((most / matrix.norm(dim=0).clamp_min(1e-12)).clamp_max(1.0))


def swapped_within_classes(labels: torch.Tensor, *names: int | str) -> torch.Tensor:
    """Return a random permutation [N] of the images that keeps every label in place."""
    order = torch.randperm(len(labels), generator=generator("distillation swap", *names)).to(labels.device)
    by_label, places = order[labels[order].argsort(stable=True)], labels.argsort(stable=True)
    swapped = torch.empty_like(places)
    swapped[places] = by_label
    return swapped


def train(
    w: Weights,
    n: int,
    steps: int,
    loss: Callable[[Weights, torch.Tensor], torch.Tensor],
    config: Config,
    lr: float,
    names: tuple[int | str, ...],
    max_norm: float = 0.0,
) -> Weights:
    """Minimise `loss(w, places [batch] among n images)` by SGD with momentum for `steps` steps; lr falls linearly to 0."""
    device = w[0].device
    w = [each.detach().clone().requires_grad_() for each in w]
    optimizer = torch.optim.SGD(w, lr=lr, momentum=config.momentum, fused=True)
    draw, batch = generator("distillation order", *names), min(config.batch, n)
    order = torch.empty(0, dtype=torch.int64)
    for step in range(steps):
        if len(order) < batch:
            order = torch.cat([order, torch.randperm(n, generator=draw)])
        places, order = order[:batch].to(device, non_blocking=True), order[batch:]
        optimizer.param_groups[0]["lr"] = lr * (1 - step / steps)
        optimizer.zero_grad()
        loss(w, places).backward()
        optimizer.step()
        if max_norm:
            with torch.no_grad():
                bound_norms(w, max_norm)
    return [each.detach() for each in w]


def teach(train_set: Digits, config: Config, bfloat16: bool) -> Weights:
    """Train the teacher on images [N, 28, 28] in [0, 1]."""
    device = train_set.images.device
    chance = torch.Generator(device).manual_seed(derived_seed("distillation chance", config.seed))

    def loss(w: Weights, places: torch.Tensor) -> torch.Tensor:
        shifts = torch.randint(-config.jitter, config.jitter + 1, (len(places), 2), device=device, generator=chance)
        x = shifted(train_set.images[places], shifts, config.jitter).flatten(1)
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            z = logits(w, x, config.dropout, chance)
        return F.cross_entropy(z.float(), train_set.labels[places])

    n, names = len(train_set.labels), ("teacher", config.seed)
    w = [each.to(device) for each in initial_weights(config.teacher_width, *names)]
    steps = config.teacher_epochs * n // min(config.batch, n)
    return train(w, n, steps, loss, config, config.teacher_lr, names, config.max_norm)


@torch.no_grad()
def outputs(w: Weights, images: torch.Tensor, bfloat16: bool) -> torch.Tensor:
    """Return the logits [N, 10] of images [N, 28, 28], undisturbed by dropout."""
    with torch.autocast(images.device.type, torch.bfloat16, enabled=bfloat16):
        return torch.cat([logits(w, part.flatten(1)).float() for part in images.split(2500)])


def learn(name: str, train_set: Digits, soft: torch.Tensor, config: Config, bfloat16: bool) -> Weights:
    """Train the student `name` (see `STUDENTS`); `soft` are the teacher's targets [N, 10] at temperature T."""
    y, device = train_set.labels, train_set.images.device
    if name == "within_class":
        soft = soft[swapped_within_classes(y, config.seed)]
    seen = torch.ones_like(y, dtype=torch.bool)
    if name.endswith("no_3"):
        seen = y != 3
    elif name.endswith("7_8"):
        seen = (y == 7) | (y == 8)
    x, y, soft = train_set.images[seen].flatten(1), y[seen], soft[seen]
    on_labels = name == "alone" or name.startswith("hard")
    hard_weight = config.hard_weight if len(y) == len(seen) else 0.0

    def loss(w: Weights, places: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            z = logits(w, x[places])
        if on_labels:
            return F.cross_entropy(z.float(), y[places])
        return distillation_loss(z.float(), soft[places], y[places], config.T, hard_weight)

    w = [each.to(device) for each in initial_weights(config.student_width, "student", config.seed)]
    epochs = config.student_epochs * len(y)
    return train(w, len(y), epochs // min(config.batch, len(y)), loss, config, config.student_lr, (name, config.seed))


def errors(z: torch.Tensor, labels: torch.Tensor, raised: torch.Tensor | float = 0.0) -> tuple[int, int]:
    """Return the errors of logits z [N, 10] with biases raised by [10], and how many of them are on 3s."""
    wrong = (z + raised).argmax(1) != labels
    return int(wrong.sum()), int(wrong[labels == 3].sum())


def best_offset(z: torch.Tensor, labels: torch.Tensor, classes: tuple[int, ...], sign: float) -> torch.Tensor:
    """Return the biases [10] that raise (sign 1) or lower (-1) some classes by what leaves fewest errors on these images.

    As in section 3 the offset is chosen on the test images, here from 0 to 60 in steps of 0.1.
    """
    some = torch.zeros(CLASSES, device=z.device)
    some[list(classes)] = sign
    tried = [some * (step / 10) for step in range(601)]
    return min(tried, key=lambda raised: errors(z, labels, raised)[0])


def run(config: Config, context: Context) -> dict[str, float]:
    """Train a teacher and its students.

    Returns:
        `<name>`: errors on 10,000 test images (NaN if it diverged), for `teacher` and every name of `STUDENTS`;
        `<name>_on_3s`: those on 3s;
        `<name>_offset`, `<name>_raised`, `<name>_raised_on_3s`: for the four students that lack classes, the best change of the biases (of
        3, or of 7 and 8 together), and the errors with it; `flops`.
    """
    torch.set_num_threads(config.threads)
    bfloat16 = config.bfloat16 or context.precision == "bfloat16"
    train_set, test = (
        Digits(each.images[:n].to(context.device).float() / 255, each.labels[:n].to(context.device))
        for each, n in zip(load_mnist(context.data), (config.images, config.test_images), strict=True)
    )
    teacher = teach(train_set, config, bfloat16)
    soft = (outputs(teacher, train_set.images, bfloat16) / config.T).softmax(1)
    found = {"teacher": outputs(teacher, test.images, bfloat16)}
    for done, name in enumerate(STUDENTS):
        context.progress((done + 1) / (len(STUDENTS) + 1))
        found[name] = outputs(learn(name, train_set, soft, config, bfloat16), test.images, bfloat16)
    row, scale = {}, TEST_IMAGES / len(test.labels)
    for name, z in found.items():
        if not z.isfinite().all():
            row[name] = math.nan  # diverged; argmax would call it all zeros
            continue
        row[name], row[f"{name}_on_3s"] = (scale * wrong for wrong in errors(z, test.labels))
        if name.endswith(("no_3", "7_8")):
            classes, sign = ((3,), 1.0) if name.endswith("no_3") else ((7, 8), -1.0)
            raised = best_offset(z, test.labels, classes, sign)
            row[f"{name}_offset"] = float(raised[classes[0]])
            row[f"{name}_raised"], row[f"{name}_raised_on_3s"] = (
                scale * wrong for wrong in errors(z, test.labels, raised)
            )
    return row | {"flops": cost(config)}


def cost(config: Config) -> float:
    """Return the FLOPs of a trial: three passes of 2 FLOPs a weight over teacher and students' images."""

    def weights(width: int) -> int:
        return SIDE * SIDE * width + width * width + width * CLASSES

    of_teacher = config.teacher_epochs * weights(config.teacher_width)
    # Students without 3s see nine tenths of the images, those of 7s and 8s two tenths.
    of_students = (3 + 2 * 0.9 + 2 * 0.2) * config.student_epochs * weights(config.student_width)
    return 6.0 * config.images * (of_teacher + of_students)


if __name__ == "__main__":
    import sys
    from pathlib import Path

    from repro.lab.mnist import DATA

    # Its one argument is the directory of the four files.
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    files = {data: Path(sys.argv[1]) / f"{name}-ubyte.xz" for data, name in zip(DATA, names, strict=True)}
    for column, value in run(Config(teacher_epochs=4, student_epochs=2), Context(files=files)).items():
        print(f"{column:24} {value:g}")
