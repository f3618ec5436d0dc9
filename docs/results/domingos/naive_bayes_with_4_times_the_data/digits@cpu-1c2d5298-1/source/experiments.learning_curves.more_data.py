"""Does a simple learner with more data beat a clever one with less? Handwritten digits, learners of scikit-learn as they come.

Paper: Domingos 2012, "A Few Useful Things to Know about Machine Learning", the section "More Data Beats a Cleverer Algorithm". Serves the claims
`domingos/naive_bayes_with_4_times_the_data`, `domingos/naive_bayes_with_10_times_the_data` and the same of `nearest_neighbour`.

One trial splits the 1,797 digits (8 × 8 pixels) once into 517 test images and 1,280 to learn from. Every learner gets the first n of these, so
that less data is a part of more data.

    simple     Gaussian naive Bayes; one nearest neighbour
    clever     a support-vector machine with a radial kernel, γ = 1 / (64 · variance of the pixels)

Hardware and time: a fraction of a second a trial on one core. The learners are the library's; nothing here runs on a GPU. Deviations: see the claims.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from repro.lab.seeding import generator
from repro.schema.context import Context

Array = NDArray[np.float64]

SIMPLE: dict[str, Callable[[], Any]] = {
    "naive_bayes": GaussianNB,
    "nearest_neighbour": lambda: KNeighborsClassifier(n_neighbors=1, algorithm="brute"),
}


@dataclass(frozen=True)
class Config:
    """Sizes, and the clever learner's settings."""

    n: tuple[int, ...] = (160, 320, 640, 1280)
    """Images that the simple learners get."""
    shares: tuple[int, ...] = (1, 4, 10)
    """The clever learner gets one image in so many of them."""
    C: float = 1.0
    """Penalty of the support-vector machine, the library's default."""
    seed: int = 0
    """Draws the split."""


def split(seed: int, learn: int) -> tuple[Array, Array, Array, Array]:
    """Images [learn, 64] and labels [learn] to learn from, and those of the rest, to test on; classes are not balanced."""
    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=generator("more data split", seed)).numpy()
    x, y = digits.data[order], digits.target[order]
    return x[:learn], y[:learn], x[learn:], y[learn:]


def accuracy(learner: Any, x: Array, y: Array, x_test: Array, y_test: Array) -> float:
    """Share of the test images named right (%) after learning from x [n, 64] and y [n]."""
    return 100 * float((learner.fit(x, y).predict(x_test) == y_test).mean())


def run(config: Config, context: Context) -> dict[str, float]:
    """Train every learner on every size of one split.

    Returns:
        `<learner>_<n>`: test accuracy (%) of `naive_bayes`, `nearest_neighbour` and `svm` with n images;
        `<learner>_<n>_over_svm_<m>`: by how much the simple learner with n is ahead of the support-vector machine with m (percentage points).
    """
    x, y, x_test, y_test = split(config.seed, max(config.n))
    row = {}
    for done, m in enumerate(sizes := sorted({n // share for n in config.n for share in config.shares})):
        context.progress(done / len(sizes))
        row[f"svm_{m}"] = accuracy(SVC(C=config.C, kernel="rbf", gamma="scale"), x[:m], y[:m], x_test, y_test)
    for name, make in SIMPLE.items():
        for n in config.n:
            row[f"{name}_{n}"] = accuracy(make(), x[:n], y[:n], x_test, y_test)
            for share in config.shares:
                m = n // share
                row[f"{name}_{n}_over_svm_{m}"] = row[f"{name}_{n}"] - row[f"svm_{m}"]
    return row


if __name__ == "__main__":
    for column, value in run(Config(), Context()).items():
        print(f"{column:40} {value:6.2f}")
