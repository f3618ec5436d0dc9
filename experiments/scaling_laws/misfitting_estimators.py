"""How the fitted exponent of N depends on choices (Li, Kudugunta and Zettlemoyer 2025, arXiv 2502.18969).

Estimators read a table of checkpoints with the columns `params`, `params_non_embedding`, `tokens`, `loss`, `learning_rate`, `final`,
`elapsed` and `run`. A choice is a set of the fields of `Choice`; what it leaves out is as in the paper's published fit. The law is
L = E + A/N^α + B/D^β, its exponent a = β/(α + β) of N* ∝ C^a. Optima are global, even where the runs leave constants open.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repro.schema.errors import EstimateError, nearest
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.scaling_laws.approach3 import from_table, one_of
from repro.stats.scaling_laws.huber import DELTA, Runs
from repro.stats.scaling_laws.lad import fit
from repro.stats.scaling_laws.newton import WARM
from repro.stats.scaling_laws.optimum import find_optimum, require_spread
from repro.stats.summary import agreed

__all__ = ["exponent_gain", "exponent_ranges", "published_fits", "relative_range"]

Array = NDArray[np.float64]

COLUMNS = ("params", "params_non_embedding", "tokens", "loss", "learning_rate", "final", "elapsed", "run")

TIED_STARTS = ((6.0, 8.0, 0.5, 0.3), (10.0, 12.0, 0.9, 0.6), (15.0, 15.0, 0.0, 1.0), (4.0, 4.0, 0.5, 0.1))
"""Starts (a, b, e, α) of the law with β = α."""


@dataclass(frozen=True)
class Choice:
    """One way to fit; the defaults are those of the published fit."""

    count: str = "params"
    """Column of N: `params` or `params_non_embedding`."""
    checkpoints: str = "final"
    """`final`: one checkpoint a run. `all`: those during training."""
    elapsed_above: float = 0.0
    """With `all`: only checkpoints after this share of the steps."""
    learning_rate: str | float = "all"
    """`all`; `best`: of runs with equal N and D only the one of lowest loss; or one value."""
    max_params: float = math.inf
    """Largest model, by its parameters with embeddings."""
    min_ratio: float = 0.0
    max_ratio: float = math.inf
    """Range of tokens per parameter, exclusive."""
    delta: float = DELTA
    """δ of the Huber loss on ln L: 0 is the mean absolute error, large the mean squared error."""

    def __post_init__(self) -> None:
        one_of("count", self.count, ("params", "params_non_embedding"))
        one_of("checkpoints", self.checkpoints, ("final", "all"))
        if isinstance(self.learning_rate, str):
            one_of("learning_rate", self.learning_rate, ("all", "best"))

    @staticmethod
    def of(given: Mapping[str, Any]) -> "Choice":
        """Return the choice with these fields.

        Raises:
            EstimateError: for a field or value that there is not.
        """
        names = [field.name for field in fields(Choice)]
        for name in given:
            if name not in names:
                raise EstimateError(f"A choice has no field '{name}'.{nearest(name, names)}")
        return Choice(**given)

    def select(self, table: Mapping[str, Array]) -> NDArray[np.intp]:
        """Return the rows that this choice fits."""
        kept = table["final"] == (1 if self.checkpoints == "final" else 0)
        kept &= (table["elapsed"] > self.elapsed_above) & (table["params"] <= self.max_params)
        ratio = table["tokens"] / table["params"]
        kept &= (ratio > self.min_ratio) & (ratio < self.max_ratio)
        if not isinstance(self.learning_rate, str):
            kept &= np.isclose(table["learning_rate"], self.learning_rate)
        rows = np.flatnonzero(kept)
        if self.learning_rate != "best":
            return rows
        order = rows[np.argsort(table["loss"][rows], kind="stable")]
        _, first = np.unique(np.stack([table["params"][order], table["tokens"][order]]), axis=1, return_index=True)
        return np.sort(order[first])

    def runs(self, table: Mapping[str, Array]) -> Runs:
        """Return the fitted runs in logs.

        Raises:
            EstimateError: if too few are left, or they lie on a line.
        """
        rows = self.select(table)
        runs = Runs(*(np.log(table[name][rows]) for name in (self.count, "tokens", "loss")))
        require_spread(runs)
        return runs

    def exponent(self, table: Mapping[str, Array]) -> float:
        """Return a = β / (α + β) of the global optimum."""
        theta = find_optimum(self.runs(table), self.delta).theta
        return float(theta[4] / (theta[3] + theta[4]))


@estimator(unit="table")
def published_fits(records: Sequence[TrialRecord], *, choice: Mapping[str, Any]) -> dict[str, Estimate]:
    """Return the constants of the free and the tied fit (β = α): `a`, `b`, `e` (in logs), `alpha`, `beta`, `huber` of each.

    Parts of the tied fit end in `_tied`, and have no beta.
    """
    table, flags = _table(records)
    chosen = Choice.of(choice)
    runs = chosen.runs(table)
    best = find_optimum(runs, chosen.delta)
    tied, tied_loss = _tied(runs, chosen.delta)
    parts = dict(zip(("a", "b", "e", "alpha", "beta", "huber"), (*best.theta, best.objective), strict=True))
    parts |= dict(zip(("a_tied", "b_tied", "e_tied", "alpha_tied", "huber_tied"), (*tied, tied_loss), strict=True))
    extras = {"exponent": float(best.theta[4] / (best.theta[3] + best.theta[4])), "runs": float(len(runs))}
    return {name: from_table(float(value), flags, extras) for name, value in parts.items()}


@estimator(unit="table")
def exponent_ranges(
    records: Sequence[TrialRecord], *, families: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> dict[str, Estimate]:
    """Return the range of the exponent a over the choices of each family, one part a family; each choice is in `extras`.

    Args:
        records: trials that read one table.
        families: part name to choices by name; a choice is a set of fields of `Choice`.

    Raises:
        EstimateError: if the table is unusable, or a choice leaves runs that determine no exponent.
    """
    table, flags = _table(records)
    parts = {}
    for family, choices in families.items():
        exponents = {name: Choice.of(choice).exponent(table) for name, choice in choices.items()}
        if len(exponents) < 2:
            raise EstimateError(f"Family '{family}' needs at least two choices to have a range.")
        parts[family] = from_table(max(exponents.values()) - min(exponents.values()), flags, exponents)
    return parts


@estimator(unit="table")
def relative_range(
    records: Sequence[TrialRecord], *, family: str, families: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> Estimate:
    """Return the range of the exponent over one family, as a share of the smallest range over any other."""
    if family not in families or len(families) < 2:
        raise EstimateError(f"family must be one of at least two families, not '{family}'.{nearest(family, families)}")
    parts = exponent_ranges(records, families=families)
    ranges = {name: part.value for name, part in parts.items() if part.value is not None}
    own = ranges.pop(family)
    flags = next(iter(parts.values())).flags
    return from_table(own / min(ranges.values()), flags, {family: own, **ranges})


@estimator(unit="run")
def exponent_gain(
    records: Sequence[TrialRecord],
    *,
    reference: float,
    nearer: Mapping[str, Any],
    farther: Mapping[str, Any],
    bootstrap: int = 200,
    seed: int = 0,
) -> Estimate:
    """Return by how much nearer to a reference the exponent of one choice is than that of another, |a₂ − r| − |a₁ − r|.

    The standard error resamples whole runs with all their checkpoints, the same for both choices, each choosing anew among the
    runs drawn and fitted from its optimum on all runs; ν = runs − 5.

    Args:
        records: trials that read one table.
        reference: the exponent r.
        nearer: fields of the choice whose exponent is a₁.
        farther: fields of the choice whose exponent is a₂.
        bootstrap: resamples of runs.
        seed: of the resampling.

    Raises:
        EstimateError: if the table is unusable, or more than one resample in twenty leaves runs that determine no exponent.
    """
    table, flags = _table(records)
    first, second = Choice.of(nearer), Choice.of(farther)

    def gain(exponents: Sequence[float]) -> float:
        return abs(exponents[1] - reference) - abs(exponents[0] - reference)

    optima = {choice: find_optimum(choice.runs(table), choice.delta).theta for choice in (first, second)}

    def refitted(choice: Choice, of: Mapping[str, Array]) -> float:
        theta = fit(optima[choice][None], choice.runs(of), delta=choice.delta, damping=WARM)[0][0]
        return float(theta[4] / (theta[3] + theta[4]))

    units, unit = np.unique(table["run"], return_inverse=True)
    rows_of = [np.flatnonzero(unit == k) for k in range(len(units))]
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(bootstrap):
        rows = np.concatenate([rows_of[k] for k in rng.integers(0, len(units), len(units))])
        try:
            drawn = {name: column[rows] for name, column in table.items()}
            draws.append(gain([refitted(choice, drawn) for choice in (first, second)]))
        except EstimateError:
            continue
    if len(draws) < 0.95 * bootstrap:
        raise EstimateError(
            f"{bootstrap - len(draws)} of {bootstrap} resamples of {len(units)} runs leave too few to fit; add runs, or fit fewer constants."
        )
    dof = len(units) - 5
    exponents = [float(theta[4] / (theta[3] + theta[4])) for theta in (optima[first], optima[second])]
    return Estimate(
        gain(exponents),
        se=float(np.std(draws, ddof=1) * math.sqrt(len(units) / dof)),
        dof=dof,
        n=len(units),
        unit="run",
        flags=flags,
        extras=dict(zip(("nearer", "farther"), exponents, strict=True)),
        note=f"{len(draws)} resamples of {len(units)} runs",
    )


def _tied(runs: Runs, delta: float) -> tuple[Array, float]:
    """Return (a, b, e, α) of the law with β = α and its summed Huber loss, the lowest of a few descents."""
    from scipy.optimize import least_squares

    def residuals(t: Array) -> Array:
        by_params, by_tokens = t[0] - t[3] * runs.log_params, t[1] - t[3] * runs.log_tokens
        return np.asarray(np.logaddexp(np.logaddexp(by_params, by_tokens), t[2]) - runs.log_loss)

    tight = {"ftol": 1e-14, "xtol": 1e-14, "gtol": 1e-14, "max_nfev": 2000}
    ends = [least_squares(residuals, s, loss="huber", f_scale=delta, x_scale="jac", **tight) for s in TIED_STARTS]
    best = min(ends, key=lambda end: float(end.cost))
    return np.asarray(best.x), float(best.cost)


def _table(records: Sequence[TrialRecord]) -> tuple[dict[str, Array], tuple[str, ...]]:
    same = agreed([record for record in records if record.status == "finished"])
    if len(same.records) != 1:
        raise EstimateError(
            f"These estimators read one table of checkpoints: it needs finished trials of one config, got {len(same.records)}."
        )
    record = same.records[0]
    try:
        table = {name: np.array(record.column(name)) for name in COLUMNS}
    except KeyError as error:
        raise EstimateError(f"A table of checkpoints has the columns {', '.join(COLUMNS)}: {error.args[0]}.") from error
    sizes = np.array([table[name] for name in ("params", "params_non_embedding", "tokens", "loss")])
    missing = int((~np.isfinite(np.array(list(table.values())))).sum())
    if missing or (sizes <= 0).any():
        raise EstimateError(
            f"A table of checkpoints needs every value, and positive params, tokens and loss; trial {record.key[:8]} lacks "
            f"{missing} values and has {int((sizes <= 0).sum())} that are not above zero."
        )
    return table, same.flags
