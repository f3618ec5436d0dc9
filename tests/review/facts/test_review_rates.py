"""Error rates in plain words: what a protocol says where the truth is known."""

from dataclasses import replace

import pytest
from review_book import HOSTILE
from trust_book import COUNTED, COUNTED_RATES, FIRST, ORDERED, REFIT, calibration, scenario, trust_book, usual

from repro.review.facts.rates import Rate, cases, made_of, sentences
from repro.review.facts.trust import trust_in, trust_of
from repro.schema.calibration import Scenario


@pytest.mark.parametrize(
    ("rate", "text", "brief"),
    [
        (Rate(388, 400, 0.948, 0.984, False), "97 times in 100 (95 to 98)", "97 times in 100"),
        (Rate(0, 400, 0.0, 0.0092, False), "in none of 400 draws (at most 0.9 times in 100)", "0 times in 100"),
        (Rate(400, 400, 0.9908, 1.0, False), "in each of 400 draws (at least 99.1 times in 100)", "100 times in 100"),
        (Rate(2, 400, 0.0006, 0.018, False), "0.5 times in 100 (0.1 to 2)", "0.5 times in 100"),
        (Rate(0, 1, 0.0, 0.0, True), "never", "never"),
        (Rate(1, 1, 1.0, 1.0, True), "always", "always"),
    ],
)
def test_a_rate_reads_as_times_in_a_hundred_and_never_as_certain_unless_it_is(
    rate: Rate, text: str, brief: str
) -> None:
    assert (rate.text, rate.brief) == (text, brief)


def test_the_sentences_of_a_protocol() -> None:
    assert sentences(usual(FIRST), FIRST.sealed) == (
        ("sensitivity", "If the claim were true, this protocol would say so 93 times in 100 (90 to 95)."),
        ("false match", "If the claim were false by just the margin (above), it would wrongly match 4 times in 100 (2 to 6)."),
        ("power", "If the claim were false by the rival's value (gadgets law, 0.73), it would notice 97 times in 100 (95 to 98)."),
        ("undecided", "It would stay undecided 6 times in 100 if it were true, 93 times in 100 if it were false by just the margin "
                      "(below), 3 times in 100 if it were false by the rival's value (gadgets law, 0.73)."),
    )  # fmt: skip


def test_nothing_random_is_said_without_an_interval() -> None:
    assert [sentence for _, sentence in sentences(COUNTED_RATES, COUNTED.sealed)] == [
        "If the claim were true, this protocol would say so always.",
        "If the claim were false by just the margin (above), it would wrongly match never.",
        "It would never stay undecided.",
    ]
    assert made_of(COUNTED_RATES).startswith("Nothing random enters this protocol")


def test_without_a_margin_a_claim_is_barely_false() -> None:
    rates = calibration(ORDERED, scenario("margin", "below", 20, 0, 0.0))
    assert sentences(rates, ORDERED.sealed)[0][1].startswith(
        "If the claim were barely false (below), it would wrongly match 5"
    )


def test_of_several_parts_the_one_that_was_false_is_named() -> None:
    two = Scenario("margin", "above", {"alpha_1": 1.0, "beta": 2.0}, 100, 3, 90, 7, ("alpha_1",))
    (case,) = cases(calibration(FIRST, two))
    assert (case.label, case.values) == ("false by just the margin (above, in alpha 1 alone)", "1")


def test_the_lengths_of_a_bar_fill_it() -> None:
    for case in cases(usual(FIRST)):
        assert sum(width for _, _, width in case.bar) == pytest.approx(100)
        ends = [start + width for _, start, width in case.bar]
        assert [start for _, start, _ in case.bar] == pytest.approx([0, *ends[:-1]])
    assert [case.right for case in cases(usual(FIRST))] == ["Match", "Mismatch", "Mismatch", "Mismatch"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "Trial records were simulated, and went through the sealed estimator and the rule. 400 draws a case, 5 budgets in each"),
        ({"method": "estimates"}, "the rule is tested here, the estimator is not"),
        ({"noise_from": "published"}, "noise from the published spread"),
        ({"noise": {"a_1": 0.5, "b": None, "c": 2.0}}, "standard deviation of one budget: 0.5 (a 1), 2 (c)"),
        ({"units": 1, "unit": "run"}, "1 run in each"),
        ({"units": 20, "unit": "repetition of the draws"}, "20 repetitions of the draws in each"),
    ],
)  # fmt: skip
def test_on_what_the_rates_rest_is_said_plainly(changes: dict[str, object], text: str) -> None:
    assert text in made_of(usual(FIRST, **changes))


def test_each_protocol_stands_with_the_rates_of_its_own_seal() -> None:
    book = trust_book()
    found = {(t.protocol, t.scale): t for t in trust_in(book, book.claims["widgets/slope"])}
    assert set(found) == {("retrain", "gpu"), ("retrain", "paper"), ("refit", "full"), ("other_system", "cpu")}
    assert found["retrain", "paper"].calibration is None
    assert found["retrain", "paper"].command == "repro calibrate widgets/slope@retrain@paper"
    assert found["refit", "full"].calibration == book.calibrations[REFIT.sealed.digest]
    other = replace(book, calibrations={"f" * 64: usual(FIRST)})
    assert trust_of(other, FIRST).calibration is None


def test_a_protocol_that_was_never_run_shows_what_it_would_have() -> None:
    book = trust_book()
    claim = book.claims["widgets/unrun"]
    (unrun,) = trust_in(book, claim)
    assert (unrun.attempt, unrun.calibration, unrun.scale) == (None, None, "cpu")
    ahead = replace(usual(FIRST), claim=claim.id, protocol="later", scale="cpu", seal="a" * 64)
    (planned,) = trust_in(replace(book, calibrations={ahead.seal: ahead}), claim)
    assert planned.calibration == ahead


def test_hostile_names_stay_text() -> None:
    assert (
        HOSTILE.split()[0]
        in sentences(replace(usual(FIRST), scenarios=(scenario("rival", HOSTILE, 0, 400, 0.73),)))[0][1]
    )
