"""How far the verdicts on a claim can be trusted, as people read it in a terminal."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from repro.review.book import Book
from repro.review.facts import odds, rates
from repro.review.facts.trust import Trust, trust_in
from repro.schema.claim import Claim


def trust_view(book: Book, claim: Claim, prior: float | None = None) -> RenderableType:
    """Return the error rates of each protocol of a claim in sentences, and what its attempts make of a prior.

    Args:
        book: attempts and calibrations.
        claim: which claim.
        prior: the reader's; without one, what becomes of several.
    """
    shown: list[RenderableType] = [Text("How far to trust this verdict", style="bold")]
    for trust in trust_in(book, claim):
        shown.append(_rates(trust))
    return Group(*shown, Text(""), _odds(book, claim, odds.PRIORS if prior is None else (prior,)))


def _rates(trust: Trust) -> RenderableType:
    heading = f"{trust.protocol} at {trust.scale}"
    if trust.calibration is None:
        return Text(f"{heading}: not calibrated yet: run {trust.command}")
    sealed = trust.attempt.sealed if trust.attempt else None
    lines = [heading, *(f"  {sentence}" for _, sentence in rates.sentences(trust.calibration, sealed))]
    told = Text("\n".join(lines))
    told.append(f"\n  {rates.made_of(trust.calibration)} {trust.calibration.note}".rstrip(), style="dim")
    return told


def _odds(book: Book, claim: Claim, priors: Sequence[float]) -> RenderableType:
    items = odds.evidence(book, claim)
    if not any(item.calibration and not item.set_aside for item in items):
        return Text("No odds: no attempt that counts is calibrated.", style="dim")
    against = odds.alternatives(items)
    table = Table("prior", *(f"against “{odds.ALTERNATIVES[name]}”" for name in against), box=None, header_style="dim")
    for prior in priors:
        after = odds.posteriors(items, prior).values()
        cells = (f"{odds.percent(found.probability)} (odds {odds.odds_text(found.odds)})" for found in after)
        table.add_row(odds.percent(prior), *cells)
    parts = Table(Column(no_wrap=True, justify="right"), Column(overflow="fold"), box=None, show_header=False)
    for attempt, said in odds.shares(items).items():
        for share in said:
            parts.add_row(
                f"× {odds.factor_text(share.factor)}", escape(f"{odds.short_name(attempt)}: {share.sentence}")
            )
    return Group(
        Text("Probability of the claim after these attempts:"), table, parts, Text(odds.ASSUMPTION, style="dim")
    )
