"""Several statements about one printed table, one part each."""

import math
from collections.abc import Mapping, Sequence

from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.levels import table_of
from repro.stats.trend import exact_trend, monotone_trend

__all__ = ["of_table"]
Columns = Mapping[str, Mapping[str, str]]


@estimator(unit="none")
def of_table(
    records: Sequence[TrialRecord],
    *,
    x: str = "size",
    trends: Columns | None = None,
    general: Columns | None = None,
    below: Columns | None = None,
    largest: Mapping[str, str] | None = None,
    last_step: Mapping[str, str] | None = None,
    resolution: float = 0.0,
) -> dict[str, Estimate]:
    """Return one estimate a part, from the rows of one deterministic trial.

    Args:
        records: two replicates of the trial, one row a level.
        x: the column that orders the rows.
        trends: parts whose column `y` moves in one `direction` at every step: `exact_trend`, with the `resolution`.
        general: parts whose column `y` moves in one `direction` on the whole: `monotone_trend` of the rows.
        below: parts in which the column `lower` is below `upper` in every row: the smallest ln(upper / lower).
        largest: parts that are the largest value of a column.
        last_step: parts that are the change of ln of a column from the last row but one to the last.
        resolution: see `exact_trend`.

    Raises:
        EstimateError: as those two; or for a column that was not measured.
    """
    found = {
        part: exact_trend(records, x=x, y=of["y"], direction=of["direction"], resolution=resolution)  # type: ignore[arg-type]
        for part, of in (trends or {}).items()
    }
    for part, of in (general or {}).items():
        found[part] = monotone_trend(records, x=x, y=of["y"], direction=of["direction"], runs="rows")  # type: ignore[arg-type]
    for part, of in (below or {}).items():
        flags, note, rows = table_of(records, (x, of["lower"], of["upper"]))
        found[part] = _exact(min(math.log(upper / lower) for _, lower, upper in rows), flags, note)
    for part, column in (largest or {}).items():
        flags, note, rows = table_of(records, (x, column))
        found[part] = _exact(max(row[1] for row in rows), flags, note)
    for part, column in (last_step or {}).items():
        flags, note, rows = table_of(records, (x, column))
        found[part] = _exact(math.log(rows[-1][1] / rows[-2][1]), flags, note)
    return found


def _exact(value: float, flags: tuple[str, ...], note: str) -> Estimate:
    return Estimate(value, se=0.0, n=1, unit="none", deterministic=True, flags=flags, note=note)
