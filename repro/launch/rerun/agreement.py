"""Whether a trial that ran again measured the same: equal to the bit, close, or different; times as a ratio."""

import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from repro.schema.trial import TrialRecord

Agreement = Literal["equal", "close", "different", "timed"]
CLOSE = {"float64": 1e-9, "float32": 1e-4, "bfloat16": 1e-2}
"""Relative difference, by precision, up to which another order of the same sums explains it. Far above the unit in the last place,
because training carries a rounding on; a result beyond it is called different, whatever the reason."""
_TIME = re.compile(r"(^|_)(s|ms|us|seconds|milliseconds|time|mfu|per_second)$")
"""Ends of names of measurements that are times or speeds, in studies that measure values beside them."""
_SIDE_BY_SIDE = "stacked"
"""The measurement by which a recipe says how many trials ran in one call: it tells of the launch, not of the result."""


@dataclass(frozen=True)
class Compared:
    """A trial then and now."""

    key: str
    label: str
    replicate: int
    agreement: Agreement
    worst: str
    """The measurement that differs most; empty where none does."""
    relative: float | None
    """Its relative difference, None where a value is missing; of a time, now over then."""
    ulp: int | None
    """Doubles that lie between; None where that says nothing."""
    note: str = ""


def compare(then: TrialRecord, now: TrialRecord) -> Compared:
    """Compare the measurements of a trial that ran again with those on record."""
    same = Compared(then.key, then.label, then.replicate, "equal", "", 0.0, 0, _together(then, now))
    if now.status == "failed":
        return replace(same, agreement="different", worst="", relative=None, ulp=None, note=now.error or "failed")
    timed = then.measures == "time"
    if len(then.rows) != len(now.rows) and not timed:
        note = f"{len(then.rows)} rows then, {len(now.rows)} now"
        return replace(same, agreement="different", worst="", relative=None, ulp=None, note=note)
    values, times = _pairs(then.rows, now.rows, timed)
    unequal = {name: pair for name, pair in values if _bits(pair[0]) != _bits(pair[1])}
    if unequal:
        name, (was, is_now) = max(unequal.items(), key=lambda item: _relative(*item[1]))
        far = _relative(was, is_now)
        close = far <= CLOSE.get(then.precision, CLOSE["float32"])
        return replace(
            same,
            agreement="close" if close else "different",
            worst=name,
            relative=far if math.isfinite(far) else None,
            ulp=_ulp(was, is_now),
        )
    if timed:
        ratios = {name: is_now / was for name, (was, is_now) in times if was and is_now and is_now / was > 0}
        named = {name: ratio for name, ratio in ratios.items() if _TIME.search(name.partition(",")[0])} or ratios
        name, ratio = max(named.items(), key=lambda item: abs(math.log(item[1])), default=("", 1.0))
        return replace(same, agreement="timed", worst=name, relative=ratio, ulp=None)
    return same


def _together(then: TrialRecord, now: TrialRecord) -> str:
    """Say that a trial ran beside another number of trials than then, where its recipe tells: its sums may have another order."""
    was, is_now = (record.rows[0].get(_SIDE_BY_SIDE) if record.rows else None for record in (then, now))
    return "" if was == is_now or was is None or is_now is None else f"{was:.0f} side by side then, {is_now:.0f} now"


Pair = tuple[str, tuple[float | None, float | None]]


def _pairs(
    then: Sequence[Mapping[str, float | None]], now: Sequence[Mapping[str, float | None]], timed: bool
) -> tuple[list[Pair], list[tuple[str, tuple[float, float]]]]:
    """Return what must be equal, and what is a time, as name and both values.

    Of a trial that measures time everything is one. In another a name tells: times that are not equal are no difference.
    """
    values: list[Pair] = []
    times: list[tuple[str, tuple[float, float]]] = []
    for number, (was, is_now) in enumerate(zip(then, now, strict=False)):
        for name in sorted(was.keys() | is_now.keys()):
            pair = (was.get(name), is_now.get(name))
            shown = name if len(then) == 1 else f"{name}, row {number}"
            if timed or _TIME.search(name) or name == _SIDE_BY_SIDE:
                if pair[0] is not None and pair[1] is not None:
                    times.append((shown, (pair[0], pair[1])))
            else:
                values.append((shown, pair))
    return values, times


def _bits(value: float | None) -> bytes | None:
    return None if value is None else struct.pack("<d", value)


def _relative(was: float | None, now: float | None) -> float:
    if was is None or now is None:
        return math.inf
    scale = max(abs(was), abs(now))
    return abs(was - now) / scale if scale else 0.0  # 0 and -0 differ in a bit and in nothing else


def _ulp(was: float | None, now: float | None) -> int | None:
    """Return how many doubles lie from one value to the other; None if one is missing or they are far apart."""
    if was is None or now is None:
        return None
    apart = abs(_ordinal(was) - _ordinal(now))
    return apart if apart < 2**40 else None


def _ordinal(value: float) -> int:
    bits = int(struct.unpack("<q", struct.pack("<d", value))[0])
    return bits if bits >= 0 else -(bits & 0x7FFF_FFFF_FFFF_FFFF)
