"""New losses written into the records of a sweep, in the order in which its rows are read."""

import math
from collections.abc import Sequence
from dataclasses import replace

from repro.schema.trial import TrialRecord
from repro.stats.scaling_laws.law import Array


def with_losses(records: Sequence[TrialRecord], losses: Array, column: str) -> list[TrialRecord]:
    """Return the records with other losses.

    Args:
        records: one row each, a training run; or replicates of one table of runs, which all get the same losses.
        losses: of the rows of the sweep, which are those of finished trials with a finite loss.
        column: in which the loss stands.
    """
    tables = any(len(record.rows) > 1 for record in records)
    place, new = 0, []
    for record in records:
        if record.status != "finished":
            new.append(record)
            continue
        place = 0 if tables else place
        rows = []
        for row in record.rows:
            loss = row.get(column)
            known = loss is not None and math.isfinite(loss)
            rows.append({**row, column: float(losses[place])} if known else row)
            place += known
        new.append(replace(record, rows=tuple(rows)))
    return new
