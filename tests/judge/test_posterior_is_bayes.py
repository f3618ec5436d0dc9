"""The odds shown on a claim's page are Bayes' rule: with given error rates they give published predictive values."""

import math
from fractions import Fraction
from pathlib import Path

import pytest
import yaml

from experiments.diagnostics import belief_update, ioannidis_ppv
from repro.judge.posterior import CONCEPTUAL, LARGEST, EvidenceItem, posterior_odds
from repro.schema.calibration import Calibration, Scenario

CLAIM = Path(__file__).parents[2] / "conf/claim"
DRAWS = 100


def calibration(sensitivity: Fraction, false_match: Fraction) -> Calibration:
    """A protocol known to match at these rates, and to mismatch otherwise."""

    def scenario(truth: str, rate: Fraction) -> Scenario:
        match = rate * DRAWS
        assert match.denominator == 1
        return Scenario(truth, "", {"value": 1.0}, DRAWS, int(match), DRAWS - int(match), 0)  # type: ignore[arg-type]

    return Calibration(
        seal="a" * 64,
        claim="paper/claim",
        protocol="ours",
        scale="full",
        scenarios=(scenario("true", sensitivity), scenario("margin", false_match)),
        method="exact",
        noise={},
        noise_from="attempt",
        units=1,
        unit="none",
        seed=0,
    )


def item(
    name: str = "one", outcome: str | None = "match", group: str = "", kind: str = "replication", **rates: Fraction
) -> EvidenceItem:
    found = calibration(rates.get("sensitivity", Fraction(17, 20)), rates.get("false_match", Fraction(1, 100)))
    return EvidenceItem(name, kind, "full", outcome, found, group or name)  # type: ignore[arg-type]


def published(claim: str) -> dict[str, str]:
    parts = yaml.safe_load((CLAIM / f"{claim}.yaml").read_text())["parts"]
    return {name: part["printed"] for name, part in parts.items()}


@pytest.mark.parametrize("one_in", [1000, 200, 100, 20, 10, 2])
def test_a_test_of_known_sensitivity_gives_the_predictive_values_of_the_claim(one_in: int) -> None:
    expected = float(published("bayes/positive_predictive_value")[f"ppv_at_1_in_{one_in}"])
    assert posterior_odds(1 / one_in, [item()]).probability == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("row", range(9))
def test_power_and_level_give_ioannidis_value_without_bias(row: int) -> None:
    config = ioannidis_ppv.Config()
    power, R, alpha = Fraction(config.power[row]), Fraction(config.true_to_false[row]), Fraction(config.alpha)
    expected = ioannidis_ppv.ppv(power, R, Fraction(0), alpha)
    found = posterior_odds(float(R / (1 + R)), [item(sensitivity=power, false_match=alpha)])
    assert found.probability == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("row", range(9))
def test_with_his_bias_among_the_rates_it_rounds_to_table_4(row: int) -> None:
    """Bias raises both rates of a match: (1 − β) + uβ and α + u(1 − α)."""
    config = ioannidis_ppv.Config()
    power, R, u = Fraction(config.power[row]), Fraction(config.true_to_false[row]), Fraction(config.bias[row])
    LR = (power + u * (1 - power)) / (Fraction(1, 20) + u * Fraction(19, 20))
    odds = R * LR
    printed = published("ioannidis/table4_ppv")[config.kinds[row]]
    assert round(float(odds / (1 + odds)), len(printed) - 2) == pytest.approx(float(printed))
    assert 1 < LR < LARGEST


def test_the_judge_and_the_recipe_of_the_rule_agree() -> None:
    config = belief_update.Config()
    rates = belief_update.Rates(Fraction(4, 5), Fraction(1, 20))
    names = {"sensitivity": rates.sensitivity, "false_match": rates.false_match}
    for verdicts in (("match",), ("mismatch",), ("match", "match"), ("match", "mismatch"), ("match", "inconclusive")):
        evidence = [item(str(i), verdict, **names) for i, verdict in enumerate(verdicts)]
        expected = belief_update.posterior(config, Fraction(1, 4), rates, verdicts)
        assert posterior_odds(0.25, evidence).probability == pytest.approx(float(expected))
        together = [item(str(i), verdict, group="same", **names) for i, verdict in enumerate(verdicts)]
        if len(set(verdicts)) == 1:
            expected = belief_update.posterior(config, Fraction(1, 4), rates, verdicts, together=True)
            assert posterior_odds(0.25, together).probability == pytest.approx(float(expected))


def test_blocked_counts_nothing_and_conceptual_three_to_one_at_most() -> None:
    assert posterior_odds(0.3, [item(outcome=None)]).probability == pytest.approx(0.3)
    found = posterior_odds(0.5, [item(kind="conceptual_replication")])
    assert found.odds == pytest.approx(CONCEPTUAL) == pytest.approx(float(belief_update.CAP))
    assert math.isclose(sum(c.bayes_factor for c in found.contributions), CONCEPTUAL)
