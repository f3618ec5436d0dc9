"""The pages of a claim and of an attempt: every attempt on one axis, the numbers as files, what an attempt cost."""

import csv
import io
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from page_reader import Page
from review_book import HOSTILE, RATIOS, attempt, ratio_verdict, record

from repro.review import pages
from repro.review.book import Book
from repro.review.facts import ledger_links
from repro.review.facts.ledger_links import Links
from repro.review.facts.spent import device_hours, flops_text, wall_time
from repro.review.pages import attempt_page, claim_page
from repro.review.pictures import all_attempts
from repro.review.pictures.all_attempts import (
    attempts_address,
    attempts_figure,
    attempts_lines,
    attempts_text,
    has_plot,
)
from repro.review.pictures.canvas import NARROW, WIDE
from repro.review.pictures.csv_text import csv_text
from repro.review.pictures.picture_files import files_of_attempt
from repro.review.site import site
from repro.review.wording.readable import readable
from repro.schema.verdict import Attempt

EXPONENT = "widgets/exponent"


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def exponent_attempts(book: Book) -> tuple[Attempt, ...]:
    return book.attempts_by_claim[EXPONENT]


def test_the_plot_has_a_row_for_every_attempt_and_rival_and_the_published_interval(decent_book: Book) -> None:
    shown = texts(attempts_figure(decent_book, decent_book.claims[EXPONENT]))
    assert "published 0.49" in shown
    assert "0.462 to 0.534 (80 %)" in shown
    assert [text for text in shown if text.startswith("rival")] == ["rival: gadgets"]
    rows = [text for text in shown if "retrain at" in text]
    assert rows == [
        "✓ retrain at gpu, 2024-05-12",
        "✗ retrain at gpu, 2024-05-11",
        "✗ retrain at gpu, 2024-05-13",
        "? retrain at cpu",
    ]
    assert "0.513 (0.481 to 0.545)" in shown


def test_what_does_not_count_keeps_its_sign_and_loses_its_filled_mark(decent_book: Book) -> None:
    claim = decent_book.claims[EXPONENT]
    kinds = {row.left: row.kind for row in all_attempts._picture(decent_book, claim).rows}
    assert kinds["✗ retrain at gpu, 2024-05-11"] == "mismatch"
    assert kinds["✗ retrain at gpu, 2024-05-13"] == "inconclusive"  # exploratory
    assert "mismatch, does not count" in attempts_text(decent_book, claim)


def test_several_parts_have_a_heading_each_and_their_attempts_below(decent_book: Book) -> None:
    again = attempt(RATIOS, "count", "full", ratio_verdict(), counter=2)
    book = replace(decent_book, attempts=(*decent_book.attempts, again))
    shown = texts(attempts_figure(book, book.claims[RATIOS.id]))
    at = shown.index("73M")
    assert shown[at + 1] == "published 1.03"
    assert sum("count at full" in text for text in shown) == 10
    assert all(f"{name}, published" in attempts_text(book, book.claims[RATIOS.id]) for name in RATIOS.parts)


def test_many_attempts_are_drawn_up_to_a_limit_and_all_are_in_the_file(decent_book: Book) -> None:
    many = tuple(attempt(RATIOS, "count", "full", ratio_verdict(), counter=n) for n in range(2, 40))
    book = replace(decent_book, attempts=(*decent_book.attempts, *many))
    claim = book.claims[RATIOS.id]
    assert len(all_attempts.drawn(book, claim)) == all_attempts.MOST_ROWS // 5
    assert len(attempts_lines(book, claim)) == 39 * 5
    page = Page(claim_page(book, RATIOS.id))
    assert "16 of 39" in page.words
    assert "The plot of 16 attempts and 5 parts" in page.words


def test_one_attempt_needs_no_second_picture(decent_book: Book) -> None:
    claim = decent_book.claims[RATIOS.id]
    assert not has_plot(decent_book, claim)
    assert attempts_address(claim.id) not in site(decent_book)
    assert "Every attempt" not in Page(claim_page(decent_book, claim.id)).words


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_picture_is_the_same_for_the_same_book_and_describes_itself(decent_book: Book, width: int) -> None:
    claim = decent_book.claims[EXPONENT]
    drawn = attempts_figure(decent_book, claim, width)
    assert drawn == attempts_figure(decent_book, claim, width)
    root = ElementTree.fromstring(drawn)
    assert [root[0].text, root[1].text] == [f"{EXPONENT}: 4 attempts", attempts_text(decent_book, claim)]
    image = next(
        i for i in Page(claim_page(decent_book, EXPONENT)).all("img") if (i["src"] or "").endswith("attempts.svg")
    )
    assert image["alt"] == attempts_text(decent_book, claim)  # fmt: skip


def test_the_numbers_of_every_attempt_lie_beside_the_picture(decent_book: Book) -> None:
    lines = read(str(site(decent_book)[attempts_address(EXPONENT, ".csv")]()))
    assert [line["counts"] for line in lines] == ["yes", "yes", "no", "yes"]
    assert (
        lines[0]
        | {
            "published": "0.49",
            "published_low": "0.462",
            "published_high": "0.534",
            "measured": "0.51320481",
            "verdict": "match",
            "rival gadgets": "0.73",
        }
        == lines[0]
    )
    assert float(lines[0]["match_low"]) == pytest.approx(0.37)
    assert float(lines[0]["match_high"]) == pytest.approx(0.61)


def test_every_picture_of_a_page_has_its_numbers_as_a_file(book: Book) -> None:
    paths = site(book)
    for name in (EXPONENT, RATIOS.id, "widgets/speed"):
        address = f"claim/{name}.html"
        page = Page(claim_page(book, name))
        files = {link["href"] for link in page.all("a") if "download" in link}
        for image in page.all("img"):
            source = str(image["src"])
            if "badge/" in source:
                continue
            stem = source.removesuffix(".svg")
            assert {f"{stem}.csv", f"{stem}.figure.csv"} & files, source
        for file in files:
            assert str(file).removeprefix("../" * address.count("/")) in paths


def test_a_hostile_file_is_plain_cells(book: Book) -> None:
    hostile = next(a for a in book.attempts if a.claim.startswith("hostile"))
    (line,) = read(str(files_of_attempt(book, hostile, ())[next(iter(files_of_attempt(book, hostile, ())))]()))
    assert line["part"] == readable(f"part {HOSTILE}")
    assert csv_text([{"=cmd()": "@x", "n": "-0.5", "m": None}]) == "'=cmd(),n,m\n'@x,-0.5,\n"


def test_cost_is_counted_once_and_told_by_arm(book: Book) -> None:
    of = exponent_attempts(book)[0]
    trials = book.trials(of.id)
    assert (
        flops_text(of, trials)
        == "1.23×10¹⁴ FLOPs, 8.2×10¹³ of them in the main arm; 1 of 4 trials did not count theirs"
    )
    assert flops_text(of, [record("t1", rows=({"loss": 3.0},))]) == ""
    assert wall_time(of) == "40 min 00 s"
    assert wall_time(replace(of, finished="")) == ""
    assert wall_time(replace(of, started="soon")) == ""
    cuda = replace(record("g1", seconds=7200.0), device="cuda").with_digest()
    assert device_hours([*trials, *trials, cuda]) == "2 GPU-hours and 0.0523 core-hours"
    page = Page(attempt_page(book, of.id)).words
    assert "Time 40 min 00 s from start to end; the trials took 23 min 52 s in all" in page
    assert "Cost 0.0523 core-hours" in page
    assert "1.23×10¹⁴ FLOPs" in page


def test_live_pages_lead_to_the_runs_in_mlflow(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    of = exponent_attempts(book)[0]
    first = book.trials(of.id)[0]
    links = Links("#/experiments/3/runs/abc", {first.digest: "#/experiments/4/runs/def"})
    monkeypatch.setitem(pages._environment().globals, "ledger_links", lambda name: links)
    page = Page(attempt_page(book, of.id, live=True))
    found = [link["href"] for link in page.all("a") if "/runs/" in str(link["href"])]
    assert found == ["../../../#/experiments/4/runs/def", "../../../#/experiments/3/runs/abc"]
    assert not [link for link in Page(attempt_page(book, of.id)).all("a") if "/runs/" in str(link["href"])]
    monkeypatch.setitem(pages._environment().globals, "ledger_links", lambda name: Links())
    assert "MLflow has no runs of it" in Page(attempt_page(book, of.id, live=True)).words


def test_a_ledger_that_is_not_there_gives_no_links(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none.db")
    assert ledger_links.ledger_links("widgets/exponent@retrain@gpu-0-1") == Links()


def test_hostile_attempts_are_text_in_the_plot_and_in_the_history(book: Book) -> None:
    hostile = next(a for a in book.attempts if a.claim.startswith("hostile"))
    again = replace(
        hostile, id=f"{hostile.id}-again", started="2024-06-01T00:00:00+00:00", provenance={"commit": HOSTILE}
    )
    twice = replace(book, attempts=(*book.attempts, again))
    claim = twice.claims[hostile.claim]
    drawn = attempts_figure(twice, claim)
    assert "<script" not in drawn
    assert any("<scri" in text for text in texts(drawn))
    html = claim_page(twice, claim.id)
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert "History" in Page(html).words
