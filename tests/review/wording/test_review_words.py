"""Words shown to people: every term has one, and none says more than was found."""

from dataclasses import replace
from typing import get_args

import pytest
from review_book import EXPONENT, attempt, part, part_verdict, verdict

from repro.judge import reading as r
from repro.review.wording import words as w
from repro.schema.claim import (
    FULFILLED,
    SCALES,
    Basis,
    Expectation,
    Interval,
    Kind,
    Margin,
    Part,
    Rule,
    RuleKind,
    Source,
    Target,
)
from repro.schema.verdict import ControlVerdict, Estimate, Execution, Outcome, Reason, Validity, Verdict

MATCH = verdict(part_verdict(0.49, "match", 0.5, 0.02), "match")
MISS = verdict(part_verdict(0.49, "mismatch", 0.8, 0.02), "mismatch")


@pytest.mark.parametrize(
    ("table", "terms"),
    [
        (r.REASONS, Reason),
        (r.SOURCES, Source),
        (w.BASES, Basis),
        (w.EXPECTATIONS, Expectation),
        (r.MISSED, Kind),
    ],
)
def test_every_term_has_words(table: dict[str, str], terms: object) -> None:
    assert set(table) == set(get_args(terms))


def test_every_validity_but_current_is_explained() -> None:
    assert set(r.VALIDITY) == set(get_args(Validity)) - {"current"}


def test_outcomes_and_executions_have_signs_of_their_own() -> None:
    signs = [w.symbol(name) for name in (*get_args(Outcome), "blocked", "failed", "running", "not_run")]
    assert len(set(signs)) == len(signs)
    assert all(w.symbol(name) != "·" for name in get_args(Execution) if name != "completed")


@pytest.mark.parametrize("kind", get_args(Kind))
@pytest.mark.parametrize("scale", SCALES)
def test_below_the_papers_scale_a_verdict_says_so(kind: Kind, scale: str) -> None:
    made = attempt(EXPONENT, "retrain", scale, MATCH, compute_ratio=0.008)
    made = replace(made, sealed=replace(made.sealed, kind=kind))
    hit, miss = r.reading(made), r.reading(replace(made, verdict=MISS))
    assert hit.startswith(FULFILLED[kind])
    assert miss.startswith(r.MISSED[kind])
    if scale in ("paper", "full"):
        assert (hit, miss) == (FULFILLED[kind], r.MISSED[kind])
    else:
        assert hit == f"{FULFILLED[kind]} at reduced scale (0.8 % of the paper's compute)"
        assert miss.endswith("at this scale")
    assert "wrong" not in hit + miss


def test_an_unknown_ratio_of_compute_is_said() -> None:
    made = attempt(EXPONENT, "retrain", "cpu", MATCH)
    assert r.reading(made) == "replicated at reduced scale (ratio to the paper's compute unknown)"


@pytest.mark.parametrize(
    ("execution", "status", "text"),
    [
        ("planned", "planned", "sealed, not run yet"),
        ("running", "running", "running"),
        ("failed", "failed", "did not run to its end"),
        ("blocked", "blocked", "blocked"),
    ],
)
def test_an_attempt_that_did_not_complete_has_no_verdict_to_read(execution: Execution, status: str, text: str) -> None:
    made = attempt(EXPONENT, "retrain", "cpu", MATCH, execution=execution)
    assert (r.status(made), r.reading(made)) == (status, text)


def test_an_undecided_part_says_how_many_units_it_would_take() -> None:
    part = part_verdict(0.0, "inconclusive", 0.1, 0.3, reason="underpowered", n_needed=23)
    assert r.why(part) == "too few data to decide; n = 23 would reach 80 % power"
    assert r.why(part_verdict(0.0, "match", 0.0)) == ""


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (Rule("equivalence", Margin(absolute=0.12), "x"), "within ± 0.12 of 20"),
        (Rule("equivalence", Margin(relative=0.05), "x"), "within ± 5 % of 20"),
        (Rule("equivalence", Margin(factor=1.5), "x"), "within a factor of 1.5 of 20"),
        (Rule("at_least"), "at least 20"),
        (Rule("at_most", Margin(absolute=1), "x"), "at most 20 (margin ± 1)"),
        (Rule("ordering"), "the ordering holds in runs paired by seed"),
        (Rule("exact", Margin(absolute=1e-9), "x"), "equal to 20 (margin ± 1×10⁻⁹)"),
        (Rule("rounds_to"), "rounds to 20"),
    ],
)
def test_rules_in_words(rule: Rule, text: str) -> None:
    assert r.rule_text(Part(Target("20"), rule)) == text


def test_targets_and_intervals_stand_as_printed() -> None:
    assert r.printed_text(Target("0.50")) == "0.50"
    assert r.printed_text(Target("20", approximate=True)) == "about 20"
    assert r.interval_text(Interval("0.534", "0.462", 0.8, "subsample")) == "0.534 to 0.462 (80 % subsample interval)"
    assert r.interval_text(Interval("1", "2", 0.95)) == "1 to 2 (95 % interval)"


@pytest.mark.parametrize(
    ("printed", "digits"), [("20", 4), ("0.49", 4), ("482.01", 6), ("1.8172", 6), ("0.0784132841328413284", 10)]
)
def test_a_value_is_shown_to_one_digit_more_than_the_printed_one(printed: str, digits: int) -> None:
    assert w.digits_beside(Target(printed)) == digits


@pytest.mark.parametrize(("failed", "sign"), [(True, "✓"), (False, "✗"), (None, "?")])
def test_a_control_has_to_fail(failed: bool | None, sign: str) -> None:
    assert w.control_status(ControlVerdict("mismatch", failed, "", {}))[0] == sign


def test_the_deciding_interval_is_the_one_of_twice_alpha() -> None:
    assert w.level(part_verdict(0.0, "match", 0.0)) == "90 %"
    assert w.level(part_verdict(0.0, "match", 0.0, alpha=0.0125)) == "97.5 %"


def test_deviations_are_signed_and_factors_on_a_log_scale() -> None:
    assert w.deviation(part_verdict(0.49, "match", 0.5132)) == "+0.0232"
    assert w.deviation(part_verdict(0.49, "match", 0.48)) == "−0.01"
    assert w.deviation(part_verdict(20, "mismatch", 85, scale="log", deviation=1.4469189829363254)) == "factor 4.25"
    assert w.deviation(part_verdict(20, "inconclusive", None)) == "—"


def test_what_an_estimate_rests_on() -> None:
    assert w.sample(Estimate(0.5, 0.1, 4, 5, "seed"), 4.0) == "5 seeds, ν = 4"
    assert w.sample(Estimate(0.5, n=1, unit="budget"), None) == "1 budget"
    assert w.sample(Estimate(0.5, 0.0, deterministic=True), None) == "no random draw enters"


@pytest.mark.parametrize(
    ("changes", "validity", "text"),
    [
        ({"execution": "failed"}, "current", "failed"),
        ({"exploratory": True}, "current", "exploratory"),
        ({}, "post_hoc", "post hoc"),
        ({}, "current", ""),
    ],
)
def test_why_an_attempt_does_not_count(changes: dict[str, object], validity: Validity, text: str) -> None:
    assert w.not_counting(attempt(EXPONENT, "retrain", "cpu", MATCH, **changes), validity) == text


@pytest.mark.parametrize(
    ("looks", "look", "outcome", "text"),
    [
        (1, 1, "match", ""),
        (3, 2, "match", "decided at look 2 of 3"),
        (3, 1, "mismatch", "decided at look 1 of 3"),
        (3, 3, "inconclusive", "undecided after look 3 of 3"),
    ],
)
def test_the_look_is_told_where_several_were_sealed(looks: int, look: int, outcome: str, text: str) -> None:
    tried = attempt(EXPONENT, "retrain", "gpu", replace(MATCH, outcome=outcome, look=look))
    assert w.look(replace(tried, sealed=replace(tried.sealed, looks=looks))) == text
    assert w.look(attempt(EXPONENT, "retrain", "gpu", None)) == ""


@pytest.mark.parametrize("judged", [MATCH, None])
def test_an_indicative_attempt_says_so_wherever_it_is_read(judged: Verdict | None) -> None:
    tried = attempt(EXPONENT, "retrain", "gpu", judged, execution="completed" if judged else "planned")
    assert "indicative" not in r.reading(tried)
    assert r.reading(replace(tried, sealed=replace(tried.sealed, indicative=True))).endswith(" (indicative)")


@pytest.mark.parametrize("kind", get_args(RuleKind))
def test_an_order_or_a_trend_has_no_published_number(kind: str) -> None:
    shown = {"ordering": "an order", "trend": "a trend"}.get(kind, "0")
    assert r.published_text(part("0", Rule(kind, Margin(absolute=0.1), "x"))) == shown
    assert r.published_text(part("0.49", Rule(kind, Margin(absolute=0.1), "x"))) == "0.49"


@pytest.mark.parametrize("kind", get_args(RuleKind))
def test_every_rule_has_words(kind: str) -> None:
    rule = Rule(kind, Margin(absolute=0.1), "x")
    assert "0.1" in r.rule_text(part("0.49", rule))


@pytest.mark.parametrize(
    ("flag", "advice"),
    [("heavy_tailed", "run more seeds"), ("multimodal", "test each by itself"), ("skew_guard", "more runs narrow it")],
)
def test_what_the_noise_shows_is_said_with_what_to_do(flag: str, advice: str) -> None:
    assert advice in w.flag_text(flag)


@pytest.mark.parametrize(
    "flag",
    [
        "unequal_arms",
        "skew_guard",
        "few_points",
        "too_few_sizes",
        "too_few_budgets",
        "uncertified_optimum",
        "interpolated",
    ],
)
def test_a_flag_has_words_of_its_own(flag: str) -> None:
    assert len(w.flag_text(flag)) > len(flag) + 10


@pytest.mark.parametrize(
    ("n", "unit", "words"),
    [
        (1, "seed", "1 seed"),
        (20, "repetition of the draws", "20 repetitions of the draws"),
        (8, "bootstrap batch", "8 bootstrap batches"),
        (2, "chip or model", "2 chips or models"),
    ],
)
def test_units_are_counted_as_people_do(n: int, unit: str, words: str) -> None:
    assert w.sample(Estimate(1.0, n=n, unit=unit), None) == words
