"""What the verdicts on a claim do to a reader's prior."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from repro.judge.numbers import fixed, significant
from repro.review.book import Book, attempts_of, validity
from repro.review.facts.independent import correlated, decisive_attempts, groups
from repro.review.wording.words import not_counting
from repro.schema.claim import Claim
from repro.schema.errors import ReproError
from repro.schema.verdict import Attempt

if TYPE_CHECKING:
    from repro.judge.posterior import Against, EvidenceItem, Posterior

PRIORS = (0.05, 0.10, 0.25, 0.50, 0.75, 0.90)
"""Priors of the table, from a long shot to near certainty."""


ALTERNATIVES: "Mapping[Against, str]" = {"margin": "false by just its margin", "rival": "false by a rival's value"}
"""What the claim is weighed against."""

ASSUMPTION = (
    "What “false” means decides how much an attempt counts: against a claim that is false by just its margin, the "
    "hardest falsehood to tell from it, an attempt counts least. Rates count at the cautious ends of their intervals, "
    "attempts that share data or seeds once, conceptual replications 3 to 1 at most, and undecided ones nothing."
)
"""What the odds rest on."""

RULE = "tracker/belief_update"
"""The claim by which the rule of these odds is itself tested, where the catalogue has it."""


class PriorError(ReproError):
    """What was given as a prior is no probability."""


def read_prior(text: str) -> float:
    """Return the probability that a reader typed: 0.3, or 30 %.

    Raises:
        PriorError: if it is none, or so close to 0 or 1 that no evidence could move it.
    """
    shown = text.strip()
    number = shown.removesuffix("%").strip()
    try:
        prior = float(number) / (100 if number != shown else 1)
    except ValueError:
        prior = math.nan
    if not 0 < prior < 1:
        short = shown if len(shown) <= 40 else f"{shown[:39]}…"
        raise PriorError(
            f"A prior is a probability between 0 and 1, both excluded, such as 0.3 or 30 %. This is none: '{short}'."
        )
    return prior


def evidence(book: Book, claim: Claim) -> "tuple[EvidenceItem, ...]":
    """Return what each attempt at a claim says, with the error rates of its seal; correlated ones share a group.

    Attempts that do not count, or ran at a scale that never decides, are there with the reason why they are set aside.
    """
    from repro.judge.posterior import EvidenceItem

    counted = decisive_attempts(book, claim.id)
    group_of = {a.id: group[0].id for group in groups(counted, partial(correlated, book)) for a in group}
    return tuple(
        EvidenceItem(
            attempt=attempt.id,
            kind=attempt.sealed.kind,
            scale=attempt.scale,
            outcome=attempt.verdict.outcome if attempt.verdict and attempt.execution == "completed" else None,
            calibration=book.calibrations.get(attempt.sealed.digest),
            group=group_of.get(attempt.id, attempt.id),
            set_aside=_set_aside(book, attempt, counts=attempt.id in group_of),
        )
        for attempt in attempts_of(book, claim.id)
    )


def _set_aside(book: Book, attempt: Attempt, counts: bool) -> str:
    if counts:
        return ""
    return not_counting(attempt, validity(book, attempt)) or "this scale does not decide"


def alternatives(items: "Sequence[EvidenceItem]") -> "tuple[Against, ...]":
    """Return what the claim can be weighed against: a rival's value only where one was simulated."""
    known = {scenario.truth for item in items if item.calibration for scenario in item.calibration.scenarios}
    return ("margin", "rival") if "rival" in known else ("margin",)


def posteriors(items: "Sequence[EvidenceItem]", prior: float) -> "Mapping[Against, Posterior]":
    """Return what becomes of a prior, by what the claim is weighed against."""
    from repro.judge.posterior import posterior_odds

    return {against: posterior_odds(prior, items, against) for against in alternatives(items)}


@dataclass(frozen=True)
class Share:
    """What one attempt does to the odds, against one alternative or, where it is the same, against each."""

    against: str
    factor: float
    sentence: str


def shares(items: "Sequence[EvidenceItem]") -> Mapping[str, tuple[Share, ...]]:
    """Return what each attempt does to the odds, by its id; the prior plays no part."""
    told: dict[str, list[Share]] = {item.attempt: [] for item in items}
    for against, found in posteriors(items, 0.5).items():
        for attempt, factor, sentence in found.contributions:
            if sentence not in [share.sentence for share in told[attempt]]:
                told[attempt].append(Share(ALTERNATIVES[against], factor, sentence))
    return {attempt: tuple(said) for attempt, said in told.items()}


def percent(share: float) -> str:
    """Return a probability as people read it; what is not certain never reads as 0 or 100 %."""
    hundred = 100 * share
    decimals = 0 if 1 <= hundred <= 99 else 1
    shown = fixed(hundred, decimals, trim=True)
    if 0 < share < 1 and shown in ("0", "100"):
        return "< 0.1 %" if share < 0.5 else "> 99.9 %"
    return f"{shown} %"


def odds_text(odds: float) -> str:
    """Return odds as people bet: 3 to 1, or 1 to 4; beyond a thousand the number means nothing."""
    if not 1e-3 <= odds <= 1e3:
        return "> 1000 to 1" if odds > 1 else "< 1 to 1000"
    return f"{significant(odds, 3)} to 1" if odds >= 1 else f"1 to {significant(1 / odds, 3)}"


def factor_text(factor: float) -> str:
    """Return a Bayes factor; one below 1 as a fraction."""
    return significant(factor, 2) if factor >= 1 else f"1/{significant(1 / factor, 2)}"


def short_name(attempt_id: str) -> str:
    """Return protocol, scale and number of an attempt from its id, and of one of several with this id its evidence."""
    _, protocol, run = attempt_id.rsplit("@", 2)
    run, _, evidence = run.partition("~")
    beside = f" (evidence {evidence})" if evidence else ""
    return f"{protocol} at {run.split('-')[0]}, number {run.rsplit('-', 1)[-1]}{beside}"
