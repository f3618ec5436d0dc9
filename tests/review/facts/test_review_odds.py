"""What verdicts do to a prior: who counts, who repeats whom, and what a reader may type."""

import math
from dataclasses import replace

import pytest
from page_reader import Page
from trust_book import (
    AGAIN,
    ELSEWHERE,
    FIRST,
    HOSTILE_SLOPE,
    REFIT,
    SLOPE,
    UNDECIDED,
    calibration,
    scenario,
    trust_book,
    usual,
)

from repro.review.facts import odds
from repro.review.facts.independent import correlated, decisive_attempts, groups, share_data
from repro.review.pages import claim_page
from repro.schema.verdict import Attempt


@pytest.mark.parametrize(
    ("text", "prior"), [("0.3", 0.3), (" 30 % ", 0.3), ("30%", 0.3), ("1e-3", 0.001), (".5", 0.5), ("99.9 %", 0.999)]
)
def test_a_prior_is_read(text: str, prior: float) -> None:
    assert odds.read_prior(text) == pytest.approx(prior)


@pytest.mark.parametrize(
    "text", ["", "0", "1", "100 %", "-0.1", "nan", "inf", "<script>", "0,3", "1e400", "0.3.3", "30 % %", "x" * 5000]
)
def test_what_is_no_probability_is_refused_in_a_paragraph(text: str) -> None:
    with pytest.raises(odds.PriorError, match="A prior is a probability between 0 and 1") as refused:
        odds.read_prior(text)
    assert len(str(refused.value)) < 200


def test_evidence_is_every_attempt_with_why_it_is_set_aside() -> None:
    book = trust_book()
    stale = {REFIT.id: ("The margin has changed.",)}
    items = {item.attempt: item for item in odds.evidence(replace(book, stale=stale), SLOPE)}
    assert set(items) == {a.id for a in (FIRST, AGAIN, REFIT, ELSEWHERE, UNDECIDED)}
    assert items[REFIT.id].set_aside == "stale"
    assert items[FIRST.id].set_aside == ""
    assert items[UNDECIDED.id].outcome == "inconclusive"
    # Seeds 0, 1, 2 of one study stand in both.
    assert items[FIRST.id].group == items[UNDECIDED.id].group != items[AGAIN.id].group


def test_a_scale_that_never_decides_is_set_aside() -> None:
    book = trust_book()
    small = replace(FIRST, id="widgets/slope@retrain@cpu-00000000-9", scale="cpu")
    items = {item.attempt: item for item in odds.evidence(replace(book, attempts=(small,)), SLOPE)}
    assert items[small.id].set_aside == "this scale does not decide"


def test_the_odds_are_the_product_of_the_shares() -> None:
    book = trust_book()
    items = odds.evidence(book, SLOPE)
    assert odds.alternatives(items) == ("margin", "rival")
    found = odds.posteriors(items, 0.25)["margin"]
    factors = [share.factor for said in odds.shares(items).values() for share in said if "margin" in share.against]
    assert found.odds == pytest.approx(math.prod(factors) / 3)
    assert found.probability > 0.25


def test_without_a_simulated_rival_there_is_one_alternative() -> None:
    book = trust_book()
    only = calibration(FIRST, scenario("true", "", 300, 0, 0.49), scenario("margin", "above", 20, 0, 0.61))
    items = odds.evidence(replace(book, calibrations={FIRST.sealed.digest: only}), SLOPE)
    assert odds.alternatives(items) == ("margin",)
    assert len(odds.shares(items)[FIRST.id]) == 1


def test_what_counts_as_nothing_is_said_once() -> None:
    said = odds.shares(odds.evidence(trust_book(), SLOPE))[UNDECIDED.id]
    assert [(share.factor, share.sentence) for share in said] == [(1.0, "Counts as nothing: it did not decide.")]


@pytest.mark.parametrize(
    ("one", "other", "data", "together"),
    [
        (FIRST, AGAIN, False, False),
        (FIRST, UNDECIDED, False, True),
        (FIRST, REFIT, False, False),
        (FIRST, replace(AGAIN, arms={"main": ("s2", "x")}), True, True),
        (REFIT, replace(REFIT, arms={"main": ("other",)}), True, True),
        (REFIT, replace(REFIT, arms={"main": ("other",)}, sealed=replace(REFIT.sealed, kind="replication", study="x")), False, False),
    ],
)  # fmt: skip
def test_who_repeats_whom(one: Attempt, other: Attempt, data: bool, together: bool) -> None:
    book = trust_book()
    assert share_data(book, one, other) is share_data(book, other, one) is data
    assert correlated(book, one, other) is correlated(book, other, one) is together


def test_groups_are_linked_through_others_and_keep_the_order() -> None:
    chain = tuple(
        replace(FIRST, id=f"a@p@gpu-0-{i}", arms={"main": keys})
        for i, keys in enumerate([("1",), ("3",), ("9",), ("1", "3")])
    )
    alike = lambda a, b: bool(set(a.arms["main"]) & set(b.arms["main"]))
    assert [[a.id[-1] for a in group] for group in groups(chain, alike)] == [["0", "1", "3"], ["2"]]


def test_deciding_attempts_are_chosen_without_looking_at_what_came_out() -> None:
    ids = {a.id for a in decisive_attempts(trust_book(), SLOPE.id)}
    assert UNDECIDED.id in ids
    assert decisive_attempts(trust_book(), HOSTILE_SLOPE.id)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.25, "25 %"),
        (0.999, "99.9 %"),
        (0.99996, "> 99.9 %"),
        (0.0004, "< 0.1 %"),
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.052, "5 %"),
    ],
)
def test_what_is_not_certain_never_reads_as_certain(share: float, text: str) -> None:
    assert odds.percent(share) == text


@pytest.mark.parametrize(
    ("value", "text"), [(3.0, "3 to 1"), (0.25, "1 to 4"), (1.0, "1 to 1"), (1e9, "> 1000 to 1"), (1e-9, "< 1 to 1000")]
)
def test_odds_read_as_people_bet(value: float, text: str) -> None:
    assert odds.odds_text(value) == text


def test_an_attempt_has_a_short_name() -> None:
    assert odds.short_name("widgets/slope@retrain@gpu-f08dc76e-2") == "retrain at gpu, number 2"
    assert odds.factor_text(14.04) == "14"
    assert odds.factor_text(1 / 14.04) == "1/14"


def test_a_mismatch_of_a_trusted_protocol_lowers_the_odds() -> None:
    book = trust_book()
    missed = replace(FIRST, verdict=replace(FIRST.verdict, outcome="mismatch"))  # type: ignore[type-var]
    items = odds.evidence(replace(book, attempts=(missed,), calibrations={missed.sealed.digest: usual(missed)}), SLOPE)
    assert odds.posteriors(items, 0.5)["rival"].probability < 0.1


def test_the_rule_of_the_odds_is_a_claim_that_the_page_names_with_its_verdict() -> None:
    book = trust_book()
    assert odds.RULE not in Page(claim_page(book, SLOPE.id)).words
    rule = replace(SLOPE, id=odds.RULE)
    page = Page(claim_page(replace(book, claims={**book.claims, rule.id: rule}), SLOPE.id))
    assert "a claim that is tested here like any other: tracker/belief_update, not run." in page.words
