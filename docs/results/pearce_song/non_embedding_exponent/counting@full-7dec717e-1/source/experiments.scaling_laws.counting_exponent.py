"""One law, two ways of counting: Chinchilla's law seen through non-embedding parameters.

Paper: Pearce and Song, "Reconciling Kaplan and Chinchilla Scaling Laws", arXiv 2406.12907, section 3. Serves the claim
`pearce_song/non_embedding_exponent`.

Chinchilla's law holds in total parameters, L = E + A/N^α + B/D^β. Embeddings make N = n + ω n^(1/3) of n non-embedding
parameters (ω = 47491). Counting n and C = 6nD, as Kaplan et al. did, the optimum for a budget C satisfies

    β B D^(−β) / n = α A N^(−α−1) dN/dn,   D = C/(6n)

which gives D(n), hence C(n), in closed form. On the grid, as in the authors' script: 20 sizes, 1,000 token counts, 100
budgets; at each budget the size of least loss; a straight line through log n against log C.

Hardware and time: any CPU, about a tenth of a second. Deviations: the number of token counts and their range (1e6 to
1e25) follow the authors' script. There, a size that would need fewer than 1e6 tokens for a budget competes with 1e6
tokens, that is with more compute; here it does not compete. That moves only `tex_total_grid`, which is no target.
"""

from dataclasses import dataclass

import numpy as np

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Two published sets of constants, the relation between the two counts, and the grid."""

    epoch: tuple[float, ...] = (482.01, 2085.43, 0.3478, 0.3658, 1.8172)
    """A, B, α, β, E of Besiroglu et al."""
    tex: tuple[float, ...] = (406.4, 410.7, 0.3392, 0.2849, 1.6934)
    """A, B, α, β, E of Hoffmann et al., digits of the TeX source."""
    omega: float = 47_491.0
    """ω in N = n + ω n^(1/3); 0 leaves the embedding out of the law altogether."""
    sizes: tuple[float, ...] = (2.9, 9.2)
    """log10 of the smallest and largest n: Kaplan's 768 to 1.5e9."""
    n_sizes: int = 20
    """Model sizes."""
    tokens: tuple[float, ...] = (6.0, 25.0)
    """log10 of the smallest and largest D."""
    n_tokens: int = 1000
    """Token counts."""
    budgets: tuple[float, ...] = (12.95, 20.7)
    """log10 of the smallest and largest C counted without embeddings, FLOPs."""
    budgets_total: tuple[float, ...] = (13.4, 20.7)
    """log10 of the smallest and largest C counted in total parameters, FLOPs."""
    n_budgets: int = 100
    """Budgets."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def loss(N: np.ndarray, D: np.ndarray, constants: tuple[float, ...]) -> np.ndarray:
    """L(N, D) in nats; N in total parameters."""
    A, B, alpha, beta, E = constants
    return E + A / N**alpha + B / D**beta


def slope(x: np.ndarray, y: np.ndarray) -> float:
    """Return the slope of a straight line through (ln x, ln y)."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def grid_frontier(
    counted: np.ndarray, total: np.ndarray, C: np.ndarray, D: np.ndarray, constants: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return size (as counted) and loss of the best model at each budget, both `[budgets]`.

    Args:
        counted: sizes as the observer counts them, `[sizes]`.
        total: the same models in total parameters, `[sizes]`.
        C: budgets, `[budgets]`.
        D: token counts, `[tokens]`.
        constants: A, B, α, β, E.
    """
    losses = loss(total[:, None], D[None, :], constants)  # [sizes, tokens]
    best_size, best_loss = np.empty_like(C), np.empty_like(C)
    for i, budget in enumerate(C):
        nearest = np.abs(6 * counted[:, None] * D[None, :] - budget).argmin(axis=1)  # [sizes]
        needed = budget / (6 * counted)
        at_budget = losses[np.arange(len(counted)), nearest]
        at_budget[(needed < D[0]) | (needed > D[-1])] = np.inf  # the grid has no run of this size at this budget
        best = at_budget.argmin()
        best_size[i], best_loss[i] = counted[best], at_budget[best]
    return best_size, best_loss


def optimal_budget(n: np.ndarray, omega: float, constants: tuple[float, ...]) -> np.ndarray:
    """Return the budget C = 6nD at which n non-embedding parameters are optimal, in closed form."""
    A, B, alpha, beta, _ = constants
    N = n + omega * np.cbrt(n)
    dN_dn = 1 + omega / 3 * n ** (-2 / 3)
    D = (beta * B * N ** (1 + alpha) / (alpha * A * n * dN_dn)) ** (1 / beta)
    return 6 * n * D


def closed_form_frontier(C: np.ndarray, omega: float, constants: tuple[float, ...]) -> np.ndarray:
    """Return the optimal n at each budget, by reading C(n) backwards on a fine logarithmic scale."""
    n = np.logspace(0, 12, 20_000)
    return np.exp(np.interp(np.log(C), np.log(optimal_budget(n, omega, constants)), np.log(n)))


def run(config: Config, context: Context) -> dict[str, float]:
    """Fit exponents for both sets of constants.

    Returns, for `epoch` and `tex`:
        `<set>_non_embedding_grid`, `<set>_non_embedding_closed_form`: d ln n*/d ln C over the non-embedding budgets.
        `<set>_total_grid`, `<set>_total_closed_form`: d ln N*/d ln C; the latter is β/(α+β).
        `<set>_smallest_closed_form`, `<set>_largest_closed_form`: slope over the first and last tenth of the budgets.
        `<set>_non_embedding_at_edge`, `<set>_total_at_edge`: budgets whose best size is the smallest or largest of the
        grid; where they are many, the slope on the grid is bent by the edge.
        `<set>_loss_slope`: −d ln L*/d ln C on the non-embedding grid, Kaplan's form without offset.
        `<set>_loss_exponent`: αβ/(α+β), the exponent of L* − E in total parameters.
    """
    n = np.logspace(*config.sizes, config.n_sizes)
    N = n + config.omega * np.cbrt(n)
    D = np.logspace(*config.tokens, config.n_tokens)
    C = np.logspace(*config.budgets, config.n_budgets)
    C_total = np.logspace(*config.budgets_total, config.n_budgets)
    tenth = max(2, config.n_budgets // 10)
    row: dict[str, float] = {}
    for name, constants in {"epoch": config.epoch, "tex": config.tex}.items():
        _, _, alpha, beta, _ = constants
        size, best_loss = grid_frontier(n, N, C, D, constants)
        size_total, _ = grid_frontier(N, N, C_total, D, constants)
        exact = closed_form_frontier(C, config.omega, constants)
        row |= {
            f"{name}_non_embedding_grid": slope(C, size),
            f"{name}_non_embedding_closed_form": slope(C, exact),
            f"{name}_total_grid": slope(C_total, size_total),
            f"{name}_total_closed_form": beta / (alpha + beta),
            f"{name}_smallest_closed_form": slope(C[:tenth], exact[:tenth]),
            f"{name}_largest_closed_form": slope(C[-tenth:], exact[-tenth:]),
            f"{name}_non_embedding_at_edge": float(np.isin(size, n[[0, -1]]).sum()),
            f"{name}_total_at_edge": float(np.isin(size_total, N[[0, -1]]).sum()),
            f"{name}_loss_slope": -slope(C, best_loss),
            f"{name}_loss_exponent": alpha * beta / (alpha + beta),
        }
    return row


if __name__ == "__main__":
    for column, value in run(Config(), Context()).items():
        print(f"{column:36} {value:.4f}")
