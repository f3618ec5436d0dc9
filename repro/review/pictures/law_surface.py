"""The parametric law L(N, D) = E + A/N^α + B/D^β over the runs it was fitted to, and what it leaves of their losses."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from repro.judge.numbers import power_text, significant
from repro.review.pictures.canvas import INK, LINE, OUTCOME, QUIET, render
from repro.review.pictures.plotting import CHART_DARK, Panels, beside, hollow, log_ticks, panel, panels, plain_ticks
from repro.stats.scaling_laws.law import Array, ParametricLaw, log_optimal_params
from repro.stats.scaling_laws.sweep import Sweep

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLOPS_PER_PARAMETER_AND_TOKEN = 6
"""C = 6ND, by which the law's own optimum N*(C) is drawn."""


@dataclass(frozen=True)
class Surface:
    """Runs with the law that fits them."""

    theta: tuple[float, ...]
    """θ = (ln A, ln B, ln E, α, β)."""
    params: Array
    """N, `[n]`."""
    tokens: Array
    """D, `[n]`."""
    loss: Array
    """`[n]`."""

    @property
    def law(self) -> ParametricLaw:
        """The five constants."""
        a, b, e, alpha, beta = self.theta
        return ParametricLaw(math.exp(e), math.exp(a), math.exp(b), alpha, beta)

    @property
    def residuals(self) -> Array:
        """Measured loss over the law's, minus 1, in percent, `[n]`."""
        return np.asarray(100 * (self.loss / self.law.loss(self.params, self.tokens) - 1))


def surface_of(sweep: Sweep, theta: tuple[float, ...]) -> Surface:
    """Return the runs of a sweep with a law."""
    return Surface(theta, sweep.params, sweep.tokens, sweep.loss)


def layout(width: int) -> Panels:
    """Return where the two panels stand."""
    return panels(width, right=34)


def law_text(surface: Surface) -> str:
    """Return the fitted law with its constants."""
    law = surface.law
    E, A, B, alpha, beta = (significant(value, 3) for value in (law.E, law.A, law.B, law.alpha, law.beta))
    return f"L = {E} + {A}/N^{alpha} + {B}/D^{beta}"


def alt_text(surface: Surface) -> str:
    """Return in sentences, with its numbers, what the chart shows."""
    residuals = surface.residuals
    rms, worst = math.sqrt(float((residuals**2).mean())), float(np.abs(residuals).max())
    n, d = (
        f"{power_text(float(values.min()), 3)} to {power_text(float(values.max()), 3)}"
        for values in (surface.params, surface.tokens)
    )
    return (
        f"Lines of equal loss of the law fitted to {len(surface.loss)} runs, {law_text(surface)}, over parameters N from {n} and "
        f"training tokens D from {d}. Beside it the residuals, measured over fitted loss minus 1: root mean square "
        f"{significant(rms, 2)} %, largest {significant(worst, 2)} %; {int((residuals > 0).sum())} runs lie above the law and "
        f"{int((residuals <= 0).sum())} on it or below."
    )


def points(surface: Surface) -> list[dict[str, object]]:
    """Return every run with what the law leaves of it, one row each."""
    columns = (surface.params, surface.tokens, surface.loss, surface.residuals)
    return [
        {"params": float(n), "tokens": float(d), "loss": float(loss), "off_the_law_percent": float(left)}
        for n, d, loss, left in zip(*columns, strict=True)
    ]


def draw(surface: Surface, width: int, title: str) -> str:
    """Draw the surface and its residuals as an SVG document.

    Args:
        surface: the runs and their law.
        width: in pixels.
        title: of the document.
    """
    places = layout(width)

    def paint(figure: "Figure") -> None:
        _paint_surface(figure, places.boxes[0], surface)
        _paint_residuals(figure, places.boxes[1], surface)

    return render((places.width, places.height), paint, title, alt_text(surface), CHART_DARK)


def _paint_surface(figure: "Figure", box: tuple[float, ...], surface: Surface) -> None:
    from matplotlib.ticker import MaxNLocator

    axes = panel(figure, box, "Lines of equal loss L(N, D)", "parameters N", "training tokens D")
    axes.set_xscale("log")
    axes.set_yscale("log")
    ends = [(float(values.min()) / 1.5, float(values.max()) * 1.5) for values in (surface.params, surface.tokens)]
    axes.set_xlim(*ends[0])
    axes.set_ylim(*ends[1])
    log_ticks(axes.xaxis, *ends[0], most=5)
    log_ticks(axes.yaxis, *ends[1])
    grids = [np.geomspace(*pair, 80) for pair in ends]
    size, data = np.meshgrid(*grids)
    height = surface.law.loss(size, data)
    # Lines at equal steps of loss would all lie in the steep corner: equal steps above the floor, in logs, spread them.
    floor = min(surface.law.E, float(height.min())) * (1 - 1e-9)
    steps = MaxNLocator(9).tick_values(*np.log(np.array([height.min() * 1.0001, height.max()]) - floor))
    levels = sorted({round(floor + math.exp(step), 3) for step in steps})
    levels = [level for level in levels if height.min() < level < height.max()]
    if levels:
        lines = axes.contour(size, data, height, levels=levels, colors=[LINE], linewidths=1.1, zorder=1)
        labels = axes.clabel(lines, fontsize=9, fmt=lambda level: significant(level, 3), inline_spacing=3)
        for label in labels:
            label.set_color(QUIET)
    _paint_optimum(axes, surface, ends)
    above = surface.residuals > 0
    for chosen, marker in ((above, "^"), (~above, "v")):
        filled: dict[str, Any] = {"linestyle": "none", "markersize": 5, "color": OUTCOME["match"]}
        looks = filled if marker == "^" else hollow(OUTCOME["match"], 5)
        axes.plot(surface.params[chosen], surface.tokens[chosen], marker, zorder=3, **looks)


def _paint_optimum(axes: Any, surface: Surface, ends: list[tuple[float, float]]) -> None:
    """Draw the law's own optimal size and data at each compute, C = 6ND."""
    low, high = (FLOPS_PER_PARAMETER_AND_TOKEN * ends[0][i] * ends[1][i] for i in (0, 1))
    compute = np.geomspace(low, high, 200)
    size = np.exp([log_optimal_params(np.array(surface.theta), float(flops)) for flops in compute])
    data = compute / FLOPS_PER_PARAMETER_AND_TOKEN / size
    seen = (size > ends[0][0]) & (size < ends[0][1]) & (data > ends[1][0]) & (data < ends[1][1])
    if seen.sum() < 2:
        return
    axes.plot(size[seen], data[seen], color=INK, linewidth=1.4, linestyle=(0, (6, 3)), zorder=2)
    place = int(0.9 * (seen.sum() - 1))
    beside(axes, "optimal", (float(size[seen][place]), float(data[seen][place])), INK, dx=-7, dy=3)


def _paint_residuals(figure: "Figure", box: tuple[float, ...], surface: Surface) -> None:
    axes = panel(figure, box, "What the law leaves", "loss by the law", "residual in %")
    fitted, residuals = surface.law.loss(surface.params, surface.tokens), surface.residuals
    size = 1.15 * float(np.abs(residuals).max()) or 1.0
    low, high = float(fitted.min()), float(fitted.max())
    pad = 0.05 * (high - low) or 0.05
    axes.set_xlim(low - pad, high + pad)
    axes.set_ylim(-size, size)
    plain_ticks(axes.xaxis, low - pad, high + pad)
    plain_ticks(axes.yaxis, -size, size)
    axes.axhline(0, color=INK, linewidth=1.2, zorder=1)
    above = residuals > 0
    axes.plot(fitted[above], residuals[above], "^", linestyle="none", color=OUTCOME["match"], markersize=5, zorder=3)
    axes.plot(fitted[~above], residuals[~above], "v", zorder=3, **hollow(OUTCOME["match"], 5))
