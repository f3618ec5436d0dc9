"""Whether two verdicts are the same, to the last byte or but for the rounding of another processor.

The last digits of a fit can differ between processors and builds of numpy and scipy. What is discrete (outcomes, reasons,
flags, counts, the words of a sentence) must be equal; numbers are compared with the larger of the two, or with the margin.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from repro.schema.canonical import canonical_json
from repro.schema.jsonform import to_json

TOLERANCE = 1e-6
"""Largest relative difference that rounding may explain."""
WRITTEN_TOLERANCE = 1e-3
"""The same for numbers in sentences, which show four digits."""
DECIDING_TOLERANCE = 1e-3
"""Largest relative difference between two processors of a number that decides: a fit may end elsewhere in a flat valley."""
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_WRITTEN = re.compile(r"[−-]?\d+(?:\.\d+)?(?:×10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?")


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
    alike: bool = False
    """Whether everything discrete is equal, and every number that decides to three digits: what differs by more are figures aside
    (`extras`), numbers of controls that came out the same, and the numbers in sentences."""

    @property
    def reworded(self) -> bool:
        """Whether nothing but the words of sentences for people differ: `detail`, which decides nothing."""
        return bool(self.differing) and all(path.rpartition(".")[2] == "detail" for path in self.differing)


def agreement(claimed: Any, found: Any) -> Agreement:
    """Compare two things of the schema, or two plain JSON values."""
    left, right = to_json(claimed), to_json(found)
    if canonical_json(left) == canonical_json(right):
        return Agreement(True, True, None, ())
    differences = list(_differences(left, right, "", 0.0, False))
    beyond = tuple(each.path for each in differences if each.size > TOLERANCE)
    worst = max((each.size for each in differences), default=0.0)
    digits = None if beyond else min(17, math.floor(-math.log10(worst))) if worst else 17
    alike = all(each.aside or each.size <= DECIDING_TOLERANCE for each in differences)
    return Agreement(False, not beyond, digits, beyond, alike)


class _Difference(NamedTuple):
    path: str
    size: float
    """Relative; infinite where it is no matter of rounding."""
    aside: bool
    """Whether it is a number, or a sentence with another number in it, that decides nothing."""


def _differences(left: Any, right: Any, path: str, margin: float, aside: bool) -> Iterator[_Difference]:
    """Yield every leaf that differs.

    Args:
        left: one of the two.
        right: the other.
        path: where they stand.
        margin: of the part that they belong to, with which numbers are compared where it is larger than they are.
        aside: whether numbers here decide nothing.
    """
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        given = left.get("margin")
        margin = abs(given) if isinstance(given, float) else margin
        for name in sorted({*left, *right}):
            where = f"{path}.{name}" if path else str(name)
            if name in left and name in right:
                decides_nothing = aside or name == "extras" or where == "controls"
                yield from _differences(left[name], right[name], where, margin, decides_nothing)
            else:
                yield _Difference(where, math.inf, False)
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for i, (one, other) in enumerate(zip(left, right, strict=True)):
            yield from _differences(one, other, f"{path}[{i}]", margin, aside)
    elif isinstance(left, float) and isinstance(right, float):
        if left != right:
            yield _Difference(path, abs(left - right) / max(abs(left), abs(right), margin), aside)
    elif isinstance(left, str) and isinstance(right, str):
        if left != right and not _same_sentence(left, right):
            for_people = path.rpartition(".")[2] in ("detail", "note")
            yield _Difference(path, math.inf, for_people and _WRITTEN.split(left) == _WRITTEN.split(right))
    elif type(left) is not type(right) or left != right:
        yield _Difference(path, math.inf, False)


def _same_sentence(left: str, right: str) -> bool:
    """Say whether two sentences differ only in the last digits of their numbers."""
    if _NUMBER.split(left) != _NUMBER.split(right):
        return False
    pairs = zip(_NUMBER.findall(left), _NUMBER.findall(right), strict=True)
    return all(math.isclose(float(one), float(other), rel_tol=WRITTEN_TOLERANCE) for one, other in pairs)
