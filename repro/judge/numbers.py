"""Numbers as people read them; whoever needs every digit finds it in the page's `data` elements and tables."""

import math
from datetime import datetime

MISSING = "—"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def significant(value: float | None, digits: int = 4) -> str:
    """Return `value` to so many significant digits, with powers of ten where plain digits would be long.

    >>> significant(0.51320), significant(-5.764e23), significant(None)
    ('0.5132', '−5.764×10²³', '—')
    """
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    if value != 0 and not -4 <= power < 7:
        return f"{_trim(mantissa)}×10{str(power).translate(_SUPERSCRIPT)}".replace("-", "−")
    return fixed(value, max(0, digits - 1 - power), trim=True)


def power_text(value: float, digits: int = 2) -> str:
    """Return a size or a budget as people write it.

    >>> power_text(50_000), power_text(1e11), power_text(1.75e11, 3), power_text(640)
    ('5×10⁴', '10¹¹', '1.75×10¹¹', '640')
    """
    if not math.isfinite(value) or -1e4 < value < 1e4:
        return significant(value, digits)
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    lead = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    raised = str(int(exponent)).translate(_SUPERSCRIPT)
    return f"10{raised}" if lead == "1" else f"{lead}×10{raised}"


def fixed(value: float, decimals: int, trim: bool = False) -> str:
    """Return `value` with so many decimals and a real minus sign; `trim` drops zeros at the end."""
    text = f"{value:z.{decimals}f}"
    text = _trim(text) if trim else text
    return text.replace("-", "−")


def _trim(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def like_interval(value: float | None, low: float | None, high: float | None, digits: int = 4) -> tuple[str, str, str]:
    """Return a value and its interval with as many decimals as the interval's width deserves.

    `digits` significant digits are shown where there is no width to go by.

    >>> like_interval(0.51323, 0.48117, 0.54529)
    ('0.513', '0.481', '0.545')
    """
    if value is None or low is None or high is None or not all(map(math.isfinite, (value, low, high))):
        return significant(value, digits), significant(low, digits), significant(high, digits)
    largest = max(abs(value), abs(low), abs(high))
    if high <= low or not 1e-4 <= largest < 1e7:
        return significant(value, digits), significant(low, digits), significant(high, digits)
    # Two significant digits of half the width, the usual way to quote an uncertainty.
    decimals = min(max(0, 1 - math.floor(math.log10((high - low) / 2))), 12)
    return fixed(value, decimals), fixed(low, decimals), fixed(high, decimals)


def share(part: float) -> str:
    """Return a share as a percentage, or as a power of ten where the percentage would be tiny.

    >>> share(0.9), share(0.008), share(3.2e-9)
    ('90 %', '0.8 %', '3.2×10⁻⁹')
    """
    if 0 < abs(part) < 1e-5:
        return significant(part, 2)
    return f"{significant(100 * part, 2 if part < 1 else 3)} %"


def duration(seconds: float) -> str:
    """Return a run time in the two largest units that fit.

    >>> duration(0.42), duration(200), duration(7500)
    ('0.42 s', '3 min 20 s', '2 h 05 min')
    """
    if seconds < 59.95:
        return f"{significant(seconds, 2 if seconds < 10 else 3)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def when(moment: str) -> str:
    """Return an ISO 8601 moment as date and minutes; anything else as it is.

    >>> when("2024-05-17T09:03:11+00:00"), when("")
    ('2024-05-17 09:03 UTC', '—')
    """
    if not moment:
        return MISSING
    try:
        read = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    zone = read.tzname()
    return read.strftime("%Y-%m-%d %H:%M") + (f" {zone}" if zone else "")
