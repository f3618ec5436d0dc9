"""How verdicts move a belief: the rule of this project, in rational numbers, against counting in populations of claims.

No paper: the rule is this project's own. Serves the claim `tracker/belief_update`.

    posterior odds = prior odds × LR,    LR = P(verdict | claim true) / P(verdict | claim false)

with P(match | true) = sensitivity and P(match | false) = 1 − specificity. What does not decide has LR = 1, a conceptual
replication counts 3 to 1 at most, and of attempts that may err together one counts.

A population of claims is laid out in fractions: π of them true, each with two attempts whose verdicts are drawn by the rates. The share
of true claims among those that show a pair of verdicts is the posterior by definition. It knows nothing of odds.

Hardware and time: any CPU, milliseconds. Deviations: none; nothing is published but the rule.
"""

from dataclasses import dataclass
from fractions import Fraction
from itertools import product

from repro.schema.context import Context

CAP = Fraction(3)
"""Most that a conceptual replication may count, either way."""


@dataclass(frozen=True)
class Config:
    """The grid, and how the posterior is formed."""

    priors: tuple[str, ...] = ("1/1000", "1/20", "1/4", "1/2", "9/10")
    """P(claim true) before."""
    sensitivities: tuple[str, ...] = ("1/5", "4/5", "17/20", "19/20")
    """P(match | true)."""
    false_matches: tuple[str, ...] = ("1/100", "1/20", "1/5")
    """P(match | false) = 1 − specificity."""
    rule: str = "odds"
    """`odds`; or a plausible mistake: `probability` multiplies the prior probability itself, `all_multiply` lets attempts that
    err together multiply, `assumed_rates` takes 0.85 and 0.99 for whatever the rates are."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


@dataclass(frozen=True)
class Rates:
    """How often a protocol says match."""

    sensitivity: Fraction
    false_match: Fraction

    def of(self, verdict: str, true: bool) -> Fraction:
        """P(verdict | claim true or false); a protocol of this population always decides."""
        match = self.sensitivity if true else self.false_match
        return match if verdict == "match" else 1 - match


def likelihood_ratio(rates: Rates, verdict: str, conceptual: bool = False) -> Fraction:
    """LR of one attempt; 1 where it did not decide."""
    if verdict not in ("match", "mismatch"):
        return Fraction(1)
    LR = rates.of(verdict, True) / rates.of(verdict, False)
    return min(max(LR, 1 / CAP), CAP) if conceptual else LR


def posterior(
    config: Config, prior: Fraction, rates: Rates, verdicts: tuple[str, ...], together: bool = False
) -> Fraction:
    """P(claim true | verdicts) by the rule; attempts that err `together` count once."""
    if config.rule == "assumed_rates":
        rates = Rates(Fraction(85, 100), Fraction(1, 100))
    counted = verdicts[:1] if together and config.rule != "all_multiply" else verdicts
    LR = Fraction(1)
    for verdict in counted:
        LR *= likelihood_ratio(rates, verdict)
    if config.rule == "probability":
        return min(prior * LR, Fraction(1))
    odds = prior / (1 - prior) * LR
    return odds / (1 + odds)


def counted_share(prior: Fraction, rates: Rates, verdicts: tuple[str, ...], together: bool = False) -> Fraction:
    """Share of true claims among those with these verdicts; attempts that err `together` repeat the first."""

    def weight(true: bool) -> Fraction:
        share = prior if true else 1 - prior
        for place, verdict in enumerate(verdicts):
            share *= Fraction(verdict == verdicts[0]) if together and place else rates.of(verdict, true)
        return share

    return weight(True) / (weight(True) + weight(False))


def ioannidis_without_bias(power: Fraction, R: Fraction, alpha: Fraction) -> Fraction:
    """PPV = (1 − β) R / (R − βR + α), with R the prior odds."""
    beta = 1 - power
    return (1 - beta) * R / (R - beta * R + alpha)


def run(config: Config, context: Context) -> dict[str, float]:
    """Compare rule and counting in every cell of the grid.

    Returns, each the largest |difference| over the cells but for the last three:
        `one_attempt`, `two_independent`, `two_together`: rule against counting, after one verdict, two independent ones, or two equal ones
            that err together (probability).
        `ioannidis`: rule after a match against PPV without bias (probability).
        `undecided`: rule after an inconclusive and a blocked attempt against the prior (probability).
        `conceptual_at_most`: largest factor of a conceptual replication, either way (1); `cells`: cells of the grid (count);
        `overconfidence`: most that multiplying attempts which err together adds to the posterior (probability).
    """
    worst = dict.fromkeys(("one_attempt", "two_independent", "two_together", "ioannidis", "undecided"), Fraction(0))
    conceptual = overconfidence = Fraction(0)
    grid = list(
        product(map(Fraction, config.priors), map(Fraction, config.sensitivities), map(Fraction, config.false_matches))
    )

    def note(name: str, found: Fraction, expected: Fraction) -> None:
        worst[name] = max(worst[name], abs(found - expected))

    for prior, sensitivity, false_match in grid:
        rates = Rates(sensitivity, false_match)
        for one in ("match", "mismatch"):
            note("one_attempt", posterior(config, prior, rates, (one,)), counted_share(prior, rates, (one,)))
            pair = (one, one)
            truth = counted_share(prior, rates, pair, together=True)
            note("two_together", posterior(config, prior, rates, pair, together=True), truth)
            overconfidence = max(overconfidence, abs(counted_share(prior, rates, pair) - truth))
            LR = likelihood_ratio(rates, one, conceptual=True)
            conceptual = max(conceptual, LR, 1 / LR)
            for two in ("match", "mismatch"):
                truth = counted_share(prior, rates, (one, two))
                note("two_independent", posterior(config, prior, rates, (one, two)), truth)
        match = posterior(config, prior, rates, ("match",))
        note("ioannidis", match, ioannidis_without_bias(sensitivity, prior / (1 - prior), false_match))
        note("undecided", posterior(config, prior, rates, ("inconclusive", "blocked")), prior)
    found = {name: float(value) for name, value in worst.items()}
    return found | {
        "conceptual_at_most": float(conceptual),
        "cells": float(len(grid)),
        "overconfidence": float(overconfidence),
    }


if __name__ == "__main__":
    for name in ("odds", "probability", "all_multiply", "assumed_rates"):
        print(name, run(Config(rule=name), Context()))
