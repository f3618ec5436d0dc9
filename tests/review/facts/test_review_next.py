"""What to run next: open claims in the order of what a GPU-hour would decide, with nothing made up."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from page_reader import Page
from review_book import HOSTILE, claim, part, part_verdict, protocol, verdict, within
from review_book import attempt as made_attempt

from repro.review.book import Book
from repro.review.facts.next_runs import (
    PEAK_FLOPS,
    UTILISATION,
    Run,
    Step,
    chances,
    kinds,
    next_runs,
    open_claims,
    steps_of,
    stuck,
)
from repro.review.subject_pages import next_page
from repro.schema.calibration import Calibration, Scenario
from repro.schema.claim import Claim
from repro.schema.planned import PlannedCost
from repro.schema.verdict import Attempt

AN_HOUR = PEAK_FLOPS * UTILISATION * 3600


def made(name: str, study: str = "widgets/isoflop", decisive: tuple[str, ...] = ("gpu",)) -> Claim:
    return claim(f"made/{name}", part("0.49", within(0.1)), {"retrain": protocol("replication", study, decisive)})


def book_of(
    *claims: Claim,
    planned: Mapping[str, PlannedCost] | None = None,
    calibrations: tuple[Calibration, ...] = (),
    attempts: tuple[Attempt, ...] = (),
) -> Book:
    return Book(
        claims={each.id: each for each in claims},
        papers={},
        studies={},
        attempts=attempts,
        trials=lambda name: (),
        calibrations={each.seal: each for each in calibrations},
        planned=planned or {},
    )


def cost(hours: float, **changes: Any) -> PlannedCost:
    return PlannedCost(**{"runs": 3, "control_runs": 1, "flops": hours * AN_HOUR, "device": "cuda", **changes})


def place(of: Claim, scale: str = "gpu") -> str:
    return f"{of.id}@retrain@{scale}"


def rates(of: Claim, decided: int, scale: str = "gpu", seal: str = "") -> Calibration:
    """Return error rates by which so many of 100 attempts at a true claim are decided, all but 5 of them rightly."""
    true = Scenario("true", "", {"value": 0.49}, 100, decided - 5, 5, 100 - decided)
    margin = Scenario("margin", "above", {"value": 0.59}, 100, 3, 7, 90)
    return Calibration(
        seal or of.id, of.id, "retrain", scale, (true, margin), "estimates", {}, "published", 5, "seed", 0
    )


def order(book: Book) -> list[tuple[str, ...]]:
    return [tuple(step.claim.id.split("/")[1] for step in run.steps) for run in next_runs(book)]


A, B, C, D = (made(name, f"widgets/{name}") for name in "abcd")


def test_where_no_chance_is_known_the_cheapest_comes_first() -> None:
    book = book_of(A, B, C, planned={place(A): cost(3), place(B): cost(1), place(C): cost(2)})
    assert order(book) == [("b",), ("c",), ("a",)]


def test_where_the_chance_is_known_it_is_decisions_for_each_gpu_hour_that_count() -> None:
    planned = {place(A): cost(1), place(B): cost(2), place(C): cost(4)}
    book = book_of(A, B, C, planned=planned, calibrations=(rates(A, 20), rates(B, 90), rates(C, 95)))
    assert order(book) == [("b",), ("c",), ("a",)]
    assert [run.per_gpu_hour for run in next_runs(book)] == pytest.approx([0.45, 0.2375, 0.2])


def test_no_gpu_comes_first_then_known_chances_then_unknown_ones_then_unknown_cost() -> None:
    planned = {
        place(A): cost(1),
        place(B): cost(50),
        place(C): cost(5, device="cpu"),
        place(D): cost(1, flops=None),
    }
    book = book_of(A, B, C, D, planned=planned, calibrations=(rates(B, 60),))
    assert order(book) == [("c",), ("b",), ("a",), ("d",)]
    assert [name for name, _ in kinds(next_runs(book))] == ["free", "known", "unknown", "cost"]


def test_claims_that_read_the_same_trials_share_them() -> None:
    shared = [made(name) for name in ("x", "y", "z")]
    planned = {place(each): cost(2.4) for each in shared} | {place(A): cost(1)}
    book = book_of(A, *shared, planned=planned)
    first, second = next_runs(book)
    assert [step.claim.id for step in first.steps] == ["made/x", "made/y", "made/z"]
    assert first.gpu_hours == pytest.approx(2.4)
    assert first.hours_per_claim == pytest.approx(0.8)
    assert second.hours_per_claim == pytest.approx(1.0)


def test_one_unknown_chance_among_those_that_share_leaves_their_chance_unknown() -> None:
    one, other = made("one"), made("other")
    known = (rates(one, 50),)
    run = next_runs(book_of(one, other, planned={place(one): cost(1), place(other): cost(1)}, calibrations=known))[0]
    assert [step.chance for step in run.steps] == [0.5, None]
    assert run.decided is None
    assert run.per_gpu_hour is None


def test_a_claim_stands_at_its_cheapest_run() -> None:
    both = made("both", decisive=("paper", "gpu"))
    book = book_of(both, planned={place(both, "paper"): cost(4e6), place(both): cost(1)})
    assert [run.scale for run in next_runs(book)] == ["gpu"]


def test_without_a_plan_nothing_is_said_of_hours() -> None:
    (run,) = next_runs(book_of(A))
    assert (run.gpu_hours, run.hours_per_claim, run.per_gpu_hour, run.largest) == (None, None, None, None)


def test_the_chance_is_that_of_the_least_hopeful_seal_and_of_a_true_claim() -> None:
    book = book_of(A, calibrations=(rates(A, 80, seal="1"), rates(A, 35, seal="2"), rates(A, 90, "cpu", seal="3")))
    assert chances(book) == {place(A): 0.35, place(A, "cpu"): 0.9}


def test_what_was_run_and_counts_is_not_offered_again_and_what_does_not_count_is() -> None:
    undecided = verdict(part_verdict(0.49, "inconclusive", 0.6, 0.3, reason="underpowered"), "inconclusive")
    ran = made_attempt(A, "retrain", "gpu", undecided)
    assert next_runs(book_of(A, attempts=(ran,))) == ()
    assert [each.claim.id for each in stuck(book_of(A, attempts=(ran,)))] == [A.id]
    assert stuck(book_of(A, attempts=(ran,)))[0].attempts == (ran,)
    by_hand = replace(ran, exploratory=True)
    assert [step.scale for step in steps_of(book_of(A, attempts=(by_hand,)), A, {})] == ["gpu"]
    assert stuck(book_of(A, attempts=(by_hand,))) == ()


def test_a_scale_that_does_not_decide_closes_nothing() -> None:
    undecided = verdict(part_verdict(0.49, "inconclusive", 0.6, 0.3, reason="not_decisive_scale"), "inconclusive")
    book = book_of(A, attempts=(made_attempt(A, "retrain", "cpu", undecided),), planned={place(A): cost(1)})
    assert order(book) == [("a",)]


def test_only_open_claims_are_ranked(book: Book) -> None:
    assert [each.id for each in open_claims(book)] == ["clinic/bayes", "clinic/sensitivity", "widgets/ordering"]


def test_a_scale_that_takes_seconds_needs_no_gpu() -> None:
    assert Step(A, "retrain", "full", "widgets/a", None, None).free
    assert Run("widgets/a", "full", (Step(A, "retrain", "full", "widgets/a", None, None),)).gpu_hours == 0.0


def test_the_page_explains_its_order_and_names_the_speed_it_assumes() -> None:
    book = book_of(A, B, planned={place(A): cost(3), place(B): cost(1)}, calibrations=(rates(A, 60),))
    words = Page(next_page(book)).words
    assert "2 claims are open" in words
    assert "one H100 at 5 % of its peak of 989 TFLOP/s, which is no measurement" in words
    known, unknown = words.index("Chance to decide known"), words.index("Chance to decide unknown, cheapest first")
    assert known < words.index("0.6 of 1 claim, if true 0.2 a GPU-hour") < unknown
    assert words.index("1 GPU-hours") > unknown
    assert "repro run made/b scale=gpu" in words


def test_the_page_says_where_nothing_is_left_to_run() -> None:
    undecided = verdict(
        part_verdict(0.49, "inconclusive", 0.6, 0.3, reason="underpowered", n_needed=23),
        "inconclusive",
        reason="underpowered",
    )
    words = Page(next_page(book_of(A, attempts=(made_attempt(A, "retrain", "gpu", undecided),)))).words
    assert "No planned run would decide an open claim." in words
    assert "retrain at gpu: too few data to decide" in words
    assert "a: has 5, n = 23 would reach 80 % power" in words


def test_an_empty_book_has_nothing_open() -> None:
    assert "0 claims are open" in Page(next_page(book_of())).words


def test_hostile_strings_stay_text() -> None:
    hostile = replace(A, statement=HOSTILE)
    page = Page(next_page(book_of(hostile)))
    assert page.own_scripts_only
    assert page.all("img") == []
    assert HOSTILE.split("\x0b")[0].strip() in page.text
