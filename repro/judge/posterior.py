"""From a prior and calibrated verdicts to the odds of a claim. Pure.

    posterior odds = prior odds × Π P(verdict | claim true) / P(verdict | claim false)

The product runs over independent attempts. "False" is one of two alternatives (`Against`): by just the margin, which is the
least favourable, or by a rival's value, which is the most telling. Every doubt pulls towards 1: rates enter with the end of their
interval that says less, of several false values the one that is hardest to tell apart counts, and whatever may be
correlated counts once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from repro.judge.calibrate import rate_interval
from repro.schema.calibration import Calibration, Scenario
from repro.schema.claim import Kind
from repro.schema.errors import ConfigError
from repro.schema.verdict import Outcome

Against = Literal["margin", "rival"]

LARGEST = 100.0
"""Most that one attempt may count: no simulation knows of a mistake in our own code, and one attempt in a hundred may rest on
one."""

CONCEPTUAL = 3.0
"""Most that a conceptual replication may count: it bears on the claim only as far as another system is like the paper's."""


@dataclass(frozen=True)
class EvidenceItem:
    """One attempt as evidence."""

    attempt: str
    kind: Kind
    scale: str
    outcome: Outcome | None
    """None where it was blocked or did not complete."""
    calibration: Calibration | None
    """Of its own seal."""
    group: str
    """Attempts that may err together (same study and seeds, or same data) share a group."""
    set_aside: str = ""
    """Why it must not count (stale, exploratory, post hoc); empty if it may."""


class Contribution(NamedTuple):
    """What one attempt does to the odds, and why."""

    attempt: str
    bayes_factor: float
    sentence: str


@dataclass(frozen=True)
class Posterior:
    """The odds of a claim after the evidence."""

    prior: float
    odds: float
    """P(true) / P(false)."""
    probability: float
    contributions: tuple[Contribution, ...]
    """One an item, in its order; their factors multiply to the posterior over the prior odds."""
    against: Against = "margin"


def posterior_odds(prior: float, evidence: Sequence[EvidenceItem], against: Against = "margin") -> Posterior:
    """Return the odds that a claim is true, against one way of being false.

    Args:
        prior: probability that the reader gave it before; between 0 and 1, both excluded.
        evidence: attempts in any order; it changes nothing.
        against: `margin`: false by just the margin. `rival`: false by a rival's value; protocols whose claim names no rival
            then count as 1.

    Raises:
        ConfigError: if the prior is 0, 1 or no probability: no evidence could move it.
    """
    if not 0 < prior < 1:
        raise ConfigError(
            f"A prior must lie between 0 and 1, both excluded, not at {prior:g}: what is certain before cannot be moved by "
            f"evidence. For a long shot give 0.01, for near certainty 0.99."
        )
    own = [_contribution(item, against) for item in evidence]
    groups: dict[str, list[int]] = {}
    for place, item in enumerate(evidence):
        groups.setdefault(item.group, []).append(place)
    counted = list(own)
    for places in groups.values():
        for place, contribution in zip(places, _once([own[place] for place in places]), strict=True):
            counted[place] = contribution
    log_odds = math.log(prior / (1 - prior)) + math.fsum(math.log(c.bayes_factor) for c in counted)
    odds = math.exp(log_odds)
    return Posterior(prior, odds, odds / (1 + odds), tuple(counted), against)


def bayes_factor(
    outcome: Outcome, calibration: Calibration, against: Against = "margin"
) -> tuple[float, Scenario, Scenario] | None:
    """Return P(outcome | true) / P(outcome | false), the end of its interval nearest to 1, with the two scenarios.

    Rates are exact binomial intervals at 95 %; those of an exact protocol are certain. An interval that holds 1 gives 1. Of
    several false values (above and below, several rivals) the factor nearest to 1 is returned. None if the calibration
    simulated no such false value.
    """
    true = next((s for s in calibration.scenarios if s.truth == "true"), None)
    false = [s for s in calibration.scenarios if s.truth == against]
    if true is None or not false:
        return None
    exact = calibration.method == "exact"
    factors = [(_factor(_rate(true, outcome, exact), _rate(s, outcome, exact)), true, s) for s in false]
    return min(factors, key=lambda found: abs(math.log(found[0])))


def _factor(true: tuple[float, float], false: tuple[float, float]) -> float:
    low = true[0] / false[1] if false[1] > 0 else (LARGEST if true[0] > 0 else 0.0)
    high = true[1] / false[0] if false[0] > 0 else math.inf
    nearest = low if low > 1 else high if high < 1 else 1.0
    return min(max(nearest, 1 / LARGEST), LARGEST)


def _rate(scenario: Scenario, outcome: Outcome, exact: bool) -> tuple[float, float]:
    count = int(getattr(scenario, outcome))
    return (count / scenario.draws,) * 2 if exact else rate_interval(count, scenario.draws)


def _contribution(item: EvidenceItem, against: Against) -> Contribution:
    """Return what an attempt would count if it stood alone."""

    def nothing(why: str) -> Contribution:
        return Contribution(item.attempt, 1.0, f"Counts as nothing: {why}.")

    if item.set_aside:
        return nothing(item.set_aside)
    if item.outcome is None:
        return nothing("it has no verdict")
    if item.outcome == "inconclusive":
        return nothing("it did not decide")
    if item.calibration is None:
        return nothing("how often its protocol errs is not known; run repro calibrate")
    found = bayes_factor(item.outcome, item.calibration, against)
    if found is None:
        return nothing("no rival's value was simulated" if against == "rival" else "no false value was simulated")
    factor, true, false = found
    how = "false by its margin" if against == "margin" else f"false by the value of {false.name}"
    verdict = "match" if item.outcome == "match" else "mismatch"
    said = (
        f"Its protocol says {verdict} {_times(true, item.outcome)} were the claim true, {_times(false, item.outcome)} were it {how}; "
        f"at the cautious ends of these rates {_in_words(factor)}."
    )
    if item.kind == "conceptual_replication" and not 1 / CONCEPTUAL <= factor <= CONCEPTUAL:
        factor = min(max(factor, 1 / CONCEPTUAL), CONCEPTUAL)
        said += f" Another system than the paper's was studied, so it counts as {CONCEPTUAL:g} to 1 at most."
    return Contribution(item.attempt, factor, said)


def _once(group: Sequence[Contribution]) -> list[Contribution]:
    """Let one of a group of correlated attempts count, the strongest; if they contradict each other, none."""
    telling = [c for c in group if c.bayes_factor != 1.0]
    if len(telling) < 2:
        return list(group)
    if min(c.bayes_factor for c in telling) < 1 < max(c.bayes_factor for c in telling):
        why = "Counts as nothing: attempts that share data or seeds contradict each other."
        return [c if c.bayes_factor == 1.0 else Contribution(c.attempt, 1.0, why) for c in group]
    strongest = max(telling, key=lambda c: (abs(math.log(c.bayes_factor)), c.attempt))
    why = f"Counts as nothing more: it shares data or seeds with {strongest.attempt}, which counts."
    return [c if c in (strongest,) or c.bayes_factor == 1.0 else Contribution(c.attempt, 1.0, why) for c in group]


def _times(scenario: Scenario, outcome: Outcome) -> str:
    count = int(getattr(scenario, outcome))
    return (
        "always"
        if count == scenario.draws == 1
        else "never"
        if scenario.draws == 1
        else f"{count} times in {scenario.draws}"
    )


def _in_words(factor: float) -> str:
    if factor == 1:
        return "this tells nothing"
    if factor > 1:
        return f"the claim's odds against that grow {factor:.3g} times"
    return f"the claim's odds against that shrink {1 / factor:.3g} times"
