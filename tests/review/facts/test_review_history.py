"""The history of verdicts: what changed from one attempt to the next."""

from dataclasses import replace

from page_reader import Page
from review_book import EXPONENT, attempt, part_verdict, record, verdict

from repro.review.book import Book
from repro.review.facts.history import MOST_LETTERS, history
from repro.review.pages import claim_page
from repro.schema.errors import StoreError
from repro.schema.verdict import Attempt

MATCH = verdict(part_verdict(0.49, "match", 0.51320481, 0.0321), "match")
MISSED = verdict(part_verdict(0.49, "mismatch", 0.72, 0.06), "mismatch")


def book_of(book: Book, *attempts: Attempt) -> Book:
    return replace(book, attempts=attempts)


def test_each_attempt_follows_the_one_most_like_it(book: Book) -> None:
    first = attempt(EXPONENT, "retrain", "cpu", MISSED, counter=1)
    second = attempt(EXPONENT, "retrain", "gpu", MISSED, counter=2)
    third = attempt(EXPONENT, "retrain", "cpu", MATCH, counter=3)
    steps = history(book_of(book, first, second, third), EXPONENT)
    assert [(step.attempt, step.before) for step in steps] == [(third, first), (second, first), (first, None)]
    assert steps[0].verdict == "mismatch before, match now"
    assert steps[0].values == ("a: 0.720 (90 %: 0.660 to 0.780) → 0.513 (90 %: 0.481 to 0.545) (mismatch → match)",)
    assert steps[1].verdict == "mismatch, as before"
    assert steps[1].values == ("The same values to the last digit.",)
    assert steps[1].sealed == ("The scale was cpu, now gpu.",)


def test_equal_seals_are_told_and_what_they_do_not_cover_too(book: Book) -> None:
    first = attempt(EXPONENT, "retrain", "gpu", MATCH, counter=1)
    other = {"commit": "f" * 40, "dirty": True, "packages": {"numpy": "2.5.0", "torch": "2.13.0+cpu"}}
    second = attempt(EXPONENT, "retrain", "gpu", MATCH, counter=2, provenance=other)
    (step, _) = history(book_of(book, first, second), EXPONENT)
    assert step.sealed == ()
    assert step.made_with == (
        "Commit 01234567 → ffffffff.",
        "The working tree had uncommitted changes.",
        "numpy 2.4.1 → 2.5.0.",
    )
    page = Page(claim_page(book_of(book, first, second), EXPONENT.id)).words
    assert "Sealed exactly the same" in page
    assert "match, as before" in page


def test_a_sealed_margin_that_moved_is_named(book: Book) -> None:
    first = attempt(EXPONENT, "retrain", "gpu", MISSED, counter=1)
    rule = replace(EXPONENT.parts["value"].rule, because="x" * 3 * MOST_LETTERS, rivals={"gadgets": "0.74"})
    sealed = replace(first.sealed, parts={"value": replace(EXPONENT.parts["value"], rule=rule)}, replicates=(0, 1))
    second = replace(attempt(EXPONENT, "retrain", "gpu", MISSED, counter=2), sealed=sealed)
    (step, _) = history(book_of(book, first, second), EXPONENT)
    assert "The rival 'gadgets' was 0.73, now 0.74." in step.sealed
    assert "The seeds were 0 to 2, now 0, 1." in step.sealed
    assert all(len(line) <= MOST_LETTERS for line in step.sealed)


def test_an_attempt_that_failed_is_part_of_the_history(book: Book) -> None:
    first = attempt(EXPONENT, "retrain", "gpu", MATCH, counter=1)
    second = attempt(EXPONENT, "retrain", "gpu", None, counter=2, execution="failed", trials=("t5",))

    def broken(attempt_id: str) -> list[object]:
        raise StoreError("The disk is gone.")

    whole = book_of(book, first, second)
    (step, _) = history(replace(whole, trials=broken), EXPONENT)
    assert step.verdict == "match before, failed now"
    assert step.values == ()
    assert step.sealed == ("The trials of the main arm are others; the old ones are not here to say in what.",)


def test_another_processor_is_told(book: Book) -> None:
    attempts = [attempt(EXPONENT, "retrain", "gpu", MATCH, counter=n) for n in (1, 2)]
    moved = replace(record("t1"), machine=replace(record("t1").machine, processor="Other CPU"))
    whole = replace(book_of(book, *attempts), trials=lambda name: [moved if name.endswith("-2") else record("t1")])
    assert history(whole, EXPONENT)[0].made_with == ("Processor Example CPU 2.4 GHz → Other CPU.",)


def test_one_attempt_has_no_history_on_the_page(book: Book) -> None:
    one = book_of(book, attempt(EXPONENT, "retrain", "gpu", MATCH, counter=1))
    assert "History" not in Page(claim_page(one, EXPONENT.id)).words
    assert [step.before for step in history(one, EXPONENT)] == [None]
