"""How far the loss of models of one size depends on their shape, depth against width.

Kaplan et al. 2020 (arXiv 2001.08361), section 3.1 and Figure 5: at a fixed number of parameters outside the embedding.
"""

import math
from collections.abc import Sequence

import numpy as np

from repro.schema.errors import EstimateError, nearest
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.one_text import require_one_text

__all__ = ["shape_penalty"]

SHAPE = ("n_layer", "d_model")


@estimator(unit="seed")
def shape_penalty(
    records: Sequence[TrialRecord],
    *,
    column: str = "loss",
    size: str = "params_non_embedding",
    size_exponent: float = 0.076,
) -> Estimate:
    """Return by how many percent the loss of the worst shape exceeds that of the best, 100 (L_worst/L_best − 1).

    Where shapes differ a little in size N, losses are first brought to the sizes' geometric mean M by L ∝ N^−α, that is times
    (N/M)^α, the law of size itself. The noise of a run is pooled over shapes, in logs; the
    standard error is that of the difference of two shapes' means. Noise makes the worst of several look worse than it is: the value
    errs upwards, against the claim.

    Args:
        records: training runs, one row each, with the fields `n_layer` and `d_model`; repeats of a shape are averaged.
        column: the held-out loss.
        size: column with N.
        size_exponent: α; 0 compares the losses as they are.

    Returns:
        The penalty, n the repeats of the shape with the fewest, ν = runs − shapes. In `extras`: the range of d_model/n_layer
        (`aspect_range`) and of N (`size_range`), as ratios, and by shape `penalty_<n_layer>x<d_model>` over the best.

    Raises:
        EstimateError: if a field or column is missing, or there are fewer than two shapes.
    """
    shapes: dict[tuple[int, int], list[tuple[float, float]]] = {}
    diverged = 0
    require_one_text(records)
    for record in records:
        loss, params = _measured(record, column, size)
        if not (math.isfinite(loss) and math.isfinite(params)):
            diverged += 1
            continue
        shapes.setdefault((int(record.config[SHAPE[0]]), int(record.config[SHAPE[1]])), []).append(
            (math.log(loss), math.log(params))
        )
    if len(shapes) < 2:
        raise EstimateError(f"a penalty of shape needs finished runs of two or more shapes, got {len(shapes)}.")
    log_size = {shape: runs[0][1] for shape, runs in shapes.items()}
    middle = float(np.mean(list(log_size.values())))
    losses = {
        shape: np.array([loss for loss, _ in runs]) + size_exponent * (log_size[shape] - middle)
        for shape, runs in shapes.items()
    }
    means = {shape: float(values.mean()) for shape, values in losses.items()}
    best, worst = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    penalties = {shape: 100 * math.expm1(mean - means[best]) for shape, mean in means.items()}
    dof = sum(len(values) - 1 for values in losses.values())
    squares = sum(float(((values - values.mean()) ** 2).sum()) for values in losses.values())
    se = None
    if any(values.min() < values.max() for values in losses.values()):
        of_difference = math.sqrt(squares / dof * (1 / len(losses[best]) + 1 / len(losses[worst])))
        se = (100 + penalties[worst]) * of_difference
    aspects = [width / depth for depth, width in shapes]
    flags = (*(("diverged",) if diverged else ()), *(("no_spread",) if dof and se is None else ()))
    return Estimate(
        penalties[worst],
        se=se,
        dof=dof if se is not None else None,
        n=min(len(values) for values in losses.values()),
        unit="seed",
        flags=flags,
        extras={
            "aspect_range": max(aspects) / min(aspects),
            "size_range": math.exp(max(log_size.values()) - min(log_size.values())),
            **{f"penalty_{depth}x{width}": penalties[depth, width] for depth, width in sorted(penalties)},
        },
        note=f"{len(shapes)} shapes, worst {worst[0]} layers of width {worst[1]}, best {best[0]} of {best[1]}"
        + f"; {diverged} runs diverged and are left out" * bool(diverged),
    )


def _measured(record: TrialRecord, column: str, size: str) -> tuple[float, float]:
    """Return loss and size of a run; NaN if it diverged without a row."""
    for name in SHAPE:
        if name not in record.config:
            raise EstimateError(f"the config of '{record.study}' has no field '{name}'.{nearest(name, record.config)}")
    if record.status == "diverged" and not record.rows:
        return math.nan, math.nan
    known = {name for row in record.rows for name in row}
    missing = [name for name in (column, size) if name not in known]
    if len(record.rows) != 1 or missing:
        raise EstimateError(
            f"a run of one row with '{column}' and '{size}' is needed; {record.label or record.key[:8]} has {len(record.rows)} rows."
            + (nearest(missing[0], known) if missing else "")
        )
    return record.value(column), record.value(size)
