"""Published IsoFLOP points: several settings in one table, some budgets without an inner minimum.

A sweep of our own can be extended where a budget's lowest loss is at the edge of its sizes, and
`repro.stats.scaling_laws.isoflop_exponent` refuses it. A published table is as it is: here such a budget is left out and named.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from repro.schema.errors import EstimateError, nearest
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.bootstrap import leave_one_out_se
from repro.stats.estimator import estimator
from repro.stats.regression import weighted_line
from repro.stats.scaling_laws.approach2 import Profile, find_optimum
from repro.stats.scaling_laws.law import Array
from repro.stats.summary import agreed

__all__ = ["parabola_exponents"]

MIN_BUDGETS = 3
"""Two budgets always lie on a line."""


@estimator(unit="budget", simulator="repro.stats.simulators.isoflop.settings")
def parabola_exponents(
    records: Sequence[TrialRecord], *, settings: Mapping[str, str], window: float = 0.15, min_points: int = 5
) -> dict[str, Estimate]:
    """Return the exponent of each setting by Approach 2: part `<name>`, and `<name>_ratio_slope`, of ln(D*/N*) on ln C.

    A parabola in ln N at each budget (`repro.stats.scaling_laws.approach2.find_optimum`), then a line with equal weights.
    A budget without an inner minimum is left out. The standard error is the larger of a jackknife over budgets and
    the scatter about the line; ν = budgets − 2. Both slopes take D = C / 6N.

    Args:
        records: trials of the settings, one row a training run, with `budget` (C in FLOPs), `params`, `tokens` and `loss`.
        settings: by part name, the value of the config's field `setting`; a config without that field is taken whole.
        window: nats above the lowest loss of a budget within which sizes enter its parabola.
        min_points: sizes that enter in any case.

    Raises:
        EstimateError: if a setting has no usable table (see `profiles_of`) or fewer than three budgets have an inner minimum.
    """
    found: dict[str, Estimate] = {}
    for name, setting in settings.items():
        profiles, flags = profiles_of(records, setting)
        optima = [(profile, find_optimum(profile, window, min_points)) for profile in profiles]
        good = [(profile, optimum) for profile, optimum in optima if not optimum.problem]
        note = left_out(setting, [p.budget for p, o in optima if o.problem], len(profiles))
        x, y = np.log([p.budget for p, _ in good]), np.array([o.log_size for _, o in good])
        slope, se = slope_with_error(x, y, np.ones(len(x)))
        extras = {f"optimal_params_{p.budget:.3g}": math.exp(o.log_size) for p, o in good}
        exponent = Estimate(
            slope, se=se, dof=len(x) - 2, n=len(x), unit="budget", flags=flags, extras=extras, note=note
        )
        found[name] = exponent
        found[f"{name}_ratio_slope"] = replace(exponent, value=1 - 2 * slope, se=2 * se)
    return found


def profiles_of(records: Sequence[TrialRecord], setting: str) -> tuple[list[Profile], tuple[str, ...]]:
    """Return the setting's budgets with at least three sizes, budgets and sizes increasing, and the flags of `agreed`.

    Raises:
        EstimateError: if no finished trial, or more than one table, is of the setting; if a column is missing, a value is
            not positive and finite, or a run stands in the table twice.
    """
    finished = [record for record in records if record.status == "finished"]
    same = agreed([record for record in finished if record.config.get("setting", setting) == setting])
    if len(same.records) != 1:
        known = sorted({str(record.config["setting"]) for record in finished if "setting" in record.config})
        raise EstimateError(
            f"The setting '{setting}' needs finished trials of one table, got {len(same.records)} tables."
            f"{nearest(setting, known)}"
        )
    record = same.records[0]
    try:
        table = np.array([record.column(name) for name in ("budget", "params", "tokens", "loss")]).T
    except KeyError as error:
        raise EstimateError(
            f"An IsoFLOP table has the columns budget, params, tokens and loss, one row a run: {error.args[0]}."
        ) from error
    wrong = np.flatnonzero(~(np.isfinite(table) & (table > 0)).all(axis=1))
    if len(wrong):
        raise EstimateError(
            f"{len(wrong)} of {len(table)} runs of '{setting}' have a budget, params, tokens or loss that is not a positive "
            f"number; the first is row {wrong[0] + 1}: {table[wrong[0]].tolist()}. Leave out runs that diverged, and say so."
        )
    if len(np.unique(table, axis=0)) < len(table):
        raise EstimateError(f"A run of '{setting}' stands in the table twice. Keep one row a run.")
    profiles = []
    for budget in np.unique(table[:, 0]):
        own = table[table[:, 0] == budget]
        sizes, which, seeds = np.unique(own[:, 1], return_inverse=True, return_counts=True)
        if len(sizes) >= 3:
            loss = np.bincount(which, weights=own[:, 3]) / seeds
            profiles.append(Profile(float(budget), np.log(sizes), loss, seeds.astype(float)))
    return profiles, same.flags


def left_out(setting: str, budgets: Sequence[float], total: int) -> str:
    """Return the note on budgets without an inner minimum.

    Raises:
        EstimateError: if fewer than three budgets remain.
    """
    listed = f": no inner minimum at {', '.join(f'{b:.3g}' for b in budgets)} FLOPs" if budgets else ""
    if total - len(budgets) < MIN_BUDGETS:
        raise EstimateError(
            f"An exponent with a standard error needs {MIN_BUDGETS} budgets that have at least three sizes and their lowest "
            f"loss between the smallest and the largest; '{setting}' has {total - len(budgets)}{listed}."
        )
    return f"{total - len(budgets)} of {total} budgets{listed}"


def slope_with_error(x: Array, y: Array, w: Array, noise: float = 0.0) -> tuple[float, float]:
    """Return the slope and the widest of its standard errors."""
    line = weighted_line(x, y, w)
    if len(x) == MIN_BUDGETS:  # leaving out one of three leaves a line through two, however far they scatter
        return line.slope, max(noise, line.slope_se)
    jackknife = leave_one_out_se(len(x), lambda k: np.polyfit(x[k], y[k], 1, w=np.sqrt(w[k]))[0], fitted=2)
    return line.slope, max(noise, float(jackknife), line.slope_se)
