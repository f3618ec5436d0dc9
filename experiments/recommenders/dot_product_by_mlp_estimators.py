"""A measurement in several cells of one study, each a part of the claim."""

from collections.abc import Mapping, Sequence
from typing import Any

from repro.schema.errors import EstimateError, nearest
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.summary import mean_over_seeds

__all__ = ["means_of_cells"]


@estimator(unit="seed")
def means_of_cells(
    records: Sequence[TrialRecord], *, column: str, cells: Mapping[str, Mapping[str, Any]]
) -> dict[str, Estimate]:
    """Return `mean_over_seeds` of one measurement in several cells, one part a cell.

    Args:
        records: replicates of every cell; cells that no part names are left out.
        column: name of the measurement.
        cells: by part, the config fields that tell its cell from the others.

    Raises:
        EstimateError: if no part is named, a field is unknown, a part has no trial, or one has trials of several cells.
    """
    if not cells:
        raise EstimateError("means_of_cells needs at least one part under 'cells'.")
    found = {}
    for part, wanted in cells.items():
        own = []
        for record in records:
            unknown = wanted.keys() - record.config.keys()
            if unknown:
                name = min(unknown)
                raise EstimateError(
                    f"part '{part}' asks for '{name}', which is no field of '{record.recipe}'.{nearest(name, record.config)}"
                )
            if all(record.config[name] == value for name, value in wanted.items()):
                own.append(record)
        if not own:
            raise EstimateError(f"part '{part}' has no trial with {dict(wanted)}; let the study have that cell.")
        found[part] = mean_over_seeds(own, column=column, noise="symmetric")
    return found
