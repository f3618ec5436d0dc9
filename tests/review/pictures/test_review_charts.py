"""Charts of training runs: what they are, what they say in words, and that the same runs give the same bytes."""

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from page_reader import Page
from review_book import HOSTILE, record
from scaling_book import BUDGETS, best, judged, run, runs, scaling_book

from repro.judge.numbers import power_text
from repro.review.pages import attempt_page, claim_page
from repro.review.pictures import curves, plotting
from repro.review.pictures.canvas import NARROW, WIDE
from repro.review.pictures.charts import (
    NAMES,
    NoChart,
    chart_address,
    charts_of,
    charts_on_claim,
    draw_chart,
    may_have_charts,
)
from repro.review.pictures.plotting import log_ticks, shade, spread
from repro.review.site import site, write_site
from repro.schema.errors import StoreError


def text_of(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_an_attempt_that_trained_has_profiles_surface_and_curves() -> None:
    book = scaling_book()
    (attempt,) = book.attempts
    found = charts_of(book, attempt)
    assert [chart.name for chart in found] == ["isoflop", "surface", "curves"]
    isoflop, surface, logged = found
    for budget in BUDGETS:
        assert f"{power_text(budget, 3)} FLOPs" in isoflop.alt
    assert "published 0.49; other 0.73" in isoflop.alt
    assert "judged" in isoflop.caption
    assert [row[0] for row in isoflop.table[1:]] == [f"{power_text(budget, 3)} FLOPs" for budget in BUDGETS]
    assert [row[1:3] for row in isoflop.table[1:]] == [("5", "5")] * 3
    assert "L = 1.5 + 120/N^0.4 + 300/D^0.3" in surface.alt
    assert "15 runs" in surface.alt
    assert "Held-out loss of 15 runs against training FLOPs spent" in logged.alt


@pytest.mark.parametrize("name", ["isoflop", "surface", "curves"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_chart_is_an_svg_of_its_width_that_is_the_same_each_time(name: str, width: int) -> None:
    book = scaling_book()
    svg = draw_chart(book, book.attempts[0].id, name, width)
    root = ElementTree.fromstring(svg)
    assert float(root.attrib["width"]) == width
    assert root.attrib["role"] == "img"
    (chart,) = (chart for chart in charts_of(book, book.attempts[0]) if chart.name == name)
    described = ElementTree.fromstring(svg).find("{http://www.w3.org/2000/svg}desc")
    assert described is not None
    assert described.text == chart.alt
    if width == WIDE:
        assert (float(root.attrib["width"]), float(root.attrib["height"])) == chart.size
    assert svg == draw_chart(scaling_book(), book.attempts[0].id, name, width)


def test_colours_that_a_chart_uses_have_a_dark_twin() -> None:
    book = scaling_book()
    for name in ("isoflop", "surface", "curves"):
        svg = draw_chart(book, book.attempts[0].id, name, WIDE)
        body = svg.split("</style>", 2)[1] if svg.count("</style>") > 1 else svg.partition("</style>")[2]
        used = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", body))
        assert used <= set(plotting.CHART_DARK), used - set(plotting.CHART_DARK)


def test_series_are_told_apart_by_shape_and_words() -> None:
    book = scaling_book()
    svg = draw_chart(book, book.attempts[0].id, "isoflop", WIDE)
    written = text_of(svg)
    for budget in BUDGETS:
        assert power_text(budget, 3) in written
    for line in ("published 0.49", "other 0.73", "here 0.43"):
        assert line in written


def test_what_lies_within_the_picture_stays_there() -> None:
    """No text begins left of the picture or below it, also on a telephone."""
    book = scaling_book()
    for name in ("isoflop", "surface", "curves"):
        root = ElementTree.fromstring(draw_chart(book, book.attempts[0].id, name, NARROW))
        height = float(root.attrib["height"])
        for element in root.iter("{http://www.w3.org/2000/svg}text"):
            if "x" in element.attrib:
                assert 0 <= float(element.attrib["x"]) <= NARROW, element.text
                assert 0 <= float(element.attrib["y"]) <= height, element.text


def test_runs_on_two_texts_are_two_pictures() -> None:
    mixed = [*runs(source="prose"), *runs(source="code")]
    book = scaling_book(mixed)
    found = charts_of(book, book.attempts[0])
    assert [chart.name for chart in found] == ["isoflop", "isoflop-2", "surface", "surface-2", "curves"]
    assert [chart.heading for chart in found[:2]] == ["IsoFLOP profiles: source prose", "IsoFLOP profiles: source code"]
    assert "published" not in found[0].alt
    assert draw_chart(book, book.attempts[0].id, "isoflop", WIDE) != draw_chart(
        book, book.attempts[0].id, "isoflop-2", WIDE
    )


def test_too_many_kinds_of_runs_have_curves_alone() -> None:
    mixed = [one for number in range(8) for one in runs(clip=float(number))]
    book = scaling_book(mixed)
    assert [chart.name for chart in charts_of(book, book.attempts[0])] == ["curves"]


def test_an_attempt_without_runs_has_no_chart() -> None:
    book = scaling_book([record("t1")])
    assert charts_of(book, book.attempts[0]) == ()
    with pytest.raises(NoChart, match="has no chart 'isoflop'"):
        draw_chart(book, book.attempts[0].id, "isoflop", WIDE)
    with pytest.raises(NoChart):
        draw_chart(book, "nobody@knows@this-0-1", "isoflop", WIDE)


def test_unreadable_records_hide_nothing_else() -> None:
    def broken(attempt_id: str) -> list[object]:
        raise StoreError("The disk is gone.")

    damaged = replace(scaling_book(), trials=broken)
    assert charts_of(damaged, damaged.attempts[0]) == ()
    assert "The disk is gone." in attempt_page(damaged, damaged.attempts[0].id)


def test_pages_show_every_chart_once_with_words_and_numbers() -> None:
    book = scaling_book()
    attempt = book.attempts[0]
    assert may_have_charts(attempt)
    assert [found.id for found, _ in charts_on_claim(book, "laws/growth")] == [attempt.id]
    for html in (claim_page(book, "laws/growth"), attempt_page(book, attempt.id)):
        page = Page(html)
        for chart in charts_of(book, attempt):
            shown = [image for image in page.all("img") if (image["src"] or "").endswith(f".{chart.name}.svg")]
            assert [image["alt"] for image in shown] == [chart.alt]
        assert "The training runs" in page.words
        assert "Numbers of this picture" in page.words


def test_the_site_writes_the_charts_there_are_and_no_others(tmp_path: Path) -> None:
    book = scaling_book()
    name = book.attempts[0].id
    written = {path.relative_to(tmp_path).as_posix() for path in write_site(book, tmp_path)}
    for chart in ("isoflop", "surface", "curves"):
        assert {chart_address(name, chart), chart_address(name, chart, ".narrow.svg")} <= written
    assert chart_address(name, "isoflop-2") not in written
    # A server would have to read every record to know: it refuses what is not there when it is asked for.
    live = site(book, live=True)
    assert {chart_address(name, chart) for chart in NAMES} <= set(live)
    with pytest.raises(NoChart):
        live[chart_address(name, "isoflop-2")]()


def test_curves_prefer_held_out_losses_and_fall_back_on_those_of_training() -> None:
    logged = curves.curves_of(runs())
    assert logged is not None
    assert (logged.what, logged.axis) == ("held-out loss", "training FLOPs spent")
    assert logged.runs[0].x[-1] == pytest.approx(BUDGETS[0])
    points = ((1, 3.0), (2, None), (3, 2.0))
    one = record("a", rows=({"loss": 2.0},), curves={"train_loss": points, "loss": ((3, 2.0),)})
    fallen = curves.curves_of([one])
    assert fallen is not None
    assert (fallen.what, fallen.axis, fallen.runs[0].x) == ("training loss", "steps", (1.0, 3.0))
    assert curves.curves_of([record("b")]) is None


def test_runs_of_one_size_are_ordered_by_the_setting_that_varies() -> None:
    trials = [run(1e13, 1.0, cycle=cycle) for cycle in (2.0, 1.0, 1.5)]
    logged = curves.curves_of(trials, ("cycle",))
    assert logged is not None
    assert (logged.ordered_by, logged.ranks) == ("cycle", (1.0, 1.5, 2.0))
    assert "cycle from 1 to 2" in curves.alt_text(logged)
    assert "cycle =" in text_of(curves.draw(logged, WIDE, "t"))
    assert curves.order_text(logged) == "have a larger cycle"


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (50_000, 2, "5×10⁴"),
        (1e11, 2, "10¹¹"),
        (1.75e11, 3, "1.75×10¹¹"),
        (9_999_999, 2, "10⁷"),
        (640, 2, "640"),
        (0.5, 2, "0.5"),
        (0.0, 2, "0"),
        (-3.0, 2, "−3"),
    ],
)
def test_sizes_and_budgets_read_as_powers(value: float, digits: int, shown: str) -> None:
    assert power_text(value, digits) == shown


def test_labels_keep_their_order_and_their_distance() -> None:
    placed = spread([5.0, 5.1, 4.9, 20.0], 3.0)
    assert sorted(placed) == [placed[2], placed[0], placed[1], placed[3]]
    assert placed[3] == 20.0
    assert min(b - a for a, b in zip(sorted(placed), sorted(placed)[1:], strict=False)) == pytest.approx(3.0)
    assert sum(placed[:3]) == pytest.approx(15.0)


def test_every_logarithmic_axis_has_ticks() -> None:
    from matplotlib.figure import Figure

    for low, high in ((3e3, 2e5), (1.1e4, 1.4e4), (1.0, 1e12), (7.0, 8.0)):
        axis = Figure().add_subplot().xaxis
        log_ticks(axis, low, high)
        ticks = [tick for tick in axis.get_majorticklocs() if low <= tick <= high]
        assert 1 <= len(ticks) <= 7, (low, high)


def test_shades_go_from_first_to_last() -> None:
    assert len({shade(i, 10) for i in range(10)}) == 10
    assert shade(0, 1) in plotting.CHART_DARK


def test_the_best_size_is_where_the_books_law_is_lowest() -> None:
    """The made-up law's closed form, against a search: what the other tests lean on."""
    budget = BUDGETS[1]
    losses = {share: run(budget, share).value("loss") for share in (0.9, 0.99, 1.0, 1.01, 1.1)}
    assert min(losses, key=losses.__getitem__) == 1.0
    assert best(budget) > 0
    assert judged(runs()).arms["main"][0].startswith("1e+12")


def test_hostile_words_stay_words() -> None:
    trials = [*runs(source=HOSTILE), *runs(source="plain")]
    book = scaling_book(trials)
    page = Page(attempt_page(book, book.attempts[0].id))
    assert page.own_scripts_only
    for chart in charts_of(book, book.attempts[0]):
        assert ElementTree.fromstring(chart.draw(WIDE)).tag.endswith("svg")


def test_runs_of_equal_loss_can_still_be_drawn() -> None:
    flat = [replace(one, rows=({**one.rows[0], "loss": 2.0},), curves={"loss": ((1, 2.0), (2, 2.0))}) for one in runs()]
    book = scaling_book(flat)
    for chart in charts_of(book, book.attempts[0]):
        assert ElementTree.fromstring(chart.draw(NARROW)).tag.endswith("svg")
