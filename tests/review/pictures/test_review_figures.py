"""The picture of a verdict: right places, same bytes, readable without seeing it."""

import math
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import matplotlib
import pytest
from review_book import EXPONENT, FACTOR, HOSTILE_CLAIM, ORDERING, RATIOS, STALE, attempt, part, part_verdict, verdict

from repro.review.book import Book
from repro.review.pictures.canvas import NARROW, WIDE
from repro.review.pictures.drawing import Picture, Row, limits
from repro.review.pictures.figures import _picture, alt_text, figure_size, interval_figure
from repro.schema.claim import Claim, Margin, Rule
from repro.schema.verdict import Attempt

SVG = "{http://www.w3.org/2000/svg}"


def made(book: Book, claim: Claim, counter: int | None = None) -> Attempt:
    return next(a for a in book.attempts if a.claim == claim.id and counter in (None, a.counter) and a.verdict)


def judged(
    rule: Rule, printed: str, outcome: str, value: float | None, half: float = 0.0, **changes: object
) -> Attempt:
    claim = replace(EXPONENT, parts={"value": part(printed, rule)})
    return attempt(
        claim, "retrain", "cpu", verdict(part_verdict(float(printed), outcome, value, half, **changes), outcome)
    )


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_picture_is_well_formed_named_and_the_same_every_time(book: Book, width: int) -> None:
    for tried in book.attempts:
        if tried.verdict is None:
            continue
        claim = book.claims.get(tried.claim)
        drawn = interval_figure(claim, tried, width)
        root = ElementTree.fromstring(drawn)
        assert root.get("role") == "img"
        assert root.get("aria-labelledby") == "title desc"
        assert root.find(f"{SVG}title").text.startswith(tried.claim)  # type: ignore[union-attr]
        assert root.find(f"{SVG}desc").text  # type: ignore[union-attr]
        assert float(root.get("width", "")) == width == figure_size(claim, tried, width)[0]
        assert float(root.get("height", "")) == figure_size(claim, tried, width)[1]
        assert drawn == interval_figure(claim, tried, width)


def test_no_date_and_no_program_version_is_in_the_bytes(book: Book) -> None:
    drawn = interval_figure(EXPONENT, made(book, EXPONENT))
    assert "metadata" not in drawn
    assert matplotlib.__version__ not in drawn


def test_nobodys_own_settings_of_matplotlib_change_the_bytes(book: Book) -> None:
    before = interval_figure(EXPONENT, made(book, EXPONENT))
    with matplotlib.rc_context(
        {"svg.fonttype": "path", "lines.linewidth": 9, "svg.hashsalt": None, "xtick.direction": "in"}
    ):
        assert interval_figure(EXPONENT, made(book, EXPONENT)) == before


def test_text_stays_text_and_dollars_are_no_formula(book: Book) -> None:
    root = ElementTree.fromstring(interval_figure(HOSTILE_CLAIM, made(book, HOSTILE_CLAIM)))
    texts = ["".join(node.itertext()) for node in root.iter(f"{SVG}text")]
    assert any(text.startswith("rival: <script>") for text in texts)
    assert "published 1.0" in texts
    assert not [node for node in root.iter() if node.tag in (f"{SVG}script", f"{SVG}image")]


def test_every_colour_has_a_dark_one(book: Book) -> None:
    for claim in (EXPONENT, RATIOS, ORDERING):
        drawn = interval_figure(claim, made(book, claim))
        style, body = re.search(r"<style>(@media.*?)</style>(.*)", drawn, re.DOTALL).groups()  # type: ignore[union-attr]
        used = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", body))
        assert used
        assert {
            colour for colour in used if f"fill: {colour}" not in style or f"stroke: {colour}" not in style
        } == set()


def test_a_single_target_is_laid_out_in_its_own_units(book: Book) -> None:
    picture = _picture(EXPONENT, made(book, EXPONENT, 2))
    published, measured, rival = picture.rows
    assert (published.value, published.low, published.high) == (0.49, 0.462, 0.534)
    assert published.band == pytest.approx((0.37, 0.61))
    assert published.rounding == pytest.approx((0.485, 0.495))
    assert (measured.value, measured.low, measured.high) == pytest.approx((0.51320481, 0.48110481, 0.54530481))
    assert measured.right == "0.513 (90 %: 0.481 to 0.545)"
    assert (rival.left, rival.value) == ("rival: gadgets", 0.73)
    assert picture.axis == "a"


def test_several_targets_share_an_axis_in_units_of_their_margins(book: Book) -> None:
    picture = _picture(RATIOS, made(book, RATIOS))
    by_name = {row.left.split()[1]: row for row in picture.rows}
    # 1.0552 lies 0.0152 from 1.04, and half a unit of the last digit is 0.005.
    assert by_name["1.1B"].value == pytest.approx(3.04)
    assert by_name["73M"].value == pytest.approx(0.24)
    assert all(row.band == pytest.approx((-1, 1)) for row in picture.rows)
    assert [row.left[0] for row in picture.rows] == ["✓", "✓", "✓", "✗", "✓"]


def test_a_factor_is_a_band_on_a_log_axis(book: Book) -> None:
    picture = _picture(FACTOR, made(book, FACTOR))
    assert picture.log
    assert picture.rows[0].band == pytest.approx((10, 40))
    low, high = limits(picture)
    assert 0 < low < 10
    assert high > 101


@pytest.mark.parametrize(
    ("rule", "band"),
    [
        (Rule("at_least"), (20, math.inf)),
        (Rule("at_most"), (-math.inf, 20)),
        (Rule("at_least", Margin(absolute=2), "x"), (18, math.inf)),
        (Rule("ordering"), (20, math.inf)),
        (Rule("exact"), (20, 20)),
        (Rule("rounds_to"), (19.5, 20.5)),
    ],
)
def test_what_counts_as_a_match_by_rule(rule: Rule, band: tuple[float, float]) -> None:
    margin = rule.margin.absolute if rule.margin else None
    picture = _picture(EXPONENT, judged(rule, "20", "match", 20.0, margin=margin))
    assert picture.rows[1].band == pytest.approx(band)


def test_a_margin_too_thin_for_an_axis_is_drawn_as_deviation(book: Book) -> None:
    picture = _picture(STALE, made(book, STALE))
    assert len(picture.rows) == 1
    assert picture.rows[0].band == pytest.approx((-1, 1), rel=1e-6)
    assert "deviation" in picture.axis


def test_no_estimate_and_no_interval_can_be_drawn() -> None:
    rule = Rule("equivalence", Margin(absolute=1), "x")
    nothing = judged(rule, "20", "inconclusive", None, reason="no_estimate")
    assert "no estimate" in interval_figure(EXPONENT, nothing)
    endless = judged(rule, "20", "inconclusive", 20.2, low=-math.inf, high=math.inf)
    ElementTree.fromstring(interval_figure(EXPONENT, endless))
    unknown = judged(rule, "20", "inconclusive", 20.2, low=None, high=None)
    assert "20.2" in interval_figure(EXPONENT, unknown)


def test_an_attempt_without_a_verdict_has_no_picture() -> None:
    with pytest.raises(ValueError, match="no verdict"):
        interval_figure(EXPONENT, attempt(EXPONENT, "retrain", "cpu", None))


def test_the_alternative_text_states_the_numbers(book: Book) -> None:
    assert alt_text(EXPONENT, made(book, EXPONENT, 2)) == (
        "Published 0.49; a match is within ± 0.12 of 0.49. Measured 0.513 (90 % interval 0.481 to 0.545): match."
    )
    assert "1.1B: published 1.04; a match is rounds to 1.04. Measured 1.055: mismatch." in alt_text(
        RATIOS, made(book, RATIOS)
    )


def row(value: float | None, band: tuple[float, float], **changes: object) -> Row:
    return Row("", "", value, "match", band, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "target"),
    [
        ((row(20.0, (20, 20)),), 20.0),
        ((row(0.0, (0, 0)),), 0.0),
        ((row(None, (-math.inf, math.inf)),), 0.0),
        ((row(math.nan, (1, 2)),), 1.5),
        ((row(1e300, (1, 2)),), 1.5),
    ],
)
def test_the_axis_is_finite_and_holds_the_target(rows: tuple[Row, ...], target: float) -> None:
    low, high = limits(Picture(rows, target, "x"))
    assert math.isfinite(low)
    assert math.isfinite(high)
    assert low < target < high
    assert high < 1e6


def test_what_lies_far_off_does_not_flatten_the_rest_and_is_an_arrow(tmp_path: Path) -> None:
    far = judged(Rule("equivalence", Margin(absolute=1), "x"), "20", "mismatch", 500.0, 1.0)
    picture = _picture(EXPONENT, far)
    assert limits(picture)[1] < 30
    drawn = interval_figure(EXPONENT, far)
    assert "500.0 (90 %: 499.0 to 501.0)" in drawn


def test_a_trend_is_drawn_between_none_and_a_perfect_one() -> None:
    extras = {"trend_tau": 0.62, "trend_p": 0.0031}
    tried = judged(Rule("trend"), "0", "match", 0.62, low=None, high=None, extras=extras, margin=None)
    picture = _picture(EXPONENT, tried)
    assert [(row.left, row.value) for row in picture.rows] == [
        ("no trend", 0.0),
        ("measured", 0.62),
        ("a perfect trend", 1.0),
    ]
    assert picture.rows[1].right == "0.62 (p = 0.0031)"
    assert limits(picture) == (-1.1, 1.1)
    assert alt_text(EXPONENT, tried).startswith("Published a trend; a match is from level to level")
    ElementTree.fromstring(interval_figure(EXPONENT, tried))


def test_an_exact_trend_is_drawn_by_its_least_favourable_step() -> None:
    tried = judged(
        Rule("trend"), "0", "mismatch", -0.004, low=None, high=None, extras={"trend_reversals": 1.0}, margin=None
    )
    picture = _picture(EXPONENT, tried)
    assert [row.value for row in picture.rows] == [0.0, -0.004]
    low, high = limits(picture)
    assert low < -0.004 < 0 < high


def test_a_known_bias_is_a_row_of_its_own_also_among_several_parts() -> None:
    rule = Rule("equivalence", Margin(absolute=0.1), "x")
    claim = replace(EXPONENT, parts={"a": part("0.5", rule), "b_of_tokens": part("0.5", rule)})
    parts = {
        "a": part_verdict(0.5, "match", 0.52, 0.01, margin=0.1, extras={"bias_bar": 0.05}),
        "b_of_tokens": part_verdict(0.5, "match", 0.48, 0.01, margin=0.1),
    }
    rows = _picture(claim, attempt(claim, "retrain", "cpu", verdict(parts, "match"))).rows
    assert [row.kind for row in rows] == ["match", "bias", "match"]
    assert (rows[1].low, rows[1].high) == pytest.approx((-0.3, 0.7))
    assert rows[2].left == "✓ b of tokens"


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_thirty_parts_with_long_names_and_huge_values_are_drawn(width: int) -> None:
    rule = Rule("equivalence", Margin(factor=1.3), "x")
    names = [f"tokens_of_the_model_that_is_called_number_{i}_in_the_table_of_the_appendix" for i in range(30)]
    claim = replace(EXPONENT, parts={name: part("5.76e23", rule) for name in names})
    parts = {
        name: part_verdict(5.76e23, "match", 5.8e23, margin=0.26, low=5.8e23, high=5.8e23, scale="log", deviation=0.007)
        for name in names
    }
    root = ElementTree.fromstring(
        interval_figure(claim, attempt(claim, "retrain", "cpu", verdict(parts, "match")), width)
    )
    texts = ["".join(node.itertext()) for node in root.iter(f"{SVG}text")]
    shown = [text for text in texts if text.startswith("✓")]
    assert len(shown) == len(set(shown)) == 30 or width == NARROW
    assert sum("5.76e23 → 5.8×10²³" in text for text in texts) == 30


def test_a_reference_is_drawn_with_what_it_allows() -> None:
    rule = Rule("reference_convergence", Margin(factor=1.1), "x")
    extras = {"rcp_mean": 4.0, "rcp_min_epochs": 3.8, "rcp_p": 0.4}
    tried = judged(rule, "1", "match", 1.02, 0.03, scale="log", margin=0.0953, deviation=0.0198, extras=extras)
    picture = _picture(EXPONENT, tried)
    assert picture.rows[1].band == pytest.approx((0.95, math.inf))
    assert "no faster than the reference runs allow" in alt_text(EXPONENT, tried)
    ElementTree.fromstring(interval_figure(EXPONENT, tried))
