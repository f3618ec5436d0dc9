"""Sweeps out of trial records."""

from collections.abc import Mapping, Sequence

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.stats.scaling_laws.counting import Counting
from repro.stats.scaling_laws.huber import Runs
from repro.stats.scaling_laws.sweep import Sweep, read_sweep
from repro.stats.summary import agreed


def sweep_of(
    records: Sequence[TrialRecord],
    *,
    counting: Counting | str,
    columns: Mapping[str, str] | None = None,
    derive: str = "",
    budget_tolerance: float = 0.0,
) -> tuple[Sweep, tuple[str, ...]]:
    """Return the sweep that trials measured, and its flags.

    Trials of one row each are the training runs. Trials of many rows are replicates of one that reads a table; they must agree,
    and count once.

    Args:
        records: of one arm.
        counting: see `read_sweep`, as for the rest.
        columns: the table's own names by role.
        derive: `flops` or `tokens`.
        budget_tolerance: of budgets that form one profile.

    Raises:
        EstimateError: as `read_sweep`, or if there are several tables.
    """
    finished = [record for record in records if record.status == "finished"]
    flags: tuple[str, ...] = ()
    if any(len(record.rows) > 1 for record in finished):
        same = agreed(finished)
        if len(same.records) != 1:
            raise EstimateError(
                f"A published sweep is one table: its trials must be finished ones of one config, got {len(same.records)} configs."
            )
        records, flags = same.records, same.flags
    sweep = read_sweep(records, counting=counting, columns=columns, derive=derive, budget_tolerance=budget_tolerance)
    return sweep, tuple(dict.fromkeys((*flags, *sweep.flags)))


def published_runs(
    records: Sequence[TrialRecord],
    *,
    counting: Counting | str = "unstated",
    columns: Mapping[str, str] | None = None,
    derive: str = "",
) -> tuple[Runs, tuple[str, ...]]:
    """Return ln N, ln D and ln L of a published table, and its flags, for what needs no more of it than that."""
    sweep, flags = sweep_of(records, counting=counting, columns=columns, derive=derive)
    return sweep.logs, flags
