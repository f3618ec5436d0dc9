"""What an attempt that nobody has run yet would take, for pages that show it as planned."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from repro.schema.errors import RecordError, StoreError
from repro.schema.jsonform import from_json, parse_json, to_json
from repro.schema.places import planned_file

VERSION = 1


@dataclass(frozen=True)
class PlannedCost:
    """The trials of a protocol at a scale, main arm and controls."""

    runs: int
    """Trials of the main arm."""
    control_runs: int
    """Trials of the controls that the main arm does not have."""
    flops: float | None
    """Of all of them; None where the recipe does not say."""
    device: str
    """`cpu` or `cuda`."""


@dataclass(frozen=True)
class PlannedCosts:
    """Costs by `claim@protocol@scale`."""

    costs: Mapping[str, PlannedCost] = field(default_factory=dict)
    version: int = VERSION


def planned_json(costs: Mapping[str, PlannedCost]) -> object:
    """Return costs as plain JSON."""
    return to_json(PlannedCosts(costs))


def read_planned() -> Mapping[str, PlannedCost]:
    """Return the costs as they were last worked out; nothing if they never were.

    Raises:
        StoreError: if the file is damaged.
    """
    file = planned_file()
    try:
        return from_json(PlannedCosts, parse_json(file.read_text(encoding="utf-8"), str(file)), str(file)).costs
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, RecordError) as error:
        raise StoreError(
            f"{file} cannot be read ({error}). Remove it: `repro pages` and `repro serve` write it again."
        ) from error
