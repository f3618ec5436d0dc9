"""Posterior odds: laws that hold whatever the evidence, and factors that can be computed by hand."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.judge.calibrate import rate_interval
from repro.judge.posterior import CONCEPTUAL, LARGEST, EvidenceItem, bayes_factor, posterior_odds
from repro.schema.calibration import Calibration, Scenario
from repro.schema.errors import ConfigError


def scenario(truth: str, match: int, mismatch: int, draws: int = 100, name: str = "") -> Scenario:
    return Scenario(truth, name, {"value": 1.0}, draws, match, mismatch, draws - match - mismatch)  # type: ignore[arg-type]


def calibration(*scenarios: Scenario, method: str = "records") -> Calibration:
    return Calibration(
        seal="a" * 64,
        claim="paper/claim",
        protocol="ours",
        scale="gpu",
        scenarios=scenarios,
        method=method,  # type: ignore[arg-type]
        noise={"value": 0.1},
        noise_from="attempt",
        units=5,
        unit="seed",
        seed=0,
    )


GOOD = calibration(
    scenario("true", 90, 0),
    scenario("margin", 4, 4, name="above"),
    scenario("margin", 2, 5, name="below"),
    scenario("rival", 0, 97, name="kaplan"),
)
SURE = calibration(
    scenario("true", 1, 0, 1), scenario("margin", 0, 1, 1, "above"), scenario("rival", 0, 1, 1, "x"), method="exact"
)


def item(outcome: str | None = "match", name: str = "one", **changes: Any) -> EvidenceItem:
    fields: dict[str, Any] = {
        "attempt": name, "kind": "replication", "scale": "gpu", "outcome": outcome, "calibration": GOOD, "group": name,
    }  # fmt: skip
    return EvidenceItem(**(fields | changes))


def test_a_match_counts_by_the_cautious_ends_of_its_rates() -> None:
    expected = rate_interval(90, 100)[0] / rate_interval(4, 100)[1]
    found = posterior_odds(0.5, [item()])
    assert found.odds == pytest.approx(expected)
    assert found.probability == pytest.approx(expected / (1 + expected))
    rival = rate_interval(90, 100)[0] / rate_interval(0, 100)[1]
    assert posterior_odds(0.5, [item()], "rival").odds == pytest.approx(rival)
    assert rival > expected


def test_a_mismatch_speaks_against_the_claim() -> None:
    found = posterior_odds(0.5, [item("mismatch")], "rival")
    assert found.odds == pytest.approx(rate_interval(0, 100)[1] / rate_interval(97, 100)[0])
    assert "0 times in 100 were the claim true, 97 times in 100 were it false by the value of kaplan" in (
        found.contributions[0].sentence
    )


def test_rates_that_do_not_differ_tell_nothing() -> None:
    blind = calibration(scenario("true", 50, 10), scenario("margin", 45, 12))
    assert posterior_odds(0.3, [item(calibration=blind)]).probability == pytest.approx(0.3)


def test_what_is_certain_counts_a_hundred_to_one_and_no_more() -> None:
    assert posterior_odds(0.5, [item(calibration=SURE)]).odds == pytest.approx(LARGEST)
    assert posterior_odds(0.5, [item("mismatch", calibration=SURE)]).odds == pytest.approx(1 / LARGEST)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"outcome": "inconclusive"}, "it did not decide"),
        ({"outcome": None}, "it has no verdict"),
        ({"calibration": None}, "not known; run repro calibrate"),
        ({"set_aside": "its claim has changed since"}, "its claim has changed since"),
        ({"calibration": calibration(scenario("true", 90, 0))}, "no false value was simulated"),
    ],
)
def test_what_counts_as_nothing_says_why(changes: dict[str, Any], why: str) -> None:
    found = posterior_odds(0.2, [item(**changes)])
    assert found.probability == pytest.approx(0.2)
    assert found.contributions[0].bayes_factor == 1
    assert why in found.contributions[0].sentence


def test_without_a_rival_nothing_counts_against_rivals() -> None:
    no_rival = calibration(scenario("true", 90, 0), scenario("margin", 4, 4))
    assert posterior_odds(0.2, [item(calibration=no_rival)], "rival").probability == pytest.approx(0.2)


@pytest.mark.parametrize("prior", [0.0, 1.0, -0.1, 1.5, math.nan])
def test_a_prior_that_nothing_can_move_is_refused(prior: float) -> None:
    with pytest.raises(ConfigError, match="A prior must lie between 0 and 1"):
        posterior_odds(prior, [])


def test_of_correlated_attempts_the_strongest_counts() -> None:
    weak = calibration(scenario("true", 70, 0), scenario("margin", 10, 4))
    together = posterior_odds(0.5, [item(name="weak", group="g", calibration=weak), item(name="strong", group="g")])
    assert together.odds == pytest.approx(posterior_odds(0.5, [item()]).odds)
    assert "shares data or seeds with strong" in together.contributions[0].sentence


def test_correlated_attempts_that_contradict_each_other_count_as_nothing() -> None:
    clash = [item(name="a", group="g", calibration=SURE), item("mismatch", name="b", group="g", calibration=SURE)]
    found = posterior_odds(0.4, clash)
    assert found.probability == pytest.approx(0.4)
    assert all("contradict" in c.sentence for c in found.contributions)


def test_independent_attempts_multiply() -> None:
    one = posterior_odds(0.5, [item()]).odds
    assert posterior_odds(0.5, [item(name="a"), item(name="b")]).odds == pytest.approx(one**2)


outcomes = st.sampled_from(["match", "mismatch", "inconclusive", None])
counts = st.integers(0, 50).flatmap(lambda m: st.tuples(st.just(m), st.integers(0, 50 - m)))
calibrations = st.tuples(counts, counts, counts).map(
    lambda c: calibration(
        scenario("true", *c[0], draws=50), scenario("margin", *c[1], draws=50), scenario("rival", *c[2], draws=50)
    )
)
items = st.builds(
    EvidenceItem,
    attempt=st.uuids().map(str),
    kind=st.sampled_from(["replication", "conceptual_replication"]),
    scale=st.just("gpu"),
    outcome=outcomes,
    calibration=st.none() | calibrations,
    group=st.sampled_from("abcd"),
)
evidence = st.lists(items, max_size=6, unique_by=lambda i: i.attempt)
priors = st.floats(0.01, 0.99)
againsts = st.sampled_from(["margin", "rival"])


@given(priors, evidence, againsts, st.randoms())
def test_the_order_of_attempts_is_irrelevant(prior: float, some: list[EvidenceItem], against: Any, random: Any) -> None:
    shuffled = random.sample(some, len(some))
    assert posterior_odds(prior, some, against).odds == pytest.approx(posterior_odds(prior, shuffled, against).odds)


@given(priors, evidence, againsts, st.sampled_from("abcd"))
def test_an_undecided_attempt_changes_nothing(prior: float, some: list[EvidenceItem], against: Any, group: str) -> None:
    more = [*some, item("inconclusive", "undecided", group=group)]
    assert posterior_odds(prior, more, against).odds == pytest.approx(posterior_odds(prior, some, against).odds)


@given(priors, evidence, againsts)
def test_the_factors_multiply_to_the_odds_and_none_exceeds_its_cap(
    prior: float, some: list[EvidenceItem], against: Any
) -> None:
    found = posterior_odds(prior, some, against)
    factors = [c.bayes_factor for c in found.contributions]
    assert found.odds == pytest.approx(prior / (1 - prior) * math.prod(factors))
    assert [c.attempt for c in found.contributions] == [i.attempt for i in some]
    for evidence_item, factor in zip(some, factors, strict=True):
        cap = CONCEPTUAL if evidence_item.kind == "conceptual_replication" else LARGEST
        assert 1 / cap <= factor * (1 + 1e-12)
        assert factor <= cap * (1 + 1e-12)


@given(evidence, againsts)
def test_a_higher_prior_never_ends_lower(some: list[EvidenceItem], against: Any) -> None:
    ends = [posterior_odds(prior, some, against).probability for prior in (0.1, 0.3, 0.6, 0.9)]
    assert ends == sorted(ends)


@given(counts, counts)
def test_a_factor_never_says_more_than_the_observed_rates(true: tuple[int, int], false: tuple[int, int]) -> None:
    found = bayes_factor("match", calibration(scenario("true", *true, draws=50), scenario("margin", *false, draws=50)))
    assert found is not None
    if found[0] > 1:
        assert true[0] > false[0]
        assert false[0] == 0 or found[0] <= true[0] / false[0]
    if found[0] < 1:
        assert true[0] < false[0]
        assert true[0] == 0 or found[0] >= true[0] / false[0]
