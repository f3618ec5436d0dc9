"""Whether two verdicts are the same, to the last byte or but for the rounding of another processor.

The last digits of a fit can differ between processors and builds of numpy and scipy. What is discrete (outcomes, reasons,
flags, counts, the words of a sentence) must be equal; numbers are compared with the larger of the two, or with the margin.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from repro.schema.canonical import canonical_json
from repro.schema.jsonform import to_json

TOLERANCE = 1e-6
"""Largest relative difference that rounding may explain."""
WRITTEN_TOLERANCE = 1e-3
"""The same for numbers in sentences, which show four digits."""
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Agreement:
    """How far two documents agree."""

    exact: bool
    """Equal to the last byte."""
    close: bool
    """Equal, or different in numbers by no more than rounding explains."""
    digits: int | None
    """Digits to which all numbers agree where they are close and not exact; else None."""
    differing: tuple[str, ...]
    """Paths of what differs by more."""

    @property
    def reworded(self) -> bool:
        """Whether nothing but the words of sentences for people differ: `detail`, which decides nothing."""
        return bool(self.differing) and all(path.rpartition(".")[2] == "detail" for path in self.differing)


def agreement(claimed: Any, found: Any) -> Agreement:
    """Compare two things of the schema, or two plain JSON values."""
    left, right = to_json(claimed), to_json(found)
    if canonical_json(left) == canonical_json(right):
        return Agreement(True, True, None, ())
    differences = list(_differences(left, right, "", 0.0))
    beyond = tuple(path for path, size in differences if size > TOLERANCE)
    worst = max((size for _, size in differences), default=0.0)
    digits = None if beyond else min(17, math.floor(-math.log10(worst))) if worst else 17
    return Agreement(False, not beyond, digits, beyond)


def _differences(left: Any, right: Any, path: str, margin: float) -> Iterator[tuple[str, float]]:
    """Yield the relative difference of every leaf that differs; infinite where it is no matter of rounding."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        given = left.get("margin")
        margin = abs(given) if isinstance(given, float) else margin
        for name in sorted({*left, *right}):
            where = f"{path}.{name}" if path else str(name)
            if name in left and name in right:
                yield from _differences(left[name], right[name], where, margin)
            else:
                yield where, math.inf
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for i, (one, other) in enumerate(zip(left, right, strict=True)):
            yield from _differences(one, other, f"{path}[{i}]", margin)
    elif isinstance(left, float) and isinstance(right, float):
        if left != right:
            yield path, abs(left - right) / max(abs(left), abs(right), margin)
    elif isinstance(left, str) and isinstance(right, str):
        if left != right and not _same_sentence(left, right):
            yield path, math.inf
    elif type(left) is not type(right) or left != right:
        yield path, math.inf


def _same_sentence(left: str, right: str) -> bool:
    """Say whether two sentences differ only in the last digits of their numbers."""
    if _NUMBER.split(left) != _NUMBER.split(right):
        return False
    pairs = zip(_NUMBER.findall(left), _NUMBER.findall(right), strict=True)
    return all(math.isclose(float(one), float(other), rel_tol=WRITTEN_TOLERANCE) for one, other in pairs)
