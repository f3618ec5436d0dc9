"""Training curves: the loss of every run against the compute it had spent."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from repro.judge.numbers import power_text, significant
from repro.review.pictures.canvas import QUIET, one_line, render
from repro.review.pictures.plotting import CHART_DARK, MARKERS, Panels, log_ticks, panel, panels, plain_ticks, shade
from repro.review.wording.labels import pretty
from repro.schema.trial import TrialRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOSSES = (("loss", "held-out loss"), ("train_loss", "training loss"))
"""Curves that are drawn, and how they are called: the first of which every run has several points."""
_SHARE_SHOWN = 0.97
"""The steep start of a run would flatten the rest: of all points the highest few lie beyond the frame."""


@dataclass(frozen=True)
class Run:
    """The curve of one run."""

    rank: float
    """What the runs are ordered by: N, or a setting that varies."""
    x: tuple[float, ...]
    loss: tuple[float, ...]


@dataclass(frozen=True)
class Curves:
    """The curves of some runs on one axis, the smallest model first."""

    runs: tuple[Run, ...]
    what: str
    """Which loss."""
    axis: str
    """What stands on the horizontal axis: FLOPs spent, or steps."""
    ordered_by: str = "N"
    """`N` for parameters, else the name of a setting."""

    @property
    def ranks(self) -> tuple[float, ...]:
        """The sizes (or values of the setting) there are, smallest first."""
        return tuple(sorted({run.rank for run in self.runs}))


def curves_of(records: Sequence[TrialRecord], varied: Sequence[str] = ()) -> Curves | None:
    """Return the training curves of records, finished or diverged; None if they logged no loss.

    Args:
        records: of the main arm.
        varied: settings in which they differ; where all are of one size, a single one of numbers orders them instead.
    """
    finished = [record for record in records if record.status == "finished" and len(record.rows) == 1]
    logged = [
        (name, what) for name, what in LOSSES if finished and all(len(_points(record, name)) > 1 for record in finished)
    ]
    if not logged:
        return None
    name, what = logged[0]
    chosen = [record for record in records if len(record.rows) == 1 and len(_points(record, name)) > 1]
    counted = all(record.rows[0].get("flops") and record.rows[0].get("steps") for record in chosen)
    by = _setting(chosen, varied)
    runs = []
    for record in chosen:
        row, points = record.rows[0], _points(record, name)
        per_step = (row["flops"] or 0.0) / (row["steps"] or 1.0) if counted else 1.0
        x = tuple(step * per_step for step, _ in points)
        rank = float(record.config[by]) if by else row.get("params") or 0.0
        runs.append(Run(rank, x, tuple(value for _, value in points)))
    axis = "training FLOPs spent" if counted else "steps"
    ordered = tuple(sorted(runs, key=lambda run: (run.rank, run.x[-1], run.loss[-1])))
    return Curves(ordered, what, axis, pretty(by) if by else "N")


def _setting(records: Sequence[TrialRecord], varied: Sequence[str]) -> str:
    """Return the one setting of numbers that varies among runs of one size; empty if there is none such."""
    if len({record.rows[0].get("params") for record in records}) > 1 or len(varied) != 1:
        return ""
    values = [record.config.get(varied[0]) for record in records]
    return varied[0] if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values) else ""


def _points(record: TrialRecord, name: str) -> list[tuple[int, float]]:
    """Return the finite points of a curve after its start."""
    return [
        (step, value)
        for step, value in record.curves.get(name, ())
        if value is not None and math.isfinite(value) and step > 0
    ]


def layout(width: int) -> Panels:
    """Return where the one panel stands."""
    return panels(width, count=1, right=84)


def alt_text(curves: Curves) -> str:
    """Return in sentences, with its numbers, what the chart shows."""
    sizes, ends = curves.ranks, [run.loss[-1] for run in curves.runs]
    one = len(curves.runs) == 1
    told = f"{curves.what.capitalize()} of {len(curves.runs)} run{'' if one else 's'} against {curves.axis}"
    if sizes[-1] > 0 and len(sizes) > 1:
        span = f"from {power_text(sizes[0], 3)} to {power_text(sizes[-1], 3)}"
        told += (
            f", {len(sizes)} sizes {span} parameters" if curves.ordered_by == "N" else f", {curves.ordered_by} {span}"
        )
    if one:
        return f"{told}. It ends at {significant(ends[0])}."
    return f"{told}. The runs end between {significant(min(ends))} and {significant(max(ends))}."


def order_text(curves: Curves) -> str:
    """Return what the darker lines are."""
    return "are larger models" if curves.ordered_by == "N" else f"have a larger {curves.ordered_by}"


def points(curves: Curves) -> list[dict[str, object]]:
    """Return every point of every curve, one row each; runs are numbered from the smallest model on."""
    return [
        {"run": number, curves.ordered_by: run.rank, curves.axis: at, curves.what: loss}
        for number, run in enumerate(curves.runs, start=1)
        for at, loss in zip(run.x, run.loss, strict=True)
    ]


def draw(curves: Curves, width: int, title: str) -> str:
    """Draw the curves as an SVG document.

    Args:
        curves: of the runs.
        width: in pixels.
        title: of the document.
    """
    places = layout(width)

    def paint(figure: "Figure") -> None:
        axes = panel(figure, places.boxes[0], f"{curves.what.capitalize()} of every run", curves.axis, curves.what)
        every = sorted(value for run in curves.runs for value in run.loss)
        low, high = every[0], every[math.ceil(_SHARE_SHOWN * len(every)) - 1]
        pad = 0.05 * (high - low) or 0.05
        x = min(run.x[0] for run in curves.runs) / 1.1, max(run.x[-1] for run in curves.runs) * 1.1
        axes.set_xscale("log")
        axes.set_xlim(*x)
        axes.set_ylim(low - pad, high + pad)
        log_ticks(axes.xaxis, *x)
        plain_ticks(axes.yaxis, low - pad, high + pad)
        sizes = curves.ranks
        for run in curves.runs:
            rank = sizes.index(run.rank)
            color, marker = shade(rank, len(sizes)), MARKERS[rank % len(MARKERS)]
            axes.plot(run.x, run.loss, color=color, linewidth=1.1, zorder=2)
            axes.plot(run.x[-1:], run.loss[-1:], marker, color=color, markersize=5, zorder=3)
        _write_key(axes, curves, places.boxes[0][2] * width, places.boxes[0][3] * places.height)

    return render((places.width, places.height), paint, title, alt_text(curves), CHART_DARK)


def _write_key(axes: Any, curves: Curves, width: float, height: float) -> None:
    """Name the mark of every size beside the frame, the largest at the top."""
    sizes = curves.ranks
    if len(sizes) < 2 or sizes[-1] <= 0:
        return
    axes.annotate(
        one_line(f"{curves.ordered_by} =", 13),
        (1.0, 1.0),
        xycoords="axes fraction",
        xytext=(6, 8),
        textcoords="offset points",
        color=QUIET,
        fontsize=10,
        annotation_clip=False,
    )
    step = min(15.0, (height - 12) / len(sizes))
    for i, size in enumerate(reversed(sizes)):
        rank = len(sizes) - 1 - i
        color, marker, place = shade(rank, len(sizes)), MARKERS[rank % len(MARKERS)], 1 - (8 + step * i) / height
        axes.plot([1 + 12 / width], [place], marker, color=color, markersize=6, transform=axes.transAxes, clip_on=False)
        axes.annotate(
            power_text(size),
            (1.0, place),
            xycoords="axes fraction",
            xytext=(22, 0),
            textcoords="offset points",
            va="center",
            color=color,
            fontsize=10,
            annotation_clip=False,
        )
