"""What a recipe returned, made fit for a record; and why it did not return. Standard library only."""

import math
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from repro.launch.running.memory import is_out_of_memory
from repro.schema.errors import ReproError

Rows = tuple[Mapping[str, float | None], ...]


def rows_of(measured: Any) -> Rows:
    """Return the rows that a recipe measured; what is not finite becomes None.

    Raises:
        TypeError: if it is neither a dict nor a list of dicts, or empty.
    """
    rows = [measured] if isinstance(measured, Mapping) else list(measured)
    if not rows or not all(isinstance(row, Mapping) and row for row in rows):
        raise TypeError("run() must return a dict of measurements, or a list of such dicts, and at least one")
    return tuple({str(k): finite(float(v)) for k, v in row.items()} for row in rows)


def status_of(rows: Sequence[Mapping[str, float | None]]) -> Literal["finished", "diverged"]:
    """Return `diverged` if any value is not finite."""
    return "diverged" if any(value is None for row in rows for value in row.values()) else "finished"


def finite(value: float) -> float | None:
    """Return the value, or None if it is not finite."""
    value = float(value)
    return value if math.isfinite(value) else None


def explain(error: Exception) -> str:
    """Return the error with the last line of the recipe that raised it; no path of the machine."""
    if isinstance(error, ReproError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    place = f" (in {Path(last.filename).name}, line {last.lineno}: {last.line})" if last else ""
    memory = "out of memory: " if is_out_of_memory(error) else ""
    return f"{memory}{type(error).__name__}: {error}{place}"
