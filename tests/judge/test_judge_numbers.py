"""Numbers as people read them."""

import doctest
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.judge import numbers
from repro.judge.numbers import duration, like_interval, share, significant, when


def read(text: str) -> float:
    plain = text.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")).replace("−", "-").replace("×10", "e")
    return float(plain)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (0.513204, "0.5132"),
        (-0.513204, "−0.5132"),
        (99999.6, "100000"),
        (1234567.0, "1234567"),
        (12345678.0, "1.235×10⁷"),
        (5.76e23, "5.76×10²³"),
        (0.00012345, "0.0001234"),
        (0.000012345, "1.234×10⁻⁵"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (math.nan, "—"),
        (None, "—"),
    ],
)
def test_four_significant_digits(value: float | None, text: str) -> None:
    assert significant(value) == text


@given(st.floats(-1e300, 1e300), st.integers(1, 8))
def test_a_shown_number_is_the_number_to_its_digits(value: float, digits: int) -> None:
    if value and abs(value) < 1e-300:
        return
    assert math.isclose(read(significant(value, digits)), value, rel_tol=0.5000001 * 10 ** (1 - digits))


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ((0.51320481, 0.48110481, 0.54530481), ("0.513", "0.481", "0.545")),
        ((0.61, 0.46, 0.76), ("0.61", "0.46", "0.76")),
        ((85.0, 71.0, 101.0), ("85", "71", "101")),
        ((-0.0001, -0.03, 0.03), ("0.000", "−0.030", "0.030")),
        ((0.85, 0.85, 0.85), ("0.85", "0.85", "0.85")),
        ((5.76e23, 5.7e23, 5.8e23), ("5.76×10²³", "5.7×10²³", "5.8×10²³")),
        ((None, None, None), ("—", "—", "—")),
        ((0.5, None, None), ("0.5", "—", "—")),
        ((0.5, -math.inf, math.inf), ("0.5", "−∞", "∞")),
        ((1.0, math.nan, 2.0), ("1", "—", "2")),
    ],
)
def test_a_value_has_the_decimals_its_interval_deserves(
    given: tuple[float | None, float | None, float | None], shown: tuple[str, str, str]
) -> None:
    assert like_interval(*given) == shown


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e5))
def test_an_interval_is_shown_to_a_twentieth_of_its_half_width(middle: float, half: float) -> None:
    ends = like_interval(middle, middle - half, middle + half)
    for text, value in zip(ends, (middle, middle - half, middle + half), strict=True):
        assert abs(read(text) - value) <= max(0.051 * half, 6e-4 * abs(value) if abs(value) < 1e-4 else 0)


@pytest.mark.parametrize(
    ("part", "text"), [(0.008, "0.8 %"), (1.0, "100 %"), (0.0, "0 %"), (3.2e-9, "3.2×10⁻⁹"), (0.00052, "0.052 %")]
)
def test_shares(part: float, text: str) -> None:
    assert share(part) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (0.42, "0.42 s"),
        (61.4, "1 min 01 s"),
        (3599.7, "1 h 00 min"),
        (59.99, "1 min 00 s"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("2024-05-17T09:03:11+00:00", "2024-05-17 09:03 UTC"),
        ("2024-05-17T09:03:11Z", "2024-05-17 09:03 UTC"),
        ("2024-05-17T09:03:11", "2024-05-17 09:03"),
        ("", "—"),
        ("yesterday", "yesterday"),
    ],
)
def test_moments(moment: str, text: str) -> None:
    assert when(moment) == text


def test_the_examples_in_the_documentation_hold() -> None:
    assert doctest.testmod(numbers).failed == 0
