"""Training runs of Chinchilla's Figure 4, for fits of the parametric law.

Papers: Hoffmann et al. 2022 (arXiv 2203.15556), section 3.3, Equation 10 and Appendix D.2 (Approach 3), and Besiroglu
et al. 2024 (arXiv 2404.10102), who recovered 245 of its points from the vector graphic of Figure 4 and refitted them.

Serves the claims `chinchilla/parametric_fit_constants`, `chinchilla/fit_procedure_invariance` and those of
`epoch_chinchilla`. The trial only reads the table; fit and bootstrap are `repro.stats.scaling_laws`:

    min over (a, b, e, α, β) of  Σ_i Huber_δ( ln L_i − LSE(a − α ln N_i, b − β ln D_i, e) ),    δ = 1e-3

Hardware and time: any CPU; the trial takes milliseconds, a fit with 4,000 bootstrap resamples about two seconds.

Deviations: the points are read off a figure, so N, C and L carry its resolution, and they are fewer than the authors'
"over 400" runs. The table has no tokens: D = C / 6N. No parameter count tells whether embeddings are included.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Which rows of the table are kept."""

    drop_highest: int = 5
    """Runs of highest loss that are left out (Besiroglu et al. leave out 5 of 245, far from the compute-optimal ratio)."""
    keep_every: int = 1
    """Control: keep every k-th run in the order of the table."""
    exchange: bool = False
    """Control: N and D change places, which leaves the quality of the fit as it is and exchanges its constants."""
    seed: int = 0
    """Unused: reading a table draws nothing. It lets two processes repeat the trial."""


def read_points(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return parameters N, training FLOPs C and loss L of every run, each `[245]`."""
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    columns = ("Model Size", "Training FLOP", "loss")
    N, C, L = (np.array([float(row[name]) for row in rows]) for name in columns)
    return N, C, L


def run(config: Config, context: Context) -> list[dict[str, float]]:
    """Return one row a training run.

    `params`: N; `tokens`: D = C / 6N; `flops_of_run`: C, FLOPs that the authors spent; `loss`: final training loss in
    nats per token.
    """
    N, C, L = read_points(context.data("epoch_chinchilla_points"))

    lowest_first = np.argsort(L, kind="stable")
    kept = np.sort(lowest_first[: len(L) - config.drop_highest])[:: config.keep_every]
    N, C, L = N[kept], C[kept], L[kept]

    D = C / (6 * N)
    if config.exchange:
        N, D = D, N
    return [
        {"params": float(n), "tokens": float(d), "flops_of_run": float(c), "loss": float(loss)}
        for n, d, c, loss in zip(N, D, C, L, strict=True)
    ]


if __name__ == "__main__":
    import sys

    rows = run(Config(), Context(files={"epoch_chinchilla_points": Path(sys.argv[1])}))
    print(f"{len(rows)} runs; loss {min(r['loss'] for r in rows):.3f} to {max(r['loss'] for r in rows):.3f} nats")
