"""What stands on the pages: the numbers, the words, every flag, and nothing that was not escaped."""

import csv
import io
from dataclasses import replace
from itertools import pairwise

import pytest
from page_reader import Page
from review_book import BLOCKED, EXPONENT, HOSTILE, HOSTILE_CLAIM, NOT_RUN, ORDERING, RATIOS, STALE, record

from repro.review.book import Book
from repro.review.pages import (
    attempt_address,
    attempt_page,
    citation,
    claim_address,
    claim_page,
    error_page,
    overview_page,
    trials_csv,
)
from repro.review.wording.papers import paper_links
from repro.schema.claim import Paper
from repro.schema.errors import RecordError, StoreError
from repro.schema.trial import TrialRecord


def every_page(book: Book) -> list[str]:
    return [
        overview_page(book),
        *(claim_page(book, name) for name in book.claims),
        *(attempt_page(book, attempt.id) for attempt in book.attempts),
        error_page("claim/x.html", HOSTILE),
    ]


def test_pages_are_balanced_and_have_what_assistive_technology_needs(book: Book) -> None:
    for html in every_page(book):
        page = Page(html)
        assert page.all("html") == [{"lang": "en"}]
        assert len(page.all("h1")) == len(page.all("main")) == len(page.all("title")) == 1
        assert page.all("a")[0] == {"class": "skip", "href": "#main"}
        assert len(page.all("caption")) == len(page.all("table"))
        assert all(head.get("scope") in ("col", "row") for head in page.all("th"))
        assert all(image.get("alt") and image.get("width") and image.get("height") for image in page.all("img"))
        names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(names) == len(set(names))
        levels = [int(tag[1]) for tag, _ in page.elements if tag in ("h1", "h2", "h3", "h4")]
        assert all(after - before <= 1 for before, after in pairwise(levels))
        described = {a["aria-labelledby"] for _, a in page.elements if "aria-labelledby" in a}
        assert described <= set(names)


def test_hostile_text_is_shown_and_never_run(book: Book) -> None:
    for html in every_page(book):
        page = Page(html)
        assert page.own_scripts_only
        assert all(not (image.get("src") or "").startswith("x") for image in page.all("img"))
        assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
        assert not [a for a in page.all("a") if (a.get("href") or "").lower().startswith(("javascript:", "data:"))]
    shown = Page(claim_page(book, HOSTILE_CLAIM.id)).text
    # Statement, locator, note, symbol, detail, flag, deviation, error of the trial, ...
    assert shown.count("<script>alert('x')</script>\"><img src=x onerror=alert(1)>") >= 12
    assert "{{ 7*7 }}" in shown
    assert "49 }}" not in shown


def test_a_strict_policy_finds_nothing_inline(book: Book) -> None:
    for html in every_page(book):
        page = Page(html)
        assert not page.all("style")
        assert not [1 for _, attributes in page.elements if "style" in attributes]
        assert "http-equiv" not in html


def test_the_overview_counts_and_never_gives_a_percentage_of_claims(book: Book) -> None:
    words = Page(overview_page(book)).words
    assert "✓ 2 match ✗ 2 mismatch ? 1 inconclusive ⊘ 1 blocked ○ 2 not run" in words
    assert "8 claims:" in words
    assert "% of claims" not in words
    assert "1 of those not run has attempts, but none that counts" in words


def test_the_overview_shows_published_measured_and_verdict(decent_book: Book) -> None:
    words = Page(overview_page(decent_book)).words
    assert "a 0.49" in words
    assert "✓ match replicated at reduced scale (0.8 % of the paper's compute)" in words
    assert "measured 0.513 (0.481 to 0.545, 90 %)" in words
    assert "? inconclusive this scale does not decide" in words
    assert "Not unanimous: 1 earlier attempt came out mismatch." in words
    assert "A later attempt does not count: exploratory." in words
    assert "✗ mismatch not confirmed by recomputation" in words
    assert "d an order unverified" in words
    assert "all secondary" in words
    assert "and 2 more" in words
    assert "stale what the seal covers has changed since." in words
    assert "⊘ blocked missing: the screening images" in words
    assert "gone/claim@p@full" in words


def test_a_stale_match_is_not_coloured_as_one(decent_book: Book) -> None:
    only = replace(
        decent_book, claims={STALE.id: STALE}, attempts=tuple(a for a in decent_book.attempts if a.claim == STALE.id)
    )
    verdicts = [a["class"] for a in Page(claim_page(only, STALE.id)).all("span") if "outcome" in (a.get("class") or "")]
    # The attempt reads as a match in grey; only the part's own decision is marked as one.
    assert verdicts[:2] == ["outcome idle", "outcome idle"]


def test_an_empty_catalogue_says_where_claims_are_looked_for(book: Book) -> None:
    empty = replace(book, claims={}, attempts=())
    words = Page(overview_page(empty)).words
    assert "0 claims" in words
    assert "REPRO_CLAIMS" in words


def test_the_page_of_a_claim_tells_its_whole_story(book: Book) -> None:
    page = Page(claim_page(book, EXPONENT.id))
    words = page.words
    for text in (
        EXPONENT.statement,
        "Table 2, second row of Scaling Laws of Widgets, Ada Example et al., 2023, Journal of Widgets",
        "0.462 to 0.534 (80 % subsample interval)",
        "within ± 0.12 of 0.49",
        "Half the distance to the rival.",
        "gadgets 0.73",
        "5.76e23 FLOPs in the paper",
        "replication (ACM: replicated (different team, different setup); NASEM: replicability)",
        "widgets/isoflop, recipe experiments.widgets.isoflop",
        "Decides at gpu, paper",
        "untuned must not match, and must differ from the main arm. A fixed warm-up starves small models. At gpu: ✓ failed, as it must.",
        "Bytes instead of tokens.",
        "repro run widgets/exponent scale=cpu never decides",
        "repro run widgets/exponent scale=gpu",
        "batch size at each model size proportional to N^(2/3) a sweep not given moves a by 0.01",
        "random seed 0, 1, 2 a guess nothing not known",
        "exploratory sealed settings were changed by hand; not citable.",
        "0.513 (0.481 to 0.545, 90 %)",
        "5 budgets, ν = 3",
        "+0.0232",
        "MemoryError: out of memory",
        "diverged",
        "working tree clean",
        "Example CPU 2.4 GHz, 2 cores, 7.8 GiB",
        "23 min 52 s",
        f"made_up_corpus sha256:{'d' * 64}",
        "numpy 2.4.1, torch 2.13.0+cpu",
        "1.2×10⁻⁹ of the paper's compute",
    ):
        assert text in words, text
    assert [a.get("value") for a in page.all("data")].count("0.51320481") >= 1
    dates = [words.index(f"2024-05-{day} 09:03 UTC") for day in (12, 13)]  # the later one is exploratory
    assert dates == sorted(dates)


def test_numbers_on_the_page_carry_all_their_digits(book: Book) -> None:
    carried = [a for a in Page(claim_page(book, EXPONENT.id)).all("data") if a.get("value") == "0.51320481"]
    assert carried
    assert all(a["title"] == "0.51320481" for a in carried)


def test_parts_stand_in_a_table_with_their_own_verdicts(book: Book) -> None:
    words = Page(claim_page(book, RATIOS.id)).words
    assert "1.1B 1.04 secondary 1.055 5 budgets, ν = 3 rounds to 1.04 +0.0152 ✗ mismatch" in words
    assert "73M 1.03 secondary 1.031 5 budgets, ν = 3 rounds to 1.03 +0.0012 ✓ match" in words


def test_an_undecided_attempt_says_why_and_what_it_would_take(book: Book) -> None:
    words = Page(claim_page(book, ORDERING.id)).words
    assert "too few data to decide; n = 23 would reach 80 % power" in words
    assert "near the printed value: how far the paper's own runs spread is unknown" in words
    assert "! failed did not run to its end" in words
    assert "2 of 10 trials failed." in words


def test_a_blocked_claim_says_what_is_missing_since_when_and_what_would_unblock_it(book: Book) -> None:
    words = Page(claim_page(book, BLOCKED.id)).words
    assert "⊘ blocked This claim cannot be tested at present." in words
    assert (
        "Missing the screening images Since 2020-01-01 What would unblock it access to the data under licence" in words
    )
    assert (
        "Needs data: 28,000 mammograms computing: training three networks (900 hours of one V100 unverified , about $2,700, "
        "an estimate) What a donation would decide" in words
    )
    assert "Who was asked the clinic, 2021-05-06: under licence alone" in words
    assert f"Stands in for it {NOT_RUN.statement}" in words


def test_a_claim_says_for_which_blocked_one_it_stands_in(book: Book) -> None:
    words = Page(claim_page(book, NOT_RUN.id)).words
    assert (
        f"Stands in, at a smaller size, for what nobody here can run; it says nothing of that number: {BLOCKED.statement}"
        in words
    )
    assert "Stands in" not in Page(claim_page(book, ORDERING.id)).words


def test_the_page_of_an_attempt_lists_all_trials_what_went_wrong_first(book: Book) -> None:
    made = next(a for a in book.attempts if a.claim == EXPONENT.id)
    many = [record(f"t{i}", replicate=i) for i in range(40)] + [
        record("bad", status="failed", rows=(), error="Boom\nat line 7")
    ]
    full = replace(book, trials=lambda _: many)
    page = Page(attempt_page(full, made.id))
    assert "41 trials, what went wrong first" in page.words
    assert page.words.index("bad") < page.words.index("t0")
    assert "Boom at line 7" in page.words
    short = Page(claim_page(full, EXPONENT.id))
    assert "12 of 41 trials, what went wrong first; all of them" in short.words


def test_damaged_records_are_reported_on_the_page_and_in_the_table(book: Book) -> None:
    def damaged(_: str) -> list[TrialRecord]:
        raise RecordError("Record t1 was edited: its digest differs.")

    made = next(a for a in book.attempts if a.claim == EXPONENT.id)
    broken = replace(book, trials=damaged)
    assert "The trials cannot be read: Record t1 was edited" in Page(attempt_page(broken, made.id)).words
    assert "Record t1 was edited" in Page(claim_page(broken, EXPONENT.id)).words
    assert trials_csv(broken, made.id) == "error\nRecord t1 was edited: its digest differs.\n"


def test_the_table_of_trials_has_every_row_and_every_digit(book: Book) -> None:
    made = next(a for a in book.attempts if a.claim == EXPONENT.id)
    rows = list(csv.DictReader(io.StringIO(trials_csv(book, made.id))))
    assert [row["trial"] for row in rows] == ["t1", "t2", "t3", "t9"]
    assert rows[0]["slope"] == "0.5132048"
    assert rows[1]["slope"] == ""
    assert rows[1]["status"] == "diverged"
    assert rows[2]["error"] == "MemoryError: out of memory\nat step 3"
    assert rows[3]["arm"] == "untuned"
    assert rows[0]["config.lr"] == "0.001"


def test_an_attempt_at_a_vanished_claim_still_has_a_page(book: Book) -> None:
    made = next(a for a in book.attempts if a.claim == "gone/claim")
    assert "This claim is not in the catalogue here." in Page(attempt_page(book, made.id)).words


def test_a_protocol_is_named_in_the_command_where_a_claim_has_several(book: Book) -> None:
    both = replace(EXPONENT, protocols={**EXPONENT.protocols, "again": EXPONENT.protocols["retrain"]})
    words = Page(claim_page(replace(book, claims={both.id: both}), both.id)).words
    assert "repro run widgets/exponent scale=gpu protocol=again" in words


def test_unknown_names_are_errors_that_name_the_nearest(book: Book) -> None:
    with pytest.raises(StoreError, match="There is no claim 'widgets/exponen'. Did you mean 'widgets/exponent'"):
        claim_page(book, "widgets/exponen")
    with pytest.raises(StoreError, match="There is no attempt 'nothing'"):
        attempt_page(book, "nothing")


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("widgets/exponent", "claim/widgets/exponent.html"),
        ("../../etc/passwd", "claim/~2e~./~2e~./etc/passwd.html"),
        ("a b/ü?#%", "claim/a~20~b/~fc~~3f~~23~~25~.html"),
        ("/root", "claim/~/root.html"),
        (".hidden", "claim/~2e~hidden.html"),
    ],
)
def test_addresses_are_safe_in_a_url_and_stay_below_the_site(name: str, address: str) -> None:
    assert claim_address(name) == address


def test_the_address_of_an_attempt_is_its_id() -> None:
    assert attempt_address("a/b@p@gpu-0123abcd-1", ".csv") == "attempt/a/b@p@gpu-0123abcd-1.csv"


def test_only_web_addresses_become_links() -> None:
    paper = Paper("x", "X", ("A",), 2020, url="javascript:alert(1)", arxiv='1"><script>', doi="10.1/x y")
    assert paper_links(paper) == [
        ('arXiv:1"><script>', "https://arxiv.org/abs/1%22%3E%3Cscript%3E"),
        ("doi:10.1/x y", "https://doi.org/10.1/x%20y"),
    ]
    assert paper_links(Paper("x", "X", ("A",), 2020, url="https://example.org/p")) == [
        ("example.org", "https://example.org/p")
    ]
    again = Paper("x", "X", ("A",), 2020, arxiv="2203.15556", url="https://arxiv.org/abs/2203.15556")
    assert len(paper_links(again)) == 1


def test_citations_name_three_authors_at_most() -> None:
    assert citation(Paper("x", "X", ("A", "B", "C"), 2020, "V")) == "A, B, C, 2020, V"
    assert citation(Paper("x", "X", ("A", "B", "C", "D"), 2020)) == "A et al., 2020"
    assert citation(Paper("x", "X", (), 0)) == ""
