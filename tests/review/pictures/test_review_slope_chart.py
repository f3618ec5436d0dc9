"""The figure of a power law: its points, the line that was judged, the published exponent, and what the line leaves."""

import csv
import io
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from page_reader import Page
from review_book import EXPONENT, attempt, part_verdict, record, verdict

from repro.review.book import Book
from repro.review.pages import claim_page
from repro.review.pictures.canvas import NARROW, WIDE
from repro.review.pictures.charts import chart_csv, charts_of, draw_chart, may_have_charts
from repro.review.pictures.slope_chart import power_law_of
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Attempt
from repro.stats.cost_curve import cost_exponent
from repro.stats.power_law import power_law_exponent
from repro.stats.regression import log_log_slope

LENGTHS = (64, 128, 256, 512, 1024, 2048)


def timings() -> list[TrialRecord]:
    """Return times that grow as n², with a fixed overhead and three passes."""
    return [
        record(
            f"{n}-{seed}",
            config={"n": n, "seed": seed},
            replicate=seed,
            rows=({"seconds": (3e-6 * n**2 + 0.02) * wobble},),
        )
        for n in LENGTHS
        for seed, wobble in enumerate((0.97, 1.0, 1.04))
    ]


def losses() -> list[TrialRecord]:
    return [record(f"{n}", config={"n": n}, rows=({"loss": (8.8e13 / n) ** 0.076},)) for n in (1e3, 1e4, 1e5, 1e6)]


def sealed(name: str, arguments: dict[str, object], value: float | None, trials: list[TrialRecord]) -> Attempt:
    keys = tuple(trial.key for trial in trials)
    made = attempt(
        EXPONENT, "retrain", "gpu", verdict(part_verdict(0.49, "match", value, 0.02), "match"), keys, counter=1
    )
    return replace(made, sealed=replace(made.sealed, estimator=name, arguments=arguments))


SLOPE = "repro.stats.regression.log_log_slope"


def timed(book: Book) -> tuple[Book, Attempt]:
    trials = timings()
    value = log_log_slope(trials, x="n", y="seconds", octaves=3.0).value
    made = sealed(SLOPE, {"x": "n", "y": "seconds", "octaves": 3.0}, value, trials)
    return replace(book, attempts=(made,), trials=lambda name: trials), made


def test_the_line_drawn_is_the_line_that_was_judged(book: Book) -> None:
    _, made = timed(book)
    law = power_law_of(made, timings())
    assert law is not None
    assert made.verdict is not None
    assert [level.fitted for level in law.levels] == [False, False, True, True, True, True]
    assert law.slope == made.verdict.parts["value"].estimate.value
    # A line through the middle of the points with that slope leaves residuals that sum to nothing in logarithms.
    left = [1 + law.left(level) / 100 for level in law.used]
    product = left[0] * left[1] * left[2] * left[3]
    assert product == pytest.approx(1.0)
    assert law.levels[2].middle == pytest.approx(3e-6 * 256**2 + 0.02)  # the median of the passes


def test_an_exponent_of_a_falling_loss_has_the_sign_that_is_published(book: Book) -> None:
    value = power_law_exponent(losses(), x="n").value
    made = sealed("repro.stats.power_law.power_law_exponent", {"x": "n"}, value, losses())
    law = power_law_of(made, losses())
    assert law is not None
    assert law.slope == pytest.approx(-0.076)
    assert max(abs(law.left(level)) for level in law.levels) < 1e-9
    (chart, *_) = charts_of(replace(book, trials=lambda name: losses()), made)
    assert "has the exponent 0.076 (published 0.49; gadgets 0.73)" in chart.alt


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_picture_says_its_slopes_and_is_the_same_each_time(book: Book, width: int) -> None:
    whole, made = timed(book)
    drawn = draw_chart(whole, made.id, "slope", width)
    assert drawn == draw_chart(whole, made.id, "slope", width)
    root = ElementTree.fromstring(drawn)
    shown = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"published 0.49", "gadgets 0.73"} <= set(shown)
    assert [text for text in shown if text.startswith("here ")] != []
    assert "2 points below, left open" in (root[1].text or "")
    for element in root.iter("{http://www.w3.org/2000/svg}svg"):
        assert element.get("width") == str(width)


def test_the_numbers_are_a_table_and_a_file(book: Book) -> None:
    whole, made = timed(book)
    (chart,) = charts_of(whole, made)
    assert [row[0] for row in chart.table[1:]] == [str(n) for n in LENGTHS]
    assert [row[-1] for row in chart.table[1:]] == ["no", "no", "yes", "yes", "yes", "yes"]
    lines = list(csv.DictReader(io.StringIO(chart_csv(whole, made.id, "slope"))))
    assert len(lines) == 3 * len(LENGTHS)
    assert float(lines[0]["seconds"]) == timings()[0].value("seconds")


def test_points_below_the_sealed_floor_are_left_open_and_local_exponents_stand_in_the_table(book: Book) -> None:
    trials = timings()
    given = {"x": "n", "y": "seconds", "octaves": 4.0, "floor": 0.2}
    value = cost_exponent(trials, x="n", y="seconds", octaves=4.0, floor=0.2).value
    made = sealed("repro.stats.cost_curve.cost_exponent", given, value, trials)
    (chart,) = charts_of(replace(book, attempts=(made,), trials=lambda name: trials), made)
    head, *rows = chart.table
    assert [row[head.index("Fitted")] for row in rows] == ["no", "no", "yes", "yes", "yes", "yes"]
    local = [row[head.index("Local exponent")] for row in rows]
    assert local[:3] == ["", "", ""]
    assert [float(text) for text in local[3:]] == pytest.approx([1.90, 1.97, 1.99], abs=0.005)
    assert "From point to point the exponent is 1.9 to 1.99." in chart.alt


def test_where_a_batch_is_named_the_floor_holds_for_the_whole_call(book: Book) -> None:
    trials = [replace(trial, rows=({**trial.rows[0], "batch": 2048.0 / trial.config["n"]},)) for trial in timings()]
    given = {"x": "n", "y": "seconds", "octaves": 3.0, "floor": 0.2, "batch": "batch"}
    estimate = cost_exponent(trials, x="n", y="seconds", octaves=3.0, floor=0.2, batch="batch")
    law = power_law_of(sealed("repro.stats.cost_curve.cost_exponent", given, estimate.value, trials), trials)
    assert law is not None
    assert [level.x for level in law.used] == [256, 512, 1024, 2048]
    assert estimate.n == 4
    assert estimate.extras["left_out"] == 0


def test_the_page_shows_it_under_its_own_name(book: Book) -> None:
    whole, made = timed(book)
    page = Page(claim_page(whole, EXPONENT.id))
    assert "The study’s own figure" in page.words
    assert "The training runs" not in page.words
    assert any(str(image["src"]).endswith(f"{made.id}.slope.svg") for image in page.all("img"))


def test_what_is_no_power_law_has_no_such_figure(book: Book) -> None:
    _, made = timed(book)
    assert may_have_charts(made)
    assert power_law_of(replace(made, verdict=None), timings()) is None
    assert power_law_of(replace(made, sealed=replace(made.sealed, estimator="other")), timings()) is None
    assert power_law_of(made, timings()[:6]) is None  # two lengths
    assert power_law_of(made, [record("t1")]) is None  # measured something else
    none = replace(made, verdict=verdict(part_verdict(0.49, "inconclusive", None), "inconclusive"))
    assert power_law_of(none, timings()) is None
