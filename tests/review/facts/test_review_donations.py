"""What a donation would decide: needs by kind, and what hours of a device would pay for."""

from page_reader import Page
from review_book import HOSTILE, claim, part, protocol, within
from test_review_next import book_of, cost, made, place

from repro.review.book import Book
from repro.review.facts.donations import blocked_claims, budgets, stand_ins, standing_in, wanted
from repro.review.subject_pages import donations_page
from repro.schema.blockage import Blockage, Need
from repro.schema.claim import Claim

IMAGES = Need("data", "the images")
WEIGHTS = Need("weights", "the trained model")


def hours(amount: float) -> Need:
    return Need("compute", "training it", "H200", amount)


def blocked(name: str, *needs: Need, stand_ins: tuple[str, ...] = ()) -> Claim:
    why = Blockage("much", "2020-01-01", "giving it", needs, (), stand_ins)
    return claim(f"blocked/{name}", part("0.5", within(0.1)), {}, blocked=why)


def test_a_need_lists_all_claims_that_have_it_and_what_the_nearest_lacks_besides() -> None:
    far, near, last = blocked("a", IMAGES, WEIGHTS), blocked("b", IMAGES, hours(5)), blocked("c", WEIGHTS)
    found = wanted(book_of(far, near, last, made("open")))
    assert list(found) == ["data", "weights", "compute"]
    (images,), (weights,), (computing,) = found.values()
    assert (images.claims, images.besides, images.decides) == ((far, near), (hours(5),), True)
    assert (weights.claims, weights.besides, weights.decides) == ((far, last), (), True)
    assert (computing.claims, computing.decides) == ((near,), False)


def test_what_decides_alone_comes_first() -> None:
    both, alone = blocked("a", IMAGES, WEIGHTS), blocked("b", Need("data", "a table"))
    assert [row.need.what for row in wanted(book_of(both, alone))["data"]] == ["a table", "the images"]


def test_hours_pay_for_planned_runs_cheapest_first_and_for_blocked_claims_one_by_one() -> None:
    small, large = made("small", "widgets/small"), made("large", "widgets/large")
    planned = {place(small): cost(4), place(large): cost(90)}
    only, besides = blocked("only", hours(8)), blocked("besides", hours(500), IMAGES)
    found = budgets(book_of(small, large, only, besides, planned=planned))
    assert [(b.hours, [run.study for run in b.runs], b.blocked, b.alone, b.open_claims) for b in found] == [
        (10.0, ["widgets/small"], (only,), (only,), 1),
        (100.0, ["widgets/small", "widgets/large"], (only,), (only,), 2),
        (1000.0, ["widgets/small", "widgets/large"], (besides, only), (only,), 2),
    ]


def test_planned_runs_must_fit_together() -> None:
    one, two = made("one", "widgets/one"), made("two", "widgets/two")
    found = budgets(book_of(one, two, planned={place(one): cost(6), place(two): cost(7)}))
    assert [(b.hours, b.open_claims) for b in found] == [(10.0, 1), (100.0, 2)]


def test_stand_ins_are_claims_of_this_book_and_know_it() -> None:
    small = claim("made/small", part("1", within(0.1)), {"retrain": protocol("replication", "widgets/x", ("cpu",))})
    great = blocked("great", hours(1), stand_ins=("made/small", "made/gone"))
    book = book_of(small, great)
    assert stand_ins(book, blocked_claims(book)[great.id]) == (small,)
    assert standing_in(book, small) == (great,)
    assert standing_in(book, great) == ()


def test_the_page_escapes_and_says_when_nothing_is_blocked() -> None:
    page = donations_page(book_of(blocked("hostile", Need("data", HOSTILE))))
    assert HOSTILE not in page
    assert "1 claim is blocked" in Page(page).words
    assert "No claim is blocked." in Page(donations_page(Book({}, {}, {}, (), lambda name: ()))).words
