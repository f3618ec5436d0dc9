"""Estimators of a monotone trend over levels, decided by the rule of kind `trend`.

The value is positive where the trend goes the claimed way. What decides are p-values in `extras`: `trend_p` of the claimed
trend, `trend_reverse_p` of the reversed one, `trend_step_p` the smallest of a step from one level to the next that is
reversed, `trend_steps` the number of steps, and `trend_least_p` that of a perfect trend. `trend_reversals` counts the
steps that are seen to go the other way, whether by luck or not.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from repro.schema.errors import EstimateError, nearest
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.levels import points_of, table_of
from repro.stats.signflip import sign_flip_p, signed_ranks
from repro.stats.summary import agreed
from repro.stats.superiority import unpaired_superiority
from repro.stats.trend_tests import jonckheere_p, kendall_tau, page_p

__all__ = ["estimated_trend", "exact_trend", "monotone_trend", "tested_blocks", "tested_levels"]

Direction = Literal["decreasing", "increasing"]
FloatArray = NDArray[np.float64]
Tested = dict[str, float | None]
SIGNS: Mapping[str, float] = {"increasing": 1.0, "decreasing": -1.0}


@estimator(unit="seed", simulator="repro.stats.simulators.trend.levels")
def monotone_trend(
    records: Sequence[TrialRecord],
    *,
    x: str,
    y: str,
    direction: Direction = "decreasing",
    runs: Literal["paired", "independent", "rows"] = "paired",
    lower_is_better: bool = True,
) -> Estimate:
    """Return Kendall's τ in the claimed direction, with exact p-values of the trend.

    - `paired`: the replicates of one seed at all levels form a block: Page's test. With a single seed, Mann and Kendall's.
    - `independent`: replicates share nothing across levels: Jonckheere and Terpstra's test.
    - `rows`: a published table; the rows of the one trial of a deterministic study are independent runs: the same test.

    Levels are ordered by x. A diverged run ranks last. A single step is tested by Wilcoxon's signed ranks (paired), or by
    Mann and Whitney's ranks (independent); with one value a level there is no noise to test a step against.

    Args:
        records: one trial a level and seed; or a trial with a row for each level; or, for `rows`, replicates of one trial.
        x: what is increased: a measurement, or else a field of the config.
        y: the measurement whose trend is claimed.
        direction: `decreasing` or `increasing`.
        runs: how runs at different levels belong together.
        lower_is_better: True for a loss, so that a diverged run counts as +∞; False for an accuracy.

    Raises:
        EstimateError: for fewer than three levels (two are an ordering), a block that lacks a level or has it twice, a column
            that was not measured, or a missing value in a published table.
    """
    sign, points = _sign(direction), []
    flags: tuple[str, ...] = ()
    note = ""
    if runs == "rows":
        same = agreed(records)
        flags, note, records = same.flags, same.note, same.records
        if len(records) != 1:
            raise EstimateError(f"monotone_trend reads the rows of one trial, got {len(records)} different ones.")
    elif runs not in ("paired", "independent"):
        raise EstimateError(f"monotone_trend has no runs '{runs}'.{nearest(runs, ('paired', 'independent', 'rows'))}")
    for record in records:
        points += [(level, record.replicate, value) for level, value in points_of(record, x, y)]
    if not points:
        raise EstimateError(f"monotone_trend found no trial that measured '{y}'.")
    worst = math.inf if lower_is_better else -math.inf
    diverged = sum(not math.isfinite(value) for _, _, value in points)
    if diverged and runs == "rows":
        raise EstimateError(
            f"{diverged} of {len(points)} rows have no finite '{y}'. Say in the recipe which rows are left out."
        )
    ranked = [(level, block, sign * (value if math.isfinite(value) else worst)) for level, block, value in points]
    names = sorted({level for level, _, _ in ranked})
    if len(names) < 3:
        raise EstimateError(
            f"a trend takes at least three levels of '{x}', got {len(names)}. Two levels are an ordering: use paired_difference."
        )
    if diverged:
        note = f"{note} {diverged} of {len(points)} runs diverged and rank last.".strip()
    if runs == "paired":
        n, tested = tested_blocks(_blocks(ranked, names, x))
    else:
        n, tested = tested_levels([[value for level, _, value in ranked if level == name] for name in names])
    return Estimate(
        value=tested["trend_tau"],
        n=n,
        unit="run" if runs == "rows" else "seed",
        flags=flags,
        extras={**tested, "diverged": float(diverged)},
        note=note,
    )


@estimator(unit="none", simulator="repro.stats.simulators.trend.table")
def exact_trend(
    records: Sequence[TrialRecord], *, x: str, y: str, direction: Direction = "decreasing", resolution: float = 0.0
) -> Estimate:
    """Return the smallest step between neighbouring levels in the claimed direction, for values without noise.

    Args:
        records: replicates of one deterministic trial with one row a level.
        x: the column that orders the levels.
        y: the column whose every step is claimed.
        direction: `decreasing` or `increasing`; strictly.
        resolution: a unit of the last digit of printed values: no smaller step can be told from none.

    Raises:
        EstimateError: if the rows are not one finite value for each of at least two levels.
    """
    flags, note, rows = table_of(records, (x, y))
    steps = _sign(direction) * np.diff([row[1] for row in rows])
    return Estimate(
        value=float(steps.min()),
        se=0.0,
        n=1,
        unit="none",
        deterministic=True,
        flags=flags,
        extras={
            "trend_steps": float(len(steps)),
            "trend_reversals": float((steps <= 0).sum()),
            "trend_resolution": resolution,
        },
        note=note,
    )


@estimator(unit="level", simulator="repro.stats.simulators.trend.estimates")
def estimated_trend(
    records: Sequence[TrialRecord],
    *,
    x: str,
    y: str,
    se: str,
    dof: str | None = None,
    direction: Direction = "decreasing",
) -> Estimate:
    """Return the least significant step between neighbouring levels, for independent estimates with standard errors.

    Every step is tested by itself, one-sided: t = step / √(SE²ᵢ + SE²ᵢ₊₁), Welch and Satterthwaite's degrees of freedom. All
    of them together are shown at α if each is (intersection–union test: Berger 1982), so `trend_p` is the largest p.

    Args:
        records: replicates of one deterministic trial with one row a level.
        x: the column that orders the levels.
        y: the column of estimates.
        se: the column of their standard errors, positive.
        dof: the column of their degrees of freedom; without it the standard errors are taken as known.
        direction: `decreasing` or `increasing`.

    Raises:
        EstimateError: if the rows are not one finite value for each of at least two levels, or an error is not positive.
    """
    flags, note, rows = table_of(records, (x, y, se, *([dof] if dof else [])))
    if min(row[2] for row in rows) <= 0 or (dof and min(row[3] for row in rows) <= 0):
        raise EstimateError(
            f"estimated_trend needs positive '{se}'{f' and {dof!r}' if dof else ''}. For exact values use exact_trend."
        )
    steps = _sign(direction) * np.diff([row[1] for row in rows])
    errors, ps = [], []
    for step, (low, high) in zip(steps, pairwise(rows), strict=True):
        parts = low[2] ** 2, high[2] ** 2
        errors.append(math.sqrt(sum(parts)))
        freedom = sum(parts) ** 2 / (parts[0] ** 2 / low[3] + parts[1] ** 2 / high[3]) if dof else math.inf
        ps.append(float(stats.t.sf(step / errors[-1], freedom)))
    weakest = int(np.argmax(ps))
    return Estimate(
        value=float(steps[weakest]),
        se=errors[weakest],
        n=len(rows),
        unit="level",
        flags=flags,
        extras={
            "trend_p": max(ps),
            "trend_step_p": 1 - max(ps),
            "trend_steps": float(len(steps)),
            "trend_reversals": float((steps <= 0).sum()),
            "trend_least_p": 0.0,
        },
        note=note,
    )


def _blocks(points: Sequence[tuple[float, int, float]], names: Sequence[float], x: str) -> FloatArray:
    """Return one row a block and one column a level."""
    blocks: dict[int, dict[float, float]] = {}
    for level, block, value in points:
        if level in blocks.setdefault(block, {}):
            raise EstimateError(f"replicate {block} has two values at {x} = {level:g}; one each.")
        blocks[block][level] = value
    for block, values in blocks.items():
        if len(values) < len(names):
            missing = next(name for name in names if name not in values)
            raise EstimateError(f"replicate {block} has no value at {x} = {missing:g}; a block holds every level.")
    return np.array([[blocks[block][name] for name in names] for block in sorted(blocks)])


def tested_blocks(table: FloatArray) -> tuple[int, Tested]:
    """Return the number of blocks and their tests, for a table [blocks, levels] of which larger is the claimed way."""
    if len(table) == 1:
        return tested_levels([[float(value)] for value in table[0]])
    steps = [[_difference(low, high) for low, high in table[:, i : i + 2]] for i in range(table.shape[1] - 1)]
    reversed_p = [sign_flip_p(signed_ranks([-step for step in of_all])) for of_all in steps]
    return len(table), {
        "trend_tau": float(np.mean([kendall_tau([[v] for v in row]) for row in table])),
        "trend_p": page_p(table),
        "trend_reverse_p": page_p(-table),
        "trend_step_p": min((p for p in reversed_p if p is not None), default=None),
        "trend_steps": float(len(steps)),
        "trend_reversals": float(sum(np.mean(np.sign(of_all)) < 0 for of_all in steps)),
        "trend_least_p": math.exp(-len(table) * math.lgamma(table.shape[1] + 1)),
    }


def tested_levels(levels: Sequence[Sequence[float]]) -> tuple[int, Tested]:
    """Return the number of independent runs and the tests of their levels, larger the claimed way."""
    steps = list(pairwise(levels))
    tested: Tested = {
        "trend_tau": kendall_tau(levels),
        "trend_p": jonckheere_p(levels),
        "trend_reverse_p": jonckheere_p([[-v for v in level] for level in levels]),
        "trend_step_p": min(
            (jonckheere_p([high, low]) for low, high in steps if min(len(low), len(high)) > 1), default=None
        ),
        "trend_steps": float(len(steps)),
        "trend_reversals": float(sum(kendall_tau([low, high]) < 0 for low, high in steps)),
        "trend_least_p": _least_p([len(level) for level in levels]),
    }
    ends = unpaired_superiority(levels[-1], levels[0])
    if ends is not None:
        tested |= {"superiority": ends.value, "superiority_low": ends.low}
    return sum(len(level) for level in levels), tested


def _least_p(sizes: Sequence[int]) -> float:
    """Return 1 / (number of ways to share the runs out among the levels): the p of a perfect trend."""
    return math.exp(sum(math.lgamma(size + 1) for size in sizes) - math.lgamma(sum(sizes) + 1))


def _difference(low: float, high: float) -> float:
    return 0.0 if low == high else high - low


def _sign(direction: str) -> float:
    if direction not in SIGNS:
        raise EstimateError(f"a trend has no direction '{direction}'.{nearest(direction, SIGNS)}")
    return SIGNS[direction]
