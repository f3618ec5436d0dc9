"""A sweep: training runs of several sizes, read from any table and checked once, before any estimator sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repro.schema.errors import EstimateError, nearest
from repro.stats.scaling_laws.counting import Counting
from repro.stats.scaling_laws.huber import Runs
from repro.stats.scaling_laws.law import Array
from repro.stats.scaling_laws.table import Table, columns_of, is_missing, numbers

ROLES = ("params", "tokens", "flops", "loss", "budget", "run", "seed")
DERIVATIONS = ("", "flops", "tokens")
_SAME_BUDGET = 1e-9

MOST_TOLERANCE = 1.0
"""Budgets twice as large as another are another."""


@dataclass(frozen=True)
class Sweep:
    """Checked training runs: one row a finished run, or one a checkpoint where `run` repeats."""

    params: Array
    """N of each row, as `counting` has it, `[n]`."""
    tokens_seen: Array | None
    """D, `[n]`; None if the table has compute in its place, which is enough for the size's exponent of Approaches 1 and 2."""
    loss: Array
    """Held-out loss, `[n]`; nats per token, or any other unit, which then is that of E, A and B."""
    flops: Array | None
    """Training FLOPs C, `[n]`; None if the table has none and none were asked for."""
    budget: Array | None
    """Nominal FLOPs, equal within an IsoFLOP profile, `[n]`; None if the rows are in no budgets."""
    run: NDArray[np.intp]
    """Number of the training run that each row belongs to, `[n]`: the unit that is resampled."""
    counting: Counting
    params_column: str = "params"
    diverged: int = 0
    """Runs whose loss is not finite: counted here, and in no row."""

    def __len__(self) -> int:
        return len(self.loss)

    @property
    def runs(self) -> int:
        """Independent training runs."""
        return len(np.unique(self.run))

    @property
    def tokens(self) -> Array:
        """D, `[n]`.

        Raises:
            EstimateError: if the table has none.
        """
        if self.tokens_seen is None:
            raise EstimateError(
                "The sweep has no training tokens D, which this estimate needs. Add a column 'tokens', name it with "
                "columns={'tokens': …}, or set derive='tokens' for D = C/6N from the FLOPs."
            )
        return self.tokens_seen

    @property
    def logs(self) -> Runs:
        """ln N, ln D and ln L, as the fits take them."""
        return Runs(np.log(self.params), np.log(self.tokens), np.log(self.loss))

    @property
    def flags(self) -> tuple[str, ...]:
        """`diverged`, with which an estimate decides nothing, or nothing."""
        return ("diverged",) if self.diverged else ()

    @property
    def note(self) -> str:
        """What N and C count, and what is not among the rows."""
        gone = f"; {self.diverged} runs diverged and are left out" if self.diverged else ""
        return f"{self.counting} (N from column '{self.params_column}'){gone}"

    def rows(self, kept: NDArray[Any]) -> "Sweep":
        """Return the sweep of these rows alone (indices or a mask)."""
        arrays = {f.name: value[kept] for f in fields(self) if isinstance(value := getattr(self, f.name), np.ndarray)}
        return replace(self, **arrays)


def read_sweep(
    table: Table,
    *,
    counting: Counting | str,
    columns: Mapping[str, str] | None = None,
    derive: str = "",
    budget_tolerance: float = 0.0,
) -> Sweep:
    """Read and check a sweep.

    >>> sweep = read_sweep(
    ...     {"N": [1e8, 2e8, 4e8], "D": [8e9, 4e9, 2e9], "L": [3.1, 3.0, 3.2]},
    ...     counting="none", columns={"params": "N", "tokens": "D", "loss": "L"}, derive="flops",
    ... )
    >>> sweep.flops.tolist(), sweep.runs
    ([4.8e+18, 4.8e+18, 4.8e+18], 3)

    Args:
        table: a mapping of columns, a data frame, a list of rows, or trial records (one row or many each). The columns are
            N, `tokens`, `loss`, and if there are any `flops`, `budget`, `run` (which checkpoints of one run share) and `seed`.
            `tokens` may be missing where there are `flops` or a `budget`. N stands in the column of its counting (`params_total`, `params_with_head`, `params_with_embedding`,
            `params_non_embedding`), or in `params` if that is the only one.
        counting: what N and C include, as `Counting.of` reads it.
        columns: the table's own names by role (`params`, `tokens`, `flops`, `loss`, `budget`, `run`, `seed`).
        derive: `flops` for C = 6ND, `tokens` for D = C/6N, with N as counted; nothing is derived unasked.
        budget_tolerance: rows whose budgets differ by less than this share belong to one profile, whose budget is their
            geometric mean. Without a column `budget` the FLOPs are grouped so.

    Raises:
        EstimateError: for a missing or non-numeric column, an empty table, a size or budget that is no number above zero, a
            loss that is not above zero, a run without a label or of several sizes, duplicated rows, or budgets that no tolerance
            groups.
    """
    counted = Counting.of(counting)
    raw, diverged = columns_of(table)
    names = _names(raw, counted, columns)
    if not 0 <= budget_tolerance < MOST_TOLERANCE:
        raise EstimateError(f"budget_tolerance is a share from 0 to below {MOST_TOLERANCE:g}, not {budget_tolerance}.")
    if derive not in DERIVATIONS:
        raise EstimateError(f"derive must be 'flops' (6ND) or 'tokens' (C/6N), not '{derive}'.")
    if derive == "flops" and counted.attention:
        raise EstimateError("C = 6ND has no attention FLOPs, but the counting includes them: drop one of the two.")

    data = {"params": numbers(raw, names["params"], "params"), "loss": numbers(raw, names["loss"], "loss")}
    compute = any(names[role] in raw for role in ("flops", "budget"))
    for role in ("tokens", "flops", "budget"):
        needed = {"tokens": derive == "flops" or not compute, "flops": derive == "tokens"}.get(role, False)
        if role != derive and (needed or role in (columns or {}) or names[role] in raw):
            data[role] = numbers(raw, names[role], role)
    labels, seeds = (_labels(raw, names[role], role) for role in ("run", "seed"))

    # A run that diverged has a size but no loss; a size that is no number is a damaged table.
    finished = np.isfinite(data["loss"])
    diverged += _runs(labels, ~finished)
    for role, values in data.items():
        _require_positive(values, names[role], finished)
    data = {role: values[finished] for role, values in data.items()}
    if not finished.any():
        raise EstimateError(f"A scaling law needs finished training runs, got none ({diverged} diverged).")
    if derive == "flops":
        data["flops"] = 6 * data["params"] * data["tokens"]
    if derive == "tokens":
        data["tokens"] = data["flops"] / (6 * data["params"])
    kept = [label for label, ok in zip(labels, finished, strict=True) if ok] if labels is not None else None
    marks = [
        (kept[i] if kept is not None else None, seeds[j] if seeds is not None else None)
        for i, j in enumerate(np.flatnonzero(finished))
    ]
    _refuse_duplicates(data, marks, np.flatnonzero(finished))
    grouped = data.get("budget", data.get("flops") if budget_tolerance else None)
    run = np.arange(len(data["loss"])) if kept is None else _codes(kept)
    _require_one_size(data["params"], run, names["run"], kept)
    return Sweep(
        params=data["params"],
        tokens_seen=data.get("tokens"),
        loss=data["loss"],
        flops=data.get("flops"),
        budget=None if grouped is None else _group(grouped, budget_tolerance),
        run=run,
        counting=counted,
        params_column=names["params"],
        diverged=diverged,
    )


def _names(raw: Mapping[str, Any], counting: Counting, columns: Mapping[str, str] | None) -> dict[str, str]:
    """Return the table's column of each role; those that are named must be there."""
    if columns is not None and not isinstance(columns, Mapping):
        raise EstimateError(
            f"columns maps roles to the table's own column names, as in {{'params': 'N'}}; got {columns!r}."
        )
    given = dict(columns or {})
    for role in given:
        if role not in ROLES:
            raise EstimateError(f"columns maps '{role}', which is no role of a sweep.{nearest(role, ROLES)}")
    for role in ("run", "seed"):
        if role in given and given[role] not in raw:
            raise EstimateError(f"The sweep has no column '{given[role]}' for its {role}.{nearest(given[role], raw)}")
    for name in given.values():
        roles = sorted(role for role, own in given.items() if own == name)
        if len(roles) > 1 and roles != ["budget", "flops"]:
            raise EstimateError(f"columns reads {' and '.join(roles)} from one column, '{name}'. Name one for each.")
    return {role: role for role in ROLES} | {"params": _params_column(raw, counting)} | given


def _labels(raw: Mapping[str, Sequence[Any]], name: str, role: str) -> list[Any] | None:
    """Return the labels of the rows, whole numbers alike whatever their type; None if the table has none."""
    if name not in raw:
        return None
    empty = [i for i, label in enumerate(raw[name]) if is_missing(label)]
    if empty and role == "run":
        raise EstimateError(
            f"The column '{name}' says which run each row belongs to, but is empty in {len(empty)} rows (row {empty[0]} is the first). "
            f"Give every row a run, or leave the column out if each row is a run of its own."
        )
    return [float(label) if isinstance(label, Real) else str(label) for label in raw[name]]


def _require_one_size(params: Array, run: NDArray[np.intp], name: str, labels: Sequence[Any] | None) -> None:
    """Refuse a run whose rows differ in size: the label stands for something else, and would merge independent runs."""
    if labels is None:
        return
    smallest, largest = np.full(len(params), np.inf), np.zeros(len(params))
    np.minimum.at(smallest, run, params)
    np.maximum.at(largest, run, params)
    mixed = np.flatnonzero(largest > smallest * (1 + 1e-6))
    if len(mixed):
        k = mixed[0]
        raise EstimateError(
            f"The rows of one training run must have one size; run {labels[int(np.argmax(run == k))]!r} has N from {smallest[k]:.4g} "
            f"to {largest[k]:.4g}. Check the column '{name}', or leave it out if each row is a run of its own."
        )


def _params_column(raw: Mapping[str, Any], counting: Counting) -> str:
    """Return the column of N: that of the counting, or a plain `params` that nothing contradicts."""
    own = counting.params_column
    others = [name for name in raw if name.startswith("params_") and name != own]
    return own if own in raw or "params" not in raw or (others and own != "params_total") else "params"


def _require_positive(values: Array, name: str, finished: NDArray[np.bool_]) -> None:
    bad = np.flatnonzero(finished & ~(values > 0))
    if len(bad):
        shown = ", ".join(f"row {i}: {values[i]:g}" for i in bad[:3])
        raise EstimateError(
            f"The column '{name}' of a sweep must be a number above zero in every finished run; {len(bad)} are not ({shown}). "
            f"A diverged run is marked by a loss that is not finite."
        )


def _runs(labels: Sequence[Any] | None, lost: NDArray[np.bool_]) -> int:
    """Return how many runs have a lost row."""
    return int(lost.sum()) if labels is None else len({repr(labels[i]) for i in np.flatnonzero(lost).tolist()})


def _codes(labels: Sequence[Any]) -> NDArray[np.intp]:
    known: dict[str, int] = {}
    return np.array([known.setdefault(repr(label), len(known)) for label in labels], dtype=np.intp)


def _refuse_duplicates(data: Mapping[str, Array], marks: Sequence[Any], places: NDArray[np.intp]) -> None:
    """Refuse rows that agree in everything, their run and seed included."""
    first: dict[Any, int] = {}
    twice = []
    for place, *row in zip(places.tolist(), map(repr, marks), *(v.tolist() for v in data.values()), strict=True):
        key = tuple(row)
        if key in first:
            twice.append((first[key], place))
        first.setdefault(key, place)
    if twice:
        shown = ", ".join(f"{a} and {b}" for a, b in twice[:3])
        raise EstimateError(
            f"{len(twice)} rows of the sweep repeat another exactly (rows {shown}). A row twice is not two runs and would "
            f"make the result look surer than it is: remove the copies, or tell the runs apart in a column 'run' or 'seed'."
        )


def _group(budgets: Array, tolerance: float) -> Array:
    """Return the geometric mean of each row's group: budgets, sorted, that lie within the tolerance of one another."""
    order = np.argsort(budgets, kind="stable")
    logs = np.log(budgets[order])
    limit = np.log1p(max(tolerance, _SAME_BUDGET))
    edges = np.flatnonzero(np.diff(logs) > limit) + 1
    grouped = np.empty_like(logs)
    for group in np.split(np.arange(len(logs)), edges):
        width = logs[group[-1]] - logs[group[0]]
        if width > limit * (1 + 1e-9):
            raise EstimateError(
                f"Budgets from {np.exp(logs[group[0]]):.4g} to {np.exp(logs[group[-1]]):.4g} FLOPs form a chain: neighbours "
                f"differ by less than the tolerance {tolerance:g}, the ends by {np.expm1(width):.2g}. Set another "
                f"budget_tolerance, or give nominal budgets in a column 'budget'."
            )
        exact = logs[group[0]] == logs[group[-1]]
        grouped[order[group]] = budgets[order[group[0]]] if exact else np.exp(logs[group].mean())
    return grouped
