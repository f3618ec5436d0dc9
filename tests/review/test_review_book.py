"""Which attempt speaks for a claim, and what a claim amounts to."""

from dataclasses import replace

import pytest
from review_book import BLOCKED, EXPONENT, NOT_RUN, ORDERING, RATIOS, STALE, attempt, part_verdict, verdict

from repro.review import book as q
from repro.review.book import Book

MATCH = verdict(part_verdict(0.49, "match", 0.5, 0.02), "match")
MISS = verdict(part_verdict(0.49, "mismatch", 0.8, 0.02), "mismatch")
OPEN = verdict(part_verdict(0.49, "inconclusive", 0.6, 0.2, reason="underpowered"), "inconclusive")


def book_of(book: Book, *attempts: q.Attempt, **changes: object) -> Book:
    return replace(book, claims={EXPONENT.id: EXPONENT}, attempts=attempts, **changes)


def test_what_has_changed_since_makes_an_attempt_stale(book: Book) -> None:
    made = attempt(EXPONENT, "retrain", "gpu", MATCH)
    other = attempt(EXPONENT, "retrain", "cpu", MATCH)
    assert q.validity(book_of(book, made, stale={}), made) == "current"
    assert q.validity(book_of(book, made, stale={made.id: ("The margin was ± 0.1, now ± 0.12.",)}), made) == "stale"
    assert q.validity(book_of(book, made, stale={other.id: ("The seeds were 0, now 1.",)}), made) == "current"


def test_a_stored_validity_is_not_softened_to_stale(book: Book) -> None:
    made = attempt(EXPONENT, "retrain", "gpu", MATCH, validity="tampered")
    assert q.validity(book_of(book, made, stale={made.id: ("x",)}), made) == "tampered"


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({}, True),
        ({"exploratory": True}, False),
        ({"validity": "post_hoc"}, False),
        ({"validity": "disputed"}, False),
        ({"execution": "running"}, False),
        ({"execution": "failed"}, False),
    ],
)
def test_only_a_completed_current_attempt_as_sealed_counts(
    book: Book, changes: dict[str, object], counts: bool
) -> None:
    made = attempt(EXPONENT, "retrain", "gpu", MATCH, **changes)
    assert q.stands(book_of(book, made), made) is counts


def test_an_attempt_without_a_verdict_does_not_count(book: Book) -> None:
    made = attempt(EXPONENT, "retrain", "gpu", None)
    assert not q.stands(book_of(book, made), made)


@pytest.mark.parametrize(
    ("attempts", "state"),
    [
        ((), "not_run"),
        ((attempt(EXPONENT, "retrain", "gpu", MATCH),), "match"),
        ((attempt(EXPONENT, "retrain", "gpu", MISS), attempt(EXPONENT, "retrain", "cpu", MATCH)), "mismatch"),
        ((attempt(EXPONENT, "retrain", "gpu", OPEN), attempt(EXPONENT, "retrain", "cpu", MATCH)), "match"),
        ((attempt(EXPONENT, "retrain", "gpu", OPEN),), "inconclusive"),
        ((attempt(EXPONENT, "retrain", "gpu", MATCH, exploratory=True),), "not_run"),
        ((attempt(EXPONENT, "retrain", "gpu", None, execution="failed"),), "not_run"),
        # The latest attempt speaks for its protocol and scale.
        (
            (
                attempt(EXPONENT, "retrain", "gpu", MISS, counter=1),
                attempt(EXPONENT, "retrain", "gpu", MATCH, counter=2),
            ),
            "match",
        ),
    ],
)
def test_the_largest_scale_that_decided_speaks_for_a_protocol(
    book: Book, attempts: tuple[q.Attempt, ...], state: str
) -> None:
    assert q.state_of(book_of(book, *attempts), EXPONENT) == state


def test_one_protocol_that_mismatches_makes_the_claim_a_mismatch(book: Book) -> None:
    both = replace(EXPONENT, protocols={**EXPONENT.protocols, "again": EXPONENT.protocols["retrain"]})
    made = (attempt(both, "retrain", "gpu", MATCH), attempt(both, "again", "gpu", MISS))
    assert q.state_of(replace(book, claims={both.id: both}, attempts=made), both) == "mismatch"


def test_a_standing_keeps_what_disagrees_and_what_came_later(book: Book) -> None:
    at_gpu = next(s for s in q.standings(book, EXPONENT.id) if s.scale == "gpu")
    assert at_gpu.attempt.counter == 2
    assert [a.counter for a in at_gpu.disagreeing] == [1]
    assert at_gpu.newer is not None
    assert at_gpu.newer.exploratory


def test_standings_name_the_largest_scale_first(book: Book) -> None:
    assert [s.scale for s in q.standings(book, EXPONENT.id)] == ["gpu", "cpu"]


def test_of_two_protocols_the_one_that_decided_is_named_first(book: Book) -> None:
    both = replace(EXPONENT, protocols={**EXPONENT.protocols, "again": EXPONENT.protocols["retrain"]})
    unsure, sure = attempt(both, "again", "gpu", OPEN), attempt(both, "retrain", "gpu", MATCH)
    shown = replace(book, claims={both.id: both}, attempts=(sure, unsure))
    assert [standing.protocol for standing in q.standings(shown, both.id)] == ["retrain", "again"]
    assert q.decided_first(shown, (unsure, sure)) == (sure, unsure)


def test_the_tally_counts_every_claim_once(book: Book) -> None:
    tally = q.tally(book)
    assert tally == {"match": 2, "mismatch": 2, "inconclusive": 1, "blocked": 1, "not_run": 2}
    assert sum(tally.values()) == len(book.claims)


def test_states_of_the_made_up_claims(book: Book) -> None:
    claims = (BLOCKED, NOT_RUN, STALE, RATIOS, ORDERING)
    assert [q.state_of(book, c) for c in claims] == ["blocked", "not_run", "not_run", "mismatch", "inconclusive"]
    assert q.uncounted(book) == 1


def test_claims_are_grouped_by_paper_and_papers_without_bibliography_are_shown(book: Book) -> None:
    bare = replace(book, papers={})
    assert [(paper.title, len(claims)) for paper, claims in q.by_paper(bare)] == [
        ("clinic", 3),
        ("hostile", 1),
        ("widgets", 4),
    ]


def test_attempts_at_vanished_claims_are_not_dropped(book: Book) -> None:
    assert [a.claim for a in q.orphans(book)] == ["gone/claim"]


def test_parts_stand_in_the_order_of_the_claim(book: Book) -> None:
    made = next(a for a in book.attempts if a.claim == RATIOS.id)
    assert made.verdict is not None
    shuffled = replace(made, verdict=replace(made.verdict, parts=dict(sorted(made.verdict.parts.items()))))
    assert list(q.decided_parts(RATIOS, shuffled)) == ["73M", "305M", "552M", "1.1B", "6.8B"]
    assert list(q.decided_parts(None, shuffled)) == sorted(RATIOS.parts)
    assert q.decided_parts(RATIOS, replace(made, verdict=None)) == {}


def test_an_arm_names_the_trials_it_reads(book: Book) -> None:
    made = book.attempts[0]
    assert [q.arm_of(made, key) for key in ("t1", "t9", "elsewhere")] == ["main", "untuned", ""]
    assert book.attempt(made.id) == made
    assert book.attempt("nothing") is None
