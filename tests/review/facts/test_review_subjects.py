"""The pages of papers, topics and studies: what stands on them, and what they say of what is not there."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from page_reader import Page
from review_book import EXPONENT, HOSTILE, STUDIES

from repro.review.addresses import paper_address, study_address, topic_address
from repro.review.book import Book
from repro.review.facts.subjects import (
    at_scales,
    claims_reading,
    data_read,
    rows,
    scales_in,
    studies_read,
    tally_of,
    topics,
    web_address,
)
from repro.review.pages import claim_page
from repro.review.paths import Paths
from repro.review.site import site
from repro.review.subject_pages import paper_page, study_page, topic_page, topics_page
from repro.schema.dataset import DataSet
from repro.schema.errors import StoreError
from repro.schema.planned import PlannedCost
from repro.schema.study import Design, ScaleDelta, Study

ISOFLOP = replace(
    STUDIES[0],
    scales={
        "gpu": ScaleDelta(
            params={"lr": 0.02}, data=("made_up_corpus", "books_train"), note="63 widgets on the bytes of books."
        ),
        "cpu": ScaleDelta(design=Design(cells=({"n_layer": 2},)), note="30 small widgets."),
        "paper": ScaleDelta(),
    },
    note="How large a widget should be.",
)


@pytest.fixture
def studied(decent_book: Book) -> Book:
    planned = {
        "widgets/exponent@retrain@gpu": PlannedCost(63, 32, 9.4e16, "cuda"),
        "widgets/speed@again@gpu": PlannedCost(63, 0, 7.4e16, "cuda"),
        "widgets/exponent@retrain@paper": PlannedCost(63, 0, None, "cuda"),
    }
    speed = decent_book.claims["widgets/speed"]
    again = replace(EXPONENT.protocols["retrain"], controls={})
    more = {"widgets/speed": replace(speed, protocols={**speed.protocols, "again": again})}
    other = replace(STUDIES[0], id="clinic/bayes")
    studies = {ISOFLOP.id: ISOFLOP, other.id: other}
    return replace(decent_book, claims={**decent_book.claims, **more}, studies=studies, planned=planned)


def test_topics_are_the_first_segments_of_the_ids_of_studies(studied: Book) -> None:
    assert {topic: [study.id for study in studies] for topic, studies in topics(studied).items()} == {
        "clinic": ["clinic/bayes"],
        "widgets": ["widgets/isoflop"],
    }


def test_a_study_knows_its_claims_and_a_claim_its_studies(studied: Book) -> None:
    claims = claims_reading(studied, (ISOFLOP,))
    assert [claim.id for claim in claims] == ["widgets/exponent", "widgets/speed"]
    assert [study.id for study in studies_read(studied, claims)] == ["widgets/isoflop"]
    assert tally_of(studied, claims) == {"match": 1, "mismatch": 1, "inconclusive": 0, "blocked": 0, "not_run": 0}


def test_trials_and_compute_of_a_scale_are_those_planned_else_those_sealed_else_unknown(studied: Book) -> None:
    cpu, gpu, paper = at_scales(studied, ISOFLOP)
    assert (gpu.trials, gpu.compute) == (
        "63 trials, 0 to 32 more of controls",
        "7.4×10¹⁶ to 9.4×10¹⁶ FLOPs, by the claim's controls",
    )
    assert (paper.trials, paper.compute) == ("63 trials", "")
    assert (cpu.name, cpu.note, cpu.trials, cpu.compute) == ("cpu", "30 small widgets.", "3 trials", "")
    assert [at.trials for at in at_scales(replace(studied, planned={}, attempts=()), ISOFLOP)] == ["", "", ""]


def test_a_claim_stands_with_its_verdict_at_each_scale(studied: Book) -> None:
    (row,) = rows(studied, [EXPONENT])
    assert {scale: [s.attempt.verdict.outcome for s in found if s.attempt.verdict] for scale, found in row.cells.items()} == {
        "gpu": ["match"],
        "cpu": ["inconclusive"],
    }  # fmt: skip
    assert scales_in([row]) == ["cpu", "gpu", "paper"]


def test_a_study_stands_with_what_came_of_it_and_not_of_others(studied: Book) -> None:
    other = replace(EXPONENT.protocols["retrain"], study="clinic/bayes")
    both = replace(EXPONENT, protocols={**EXPONENT.protocols, "other": other})
    (own,), (others,) = rows(studied, [both], ISOFLOP.id), rows(studied, [both], "clinic/bayes")
    assert set(own.cells) == {"gpu", "cpu"}
    assert others.cells == {}
    assert "not run" in Page(study_page(replace(studied, claims={EXPONENT.id: both}), "clinic/bayes")).words


def test_data_sets_stand_with_the_scales_that_read_them() -> None:
    books, made_up = data_read(ISOFLOP)
    assert (books.name, books.scales, made_up.name, made_up.scales) == (
        "books_train", ("gpu",), "made_up_corpus", ("gpu",),
    )  # fmt: skip
    assert made_up.registered is None
    assert books.registered is not None
    assert len(books.registered.sha256) == 64
    assert books.terms is None


def test_data_with_terms_to_accept_say_so_on_the_pages_of_study_and_claim(studied: Book) -> None:
    from repro.catalog.load import load_study

    terms = "https://files.grouplens.org/datasets/movielens/ml-1m-README.txt"
    movielens = load_study("recommenders/movielens")
    (read,) = data_read(movielens)
    assert (read.name, read.scales, read.terms) == ("movielens_1m", ("cpu", "gpu"), terms)
    protocol = replace(EXPONENT.protocols["retrain"], study=movielens.id)
    book = replace(
        studied,
        studies={**studied.studies, movielens.id: movielens},
        claims={**studied.claims, EXPONENT.id: replace(EXPONENT, protocols={"retrain": protocol})},
    )
    on_claim, on_study = Page(claim_page(book, EXPONENT.id)), Page(study_page(book, movielens.id))
    assert "Data movielens_1m at cpu, gpu: your own copy, after you have accepted its terms" in on_claim.words
    assert "never fetched for you: terms to accept first" in on_study.words
    for page in (on_claim, on_study):
        assert terms in {a.get("href") for a in page.all("a")}


@pytest.mark.parametrize(
    ("url", "shown"), [("https://example.org/x", "https://example.org/x"), ("javascript:alert(1)", ""), ("x", "")]
)
def test_only_web_addresses_become_links(url: str, shown: str) -> None:
    assert web_address(DataSet("x", "x", url, "0" * 64)) == shown


def test_the_page_of_a_paper_has_its_claims_its_badge_and_its_deviations(studied: Book) -> None:
    page = Page(paper_page(studied, "widgets"))
    for text in (
        "Scaling Laws of Widgets",
        "Ada Example et al., 2023, Journal of Widgets · arXiv:2301.00001",
        "4 claims: ✓ 1 match ✗ 2 mismatch ? 1 inconclusive",
        "Claim Published cpu gpu paper full",
        "widgets/exponent a 0.49 ? inconclusive ✓ match not run —",
        "73M 1.03 and 4 more",
        "Bytes instead of tokens.",
        "widgets/isoflop",
    ):
        assert text in page.words, text
    assert [a["src"] for a in page.all("img")] == ["../badge/widgets.svg"]
    assert {"../claim/widgets/exponent.html", "../study/widgets/isoflop.html"} <= {a.get("href") for a in page.all("a")}


def test_many_deviations_are_folded_away(studied: Book) -> None:
    many = replace(EXPONENT.protocols["retrain"], deviations=tuple(f"Deviation {n}." for n in range(6)))
    book = replace(studied, claims={**studied.claims, EXPONENT.id: replace(EXPONENT, protocols={"retrain": many})})
    assert "7 deviations, of all protocols together" in Page(paper_page(book, "widgets")).words
    assert "deviations, of all protocols" not in Page(paper_page(studied, "widgets")).words


def test_the_page_of_a_topic_has_its_studies_and_claims(studied: Book) -> None:
    page = Page(topic_page(studied, "widgets"))
    assert "Widgets 2 claims: ✓ 1 match ✗ 1 mismatch" in page.words
    assert "widgets/isoflop cpu, gpu, paper books_train made_up_corpus 2" in page.words
    assert "widgets/speed" in page.words
    assert "widgets/ordering" not in page.words


def test_all_topics_are_listed_with_what_came_out(studied: Book) -> None:
    words = Page(topics_page(studied)).words
    assert "Clinic 1 2 ○ 2 not run" in words
    assert "Widgets 1 2 ✓ 1 match ✗ 1 mismatch" in words
    assert "No studies were found." in Page(topics_page(replace(studied, studies={}))).words


def test_the_page_of_a_study_has_recipe_scales_data_claims_and_attempts(studied: Book) -> None:
    page = Page(study_page(studied, "widgets/isoflop"))
    for text in (
        "All claims / Topics / Widgets / widgets/isoflop",
        "How large a widget should be.",
        "Recipe experiments.widgets.isoflop",
        "63 widgets on the bytes of books.",
        '"lr": 0.02',
        "63 trials, 0 to 32 more of controls",
        "1aaf4f8c84194c40a69340e8d9b49c02e49b099428921633337db3693c1862a8",
        "made_up_corpus gpu not in the catalogue here not known",
        "✓ match replicated at reduced scale (0.8 % of the paper's compute)",
    ):
        assert text in page.words, text
    assert page.words.index("30 small widgets.") < page.words.index("63 widgets")


def test_a_study_without_data_and_claims_says_so(studied: Book) -> None:
    alone = Study("alone/study", "experiments.alone.study", {"full": ScaleDelta()}, deterministic=True)
    words = Page(study_page(replace(studied, studies={alone.id: alone}), alone.id)).words
    assert "It reads no data set" in words
    assert "None in the catalogue here." in words
    assert "values; no random draw enters, which two seeds in two processes check" in words


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (paper_page, "widget", "There is no paper 'widget' with claims. Did you mean 'widgets'?"),
        (topic_page, "clinc", "There is no topic 'clinc'. Did you mean 'clinic'?"),
        (study_page, "widgets/isoflo", "There is no study 'widgets/isoflo'. Did you mean 'widgets/isoflop'?"),
    ],
)
def test_what_is_not_there_is_told_with_the_nearest_name(
    studied: Book, make: Callable[[Book, str], str], name: str, message: str
) -> None:
    with pytest.raises(StoreError) as refused:
        make(studied, name)
    assert str(refused.value) == message


def test_the_site_has_a_page_of_each_and_makes_none_before_it_is_asked(studied: Book) -> None:
    def refuse(name: str) -> list[object]:
        raise AssertionError(f"the trials of {name} were read for a list of paths")

    paths = site(replace(studied, trials=refuse), live=True)
    assert {
        paper_address("widgets"), paper_address("clinic"), topic_address("clinic"), topic_address("widgets"),
        study_address("widgets/isoflop"), study_address("clinic/bayes"), "topics.html", "next.html",
    } <= set(paths)  # fmt: skip


def test_every_page_leads_to_topics_and_to_what_is_next(studied: Book) -> None:
    for address in ("index.html", "claim/widgets/exponent.html", "study/widgets/isoflop.html", "next.html"):
        html = str(site(studied)[address]())
        root = "../" * address.count("/")
        assert {f"{root}topics.html", f"{root}next.html"} <= {a.get("href") for a in Page(html).all("a")}


def test_hostile_strings_stay_text(book: Book) -> None:
    hostile = Study(
        f"topic {HOSTILE}",
        HOSTILE,
        {"full": ScaleDelta({HOSTILE: HOSTILE}, note=HOSTILE)},
        note=HOSTILE,
        data=(HOSTILE,),
    )
    wild = replace(book, studies={hostile.id: hostile})
    pages = [paper_page(wild, "hostile"), topics_page(wild), study_page(wild, hostile.id)]
    pages.append(topic_page(wild, next(iter(topics(wild)))))
    for html in pages:
        page = Page(html)
        assert page.own_scripts_only
        assert not [a for a in page.all("img") if a["src"] == "x"]
        assert "49 }}" not in page.text


def test_a_path_that_is_asked_for_is_the_one_that_is_listed(book: Book) -> None:
    paths = site(book, live=True)
    listed = list(paths)
    assert len(listed) == len(set(listed)) == len(paths)
    assert all(address in site(book, live=True) for address in listed)
    for address in ("claim/widgets", "claim/widgets/exponent", "claim/widgets/exponent.txt", "attempt/.html", "x", ""):
        assert address not in paths


def test_one_path_is_answered_without_working_out_the_others() -> None:
    def refuse() -> dict[str, Callable[[], str]]:
        raise AssertionError("nobody asked for this")

    paths = Paths({"index.html": lambda: "all"}, {"claim/a": lambda: {"claim/a.html": lambda: "a"}, "claim/b": refuse})
    assert paths["claim/a.html"]() == "a"
    assert paths["index.html"]() == "all"
    assert "claim/c.html" not in paths


def test_a_claim_called_as_another_one_begins_has_its_own_page() -> None:
    paths = Paths(
        {},
        {
            "claim/a": lambda: {"claim/a.html": lambda: "a"},
            "claim/a.x": lambda: {"claim/a.x.html": lambda: "a.x"},
            "claim/a/b": lambda: {"claim/a/b.html": lambda: "a/b"},
        },
    )
    assert {name: make() for name, make in paths.items()} == {
        "claim/a.html": "a", "claim/a.x.html": "a.x", "claim/a/b.html": "a/b",
    }  # fmt: skip
    assert "claim/a.y.html" not in paths
