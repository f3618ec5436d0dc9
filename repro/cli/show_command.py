"""`repro show`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from repro.cli.complete import complete_claims

if TYPE_CHECKING:
    from repro.ledger.fast import LatestVerdict
    from repro.review.book import Book
    from repro.schema.claim import Claim, Paper


def show(
    claim: Annotated[str, typer.Argument(help="A claim, as `repro list` names it.", autocompletion=complete_claims)],
    prior: Annotated[
        str | None, typer.Option(help="How probable you held the claim before: 0.25, or 25 %.", metavar="P")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (schema repro.show/1).")] = False,
) -> None:
    """Show one claim: target, protocols, verdicts, trust.

    Also the controls of each protocol, the last verdicts from the ledger and the published results, what people added
    to them, what has changed since, whether the claim can be cited, the error rates of each calibrated protocol, and
    what the attempts make of a prior.

    \b
    Examples:
      repro show chinchilla/isoflop_params_exponent
      repro show chinchilla/isoflop_params_exponent --prior 0.25
    """
    from repro.catalog.index import load_index
    from repro.catalog.load import load, load_claim
    from repro.ledger.fast import latest_verdicts
    from repro.review.facts.odds import read_prior

    chosen = None if prior is None else read_prior(prior)
    (name,) = load_index().expand(claim)[:1]
    found = load_claim(name)
    paper = load("paper", found.paper)
    last = [verdict for verdict in latest_verdicts() if verdict.claim == name]
    book = _book(found, paper)
    last = _with_standing(book, found, last)
    if as_json:
        from repro.cli.json_output import print_json
        from repro.cli.record_view import record_json

        more = {**_trust_json(book, found, chosen), **record_json(book, found)}
        print_json("show", claim=found, paper=paper, verdicts=last, **more)
        return
    from rich.console import Console

    from repro.cli.record_view import checks_text, record_view
    from repro.cli.render import claim_view
    from repro.cli.trust_view import trust_view
    from repro.review.facts.added import marks

    trust = trust_view(book, found, chosen) if found.protocols else None
    noted = {attempt.id: marks(book, attempt) for attempt in book.attempts}
    Console().print(
        claim_view(found, paper, last, noted, trust, record=record_view(book, found), checks=checks_text(book, found))
    )


def _book(claim: "Claim", paper: "Paper") -> "Book":
    """Return the book of one claim: its attempts, here and published, and what belongs to them."""
    from repro.catalog.load import load_study
    from repro.review.load import book_of

    studies = {protocol.study: load_study(protocol.study) for protocol in claim.protocols.values()}
    return book_of([claim], {paper.id: paper}, studies, only=claim.id)


def _with_standing(book: "Book", claim: "Claim", last: "list[LatestVerdict]") -> "list[LatestVerdict]":
    """Return the latest verdicts, and those that speak for the claim but are not the latest of their protocol and scale."""
    from repro.ledger.fast import LatestVerdict
    from repro.review.book import standings

    shown = {verdict.attempt for verdict in last}
    more = [standing.attempt for standing in standings(book, claim.id) if standing.attempt.id not in shown]
    hidden = [
        LatestVerdict(
            claim=attempt.claim,
            protocol=attempt.protocol,
            scale=attempt.scale,
            outcome=attempt.verdict.outcome if attempt.verdict else None,
            reason=attempt.verdict.reason if attempt.verdict else None,
            validity=attempt.validity,
            execution=attempt.execution,
            started=attempt.started,
            attempt=attempt.id,
            exploratory=attempt.exploratory,
        )
        for attempt in more
    ]
    return sorted([*hidden, *last], key=lambda verdict: (verdict.protocol, verdict.scale, "~" in verdict.attempt))


def _trust_json(book: "Book", claim: "Claim", prior: float | None) -> dict[str, Any]:
    from repro.review.facts import odds
    from repro.review.facts.trust import trust_in

    trust = [
        {
            "protocol": each.protocol,
            "scale": each.scale,
            "attempt": each.attempt.id if each.attempt else None,
            "indicative": each.attempt.sealed.indicative if each.attempt else None,
            "look": each.attempt.verdict.look if each.attempt and each.attempt.verdict else None,
            "looks": each.attempt.sealed.looks if each.attempt else None,
            "calibration": each.calibration,
        }
        for each in trust_in(book, claim)
    ]
    items = odds.evidence(book, claim)
    priors = odds.PRIORS if prior is None else (prior,)
    return {"trust": trust, "posterior": [found for p in priors for found in odds.posteriors(items, p).values()]}
