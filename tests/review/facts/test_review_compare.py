"""Two attempts side by side: which pairs have a page, what differs and what does not, and how the page says it."""

import math
from dataclasses import replace

import pytest
from page_reader import Page
from review_book import EXPONENT, HOSTILE, attempt, part, part_verdict, record, verdict, within

from repro.review.addresses import LONGEST, compare_address
from repro.review.book import Book
from repro.review.facts.differences import ABSENT, Difference, agreements, differences
from repro.review.facts.pairs import pairs_of, pairs_with
from repro.review.site import site
from repro.review.subject_pages import compare_page
from repro.schema.errors import StoreError
from repro.schema.verdict import Attempt

CONFIG = {
    "claim": {"id": "widgets/exponent"},
    "protocol": "retrain",
    "scale": {"name": "gpu", "device": "cuda", "description": "one large GPU"},
    "study": {
        "recipe": "experiments.widgets.isoflop",
        "params": {"lr": 0.01, "warmup": 300},
        "note": "words",
        "scales": {
            "cpu": {"params": {"lr": 0.04}, "replicates": None, "note": "words"},
            "gpu": {"params": {"depths": [2, 4]}, "replicates": 5, "note": "words"},
        },
    },
}


def tried(scale: str = "gpu", value: float = 0.51, outcome: str = "match", **changes: object) -> Attempt:
    judged = verdict(part_verdict(0.49, outcome, value, 0.04), outcome)
    return attempt(EXPONENT, "retrain", scale, judged, **{"config": CONFIG, **changes})


def resealed(of: Attempt, **changes: object) -> Attempt:
    return replace(of, sealed=replace(of.sealed, **changes))


ONE = tried()


@pytest.mark.parametrize(
    ("other", "wanted"),
    [
        (resealed(ONE, replicates=(0, 1)), Difference("Seeds", "replicates", "0, 1, 2", "0, 1")),
        (resealed(ONE, alpha=0.01), Difference("Seal", "alpha", "0.05", "0.01")),
        (resealed(ONE, indicative=True), Difference("Seal", "indicative", "no", "yes")),
        (
            resealed(ONE, trials=("t1", "t2")),
            Difference("Seal", "trials of the main arm", "1 trial, 1 of them in both", "2 trials, 1 of them in both"),
        ),
        (
            resealed(ONE, arguments={"column": "intercept"}),
            Difference("Estimator arguments", "column", "slope", "intercept"),
        ),
        (
            resealed(ONE, arguments={"column": "slope", "octaves": 3.0}),
            Difference("Estimator arguments", "octaves", ABSENT, "3"),
        ),
        (
            resealed(ONE, parts={"value": part("0.49", within(0.05))}),
            Difference("Rule", "a match is", "within ± 0.12 of 0.49", "within ± 0.05 of 0.49"),
        ),
        (
            replace(ONE, provenance={**ONE.provenance, "dirty": True}),
            Difference("Provenance", "dirty", "no", "yes"),
        ),
        (
            replace(ONE, provenance={**ONE.provenance, "packages": {"numpy": "2.4.1", "torch": "2.14.0"}}),
            Difference("Provenance", "package torch", "2.13.0+cpu", "2.14.0"),
        ),
        (replace(ONE, overrides=("params.lr=1",)), Difference("Provenance", "overrides", "none", "params.lr=1")),
        (replace(ONE, verdict=None, execution="failed"), Difference("Verdict", "outcome", "match", "failed")),
        (tried(value=0.7, outcome="mismatch"), Difference("Verdict", "outcome", "match", "mismatch")),
        (
            tried(value=0.7, outcome="mismatch"),
            Difference("Estimates", "measured", "0.510 (0.470 to 0.550)", "0.700 (0.660 to 0.740)"),
        ),
        # The settings of the attempt's own scale stand in the place of the study's.
        (tried("cpu"), Difference("Parameters", "lr", "0.01", "0.04")),
        (tried("cpu"), Difference("Parameters", "depths", "2, 4", ABSENT)),
        (tried("cpu"), Difference("Parameters", "replicates", "5", ABSENT)),
    ],
)
def test_what_was_changed_is_a_difference(other: Attempt, wanted: Difference) -> None:
    assert wanted in differences(ONE, other)
    turned = Difference(wanted.group, wanted.name, wanted.other, wanted.one)
    assert turned in differences(other, ONE)


def test_an_attempt_does_not_differ_from_itself() -> None:
    assert differences(ONE, ONE) == []
    assert Difference("Parameters", "lr", "0.01", "0.01") in agreements(ONE, ONE)


def test_everything_is_either_a_difference_or_the_same() -> None:
    other = tried("cpu", 0.61, "mismatch")
    names = [(line.group, line.name) for line in (*differences(ONE, other), *agreements(ONE, other))]
    assert len(names) == len(set(names))
    assert {group for group, _ in names} == {
        "Seal", "Rule", "Parameters", "Estimator arguments", "Seeds", "Provenance", "Verdict", "Estimates", "Controls",
    }  # fmt: skip


def test_differences_stand_in_the_order_in_which_they_are_decided() -> None:
    other = resealed(
        tried("cpu", 0.61, "mismatch"), replicates=(7,), arguments={}, parts={"value": part("1", within(0.5))}
    )
    groups = list(dict.fromkeys(line.group for line in differences(ONE, other)))
    assert groups == [
        "Seal",
        "Rule",
        "Parameters",
        "Estimator arguments",
        "Seeds",
        "Provenance",
        "Verdict",
        "Estimates",
    ]


def test_a_difference_that_rounding_hides_is_shown_with_every_digit() -> None:
    found = differences(resealed(ONE, alpha=0.05), resealed(ONE, alpha=0.05000000001))
    assert Difference("Seal", "alpha", "0.05", "0.05000000001") in found


def test_no_number_is_the_same_as_no_number() -> None:
    one = replace(ONE, compute_ratio=math.nan)
    assert differences(one, replace(one, compute_ratio=math.nan)) == []


def test_a_setting_of_nothing_differs_from_one_that_is_not_there() -> None:
    without = resealed(ONE, arguments={"column": "slope", "window": None})
    assert Difference("Estimator arguments", "window", ABSENT, "none") in differences(ONE, without)


def test_where_trials_ran_and_what_they_read_is_compared_too() -> None:
    other = replace(ONE, id="other")
    here, there = record("t1"), record("t1")
    there = replace(there, machine=replace(there.machine, processor="another"), data={"corpus": "9" * 64})
    found = differences(ONE, other, {ONE.id: [here], other.id: [there]})
    (ran,) = (line for line in found if line.name == "ran on")
    assert "another" in ran.other
    assert "another" not in ran.one
    assert Difference("Provenance", "data corpus", here.data.get("corpus", ABSENT), "9" * 64) in found
    assert Difference("Provenance", "precision", "float32", "float32") in agreements(
        ONE, other, {ONE.id: [here], other.id: [there]}
    )
    assert differences(ONE, other, {ONE.id: [here], other.id: [here]}) == []


def of_exponent(book: Book) -> list[tuple[str, str]]:
    return [(f"{a.scale} {a.counter}", f"{b.scale} {b.counter}") for a, b in pairs_of(book, EXPONENT.id)]


def test_attempts_stand_beside_the_next_one_and_scales_beside_each_other(book: Book) -> None:
    assert of_exponent(book) == [("gpu 1", "gpu 2"), ("gpu 2", "gpu 3"), ("cpu 1", "gpu 3")]


def test_protocols_stand_beside_each_other_at_one_scale_and_the_last_ones_across_scales(book: Book) -> None:
    two = replace(EXPONENT, protocols={**EXPONENT.protocols, "given": EXPONENT.protocols["retrain"]})
    made = [
        attempt(two, "retrain", "cpu", None, counter=1),
        attempt(two, "given", "cpu", None, counter=2),
        attempt(two, "retrain", "gpu", None, counter=3),
    ]
    found = pairs_of(replace(book, attempts=tuple(made)), two.id)
    assert {(a.id, b.id) for a, b in found} == {
        (made[0].id, made[2].id), (made[1].id, made[0].id), (made[1].id, made[2].id),
    }  # fmt: skip


def test_one_attempt_has_no_pair(book: Book) -> None:
    assert pairs_of(book, "widgets/ratios") == ()
    assert pairs_of(book, "no/claim") == ()


def test_an_attempt_knows_its_pairs(book: Book) -> None:
    last = pairs_of(book, EXPONENT.id)[-1]
    assert last in pairs_with(book, last[0])
    assert len(pairs_with(book, last[1])) == 2
    orphan = next(each for each in book.attempts if each.claim not in book.claims)
    assert pairs_with(book, orphan) == ()


def test_the_page_names_both_and_shows_what_differs_before_what_does_not(book: Book) -> None:
    one, other = pairs_of(book, EXPONENT.id)[0]
    page = Page(compare_page(book, EXPONENT.id, one.id, other.id))
    assert "Earlier ✗ mismatch not replicated at this scale" in page.words
    assert "Later ✓ match replicated at reduced scale (0.8 % of the paper's compute)" in page.words
    assert "measured 0.720 (0.660 to 0.780) 0.513 (0.481 to 0.545)" in page.words
    differ, same = page.words.index("What differs"), page.words.index("What is the same")
    assert differ < page.words.index("outcome mismatch match") < same
    assert page.words.index("warmup 300 300") > same
    pictures = [a["src"] for a in page.all("img")]
    assert pictures == [f"../../../attempt/{one.id}.svg", f"../../../attempt/{other.id}.svg"]


def test_scales_name_the_columns_where_they_differ(book: Book) -> None:
    one, other = pairs_of(book, EXPONENT.id)[-1]
    words = Page(compare_page(book, EXPONENT.id, one.id, other.id)).words
    assert "What At cpu At gpu" in words
    assert "exploratory sealed settings were changed by hand" in words


def test_every_pair_has_its_page_on_the_site_and_each_says_two_attempts(book: Book) -> None:
    paths = {name: make for name, make in site(book).items() if name.startswith("compare/")}
    assert len(paths) == sum(len(pairs_of(book, name)) for name in book.claims) == 4
    for make in paths.values():
        assert "<h1>Two attempts side by side</h1>" in str(make())


def test_two_that_have_no_page_and_claims_that_are_not_there_are_told(book: Book) -> None:
    with pytest.raises(StoreError, match="There is no claim 'widgets/exponen'. Did you mean 'widgets/exponent'?"):
        compare_page(book, "widgets/exponen", "a", "b")
    one, other = pairs_of(book, EXPONENT.id)[0]
    with pytest.raises(StoreError, match="have no page together. Did you mean"):
        compare_page(book, EXPONENT.id, other.id, one.id + "x")


def test_markup_in_what_differs_stays_text(book: Book) -> None:
    one, other = tried(counter=4), tried(counter=5, provenance={HOSTILE: HOSTILE}, overrides=(HOSTILE,))
    page = Page(compare_page(replace(book, attempts=(one, other)), EXPONENT.id, one.id, other.id))
    assert not [a for a in page.all("img") if a["src"] == "x"]
    assert "<script>alert('x')</script>\"><img src=x onerror=alert(1)>" in page.text


@pytest.mark.parametrize("name", ["a" * 400, "../../etc/passwd", "a/b@c@full-1"])
def test_no_name_makes_an_address_that_a_file_cannot_have(name: str) -> None:
    address = compare_address("widgets/exponent", f"widgets/exponent@{name}", name)
    directory, _, file = address.rpartition("/")
    assert directory == "compare/widgets/exponent"
    assert len(file) <= LONGEST + len(".html")
    assert not file.startswith("..")
