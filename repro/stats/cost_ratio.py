"""What one arm saves against another: the ratio of their costs where both did the same work, one part a setting."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from repro.schema.errors import EstimateError, nearest
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.distribution import heavy_tailed
from repro.stats.estimator import estimator
from repro.stats.levels import points_of
from repro.stats.summary import agreed

__all__ = ["exact_cost_ratios", "measured_cost_ratios"]

Setting = Mapping[str, Any]
"""Where a part is measured: the level of x, and config fields of the cheaper arm."""


@estimator(unit="pass")
def measured_cost_ratios(
    records: Sequence[TrialRecord], *, x: str, y: str, by: str, dear: Any, cheap: Any, parts: Mapping[str, Setting]
) -> dict[str, Estimate]:
    """Return the geometric mean over passes of y(dear) / y(cheap), both of one pass (replicate), by part.

    ln of the ratio has SE² = s²/R and ν = R − 1 for R passes. What slows one whole pass cancels within it.

    Args:
        records: one trial of each arm for each setting and pass.
        x: a config field, or a column, at whose equal levels the arms are paired.
        y: the measured cost; positive.
        by: config field that tells the arms apart.
        dear: its value in the arm whose cost is above the line.
        cheap: its value in the arm whose cost is below the line.
        parts: the level of `x` for each part, and the config fields that pick a trial of the cheaper arm; the dearer arm is
            picked by `x` alone.

    Returns:
        One estimate a part; `extras` hold both arms' median cost. A part with a level that nobody measured has no value.

    Raises:
        EstimateError: if timings come from several machines, a pass has two trials of one setting or lacks one arm, or a cost
            is not positive.
    """
    _require_one_machine(records)
    found = {}
    for part, setting in parts.items():
        above = _costs(_picked(records, by, dear, {}), x, y, _level(setting, x, part))
        below = _costs(_picked(records, by, cheap, _fields(setting, x)), x, y, setting[x])
        found[part] = _mean_ratio(part, above, below)
    return found


@estimator(unit="none")
def exact_cost_ratios(
    records: Sequence[TrialRecord], *, x: str, y: str, by: str, dear: Any, cheap: Any, parts: Mapping[str, Setting]
) -> dict[str, Estimate]:
    """Return y(dear) / y(cheap) of a deterministic study, by part; arguments as `measured_cost_ratios`.

    Raises:
        EstimateError: if a part has no trial or several of one arm, or a cost is not positive.
    """
    same = agreed(records)
    found = {}
    for part, setting in parts.items():
        level = _level(setting, x, part)
        both = []
        for arm, fields in ((dear, {}), (cheap, _fields(setting, x))):
            values = {value for _, value in _costs(_picked(same.records, by, arm, fields), x, y, level).items()}
            if len(values) > 1:
                raise EstimateError(
                    f"part '{part}' has {len(values)} different {y} with {by} = {arm!r}; one is needed."
                )
            both += sorted(values)
        if len(both) < 2:
            found[part] = Estimate(None, n=0, unit="none", flags=same.flags, note=f"Not measured at {x} = {level:g}.")
            continue
        found[part] = Estimate(
            both[0] / both[1],
            se=0.0,
            n=1,
            unit="none",
            deterministic=True,
            flags=same.flags,
            extras={f"{y}_dear": both[0], f"{y}_cheap": both[1]},
            note=same.note,
        )
    return found


def _mean_ratio(part: str, above: Mapping[int, float], below: Mapping[int, float]) -> Estimate:
    alone = sorted(above.keys() ^ below.keys())
    if above and below and alone:
        raise EstimateError(f"part '{part}': pass {alone[0]} measured only one arm; a ratio needs both of one pass.")
    if not above or not below:
        return Estimate(None, n=0, unit="pass", note=f"Part '{part}' was not measured at this scale.")
    passes = sorted(above)
    if any(not math.isfinite(costs[each]) for costs in (above, below) for each in passes):
        return Estimate(
            None, n=len(passes), unit="pass", flags=("diverged",), note=f"Part '{part}' has no finite cost."
        )
    logs = [math.log(above[each] / below[each]) for each in passes]
    n, ratio = len(logs), math.exp(float(np.mean(logs)))
    log_se = float(np.std(logs, ddof=1)) / math.sqrt(n) if n > 1 and min(logs) < max(logs) else None
    flags = (*(("no_spread",) if n > 1 and log_se is None else ()),)
    if heavy_tailed(logs, symmetric=True):
        flags = (*flags, "heavy_tailed")
    return Estimate(
        ratio,
        se=None if log_se is None else ratio * log_se,
        log_se=log_se,
        dof=None if log_se is None else n - 1,
        n=n,
        unit="pass",
        units=tuple(math.exp(log) for log in logs),
        spread=None if log_se is None else ratio * log_se * math.sqrt(n),
        flags=flags,
        extras={
            "cost_dear": float(np.median(list(above.values()))),
            "cost_cheap": float(np.median(list(below.values()))),
        },
    )


def _picked(records: Sequence[TrialRecord], by: str, arm: Any, fields: Setting) -> list[TrialRecord]:
    """Return the trials of one arm whose config has these fields."""
    wanted = {by: arm, **fields}
    for record in records:
        for name in wanted:
            if name not in record.config:
                raise EstimateError(
                    f"the config of '{record.study}' has no field '{name}'.{nearest(name, record.config)}"
                )
    return [record for record in records if all(record.config[name] == value for name, value in wanted.items())]


def _costs(records: Sequence[TrialRecord], x: str, y: str, level: float) -> dict[int, float]:
    """Return the cost at one level of x by pass."""
    costs: dict[int, float] = {}
    for record in records:
        for at, value in points_of(record, x, y):
            if at != level:
                continue
            if record.replicate in costs:
                raise EstimateError(f"replicate {record.replicate} measured {y} twice at {x} = {level:g}; once each.")
            if value <= 0:
                raise EstimateError(f"a ratio of costs needs positive values, got {y} = {value:g} at {x} = {level:g}.")
            costs[record.replicate] = value
    return costs


def _level(setting: Setting, x: str, part: str) -> float:
    if x not in setting:
        raise EstimateError(f"part '{part}' says no '{x}', at which the arms are compared.{nearest(x, setting)}")
    return float(setting[x])


def _fields(setting: Setting, x: str) -> Setting:
    return {name: value for name, value in setting.items() if name != x}


def _require_one_machine(records: Sequence[TrialRecord]) -> None:
    machines = {record.machine.fingerprint for record in records if record.measures == "time"}
    if len(machines) > 1:
        raise EstimateError(
            f"timings of {len(machines)} machines ({', '.join(sorted(m[:8] for m in machines))}) cannot be mixed in one "
            "ratio. Measure both arms again on one machine."
        )
