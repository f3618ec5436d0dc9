"""IsoFLOP profiles: loss against size at each budget with its parabola, and the optima against the budget."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from repro.judge.numbers import power_text, significant
from repro.review.pictures.canvas import INK, OUTCOME, QUIET, one_line, render
from repro.review.pictures.plotting import (
    CHART_DARK,
    MARKERS,
    Panels,
    beside,
    hollow,
    log_ticks,
    panel,
    panels,
    plain_ticks,
    shade,
    spread,
)
from repro.review.pictures.sweeps import Profiles
from repro.review.wording.labels import pretty

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE_NAMES = {"params": "parameters N", "tokens": "training tokens D"}
_OPTIMUM = {"params": "N*", "tokens": "D*"}


def layout(width: int) -> Panels:
    """Return where the two panels stand."""
    return panels(width, right=98)


def draw(profiles: Profiles, references: Mapping[str, float], width: int, title: str) -> str:
    """Draw the profiles as an SVG document.

    Args:
        profiles: what was measured.
        references: slopes to compare with, by name: the published one first, then the rivals.
        width: in pixels.
        title: of the document.
    """
    places = layout(width)

    def paint(figure: "Figure") -> None:
        _paint_profiles(figure, places.boxes[0], profiles)
        _paint_optima(figure, places.boxes[1], profiles, references)

    references = {pretty(name): slope for name, slope in references.items()}
    return render((places.width, places.height), paint, title, alt_text(profiles, references), CHART_DARK)


def alt_text(profiles: Profiles, references: Mapping[str, float]) -> str:
    """Return in sentences, with its numbers, what the chart shows."""
    name = SIZE_NAMES[profiles.of]
    told = [f"Held-out loss against {name} at {len(profiles.curves)} training budgets, with a parabola through each."]
    for curve in profiles.curves:
        runs = f"{len(curve.size)} sizes from {power_text(curve.size[0], 3)} to {power_text(curve.size[-1], 3)}"
        if curve.optimum and curve.lowest is not None:
            found = f"lowest at {power_text(curve.optimum, 3)} with loss {significant(curve.lowest)}"
        else:
            found = f"no optimum: {curve.problem}"
        told.append(f"{power_text(curve.budget, 3)} FLOPs, {runs}: {found}.")
    if profiles.slope is not None:
        other = "; ".join(f"{pretty(name)} {significant(slope, 3)}" for name, slope in references.items())
        told.append(
            f"The optima grow with compute to the power {significant(profiles.slope, 3)}{f' ({other})' if other else ''}."
        )
    return " ".join(told)


def points(profiles: Profiles) -> list[dict[str, object]]:
    """Return every mark of the chart, one row each: the mean loss of a size at a budget, and the lowest point of each parabola."""
    return [
        {"budget_flops": curve.budget, "mark": mark, profiles.of: float(size), "loss": float(loss), "runs": runs}
        for curve in profiles.curves
        for mark, size, loss, runs in (
            *(("mean", *three) for three in zip(curve.size, curve.loss, curve.seeds.astype(int).tolist(), strict=True)),
            *((("optimum", curve.optimum, curve.lowest, ""),) if curve.optimum and curve.lowest is not None else ()),
        )
    ]


def _paint_profiles(figure: "Figure", box: tuple[float, ...], profiles: Profiles) -> None:
    axes = panel(figure, box, "Loss at each budget", SIZE_NAMES[profiles.of], "held-out loss")
    axes.set_xscale("log")
    curves = profiles.curves
    sizes = np.concatenate([curve.size for curve in curves])
    losses = np.concatenate([curve.loss for curve in curves])
    pad = 0.08 * float(np.ptp(losses)) or 0.05
    x, y = (
        (float(sizes.min()) / 1.25, float(sizes.max()) * 1.25),
        (float(losses.min()) - pad, float(losses.max()) + pad),
    )
    axes.set_xlim(*x)
    axes.set_ylim(*y)
    log_ticks(axes.xaxis, *x, most=5)
    plain_ticks(axes.yaxis, *y)
    height = box[3] * figure.get_figheight() * 72
    ends = [float(curve.loss[-1]) for curve in curves]
    labels = spread(ends, 13 * (y[1] - y[0]) / height)
    for i, curve in enumerate(curves):
        color, marker = shade(i, len(curves)), MARKERS[i % len(MARKERS)]
        axes.plot(*curve.fitted, color=color, linewidth=1.4, zorder=2)
        axes.plot(curve.size, curve.loss, marker, color=color, markersize=5, linestyle="none", zorder=3)
        if curve.optimum and curve.lowest is not None:
            axes.plot([curve.optimum], [curve.lowest], marker, **hollow(INK, 10), zorder=4)
        moved = (labels[i] - ends[i]) * height / (y[1] - y[0])
        beside(axes, power_text(curve.budget, 3), (float(curve.size[-1]), ends[i]), color, dy=moved)


def _paint_optima(
    figure: "Figure", box: tuple[float, ...], profiles: Profiles, references: Mapping[str, float]
) -> None:
    axes: Any = panel(
        figure, box, f"Where it is lowest: {_OPTIMUM[profiles.of]}", "training FLOPs C", SIZE_NAMES[profiles.of]
    )
    axes.set_xscale("log")
    axes.set_yscale("log")
    found = [(i, curve, curve.optimum) for i, curve in enumerate(profiles.curves) if curve.optimum]
    if not found:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.annotate("no budget has an optimum", (0.5, 0.5), xycoords="axes fraction", ha="center", color=QUIET)
        return
    budgets = [curve.budget for _, curve, _ in found]
    x = min(budgets) / 2.2, max(budgets) * 2.2
    optima = [optimum for _, _, optimum in found]
    lines = {} if profiles.slope is None else {"": profiles.slope, **references}
    ends = {name: [profiles.line(budget, slope) for budget in x] for name, slope in lines.items()}
    reached = [*optima, *(end for pair in ends.values() for end in pair)]
    y = min(reached) / 1.25, max(reached) * 1.25
    axes.set_xlim(*x)
    axes.set_ylim(*y)
    log_ticks(axes.xaxis, *x, most=5)
    log_ticks(axes.yaxis, *y)
    height = box[3] * figure.get_figheight() * 72
    scale = height / float(np.log(y[1] / y[0]))
    names = list(ends)
    at = [float(np.log(ends[name][1])) for name in names]
    for name, wanted, place in zip(names, at, spread(at, 13 / scale), strict=True):
        color, style = (
            (OUTCOME["match"], "-") if not name else (QUIET, (0, (5, 3)) if name == names[1] else (0, (1, 2)))
        )
        axes.plot(x, ends[name], color=color, linestyle=style, linewidth=1.8 if not name else 1.2, zorder=2)
        text = f"{one_line(name or 'here', 10)} {significant(lines[name], 3)}"
        beside(axes, text, (x[1], ends[name][1]), color, dx=4, dy=(place - wanted) * scale)
    for i, curve, optimum in found:
        color = shade(i, len(profiles.curves))
        axes.plot([curve.budget], [optimum], MARKERS[i % len(MARKERS)], color=color, markersize=8, zorder=4)
